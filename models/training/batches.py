"""Batches for Keras: training pictures altered a little each time, all others as they are."""

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from cspine.card import Input
from cspine.preprocessing import geometry, to_input
from models.training.data import MAP_STEP, Samples

SHIFT, TURN, ZOOM, GAMMA = 0.045, 5.0, 0.06, 0.25
STRIDE = 16  # of the lesion map against the input


class Batches(keras.utils.PyDataset):
    """The batches of one epoch; the order and every alteration follow from seed, epoch and place."""

    def __init__(self, samples: Samples, wanted: Input, classes: int, batch: int, seed: int, augmented: bool) -> None:
        """Keep what to draw from; `augmented` is for the training split only."""
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self.samples, self.wanted, self.classes, self.batch = samples, wanted, classes, batch
        self.seed, self.augmented = seed, augmented
        self.begin(0)

    def __len__(self) -> int:
        """Count the batches; the last one may be smaller."""
        return -(-len(self.samples) // self.batch)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Return pictures float32 (n, size, size, channels) and the targets by output's name."""
        chosen = self.order[index * self.batch : (index + 1) * self.batch]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        pairs = [self._one(i, rng) for i in chosen]
        labels = np.array([self.samples.labels[i] for i in chosen])
        targets = {"logits": np.eye(self.classes, dtype=np.float32)[labels]}
        if self.samples.lesions is not None:
            targets["lesion_map"] = np.stack([maps for _, maps in pairs])
        return np.stack([picture for picture, _ in pairs]), targets

    def begin(self, epoch: int) -> None:
        """Deal the order of an epoch, counted from 0."""
        self.epoch = epoch
        order = np.arange(len(self.samples))
        self.order = np.random.default_rng([self.seed, self.epoch]).permutation(order) if self.augmented else order

    def _one(self, i: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        picture = self.samples.pictures[i]
        lesion = self.samples.lesions[i] if self.samples.lesions is not None else None
        if self.augmented:
            picture, lesion = altered(picture, lesion, rng)
        if lesion is not None:
            lesion = lesion_map(lesion, picture.shape, self.wanted, self.samples.labels[i], self.classes)
        return to_input(picture, self.wanted), lesion


def altered(
    picture: NDArray[np.uint8], lesion: NDArray[np.uint8] | None, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Shift, turn, zoom, mirror and expose a picture (h, w) at random, and its lesion in the same way."""
    height, width = picture.shape
    move = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-TURN, TURN), 1 + rng.uniform(-ZOOM, ZOOM))
    move[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * max(height, width)
    if rng.random() < 0.5:
        move[0] = -move[0] + (0, 0, width - 1)
    gamma = np.exp(rng.uniform(-GAMMA, GAMMA))
    curve = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    picture = cv2.warpAffine(cv2.LUT(picture, curve), move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if lesion is not None:
        move[:, 2] /= MAP_STEP
        lesion = cv2.warpAffine(lesion, move, lesion.shape[::-1], flags=cv2.INTER_NEAREST)
    return picture, lesion


def lesion_map(
    lesion: NDArray[np.uint8], shape: tuple[int, ...], wanted: Input, label: int, classes: int
) -> NDArray[np.float32]:
    """Return the target of the lesion-map head, float32 (size / 16, size / 16, classes), in the label's channel.

    A cell is certain (1) where a third of it is lesion; it is the lesion's share three times over below that.
    """
    place = geometry(shape[0], shape[1], wanted)
    square = np.zeros((wanted.size, wanted.size), np.float32)
    resized = cv2.resize(lesion.astype(np.float32), (place.width, place.height), interpolation=cv2.INTER_LINEAR)
    square[place.top : place.top + place.height, place.left : place.left + place.width] = resized
    cells = wanted.size // STRIDE
    share = square[: cells * STRIDE, : cells * STRIDE].reshape(cells, STRIDE, cells, STRIDE).mean((1, 3))
    target = np.zeros((cells, cells, classes), np.float32)
    target[:, :, label] = np.minimum(1, 3 * share)
    return target
