"""The files of a night, every one with the bucket it must end in: healthy, broken, sent twice, poison."""

import datetime
import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from cspine.decoding import canonical, decode
from cspine.phantoms import draw
from cspine.phantoms.drawing import Phantom
from cspine.phantoms.files import Study, write_dicom
from cspine.settings import Settings
from tests.chaos.entry import HANG, KILL

DRAWN = 12  # phantoms that are drawn; every study is one of them with a stamp of its own
SHRINK = 4
DAY = datetime.date(2025, 3, 3)
ANALYSED, REJECTED, DUPLICATE, QUARANTINED = "analysed", "rejected", "duplicate", "quarantined"


@dataclass(frozen=True)
class File:
    """A file that is sent, and the bucket that it must end in."""

    path: Path
    bucket: str
    poison: str = ""  # the stage that it kills

    @property
    def name(self) -> str:
        """The name it is sent under."""
        return self.path.name


@dataclass(frozen=True)
class Shape:
    """How many files of which kind; the poisons as (stage, effect)."""

    files: int
    broken: int
    twice: int
    poisons: tuple[tuple[str, str], ...]


LONG = Shape(1500, 40, 30, (("prepare", KILL), ("screen", KILL), ("prepare", HANG)))
SHORT = Shape(150, 8, 6, (("prepare", KILL), ("screen", KILL), ("screen", KILL)))


def write(folder: Path, shape: Shape, seed: int, settings: Settings) -> tuple[list[File], dict[str, str]]:
    """Write a night; return its files in the order in which they are sent, and the table of the poisons."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    drawn = [_small(draw(seed * DRAWN + number)) for number in range(DRAWN)]
    healthy = shape.files - shape.broken - shape.twice - len(shape.poisons)
    files: list[File] = []
    table: dict[str, str] = {}
    for number in range(healthy + shape.broken + len(shape.poisons)):
        path = _study(folder, drawn[number % DRAWN], seed * 100_000 + number, dicom=number % 2 == 1)
        if number < healthy:
            files.append(File(path, ANALYSED))
        elif number < healthy + shape.broken:
            files.append(_broken(path, number))
        else:
            stage, effect = shape.poisons[number - healthy - shape.broken]
            table[_hash(path, stage, settings)] = effect
            files.append(File(path, QUARANTINED, stage))
    files = [files[place] for place in rng.permutation(len(files))]
    return _send_twice(folder, files, shape.twice, rng), table


def _small(phantom: Phantom) -> Phantom:
    pixels = np.ascontiguousarray(phantom.pixels[::SHRINK, ::SHRINK])
    return Phantom(**(vars(phantom) | {"pixels": pixels}))


def _study(folder: Path, phantom: Phantom, number: int, *, dicom: bool) -> Path:
    """Write a study of one file; its number is stamped into the picture, so that no two have the same pixels."""
    pixels = phantom.pixels.copy()
    pixels[:8, :32] = np.random.default_rng(number).integers(0, 255, (8, 32), np.uint8)
    if dicom:
        path = folder / f"{number}.dcm"
        write_dicom(path, Phantom(**(vars(phantom) | {"pixels": pixels})), Study(number, DAY), 1)
    else:
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
    return path


def _broken(path: Path, number: int) -> File:
    """Break a file: cut in the middle of its pixels, which only prepare sees, or made of nothing but noise."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3] if number % 4 else np.random.default_rng(number).bytes(5000))
    return File(path, REJECTED)


def _hash(path: Path, stage: str, settings: Settings) -> str:
    """Return the hash by which a stage knows a poison."""
    data = path.read_bytes()
    if stage == "screen":
        data = canonical(decode(BytesIO(data), path.name, settings).frames[0]).tobytes()
    return hashlib.sha256(data).hexdigest()


def _send_twice(folder: Path, files: list[File], count: int, rng: np.random.Generator) -> list[File]:
    """Have some healthy files sent again under another name, somewhere after their first time."""
    order = list(files)
    sound = [file for file in files if file.bucket == ANALYSED]
    for pick in rng.choice(len(sound), count, replace=False):
        first = sound[pick]
        again = folder / f"again-{first.name}"
        again.write_bytes(first.path.read_bytes())
        order.insert(int(rng.integers(order.index(first) + 1, len(order) + 1)), File(again, DUPLICATE))
    return order
