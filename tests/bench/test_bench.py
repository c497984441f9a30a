"""The benchmark measures what it says: films that decode whole, the same network on both sides, every part."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cspine import preprocessing
from cspine.commands.release import DEMO
from cspine.decoding import canonical, decode
from cspine.settings import Settings
from models import release
from tests.bench import inputs, parts
from tests.bench.chain import OneByOne, installation


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Give settings of an installation on this machine alone."""
    return Settings(var=tmp_path / "var")


Writer = Callable[[Path, int, int], list[Path]]
FILMS = [(inputs.write_png, inputs.PNG_SIZE), (inputs.write_films, inputs.FILM_SIZE)]


@pytest.mark.parametrize(("write", "size"), FILMS, ids=["png", "film"])
def test_films_are_sound_and_differ(write: Writer, size: tuple[int, int], tmp_path: Path, own: Settings) -> None:
    frames = []
    for path in write(tmp_path / "films", 2, 7):
        with path.open("rb") as file:
            decoded = decode(file, path.name, own)
        assert decoded.flags == ()
        frames += decoded.frames
    assert [frame.pixels.shape for frame in frames] == [size, size]
    assert frames[0].sha256 != frames[1].sha256


def test_both_sides_run_the_same_network(own: Settings, tmp_path: Path) -> None:
    (path,) = inputs.write_png(tmp_path / "films", 1, seed=7)
    with path.open("rb") as file:
        picture = canonical(decode(file, path.name, own).frames[0])
    loaded = release.load(DEMO)
    ours = loaded.predict(preprocessing.to_input(picture, loaded.card.input)[None])
    np.testing.assert_allclose(OneByOne(own).logits(picture), ours.logits, atol=1e-3)


def test_every_part_can_be_measured(own: Settings, tmp_path: Path) -> None:
    made = installation(own)
    (path,) = inputs.write_png(tmp_path / "films", 1, seed=7)
    figures = dict([*parts.of_file(made, path, 1), *parts.of_sql(made, 1)])
    assert len(figures) == 11
    assert min(figures.values()) > 0
