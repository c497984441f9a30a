"""`cspine train`: train a network by a recipe and write a release."""

import time
from pathlib import Path

import click

from cspine import releases
from cspine.card import LabelWeight
from cspine.errors import Usage
from cspine.settings import Settings

LABELS = "normal=0,fracture=0.8,dislocation=1"
RECIPES = ", ".join(sorted(path.stem for path in (Path(__file__).parent / "recipes").glob("*.toml")))


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--phantoms", type=click.IntRange(min=9), help="Draw that many pictures for training instead.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The release's folder.")
@click.option("--config", default="modern", show_default=True, help=f"A recipe: a TOML file, or {RECIPES}.")
@click.option("--network", help="alexnet, googlenet, inception_v3 or mobilenet_v2, instead of the recipe's.")
@click.option("--width", type=float, help="Factor of the network's channels.")
@click.option("--epochs", type=click.IntRange(min=1))
@click.option("--batch", type=click.IntRange(min=1))
@click.option("--rate", type=float, help="Greatest learning rate.")
@click.option("--size", type=click.IntRange(min=32), help="Side of the input, pixels.")
@click.option("--pretrained", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Weights that `cspine pretrained` has imported.")  # fmt: skip
@click.option("--flip", type=click.FloatRange(0, 1), help="Probability to mirror a training picture (films: 0).")
@click.option("--bfloat16/--float32", "bfloat16", default=None, help="Precision of the training.")
@click.option("--deterministic", is_flag=True, default=None, help="One thread, the same bits each time.")
@click.option("--held-out", type=click.IntRange(min=9), default=300, show_default=True,
              help="Phantoms to validate on, and as many again to test on.")  # fmt: skip
@click.option("--proportions", help="Label=share of the phantoms; by default as many of each label.")
@click.option("--labels", default=LABELS, show_default=True, help="Label=weight of the urgency; the first is normal.")
@click.option("--name", default="", help="The release's name; by default the folder's.")
@click.option("--version", default="1", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--resume", is_flag=True, help="Go on with an interrupted training of the same recipe and data.")
def train(
    data: Path | None, phantoms: int | None, out: Path, config: str, network: str | None, width: float | None,
    epochs: int | None, batch: int | None, rate: float | None, size: int | None, pretrained: Path | None,
    flip: float | None, bfloat16: bool | None, deterministic: bool | None, held_out: int, proportions: str | None,
    labels: str, name: str, version: str, seed: int, resume: bool,
) -> None:  # fmt: skip
    """Train on DATA, a folder of one folder a label or a CSV list, or on --phantoms, and write a release.

    A list has the columns file and label, and may have patient, split (training, validation, test) and others. Without
    a split 15 % of the films validate and 15 % test; a patient, and pictures that resemble each other, are never in two
    of these parts. Options change the recipe. Manifests, logs and what --resume needs lie in the folder OUT.training.
    """
    if (data is None) == (phantoms is None):
        raise Usage("give either films or --phantoms")
    if data is not None and proportions is not None:
        raise Usage("--proportions is for phantoms; films come as they are")
    weights = parse_labels(labels)
    names = [label.name for label in weights]
    # TensorFlow is loaded here, so that `train --help` is quick
    from models.networks import NETWORKS
    from models.packing import check_place
    from models.pretrained import read as read_weights
    from models.training import data as source
    from models.training import recipe as recipes
    from models.training import run as runs
    from models.training.fit import Task, check, exactly, fit
    from models.training.progress import TrainingProgress
    from models.training.release import Identity, write

    precision = None if bfloat16 is None else "mixed_bfloat16" if bfloat16 else "float32"
    recipe = recipes.read(config).changed({
        "network": network, "width": width, "epochs": epochs, "batch": batch, "optimizer.rate": rate,
        "input.size": size, "transfer.pretrained": pretrained, "augmentation.flip": flip, "precision": precision,
        "deterministic": deterministic,
    })  # fmt: skip
    if recipe.network not in NETWORKS:
        raise Usage(f"no such network: {recipe.network}; there are {', '.join(NETWORKS)}")
    imported = read_weights(recipe.transfer.pretrained) if recipe.transfer.pretrained else None
    wanted = recipe.input.resolved(NETWORKS[recipe.network].INPUT_SIZE, imported.input if imported else None)
    check_place(out)
    runs.check(out, resume)
    if recipe.deterministic:
        exactly()
    check(Task(source.Samples(), source.Samples(), names, wanted, phantoms is not None), recipe)
    started = time.monotonic()
    with TrainingProgress(recipe.epochs) as progress:
        if phantoms is not None:
            counts = {"training": phantoms, "validation": held_out, "test": held_out}
            films = source.drawn(counts, seed, parse_proportions(proportions, names), progress.prepared)
        else:
            assert data is not None
            out.parent.mkdir(parents=True, exist_ok=True)
            films = source.found(
                data, names, recipe.shares.by_split, seed, Settings(), out.parent, progress.prepared, progress.lost
            )  # fmt: skip
        progress.say("pictures: " + ", ".join(f"{len(part)} for {split}" for split, part in films.splits.items())
                     + f"; {len(films.left_out)} files left out")  # fmt: skip
        run = runs.begin(out, recipe, seed, films, resume)
        task = Task(films.splits["training"], films.splits["validation"], names, wanted, phantoms is not None)

        def epoch_done(rows: list[dict[str, float]]) -> None:
            run.log(rows)
            progress.epoch(rows[-1])

        fitted = fit(task, recipe, seed, run.folder, progress.step, epoch_done)
    who = Identity(
        name=name or out.name, version=version, network=recipe.network, width=recipe.width, labels=weights,
        normal_label=names[0], demo=phantoms is not None,
    )  # fmt: skip
    card = write(out, fitted, who, wanted, films)
    run.finish(fitted.progress, releases.identity(out))
    for metric, figure in card.metrics.items():
        click.echo(f"{metric}: {figure.value:.1%} [{figure.low:.1%}, {figure.high:.1%}] n={figure.n}")
    minutes = (time.monotonic() - started) / 60
    click.echo(f"The release is in {out}; it took {minutes:.1f} min.")


def parse_labels(text: str) -> tuple[LabelWeight, ...]:
    """Parse `normal=0,fracture=0.8`."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return tuple(LabelWeight(name=name.strip(), weight=float(weight)) for name, weight in pairs)
    except ValueError as error:
        raise Usage(f"labels are written label=weight,label=weight with weights from 0 to 1, not {text!r}") from error


def parse_proportions(text: str | None, labels: list[str]) -> dict[str, int]:
    """Parse `normal=707,fracture=772,dislocation=530`, one share for each label; None: one of each."""
    if text is None:
        return dict.fromkeys(labels, 1)
    try:
        shares = {name.strip(): int(share) for name, share in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise Usage(f"proportions are written label=share,label=share with whole numbers, not {text!r}") from error
    if set(shares) != set(labels) or min(shares.values()) < 1:
        raise Usage(f"proportions need a share for each label: {', '.join(labels)}")
    return {label: shares[label] for label in labels}
