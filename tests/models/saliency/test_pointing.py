"""Hit rate, overlap and the simple maps, on masks and maps whose answers are plain."""

import numpy as np
import pytest

from cspine.card import Input
from models.saliency import pointing

WANTED = Input(size=64, channels=1)


def test_a_mask_lies_where_its_picture_does() -> None:
    mask = np.zeros((128, 64), bool)
    mask[:64, 32:] = True  # the upper right quarter
    square = pointing.in_square(mask, WANTED)
    expected = np.zeros((64, 64), bool)
    expected[:32, 32:48] = True  # the picture stands in the middle half
    np.testing.assert_array_equal(square, expected)


@pytest.mark.parametrize("cells", [4, 14, 64])
def test_a_hit_is_the_middle_of_the_greatest_cell(cells: int) -> None:
    mask = np.zeros((64, 64), bool)
    mask[40:56, 8:24] = True
    grid = np.zeros((cells, cells), np.float32)
    grid[44 * cells // 64, 14 * cells // 64] = 1
    assert pointing.hit(grid, mask)
    assert not pointing.hit(grid.T, mask)


def test_overlap_of_a_perfect_a_disjoint_and_an_empty_map() -> None:
    mask = np.zeros((64, 64), bool)
    mask[16:32, 16:48] = True
    assert pointing.iou(mask.astype(np.float32) * 3, mask) == 1.0
    assert pointing.iou(mask.T.astype(np.float32), mask) == pytest.approx(16 * 16 / (2 * 16 * 32 - 16 * 16))
    assert pointing.iou(np.roll(mask, 32, 0).astype(np.float32), mask) == 0.0
    assert pointing.iou(-mask.astype(np.float32), mask) == 0.0


def test_the_simple_maps() -> None:
    picture = np.zeros((64, 64, 1), np.float32)
    picture[:, 16:48] = 1.0
    picture[:, 32:48] = 2.0  # an edge in the middle of the picture
    mean = pointing.mean_position(np.stack([np.eye(64, dtype=bool), np.zeros((64, 64), bool)]))
    maps = {name: draw(picture) for name, draw in pointing.baselines(mean).items()}
    assert set(maps) == {"random", "edge", "centre_gaussian", "mean_position"}
    assert {int(column) for column in np.nonzero(maps["edge"])[1]} == {31, 32}, "not the picture's own border"
    assert np.unravel_index(maps["centre_gaussian"].argmax(), (64, 64)) in {(31, 31), (31, 32), (32, 31), (32, 32)}
    np.testing.assert_array_equal(maps["mean_position"], np.eye(64) / 2)
    assert (maps["random"] > 0).any(0).nonzero()[0].tolist() == list(range(16, 48))
