"""A release folder from its parts; it appears whole and proved, or not at all."""

import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from cspine import phantoms, releases
from cspine.card import Card
from cspine.errors import Usage
from models.ood import Arrays
from models.release import LoadedRelease, load, sentinel
from models.saliency.head import Head, write_head

INTENDED_USE = (
    "An aid for the order in which lateral radiographs of the cervical spine are read. Every study is read by a "
    "person; nothing is ruled out, hidden or diagnosed."
)
PINNED = ("normal", "fracture")  # phantoms that the sentinel holds: a release travels, films of patients do not
SAVED = "1980-01-01@00:00:00"  # as every entry of a ZIP that says no time


def check_place(folder: Path) -> None:
    """Refuse a folder that holds something other than a release, which writing one would delete."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / releases.SUMS).exists():
        raise Usage(f"{folder} holds something that is not a release")


def pack(folder: Path, card: Card, release: LoadedRelease, arrays: Arrays, lesion_head: Head | None = None) -> None:
    """Write a release under its finished card and load it as a worker would.

    The sentinel's pictures are phantoms; `lesion_head` is the supervised head that it keeps, if any. The same parts
    give the same identity, whenever they are packed.
    """
    pinned = np.stack([phantoms.draw(seed, label).pixels for seed, label in enumerate(PINNED)])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "release"
        made.mkdir()
        release.network.save(made / "saved.keras")
        _without_times(made / "saved.keras", made / "model.keras")
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


def _without_times(saved: Path, path: Path) -> None:
    """Write a Keras file again without the time at which it was saved, and remove the first."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), "date_saved": SAVED}).encode()
            new.writestr(zipfile.ZipInfo(name), content)
    saved.unlink()
