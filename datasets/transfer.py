"""Download a file from one HTTP address. Interrupted downloads are continued."""

import http.client
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from glo.runtime import files

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18  # bytes
RETRIES = 8  # after broken connections, in all
STALLS = 2  # consecutive retries that bring no new byte, at most
PAUSE = 0.5  # seconds before a retry, doubled for each consecutive retry that brought no new byte


class MirrorError(Exception):
    """The file cannot be downloaded from this address. The text is the reason."""


class _BrokenError(Exception):
    """The connection broke, or the partial file cannot be continued. Another attempt may succeed."""


def download(url: str, part: Path, size: int | None, limit: int) -> None:
    """Complete the partial file `part` from `url`, after the bytes that it already has, with a progress bar.

    size: expected size in bytes, None if not known. limit: the largest number of bytes that may be written.
    Raises `MirrorError` if the server refuses the request or the connection keeps breaking; `part` keeps the bytes
    received. Raises `OSError` for errors of the disk, and if `part` is not a regular file.
    """
    stalls = 0
    for _ in range(RETRIES + 1):
        previous_length = _length(part)
        try:
            return _request(url, part, size, limit)
        except _BrokenError as error:
            reason = str(error)
        stalls = 0 if _length(part) > previous_length else stalls + 1
        if stalls > STALLS:
            break
        time.sleep(PAUSE * 2**stalls)
    raise MirrorError(reason)


def _length(part: Path) -> int:
    return files.regular_size(part) if part.exists() else 0


def _opener() -> urllib.request.OpenerDirector:
    """The standard opener, but without support for ftp:, file: and data: addresses, even after a redirection."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _request(url: str, part: Path, size: int | None, limit: int) -> None:
    """Request the bytes that `part` lacks, and write the response to it."""
    offset = _length(part)
    headers = {"User-Agent": "glo-download", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        response = _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            part.unlink()
            raise _BrokenError("the server refuses to resume") from None
        raise MirrorError(f"HTTP {error.code} {http.client.responses.get(error.code, '')}".strip()) from None
    except urllib.error.URLError as error:
        raise MirrorError(_reason(error.reason)) from None
    except (ValueError, http.client.InvalidURL) as error:
        raise MirrorError(f"not an http or https address ({_reason(error)})") from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_reason(error)) from None
    with response:
        start, total = _extent(response, part, offset)
        if total is not None and (total > limit or (size is not None and total != size)):
            raise MirrorError(f"{total:,} bytes instead of " + (f"{size:,}" if size else f"at most {limit:,}"))
        _write(response, part, start, total if size is None else size, limit)


def _extent(response: http.client.HTTPResponse, part: Path, offset: int) -> tuple[int, int | None]:
    """The position in the file of the first byte of the response, and the size of the whole file, None if not known.

    offset: the position that was requested. Raises `_BrokenError` if the response starts elsewhere.
    """
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if offset and match and int(match[1]) == offset:
            return offset, None if match[2] == "*" else int(match[2])
        part.unlink(missing_ok=True)
        raise _BrokenError("the server sends another range than the one requested")
    if response.status != 200:
        raise MirrorError(f"HTTP {response.status}")
    if response.headers.get_content_type() == "text/html":
        raise MirrorError("an HTML page instead of the file")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _write(response: http.client.HTTPResponse, part: Path, start: int, total: int | None, limit: int) -> None:
    """Write the response to `part` from byte `start` on, and check that it is neither too short nor too long.

    Every `OSError` of the network is converted to `_BrokenError`, so that an `OSError` is an error of the disk.
    """
    with (
        part.open("r+b" if start else "wb") as stream,
        tqdm(desc=part.stem, total=total, initial=start, unit="B", unit_scale=True, disable=None) as bar,
    ):
        stream.seek(start)
        done = start
        while True:
            try:
                chunk = response.read(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenError(_reason(error)) from None
            if not chunk:
                break
            if done == 0 and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise MirrorError("an HTML page instead of the file")
            done += len(chunk)
            if done > limit:
                stream.truncate(0)
                raise MirrorError(f"more than {limit:,} bytes")
            stream.write(chunk)
            bar.update(len(chunk))
    if total is not None and done < total:
        raise _BrokenError(f"broke off after {done:,} of {total:,} bytes")


def _reason(error: object) -> str:
    """A short description of a network error."""
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke off"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
