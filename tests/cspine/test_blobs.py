"""The blob store: complete or not there, hashed on the way, and never a path from outside."""

import hashlib
import io
import resource
from pathlib import Path

import pytest

from cspine.blobs import BlobFault, BlobStore
from cspine.errors import Permanent, Refused, ServiceFault
from cspine.reasons import Reason
from cspine.settings import Settings

pytestmark = pytest.mark.services


def test_a_blob_comes_back_as_it_was(blobs: BlobStore) -> None:
    data = b"radiograph" * 300_000
    stored = blobs.put(io.BytesIO(data))
    assert (stored.sha256, stored.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert blobs.get(stored.key) == data
    with blobs.open(stored.key) as file:
        file.seek(10)
        assert file.read(10) == b"radiograph"
    assert list(blobs.keys()) == [stored.key]
    blobs.delete(stored.key)
    blobs.delete(stored.key)
    assert not blobs.exists(stored.key)


def test_too_large_leaves_nothing_behind(blobs: BlobStore, settings: object, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        blobs.put(io.BytesIO(b"x" * 101), limit=100)
    assert refused.value.reason is Reason.TOO_LARGE
    assert not [path for path in (tmp_path / "var").rglob("*") if path.is_file()]


def test_a_missing_blob_is_permanent(blobs: BlobStore) -> None:
    blobs.put_bytes(b"another")
    with pytest.raises(Permanent) as missing, blobs.open("aa/gone"):
        pass
    assert missing.value.reason is Reason.BLOB_MISSING


def test_a_store_that_is_not_mounted_is_a_fault_of_the_service(blobs: BlobStore, settings: Settings) -> None:
    """Else every study in work would fail for good while a shared folder is away."""
    key = blobs.put_bytes(b"here")
    folder = settings.var / "blobs"
    folder.rename(settings.var / "away")
    with pytest.raises(ServiceFault) as fault:
        blobs.get(key)
    assert fault.value.reason is Reason.STORAGE_UNAVAILABLE
    (settings.var / "away").rename(folder)
    assert blobs.get(key) == b"here"


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../b", "a\\b"])
def test_a_key_from_outside_is_refused(blobs: BlobStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"), blobs.open(key):
        pass


def test_a_full_disk_is_a_fault_of_the_service(blobs: BlobStore, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ServiceFault) as fault:
            blobs.put(io.BytesIO(b"x" * 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert fault.value.reason is Reason.STORAGE_FULL
    assert not [path for path in (tmp_path / "var").rglob("*") if path.is_file()]


def test_a_store_without_files_of_its_own() -> None:
    blobs = BlobStore("memory://cspine-test")
    key = blobs.put_bytes(b"abc", suffix=".png")
    assert blobs.get(key) == b"abc"
    assert list(blobs.keys()) == [key]
    blobs.delete(key)


def test_only_errors_of_opening_and_reading_are_the_stores(blobs: BlobStore, settings: Settings) -> None:
    key, bad = blobs.put_bytes(b"here"), blobs.put_bytes(b"bad")
    with pytest.raises(ConnectionResetError), blobs.open(key) as file:
        assert file.read() == b"here"
        raise ConnectionResetError  # of whoever it is sent to
    (settings.var / "blobs" / bad).unlink()
    (settings.var / "blobs" / bad).mkdir()
    with pytest.raises(BlobFault), blobs.open(bad):
        pass
    with pytest.raises(BlobFault):
        blobs.get(bad)
    blobs.probe()
    blobs.probe(key)
    assert list(blobs.keys()) == [key], "the question leaves nothing behind"


def test_a_store_that_is_away_does_not_answer(blobs: BlobStore, settings: Settings) -> None:
    key = blobs.put_bytes(b"here")
    folder = settings.var / "blobs"
    folder.rename(settings.var / "away")
    folder.write_bytes(b"")
    for known in (None, key):
        with pytest.raises(ServiceFault):
            blobs.probe(known)
