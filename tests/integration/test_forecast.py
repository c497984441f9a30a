"""The forecast of a batch's end is within 15 % of the time that is left, scene by scene (all: see forecast.py)."""

import pytest

from cspine.database import Database
from tests.integration.forecast import MOST, play
from tests.integration.scenes import SCENES, Scene

pytestmark = pytest.mark.services

QUICK = ("mixed", "lanes")  # python -m tests.integration.forecast plays them all


@pytest.mark.parametrize("scene", [one for one in SCENES if one.name in QUICK], ids=lambda one: one.name)
def test_the_end_is_foreseen_at_each_tenth(scene: Scene, database: Database) -> None:
    told = play(scene, 1, database)
    assert [one.tenth for one in told if one.counted] == list(range(1, 10))
    assert [round(one.of_left, 3) for one in told if one.counted and one.of_left > MOST] == []
