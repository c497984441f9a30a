"""Pictures a second of every network by every runtime beside the processor's limit: `python -m tests.bench.networks`.

The limit (roofline) is what one large float32 matrix product by numpy reaches with as many threads. It is measured by
turns with the network that is compared with it, so that what else the machine does meets both alike.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import keras
import numpy as np
import openvino
import tensorflow as tf
from numpy.typing import NDArray

from cspine import releases
from cspine.card import Card, Input
from cspine.commands.release import DEMO
from models import ood
from models.export import graph
from models.export.make import converted
from models.networks import NETWORKS
from models.runtime.openvino_runtime import OPTIONS

CLASSES = 3
BATCHES = (1, 8, 32)
SIDE = 2048  # of the matrices
TURNS = 7
BATCH = 16  # of the comparison by turns
TARGETS = {"without a map": 0.80, "with the default map": 0.65}
Run = Callable[[NDArray[np.float32]], Any]


@dataclass(frozen=True)
class Turn:
    """One turn: what the processor reached in GFLOP/s, and pictures a second of what was compared with it."""

    roofline: float
    rates: dict[str, float]


def flops(network: keras.Model) -> int:
    """Return the floating-point operations of one picture: two for each product in convolutions and dense layers."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D):
            places = int(np.prod(layer.output.shape[1:3]))
            total += 2 * places * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * int(np.prod(layer.kernel.shape))
    return total


def seconds(work: Callable[[], Any], repeats: int = 1) -> float:
    """Return the time of some work after a run that is not counted, which also ends what ran before."""
    work()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - began) / repeats


def roofline(side: int = SIDE, repeats: int = 3) -> float:
    """Measure a matrix product of float32, GFLOP/s."""
    matrix = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    return 2 * side**3 / seconds(lambda: matrix @ matrix, repeats) / 1e9


def card_of(name: str, network: keras.Model) -> Card:
    """Return a card for an untrained network, the demo release's in all else."""
    size, channels = network.inputs[0].shape[2:]
    changes = {"network": name, "width": 1.0, "input": Input(size=size, channels=channels)}
    return releases.read_card(DEMO).model_copy(update=changes)


def compiled(traced: Any, precision: str = "f32") -> Run:
    """Compile a traced function as `models.runtime.openvino_runtime` does."""
    options = OPTIONS | {"INFERENCE_PRECISION_HINT": precision}
    request = openvino.Core().compile_model(converted(traced), "CPU", options).create_infer_request()
    return lambda batch: request.infer({0: batch}, share_inputs=True)


def with_default_map(name: str, network: keras.Model) -> Any:
    """Trace all of a release's answers: probabilities, label, saliency and strangeness."""
    channels = sum(network.get_layer(layer).output.shape[-1] for layer in NETWORKS[name].STRANGENESS_LAYERS)
    sample = np.random.default_rng(0).normal(size=(300, 2 * channels)).astype(np.float32)
    return graph.trace(card_of(name, network), network, ood.fit(sample))


def runtimes(network: keras.Model, name: str) -> dict[str, Run]:
    """Return the ways to run a network: logits alone, but for the last."""
    forward = tf.function(lambda x: network(x, training=False), autograph=False, reduce_retracing=True)
    return {
        "model.predict": lambda batch: network.predict(batch, verbose=0, batch_size=len(batch)),
        "tf.function": lambda batch: forward(tf.constant(batch)).numpy(),
        "OpenVINO f32": compiled(graph.trace_logits(network)),
        "OpenVINO bf16": compiled(graph.trace_logits(network), "bf16"),
        "OpenVINO f32, with the map": compiled(with_default_map(name, network)),
    }


def pictures(network: keras.Model, count: int) -> NDArray[np.float32]:
    """Return noise in the shape of a network's input."""
    return np.random.default_rng(0).normal(size=(count, *network.inputs[0].shape[1:])).astype(np.float32)


def turns(runs: dict[str, Run], batch: NDArray[np.float32], count: int = TURNS, side: int = SIDE) -> Iterator[Turn]:
    """Measure the roofline and each run by turns."""
    for _ in range(count):
        limit = roofline(side)
        yield Turn(limit, {name: len(batch) / seconds(lambda: run(batch), 2) for name, run in runs.items()})  # noqa: B023


def shares(measured: list[Turn], work: int) -> dict[str, float]:
    """Return for each run the median of its share of the turn's roofline; `work` is the operations of a picture."""
    return {
        name: median(turn.rates[name] * work / 1e9 / turn.roofline for turn in measured) for name in measured[0].rates
    }


def parts(name: str, network: keras.Model, batch: NDArray[np.float32], count: int = 3) -> dict[str, float]:
    """Return what share of the time with the map goes into each kind of operation, the greatest first."""
    options = OPTIONS | {"INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": "YES"}
    model = openvino.Core().compile_model(converted(with_default_map(name, network)), "CPU", options)
    request, spent = model.create_infer_request(), dict[str, float]()
    for _ in range(count):
        request.infer({0: batch})
        for one in request.profiling_info:
            spent[one.node_type] = spent.get(one.node_type, 0.0) + one.real_time.total_seconds()
    whole = sum(spent.values())
    return {kind: time / whole for kind, time in sorted(spent.items(), key=lambda pair: -pair[1])}


def compare(count: int) -> None:
    """Print GoogLeNet by turns with the roofline, and where its time goes."""
    network = NETWORKS["googlenet"].build(CLASSES)
    work, batch = flops(network), pictures(network, BATCH)
    runs = {
        "without a map": compiled(graph.trace_logits(network)),
        "with the default map": compiled(with_default_map("googlenet", network)),
    }
    print(f"\nGoogLeNet, {work / 1e9:.2f} GFLOP, OpenVINO f32, batch of {BATCH}, by turns with the roofline")
    measured = []
    for turn in turns(runs, batch, count):
        measured.append(turn)
        rates = ", ".join(f"{name} {rate:.1f}/s" for name, rate in turn.rates.items())
        print(f"  roofline {turn.roofline:6.0f} GFLOP/s, {rates}", flush=True)
    for name, share in shares(measured, work).items():
        rate = median(turn.rates[name] for turn in measured)
        print(f"  {name:24} {rate:6.1f}/s, {share:.0%} of the roofline (median; the aim is {TARGETS[name]:.0%})")
    split = list(parts("googlenet", network, batch).items())[:8]
    print("  with the map, time by operation: " + ", ".join(f"{kind} {share:.0%}" for kind, share in split))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    chosen = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    compare(chosen.turns)
    limit = roofline()
    print(f"\nPictures a second at width 1, and the share of {limit:.0f} GFLOP/s, measured once")
    print(f"  {'':40}" + "".join(f"{f'batch {batch}':>16}" for batch in BATCHES))
    for name in chosen.networks:
        network = NETWORKS[name].build(CLASSES)
        work = flops(network)
        print(f"  {name}, {work / 1e9:.2f} GFLOP")
        for way, run in runtimes(network, name).items():
            rates = [len(x) / seconds(lambda: run(x), 2) for x in (pictures(network, n) for n in BATCHES)]  # noqa: B023
            print(
                f"    {way:38}" + "".join(f"{rate:9.1f} {rate * work / 1e9 / limit:5.0%} " for rate in rates),
                flush=True,
            )
        keras.utils.clear_session()
    return 0


if __name__ == "__main__":
    sys.exit(main())
