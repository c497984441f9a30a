"""What a release takes for its own kind: `python -m models.training.ood_trial RELEASE [FOLDER...]`, share by share.

Each FOLDER of films is a kind of its own. Phantoms of seeds that no training draws stand for the demo release's kind.
"""

import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np

from cspine import phantoms
from cspine.errors import Usage

OWN_SEED = 5_000_000
STRANGERS = 100


@click.command()
@click.argument("release", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--unseen", type=click.IntRange(min=1), default=1000, show_default=True, help="Phantoms to be accepted.")
def main(release: Path, folders: tuple[Path, ...], unseen: int) -> None:
    """Print which share of each kind of pictures RELEASE rejects as out of distribution."""
    found = {folder: sorted(path for path in folder.rglob("*") if path.is_file()) for folder in folders}
    if empty := [str(folder) for folder, paths in found.items() if not paths]:
        raise Usage(f"no file lies in {', '.join(empty)}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        drawn = pool.map(phantoms.draw, range(OWN_SEED, OWN_SEED + unseen), chunksize=8)
        kinds = {"unseen phantoms": [phantom.pixels for phantom in drawn]}
    # TensorFlow is loaded here and not in the processes that draw and read, which import this file
    from cspine.settings import Settings
    from models import metrics
    from models.release import load
    from models.training import reading, strangers
    from models.training.data import Samples
    from models.training.listing import Entry
    from models.training.release import predict

    for folder, paths in found.items():
        entries = [Entry(path, str(path.relative_to(folder)), "") for path in paths]
        films = reading.read(entries, Settings(), Path(tempfile.gettempdir()), lambda done, total: None)
        kinds[f"{folder.parent.name}/{folder.name}"] = films.pictures
        for file in films.left_out:
            click.echo(f"left out: {file.file} ({file.reason})", err=True)
        if not films.pictures:
            raise Usage(f"none of the {len(paths)} files in {folder} can be read")
    for name, make in strangers.KINDS.items():
        kinds[name] = make(STRANGERS, np.random.default_rng(0))
    loaded = load(release)
    for name, pictures in kinds.items():
        share = metrics.proportion(predict(loaded, Samples(pictures)).ood)
        click.echo(f"{name}: {share.value:.1%} rejected [{share.low:.1%}, {share.high:.1%}] n={share.n}")


if __name__ == "__main__":
    main()
