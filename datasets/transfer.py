"""One file over http from one address, resumed where it broke off."""

import http.client
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18  # bytes
RETRIES = 8  # of a broken connection, in all
STALLS = 2  # of them without a new byte, in a row
PAUSE = 0.5  # seconds before a retry, doubled at each that brought nothing


class MirrorError(Exception):
    """This address does not give the file; its text is the reason."""


class _BrokenError(Exception):
    """The connection broke, or the leftover does not fit: worth another try at the same address."""


def download(url: str, part: Path, size: int | None, limit: int) -> None:
    """Complete the file `part` from `url`: go on after the bytes it has, with a bar of bytes, rate and time left.

    `size` is the expected one in bytes, `limit` the most that is ever written.
    Raises `MirrorError` if the address refuses or breaks off for good (what came stays in `part`), `OSError` if the
    disk does.
    """
    stalls = 0
    for _ in range(RETRIES + 1):
        before = _length(part)
        try:
            return _request(url, part, size, limit)
        except _BrokenError as error:
            reason = str(error)
        stalls = 0 if _length(part) > before else stalls + 1
        if stalls > STALLS:
            break
        time.sleep(PAUSE * 2**stalls)
    raise MirrorError(reason)


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _opener() -> urllib.request.OpenerDirector:
    """The standard opener without ftp:, file: and data: addresses, also as the target of a redirection."""
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
    """One request for what `part` still lacks, and its answer written to it."""
    offset = _length(part)
    headers = {"User-Agent": "glo-download", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        answer = _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
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
    with answer:
        start, total = _extent(answer, part, offset)
        if total is not None and (total > limit or (size is not None and total != size)):
            raise MirrorError(f"{total:,} bytes instead of " + (f"{size:,}" if size else f"at most {limit:,}"))
        _write(answer, part, start, total if size is None else size, limit)


def _extent(answer: http.client.HTTPResponse, part: Path, offset: int) -> tuple[int, int | None]:
    """At which byte the answer starts, and how long the whole file is, None if the server does not say."""
    if answer.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        if offset and match and int(match[1]) == offset:
            return offset, None if match[2] == "*" else int(match[2])
        part.unlink(missing_ok=True)
        raise _BrokenError("the server sends another range than asked for")
    if answer.status != 200:
        raise MirrorError(f"HTTP {answer.status}")
    if answer.headers.get_content_type() == "text/html":
        raise MirrorError("an HTML page instead of the file")
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _write(answer: http.client.HTTPResponse, part: Path, start: int, total: int | None, limit: int) -> None:
    """Write the body to `part` from byte `start` on, where the answer begins; check that it is neither short nor long.

    Every OSError of the network becomes a `_BrokenError`, so that those that leave here are the disk's.
    """
    with (
        part.open("r+b" if start else "wb") as stream,
        tqdm(desc=part.stem, total=total, initial=start, unit="B", unit_scale=True, disable=None) as bar,
    ):
        stream.seek(start)
        done = start
        while True:
            try:
                chunk = answer.read(CHUNK)
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
    """A network error in a few words."""
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke off"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
