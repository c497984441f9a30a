"""A release run by OpenVINO on its export: the runtime of a processor. No TensorFlow is imported here."""

from importlib import metadata
from pathlib import Path

import openvino
from numpy.typing import NDArray

from cspine import preprocessing, releases
from cspine.card import Card
from cspine.errors import Permanent
from cspine.reasons import Reason
from models.runtime import sentinel
from models.runtime.release import OUTPUTS, Floats, Release
from models.runtime.sentinel import Precision

GRAPH = "graph.xml"
OPTIONS = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "ENABLE_CPU_PINNING": "NO"}
EXPORTER = 2  # the version of `models.export`; raise it where the same release shall be exported anew


class BadExport(Exception):
    """The export is not what OpenVINO reads, or not that of the release; another one has to be made."""


class OpenVINORelease(Release):
    """A release whose export is compiled for this machine's processor."""

    runtime = "OpenVINO"

    def __init__(self, card: Card, identity: str, graph: Path, precision: Precision = "f32", threads: int = 0) -> None:
        """Compile a graph; `threads` 0 means one for each core.

        One request at a time, with all threads: the worker has one batch in hand, and its latency is what counts. No
        thread is tied to a core: with the decoders at work on the same cores that cost a quarter of the rate.
        Raises `BadExport`.
        """
        self.card, self.identity = card, identity
        options = OPTIONS | {"INFERENCE_PRECISION_HINT": precision}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            compiled = openvino.Core().compile_model(graph, "CPU", options)
            self._request = compiled.create_infer_request()
            self._places = [compiled.output(name) for name in OUTPUTS]
        except RuntimeError as error:
            _insist_on_memory(error)
            raise BadExport("the graph cannot be read") from error
        size, channels = card.input.size, card.input.channels
        if compiled.input(0).partial_shape != openvino.PartialShape([-1, size, size, channels]):
            raise BadExport("the graph takes another input")

    def outputs(self, batch: Floats) -> tuple[NDArray, ...]:
        """Return the outputs for a batch."""
        try:
            found = self._request.infer({0: batch}, share_inputs=True)
        except RuntimeError as error:
            _insist_on_memory(error)
            raise
        return tuple(found[place] for place in self._places)


def load(folder: Path, export: Path, precision: Precision = "f32", threads: int = 0) -> OpenVINORelease:
    """Load the export of a release, whose folder was verified, and compare its answers with the pinned ones.

    Raises `Permanent`, broken_release or sentinel_failed, and `BadExport`.
    """
    card = releases.read_card(folder)
    if card.preprocessing != preprocessing.VERSION:
        detail = f"card.json asks for preprocessing {card.preprocessing}, here is {preprocessing.VERSION}"
        raise Permanent(detail, Reason.BROKEN_RELEASE)
    release = OpenVINORelease(card, releases.identity(folder), export / GRAPH, precision, threads)
    sentinel.check(release, sentinel.read(folder / "sentinel.npz"), precision)
    return release


def export_name() -> str:
    """Return the name of exports that this exporter makes and this OpenVINO reads."""
    return f"openvino-{metadata.version('openvino')}-{EXPORTER}"


def _insist_on_memory(error: RuntimeError) -> None:
    """Tell want of memory, which OpenVINO raises like anything else."""
    if "bad_alloc" in str(error) or "allocate" in str(error):
        raise MemoryError("no room for the network") from error
