"""Fetching a file of weights: whole and with the promised digest, or not at all."""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cspine.errors import Usage

LARGEST = 2**30
CHUNK = 2**20
TIMEOUT = 30  # seconds without a byte
LENGTHS = {"sha1": 40, "sha256": 64}


@dataclass(frozen=True)
class Source:
    """Where a file lies and which digest it has."""

    url: str
    algorithm: str  # a key of LENGTHS
    digest: str


KNOWN = {  # readme.md of each folder of https://github.com/BVLC/caffe/tree/master/models
    "bvlc_alexnet.caffemodel": Source(
        "http://dl.caffe.berkeleyvision.org/bvlc_alexnet.caffemodel",
        "sha1", "9116a64c0fbe4459d18f4bb6b56d647b63920377",
    ),
    "bvlc_googlenet.caffemodel": Source(
        "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
        "sha1", "405fc5acd08a3bb12de8ee5e23a96bec22f08204",
    ),
}  # fmt: skip


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none from https to http."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urlsplit(req.full_url).scheme == "https" != urlsplit(newurl).scheme:
            raise urllib.error.URLError(f"redirected from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    source: Source, path: Path, report: Callable[[int, int | None], None], largest: int = LARGEST
) -> None:  # fmt: skip
    """Fetch a file by http or https.

    `report` gets the bytes so far and the total where it is known. Raises `Usage` where the address does not answer,
    the file is larger than `largest`, ends too soon, or has another digest; nothing of it is kept then.
    """
    if urlsplit(source.url).scheme not in ("http", "https"):
        raise Usage(f"{source.url} is no http or https address")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            found = _received(source, file.write, report, largest)
        if found != source.digest.lower():
            raise Usage(f"{source.url} has the {source.algorithm} {found}, not {source.digest}; it was not kept")
        Path(scratch).replace(path)
    except (OSError, ValueError) as error:  # urllib's own errors are OSErrors
        words = getattr(error, "reason", error)
        raise Usage(f"{source.url} could not be fetched: {words}") from error
    finally:
        Path(scratch).unlink(missing_ok=True)


def _received(
    source: Source, write: Callable[[bytes], int], report: Callable[[int, int | None], None], largest: int
) -> str:
    """Pass a file on as it comes and return its digest."""
    digest, done = hashlib.new(source.algorithm, usedforsecurity=False), 0
    opener = urllib.request.build_opener(_Redirects)
    with opener.open(source.url, timeout=TIMEOUT) as answer:
        length = answer.headers.get("Content-Length")
        total = int(length) if length else None
        if total is not None and total > largest:
            raise ValueError(f"it has {total:,} bytes, and {largest:,} is the most that is taken")
        while chunk := answer.read(CHUNK):
            done += len(chunk)
            if done > largest:
                raise ValueError(f"it has more than {largest:,} bytes")
            digest.update(chunk)
            write(chunk)
            report(done, total)
    if total is not None and done < total:
        raise ValueError(f"it ended after {done:,} of {total:,} bytes")
    return digest.hexdigest()
