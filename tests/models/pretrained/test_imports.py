"""Weights of the model zoos in our networks, against onnxruntime on a graph of the same structure."""

from pathlib import Path
from types import ModuleType

import h5py
import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from cspine.card import Input
from cspine.errors import Usage
from cspine.preprocessing import to_input
from models import alexnet, googlenet
from models.pretrained import bvlc, caffe, imports, zoo
from tests.conftest import needs_shared
from tests.models.pretrained import writers

WIDTH, CLASSES = 0.125, 7
MODULES: dict[str, ModuleType] = {"alexnet": alexnet, "googlenet": googlenet}
Made = tuple[str, onnx.ModelProto, writers.Blobs]


@pytest.fixture(scope="module", params=MODULES)
def made(request: pytest.FixtureRequest) -> Made:
    return request.param, *getattr(writers, request.param)(WIDTH, CLASSES)


def filled(network: str, blobs: writers.Blobs, **options: bool) -> keras.Model:
    """Build a network and put blobs into it."""
    model = MODULES[network].build(CLASSES, width=WIDTH, **options)
    for name, weights in bvlc.converted(model, blobs, "a file").items():
        model.get_layer(name).set_weights(weights)
    return model


def pictures(size: int) -> np.ndarray:
    """Return two pictures as the card's input makes them, with colours of their own besides."""
    rng = np.random.default_rng(3)
    film = rng.integers(0, 256, (size + 30, size), np.uint8)
    first = to_input(film, Input(size=size, channels=3, scale="caffe", order="bgr"))
    return np.stack([first, rng.normal(0, 60, (size, size, 3)).astype(np.float32)])


def test_the_same_answers_as_onnxruntime(made: Made, tmp_path: Path) -> None:
    """The logits agree within 1e-4 of their greatest value, through a file of either zoo."""
    network, graph, blobs = made
    onnx.save(graph, tmp_path / "zoo.onnx")
    x = pictures(MODULES[network].INPUT_SIZE)
    session = onnxruntime.InferenceSession(tmp_path / "zoo.onnx", providers=["CPUExecutionProvider"])
    logits, probabilities = session.run(None, {"data_0": x.transpose(0, 3, 1, 2)})
    assert np.ptp(probabilities, axis=1).min() > 0.01  # the weights are such that an error would show
    for read in (zoo.read(tmp_path / "zoo.onnx"), caffe.read(writers.caffemodel(tmp_path / "m.caffemodel", blobs))):
        ours = filled(network, read)(x).numpy()
        assert np.abs(ours - logits).max() <= 1e-4 * np.abs(logits).max()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda blobs: {name: [b[0][:, ::-1], b[1]] if name == "conv1" else b for name, b in blobs.items()},
        lambda blobs: {name: [b[0][:, :, ::-1], b[1]] if name == "conv3" else b for name, b in blobs.items()},
        lambda blobs: {name: [np.roll(b[0], len(b[1]) // 2, 0), np.roll(b[1], len(b[1]) // 2)]
                       if name == "conv4" else b for name, b in blobs.items()},
        lambda blobs: {name: [b[0].reshape(len(b[0]), -1, 6, 6).transpose(0, 2, 3, 1).reshape(b[0].shape), b[1]]
                       if name == "fc6" else b for name, b in blobs.items()},
    ],
    ids=["colours", "rows", "towers", "flattened"],
)  # fmt: skip
def test_the_comparison_would_notice(spoil: object) -> None:
    """Colours, rows, towers or the dense layer's inputs in another order change the answers by far more than 1e-4."""
    _, blobs = writers.alexnet(WIDTH, CLASSES)
    x = pictures(227)
    right, wrong = (filled("alexnet", b)(x).numpy() for b in (blobs, spoil(blobs)))
    assert np.abs(right - wrong).max() > 1e-2 * np.abs(right).max()


def test_auxiliary_heads_come_with_a_caffemodel(tmp_path: Path) -> None:
    """The dense layer on 4 x 4 cells takes its inputs in Keras' order: checked against Caffe's by hand."""
    _, blobs = writers.googlenet(WIDTH, CLASSES)
    blobs |= writers.auxiliary(WIDTH, CLASSES)
    model = filled("googlenet", caffe.read(writers.caffemodel(tmp_path / "m.caffemodel", blobs)), auxiliary=True)
    cells = np.random.default_rng(0).normal(size=(1, 4, 4, round(128 * WIDTH))).astype(np.float32)
    above = keras.Model(model.get_layer("auxiliary_2_conv").output, model.output["auxiliary_2"])
    (fc, fc_bias), (last, last_bias) = blobs["loss2/fc"], blobs["loss2/classifier"]
    by_hand = last @ np.maximum(fc @ cells.transpose(0, 3, 1, 2).ravel() + fc_bias, 0) + last_bias
    np.testing.assert_allclose(above(cells).numpy()[0], by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("generation", ["new", "v1", "v0"])
def test_every_generation_of_caffes_layers_is_read(tmp_path: Path, generation: str) -> None:
    rng = np.random.default_rng(1)
    blobs = {name: [rng.normal(size=(4, 3, 200, 1)).astype(np.float32), rng.normal(size=4).astype(np.float32)]
             for name in ("conv1", "conv2")}  # fmt: skip
    found = caffe.read(writers.caffemodel(tmp_path / "m.caffemodel", blobs, generation))
    assert list(found) == ["conv1", "conv2"]
    for name, (kernel, bias) in blobs.items():
        np.testing.assert_array_equal(found[name][0], kernel)
        np.testing.assert_array_equal(found[name][1].ravel(), bias)


def test_a_caffemodel_that_ends_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    blobs = {"conv1": [np.ones((2, 1, 3, 3), np.float32), np.ones(2, np.float32)]}
    whole = writers.caffemodel(tmp_path / "m.caffemodel", blobs).read_bytes()
    path, refused = tmp_path / "short.caffemodel", 0
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        try:
            found = caffe.read(path)
        except Usage as error:
            assert "short.caffemodel is no .caffemodel" in error.detail
            refused += 1
        else:
            assert {name: [array.shape for array in arrays] for name, arrays in found.items()} == {
                "conv1": [(2, 1, 3, 3), (1, 1, 1, 2)]
            }  # the end of a message between two fields
    assert refused > len(whole) * 0.8


@pytest.mark.parametrize("content", [b"", b"no network", b"\xff" * 40, b"\x12\x05\x32\x03\x2a\x01\x00"])
def test_what_is_no_file_of_a_zoo_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    for name, read in (("m.caffemodel", caffe.read), ("m.onnx", zoo.read)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Usage, match=rf"m\.{name[2:]}"):
            read(tmp_path / name)


def test_tensors_in_another_file_are_refused(tmp_path: Path) -> None:
    graph, _ = writers.alexnet(0.05, 2)
    for tensor in graph.graph.initializer:
        if tensor.name == "conv1_w_0":
            onnx.external_data_helper.set_external_data(tensor, location="../secret")
            tensor.ClearField("raw_data")
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(Usage, match="another file"):
        zoo.read(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv3": [np.zeros((1, 1, 3, 3), np.float32), np.zeros(1, np.float32)]}, "conv3 of a file has the shape"),
        ({"fc6": [np.zeros((5, 5), np.float32), np.zeros(5, np.float32)]}, "fc6 of a file has the shape"),
        ({"conv3": [np.zeros(0, np.float32), np.zeros(48, np.float32)]}, "conv3 of a file has the shape"),
        ({"conv1": [np.full((12, 3, 11, 11), np.nan, np.float32), np.zeros(12, np.float32)]}, "not a number"),
        ({"conv1": [np.zeros((12, 3, 11, 11), np.float32)]}, "not a kernel and a bias"),
        ({"res2": [np.zeros(1, np.float32)] * 2}, "has layers that alexnet has not: res2"),
        ({"fc7": None}, "lacks layers of alexnet: fc7"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(change: dict, words: str) -> None:
    _, blobs = writers.alexnet(WIDTH, CLASSES)
    changed = {name: arrays for name, arrays in (blobs | change).items() if arrays is not None}
    with pytest.raises(Usage, match=words):
        filled("alexnet", changed)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    for network, name in (("alexnet", "m.h5"), ("mobilenet_v2", "m.onnx")):
        (tmp_path / name).touch()
        with pytest.raises(Usage, match=f"{network} is imported from"):
            imports.imported(tmp_path / name, network)


def test_the_input_that_weights_were_trained_on() -> None:
    caffes, keras_ = imports.trained_on("alexnet"), imports.trained_on("mobilenet_v2")
    assert (caffes.size, caffes.channels, caffes.scale, caffes.order) == (227, 3, "caffe", "bgr")
    assert (keras_.size, keras_.channels, keras_.scale, keras_.order) == (224, 3, "symmetric", "rgb")


def test_a_file_of_keras_2(tmp_path: Path) -> None:
    """Its layers stand in the order of the network, with weights under names of their own."""
    theirs = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
    rng = np.random.default_rng(0)
    expected = [rng.uniform(0.1, 1, w.shape).astype(np.float32) for w in theirs.get_weights()]
    remaining = iter(expected)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["layer_names"] = [layer.name for layer in theirs.layers]
        for layer in theirs.layers:
            names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            file.create_group(layer.name).attrs["weight_names"] = names
            for name in names:
                file[layer.name][name] = next(remaining)
    found = imports.imported(tmp_path / "m.h5", "mobilenet_v2").layers
    flat = [array for layer in theirs.layers if layer.weights for array in found[layer.name]]
    for ours, given in zip(flat, expected, strict=True):
        np.testing.assert_array_equal(ours, given)


def test_keras_applications_file(tmp_path: Path) -> None:
    """Weights of the shared MobileNetV2 file answer in our network as in Keras' own."""
    path = needs_shared("weights/mobilenetv2_imagenet_notop.weights.h5")
    weights = imports.imported(path, "mobilenet_v2")
    assert sum(array.size for arrays in weights.layers.values() for array in arrays) == 2_257_984
    theirs = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    theirs.load_weights(path)
    ours = imports.NETWORKS["mobilenet_v2"].build(2, size=96)
    for name, arrays in weights.layers.items():
        ours.get_layer(name).set_weights(arrays)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 96, 96, 3)).astype(np.float32)
    features = keras.Model(ours.inputs[0], ours.get_layer("pool").input)(x).numpy()
    np.testing.assert_allclose(features, theirs(x), rtol=1e-5, atol=1e-6)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 32), np.float32)
    with pytest.raises(Usage, match=r"other\.h5 does not hold Keras' weights of mobilenet_v2 without its top"):
        imports.imported(tmp_path / "other.h5", "mobilenet_v2")
