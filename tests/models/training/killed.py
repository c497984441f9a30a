"""Run by `test_killed`: train the small network, exactly, as a whole and killed and resumed, each in a process.

The processes are forked where TensorFlow is loaded and has done nothing yet: to load it takes longer than to train.
"""

import hashlib
import json
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from models.networks import NETWORKS
from models.training import checkpoint
from models.training.fit import Task, exactly, fit
from tests.models.training.small import LABELS, RECIPE, SMALL, WANTED, stripes

FORK = multiprocessing.get_context("fork")


def train(folder: Path, stop: int | None, say: Connection) -> None:
    """Train, and say a hash of the weights after each epoch; wait in the middle of epoch `stop`, to be killed there."""
    exactly()
    say.send(f"exact {is_op_determinism_enabled()} {tf.config.threading.get_intra_op_parallelism_threads()}")
    NETWORKS["small"] = SMALL
    folder.mkdir(exist_ok=True)

    def epoch_done(rows: list[dict[str, float]]) -> None:
        """Say the hash of what an epoch has left: weights, random states, optimizer."""
        with np.load(folder / checkpoint.NAME) as arrays:
            kept = b"".join(arrays[name].tobytes() for name in sorted(arrays) if name != "progress")
        say.send(f"epoch {len(rows)} {hashlib.sha256(kept).hexdigest()}")

    def step_done(epoch: int, step: int, steps: int) -> None:
        if epoch == stop and step == steps - 1:
            say.send("waiting")
            time.sleep(60)

    task = Task(stripes(12), stripes(6, seed=1), LABELS, WANTED, drawn=False)
    network = fit(task, RECIPE, 7, folder, step_done, epoch_done).network
    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in network.get_weights()))
    say.send(f"network {digest.hexdigest()}")


def trained(folder: Path, stop: int | None = None) -> tuple[list[str], int | None]:
    """Train in a process of its own, killed where it waits; return what it said and how it ended."""
    hear, say = FORK.Pipe(duplex=False)
    process = FORK.Process(target=train, args=(folder, stop, say))
    process.start()
    say.close()
    said: list[str] = []
    try:
        while "waiting" not in said:
            said.append(hear.recv())
        process.kill()
    except EOFError:
        pass
    process.join()
    return said, process.exitcode


if __name__ == "__main__":
    place = Path(sys.argv[1])
    trainings = {"whole": trained(place / "whole"), "killed": trained(place / "killed", stop=3),
                 "resumed": trained(place / "killed")}  # fmt: skip
    print(json.dumps(trainings))
