"""A release folder from its parts; it appears whole and proved, or not at all."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine import releases
from cspine.card import Card
from cspine.errors import Usage
from models.ood import Arrays
from models.release import LoadedRelease, load, sentinel
from models.saliency.head import Head, write_head

INTENDED_USE = (
    "An aid for the order in which lateral radiographs of the cervical spine are read. Every study is read by a "
    "person; nothing is ruled out, hidden or diagnosed."
)


def check_place(folder: Path) -> None:
    """Refuse a folder that holds something other than a release, which writing one would delete."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / releases.SUMS).exists():
        raise Usage(f"{folder} holds something that is not a release")


def pack(
    folder: Path, card: Card, release: LoadedRelease, arrays: Arrays, pinned: NDArray[np.uint8],
    lesion_head: Head | None = None,
) -> None:  # fmt: skip
    """Write a release under its finished card and load it as a worker would.

    `pinned` are the sentinel's pictures, uint8 (n, h, w); `lesion_head` is the supervised head that it keeps, if any.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "release"
        made.mkdir()
        release.network.save(made / "model.keras")
        (made / "card.json").write_text(card.model_dump_json(indent=2) + "\n")
        np.savez_compressed(made / "ood.npz", **arrays)
        np.savez_compressed(made / "sentinel.npz", **sentinel(release, pinned))
        if lesion_head is not None:
            write_head(lesion_head, made)
        releases.seal(made)
        load(made)
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
