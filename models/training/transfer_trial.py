"""Is transfer worth it? `python -m models.training.transfer_trial FILMS WEIGHTS` trains with it and without."""

import tempfile
import time
from pathlib import Path

import click
import numpy as np

from cspine.errors import Usage


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
    # TensorFlow is loaded here and not in the processes that read films, which import this file
    from models import metrics
    from models.training import recipe, splitting, transfer

    recipes = {
        "transfer": recipe.read("transfer").changed({"transfer.pretrained": weights}),
        "scratch": recipe.read("scratch"),
    }
    with tempfile.TemporaryDirectory() as scratch:
        samples = transfer.gathered(films, names, Path(scratch))
        groups, truth = splitting.groups(samples.records), np.array(samples.labels)
        click.echo(f"{len(samples)} films in {len(set(groups.tolist()))} groups by patient and near-duplicate")
        scores = {}
        for name, how in recipes.items():
            started = time.monotonic()
            scores[name] = np.zeros(len(samples))
            for number, (training, validation, judged) in enumerate(transfer.halves(truth, groups, seed)):
                parts = [transfer.taken(samples, part) for part in (training, validation, judged)]
                folder = Path(scratch) / f"{name}-{number}"
                folder.mkdir()
                scores[name][judged] = transfer.judge(how, parts, names, seed, folder)
            minutes = (time.monotonic() - started) / 60
            click.echo(f"{name}: AUC {transfer.said(metrics.auc(scores[name], truth == 1, groups))}, {minutes:.1f} min")
    gain = transfer.difference(scores["transfer"], scores["scratch"], truth == 1, groups)
    click.echo(f"difference: {transfer.said(gain)}")


if __name__ == "__main__":
    main()
