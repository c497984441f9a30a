"""`cspine pretrained`: fetch weights that were trained elsewhere, import and list them."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cspine import releases
from cspine.commands.output import print_table
from cspine.errors import Usage
from cspine.settings import Settings
from models.pretrained.fetch import KNOWN, LENGTHS, Source
from models.pretrained.fetch import fetch as fetch_file

NETWORKS = ("alexnet", "googlenet", "inception_v3", "mobilenet_v2")
SUFFIX = ".weights.h5"


@click.group()
def pretrained() -> None:
    """Fetch, import and list weights that were trained elsewhere."""


@pretrained.command()
@click.argument("name")
@click.option("--url", help="Where a file that is not known here lies (http or https).")
@click.option("--sha1", help="The SHA-1 it must have.")
@click.option("--sha256", help="The SHA-256 it must have.")
def fetch(name: str, url: str | None, sha1: str | None, sha256: str | None) -> None:
    """Fetch the file NAME, one that is known (`pretrained list`) or one at --url with its digest."""
    if Path(name).name != name or name.startswith("."):
        raise Usage(f"{name!r} is no name of a file")
    source = _source(name, url, {"sha1": sha1, "sha256": sha256})
    path = folder() / name
    console = Console(stderr=True)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
                   console=console, disable=not console.is_terminal)  # fmt: skip
    with bar:
        task = bar.add_task(name, total=None)
        fetch_file(source, path, lambda done, total: bar.update(task, completed=done, total=total))
    click.echo(f"fetched: {path} ({source.algorithm} is right)")


def _source(name: str, url: str | None, digests: dict[str, str | None]) -> Source:
    given = {algorithm: digest for algorithm, digest in digests.items() if digest}
    if url is None:
        if given or name not in KNOWN:
            raise Usage(f"give --url and a digest, or one of the names that are known: {', '.join(KNOWN)}")
        return KNOWN[name]
    if len(given) != 1:
        raise Usage("give --sha1 or --sha256 with --url: what is fetched without one could be anything")
    ((algorithm, digest),) = given.items()
    if len(digest) != LENGTHS[algorithm] or set(digest.lower()) - set("0123456789abcdef"):
        raise Usage(f"{digest!r} is no {algorithm}")
    return Source(url, algorithm, digest)


@pretrained.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--network", type=click.Choice(NETWORKS), required=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="By default var/pretrained/<network>.")
def import_(file: Path, network: str, out: Path | None) -> None:
    """Import FILE: .caffemodel or .onnx for alexnet and googlenet, .h5 of Keras applications for the others."""
    # TensorFlow is loaded here, so that `pretrained --help` is quick
    from models.pretrained.imports import imported
    from models.pretrained.store import save

    out = out or folder() / f"{network}{SUFFIX}"
    if not out.name.endswith(SUFFIX):
        raise Usage(f"the name of a file of weights ends in {SUFFIX}, unlike {out.name}")
    weights = imported(file, network)
    save(out, weights)
    count = sum(array.size for arrays in weights.layers.values() for array in arrays)
    click.echo(f"imported: {count:,} parameters in {len(weights.layers)} layers of {network} into {out}")
    click.echo(f"sha256: {releases.file_sha256(out)}")


@pretrained.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The release's folder.")
@click.option("--calibrate", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Films of the kind that the release shall answer for, with or without folders in it.")  # fmt: skip
@click.option("--name", default="", help="The release's name; by default the folder's.")
@click.option("--version", default="1", show_default=True)
def original(file: Path, out: Path, calibrate: Path | None, name: str, version: str) -> None:
    """Make a release of FILE, an .hdf5 that the original program's notebook has written."""
    if calibrate is None:
        raise Usage(
            "give --calibrate FOLDER with films: FILE does not say what its network has seen, and without films to "
            "learn it from every picture whatsoever would get a confident label"
        )
    from models.pretrained.original_release import make

    card = make(file, calibrate, out, name or out.name, version, lambda line: click.echo(line, err=True))
    click.echo(f"The release is in {out}; its labels are {', '.join(card.names)}. {card.limits}")


@pretrained.command(name="list")
def list_() -> None:
    """List what is imported, what is fetched and what is known."""
    from models.pretrained.store import read

    rows = []
    here = sorted(folder().iterdir()) if folder().is_dir() else []
    for path in here:
        if path.name.startswith("."):
            continue
        if not path.name.endswith(SUFFIX):
            rows.append((path.name, "", "fetched", ""))
            continue
        try:
            weights = read(path)
            rows.append((path.name, weights.network, "imported", weights.origin))
        except Usage as error:
            rows.append((path.name, "", "damaged", error.detail))
    present = {path.name for path in here}
    rows += [(name, "", "known", source.url) for name, source in KNOWN.items() if name not in present]
    print_table("Weights", ("file", "network", "", "origin"), rows)


def folder() -> Path:
    """Return where fetched and imported files lie."""
    return Settings().var / "pretrained"
