"""A loaded release: pictures in, probabilities, saliency and a measure of strangeness out, in one compiled pass."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import models.lrn  # noqa: F401  # registers the custom layer
from cspine import preprocessing, releases
from cspine.card import Card
from cspine.errors import Permanent
from cspine.reasons import Reason
from models import ood
from models.networks import NETWORKS
from models.saliency import hirescam

LARGEST_BATCH = 32
TOLERANCE = 2e-3  # of probabilities at the sentinel: bfloat16 and other processors differ by less than twice this
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """The answers for n pictures, in their order."""

    logits: Floats  # (n, classes)
    probabilities: Floats  # (n, classes), after temperature scaling
    explained: NDArray[np.int32]  # (n,) the label that `saliency` explains
    saliency: Floats  # (n, g, g) signed HiResCAM grid over the network's square input
    ood_score: Floats  # (n,)
    ood: NDArray[np.bool_]  # (n,) unlike the training data


class LoadedRelease:
    """A release whose network is in memory."""

    def __init__(self, card: Card, identity: str, network: keras.Model, arrays: ood.Arrays) -> None:
        """Split the network at its saliency layer and compile one function of both parts."""
        self.card, self.identity, self.network = card, identity, network
        architecture = NETWORKS[card.network]
        split = network.get_layer(architecture.SALIENCY_LAYER).output
        looked_at = [network.get_layer(name).output for name in architecture.STRANGENESS_LAYERS]
        self._below = keras.Model(network.inputs[0], [split, *looked_at])
        self._above = keras.Model(split, network.outputs[0])
        self._arrays = arrays
        shape = (None, card.input.size, card.input.size, card.input.channels)
        # The batch stays a free dimension: one trace serves every batch size
        self._run = tf.function(self._forward, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)

    def predict(self, batch: Floats) -> Prediction:
        """Analyse float32 (n, size, size, channels) as `preprocessing.to_input` makes it.

        Raises `Permanent` (not_a_number) where the input or an answer is not finite; a network may well turn the one
        into a number that means nothing.
        """
        if not np.isfinite(batch).all():
            raise Permanent("an input of the network is not finite", Reason.NOT_A_NUMBER)
        pieces = [
            [output.numpy() for output in self._run(tf.constant(batch[i : i + LARGEST_BATCH], tf.float32))]
            for i in range(0, max(len(batch), 1), LARGEST_BATCH)
        ]
        logits, probabilities, explained, saliency, score = (
            np.concatenate(parts) for parts in zip(*pieces, strict=True)
        )
        if not all(np.isfinite(array).all() for array in (logits, probabilities, saliency, score)):
            raise Permanent("an output of the network is not finite", Reason.NOT_A_NUMBER)
        return Prediction(logits, probabilities, explained, saliency, score, score > self.card.ood.threshold)

    def _forward(self, batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        activation, *looked_at = self._below(batch, training=False)
        logits = self._logits(activation)
        probabilities = tf.nn.softmax(logits / self.card.temperature)
        explained = self._explained(probabilities)
        saliency = hirescam.explain(self._logits, activation, explained)
        return logits, probabilities, explained, saliency, ood.score(ood.features(looked_at), self._arrays)

    def _logits(self, activation: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._above(activation, training=False), tf.float32)

    def _explained(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Choose the label to explain: of a flagged picture the most probable one that is not normal, else normal.

        A picture that is flagged although `normal` is the most probable shows what it was flagged for.
        """
        normal = self.card.normal_index
        abnormal = probabilities - tf.one_hot(normal, len(self.card.labels)) * 2.0
        first = tf.argmax(probabilities, 1, tf.int32)
        flagged = (first != normal) | (1 - probabilities[:, normal] >= self.card.thresholds.flag)
        return tf.where(flagged, tf.argmax(abnormal, 1, tf.int32), normal)


def load(folder: Path) -> LoadedRelease:
    """Verify a release folder, load its network and compare its answers with the pinned ones.

    Raises `Permanent` (broken_release) whose detail names the file at fault.
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
        network = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise Permanent("model.keras cannot be loaded", Reason.BROKEN_RELEASE) from error
    arrays, pinned = _arrays(folder / "ood.npz"), _arrays(folder / "sentinel.npz")
    with _fitting("model.keras does not fit card.json"):
        _insist_on_shapes(network, card)
        release = LoadedRelease(card, releases.identity(folder), network, arrays)
    size, channels = card.input.size, card.input.channels
    with _fitting("ood.npz does not fit model.keras"):
        release.predict(np.zeros((1, size, size, channels), np.float32))
    with _fitting("sentinel.npz does not fit card.json"):
        _check(release, pinned)
    return release


@contextmanager
def _fitting(words: str) -> Iterator[None]:
    """Name the files at fault for whatever is raised within; want of memory is no fault of theirs."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Permanent as error:
        detail = error.detail if error.reason is Reason.BROKEN_RELEASE else f"{words}: {error.detail}"
        raise Permanent(detail, Reason.BROKEN_RELEASE) from error
    except Exception as error:
        raise Permanent(words, Reason.BROKEN_RELEASE) from error


def _insist_on_shapes(network: keras.Model, card: Card) -> None:
    taken, given = tuple(network.inputs[0].shape[1:]), tuple(network.outputs[0].shape[1:])
    if taken != (card.input.size, card.input.size, card.input.channels) or given != (len(card.labels),):
        raise ValueError(f"the network takes {taken} and gives {given}")


def _arrays(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise Permanent(f"{path.name} cannot be read", Reason.BROKEN_RELEASE) from error


def sentinel(release: LoadedRelease, pictures: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Return the arrays of sentinel.npz: canonical pictures (n, h, w) and the release's answers to them."""
    answer = release.predict(np.stack([preprocessing.to_input(picture, release.card.input) for picture in pictures]))
    return {"pictures": pictures, "probabilities": answer.probabilities, "ood_score": answer.ood_score}


def _check(release: LoadedRelease, pinned: dict[str, NDArray]) -> None:
    if missing := {"pictures", "probabilities", "ood_score"} - set(pinned):
        raise Permanent(f"sentinel.npz lacks {', '.join(sorted(missing))}", Reason.BROKEN_RELEASE)
    now = sentinel(release, pinned["pictures"])
    if any(now[name].shape != pinned[name].shape for name in now):
        raise ValueError("another number of pictures or labels")
    difference = float(np.abs(now["probabilities"] - pinned["probabilities"]).max())
    relative = float(np.abs(now["ood_score"] / pinned["ood_score"] - 1).max())
    if not (difference <= TOLERANCE and relative <= 0.02):  # what is not a number differs
        detail = f"the network's answers differ from sentinel.npz by {difference:.4f} (ood {relative:.1%})"
        raise Permanent(detail, Reason.BROKEN_RELEASE)
