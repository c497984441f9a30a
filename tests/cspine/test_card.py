"""The card: what it accepts and what it refuses."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from cspine.card import Card


def card(**changes: Any) -> dict[str, Any]:
    """Return a sound card as JSON has it, with changes."""
    return {
        "name": "demo", "version": "1", "network": "googlenet", "width": 0.5,
        "labels": [{"name": "normal", "weight": 0}, {"name": "fracture", "weight": 0.8}],
        "normal_label": "normal", "input": {"size": 224, "channels": 1, "scale": "standardise", "fit": "letterbox"},
        "preprocessing": "1", "data_manifest_sha256": "0" * 64,
        "metrics": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 100}},
        "thresholds": {"flag": 0.4}, "temperature": 1.3, "ood": {"method": "mahalanobis", "threshold": 2.0},
        "intended_use": "reading order", "limits": "drawings only", "demo": True, **changes,
    }  # fmt: skip


def test_a_sound_card_keeps_its_order_of_labels() -> None:
    read = Card.model_validate_json(json.dumps(card()))
    assert read.names == ("normal", "fracture")
    assert read.normal_index == 0
    assert read.labels[1].weight == 0.8


def test_a_card_from_before_the_order_of_channels_is_read() -> None:
    read = Card.model_validate(card()).input
    assert (read.order, read.resample) == ("rgb", "area")


def test_the_card_written_is_the_card_read() -> None:
    read = Card.model_validate(card())
    assert Card.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(
    "change",
    [
        {"normal_label": "healthy"},
        {"labels": [{"name": "normal", "weight": 0}, {"name": "normal", "weight": 1}]},
        {"labels": [{"name": "normal", "weight": 0}, {"name": "fracture", "weight": 1.5}]},
        {"labels": [{"name": "normal", "weight": 0}]},
        {"temperature": 0},
        {"thresholds": {"flag": 0}},
        {"input": {"size": 224, "channels": 2}},
        {"input": {"size": 224, "channels": 1, "scale": "caffe", "order": "bgr"}},
        {"input": {"size": 224, "channels": 3, "order": "grey"}},
        {"ood": {"method": "guess", "threshold": 1}},
        {"data_manifest_sha256": "none"},
        {"surprise": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_wrong_card_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Card.model_validate(card(**change))
