"""The folder of a run, beside the release: manifests, logs and, until the release is written, the checkpoint."""

import csv
import hashlib
import json
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tensorflow as tf

from cspine import preprocessing
from cspine.errors import Usage
from models.training import checkpoint, manifest
from models.training.data import Data
from models.training.recipe import Recipe

LIBRARIES = ("keras", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "pydicom", "imagecodecs")
ROOT = Path(__file__).parents[2]
_SCALAR = tf.compat.v1.SummaryMetadata(data_class=1)  # what tf.summary.scalar writes, which needs TensorBoard itself
_SCALAR.plugin_data.plugin_name = "scalars"


class Run:
    """A run and what it writes down: `run.json`, `manifest.jsonl`, `left_out.jsonl`, `log.csv`, `tensorboard/`."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        """Use `begin` or `again`."""
        self.folder, self.facts = folder, facts
        self._events: tf.summary.SummaryWriter | None = None

    def log(self, rows: list[dict[str, float]]) -> None:
        """Write the rows so far, one an epoch, the last of which is new."""
        with (self.folder / "log.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        if self._events is None:
            self._events = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        with self._events.as_default():
            for name, value in rows[-1].items():
                if name != "epoch":
                    tf.summary.write(name, tf.constant(value, tf.float32), int(rows[-1]["epoch"]), _SCALAR)
        self._events.flush()

    def finish(self, progress: checkpoint.Progress, identity: str) -> None:
        """Write down the end and remove what only an interrupted training needs."""
        self.facts |= {"ended": _now(), "epochs": progress.epoch, "best_epoch": progress.best_epoch,
                       "release": identity}  # fmt: skip
        self.write()
        checkpoint.clear(self.folder)

    def write(self) -> None:
        """Write the run manifest."""
        (self.folder / "run.json").write_text(json.dumps(self.facts, indent=2) + "\n")


def folder_of(out: Path) -> Path:
    """Return where the run of a release's folder lies."""
    return out.with_name(f"{out.name}.training")


def check(out: Path, resume: bool) -> None:
    """Refuse to begin anew over an interrupted training, and to go on with none; before anything costs time."""
    folder = folder_of(out)
    facts = _facts(folder)
    if resume and not facts:
        raise Usage(f"there is no interrupted training in {folder}")
    if resume and "ended" in facts:
        raise Usage(f"the training in {folder} has ended; without --resume another one begins")
    if (folder / checkpoint.NAME).is_file() and not resume and "ended" not in facts:
        raise Usage(f"an interrupted training lies in {folder}: go on with --resume, or remove that folder")


def begin(out: Path, recipe: Recipe, seed: int, data: Data, resume: bool) -> Run:
    """Open the run's folder: a new one, or that of an interrupted training of the same recipe, seed and data."""
    folder = folder_of(out)
    what = {"recipe": recipe.model_dump(mode="json"), "seed": seed,
            "data_manifest_sha256": manifest.sha256(data.records)}  # fmt: skip
    if recipe.transfer.pretrained is not None:
        what["pretrained_sha256"] = _file_sha256(recipe.transfer.pretrained)
    if resume:
        facts = _facts(folder)
        if other := [name for name in what if facts.get(name) != what[name]]:
            raise Usage(f"the training in {folder} began with another {', '.join(other)}")
        run = Run(folder, facts | {"resumed": [*facts["resumed"], _now()]})
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        manifest.write(folder, data.records, data.left_out)
        run = Run(folder, {**what, "pictures": data.counts, "code": _code(), "versions": _versions(),
                           "machine": _machine(), "started": _now(), "resumed": []})  # fmt: skip
    run.write()
    return run


def _facts(folder: Path) -> dict[str, Any]:
    """Read a run's manifest; empty where there is none."""
    try:
        return dict(json.loads((folder / "run.json").read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise Usage(f"{folder / 'run.json'} cannot be read: remove {folder} and begin anew") from error


def _code() -> dict[str, Any]:
    """Return the commit and whether files differ from it; nulls where this is no checkout."""
    try:
        commit, changed = (
            subprocess.run(
                ["git", "-C", str(ROOT), *command], capture_output=True, check=True, text=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(changed)}


def _versions() -> dict[str, str]:
    versions = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "tensorflow": tf.__version__, **versions,
            "preprocessing": preprocessing.VERSION}  # fmt: skip


def _machine() -> dict[str, Any]:
    return {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count(),
            "gpus": [device.name for device in tf.config.list_physical_devices("GPU")]}  # fmt: skip


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
