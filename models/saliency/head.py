"""The supervised head of a release that keeps it: `lesion_map.npz`, a 1x1 convolution over the saliency layer."""

from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.card import Card
from cspine.errors import Permanent
from cspine.reasons import Reason
from cspine.saliency import LESION_MAP_FILE
from models.networks import NETWORKS

LAYER = "lesion_map"  # of a network in training
Head = Mapping[str, NDArray[np.float32]]  # kernel (channels, classes), bias (classes,)


def head_of(trained: keras.Model) -> Head:
    """Return the head of a network in training."""
    kernel, bias = (np.asarray(array, np.float32) for array in trained.get_layer(LAYER).get_weights())
    return {"kernel": kernel[0, 0], "bias": bias}


def write_head(head: Head, folder: Path) -> None:
    """Keep a head in a release folder, before the release is sealed."""
    np.savez_compressed(folder / LESION_MAP_FILE, **head)


def read_head(folder: Path) -> Head | None:
    """Read the head of a release folder; null where the release keeps none.

    Raises `Permanent` (broken_release) where the file is no such head.
    """
    path = folder / LESION_MAP_FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            head = {name: np.asarray(arrays[name], np.float32) for name in ("kernel", "bias")}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise Permanent(f"{LESION_MAP_FILE} cannot be read", Reason.BROKEN_RELEASE) from error
    if head["kernel"].ndim != 2 or head["bias"].shape != head["kernel"].shape[1:]:
        raise Permanent(f"{LESION_MAP_FILE} does not fit: {head['kernel'].shape}", Reason.BROKEN_RELEASE)
    if not all(np.isfinite(array).all() for array in head.values()):
        raise Permanent(f"{LESION_MAP_FILE} holds what is not a number", Reason.BROKEN_RELEASE)
    return head


def check_head(head: Head, card: Card, network: keras.Model) -> None:
    """Raise `Permanent` (broken_release) where a head is not one of a network's saliency layer and a card's labels."""
    channels = network.get_layer(NETWORKS[card.network].SALIENCY_LAYER).output.shape[-1]
    found, wanted = head["kernel"].shape, (channels, len(card.labels))
    if found != wanted:
        raise Permanent(f"{LESION_MAP_FILE} does not fit: {found}, not {wanted}", Reason.BROKEN_RELEASE)
