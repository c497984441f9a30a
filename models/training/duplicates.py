"""Near-duplicates: pictures that are one film copied, rescaled, re-encoded, exposed anew, cropped a little or mirrored.

A perceptual hash of 64 bits (Zauner 2010: signs of the lowest frequencies of a 32x32 cosine transform) names
candidates, and the correlation of 64x64 pictures, the one moved over the other, decides. What the thresholds find and
spare was measured: docs/decisions/028-near-duplicates.md.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BITS = 16  # of 64 that the hashes of two candidates may differ in
ROUGH = 0.85  # correlation of 32x32 pictures below which a candidate is not looked at again
CORRELATION = 0.95
MOVED = 4  # pixels of 64 that one may be moved against the other
ROWS = 512  # of the table of all pairs, looked at together: for 20,000 pictures 80 MB of hashes

Picture = NDArray[np.uint8]


def clusters(pictures: Sequence[Picture]) -> NDArray[np.int64]:
    """Return a cluster's number, int64 (n,), for each picture, uint8 (h, w); near-duplicates share one.

    Clusters are transitive: two pictures that a third one resembles share its cluster.
    """
    pairs = np.array(list(near_duplicates(pictures)), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(pictures), len(pictures)))
    _, found = connected_components(graph, directed=False)
    return found.astype(np.int64)


def near_duplicates(pictures: Sequence[Picture]) -> Iterator[tuple[int, int]]:
    """Give each pair (i, j), i < j, of pictures of which j, as it is or mirrored, shows what i shows."""
    if len(pictures) < 2:
        return
    fine, rough = (np.stack([_shrunk(picture, side) for picture in pictures]) for side in (64, 32))
    hashes, standard = _hashes(rough), standardised(rough)
    for step in (1, -1):
        turned = rough[:, :, ::step]
        other_hashes, other_standard = _hashes(turned), standardised(turned)
        for first in range(0, len(pictures), ROWS):
            block = slice(first, first + ROWS)
            near = np.bitwise_count(hashes[block, None] ^ other_hashes[None, :]) <= BITS
            near &= standard[block] @ other_standard.T >= ROUGH
            for i, j in zip(*np.nonzero(np.triu(near, first + 1)), strict=True):
                if aligned(fine[first + i], fine[j][:, ::step]) >= CORRELATION:
                    yield int(first + i), int(j)


def perceptual_hash(picture: Picture) -> np.uint64:
    """Return 64 bits: which of the 8x8 lowest frequencies of a picture, uint8 (h, w), lie above their median."""
    frequencies = cv2.dct(_shrunk(picture, 32).astype(np.float32))[:8, :8].ravel()
    return np.packbits(frequencies > np.median(frequencies[1:])).view(np.uint64)[0]  # the first is the mean


def aligned(first: Picture, second: Picture) -> float:
    """Return the greatest correlation of the middle of one picture, uint8 (64, 64), with any place of the other."""
    middle = slice(MOVED, -MOVED)
    return max(
        float(cv2.matchTemplate(np.ascontiguousarray(whole), np.ascontiguousarray(part[middle, middle]),
                                cv2.TM_CCOEFF_NORMED).max())
        for whole, part in ((first, second), (second, first))
    )  # fmt: skip


def standardised(pictures: Picture) -> NDArray[np.float32]:
    """Return pictures, uint8 (n, side, side), as float32 (n, side * side) whose products are Pearson's correlations.

    A blank one correlates with nothing.
    """
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), np.float32(1e-3))


def _hashes(pictures: Picture) -> NDArray[np.uint64]:
    return np.array([perceptual_hash(picture) for picture in pictures], np.uint64)


def _shrunk(picture: Picture, side: int) -> Picture:
    if picture.shape == (side, side):
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
