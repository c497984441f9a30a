"""Run by `test_killed`: train the small network, exactly, and print a hash of its weights after each epoch."""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from models.networks import NETWORKS
from models.training import checkpoint
from models.training.fit import Task, exactly, fit
from tests.models.training.small import LABELS, RECIPE, SMALL, WANTED, stripes

if __name__ == "__main__":
    exactly()
    print("exact", is_op_determinism_enabled(), tf.config.threading.get_intra_op_parallelism_threads(), flush=True)
    NETWORKS["small"] = SMALL
    folder = Path(sys.argv[1])

    def epoch_done(rows: list[dict[str, float]]) -> None:
        """Print the hash of what an epoch has left: weights, random states, optimizer."""
        with np.load(folder / checkpoint.NAME) as arrays:
            kept = b"".join(arrays[name].tobytes() for name in sorted(arrays) if name != "progress")
        print("epoch", len(rows), hashlib.sha256(kept).hexdigest(), flush=True)

    def step_done(epoch: int, step: int, steps: int) -> None:
        """Wait in the middle of an epoch, to be killed there."""
        if sys.argv[2:] == [str(epoch)] and step == steps - 1:
            print("waiting", flush=True)
            time.sleep(60)

    task = Task(stripes(12), stripes(6, seed=1), LABELS, WANTED, drawn=False)
    network = fit(task, RECIPE, 7, folder, step_done, epoch_done).network
    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in network.get_weights()))
    print("network", digest.hexdigest(), flush=True)
