"""A release folder on disk: its identity, whether it is whole, its card. No network is loaded here."""

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from cspine.card import Card
from cspine.errors import Permanent
from cspine.reasons import Reason
from cspine.saliency import LESION_MAP_FILE

SUMS = "SHA256SUMS"
FILES = ("card.json", "model.keras", "ood.npz", "sentinel.npz")
Shape = tuple[str | int, ...]
OOD: dict[str, Shape] = {"mean": ("d",), "scale": ("d",), "directions": ("d", "k"), "variances": ("k",), "rest": ()}
SENTINEL: dict[str, Shape] = {"pictures": ("n", "h", "w"), "ood_score": ("n",)}


def identity(folder: Path) -> str:
    """Return the release's identity, the SHA-256 of its SHA256SUMS; raises `Permanent` where there is none."""
    try:
        return file_sha256(folder / SUMS)
    except OSError as error:
        raise Permanent(f"{SUMS} of the release {folder.name} cannot be read", Reason.BROKEN_RELEASE) from error


def read_card(folder: Path) -> Card:
    """Read and check card.json; raises `Permanent` where it is missing or wrong."""
    try:
        return Card.model_validate_json((folder / "card.json").read_bytes())
    except OSError as error:
        raise Permanent("card.json cannot be read", Reason.BROKEN_RELEASE) from error
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'card'}: {fault['msg']}" for fault in error.errors())
        raise Permanent(f"card.json is not valid: {where}", Reason.BROKEN_RELEASE) from error


def verify(folder: Path) -> list[str]:
    """Return what is wrong with a release, one sentence a fault that names the file; empty if it is whole.

    The sums come first; files that are what the sums say must then fit together, as far as that shows without the
    network.
    """
    try:
        listed = parse((folder / SUMS).read_text())
    except (OSError, ValueError) as error:
        return [f"{SUMS} cannot be read: {error}"]
    faults = [f"{name} is not listed in {SUMS}" for name in FILES if name not in listed]
    faults += [f"{name} is not part of the release" for name in _present(folder) if name not in {*listed, SUMS}]
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif file_sha256(path) != expected:
            faults.append(f"{name} has other bytes than {SUMS} says")
    if not faults:
        try:
            card = read_card(folder)
        except Permanent as error:
            return [error.detail]
        faults += _misfits("ood.npz", _shapes(folder / "ood.npz"), OOD)
        sentinel = SENTINEL | {"probabilities": ("n", len(card.labels))}
        faults += _misfits("sentinel.npz", _shapes(folder / "sentinel.npz"), sentinel)
        if LESION_MAP_FILE in listed:
            head: dict[str, Shape] = {"kernel": ("channels", len(card.labels)), "bias": (len(card.labels),)}
            faults += _misfits(LESION_MAP_FILE, _shapes(folder / LESION_MAP_FILE), head)
        if not zipfile.is_zipfile(folder / "model.keras"):
            faults.append("model.keras is not a Keras file")
    return faults


def _shapes(path: Path) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes of a file's arrays of numbers by name; null where it cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: array.shape for name, array in arrays.items() if np.issubdtype(array.dtype, np.number)}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _misfits(name: str, found: Mapping[str, tuple[int, ...]] | None, expected: Mapping[str, Shape]) -> list[str]:
    """Compare shapes with those expected, in which a letter stands for the same number at every place."""
    if found is None:
        return [f"{name} cannot be read"]
    if missing := sorted(set(expected) - set(found)):
        return [f"{name} lacks {', '.join(missing)}"]
    letters: dict[str, int] = {}
    for array, shape in expected.items():
        sizes = found[array]
        fits = len(sizes) == len(shape) and all(
            size > 0 and size == (letters.setdefault(place, size) if isinstance(place, str) else place)
            for size, place in zip(sizes, shape, strict=True)
        )
        if not fits:
            return [f"{name} does not fit: {array} has the shape {sizes}"]
    return []


def seal(folder: Path) -> str:
    """Write SHA256SUMS over all other files of a release and return the release's identity."""
    lines = [f"{file_sha256(folder / name)}  {name}\n" for name in _present(folder) if name != SUMS]
    (folder / SUMS).write_text("".join(lines))
    return identity(folder)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _present(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def parse(sums: str) -> dict[str, str]:
    """Read the text of SHA256SUMS, as sha256sum(1) writes it, into name -> digest.

    Raises `ValueError` for a line of another form, or for a name with a folder in it.
    """
    listed = {}
    for line in sums.splitlines():
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64 or not name or Path(name).name != name:
            raise ValueError(f"not a line of sha256sum: {line[:80]!r}")
        listed[name] = digest
    return listed
