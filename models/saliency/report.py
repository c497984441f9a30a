"""`python -m models.saliency.report RELEASE`: what every method and every simple map is worth, on unseen phantoms."""

import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from cspine import phantoms, preprocessing, saliency
from models import metrics
from models.release import LoadedRelease, load
from models.saliency import pointing
from models.saliency.explainer import Explainer
from models.saliency.head import read_head
from models.saliency.insertion import area, curve
from models.saliency.randomisation import Scrambled, cascade

FIRST_SEED = 3_000_000  # far below where training draws from
MEAN_SEED = 4_000_000  # of the phantoms that give the mean position of lesions
MEAN_COUNT = 200
Floats = NDArray[np.float32]


@dataclass
class Row:
    """The figures of one method or simple map, a value a picture."""

    hits: list[bool] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    insertion: list[float] = field(default_factory=list)
    deletion: list[float] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Cases:
    """Unseen phantoms with a lesion that the release names rightly."""

    batch: Floats  # (n, size, size, channels)
    labels: NDArray[np.int32]  # (n,)
    masks: NDArray[np.bool_]  # (n, size, size), with their margin


@click.command()
@click.argument("folder", metavar="RELEASE", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(min=4), default=300, show_default=True, help="Phantoms with a lesion.")
@click.option("--slow", type=click.IntRange(min=2), default=100, show_default=True, help="Of those, for slow methods.")
@click.option("--curves", type=click.IntRange(min=0), default=50, show_default=True, help="For insertion, deletion.")
@click.option("--randomised", type=click.IntRange(min=2), default=20, show_default=True, help="For randomisation.")
def report(folder: Path, count: int, slow: int, curves: int, randomised: int) -> None:
    """Measure hit rate, overlap, insertion, deletion and randomisation of every method on unseen phantoms."""
    release = load(folder)
    head = read_head(folder)
    explainer = Explainer(release.card.network, release.network, head)
    cases = draw(release, count)
    click.echo(f"{release.card.name} {release.card.version} {release.identity[:12]}: of {count} unseen phantoms with a "
               f"lesion {len(cases.labels)} are named rightly")  # fmt: skip
    fast = [name for name in explainer.methods if saliency.METHODS[name].cost == "one pass"]
    click.echo("map                    n    hit [95 %]            IoU [95 %]            insertion  deletion  n    ms")
    for name in explainer.methods:
        chosen = first(cases, count if name in fast else slow)
        began = time.perf_counter()
        maps = [explainer.explain(name, chosen.batch[i : i + 1], chosen.labels[i : i + 1])[0]
                for i in range(len(chosen.labels))]  # fmt: skip
        seconds = time.perf_counter() - began
        show(name, measure(explainer, chosen, maps, curves, seconds))
    simple = pointing.baselines(pointing.mean_position(lesions(release, MEAN_SEED, MEAN_COUNT)))
    for name, draw_map in simple.items():
        maps = [draw_map(picture) for picture in cases.batch]
        show(f"({name})", measure(explainer, cases, maps, curves, 0.0))
    scrambled = Scrambled(release.card.network, release.network, head)
    click.echo("randomisation          n    pass  SSIM: pairs  after each part, from the logits down; Spearman, of |.|")
    for name in explainer.methods:
        few = first(cases, randomised if name in fast else min(randomised, 8))
        found = cascade(explainer, scrambled, name, few.batch, few.labels, 6 if name in fast else 2)
        last, way = found.stages[-1], " ".join(f"{stage.ssim:.2f}" for stage in found.stages)
        passed = "yes" if found.passed else "NO"
        click.echo(f"{name:<22} {len(few.labels):<4} {passed:<5} {found.pairs_ssim:.2f}         {way}; "
                   f"{last.spearman:+.2f}, {last.spearman_abs:+.2f}")  # fmt: skip


def draw(release: LoadedRelease, count: int) -> Cases:
    """Draw unseen phantoms, each with a lesion, and keep those that the release names rightly."""
    card = release.card
    wrong = [name for name in card.names if name != card.normal_label]
    drawn = [phantoms.draw(FIRST_SEED + i, wrong[i % len(wrong)]) for i in range(count)]
    batch = np.stack([preprocessing.to_input(phantom.pixels, card.input) for phantom in drawn])
    labels = np.array([card.names.index(phantom.label) for phantom in drawn], np.int32)
    right = release.predict(batch).probabilities.argmax(1) == labels
    masks = np.stack([pointing.in_square(phantom.mask, card.input) for phantom in drawn])
    return Cases(batch[right], labels[right], masks[right])


def lesions(release: LoadedRelease, first_seed: int, count: int) -> NDArray[np.bool_]:
    """Return the masks of other phantoms, in the network's square."""
    wrong = [name for name in release.card.names if name != release.card.normal_label]
    masks = (phantoms.draw(first_seed + i, wrong[i % len(wrong)]).mask for i in range(count))
    return np.stack([pointing.in_square(mask, release.card.input) for mask in masks])


def first(cases: Cases, count: int) -> Cases:
    """Return the first cases."""
    return Cases(cases.batch[:count], cases.labels[:count], cases.masks[:count])


def measure(explainer: Explainer, cases: Cases, maps: list[Floats], curves: int, seconds: float) -> Row:
    """Measure maps, one a case; the curves of the first ones only."""
    row = Row(seconds=seconds)
    for i, (grid, mask) in enumerate(zip(maps, cases.masks, strict=True)):
        row.hits.append(pointing.hit(grid, mask))
        row.overlaps.append(pointing.iou(grid, mask))
        if i < curves:
            probability = partial(_probability, explainer, int(cases.labels[i]))
            row.insertion.append(area(curve(probability, cases.batch[i], grid, "insertion")))
            row.deletion.append(area(curve(probability, cases.batch[i], grid, "deletion")))
    return row


def show(name: str, row: Row) -> None:
    """Print a row of the table."""
    hits, n = metrics.wilson(sum(row.hits), len(row.hits)), len(row.hits)
    low, high = mean_interval(row.overlaps)
    areas = f"{np.mean(row.insertion):<10.3f} {np.mean(row.deletion):<9.3f} {len(row.insertion):<4}" if row.insertion \
        else f"{'':<25}"  # fmt: skip
    each = f" {1000 * row.seconds / n:.0f}" if row.seconds else ""
    click.echo(f"{name:<22} {n:<4} {hits.value:6.1%} [{hits.low:.1%}, {hits.high:.1%}]  "
               f"{np.mean(row.overlaps):.3f} [{low:.3f}, {high:.3f}]  {areas}{each}")  # fmt: skip


def mean_interval(values: list[float], draws: int = 1000) -> tuple[float, float]:
    """Return the 95 % interval of a mean by bootstrap."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (draws, len(values))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _probability(explainer: Explainer, label: int, pictures: Floats) -> Floats:
    return softmax(explainer.logits(pictures), axis=1)[:, label]


if __name__ == "__main__":
    report()
