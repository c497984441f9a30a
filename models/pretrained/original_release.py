"""A release of the original program's network: its card, and a measure of strangeness fitted on films at hand."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cspine import preprocessing, releases
from cspine.card import Card, Input, OutOfDistribution, Thresholds
from cspine.errors import Usage
from cspine.settings import Settings
from models import inception_v3, ood
from models.packing import INTENDED_USE, check_place, pack
from models.pretrained import original
from models.release import LoadedRelease
from models.training import reading
from models.training.listing import Entry

FEWEST = 12
LIMITS = (
    "The network of {file}, trained elsewhere by the original program on films that are not known here; nothing of it "
    "was measured here. Its own test of 307 pictures was of the same source as its training, whose patients may stand "
    "on both sides. What it cannot know is told by {films} films that were at hand, {held_out} of which set the "
    "threshold; neither the temperature nor the flag threshold is fitted. Of films whose longer side exceeds 512 "
    "pixels it gets other pixels than in the original program, and may give another label: with a head of this kind, "
    "15 of 18 cervical films kept theirs. Published tools of this kind reached 55-90 % sensitivity elsewhere, single "
    "models as low as 31 %: measure it on films of the place where it shall work."
)
Say = Callable[[str], None]
Pictures = dict[str, NDArray[np.uint8]]


def make(path: Path, films: Path, out: Path, name: str, version: str, say: Say) -> Card:
    """Write a release of a `.hdf5` of the original program, with out-of-distribution fitted on a folder of films.

    Two of three films are fitted on, each third sets the threshold. Raises `Usage` where the file is another one or
    the films are too few.
    """
    check_place(out)
    model, wanted = original.read(path)
    found = pictures(films, say)
    if len(found) < FEWEST:
        raise Usage(f"{films} holds {len(found)} films; out-of-distribution cannot be fitted on fewer than {FEWEST}")
    ordered = [found[digest] for digest in sorted(found)]
    held_out = ordered[::3]
    arrays = ood.fit(_features(model, [film for i, film in enumerate(ordered) if i % 3], wanted))
    limits = LIMITS.format(file=path.name, films=len(found), held_out=len(held_out))
    manifest = f"{releases.file_sha256(path)}\n" + "".join(f"{digest}\n" for digest in sorted(found))
    card = Card(
        name=name, version=version, network="inception_v3", width=1, labels=original.LABELS,
        normal_label=original.NORMAL, input=wanted, preprocessing=preprocessing.VERSION,
        data_manifest_sha256=hashlib.sha256(manifest.encode()).hexdigest(), metrics={}, thresholds=Thresholds(flag=0.5),
        temperature=1.0, ood=OutOfDistribution(method="mahalanobis", threshold=1.0), intended_use=INTENDED_USE,
        limits=limits, demo=False,
    )  # fmt: skip
    scores = ood.score(_features(model, held_out, wanted), arrays).numpy()
    threshold = OutOfDistribution(method="mahalanobis", threshold=ood.threshold(scores))
    card = card.model_copy(update={"ood": threshold})
    pack(out, card, LoadedRelease(card, "", model, arrays), arrays)
    return card


def pictures(folder: Path, say: Say) -> Pictures:
    """Decode every film below a folder and return the canonical pictures by their SHA-256; say what is left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [Entry(path, str(path.relative_to(folder)), label="") for path in paths]
    if not entries:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        films = reading.read(entries, Settings(), Path(scratch), lambda done, total: None)
    for lost in films.left_out:
        say(f"left out: {lost.file} ({lost.reason})")
    return {
        record.pixels_sha256: picture for record, picture in zip(films.records, films.pictures, strict=True)
    }  # fmt: skip


def _features(model: keras.Model, films: list[NDArray[np.uint8]], wanted: Input) -> NDArray[np.float32]:
    below = keras.Model(model.inputs[0], [model.get_layer(n).output for n in inception_v3.STRANGENESS_LAYERS])
    return np.concatenate([ood.features(below(batch, training=False)).numpy() for batch in _batches(films, wanted)])


def _batches(films: list[NDArray[np.uint8]], wanted: Input, size: int = 16) -> Iterator[NDArray[np.float32]]:
    for i in range(0, len(films), size):
        yield np.stack([preprocessing.to_input(film, wanted) for film in films[i : i + size]])
