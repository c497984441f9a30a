"""Draw a phantom: a sketch of a lateral radiograph of the cervical spine with a known lesion, from a seed.

Anatomy, lesion, film and label have random streams of their own, so that the same seed drawn with another label is
the same person on the same film: nothing but the lesion tells the classes apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from cspine.phantoms import lesions
from cspine.phantoms.anatomy import Anatomy, anatomy
from cspine.phantoms.film import develop, film, texture
from cspine.phantoms.shapes import Canvas, Mask, Polygon, curve, ellipse, filled, paint, rotate, smooth, strip
from cspine.phantoms.spine import Frame, Spine, spine

SHAPE = (512, 400)
MARGIN = 18  # pixels of the film: 8 in a network's 224
LABEL, ANATOMY, LESION, FILM, TEXTURE = range(5)


@dataclass(frozen=True, eq=False)
class Phantom:
    """A drawn radiograph and the truth about it."""

    pixels: NDArray[np.uint8]  # (512, 400), 0..255, bone bright
    label: str
    kind: str
    level: str
    lesion: Mask  # (512, 400): hull of the bones that the lesion changed
    mask: Mask  # (512, 400): the same with a margin

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """Left, top, right, bottom of the lesion's hull in pixels (right and bottom exclusive); None where none."""
        rows, columns = np.nonzero(self.lesion)
        if not len(rows):
            return None
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def draw(seed: int, label: str | None = None) -> Phantom:
    """Draw the phantom of a seed; its label is drawn too unless it is given."""
    if label is None:
        label = str(np.random.default_rng([seed, LABEL]).choice(lesions.LABELS))
    person = anatomy(np.random.default_rng([seed, ANATOMY]))
    wound = lesions.lesion(np.random.default_rng([seed, LESION]), label)
    sheet = film(np.random.default_rng([seed, FILM]))
    column = spine(person, wound)
    pixels = develop(_attenuation(person, column, np.random.default_rng([seed, TEXTURE])), sheet)
    hull = _hull(column.touched)
    if sheet.flipped:
        hull = hull[:, ::-1].copy()
    mask = ndimage.distance_transform_edt(~hull) <= MARGIN if hull.any() else hull
    return Phantom(pixels, label, wound.kind, wound.level, hull, mask)


def _hull(outlines: list[Polygon]) -> Mask:
    if not outlines:
        return np.zeros(SHAPE, bool)
    points = np.concatenate(outlines)
    return filled(points[ConvexHull(points).vertices], SHAPE)


def _attenuation(a: Anatomy, column: Spine, rng: np.random.Generator) -> Canvas:
    bone = np.zeros(SHAPE, np.float32)
    for outline, density in column.bones:
        paint(bone, outline, a.fill * density, a.rim * density)
    _head(bone, a, column.frames[0])
    _front(bone, a, column.frames)
    tissue = _tissue(a, column.frames)
    shoulder = _shoulders(a, column.frames)
    tissue = tissue * texture(rng, SHAPE, rng.uniform(0.03, 0.08)) + shoulder
    bone *= texture(rng, SHAPE, rng.uniform(0.03, 0.08))
    return np.maximum(tissue + bone * (1 - 0.35 * np.clip(shoulder, 0, 1)), 0.0)


def _head(bone: Canvas, a: Anatomy, axis: Frame) -> None:
    """Paint skull base, jaw and teeth, which follow C2 and turn half as much as it does."""
    u = a.unit
    turn = 0.5 * axis.tilt
    dens_tip = axis.place([(0.0, -a.height[0] / 2 - 1.0)])[0]

    def at(points: ArrayLike) -> Polygon:
        placed: Polygon = rotate(np.asarray(points) * u, turn) + dens_tip
        return placed

    paint(bone, at(ellipse(0.1, -2.75, 4.1, 2.85)), 0.55, 0.75, depth=1.6 * u)
    for x, y, across, down, angle in a.petrous:
        paint(bone, at(ellipse(x, y, across, down, angle)), 0.10, 0.10)
    length, drop, side = a.jaw
    ramus = [(1.0, -0.45), (1.55, -0.35), (1.75, 1.0), (2.0, 1.2), (1.3 + length, 1.25 + drop),
             (1.4 + length, 1.65 + drop), (1.25 + length, 1.95 + drop), (1.5, 1.95), (1.15, 1.55)]  # fmt: skip
    for offset in (0.0, side):
        paint(bone, at(np.add(smooth(ramus), (offset, offset / 2))), 0.22, 0.28)
    if not a.teeth:
        return
    tooth = smooth([(-0.11, 0), (0.11, 0), (0.12, 0.30), (0.06, 0.62), (-0.06, 0.62), (-0.12, 0.30)])
    for row, upward in enumerate((-1, 1)):
        for k, filling in enumerate(a.filling[row]):
            x = 1.95 + k * (length - 0.75) / 5
            base = (x, 0.62 + drop * (k / 5) + 0.02 * upward)
            paint(bone, at(tooth * (1, upward) + base), 0.35 + filling, 0.30, depth=4)


def _front(bone: Canvas, a: Anatomy, frames: list[Frame]) -> None:
    """Paint hyoid and clavicle."""
    throat = float(a.throat[1])
    hyoid = frames[2].place(curve([(0.95, -0.25), (1.2, -0.05), (throat - 0.25, -0.12)]))
    paint(bone, strip(hyoid, 0.11 * a.unit), 0.10, 0.22)
    clavicle = frames[6].place(curve([(0.1, 0.7), (1.2, 0.35), (2.4, -0.05), (3.6, -0.1)]))
    paint(bone, strip(clavicle, 0.24 * a.unit), 0.12, 0.2)


def _tissue(a: Anatomy, frames: list[Frame]) -> Canvas:
    """Return the attenuation of the neck's soft tissue, thinner towards its edge, without the airway."""
    u = a.unit
    nape, throat, chin, face = a.throat * u
    jaw = (a.jaw[1] + 1.25) * u
    down = frames[0].origin[1] - frames[1].origin[1] + jaw + 0.35 * u  # from C3 to the throat under the jaw

    def beside(index: int, x: float, y: float = 0.0) -> NDArray[np.float64]:
        point: NDArray[np.float64] = frames[index].origin + np.array([x, y])
        return point

    back = [beside(0, -1.25 * nape, -3.5 * u), beside(0, -1.15 * nape, -1.2 * u), beside(1, -1.02 * nape),
            beside(3, -nape), beside(5, -1.08 * nape), beside(6, -1.35 * nape), beside(7, -1.9 * nape, 0.5 * u),
            beside(7, -2.2 * nape, 5 * u)]  # fmt: skip
    front = [beside(7, 2.3 * throat, 5 * u), beside(7, 1.9 * throat, 0.2 * u), beside(6, 1.35 * throat),
             beside(4, throat), beside(3, 0.98 * throat), beside(2, 1.08 * throat), beside(1, 1.15 * throat, down),
             beside(0, 0.97 * chin, jaw), beside(0, chin, 0.4 * u), beside(0, face, -1.0 * u),
             beside(0, face, -7 * u), beside(0, -1.25 * nape, -7 * u)]  # fmt: skip
    outline = smooth([*back, *front], 3)
    small = filled(outline / 2 + 300, (SHAPE[0] // 2 + 600, SHAPE[1] // 2 + 600))
    cropped = small[270 : 330 + SHAPE[0] // 2, 270 : 330 + SHAPE[1] // 2]  # beyond the film there is tissue too
    distance = 2 * ndimage.distance_transform_edt(cropped)[30:-30, 30:-30]
    distance = ndimage.zoom(ndimage.gaussian_filter(distance, 1.0), 2, order=1)
    tissue = np.where(distance > 0.3, 0.12 + 0.55 * (1 - np.exp(-distance / u)), 0) * np.clip(distance / 3, 0, 1)
    neck: Canvas = (tissue - np.minimum(_airway(a, frames), 0.75 * tissue)).astype(np.float32)
    return neck


def _airway(a: Anatomy, frames: list[Frame]) -> Canvas:
    gap, across, depth = a.airway
    widths = np.array([1.05, 1.0, 0.95, 0.85, 0.72, 0.70, 0.75, 0.8, 0.8]) * across
    anchors = [frames[0].place([(0.5 + gap + widths[0] / 2, -1.5)])[0]]
    anchors += [frame.place([(0.5 + gap + width / 2, 0.0)])[0] for frame, width in zip(frames, widths[1:], strict=True)]
    anchors = [
        *anchors[:1],
        *((np.array(anchors[:-2]) + 2 * np.array(anchors[1:-1]) + np.array(anchors[2:])) / 4),
        anchors[-1],
    ]
    line = curve(anchors)
    outline = strip(line, np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, 9), widths) * a.unit)
    shadow: Canvas = depth * ndimage.gaussian_filter(filled(outline, SHAPE).astype(np.float32), 2.0)
    return shadow


def _shoulders(a: Anatomy, frames: list[Frame]) -> Canvas:
    height, slope, bow, density = a.shoulder
    x = np.arange(SHAPE[1])[None, :] - frames[6].origin[0]
    top = frames[6].origin[1] + height * a.unit + slope * x + bow * a.unit * (x / 150) ** 2
    depth = np.arange(SHAPE[0])[:, None] - top
    ramp: Canvas = (density * (1 - np.exp(-np.maximum(depth, 0) / 55))).astype(np.float32)
    return ramp
