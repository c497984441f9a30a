"""A training that was interrupted goes on: its state lies beside the release's folder until that one is written."""

import json
import shutil
from pathlib import Path
from typing import Any

from cspine.errors import Usage

WHAT = "what.json"


def open_state(out: Path, what: dict[str, Any], resume: bool) -> Path:
    """Return the folder of a training's state, emptied unless the training resumes.

    `what` describes options and data. Raises `Usage` where there is nothing to resume or where it began with others.
    """
    folder = out.with_name(f"{out.name}.training")
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / WHAT).write_text(json.dumps(what))
        return folder
    if not (folder / WHAT).is_file():
        raise Usage(f"there is no interrupted training in {folder}")
    if json.loads((folder / WHAT).read_text()) != what:
        raise Usage(f"the training in {folder} began with other options or other data")
    return folder


def close_state(folder: Path) -> None:
    """Remove the state of a training whose release is written."""
    shutil.rmtree(folder)
