"""Our own file of weights: what is written comes back, into the right layers, and nothing else does."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from cspine.card import Input
from cspine.errors import Usage
from models import alexnet, googlenet
from models.pretrained import Weights, load, read
from models.pretrained.store import save

INPUT = Input(size=64, channels=3, scale="caffe", order="bgr")
SMALL = {"width": 0.05, "size": 64}


def weights(model: keras.Model) -> Weights:
    layers = {layer.name: [w * 0 + 7 for w in layer.get_weights()] for layer in model.layers if layer.weights}
    return Weights(model.name, INPUT, "a test", layers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(tmp_path / "g.weights.h5", weights(googlenet.build(1000, **SMALL)))
    return tmp_path / "g.weights.h5"


def test_what_is_written_is_read(path: Path) -> None:
    found, expected = read(path), weights(googlenet.build(1000, **SMALL))
    assert (found.network, found.input, found.origin) == ("googlenet", INPUT, "a test")
    assert found.sha256 == expected.sha256
    assert {n: [a.shape for a in arrays] for n, arrays in found.layers.items()} == {
        n: [a.shape for a in arrays] for n, arrays in expected.layers.items()
    }


def test_all_layers_but_the_head_are_filled(path: Path) -> None:
    """Heads for training, which the file does not have, and the head for other labels stay as they began."""
    model = googlenet.build(3, auxiliary=True, lesion_map=3, width=0.05, size=96)
    names = load("googlenet", model, path)
    assert len(names) == 57 and names[0] == "conv1"
    for layer in model.layers:
        if layer.weights:
            assert (layer.name in names) == all((w == 7).all() for w in layer.get_weights()), layer.name
    assert not {"logits", "lesion_map", "auxiliary_1", "auxiliary_1_conv"} & set(names)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: googlenet.build(3, width=0.1, size=64), "conv1 has the shapes .*(7, 7, 3, 3).*(7, 7, 3, 6)"),
        (lambda: googlenet.build(3, width=0.05, size=64, channels=1), "conv1 has the shapes .*g.weights.h5"),
    ],
)
def test_another_shape_is_refused_and_nothing_is_filled(path: Path, model: object, words: str) -> None:
    model = model()
    before = model.get_weights()
    with pytest.raises(Usage, match=words.replace("(7", r"\(7").replace("3)", r"3\)").replace("6)", r"6\)")):
        load("googlenet", model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_another_network_is_refused(path: Path) -> None:
    with pytest.raises(Usage, match="weights of googlenet, not of alexnet"):
        load("alexnet", alexnet.build(2, width=0.05, size=67), path)


def test_a_layer_that_lacks_is_named(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["layers/inception_4a_1x1"]
        found = {n: [np.asarray(g[str(i)]) for i in range(len(g))] for n, g in file["layers"].items()}
        file.attrs["sha256"] = Weights("googlenet", INPUT, "", found).sha256
    with pytest.raises(Usage, match="lacks inception_4a_1x1"):
        load("googlenet", googlenet.build(2, **SMALL), path)


def test_weights_that_were_changed_are_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["layers/conv2/1"][0] = 8
    with pytest.raises(Usage, match="SHA-256"):
        read(path)


def test_data_in_another_file_are_refused(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["layers"] = np.zeros(4)
    (tmp_path / "raw").write_bytes(b"\0" * 64)
    spoil = {
        "link": lambda file: file.__setitem__("more", h5py.ExternalLink("secret.h5", "/layers")),
        "soft": lambda file: file.__setitem__("more", h5py.SoftLink("/layers")),
        "external": lambda file: file.create_dataset("more", (4,), "<f4", external=[(str(tmp_path / "raw"), 0, 16)]),
    }
    whole = path.read_bytes()
    for how, change in spoil.items():
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(Usage, match="elsewhere"):
            read(path)
            pytest.fail(how)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x89HDF\r\n\x1a\n" + b"\0" * 60])
def test_what_is_no_hdf5_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.weights.h5").write_bytes(content)
    with pytest.raises(Usage, match=r"x\.weights\.h5"):
        read(tmp_path / "x.weights.h5")


def test_a_file_of_keras_is_told_from_ours(tmp_path: Path) -> None:
    googlenet.build(2, **SMALL).save_weights(tmp_path / "k.weights.h5")
    with pytest.raises(Usage, match="not written by"):
        read(tmp_path / "k.weights.h5")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"gone\.weights\.h5 cannot be read: No such file"):
        read(tmp_path / "gone.weights.h5")
