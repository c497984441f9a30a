"""Lesions of a phantom: what is broken or displaced, where, and by how much.

Lengths are in units of the width of a vertebral body. Ranges are larger than life so that a lesion is visible in the
224 pixels that the network sees.
"""

from dataclasses import dataclass, replace

import numpy as np

LABELS = ("normal", "fracture", "dislocation")
LEVELS = ("C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2")
FRACTURES = {"wedge": 0.26, "burst": 0.20, "teardrop": 0.20, "split": 0.16, "spinous": 0.12, "dens": 0.06}


@dataclass(frozen=True)
class Break:
    """A line of fracture through one bone of a vertebra, and what became of the piece beyond it.

    `at` and `normal` (degrees, 0 points forward, 90 down) give the line in the vertebra's frame; the piece on the
    normal's side is moved by `shift` and turned by `turn` degrees.
    """

    bone: str
    at: tuple[float, float]
    normal: float
    shift: tuple[float, float]
    turn: float = 0.0


@dataclass(frozen=True)
class Lesion:
    """One lesion as changes of the vertebra at an index into `LEVELS`; no lesion changes nothing."""

    label: str = "normal"
    kind: str = ""
    index: int = -1
    front: float = 1.0  # height of the front wall, as a factor
    rear: float = 1.0
    width: float = 1.0
    bulge: float = 0.0  # of the rear wall into the canal
    slip: float = 0.0  # of this vertebra forward over the next below
    gap: float = 1.0  # of the disc below, as a factor
    kyphosis: float = 0.0  # degrees by which all above bends forward
    broken: Break | None = None

    @property
    def level(self) -> str:
        """Name the vertebra, or the two vertebrae of a dislocation: C5, C5/C6; empty where there is no lesion."""
        if self.index < 0:
            return ""
        return f"{LEVELS[self.index]}/{LEVELS[self.index + 1]}" if self.label == "dislocation" else LEVELS[self.index]


def lesion(rng: np.random.Generator, label: str) -> Lesion:
    """Draw a lesion of a label at random."""
    if label == "normal":
        return Lesion()
    if label == "fracture":
        kind = str(rng.choice(list(FRACTURES), p=list(FRACTURES.values())))
        return _FRACTURES[kind](rng)
    if label == "dislocation":
        return _dislocation(rng)
    raise ValueError(f"a phantom is one of {', '.join(LABELS)}, not {label!r}")


def _at(rng: np.random.Generator, label: str, kind: str, first: str, last: str) -> Lesion:
    index = int(rng.integers(LEVELS.index(first), LEVELS.index(last) + 1))
    return Lesion(label=label, kind=kind, index=index)


def _wedge(rng: np.random.Generator) -> Lesion:
    return replace(
        _at(rng, "fracture", "wedge", "C3", "C7"),
        front=1 - rng.uniform(0.42, 0.62),
        rear=1 - rng.uniform(0.0, 0.08),
        kyphosis=rng.uniform(3, 9),
    )


def _burst(rng: np.random.Generator) -> Lesion:
    lower = rng.uniform(0.32, 0.48)
    line = Break("body", (rng.uniform(-0.12, 0.12), 0.0), rng.uniform(-12, 12), (rng.uniform(0.09, 0.14), 0.0))
    return replace(
        _at(rng, "fracture", "burst", "C3", "C7"),
        front=1 - lower - rng.uniform(0, 0.06),
        rear=1 - lower,
        width=rng.uniform(1.12, 1.24),
        bulge=rng.uniform(0.18, 0.30),
        broken=line,
    )


def _teardrop(rng: np.random.Generator) -> Lesion:
    corner = (0.5 - rng.uniform(0.26, 0.36), 0.36)
    shift = (rng.uniform(0.18, 0.28), rng.uniform(0.06, 0.16))
    line = Break("body", corner, rng.uniform(15, 40), shift, rng.uniform(0, 18))
    return replace(_at(rng, "fracture", "teardrop", "C3", "C7"), broken=line)


def _split(rng: np.random.Generator) -> Lesion:
    step = rng.uniform(0.18, 0.28) * rng.choice([-1, 1])
    line = Break("body", (rng.uniform(-0.1, 0.12), 0.0), rng.uniform(-28, 28), (rng.uniform(0.12, 0.18), step))
    return replace(_at(rng, "fracture", "split", "C3", "C7"), broken=line)


def _spinous(rng: np.random.Generator) -> Lesion:
    shift = (-rng.uniform(0.14, 0.24), rng.uniform(0.36, 0.56))
    line = Break("spinous", (-rng.uniform(1.5, 1.7), 0.3), 180 - rng.uniform(-20, 20), shift, -rng.uniform(4, 20))
    return replace(_at(rng, "fracture", "spinous", "C6", "C7"), broken=line)


def _dens(rng: np.random.Generator) -> Lesion:
    forward = rng.choice([-1, 1], p=[0.25, 0.75])
    shift = (forward * rng.uniform(0.32, 0.46), -rng.uniform(0.05, 0.12))
    line = Break(
        "dens", (0.0, -rng.uniform(0.42, 0.52)), -90 + rng.uniform(-12, 12), shift, forward * rng.uniform(8, 20)
    )
    return replace(_at(rng, "fracture", "dens", "C2", "C2"), broken=line)


def _dislocation(rng: np.random.Generator) -> Lesion:
    both = bool(rng.random() < 0.5)
    return replace(
        _at(rng, "dislocation", "bilateral" if both else "unilateral", "C3", "C6"),
        slip=rng.uniform(0.42, 0.62) if both else rng.uniform(0.28, 0.42),
        kyphosis=rng.uniform(5, 18),
        gap=rng.uniform(0.6, 1.0),
    )


_FRACTURES = {
    "wedge": _wedge,
    "burst": _burst,
    "teardrop": _teardrop,
    "split": _split,
    "spinous": _spinous,
    "dens": _dens,
}
