"""Batches: training pictures altered a little each time, all others as they are."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.card import Input
from cspine.preprocessing import geometry, to_input
from models.training.augmentation import Augmentation, altered
from models.training.data import Samples

AHEAD = 3  # batches that are made while one is learnt
Targets = dict[str, NDArray[np.float32]]
Batch = tuple[NDArray[np.float32], Targets]


class Batches:
    """The batches of an epoch; the order and every alteration follow from seed, epoch and place."""

    def __init__(
        self, samples: Samples, wanted: Input, classes: int, batch: int, seed: int, augmentation: Augmentation | None,
        cells: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """Keep what to draw from.

        Parameters
        ----------
        augmentation
            Of the training split, which is shuffled too; None for all others.
        cells
            Rows and columns of the lesion map that the network learns, if any.
        """
        self.samples, self.wanted, self.classes, self.batch = samples, wanted, classes, batch
        self.seed, self.augmentation, self.cells = seed, augmentation, cells

    def __len__(self) -> int:
        """Count the batches; the last one may be smaller."""
        return -(-len(self.samples) // self.batch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give the batches of an epoch, counted from 0, some made ahead."""
        order = np.arange(len(self.samples))
        if self.augmentation is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        due: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(1) as thread:
            for index in range(len(self)):
                due.append(thread.submit(self._make, order, epoch, index))
                if len(due) > AHEAD:
                    yield due.popleft().result()
            while due:
                yield due.popleft().result()

    def _make(self, order: NDArray[np.int64], epoch: int, index: int) -> Batch:
        """Return pictures float32 (n, size, size, channels) and the targets by output's name."""
        chosen = order[index * self.batch : (index + 1) * self.batch]
        rng = np.random.default_rng([self.seed, epoch, index])
        pairs = [self._one(i, rng) for i in chosen]
        targets = {"logits": np.eye(self.classes, dtype=np.float32)[[self.samples.labels[i] for i in chosen]]}
        if self.cells is not None:
            targets["lesion_map"] = np.stack([maps for _, maps in pairs])
        return np.stack([picture for picture, _ in pairs]), targets

    def _one(self, i: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        picture = self.samples.pictures[i]
        lesion = self.samples.lesions[i] if self.cells is not None and self.samples.lesions is not None else None
        if self.augmentation is not None:
            picture, lesion = altered(picture, lesion, self.augmentation, rng)
        if lesion is not None and self.cells is not None:
            label = self.samples.labels[i]
            lesion = lesion_map(lesion, picture.shape, self.wanted, label, self.classes, self.cells)
        return to_input(picture, self.wanted), lesion


def lesion_map(
    lesion: NDArray[np.uint8], shape: tuple[int, ...], wanted: Input, label: int, classes: int, cells: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the target of the lesion-map head, float32 (rows, columns, classes), in the label's channel.

    A cell is certain (1) where a third of it is lesion; it is the lesion's share three times over below that.
    """
    place = geometry(shape[0], shape[1], wanted)
    square = np.zeros((wanted.size, wanted.size), np.float32)
    resized = cv2.resize(lesion.astype(np.float32), (place.width, place.height), interpolation=cv2.INTER_LINEAR)
    square[place.top : place.top + place.height, place.left : place.left + place.width] = resized
    target = np.zeros((*cells, classes), np.float32)
    target[:, :, label] = np.minimum(1, 3 * cv2.resize(square, cells[::-1], interpolation=cv2.INTER_AREA))
    return target
