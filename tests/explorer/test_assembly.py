"""The page as a file: what its policy allows is what it contains, and content of any kind stays content."""

import base64
import hashlib
import json
from html.parser import HTMLParser

from glo.explorer import assembly

HOSTILE = "</script><script>alert(1)</script><!-- {{style}} \u2028 &lt;"


class Elements(HTMLParser):
    """Scripts, styles and the policy of a page."""

    def __init__(self, page):
        super().__init__()
        self.scripts, self.styles, self.policy, self._open = [], [], None, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert not {"src", "href", "style"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        if tag in ("script", "style"):
            self._open = tag, attributes.get("type")

    def handle_data(self, data):
        if self._open:
            (self.scripts if self._open[0] == "script" else self.styles).append((self._open[1], data))

    def handle_endtag(self, tag):
        self._open = None


def test_the_policy_allows_exactly_the_scripts_and_the_style():
    content = {"name": HOSTILE, "image": [1, 2, 3]}
    page = Elements(assembly.assemble(content, "globalThis.tf = {};"))
    (data,) = [text for kind, text in page.scripts if kind == "application/json"]
    assert json.loads(data) == content
    scripts = [text for kind, text in page.scripts if kind != "application/json"]
    assert len(scripts) == 3
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]
    style = base64.b64encode(hashlib.sha256(page.styles[0][1].encode()).digest()).decode()
    directives = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    assert directives.pop("script-src").split() == hashes
    assert directives == {
        "default-src": "'none'",
        "style-src": f"'sha256-{style}'",
        "img-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_every_module_is_in_the_page_once_after_those_that_it_imports():
    script = assembly.modules("main.js")
    names = {path.name for path in assembly.PAGE.iterdir() if path.name.endswith(".js")}
    places = {name: script.index(f'modules["{name}"] = ') for name in names}
    assert script.count("await (async () => {") == len(names)
    for name in names:
        for _, imported in assembly.IMPORT.findall((assembly.PAGE / name).read_text()):
            assert places[imported] < places[name]
    assert "\nimport " not in script
    assert "\nexport " not in script
    assert "</script" not in script
