"""Exports in the blob store: what runs a release without TensorFlow, made once, fetched and verified by workers.

An export belongs to the identity of a release and has a name that says what made it and what reads it. It is one blob,
so that it is there whole or not at all.
"""

import shutil
import tempfile
import zipfile
from pathlib import Path

import structlog

from cspine import releases
from cspine.blobs import BlobStore
from cspine.errors import Permanent, ServiceFault
from cspine.reasons import Reason

log = structlog.get_logger(__name__)


def store(blobs: BlobStore, identity: str, name: str, folder: Path) -> None:
    """Store a sealed folder as an export of a release, over one that is there."""
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / "export.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
        blobs.put_bytes(packed.read_bytes(), key=_key(identity, name))


def fetch(blobs: BlobStore, identity: str, name: str, cache: Path) -> Path | None:
    """Return a verified local copy of an export, fetched now where it is not there; null where there is no sound one.

    A copy that is not sound is thrown away, with a line in the log, and fetched again.
    """
    folder = place(identity, name, cache)
    if folder.is_dir() and _sound(folder):
        return folder
    forget(identity, name, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / name
        try:
            with blobs.open(_key(identity, name)) as file, zipfile.ZipFile(file) as archive:
                archive.extractall(made)
        except Permanent:
            return None
        except (zipfile.BadZipFile, EOFError):
            log.warning("an export in the blob store is damaged", release=identity[:12], export=name)
            return None
        except OSError as error:  # of the local copy
            raise ServiceFault(type(error).__name__, Reason.STORAGE_FULL) from error
        if not _sound(made):
            return None
        try:
            made.rename(folder)
        except OSError:  # another process has fetched it at the same moment
            if not folder.is_dir():
                raise
    return folder


def forget(identity: str, name: str, cache: Path) -> None:
    """Throw the local copy away, so that the next one is fetched anew."""
    shutil.rmtree(place(identity, name, cache), ignore_errors=True)


def place(identity: str, name: str, cache: Path) -> Path:
    """Return where the local copy of an export lies."""
    return cache / "exports" / identity / name


def _sound(folder: Path) -> bool:
    try:
        listed = releases.parse((folder / releases.SUMS).read_text())
        faults = [name for name, digest in listed.items() if releases.file_sha256(folder / name) != digest]
    except (OSError, ValueError):
        faults = [releases.SUMS]
    if faults:
        log.warning("an export is damaged", files=faults, export=folder.name)
    return not faults


def _key(identity: str, name: str) -> str:
    return f"exports/{identity}/{name}.zip"
