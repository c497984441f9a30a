"""Releases in the blob store: copied in under their identity, fetched and verified by whoever runs them."""

import shutil
import tempfile
from pathlib import Path

from cspine import releases
from cspine.blobs import BlobStore
from cspine.errors import Permanent
from cspine.reasons import Reason


def store(blobs: BlobStore, folder: Path) -> str:
    """Copy a sound release folder into the store and return its identity.

    Raises `Permanent` (broken_release), naming the file, where the folder is not sound.
    """
    _insist(folder)
    identity = releases.identity(folder)
    for path in sorted(folder.iterdir()):
        key = _key(identity, path.name)
        if path.is_file():
            blobs.put_bytes(path.read_bytes(), key=key)  # also over what is there: that may be damaged
    return identity


def fetch(blobs: BlobStore, identity: str, cache: Path) -> Path:
    """Return a verified local copy of a release in `cache/<identity>`, fetched now where it is not there.

    Raises `Permanent` (broken_release), naming the file, where the copy is not sound; such a copy is thrown away,
    so that the next fetch begins anew.
    """
    folder = cache / identity
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / identity
            made.mkdir()
            sums = _get(blobs, identity, releases.SUMS)
            (made / releases.SUMS).write_bytes(sums)
            for name in _names(sums):
                (made / name).write_bytes(_get(blobs, identity, name))
            try:
                made.rename(folder)
            except OSError:  # another process has fetched it at the same moment
                if not folder.is_dir():
                    raise
    try:
        _insist(folder, identity)
    except Permanent:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def holds(blobs: BlobStore, identity: str, name: str) -> bool:
    """Say whether an imported release has a file of this name."""
    return blobs.exists(_key(identity, name))


def _insist(folder: Path, identity: str | None = None) -> None:
    faults = releases.verify(folder)
    if not faults and identity is not None and releases.identity(folder) != identity:
        faults = [f"{releases.SUMS}: not that of release {identity[:12]}"]
    if faults:
        raise Permanent("; ".join(faults), Reason.BROKEN_RELEASE)


def _names(sums: bytes) -> list[str]:
    try:
        return list(releases.parse(sums.decode()))
    except ValueError as error:
        raise Permanent(f"{releases.SUMS} in the blob store cannot be read", Reason.BROKEN_RELEASE) from error


def _get(blobs: BlobStore, identity: str, name: str) -> bytes:
    try:
        return blobs.get(_key(identity, name))
    except Permanent as error:
        raise Permanent(f"{name} is missing in the blob store", Reason.BROKEN_RELEASE) from error


def _key(identity: str, name: str) -> str:
    return f"releases/{identity}/{name}"
