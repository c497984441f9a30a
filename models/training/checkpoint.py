"""A checkpoint: everything that the next epoch depends on, in one file that appears whole or not at all."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cspine.errors import Usage

NAME = "checkpoint.npz"


@dataclass
class Progress:
    """How far a training has come. What is drawn at random follows from seed, epoch and place, or is a variable."""

    epoch: int = 0  # epochs done
    best_epoch: int = 0
    best_loss: float = float("inf")  # of the validation part
    history: list[dict[str, float]] = field(default_factory=list)  # a row an epoch


def save(folder: Path, progress: Progress, model: keras.Model, optimizer: Sequence[keras.Variable]) -> None:
    """Keep an epoch: weights, states of random generators, optimizer; and the weights apart if they are the best."""
    arrays = {f"model/{i}": np.asarray(variable) for i, variable in enumerate(model.variables)}
    if progress.best_epoch == progress.epoch:
        _write(_best(folder, progress), arrays)
    arrays |= {f"optimizer/{i}": np.asarray(variable) for i, variable in enumerate(optimizer)}
    _write(folder / NAME, {**arrays, "progress": np.array(json.dumps(asdict(progress)))})
    for path in folder.glob("best-*.npz"):
        if path != _best(folder, progress):
            path.unlink()


def restore(folder: Path, model: keras.Model, optimizer: Sequence[keras.Variable]) -> Progress:
    """Put a checkpoint into a model and an optimizer of the same recipe; without one nothing has been done yet."""
    if not (folder / NAME).exists():
        return Progress()
    with np.load(folder / NAME, allow_pickle=False) as arrays:
        _assign(arrays, "model", model.variables)
        _assign(arrays, "optimizer", optimizer)
        return Progress(**json.loads(str(arrays["progress"])))


def restore_best(folder: Path, progress: Progress, model: keras.Model) -> None:
    """Put the weights of the best epoch into a model."""
    with np.load(_best(folder, progress), allow_pickle=False) as arrays:
        _assign(arrays, "model", model.variables)


def clear(folder: Path) -> None:
    """Remove what only an interrupted training needs."""
    for path in (folder / NAME, *folder.glob("best-*.npz")):
        path.unlink(missing_ok=True)


def _best(folder: Path, progress: Progress) -> Path:
    return folder / f"best-{progress.best_epoch}.npz"


def _write(path: Path, arrays: dict[str, Any]) -> None:
    scratch = path.with_suffix(".new")
    with scratch.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _assign(arrays: Any, kind: str, variables: Sequence[keras.Variable]) -> None:
    count = sum(name.startswith(f"{kind}/") for name in arrays)
    shapes = [arrays[f"{kind}/{i}"].shape for i in range(count)]
    if shapes != [tuple(variable.shape) for variable in variables]:
        raise Usage("the checkpoint is of another network or optimizer")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"{kind}/{i}"])
