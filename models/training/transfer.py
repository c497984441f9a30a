"""Does transfer help? Every film of two labels judged once by each recipe, by networks that had no part of it.

The films are cut into two halves that share no patient or near-duplicate; each half is judged by networks that were
trained on the other one, a fifth of which chooses the epoch.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold

from cspine.card import Metric
from cspine.errors import Usage
from cspine.preprocessing import to_input
from cspine.settings import Settings
from models import metrics
from models.networks import NETWORKS
from models.pretrained import read as read_weights
from models.training import data, duplicates, fit, listing, reading, recipe, splitting
from models.training.data import Samples

HALVES, FIFTHS = 2, 5
Part = NDArray[np.int64]
Scores = NDArray[np.float64]


def gathered(films: Path, names: list[str], scratch: Path) -> Samples:
    """Read every film of the labels; raises `Usage` where one cannot be read."""
    entries, _ = listing.listed(films, names)
    read = reading.read(entries, Settings(), scratch, lambda done, total: None)
    if read.left_out:
        raise Usage(f"cannot be read: {listing.some([file.file for file in read.left_out])}")
    clusters = duplicates.clusters(read.pictures)
    records = [replace(record, cluster=int(number)) for record, number in zip(read.records, clusters, strict=True)]
    splitting.check_labels(records, names)
    return data.Samples(read.pictures, [names.index(record.label) for record in records], records=records)


def halves(truth: Part, groups: Part, seed: int) -> Iterator[tuple[Part, Part, Part]]:
    """Give for each half the indices that train, that choose the epoch, and that are judged."""
    nothing = np.zeros(len(truth))
    for others, judged in StratifiedGroupKFold(HALVES, shuffle=True, random_state=seed).split(nothing, truth, groups):
        inner = StratifiedGroupKFold(FIFTHS, shuffle=True, random_state=seed)
        training, validation = next(inner.split(others, truth[others], groups[others]))
        yield others[training], others[validation], judged


def taken(samples: Samples, part: Part) -> Samples:
    """Return some of the samples."""
    return Samples(
        [samples.pictures[i] for i in part], [samples.labels[i] for i in part],
        records=[samples.records[i] for i in part],
    )  # fmt: skip


def judge(how: recipe.Recipe, parts: list[Samples], names: list[str], seed: int, folder: Path) -> Scores:
    """Train by a recipe and return the probability (n,) of the second label for the films of the last part."""
    training, validation, judged = parts
    path = how.transfer.pretrained
    wanted = how.input.resolved(NETWORKS[how.network].INPUT_SIZE, read_weights(path).input if path else None)
    task = fit.Task(training, validation, names, wanted, drawn=False)

    def told(rows: list[dict[str, float]]) -> None:
        row = rows[-1]
        click.echo(f"  {folder.name} epoch {row['epoch']}/{how.epochs}: loss {row['loss']:.3f}, validation loss "
                   f"{row['validation_loss']:.3f}, {row['seconds']:.0f} s", err=True)  # fmt: skip

    network = fit.fit(task, how, seed, folder, lambda epoch, step, steps: None, told).network
    served = np.stack([to_input(picture, wanted) for picture in judged.pictures])
    logits = np.concatenate([network(served[i : i + 16], training=False).numpy() for i in range(0, len(served), 16)])
    return np.asarray(softmax(logits.astype(np.float64), axis=1)[:, 1])


def difference(first: Scores, second: Scores, sick: NDArray[np.bool_], groups: Part) -> Metric:
    """Return by how much the first scores' AUC is the greater, on the same resampled films."""

    def gain(chosen: Part) -> float:
        return metrics.area(first[chosen], sick[chosen]) - metrics.area(second[chosen], sick[chosen])

    return metrics.resampled(gain, len(sick), groups)


def said(figure: Metric) -> str:
    """Write a figure with its interval."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] n={figure.n}"
