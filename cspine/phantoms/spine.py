"""The spine of a phantom: the chain of vertebrae, built from T2 upwards, and the outlines of their bones.

In a vertebra's own frame the body's centre is the origin, x points forward, y down, and the unit is the body's width.
A lesion enters as changed parameters, so that all above it moves with it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.phantoms.anatomy import Anatomy
from cspine.phantoms.lesions import LEVELS, Break, Lesion
from cspine.phantoms.shapes import Polygon, curve, cut, ellipse, rotate, smooth, strip


@dataclass(frozen=True)
class Frame:
    """Where a vertebra stands on the film."""

    origin: NDArray[np.float64]
    tilt: float
    unit: float

    def place(self, points: ArrayLike) -> Polygon:
        """Bring points of the vertebra's frame onto the film."""
        return rotate(np.asarray(points, float) * self.unit, self.tilt) + self.origin


@dataclass
class Spine:
    """The placed bones (outline, density as a factor) of all vertebrae, and the outlines that the lesion touches."""

    frames: list[Frame]
    bones: list[tuple[Polygon, float]] = field(default_factory=list)
    touched: list[Polygon] = field(default_factory=list)


def spine(a: Anatomy, lesion: Lesion) -> Spine:
    """Build the spine of an anatomy with a lesion in it."""
    result = Spine(_frames(a, lesion))
    for index, frame in enumerate(result.frames):
        own = lesion if lesion.index == index else Lesion()
        for name, bone, density in _vertebra(a, index, own):
            for piece in _pieces(bone, own.broken if own.broken and own.broken.bone == name else None):
                result.bones.append((frame.place(piece), density))
    result.touched = _touched(a, lesion, result.frames)
    return result


def _frames(a: Anatomy, lesion: Lesion) -> list[Frame]:
    above = np.arange(len(LEVELS)) <= lesion.index - (lesion.label == "fracture")
    tilt = a.tilt + lesion.kyphosis * (above - 0.5)  # the neck as a whole leans no more than another's
    foot = np.zeros(2)
    frames: list[Frame] = []
    for i in reversed(range(len(LEVELS))):
        own = lesion if lesion.index == i else Lesion()
        gap = a.gap[i] * (lesion.gap if lesion.label == "dislocation" and lesion.index == i - 1 else 1)
        slip = a.slip[i] + (lesion.slip if lesion.index == i - 1 else 0)
        origin = foot + rotate([(0, -a.height[i] / 2)], tilt[i])[0]
        head = foot + rotate([(0, -a.height[i] * (own.front + own.rear) / 2)], tilt[i])[0]
        foot = head + rotate([(slip, -gap)], (tilt[i] + tilt[i - 1]) / 2 if i else tilt[i])[0]
        frames.insert(0, Frame(origin * a.unit, float(tilt[i]), a.unit))
    middle = np.mean([frame.origin for frame in frames[1:6]], axis=0)
    return [Frame(frame.origin - middle + a.centre, frame.tilt, frame.unit) for frame in frames]


def _vertebra(a: Anatomy, index: int, lesion: Lesion) -> list[tuple[str, Polygon, float]]:
    """Return name, outline and density of each bone of a vertebra in its own frame, without fracture lines."""
    body = _body(a, index, lesion)
    inner = body * (0.90, 0.86)
    near = smooth(_PILLAR)
    bones = [
        ("body", body, 1.0),
        ("body", inner, 0.28),
        ("pillar", near, 0.6),
        ("pillar", near + a.pillar_offset[index], 0.6),
        ("lamina", smooth(strip(curve([(-0.92, -0.22), (-1.10, -0.02), (-1.18, 0.24)]), 0.15)), 0.7),
        ("spinous", _spinous(a, index), 0.8),
    ]
    if index == 0:
        top = -a.height[0] / 2
        bones += [
            ("dens", _dens(a), 0.9),
            ("arch", ellipse(0.36, top - 0.52, 0.10, 0.20), 0.9),
            ("arch", smooth(strip(curve([(-0.34, top - 0.50), (-0.8, top - 0.54), (-1.36, top - 0.34)]),
                                  np.linspace(0.18, 0.24, 17))), 0.75),
            ("arch", ellipse(-0.12, top - 0.56, 0.34, 0.24), 0.35),
        ]  # fmt: skip
    return bones


_PILLAR = [(-0.50, -0.52), (-0.62, -0.60), (-0.92, -0.26), (-1.04, 0.52), (-0.98, 0.66), (-0.64, 0.40)]


def _body(a: Anatomy, index: int, lesion: Lesion) -> Polygon:
    """Return a body's outline: concave plates, waisted walls, a lip at the lower front edge."""
    h, spur = a.height[index] / 2, a.spur[index]
    outline = np.array([
        (-0.48, -h), (-0.26, -h + 0.05), (0, -h + 0.065), (0.26, -h + 0.05), (0.47 + spur, -h + 0.02),
        (0.44, -0.35 * h), (0.43, 0.1 * h), (0.45, 0.6 * h), (0.52 + spur, h + 0.03),
        (0.26, h - 0.03), (0, h - 0.06), (-0.26, h - 0.04), (-0.48, h),
        (-0.45, 0.4 * h), (-0.45 - lesion.bulge, 0.0), (-0.45, -0.4 * h),
    ])  # fmt: skip
    if index == 0:
        outline[:5, 1] = (-h, -h - 0.04, -h - 0.05, -h - 0.04, -h)
    collapse = lesion.rear + (lesion.front - lesion.rear) * np.clip(outline[:, 0] + 0.5, 0, 1)
    outline[:, 1] = h - (h - outline[:, 1]) * collapse
    outline[:, 0] *= lesion.width
    return smooth(outline)


def _spinous(a: Anatomy, index: int) -> Polygon:
    length, drop = a.spinous_length[index], a.spinous_drop[index]
    line = curve([(-1.08, 0.10), (-1.12 - 0.5 * length, 0.12 + 0.4 * drop), (-1.12 - length, 0.12 + drop)])
    return smooth(strip(line, np.interp(np.linspace(0, 1, len(line)), [0, 0.55, 1], [0.40, 0.27, 0.36])))


def _dens(a: Anatomy) -> Polygon:
    top = -a.height[0] / 2
    return smooth([(-0.19, top + 0.1), (-0.15, top - 0.35), (-0.17, top - 0.75), (-0.08, top - 0.95),
                   (0.10, top - 0.95), (0.18, top - 0.75), (0.15, top - 0.35), (0.21, top + 0.1)])  # fmt: skip


def _pieces(bone: Polygon, broken: Break | None) -> list[Polygon]:
    if broken is None:
        return [bone]
    normal = (np.cos(np.deg2rad(broken.normal)), np.sin(np.deg2rad(broken.normal)))
    near, far = cut(bone, broken.at, np.negative(normal)), cut(bone, broken.at, normal)
    return [piece for piece in (near, _displaced(far, broken)) if len(piece) > 2]


def _displaced(piece: Polygon, broken: Break) -> Polygon:
    return rotate(piece, broken.turn, broken.at) + broken.shift


def _touched(a: Anatomy, lesion: Lesion, frames: list[Frame]) -> list[Polygon]:
    """Return the outlines on the film whose hull the lesion changed, before and after."""
    if lesion.index < 0:
        return []
    here = frames[lesion.index]
    if lesion.label == "dislocation":
        below = frames[lesion.index + 1]
        lower_half = [(-1.05, 0.0), (0.5, 0.0), (0.52, 0.45), (-1.05, 0.66)]
        upper_half = [(-1.0, -0.60), (0.5, -0.42), (0.5, 0.0), (-1.0, 0.0)]
        return [here.place(lower_half), below.place(upper_half)]
    broken = lesion.broken
    if broken is None or (broken.bone == "body" and lesion.kind != "teardrop"):
        own = _body(a, lesion.index, lesion)
        whole = _body(a, lesion.index, Lesion())
        return [here.place(piece) for piece in [whole, *_pieces(own, broken)]]
    bone = {"body": _body(a, lesion.index, lesion), "spinous": _spinous(a, lesion.index), "dens": _dens(a)}[broken.bone]
    normal = (np.cos(np.deg2rad(broken.normal)), np.sin(np.deg2rad(broken.normal)))
    far = cut(bone, broken.at, normal)
    return [here.place(far), here.place(_displaced(far, broken))]
