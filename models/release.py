"""A release by TensorFlow: pictures in, probabilities, saliency and a measure of strangeness out, in one pass."""

import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

from cspine import preprocessing, releases
from cspine.card import Card
from cspine.errors import Permanent
from cspine.reasons import Reason
from models.networks import NETWORKS
from models.runtime.release import LARGEST_BATCH, Floats, Prediction
from models.runtime.sentinel import check, fitting, read, sentinel
from models.runtime.tensorflow_runtime import LoadedRelease
from models.saliency.head import check_head, read_head

__all__ = ["LARGEST_BATCH", "Floats", "LoadedRelease", "Prediction", "load", "sentinel"]


def load(folder: Path) -> LoadedRelease:
    """Verify a release folder, load its network and compare its answers with the pinned ones.

    Raises `Permanent`, broken_release whose detail names the file at fault, or sentinel_failed.
    """
    if faults := releases.verify(folder):
        raise Permanent("; ".join(faults), Reason.BROKEN_RELEASE)
    card = releases.read_card(folder)
    if card.network not in NETWORKS:
        raise Permanent(f"card.json names a network that is not known here: {card.network}", Reason.BROKEN_RELEASE)
    if card.preprocessing != preprocessing.VERSION:
        detail = f"card.json asks for preprocessing {card.preprocessing}, here is {preprocessing.VERSION}"
        raise Permanent(detail, Reason.BROKEN_RELEASE)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Skipping", UserWarning)  # of weights that are not in the file
            network = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile, UserWarning) as error:
        raise Permanent("model.keras cannot be loaded", Reason.BROKEN_RELEASE) from error
    arrays, pinned, head = read(folder / "ood.npz"), read(folder / "sentinel.npz"), read_head(folder)
    with fitting("model.keras does not fit card.json"):
        _insist_on_shapes(network, card)
        release = LoadedRelease(card, releases.identity(folder), network, arrays)
    if head is not None:
        check_head(head, card, network)
    size, channels = card.input.size, card.input.channels
    with fitting("ood.npz does not fit model.keras"):
        release.predict(np.zeros((1, size, size, channels), np.float32))
    check(release, pinned)
    return release


def _insist_on_shapes(network: keras.Model, card: Card) -> None:
    taken, given = tuple(network.inputs[0].shape[1:]), tuple(network.outputs[0].shape[1:])
    if taken != (card.input.size, card.input.size, card.input.channels) or given != (len(card.labels),):
        raise ValueError(f"the network takes {taken} and gives {given}")
