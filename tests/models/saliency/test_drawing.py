"""The picture of a map: the film stays as it is, the colours lie where the map says, all words are below."""

import re

import numpy as np

from cspine.preprocessing import letterbox_geometry
from models.saliency import drawing
from tests.conftest import ROOT

PICTURE = np.random.default_rng(0).integers(60, 190, (128, 64), np.uint8)
PLACE = letterbox_geometry(128, 64, 32)
GRID = np.full((8, 8), -1.0, np.float32)
GRID[2, 3] = 4.0  # rows 32..48 of the film; columns 16..32, since the film stands in the middle half of the square


def test_the_film_stands_unchanged_and_the_map_where_it_belongs() -> None:
    drawn = drawing.draw(PICTURE, GRID, PLACE, 32, ["words"], opacity=1.0)
    film, under = drawn[:128, :64], drawn[:128, 64 + drawing.GAP :].astype(int)
    np.testing.assert_array_equal(film, np.repeat(PICTURE[:, :, None], 3, axis=2))
    changed = (under != film).any(-1)
    rows, columns = np.nonzero(changed)
    assert (rows.min() >= 24, rows.max() < 56, columns.min() >= 8, columns.max() < 40) == (True,) * 4
    assert np.abs(under[40, 24] - drawing.STOPS[-1][1:]).max() <= 25  # near the greatest value, all of the colour
    assert (drawing.draw(PICTURE, GRID, PLACE, 32, [], opacity=0.0)[:128, 72:] == film).all()


def test_below_the_threshold_the_film_stays() -> None:
    counts = [
        np.count_nonzero(drawing.draw(PICTURE, GRID, PLACE, 32, [], 0.5, threshold)[:128, 72:, 0] != PICTURE)
        for threshold in (0.0, 0.5, 1.0)
    ]
    assert counts[0] > counts[1] > counts[2]


def test_every_word_is_below_the_film() -> None:
    long = " ".join(["localisation"] * 12)
    drawn = drawing.draw(PICTURE, GRID, PLACE, 32, [long, "short"])
    lines = (len(drawn) - 128 - 2 * drawing.MARGIN) // drawing.LINE
    assert lines == 1 + 12 + 1, "the scale, one long word a line, a short one"
    ink = (drawn[128:] != drawing.PAPER).any((1, 2)).nonzero()[0]
    assert 0 < ink.min() < ink.max() < len(drawn) - 128


def test_a_map_without_a_positive_value_leaves_the_film() -> None:
    drawn = drawing.draw(PICTURE, -np.ones((8, 8), np.float32), PLACE, 32, [], opacity=1.0)
    assert (drawn[:128, 72:, 0] == PICTURE).all()


def test_the_colours_are_those_of_the_page() -> None:
    script = (ROOT / "web" / "static" / "js" / "colours.js").read_text()
    found = [tuple(map(float, row.split(","))) for row in re.findall(r"^  \[([\d., ]+)\],$", script, re.MULTILINE)]
    assert found == [tuple(map(float, stop)) for stop in drawing.STOPS]
