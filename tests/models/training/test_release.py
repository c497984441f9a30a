"""From a training to a release: what the folder `tiny` holds, and what is said against figures."""

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import keras

from cspine import releases
from cspine.card import Card
from models import googlenet, metrics
from models.training.release import doubts
from tests.models.conftest import WANTED, WIDTH
from tests.models.training.small import stripes


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
