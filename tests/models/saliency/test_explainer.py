"""The explainer on every network: which methods each allows, at which layer, with maps of the right size."""

from functools import cache

import keras
import numpy as np
import pytest

from cspine import saliency
from cspine.errors import Permanent
from cspine.reasons import Reason
from models.networks import NETWORKS
from models.saliency.explainer import Explainer, before_average
from tests.models.saliency.conftest import ByHand

CELLS = {"alexnet": 13, "googlenet": 14, "mobilenet_v2": 14}
AVERAGED = {"googlenet": "inception_5b", "mobilenet_v2": "out_relu"}
WIDTHS = {"alexnet": 0.0625, "googlenet": 0.0625, "mobilenet_v2": 0.35}  # InceptionV3 has one width, and is slow


@cache
def small(name: str) -> keras.Model:
    """Build a network once, and as small as it can be; nobody changes it."""
    least = {"inception_v3": {"size": 75}}.get(name, {"width": WIDTHS.get(name, 1)})
    return NETWORKS[name].build(3, channels=1, **least)


@pytest.fixture(scope="module", params=WIDTHS)
def built(request: pytest.FixtureRequest) -> tuple[str, keras.Model]:
    return request.param, small(request.param)


def test_class_activation_only_where_the_head_averages_and_adds(built: tuple[str, keras.Model]) -> None:
    name, network = built
    assert before_average(network) == AVERAGED.get(name)
    assert ("cam" in Explainer(name, network).methods) is (name in AVERAGED)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_offers_what_the_network_allows(name: str) -> None:
    network = small(name)
    channels = network.get_layer(NETWORKS[name].SALIENCY_LAYER).output.shape[-1]
    head = {"kernel": np.zeros((channels, 3), np.float32), "bias": np.zeros(3, np.float32)}
    for lesion_head in (None, head):
        offered = saliency.offered(name, lesion_head=lesion_head is not None)
        assert list(offered) == Explainer(name, network, lesion_head).methods


def test_layer_and_input_methods_on_every_network(built: tuple[str, keras.Model]) -> None:
    name, network = built
    size = NETWORKS[name].INPUT_SIZE
    batch = np.random.default_rng(0).normal(size=(1, size, size, 1)).astype(np.float32)
    explainer = Explainer(name, network)
    grid = explainer.explain("hirescam", batch, np.array([1], np.int32))
    assert grid.shape[1] == grid.shape[2] == CELLS[name]
    assert explainer.explain("gradient", batch, np.array([1], np.int32)).shape == (1, size, size)
    with pytest.raises(Permanent) as caught:
        explainer.explain("lesion_map", batch, np.array([1], np.int32))
    assert caught.value.reason is Reason.UNSUPPORTED_METHOD


@pytest.mark.parametrize(("picture", "weight"), [(np.nan, 1.0), (1.0, np.inf)])
def test_what_is_not_finite_is_no_map(by_hand: ByHand, picture: float, weight: float) -> None:
    network = ByHand(by_hand.u, by_hand.c, by_hand.w * np.float32(weight), by_hand.b).as_keras(4)
    network.get_layer("block").name = NETWORKS["googlenet"].SALIENCY_LAYER
    batch = np.full((1, 4, 4, 2), picture, np.float32)
    with pytest.raises(Permanent) as caught:
        Explainer("googlenet", network).explain("hirescam", batch, np.array([0]))
    assert caught.value.reason is Reason.NOT_A_NUMBER


def test_a_head_with_another_layer_in_it_allows_no_class_activation() -> None:
    """As that of the original project's InceptionV3."""
    inputs = keras.Input((4, 4, 2))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    x = keras.layers.Dense(8, activation="relu")(x)
    assert before_average(keras.Model(inputs, keras.layers.Dense(3)(x))) is None
