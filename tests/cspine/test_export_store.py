"""Exports in the blob store: whole or not at all, damaged copies thrown away."""

from pathlib import Path

import pytest

from cspine import export_store, releases
from cspine.blobs import BlobStore

IDENTITY = "ab" * 32
KEY = f"exports/{IDENTITY}/one.zip"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "graph.bin").write_bytes(b"weights")
    releases.seal(folder)
    return folder


def test_what_was_stored_is_fetched(blobs: BlobStore, export: Path, tmp_path: Path) -> None:
    blobs.put_bytes(b"something else")
    assert export_store.fetch(blobs, IDENTITY, "one", tmp_path / "cache") is None
    export_store.store(blobs, IDENTITY, "one", export)
    found = export_store.fetch(blobs, IDENTITY, "one", tmp_path / "cache")
    assert found == export_store.place(IDENTITY, "one", tmp_path / "cache")
    assert (found / "graph.bin").read_bytes() == b"weights"
    assert export_store.fetch(blobs, IDENTITY, "another", tmp_path / "cache") is None
    assert export_store.fetch(blobs, "cd" * 32, "one", tmp_path / "cache") is None


def test_a_damaged_copy_is_fetched_again(blobs: BlobStore, export: Path, tmp_path: Path) -> None:
    export_store.store(blobs, IDENTITY, "one", export)
    found = export_store.fetch(blobs, IDENTITY, "one", tmp_path / "cache")
    assert found is not None
    (found / "graph.bin").write_bytes(b"weighty")
    again = export_store.fetch(blobs, IDENTITY, "one", tmp_path / "cache")
    assert again is not None
    assert (again / "graph.bin").read_bytes() == b"weights"


@pytest.mark.parametrize("damage", ["cut", "other bytes", "no sums"])
def test_a_damaged_blob_is_none(blobs: BlobStore, export: Path, tmp_path: Path, damage: str) -> None:
    export_store.store(blobs, IDENTITY, "one", export)
    if damage == "cut":
        blobs.put_bytes(blobs.get(KEY)[:-30], key=KEY)
    elif damage == "other bytes":
        (export / "graph.bin").write_bytes(b"weighty")
        export_store.store(blobs, IDENTITY, "one", export)
    else:
        (export / releases.SUMS).unlink()
        export_store.store(blobs, IDENTITY, "one", export)
    blobs.put_bytes(b"something else")
    assert export_store.fetch(blobs, IDENTITY, "one", tmp_path / "cache") is None
    assert list((tmp_path / "cache" / "exports" / IDENTITY).iterdir()) == []


def test_a_copy_is_forgotten(blobs: BlobStore, export: Path, tmp_path: Path) -> None:
    export_store.store(blobs, IDENTITY, "one", export)
    found = export_store.fetch(blobs, IDENTITY, "one", tmp_path / "cache")
    export_store.forget(IDENTITY, "one", tmp_path / "cache")
    assert found is not None
    assert not found.exists()
