"""`cspine explain`: a picture with its map, or a sentence that says why there is none."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cspine import releases, saliency
from cspine.__main__ import main
from cspine.card import Card
from cspine.errors import Permanent, Refused, Usage
from cspine.reasons import Reason
from models.explain import explain
from models.saliency import drawing

pytestmark = pytest.mark.usefixtures("load_once")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 480), np.uint8)
    path = tmp_path / "film.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what is written below the pictures."""
    lines: list[str] = []
    true = drawing.footer
    monkeypatch.setattr(drawing, "footer", lambda said, *rest: lines.extend(said) or true(said, *rest))
    return lines


def run(*arguments: object) -> str:
    result = CliRunner().invoke(explain, [str(argument) for argument in arguments], catch_exceptions=False,
                                standalone_mode=False)  # fmt: skip
    return result.output


def test_it_writes_the_film_the_map_and_what_it_is(
    film: Path, tiny: tuple[Path, Card], written: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "map.png"
    said = run(film, "--release", tiny[0], "--method", "gradcam", "--label", "fracture", "--out", out)
    assert "Grad-CAM for fracture. Not a localisation." in said
    drawn = cv2.imread(str(out))
    assert drawn.shape[0] > 512
    assert drawn.shape[1] == 2 * 410 + drawing.GAP
    assert Reason.BORDER_ATTENTION.sentence not in written  # its grid has too few cells to tell
    words = " ".join(written)
    for part in ("Not a localisation.", "Grad-CAM", "“fracture”", "tiny 1", "a demo release", "not a diagnosis"):
        assert part in words, part


def test_without_options_it_explains_what_the_film_is_flagged_for(film: Path, tiny: tuple[Path, Card]) -> None:
    said = run(film, "--release", tiny[0])
    assert said.startswith(f"{film.with_suffix('.hirescam.png')}: HiResCAM for ")
    assert film.with_suffix(".hirescam.png").exists()


def test_a_supervised_map_says_so_and_is_not_there_where_the_release_has_none(
    film: Path, tiny: tuple[Path, Card], written: list[str], tmp_path: Path
) -> None:
    assert "(supervised)" in run(film, "--release", tiny[0], "--method", "lesion_map", "--out", tmp_path / "map.png")
    assert "(supervised)" in written[0]
    assert "came from" not in written[0]
    without = tmp_path / "without"
    shutil.copytree(tiny[0], without)
    (without / saliency.LESION_MAP_FILE).unlink()
    releases.seal(without)
    with pytest.raises(Permanent) as caught:
        run(film, "--release", without, "--method", "lesion_map")
    assert caught.value.reason is Reason.UNSUPPORTED_METHOD


def test_what_cannot_be_explained_is_said(film: Path, tiny: tuple[Path, Card], tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    with pytest.raises(Refused) as caught:
        run(text)
    assert caught.value.reason is Reason.UNSUPPORTED_TYPE
    assert main(["explain", str(text)]) == 1
    with pytest.raises(Usage, match="1 frames, counted from 0"):
        run(film, "--frame", 1)
    with pytest.raises(Usage, match="it has normal, fracture, dislocation"):
        run(film, "--release", tiny[0], "--label", "sprain")


@pytest.mark.parametrize("other", ["itself", "link", "hard link"])
def test_the_film_is_never_written_over(film: Path, other: str, tmp_path: Path) -> None:
    before, out = film.read_bytes(), film if other == "itself" else tmp_path / "other.png"
    if other == "link":
        out.symlink_to(film)
    elif other == "hard link":
        out.hardlink_to(film)
    with pytest.raises(Usage, match="is the film itself"):
        run(film, "--out", out)
    assert film.read_bytes() == before


def test_a_place_that_cannot_be_written_is_said(film: Path, tiny: tuple[Path, Card]) -> None:
    with pytest.raises(Usage, match=r"/proc/nope/x\.png cannot be written: "):
        run(film, "--release", tiny[0], "--out", "/proc/nope/x.png")


def test_noise_is_said_to_be_strange_and_a_map_on_the_border_to_be_one(
    film: Path, written: list[str], tmp_path: Path
) -> None:
    """By the demo release, whose grid has cells enough to tell the border from the middle."""
    run(film, "--out", tmp_path / "map.png")
    assert Reason.OUT_OF_DISTRIBUTION.sentence in written
    assert Reason.BORDER_ATTENTION.sentence in written
