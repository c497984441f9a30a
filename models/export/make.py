"""Make the export of a release: OpenVINO's graph of all its answers, in a folder with its sums."""

from pathlib import Path

import openvino
import tensorflow as tf
from openvino.frontend import FrontEndManager
from openvino.frontend.tensorflow.utils import create_tf_graph_iterator

from cspine import releases
from models.export import graph
from models.runtime import openvino_runtime
from models.runtime.tensorflow_runtime import LoadedRelease


def make(release: LoadedRelease, folder: Path, out: Path) -> None:
    """Export a release, loaded from its folder, into the empty folder `out`; it must answer as was pinned.

    Raises `Unsupported` for a network of other layers, and what `openvino_runtime.load` raises.
    """
    traced = graph.trace(release.card, release.network, release.arrays)
    openvino.save_model(converted(traced), out / openvino_runtime.GRAPH, compress_to_fp16=False)
    openvino_runtime.load(folder, out)
    releases.seal(out)


def converted(traced: tf.types.experimental.ConcreteFunction) -> openvino.Model:
    """Convert a traced function; `openvino.convert_model` does the same and reports to its maker that it did."""
    frontend = FrontEndManager().load_by_framework("tf")
    source = create_tf_graph_iterator(traced, None, None, None, True)  # read until the end of the conversion
    loaded = frontend.load(source)
    return frontend.convert(loaded)
