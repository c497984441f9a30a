"""`cspine export`: make and store what runs a release without TensorFlow."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from cspine import export_store, release_store
from cspine.blobs import BlobStore
from cspine.errors import Usage
from cspine.settings import Settings


@click.command()
@click.argument("identity")
def export(identity: str) -> int:
    """Export the imported release of this IDENTITY (in full) for OpenVINO; `release activate` does so by itself."""
    if find_spec("openvino") is None:
        raise Usage("openvino is not installed here")
    settings = Settings()
    blobs = BlobStore(settings.blobs)
    folder = release_store.fetch(blobs, identity, settings.var.absolute() / "cache")
    # TensorFlow is loaded here, so that `--help` is quick
    from models.export.make import make
    from models.export.walk import Unsupported
    from models.runtime.openvino_runtime import export_name

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        try:
            make(folder, out)
        except Unsupported as error:
            click.echo(f"TensorFlow runs this release, it cannot be exported: {error}", err=True)
            return 1
        export_store.store(blobs, identity, export_name(), out)
    click.echo(f"exported: {identity[:12]} as {export_name()}")
    return 0
