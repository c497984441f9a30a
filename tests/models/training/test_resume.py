"""An interrupted training goes on where it stopped."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cspine.errors import Usage
from models.training.data import Samples
from models.training.fit import Recipe, fit
from models.training.resume import close_state, open_state
from tests.models.conftest import WANTED
from tests.models.training.test_fit import build_small

RECIPE = Recipe(epochs=3, batch=4, bfloat16=False)
SMALL = SimpleNamespace(build=build_small)


class Killed(Exception):
    """Stands for whatever ends a training in its middle."""


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, samples: Samples) -> None:
    plain = Samples(pictures=samples.pictures, labels=samples.labels)
    ran: list[int] = []

    def dies_in_the_second_epoch(epoch: int, step: int, figures: dict[str, float] | None) -> None:
        if ran and step == 2:
            raise Killed
        if figures is not None:
            ran.append(epoch)

    def goes_on(epoch: int, step: int, figures: dict[str, float] | None) -> None:
        if figures is not None:
            ran.append(epoch)

    whole = fit(SMALL, RECIPE, plain, plain, WANTED, 3, lambda *_: None)
    with pytest.raises(Killed):
        fit(SMALL, RECIPE, plain, plain, WANTED, 3, dies_in_the_second_epoch, tmp_path)
    resumed = fit(SMALL, RECIPE, plain, plain, WANTED, 3, goes_on, tmp_path)
    assert ran == [1, 2, 3]
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_state_is_kept_for_the_same_options_and_data_only(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with pytest.raises(Usage, match="no interrupted training"):
        open_state(out, {"seed": 1}, resume=True)
    state = open_state(out, {"seed": 1}, resume=False)
    (state / "latest").write_text("weights")
    assert open_state(out, {"seed": 1}, resume=True) == state
    assert (state / "latest").exists()
    with pytest.raises(Usage, match="other options"):
        open_state(out, {"seed": 2}, resume=True)
    assert not (open_state(out, {"seed": 2}, resume=False) / "latest").exists()
    close_state(state)
    assert not state.exists()
