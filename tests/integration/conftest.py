"""What tests of a whole installation need: the export of the demo release, which its workers would have to make."""

from pathlib import Path

import pytest

from cspine.commands.release import DEMO
from tests.once import once


def _export(folder: Path) -> None:
    from models.export.make import make
    from models.release import load

    folder.mkdir()
    make(load(DEMO), DEMO, folder)


@pytest.fixture(scope="session")
def demo_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the demo release once."""
    return once(tmp_path_factory, "demo-export", _export)
