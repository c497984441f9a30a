"""The supervised head: kept by a release, the same maps as in training, and refused where it does not fit."""

from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.errors import Permanent
from cspine.reasons import Reason
from cspine.saliency import LESION_MAP_FILE
from models import googlenet
from models.saliency.explainer import Explainer
from models.saliency.head import head_of, read_head, write_head


def test_a_kept_head_gives_the_maps_of_training(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    trained = googlenet.build(3, width=0.05, channels=1, size=48, lesion_map=3)
    plain = googlenet.build(3, width=0.05, channels=1, size=48)
    for layer in plain.layers:
        layer.set_weights(trained.get_layer(layer.name).get_weights())
    write_head(head_of(trained), tmp_path)
    batch = np.random.default_rng(0).normal(size=(2, 48, 48, 1)).astype(np.float32)
    explainer = Explainer("googlenet", plain, read_head(tmp_path))
    expected = trained(batch, training=False)["lesion_map"].numpy()
    found = explainer.explain("lesion_map", batch, np.array([2, 0], np.int32))
    np.testing.assert_allclose(found, np.stack([expected[0, :, :, 2], expected[1, :, :, 0]]), rtol=1e-4, atol=1e-5)


def test_a_release_without_one_has_none(tmp_path: Path) -> None:
    assert read_head(tmp_path) is None


@pytest.mark.parametrize("arrays", [{"kernel": np.ones((4, 3))}, {"kernel": np.ones((4, 3)), "bias": np.ones(2)},
                                    {"kernel": np.ones(3), "bias": np.ones(())},
                                    {"kernel": np.full((4, 3), np.nan), "bias": np.ones(3)},
                                    {"kernel": np.ones((4, 3)), "bias": np.full(3, np.inf)}])  # fmt: skip
def test_a_head_that_is_none_is_a_broken_release(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / LESION_MAP_FILE, **arrays)
    with pytest.raises(Permanent) as caught:
        read_head(tmp_path)
    assert caught.value.reason is Reason.BROKEN_RELEASE
    assert LESION_MAP_FILE in caught.value.detail
