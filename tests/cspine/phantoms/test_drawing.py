"""Phantoms: determined by their seed, told apart by the lesion alone, masked where it is."""

import numpy as np
import pytest

from cspine.phantoms import draw
from cspine.phantoms.anatomy import anatomy
from cspine.phantoms.drawing import ANATOMY, FILM, LESION, MARGIN, SHAPE
from cspine.phantoms.film import film
from cspine.phantoms.lesions import FRACTURES, LABELS, LEVELS, lesion
from cspine.phantoms.spine import spine


def seed_of(kind: str, start: int = 0, unflipped: bool = False) -> int:
    """Return the first seed whose fracture is of a kind."""
    for seed in range(start, start + 1000):
        found = lesion(np.random.default_rng([seed, LESION]), "fracture").kind == kind
        if found and not (unflipped and film(np.random.default_rng([seed, FILM])).flipped):
            return seed
    raise AssertionError(kind)


def test_a_seed_determines_every_pixel() -> None:
    first, again, other = draw(7, "fracture"), draw(7, "fracture"), draw(8, "fracture")
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.kind, first.level, first.box) == (again.kind, again.level, again.box)
    assert (first.pixels != other.pixels).mean() > 0.5


def test_a_phantom_is_an_eight_bit_film() -> None:
    phantom = draw(1, "normal")
    assert phantom.pixels.shape == SHAPE
    assert phantom.pixels.dtype == np.uint8
    assert np.ptp(phantom.pixels) > 150
    assert phantom.box is None
    assert not phantom.mask.any()
    assert phantom.level == phantom.kind == ""


def test_labels_are_drawn_evenly_when_none_is_given() -> None:
    from cspine.phantoms.drawing import LABEL

    drawn = [str(np.random.default_rng([seed, LABEL]).choice(LABELS)) for seed in range(600)]
    assert all(150 < drawn.count(label) < 250 for label in LABELS)
    assert draw(3).label == drawn[3]


def test_unknown_label_is_refused() -> None:
    with pytest.raises(ValueError, match="normal, fracture, dislocation"):
        draw(1, "sprain")


@pytest.mark.parametrize("kind", ["teardrop", "split", "spinous"])
def test_nothing_but_the_lesion_differs_between_classes(kind: str) -> None:
    """A lesion that moves nothing above it changes pixels inside its mask only."""
    seed = seed_of(kind)
    healthy, broken = draw(seed, "normal"), draw(seed, "fracture")
    changed = np.abs(healthy.pixels.astype(int) - broken.pixels) > 12
    assert broken.kind == kind
    assert changed.sum() > 30
    assert changed[broken.mask].sum() >= 0.99 * changed.sum()


def test_the_mask_is_the_lesion_with_its_margin() -> None:
    phantom = draw(5, "dislocation")
    left, top, right, bottom = phantom.box or (0, 0, 0, 0)
    rows, columns = np.nonzero(phantom.mask)
    assert phantom.mask[phantom.lesion].all()
    assert left - columns.min() == MARGIN == top - rows.min()
    assert columns.max() + 1 - right == MARGIN == rows.max() + 1 - bottom


def test_masks_cover_at_most_a_twentieth_on_average() -> None:
    shares = [draw(seed, label).mask.mean() for seed in range(12) for label in ("fracture", "dislocation")]
    assert 0.01 < np.mean(shares) <= 0.05


def test_every_kind_and_its_levels() -> None:
    lesions = [lesion(np.random.default_rng(seed), label) for label in LABELS[1:] for seed in range(400)]
    assert {wound.kind for wound in lesions} == {*FRACTURES, "unilateral", "bilateral"}
    assert {wound.level for wound in lesions if wound.label == "dislocation"} == {"C3/C4", "C4/C5", "C5/C6", "C6/C7"}
    assert {wound.level for wound in lesions if wound.kind == "dens"} == {"C2"}
    assert {wound.level for wound in lesions if wound.kind == "spinous"} == {"C6", "C7"}


def test_a_dislocation_carries_all_above_it_forward() -> None:
    person = anatomy(np.random.default_rng([11, ANATOMY]))
    wound = lesion(np.random.default_rng([11, LESION]), "dislocation")
    healthy = spine(person, lesion(np.random.default_rng(0), "normal")).frames
    slipped = spine(person, wound).frames
    jump = [(b.origin - a.origin)[0] for a, b in zip(healthy, slipped, strict=True)]
    step = np.diff(jump)[wound.index]  # from the upper vertebra to the lower one
    assert -step / person.unit > 0.2
    assert LEVELS[wound.index] == wound.level.split("/")[0]
