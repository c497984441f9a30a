"""Weights out of an ONNX file of the model zoo's form (bvlcalexnet-*.onnx, googlenet-*.onnx), made from Caffe's."""

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from cspine.errors import Usage

LARGEST = 2**31  # of Protocol Buffers itself
KERNEL, BIAS = "_w_0", "_b_0"
Blobs = dict[str, list[NDArray[np.float32]]]


def read(path: Path) -> Blobs:
    """Return each layer's kernel and bias, float32 in Caffe's order of axes, by the layer's name.

    Raises `Usage` where the file is no ONNX model, keeps its tensors elsewhere, or has none under the zoo's names.
    """
    if path.stat().st_size > LARGEST:
        raise Usage(f"{path.name} is larger than an ONNX file can be")
    try:
        graph = onnx.load(path, load_external_data=False).graph
        tensors = {tensor.name: _array(tensor) for tensor in graph.initializer}
    except (DecodeError, ValueError, TypeError, OSError) as error:
        raise Usage(f"{path.name} is no ONNX model, or a damaged one: {error}") from error
    found: Blobs = {}
    for name, kernel in tensors.items():
        layer = name.removesuffix(KERNEL)
        if name.endswith(KERNEL) and (bias := tensors.get(layer + BIAS)) is not None:
            found[layer] = [kernel, bias]
    if not found:
        raise Usage(f"{path.name} has no weights under the names of the ONNX model zoo (conv1_w_0, conv1_b_0, ...)")
    return found


def _array(tensor: onnx.TensorProto) -> NDArray:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ValueError(f"{tensor.name} lies in another file")
    array = numpy_helper.to_array(tensor)
    return array.astype(np.float32) if array.dtype in (np.float16, np.float64) else array
