"""`cspine train`: train a network and write a release."""

import time
from dataclasses import asdict
from pathlib import Path

import click

from cspine.card import Input, LabelWeight
from cspine.errors import Usage
from cspine.settings import Settings

LABELS = "normal=0,fracture=0.8,dislocation=1"


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@click.option("--phantoms", type=click.IntRange(min=9), help="Draw that many pictures for training instead.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The release's folder.")
@click.option("--network", default="googlenet", show_default=True)
@click.option("--width", type=float, default=0.5, show_default=True, help="Factor of the network's channels.")
@click.option("--epochs", type=click.IntRange(min=1), default=14, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--rate", type=float, default=7e-4, show_default=True, help="Greatest learning rate.")
@click.option("--size", type=click.IntRange(min=32), default=224, show_default=True, help="Side of the input, pixels.")
@click.option("--held-out", type=click.IntRange(min=9), default=300, show_default=True,
              help="Phantoms to validate on, and as many again to test on.")  # fmt: skip
@click.option("--labels", default=LABELS, show_default=True, help="Label=weight of the urgency; the first is normal.")
@click.option("--name", default="", help="The release's name; by default the folder's.")
@click.option("--version", default="1", show_default=True)
@click.option("--bfloat16/--float32", default=True, show_default=True, help="Precision of the training.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--resume", is_flag=True, help="Go on with an interrupted training of the same options and data.")
def train(
    data: Path | None, phantoms: int | None, out: Path, network: str, width: float, epochs: int, batch: int,
    rate: float, size: int, held_out: int, labels: str, name: str, version: str, bfloat16: bool, seed: int,
    resume: bool,
) -> None:  # fmt: skip
    """Train on DATA, one folder a label, or on --phantoms, and write a release.

    Three in twenty files of DATA validate and as many test; a patient is never in two of these parts. An interrupted
    training leaves its state in a folder beside OUT, from which --resume goes on.
    """
    if (data is None) == (phantoms is None):
        raise Usage("give either a folder of pictures or --phantoms")
    weights = parse_labels(labels)
    # TensorFlow is loaded here, so that `train --help` is quick
    from models.networks import NETWORKS
    from models.training import data as source
    from models.training.fit import Recipe, fit
    from models.training.progress import TrainingProgress
    from models.training.release import Identity, check_place, write
    from models.training.resume import close_state, open_state

    if network not in NETWORKS:
        raise Usage(f"no such network: {network}; there are {', '.join(NETWORKS)}")
    check_place(out)
    started = time.monotonic()
    names = [label.name for label in weights]
    wanted = Input(size=size, channels=1)
    recipe = Recipe(width=width, epochs=epochs, batch=batch, rate=rate, bfloat16=bfloat16, seed=seed)
    with TrainingProgress(epochs) as progress:
        if phantoms is not None:
            counts = {"training": phantoms, "validation": held_out, "test": held_out}
            splits = source.drawn(counts, seed, names, progress.prepared)
        else:
            assert data is not None
            splits = source.found(data, names, Settings(), progress.prepared, progress.say)
        progress.say("pictures: " + ", ".join(f"{len(samples)} for {split}" for split, samples in splits.items()))
        what = {"network": network, "input": wanted.model_dump(), "recipe": asdict(recipe),
                "data": source.manifest_sha256(splits)}  # fmt: skip
        state = open_state(out, what, resume)
        model = fit(NETWORKS[network], recipe, splits["training"], splits["validation"], wanted, len(names),
                    progress.trained, state)  # fmt: skip
    who = Identity(
        name=name or out.name, version=version, network=network, width=width, labels=weights,
        normal_label=names[0], demo=phantoms is not None,
    )  # fmt: skip
    card = write(out, model, who, wanted, splits)
    close_state(state)
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
