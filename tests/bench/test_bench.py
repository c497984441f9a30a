"""The benchmark measures what it says: films that decode whole, the same network on both sides, every part."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cspine import preprocessing
from cspine.commands.release import DEMO
from cspine.decoding import canonical, decode
from cspine.settings import Settings
from models import release
from tests.bench import decoding, inputs, parts, syntaxes
from tests.bench.chain import OneByOne, installation
from tests.bench.peer import Peer


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
    assert len(figures) == 10
    assert min(figures.values()) > 0


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """Give a peer that runs in our own environment, where pydicom reads no more than what Pillow and numpy can."""
    with Peer(sys.executable) as running:
        yield running


@pytest.mark.parametrize("name", syntaxes.SYNTAXES)
def test_each_syntax_is_measured_part_by_part(name: str, peer: Peer, tmp_path: Path, own: Settings) -> None:
    syntax = syntaxes.SYNTAXES[name]
    path = inputs.write_film(tmp_path / "film.dcm", 7, syntax, (250, 200))
    row = syntaxes.measured(name, path, lambda film: syntaxes.ours(film, own), peer, own, rounds=1)
    without_library = {part for part, value in row.parts.items() if value == 0}
    assert without_library == ({"decode"} if name == "explicit" else set())
    assert min(row.parts.values()) >= 0
    assert row.ours + row.parts["decode"] == pytest.approx(row.whole)
    assert (row.plugin is None) == (not row.peer)
    if not syntax.is_encapsulated:
        assert row.plugin == ""


def test_our_side_can_run_in_a_process_of_its_own(tmp_path: Path, own: Settings) -> None:
    path = inputs.write_film(tmp_path / "film.dcm", 7, syntaxes.SYNTAXES["HTJ2K .201"], (250, 200))
    with syntaxes.own_process(own) as take:
        assert take(path).keys() == syntaxes.ours(path, own).keys()


def test_pictures_that_differ_are_not_measured(
    peer: Peer, tmp_path: Path, own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = inputs.write_film(tmp_path / "film.dcm", 7, syntaxes.SYNTAXES["explicit"], (250, 200))
    monkeypatch.setattr(peer, "choose", lambda film, save: np.save(save, np.zeros((250, 200), np.uint8)) or "")
    with pytest.raises(AssertionError, match="levels from ours"):
        syntaxes.measured("explicit", path, lambda film: {}, peer, own, rounds=1)


def test_the_table_says_where_our_part_is_above_its_limit() -> None:
    parts_of = dict.fromkeys(syntaxes.PARTS, 4.0)
    peer_of = {"read": 1.0, "decode": 100.0, "window": 50.0, "resize": 5.0}
    rows = [
        syntaxes.Row("within", parts_of, peer_of, "gdcm", 1),
        syntaxes.Row("above", parts_of | {"LUT": 9.5}, {}, None, 0),
        syntaxes.Row("a third", parts_of | {"LUT": 9.5, "decode": 150.0}, peer_of, "", 0),
    ]
    lines = list(decoding.table(rows))
    assert [one.ours for one in rows] == [40, 45.5, 45.5]
    assert [one.limit for one in rows] == [45, 45, 50]
    assert [line.split()[0] for line in lines if line.endswith("above the limit")] == ["above"]
    assert lines[0].split()[2:] == [*syntaxes.PARTS, "our", "part", "limit"]
    assert lines[6].split() == ["within", "28.0", "156.0", "5.57", "44.0", "3.55", "1", "100.0", "by", "gdcm"]
    assert lines[7].endswith("no plugin of pydicom reads it")


def test_the_peers_own_packages_are_asked_for_nowhere_else() -> None:
    def named(path: Path) -> set[str]:
        return {line.split("==")[0] for line in path.read_text().splitlines() if "==" in line}

    root = Path(__file__).parents[2]
    ours = [root / "requirements.txt", *(root / "requirements" / f"{name}.txt" for name in ("dev", "gpu", "web"))]
    only_theirs = {"pyjpegls", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm"}
    assert only_theirs <= named(root / "requirements" / "peer.txt")
    assert [path.name for path in ours if named(path) & only_theirs] == []
