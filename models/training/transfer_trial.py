"""Is transfer worth it? `python -m models.training.transfer_trial FILMS WEIGHTS` trains with and without, and compares.

FILMS has one folder a label, of two. They are cut into two halves that share no patient or near-duplicate; each half is
judged by networks that were trained on the other one, a fifth of which chooses the epoch. So every film is judged once
by either recipe, on nothing that had a part in its training.
"""

import tempfile
import time
from collections.abc import Iterator
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
from models.training.manifest import Record

HALVES, FIFTHS = 2, 5


@click.command()
@click.argument("films", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--labels", default="no_findings,pneumonia", show_default=True, help="Two; the second is looked for.")
@click.option("--seed", type=int, default=1, show_default=True)
def main(films: Path, weights: Path, labels: str, seed: int) -> None:
    """Train on FILMS with WEIGHTS, which `cspine pretrained import` has made, and from scratch; print both AUC."""
    names = labels.split(",")
    if len(names) != 2:
        raise Usage(f"two labels are compared, not {labels!r}")
    recipes = {
        "transfer": recipe.read("transfer").changed({"transfer.pretrained": weights}),
        "scratch": recipe.read("scratch"),
    }
    with tempfile.TemporaryDirectory() as scratch:
        samples = gathered(films, names, Path(scratch))
        groups, truth = splitting.groups(samples.records), np.array(samples.labels)
        click.echo(f"{len(samples)} films in {len(set(groups.tolist()))} groups by patient and near-duplicate")
        scores = {}
        for name, how in recipes.items():
            started = time.monotonic()
            scores[name] = np.zeros(len(samples))
            for number, (training, validation, judged) in enumerate(halves(truth, groups, seed)):
                parts = [taken(samples, part) for part in (training, validation, judged)]
                folder = Path(scratch) / f"{name}-{number}"
                folder.mkdir()
                scores[name][judged] = judge(how, parts, names, seed, folder)
            minutes = (time.monotonic() - started) / 60
            click.echo(f"{name}: AUC {said(metrics.auc(scores[name], truth == 1, groups))}, {minutes:.1f} min")
    click.echo(f"difference: {said(difference(scores['transfer'], scores['scratch'], truth == 1, groups))}")


def gathered(films: Path, names: list[str], scratch: Path) -> Samples:
    """Read every film of the labels; raises `Usage` where one cannot be read."""
    entries, _ = listing.listed(films, names)
    read = reading.read(entries, Settings(), scratch, lambda done, total: None)
    if read.left_out:
        raise Usage(f"cannot be read: {listing.some([file.file for file in read.left_out])}")
    clusters = duplicates.clusters(read.pictures)
    records = [
        Record(**{**vars(record), "cluster": int(cluster)})
        for record, cluster in zip(read.records, clusters, strict=True)
    ]
    splitting.check_labels(records, names)
    return data.Samples(read.pictures, [names.index(record.label) for record in records], records=records)


Part = NDArray[np.int64]


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


def judge(how: recipe.Recipe, parts: list[Samples], names: list[str], seed: int, folder: Path) -> NDArray[np.float64]:
    """Train by a recipe and return the probability (n,) of the second label for the films of the last part."""
    training, validation, judged = parts
    path = how.transfer.pretrained
    wanted = how.input.resolved(NETWORKS[how.network].INPUT_SIZE, read_weights(path).input if path else None)
    task = fit.Task(training, validation, names, wanted, drawn=False)

    def told(rows: list[dict[str, float]]) -> None:
        row = rows[-1]
        click.echo(f"  {folder.name} epoch {row['epoch']}/{how.epochs}: loss {row['loss']:.3f}, validation loss "
                   f"{row['validation_loss']:.3f}, {row['seconds']:.0f} s", err=True)  # fmt: skip

    network, _ = fit.fit(task, how, seed, folder, lambda epoch, step, steps: None, told)
    logits = network.predict(np.stack([to_input(picture, wanted) for picture in judged.pictures]), 16, verbose=0)
    return np.asarray(softmax(logits.astype(np.float64), axis=1)[:, 1])


def difference(
    first: NDArray[np.float64], second: NDArray[np.float64], sick: NDArray[np.bool_], groups: Part
) -> Metric:
    """Return by how much the first scores' AUC is the greater, on the same resampled films."""

    def gain(chosen: Part) -> float:
        return metrics.area(first[chosen], sick[chosen]) - metrics.area(second[chosen], sick[chosen])

    return metrics.resampled(gain, len(sick), groups)


def said(figure: Metric) -> str:
    """Write a figure with its interval."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] n={figure.n}"


if __name__ == "__main__":
    main()
