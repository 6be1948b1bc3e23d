"""Put the page together: page.html, its style, its modules, TensorFlow.js and the content in one file.

The modules in `page/` import each other as usual and are joined here: one file cannot import parts of itself, and
browsers refuse imports between files that are opened from a disk.
"""

import base64
import hashlib
import json
import re
from importlib import resources

from glo.explorer.content import Content

PAGE = resources.files("glo.explorer") / "page"
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)
# TensorFlow.js compiles WebAssembly when it is loaded, if there is any, which the policy below would refuse.
BEFORE = "delete globalThis.WebAssembly;"
# Nothing is loaded from anywhere: scripts and style are those of the page, and pictures that the user chooses.
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src {style}; img-src blob:; base-uri 'none'; form-action 'none'"
)


def assemble(content: Content, tensorflow_js: str) -> str:
    """The text of the page.

    tensorflow_js: the text of tf.es2017.min.js, which includes its licence and no tag that would end a script.
    """
    scripts = {"before": BEFORE, "tensorflow": tensorflow_js, "main": modules("main.js")}
    style = _read("style.css")
    hashes = " ".join(_hash(text) for text in scripts.values())
    parts = {
        "policy": POLICY.format(scripts=hashes, style=_hash(style)),
        "style": style,
        # The names in it come with the data: without "<", none can end the element or start another one.
        "content": json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"),
        **scripts,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("page.html"))


def modules(name: str) -> str:
    """One script of the module `name` and of all that it imports, each once and after those that it imports itself.

    Every module becomes a function, so that modules share no names, which returns what it exports.
    """
    joined: dict[str, str] = {}

    def join(name: str) -> None:
        text = _read(name)
        for _, imported in IMPORT.findall(text):
            if imported not in joined:
                join(imported)
        exports = ", ".join(exported for _, exported in EXPORT.findall(text))
        body = EXPORT.sub(r"\1 \2", IMPORT.sub(_constants, text)).strip()
        joined[name] = f'modules["{name}"] = await (async () => {{\n{body}\nreturn {{ {exports} }};\n}})();\n'

    join(name)
    return "const modules = {};\n" + "".join(joined.values())


def _constants(match: re.Match[str]) -> str:
    """An import of names, some of which may be renamed by `as`, as constants."""
    return f'const {{{match[1].replace(" as ", ": ")}}} = modules["{match[2]}"];'


def _read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
