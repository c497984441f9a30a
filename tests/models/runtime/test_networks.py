"""Both runtimes give the same answers by every network; GoogLeNet's in full are in `test_agreement`."""

import keras
import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from cspine import preprocessing
from cspine.card import Card, Input, LabelWeight, OutOfDistribution, Thresholds
from models import ood
from models.export import graph
from models.export.make import converted
from models.networks import NETWORKS
from models.runtime.openvino_runtime import GRAPH, OpenVINORelease
from models.runtime.tensorflow_runtime import LoadedRelease

SMALL = {"alexnet": (0.25, 227), "googlenet": (0.25, 128), "inception_v3": (1.0, 107), "mobilenet_v2": (0.35, 128)}
LABELS = tuple(LabelWeight(name=name, weight=weight) for name, weight in (("normal", 0), ("fracture", 1), ("other", 1)))
Both = tuple[OpenVINORelease, LoadedRelease]


@pytest.fixture(scope="module", params=SMALL)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Give a small untrained network by both runtimes; its biases are drawn, so that a blank picture has an answer."""
    keras.utils.set_random_seed(6)
    name, (width, size) = request.param, SMALL[request.param]
    network = NETWORKS[name].build(len(LABELS), width=width, channels=1, size=size)
    random = np.random.default_rng(6)
    for layer in network.layers:
        for variable in layer.trainable_variables:
            if variable.name in ("bias", "beta"):
                variable.assign(random.normal(0, 0.05, variable.shape))
    card = Card(
        name="small", version="1", network=name, width=width, labels=LABELS, normal_label="normal",
        input=Input(size=size, channels=1), preprocessing=preprocessing.VERSION, data_manifest_sha256="0" * 64,
        metrics={}, thresholds=Thresholds(flag=0.5), temperature=1.0,
        ood=OutOfDistribution(method="mahalanobis", threshold=1e9), intended_use="tests", limits="all", demo=True,
    )  # fmt: skip
    below = keras.Model(network.inputs[0], [network.get_layer(n).output for n in NETWORKS[name].STRANGENESS_LAYERS])
    arrays = ood.fit(ood.features(_listed(below(noise(6, size), training=False))).numpy())
    folder = tmp_path_factory.mktemp(name)
    openvino.save_model(converted(graph.trace(card, network, arrays)), folder / GRAPH, compress_to_fp16=False)
    return OpenVINORelease(card, "", folder / GRAPH), LoadedRelease(card, "", network, arrays)


def _listed(outputs: object) -> list:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def noise(n: int, size: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(n, size, size, 1)).astype(np.float32)


def test_probabilities_strangeness_and_maps_agree(both: Both) -> None:
    ours, theirs = (release.predict(noise(3, release.card.input.size)) for release in both)
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=5e-4, rtol=0)
    np.testing.assert_allclose(ours.ood_score, theirs.ood_score, rtol=1e-3)
    np.testing.assert_array_equal(ours.explained, theirs.explained)
    for one, other in zip(ours.saliency, theirs.saliency, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max(), rtol=0)


@pytest.mark.parametrize("value", [-2.0, 0.0, 2.0])
def test_a_blank_picture_has_the_same_answer_and_as_much_of_a_map(both: Both, value: float) -> None:
    """Its cells tie, and rounding, which differs, decides which of them is a window's maximum (decision 027)."""
    size = both[0].card.input.size
    ours, theirs = (release.predict(np.full((1, size, size, 1), value, np.float32)) for release in both)
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=5e-4, rtol=0)
    one, other = ours.saliency[0].astype(float), theirs.saliency[0].astype(float)
    assert one.sum() == pytest.approx(other.sum(), abs=1e-3 * np.abs(other).sum())
