"""`cspine export`: make and store what runs a release without TensorFlow."""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cspine import export_store, release_store
from cspine.blobs import BlobStore
from cspine.errors import Permanent, Usage
from cspine.reasons import Reason
from cspine.settings import Settings

if TYPE_CHECKING:
    from models.runtime.tensorflow_runtime import LoadedRelease


@click.command()
@click.argument("identity")
@click.option(
    "--load",
    type=click.Choice(["enough", "only"]),
    help="`enough`: end well, too, where it loads and cannot be exported; `only`: do no more than load it.",
)
def export(identity: str, load: str | None) -> int:
    """Export the imported release of this IDENTITY (in full) for OpenVINO; `release activate` does so by itself.

    Before that TensorFlow loads it and answers its pinned pictures.
    """
    if load is None and not available():
        raise Usage("openvino is not installed here")
    settings = Settings()
    blobs = BlobStore(settings.blobs)
    folder = release_store.fetch(blobs, identity, settings.var.absolute() / "cache")
    # TensorFlow is loaded here, so that `--help` is quick
    from models import release

    try:
        loaded = release.load(folder)
    except MemoryError as error:
        raise Permanent("no room for the network", Reason.OUT_OF_MEMORY) from error
    why = None if load == "only" else unexported(loaded, folder, blobs)
    if why is None:
        click.echo(f"{'loaded' if load == 'only' else 'exported'}: {identity[:12]}")
        return 0
    click.echo(f"TensorFlow runs this release, it cannot be exported here: {why}", err=True)
    return 0 if load == "enough" else 1


def available() -> bool:
    """Say whether OpenVINO is installed; it is not imported."""
    return find_spec("openvino") is not None


def unexported(release: "LoadedRelease", folder: Path, blobs: BlobStore) -> str | None:
    """Make and store the export of a loaded release; return why there is none, else null."""
    if not available():
        return "openvino is not installed"
    from models.export.make import make
    from models.export.walk import Unsupported
    from models.runtime.openvino_runtime import BadExport, export_name

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        try:
            make(release, folder, out)
        except (Unsupported, BadExport) as error:
            return str(error)
        except MemoryError:
            return "there is too little memory"
        export_store.store(blobs, release.identity, export_name(), out)
    return None
