"""A release of a tiny untrained network, made as training makes one."""

import shutil
from pathlib import Path

import numpy as np

from cspine import preprocessing, releases
from cspine.card import Card, Input, LabelWeight, OutOfDistribution, Thresholds
from models import googlenet, ood
from models.release import LoadedRelease, sentinel

SIZE = 32
PIXELS = np.random.default_rng(0).integers(0, 255, (6, 40, 32), np.uint8)


def make(folder: Path) -> Path:
    """Write a release whose answers mean nothing, and to which every picture is like its training data."""
    import keras

    keras.utils.set_random_seed(1)
    network = googlenet.build(3, width=0.05, channels=1, size=SIZE)
    labels = tuple(LabelWeight(name=name, weight=weight) for name, weight in
                   (("normal", 0.0), ("fracture", 0.8), ("dislocation", 1.0)))  # fmt: skip
    card = Card(
        name="tiny", version="1", network="googlenet", width=0.05, labels=labels, normal_label="normal",
        input=Input(size=SIZE, channels=1), preprocessing=preprocessing.VERSION, data_manifest_sha256="0" * 64,
        metrics={}, thresholds=Thresholds(flag=0.5), temperature=1.0,
        ood=OutOfDistribution(method="mahalanobis", threshold=1e9), intended_use="tests", limits="all",
        demo=True,
    )  # fmt: skip
    looked_at = [network.get_layer(name).output for name in googlenet.STRANGENESS_LAYERS]
    below = keras.Model(network.inputs[0], looked_at)
    batch = np.stack([preprocessing.to_input(picture, card.input) for picture in PIXELS])
    arrays = ood.fit(ood.features(below(batch, training=False)).numpy())
    folder.mkdir()
    network.save(folder / "model.keras")
    (folder / "card.json").write_text(card.model_dump_json())
    np.savez_compressed(folder / "ood.npz", **arrays)
    np.savez_compressed(folder / "sentinel.npz", **sentinel(LoadedRelease(card, "", network, arrays), PIXELS))
    releases.seal(folder)
    return folder


def variant(release: Path, folder: Path, version: str, threshold: float = 1e9) -> Path:
    """Write a release of the same network under another card."""
    shutil.copytree(release, folder)
    card = releases.read_card(folder)
    ood_ = card.ood.model_copy(update={"threshold": threshold})
    (folder / "card.json").write_text(card.model_copy(update={"version": version, "ood": ood_}).model_dump_json())
    releases.seal(folder)
    return folder
