"""A loaded release: one pass, finite for anything, and refused when its files are not what they were."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from cspine import releases
from cspine.card import Card
from cspine.errors import Permanent
from cspine.preprocessing import to_input
from cspine.reasons import Reason
from cspine.saliency import LESION_MAP_FILE
from models.release import LoadedRelease, load
from models.runtime.tensorflow_runtime import explained_label
from models.training.data import Samples


@pytest.fixture(scope="module")
def release(tiny: tuple[Path, Card]) -> LoadedRelease:
    return load(tiny[0])


@pytest.fixture
def copy(tiny: tuple[Path, Card], tmp_path: Path) -> Path:
    """Give a copy of the release to spoil."""
    return Path(shutil.copytree(tiny[0], tmp_path / "copy"))


@pytest.fixture(scope="module")
def batch(release: LoadedRelease, samples: Samples) -> np.ndarray:
    return np.stack([to_input(picture, release.card.input) for picture in samples.pictures[:5]])


def test_outputs_have_the_shapes_that_are_promised(release: LoadedRelease, batch: np.ndarray) -> None:
    answer = release.predict(batch)
    assert answer.logits.shape == answer.probabilities.shape == (5, 3)
    assert answer.saliency.shape == (5, 4, 4)
    assert answer.ood_score.shape == answer.ood.shape == answer.explained.shape == (5,)
    np.testing.assert_allclose(answer.probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(answer.probabilities, softmax(answer.logits / release.card.temperature, 1), rtol=1e-4)
    np.testing.assert_array_equal(answer.ood, answer.ood_score > release.card.ood.threshold)


def test_its_identity_is_that_of_its_folder(release: LoadedRelease, tiny: tuple[Path, Card]) -> None:
    assert release.identity == releases.identity(tiny[0])
    assert release.card == tiny[1]


def test_a_picture_has_the_same_answer_alone_and_in_company(release: LoadedRelease, batch: np.ndarray) -> None:
    together = release.predict(batch)
    for i in range(len(batch)):
        alone = release.predict(batch[i : i + 1])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[i], atol=1e-5)
        np.testing.assert_allclose(alone.saliency[0], together.saliency[i], atol=1e-4)


def test_batches_of_any_size_share_one_trace(release: LoadedRelease, batch: np.ndarray) -> None:
    for n in (1, 2, 5, 40):
        assert len(release.predict(np.resize(batch, (n, *batch.shape[1:]))).logits) == n
    assert release._run.experimental_get_tracing_count() == 1


def test_saliency_is_the_gradient_through_the_whole_network(release: LoadedRelease, batch: np.ndarray) -> None:
    """The map of the compiled pass is the gradient of the explained logit at 4e times the activation there."""
    answer = release.predict(batch)
    with tf.GradientTape() as tape:
        activation = release._below(batch, training=False)[0]
        tape.watch(activation)
        chosen = tf.gather(release._above(activation, training=False), answer.explained, batch_dims=1)
    by_hand = tf.reduce_sum(tape.gradient(chosen, activation) * activation, -1)
    np.testing.assert_allclose(answer.saliency, by_hand, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_blank_pictures_give_finite_answers(release: LoadedRelease, value: float) -> None:
    answer = release.predict(np.full((2, 64, 64, 1), value, np.float32))
    for array in (answer.logits, answer.probabilities, answer.saliency, answer.ood_score):
        assert np.isfinite(array).all()


def test_an_answer_that_is_not_finite_is_an_error(release: LoadedRelease, batch: np.ndarray) -> None:
    with pytest.raises(Permanent) as caught:
        release.predict(np.full_like(batch, np.nan))
    assert caught.value.reason is Reason.NOT_A_NUMBER


def test_explained_label_is_what_the_picture_is_flagged_for(release: LoadedRelease) -> None:
    flag = release.card.thresholds.flag
    rows = np.array([[0.9, 0.07, 0.03], [1 - flag - 0.01, 0.005, flag + 0.005], [0.1, 0.5, 0.4]], np.float32)
    rows[0] = [1 - flag / 2, flag / 4, flag / 4]
    assert explained_label(release.card, tf.constant(rows)).numpy().tolist() == [0, 2, 1]


@pytest.mark.parametrize("name", releases.FILES)
def test_a_spoiled_file_is_refused_by_name(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(Permanent, match=name) as caught:
        load(copy)
    assert caught.value.reason is Reason.BROKEN_RELEASE


@pytest.mark.parametrize("name", ["model.keras", "ood.npz", "sentinel.npz"])
def test_a_sealed_file_that_is_no_such_thing_is_refused_by_name(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"not what it seems")
    releases.seal(copy)
    with pytest.raises(Permanent, match=name):
        load(copy)


def test_code_in_a_network_is_refused_although_it_answers_alike(copy: Path) -> None:
    """A Lambda layer holds Python, which would run where the release is loaded."""
    network = keras.models.load_model(copy / "model.keras")
    keras.Model(network.inputs, keras.layers.Lambda(lambda x: x)(network.outputs[0])).save(copy / "model.keras")
    releases.seal(copy)
    with pytest.raises(Permanent, match=r"model\.keras cannot be loaded") as caught:
        load(copy)
    assert caught.value.reason is Reason.BROKEN_RELEASE


def test_another_networks_answers_are_noticed_by_the_sentinel(copy: Path) -> None:
    with np.load(copy / "sentinel.npz") as pinned:
        arrays = dict(pinned)
    np.savez_compressed(copy / "sentinel.npz", **{**arrays, "probabilities": 1 - arrays["probabilities"]})
    releases.seal(copy)
    with pytest.raises(Permanent, match=r"differ from sentinel\.npz") as caught:
        load(copy)
    assert caught.value.reason is Reason.SENTINEL_FAILED


@pytest.mark.parametrize(("key", "value"), [("network", "resnet"), ("preprocessing", "0")])
def test_a_card_of_another_world_is_refused(copy: Path, key: str, value: str) -> None:
    card = releases.read_card(copy).model_copy(update={key: value})
    (copy / "card.json").write_text(card.model_dump_json())
    releases.seal(copy)
    with pytest.raises(Permanent, match=value):
        load(copy)


def respell(folder: Path, name: str, **changes: np.ndarray) -> None:
    """Change arrays of a file and seal the release anew."""
    with np.load(folder / name) as found:
        arrays = dict(found)
    np.savez_compressed(folder / name, **{**arrays, **changes})
    releases.seal(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"input": {"size": 32, "channels": 1}},
        {"input": {"size": 64, "channels": 3}},
        {"labels": [{"name": "normal", "weight": 0}, {"name": "fracture", "weight": 1}]},
    ],
)
def test_a_card_of_another_network_is_refused(copy: Path, change: dict[str, object]) -> None:
    card = json.loads((copy / "card.json").read_text()) | change
    (copy / "card.json").write_text(json.dumps(card))
    releases.seal(copy)
    with pytest.raises(Permanent, match="does not fit") as caught:
        load(copy)
    assert caught.value.reason is Reason.BROKEN_RELEASE


def test_a_network_without_the_layers_that_are_looked_at_is_refused(copy: Path) -> None:
    shape = (64, 64, 1)
    keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3)]).save(copy / "model.keras")
    releases.seal(copy)
    with pytest.raises(Permanent, match=r"model\.keras does not fit card\.json") as caught:
        load(copy)
    assert caught.value.reason is Reason.BROKEN_RELEASE


@pytest.mark.parametrize("fault", ["width", "missing", "text", "nan"])
def test_arrays_that_do_not_fit_the_network_are_refused(copy: Path, fault: str) -> None:
    with np.load(copy / "ood.npz") as found:
        arrays = dict(found)
    if fault == "width":
        arrays |= {"mean": arrays["mean"][:-1], "scale": arrays["scale"][:-1], "directions": arrays["directions"][:-1]}
    elif fault == "missing":
        del arrays["rest"]
    else:
        arrays["mean"] = np.full(arrays["mean"].shape, "x" if fault == "text" else np.nan)
    np.savez_compressed(copy / "ood.npz", **arrays)
    releases.seal(copy)
    with pytest.raises(Permanent, match=r"ood\.npz") as caught:
        load(copy)
    assert caught.value.reason is Reason.BROKEN_RELEASE


@pytest.mark.parametrize(
    "changes",
    [
        {"pictures": np.zeros((0, 8, 8), np.uint8)},
        {"pictures": np.zeros(3, np.uint8)},
        {"probabilities": np.zeros((1, 3), np.float32)},
        {"probabilities": np.zeros((5, 2), np.float32)},
        {"ood_score": np.full(1, np.nan, np.float32)},
    ],
)
def test_pinned_answers_of_another_shape_are_refused(copy: Path, changes: dict[str, np.ndarray]) -> None:
    respell(copy, "sentinel.npz", **changes)
    with pytest.raises(Permanent, match=r"sentinel\.npz") as caught:
        load(copy)
    assert caught.value.reason is Reason.BROKEN_RELEASE


@pytest.mark.parametrize(("shape", "words"), [
    ((1, 3), r"lesion_map\.npz does not fit: \(1, 3\), not \(\d+, 3\)"),
    ((7, 2), r"lesion_map\.npz does not fit: kernel has the shape \(7, 2\)"),
])  # fmt: skip
def test_a_head_of_another_network_is_refused(copy: Path, shape: tuple[int, int], words: str) -> None:
    np.savez(copy / LESION_MAP_FILE, kernel=np.zeros(shape), bias=np.zeros(shape[1]))
    releases.seal(copy)
    with pytest.raises(Permanent, match=words) as caught:
        load(copy)
    assert caught.value.reason is Reason.BROKEN_RELEASE


def test_pinned_answers_that_are_no_number_are_refused(copy: Path) -> None:
    with np.load(copy / "sentinel.npz") as found:
        probabilities = found["probabilities"]
    respell(copy, "sentinel.npz", probabilities=np.full_like(probabilities, np.nan))
    with pytest.raises(Permanent, match=r"differ from sentinel\.npz") as caught:
        load(copy)
    assert caught.value.reason is Reason.SENTINEL_FAILED
