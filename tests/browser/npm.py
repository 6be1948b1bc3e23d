"""Get TensorFlow.js from npm's registry for the tests of the explorer: python -m tests.browser.npm FILE"""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from datasets.tensorflow_js import FILE, PACKAGE, VERSION

REGISTRY = "https://registry.npmjs.org/"  # npm's own default


def archive() -> bytes:
    """The archive of the package: by npm, or where there is none, from the registry that npm would use."""
    if npm := shutil.which("npm"):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True, timeout=300)
            (path,) = Path(folder).iterdir()
            return path.read_bytes()
    name = f"{PACKAGE.split('/')[1]}-{VERSION}.tgz"
    with urllib.request.urlopen(f"{registry().rstrip('/')}/{PACKAGE}/-/{name}", timeout=60) as response:
        return response.read()


def registry() -> str:
    """The address in npm's settings: the environment, or ~/.npmrc."""
    for name, value in os.environ.items():
        if name.lower() == "npm_config_registry" and value:
            return value
    settings = Path.home() / ".npmrc"
    text = settings.read_text() if settings.is_file() else ""
    match = re.search(r"^\s*registry\s*=\s*(\S+)", text, re.MULTILINE)
    return match[1] if match else REGISTRY


def main(path: Path) -> None:
    if path.is_file() and FILE.matches(path):
        return
    with tarfile.open(fileobj=io.BytesIO(archive())) as package:
        content = package.extractfile(f"package/dist/{FILE.name}").read()
    path.write_bytes(content)
    if not FILE.matches(path):
        path.unlink()
        sys.exit(
            f"error: {FILE.name} of {PACKAGE} {VERSION} has another checksum than datasets/tensorflow_js.py states"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
