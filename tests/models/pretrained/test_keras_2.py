"""The original program's file as Keras 2 itself writes it: `make original` installs that and runs this.

Keras 2 (tf-keras) needs the plain TensorFlow, which breaks the one in .venv: it has an environment of its own.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from cspine import phantoms
from cspine.decoding import canonical, decode
from cspine.preprocessing import to_input
from cspine.settings import Settings
from models.pretrained import original
from tests.conftest import ROOT, SHARED

PYTHON = ROOT / ".venv" / "keras2" / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="Keras 2 is not installed; `make original` does it")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give the real cervical films, or phantoms where they are not here; none is larger than a canonical picture."""
    folder = tmp_path_factory.mktemp("films")
    for seed, label in enumerate(("normal", "fracture", "dislocation") * 2):
        Image.fromarray(phantoms.draw(seed, label).pixels).save(folder / f"{seed}.png")
    real = sorted((SHARED / "radiographs" / "cervical").glob("*/*.png"))
    return [path for path in (*sorted(folder.glob("*.png")), *real) if longest_side(path) <= 512]


def longest_side(path: Path) -> int:
    """Return the greater of a film's rows and columns."""
    with Image.open(path) as picture:
        return max(picture.size)


def notebooks(path: Path) -> np.ndarray:
    """Load a film as the notebook does: float32 (224, 224, 3) on 0..1, the nearest pixel of the original."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((224, 224), Image.Resampling.NEAREST), np.float32) / 255


def test_it_answers_as_keras_2_does(films: list[Path], tmp_path: Path) -> None:
    """From the same film, each by its own loading: probabilities within 1e-3 and the same label."""
    np.savez(tmp_path / "films.npz", x=np.stack([notebooks(path) for path in films]))
    names = ("model.hdf5", "films.npz", "answers.npz")
    script = Path(__file__).with_name("keras_2.py")
    subprocess.run([PYTHON, script, *(tmp_path / name for name in names)], check=True, capture_output=True)
    theirs = np.load(tmp_path / "answers.npz")["probabilities"]
    model, wanted = original.read(tmp_path / "model.hdf5")
    ours = []
    for path in films:
        with path.open("rb") as file:
            ours.append(to_input(canonical(decode(file, path.name, Settings()).frames[0]), wanted))
    answers = softmax(model.predict(np.stack(ours), verbose=0), axis=1)
    assert np.ptp(theirs, axis=0).max() > 0.05  # the answers differ from film to film
    np.testing.assert_allclose(answers, theirs, atol=1e-3)
    np.testing.assert_array_equal(answers.argmax(1), theirs.argmax(1))
