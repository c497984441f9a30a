"""The original program's .hdf5: read into InceptionV3 and made a release. test_keras_2.py has one by Keras 2 itself."""

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from cspine import phantoms, releases
from cspine.__main__ import main
from cspine.card import Input
from cspine.errors import Usage
from cspine.preprocessing import to_input
from models import inception_v3, packing
from models.inception_v3 import NUMBERED
from models.pretrained import original
from models.pretrained.original_release import make
from models.release import load

SIZE = 75
Config = list[dict[str, Any]]


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Give a network in which no two arrays of a shape are alike."""
    model = inception_v3.build(3, size=SIZE, second="relu")
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(
                [rng.uniform(low, 1, w.shape) for low, w in zip((0, -1, 0.1), layer.weights, strict=True)]
            )
    return model


def written(path: Path, model: keras.Model, nested: bool, first: int = 0) -> Path:
    """Write a model with a softmax as Keras 2 does after `first` layers of each kind, from which names count on."""
    names = {name: renamed(name, first) for name in (layer.name for layer in model.layers)}
    names |= {"dense_1": "dense", "dense_2": "dense_1", "logits": "dense_2"}
    config: Config = []
    for layer in model.layers:
        options: dict[str, Any] = {"name": names[layer.name]}
        if isinstance(layer, keras.layers.InputLayer):
            options["batch_input_shape"] = [None, *model.inputs[0].shape[1:]]
        if isinstance(layer, keras.layers.Dense):
            options |= {"units": layer.units, "activation": layer.activation.__name__}
        if layer.name == "logits":
            options["activation"] = "softmax"
        config.append({"class_name": type(layer).__name__, "config": options})
    base = [layer for layer in model.layers if layer.weights and layer.name not in inception_v3.HEAD_LAYERS]
    with h5py.File(path, "w") as file:
        if nested:
            inner = {"class_name": "Functional", "config": {"name": "inception_v3", "layers": config[:-5]}}
            config = [config[0], inner, *config[-5:]]
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": config}})
        for layer in model.layers:
            if not layer.weights:
                continue
            group = file.require_group(
                f"model_weights/{'inception_v3' if nested and layer in base else names[layer.name]}"
            )
            own = [f"{names[layer.name]}/{variable.name}:0" for variable in layer.weights]
            group.attrs["weight_names"] = [*group.attrs.get("weight_names", []), *own]
            for name, array in zip(own, layer.get_weights(), strict=True):
                group[name] = array
    return path


def renamed(name: str, first: int) -> str:
    """Count a layer's name on."""
    match = NUMBERED.fullmatch(name)
    number = int(match[2] or 0) + first if match else 0
    return name if match is None else f"{match[1]}_{number}" if number else match[1]


@pytest.fixture(scope="module")
def path(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("original") / "model.hdf5", network, nested=True, first=94)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of films: twelve phantoms, in folders, and something else."""
    films = tmp_path_factory.mktemp("films")
    for seed, label in enumerate(["normal", "fracture", "dislocation"] * 4):
        (films / label).mkdir(exist_ok=True)
        Image.fromarray(phantoms.draw(seed, label).pixels[::2, ::2]).save(films / label / f"{seed}.png")
    (films / "notes.txt").write_text("not a film")
    return films


def assert_alike(model: keras.Model, network: keras.Model) -> None:
    """Compare all arrays, layer by layer, and what the head does."""
    for ours, theirs in zip(model.layers, network.layers, strict=True):
        assert ours.name == theirs.name
        for array, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(array, expected)
    assert model.get_layer("dense_2").activation is keras.activations.relu
    assert model.get_layer("logits").activation is keras.activations.linear


def test_every_array_finds_its_layer(network: keras.Model, path: Path) -> None:
    """So it does in a file without a network in the network, of which the next test makes a release."""
    model, wanted = original.read(path)
    assert_alike(model, network)
    assert wanted == Input(size=75, channels=3, scale="unit", fit="stretch", order="rgb", resample="nearest")


def test_it_becomes_a_release(
    network: keras.Model,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = written(tmp_path / "flat.hdf5", network, nested=False)
    out, loaded = tmp_path / "release", []
    monkeypatch.setattr(packing, "load", lambda folder: loaded.append(load(folder)))
    assert main(["pretrained", "original", str(path), "--calibrate", str(folder), "--out", str(out)]) == 0
    assert "left out: notes.txt (unsupported_type)" in capsys.readouterr().err
    assert releases.verify(out) == []
    (release,) = loaded
    assert_alike(release.network, network)
    card = release.card
    assert card.input == Input(size=75, channels=3, scale="unit", fit="stretch", order="rgb", resample="nearest")
    assert card.names == ("c-spine_dis", "c-spine_frac", "c-spine_nor")
    assert [label.weight for label in card.labels] == [1.0, 0.8, 0.0]
    assert (card.normal_label, card.network, card.name, card.demo) == ("c-spine_nor", "inception_v3", "release", False)
    assert (card.input.scale, card.input.fit, card.input.order, card.input.channels) == ("unit", "stretch", "rgb", 3)
    assert "12 films" in card.limits and "4 of which" in card.limits
    assert "exceeds 512 pixels" in card.limits and "15 of 18 cervical films kept theirs" in card.limits
    film = phantoms.draw(40, "fracture").pixels
    x = to_input(film, card.input)[None]
    assert x.min() >= 0 and x.max() <= 1
    answer = release.predict(x)
    np.testing.assert_allclose(answer.logits, network(x), rtol=1e-4, atol=1e-5)
    noise = np.random.default_rng(0).uniform(0, 1, x.shape).astype(np.float32)
    assert release.predict(noise).ood.all()


def test_without_films_it_refuses_in_words(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrained", "original", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "give --calibrate FOLDER" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_too_few_films_are_refused(network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(original, "read", lambda path: (network, Input(size=SIZE, channels=3)))
    (tmp_path / "few").mkdir()
    Image.fromarray(phantoms.draw(0, "normal").pixels).save(tmp_path / "few" / "0.png")
    with pytest.raises(Usage, match=r"1 films; .* fewer than 12"):
        make(tmp_path / "model.hdf5", tmp_path / "few", tmp_path / "out", "n", "1", print)
    assert not (tmp_path / "out").exists()


def spoiled(path: Path, tmp_path: Path, change: Any) -> Path:
    """Copy what a file says of its layers, without their weights, and change it."""
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
    with h5py.File(tmp_path / "bad.hdf5", "w") as file:
        file.create_group("model_weights")
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    return tmp_path / "bad.hdf5"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda layers: layers.insert(3, {"class_name": "Lambda", "config": {"name": "l"}}), "has not: Lambda"),
        (lambda layers: layers.pop(), "no InceptionV3 with the original program's head"),
        (lambda layers: layers[-1]["config"].update(units=2), "2 labels"),
        (lambda layers: layers[-1]["config"].update(activation="sigmoid"), "another head"),
        (lambda layers: layers[-2]["config"].update(activation="tanh"), "another head"),
        (lambda layers: layers[0]["config"].update(batch_input_shape=[None, 75, 75, 1]), "three channels"),
        (lambda layers: layers[1]["config"]["layers"].pop(), "no InceptionV3"),
        (lambda layers: layers[0].pop("config"), "no whole model as Keras 2 writes it"),
        (lambda layers: None, "lacks kernel of conv2d_94"),
    ],
)
def test_another_network_is_refused_by_name(path: Path, tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(Usage, match=words) as caught:
        original.read(spoiled(path, tmp_path, change))
    assert "bad.hdf5" in caught.value.detail


def test_weights_alone_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights.hdf5", "w") as file:
        file.attrs["layer_names"] = ["conv2d"]
    with pytest.raises(Usage, match=r"weights\.hdf5 is no whole model"):
        original.read(tmp_path / "weights.hdf5")
