"""Files as the Caffe and ONNX model zoos have them, with random weights, written apart from our readers.

Blobs are by Caffe's names and in Caffe's axes: kernels (outputs, inputs / groups, rows, columns), dense layers
(outputs, inputs) with the inputs flattened from (channels, rows, columns).
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Blobs = dict[str, list[np.ndarray]]
INCEPTION = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


class Graph:
    """An ONNX graph under construction, and the blobs of the layers in it."""

    def __init__(self, width: float, seed: int) -> None:
        """Take the factor of every layer's channels."""
        self.width, self.rng = width, np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.blobs: Blobs = {}

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add an operation and return its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weights(self, name: str, shape: tuple[int, ...]) -> list[str]:
        """Draw a kernel and a bias."""
        kernel = self.rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        bias = self.rng.normal(0, 0.3, shape[0]).astype(np.float32)
        self.blobs[name] = [kernel, bias]
        for suffix, array in (("_w_0", kernel), ("_b_0", bias)):
            self.tensors.append(numpy_helper.from_array(array, name + suffix))
        return [f"{name}_w_0", f"{name}_b_0"]

    def scaled(self, count: int) -> int:
        """Return a number of channels at this width."""
        return round(count * self.width)

    def conv(self, x: str, name: str, shape: tuple[int, ...], pad: int = 0, stride: int = 1, group: int = 1) -> str:
        """Add a convolution with ReLU."""
        made = self.node("Conv", [x, *self.weights(name, shape)], f"{name}_1", kernel_shape=shape[2:],
                         pads=[pad] * 4, strides=[stride] * 2, group=group)  # fmt: skip
        return self.node("Relu", [made], f"{name}_2")

    def lrn(self, x: str, name: str) -> str:
        """Add Caffe's local response normalisation."""
        return self.node("LRN", [x], name, size=5, alpha=1e-4, beta=0.75, bias=1.0)

    def pool(self, x: str, name: str, end: int = 0) -> str:
        """Add a pooling of 3 by step 2; `end` pads below and to the right, as the zoo writes Caffe's rounding up."""
        return self.node("MaxPool", [x], name, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, end, end])

    def flat(self, x: str, count: int) -> str:
        """Flatten as Caffe does."""
        self.tensors.append(numpy_helper.from_array(np.array([-1, count], np.int64), f"{x}_shape"))
        return self.node("Reshape", [x, f"{x}_shape"], f"{x}_flat")

    def dense(self, x: str, name: str, outputs: int, inputs: int) -> str:
        """Add a dense layer."""
        return self.node("Gemm", [x, *self.weights(name, (outputs, inputs))], f"{name}_1", transB=1)

    def model(self, logits: str, size: int) -> onnx.ModelProto:
        """Close the graph with a softmax; both it and the logits are outputs."""
        self.node("Softmax", [logits], "prob_1", axis=1)
        given = helper.make_tensor_value_info("data_0", onnx.TensorProto.FLOAT, ["n", 3, size, size])
        outputs = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in (logits, "prob_1")]
        graph = helper.make_graph(self.nodes, "zoo", [given], outputs, self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def alexnet(width: float, classes: int, seed: int = 0) -> tuple[onnx.ModelProto, Blobs]:
    """Return bvlcalexnet with random weights, for an input of 227, and its blobs."""
    g = Graph(width, seed)
    c1, c2, c3, c5, fc = (g.scaled(count) for count in (96, 256, 384, 256, 4096))
    x = g.pool(g.lrn(g.conv("data_0", "conv1", (c1, 3, 11, 11), stride=4), "norm1"), "pool1")
    x = g.pool(g.lrn(g.conv(x, "conv2", (c2, c1 // 2, 5, 5), pad=2, group=2), "norm2"), "pool2")
    x = g.conv(x, "conv3", (c3, c2, 3, 3), pad=1)
    x = g.conv(x, "conv4", (c3, c3 // 2, 3, 3), pad=1, group=2)
    x = g.pool(g.conv(x, "conv5", (c5, c3 // 2, 3, 3), pad=1, group=2), "pool5")
    x = g.node("Relu", [g.dense(g.flat(x, 36 * c5), "fc6", fc, 36 * c5)], "fc6_2")
    x = g.node("Relu", [g.dense(x, "fc7", fc, fc)], "fc7_2")
    return g.model(g.dense(x, "fc8", classes, fc), 227), g.blobs


def googlenet(width: float, classes: int, seed: int = 0) -> tuple[onnx.ModelProto, Blobs]:
    """Return googlenet with random weights, for an input of 224, and its blobs."""
    g = Graph(width, seed)
    c1, c2 = g.scaled(64), g.scaled(192)
    x = g.conv("data_0", "conv1/7x7_s2", (c1, 3, 7, 7), pad=3, stride=2)
    x = g.lrn(g.pool(x, "pool1", end=1), "norm1")
    x = g.conv(g.conv(x, "conv2/3x3_reduce", (c1, c1, 1, 1)), "conv2/3x3", (c2, c1, 3, 3), pad=1)
    x, below = g.pool(g.lrn(x, "norm2"), "pool2", end=1), c2
    for module, table in INCEPTION.items():
        one, three_reduce, three, five_reduce, five, projection = (g.scaled(count) for count in table)
        name = f"inception_{module}"
        pooled = g.node("MaxPool", [x], f"{name}/pool", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
        branches = [
            g.conv(x, f"{name}/1x1", (one, below, 1, 1)),
            g.conv(g.conv(x, f"{name}/3x3_reduce", (three_reduce, below, 1, 1)), f"{name}/3x3",
                   (three, three_reduce, 3, 3), pad=1),
            g.conv(g.conv(x, f"{name}/5x5_reduce", (five_reduce, below, 1, 1)), f"{name}/5x5",
                   (five, five_reduce, 5, 5), pad=2),
            g.conv(pooled, f"{name}/pool_proj", (projection, below, 1, 1)),
        ]  # fmt: skip
        x, below = g.node("Concat", branches, f"{name}/output", axis=1), one + three + five + projection
        if module in ("3b", "4e"):
            x = g.pool(x, f"{name}/end", end=1)
    x = g.node("AveragePool", [x], "pool5", kernel_shape=[7, 7], strides=[1, 1])
    return g.model(g.dense(g.flat(x, below), "loss3/classifier", classes, below), 224), g.blobs


def auxiliary(width: float, classes: int, seed: int = 1) -> Blobs:
    """Return the blobs of GoogLeNet's two heads for training, which only .caffemodel files have."""
    g = Graph(width, seed)
    for head, channels in ((1, 512), (2, 528)):
        g.weights(f"loss{head}/conv", (g.scaled(128), g.scaled(channels), 1, 1))
        g.weights(f"loss{head}/fc", (g.scaled(1024), g.scaled(128) * 16))
        g.weights(f"loss{head}/classifier", (classes, g.scaled(1024)))
    return g.blobs


def caffemodel(path: Path, blobs: Blobs, generation: str = "v1") -> Path:
    """Write a .caffemodel: `new` has LayerParameter and shapes, `v1` and `v0` the older layers and four dimensions."""
    out = [_bytes(1, b"a network")]
    for name, arrays in blobs.items():
        if generation == "new":
            blob = b"".join(_bytes(7, _blob(array, shape=True)) for array in arrays)
            out.append(_bytes(100, _bytes(1, name.encode()) + _bytes(2, b"Convolution") + blob + _number(10, 1)))
        elif generation == "v1":
            blob = b"".join(_bytes(6, _blob(array, shape=False)) for array in arrays)
            out.append(_bytes(2, _bytes(2, b"below") + _bytes(4, name.encode()) + _number(5, 4) + blob))
        else:
            blob = b"".join(_bytes(50, _blob(array, shape=False)) for array in arrays)
            out.append(_bytes(2, _bytes(1, _bytes(1, name.encode()) + _bytes(2, b"conv") + blob)))
    out.append(_bytes(2, _bytes(4, b"relu1")) if generation != "new" else _bytes(100, _bytes(1, b"relu1")))
    path.write_bytes(b"".join(out))
    return path


def _blob(array: np.ndarray, shape: bool) -> bytes:
    data = _bytes(5, array.astype("<f4").tobytes())
    if shape:
        return data + _bytes(7, _bytes(1, b"".join(_varint(length) for length in array.shape)))
    dimensions = (1,) * (4 - array.ndim) + array.shape  # as Caffe wrote a bias: 1, 1, 1, n
    return b"".join(_number(i + 1, length) for i, length in enumerate(dimensions)) + data


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return out + struct.pack("B", value)
