"""Anatomy of a phantom: the person's build, drawn at random and without regard to any lesion.

Lengths are in units of the width of a vertebral body, angles in degrees; the patient faces right.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.phantoms.lesions import LEVELS

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Anatomy:
    """What makes one neck differ from another. Arrays hold one value a level, C2 to T2."""

    unit: float  # width of a vertebral body in pixels
    centre: tuple[float, float]  # of C3 to C7 on the film, pixels
    tilt: Values  # of each vertebra against the vertical, positive forwards
    height: Values
    gap: Values  # disc above each vertebra
    slip: Values  # of the vertebra above, forward
    spur: Values  # osteophytes at the front edges
    spinous_length: Values
    spinous_drop: Values
    pillar_offset: Values  # (levels, 2) of the far articular pillar against the near one
    fill: float
    rim: float
    teeth: bool
    filling: Values  # (2, 6) extra density of a tooth
    jaw: tuple[float, float, float]  # length, drop, offset of the far side
    petrous: Values  # (9, 5) of the skull base: x, y, half-axes, turn
    throat: Values  # depth of the soft tissue: nape, throat, chin, face
    airway: tuple[float, float, float]  # gap to the bodies, width, depth of the shadow
    shoulder: tuple[float, float, float, float]  # height, slope, bow, density


def anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a neck at random, with the harmless variants that any class may have."""
    n = len(LEVELS)
    unit = rng.uniform(44, 54)
    t = np.linspace(0, 1, n)
    tilt = rng.uniform(-14, 6) + rng.uniform(4, 38) * t**1.2 + rng.uniform(-7, 7) + rng.normal(0, 1.2, n)
    gap = rng.uniform(0.18, 0.26) * rng.normal(1, 0.04, n)
    slip = rng.normal(0, 0.015, n)
    spur = np.zeros(n)
    if rng.random() < 0.35:  # degenerative change: a narrowed disc between two spurred edges
        worn = int(rng.integers(2, 6))
        gap[worn] *= rng.uniform(0.4, 0.65)
        spur[worn - 1 : worn + 1] = rng.uniform(0.08, 0.18)
    if rng.random() < 0.20:  # a slip that is no dislocation
        slip[int(rng.integers(2, 6))] = rng.uniform(0.05, 0.10) * rng.choice([-1, 1])
    length = np.array([1.05, 0.78, 0.80, 0.86, 1.08, 1.28, 1.30, 1.25]) * rng.uniform(0.9, 1.1) * rng.normal(1, 0.05, n)
    drop = (0.12 + 0.50 * t) * rng.uniform(0.8, 1.2)
    return Anatomy(
        unit=unit,
        centre=(208 + rng.uniform(-42, 42), 284 + rng.uniform(-38, 38)),
        tilt=tilt,
        height=rng.uniform(0.74, 0.88) * rng.normal(1, 0.025, n),
        gap=gap,
        slip=slip,
        spur=spur,
        spinous_length=length,
        spinous_drop=drop,
        pillar_offset=rng.uniform(-0.09, 0.09, 2) + rng.normal(0, 0.015, (n, 2)),
        fill=rng.uniform(0.20, 0.30),
        rim=rng.uniform(0.32, 0.46),
        teeth=bool(rng.random() < 0.85),
        filling=np.where(rng.random((2, 6)) < 0.15, 0.7, 0.0),
        jaw=(rng.uniform(2.0, 2.5), rng.uniform(-0.1, 0.35), rng.uniform(0.08, 0.18)),
        petrous=rng.uniform([-1.6, -1.0, 0.15, 0.10, 0], [1.6, -0.15, 0.6, 0.35, 180], (9, 5)),
        throat=rng.uniform([2.5, 1.75, 3.3, 3.7], [3.3, 2.4, 3.8, 4.3]),
        airway=(rng.uniform(0.18, 0.34), rng.uniform(0.5, 0.8), rng.uniform(0.16, 0.30)),
        shoulder=(rng.uniform(-0.2, 0.7), rng.uniform(-0.15, 0.25), rng.uniform(0, 0.5), rng.uniform(0.5, 1.0)),
    )
