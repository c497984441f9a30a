"""From a training to a release: what the folder `tiny` holds, and what is said against figures."""

import json
import re
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import softmax

from cspine import phantoms, releases
from cspine.card import Card
from cspine.preprocessing import to_input
from models import googlenet, metrics, ood
from models.packing import pack
from models.release import LoadedRelease, load
from models.training import release
from models.training.checkpoint import Progress
from models.training.data import Data, Samples
from models.training.fit import Fitted
from models.training.release import Identity, doubts
from tests.models.conftest import WANTED, WIDTH
from tests.models.training.small import stripes


@pytest.fixture(scope="module")
def made(tiny: tuple[Path, Card]) -> LoadedRelease:
    return load(tiny[0])


def test_a_tiny_training_writes_a_whole_release(tiny: tuple[Path, Card]) -> None:
    folder, card = tiny
    assert releases.verify(folder) == []
    assert card.demo and "drawings" in card.limits
    assert (card.name, card.width, card.input) == ("tiny", WIDTH, WANTED)
    assert card.metrics["accuracy"].n == 12
    assert {"baseline_logistic_32x32", "saliency_hit", "saliency_hit_of_centre", "auc_abnormal"} <= set(card.metrics)
    for label in card.names:
        assert {f"{name}_{label}" for name in ("recall", "precision", "specificity")} <= set(card.metrics)
    assert (folder / "ood.npz").stat().st_size < 2**20


def test_the_training_says_how_it_goes(tiny: tuple[Path, Card], output: list[str]) -> None:
    assert "pictures: 24 for training, 12 for validation, 12 for test; 0 files left out" in output
    losses = [float(found[1]) for line in output if (found := re.match(r"epoch ./2: loss ([0-9.]+), validation", line))]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    assert any(line.startswith("accuracy: ") for line in output)
    assert any(line.endswith("left") for line in output)


def test_the_released_network_has_no_training_heads_and_no_optimiser(tiny: tuple[Path, Card]) -> None:
    network = keras.saving.load_model(tiny[0] / "model.keras")
    assert network.count_params() == googlenet.build(3, width=WIDTH, channels=1, size=64).count_params()
    with zipfile.ZipFile(tiny[0] / "model.keras") as archive:
        assert not json.loads(archive.read("config.json")).get("compile_config")
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}


def test_doubts_are_said_where_there_are_any() -> None:
    records = stripes(4).records
    assert "Of 4 of 4 pictures the patient was not known" in doubts(records, metrics.wilson(90, 100))
    known = [replace(record, patient="p") for record in records]
    assert doubts(known, metrics.wilson(90, 100)) == ""
    assert "accuracy above 98 %" in doubts(known, metrics.wilson(299, 300))


def test_each_part_of_the_data_serves_for_its_own_purpose(
    made: LoadedRelease, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training pictures teach what is foreign, validation pictures calibrate, and the card holds what they gave."""
    network, card = made.network, made.card
    told: dict[str, Any] = {}

    def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
        told.update(logits=logits, labels=labels.tolist())
        return 2.5

    def flag_threshold(suspicion: np.ndarray, abnormal: np.ndarray) -> float:
        told.update(suspicion=suspicion, abnormal=abnormal.tolist())
        return 0.321

    def fitted(features: np.ndarray) -> ood.Arrays:
        told["features"] = features
        return ood_fit(features)

    def packed(folder: Path, card: Card, release: LoadedRelease, arrays: ood.Arrays, head: object) -> None:
        told.update(card=card, release=release)

    ood_fit = ood.fit
    monkeypatch.setattr(metrics, "temperature", temperature)
    monkeypatch.setattr(metrics, "flag_threshold", flag_threshold)
    monkeypatch.setattr(ood, "fit", fitted)
    monkeypatch.setattr(release, "pack", packed)
    monkeypatch.setattr(release, "measure", lambda made, data: {"accuracy": metrics.wilson(9, 10)})
    splits = {
        name: Samples(samples.pictures[i::3][:n], [i % 3] * n, records=samples.records[i::3][:n])
        for i, (name, n) in enumerate({"training": 4, "validation": 3, "test": 2}.items())
    }
    who = Identity("n", "1", "googlenet", WIDTH, card.labels, "normal", demo=True)
    release.write(tmp_path / "out", Fitted(network, None, Progress()), who, WANTED, Data(splits))

    served = {name: np.stack([to_input(picture, WANTED) for picture in part.pictures]) for name, part in splits.items()}
    logits = network(served["validation"], training=False).numpy()
    np.testing.assert_allclose(told["logits"], logits, rtol=1e-4, atol=1e-5)
    assert told["labels"] == [1] * 3 and told["abnormal"] == [True] * 3
    np.testing.assert_allclose(told["suspicion"], 1 - softmax(logits / 2.5, axis=1)[:, 0], rtol=1e-4)
    layers = [network.get_layer(name).output for name in googlenet.STRANGENESS_LAYERS]
    below = keras.Model(network.inputs[0], layers)
    features = {name: ood.features(below(batch, training=False)).numpy() for name, batch in served.items()}
    np.testing.assert_allclose(told["features"], features["training"], rtol=1e-3, atol=1e-5)
    assert (told["card"].temperature, told["card"].thresholds.flag) == (2.5, 0.321)
    scores = ood.score(features["validation"], told["release"].arrays).numpy()
    assert told["card"].ood.threshold == pytest.approx(ood.threshold(scores), rel=1e-2)


def test_the_sentinel_holds_phantoms_and_none_of_the_data(tiny: tuple[Path, Card]) -> None:
    with np.load(tiny[0] / "sentinel.npz") as pinned:
        pictures = pinned["pictures"]
    for seed, label in enumerate(("normal", "fracture")):
        np.testing.assert_array_equal(pictures[seed], phantoms.draw(seed, label).pixels)
    assert len(pictures) == 2


def test_the_same_parts_are_the_same_release_whenever_they_are_packed(made: LoadedRelease, tmp_path: Path) -> None:
    pack(tmp_path / "first", made.card, made, made.arrays)
    time.sleep(2.1)  # the times in a ZIP count by two seconds
    pack(tmp_path / "second", made.card, made, made.arrays)
    assert releases.identity(tmp_path / "first") == releases.identity(tmp_path / "second")
    assert "saved.keras" not in (tmp_path / "first" / releases.SUMS).read_text()
