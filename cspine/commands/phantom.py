"""`cspine phantom`: draw phantoms with known truth."""

from pathlib import Path
from typing import cast

import click
from rich.console import Console
from rich.progress import Progress

from cspine import phantoms
from cspine.errors import Usage
from cspine.phantoms.files import Format
from cspine.phantoms.lesions import LABELS


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(min=1), required=True, help="How many to draw.")
@click.option("--seed", type=click.IntRange(min=0), required=True, help="The first one's seed; the next have the next.")
@click.option("--format", "form", type=click.Choice(["dicom", "png"]), default="dicom", show_default=True)
@click.option("--labels", default="", help="Comma-separated labels, taken in turn; by default drawn at random.")
def phantom(folder: Path, count: int, seed: int, form: str, labels: str) -> None:
    """Draw radiographs of invented necks into FOLDER, with truth.csv (file, label, level, lesion box)."""
    chosen = [label.strip() for label in labels.split(",") if label.strip()]
    if unknown := set(chosen) - set(LABELS):
        raise Usage(f"no such label: {', '.join(sorted(unknown))}; there are {', '.join(LABELS)}")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Drawing", total=count)
        phantoms.write(folder, count, seed, cast(Format, form), chosen or None,
                       progress=lambda written: bar.update(task, completed=written))  # fmt: skip
    click.echo(f"Drew {count} phantoms into {folder}; the truth is in {folder / 'truth.csv'}.")
