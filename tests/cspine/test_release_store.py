"""Releases in the blob store: what is damaged there is named, and importing again heals it."""

from pathlib import Path

import pytest

from cspine import release_store, releases
from cspine.blobs import BlobStore
from cspine.commands.release import DEMO
from cspine.errors import Permanent
from cspine.reasons import Reason

pytestmark = pytest.mark.services


def test_a_stored_release_comes_back_whole(blobs: BlobStore, tmp_path: Path) -> None:
    identity = release_store.store(blobs, DEMO)
    folder = release_store.fetch(blobs, identity, tmp_path / "cache")
    assert releases.verify(folder) == []
    assert releases.identity(folder) == identity
    assert release_store.fetch(blobs, identity, tmp_path / "cache") == folder


@pytest.mark.parametrize("name", ["model.keras", "card.json", releases.SUMS])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_damaged_one_is_named_and_healed_by_importing_again(
    blobs: BlobStore, tmp_path: Path, name: str, how: str
) -> None:
    identity = release_store.store(blobs, DEMO)
    key = f"releases/{identity}/{name}"
    blobs.delete(key)
    if how == "damaged":
        blobs.put_bytes(b"x", key=key)
    with pytest.raises(Permanent) as broken:
        release_store.fetch(blobs, identity, tmp_path / "cache")
    assert broken.value.reason is Reason.BROKEN_RELEASE
    assert name in broken.value.detail
    release_store.store(blobs, DEMO)
    assert releases.verify(release_store.fetch(blobs, identity, tmp_path / "cache")) == []
