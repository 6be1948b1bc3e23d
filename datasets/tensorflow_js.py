"""TensorFlow.js, which the page of evaler.py --explore includes. It is downloaded like the files of datasets."""

import logging
import re
from pathlib import Path

from datasets.fetch import RemoteFile, fetch
from glo.runtime import files, paths
from glo.runtime.errors import UserError

PACKAGE, VERSION = "@tensorflow/tfjs", "4.22.0"
FILE = RemoteFile(
    "tf.es2017.min.js",
    urls=(
        f"https://cdn.jsdelivr.net/npm/{PACKAGE}@{VERSION}/dist/tf.es2017.min.js",
        f"https://unpkg.com/{PACKAGE}@{VERSION}/dist/tf.es2017.min.js",
    ),
    sha256="a1f9e32fd9b373cf394905050cf0c8c66238b34925846c065db00d2a34d1c040",
    size=1_105_894,
)
ADVICE = f"for example by `npm pack {PACKAGE}@{VERSION}`, which puts it into an archive, and pass --tfjs FILE"
MAX_BYTES = 1 << 24

log = logging.getLogger("glo")


def read(path: str | None) -> str:
    """The text of TensorFlow.js: of the file at `path`, or for None of a verified download, kept in `paths.cache`.

    A warning is logged about a file with another checksum. Raises `UserError` if it cannot be downloaded or read, or if
    it cannot be part of a page.
    """
    file = fetch(FILE, paths.cache(), advice=ADVICE) if path is None else Path(path)
    try:
        text = files.read_text(file, MAX_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"--tfjs {file}: {reason}; name {FILE.name} of TensorFlow.js {VERSION}") from None
    if re.search(r"</script|<!--", text, re.IGNORECASE):
        raise UserError(f"--tfjs {file}: it holds the tag of a page; name {FILE.name} of TensorFlow.js {VERSION}")
    if not FILE.matches(file):
        log.warning("%s is not %s of TensorFlow.js %s; used as it is", file, FILE.name, VERSION)
    return text
