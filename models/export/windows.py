"""The gradients of what slides over a picture, as forward operations: convolution, pooling, along the two axes.

OpenVINO reads no gradient operation of TensorFlow. Each function here takes and gives float32 (n, channels, rows,
columns), the order in which OpenVINO computes, so that nothing is transposed on the way; every size but n is static.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

ROWS, COLUMNS = 2, 3
STEEP = 1e30  # what differs from the maximum at all differs by more than 1 / STEEP
Kernel = NDArray[np.float32]
Pair = tuple[int, int]


def before(size: int, out: int, kernel: int, stride: int, padding: str) -> int:
    """Return how many zeros TensorFlow puts before an axis of `size` that becomes `out`."""
    return max((out - 1) * stride + kernel - size, 0) // 2 if padding == "same" else 0


def convolution(g: tf.Tensor, kernel: Kernel, size: Pair, stride: Pair, padding: str, groups: int = 1) -> tf.Tensor:
    """Return the gradient of a convolution's input of `size` (rows, columns).

    It is the convolution of the incoming gradient, its values set `stride` apart, with the kernel (rows, columns,
    inputs / groups, outputs) turned by 180 degrees and its channels exchanged.
    """
    g, around = _apart(g, kernel.shape[:2], size, stride, padding)
    return tf.nn.conv2d(g, tf.constant(exchanged(kernel, groups)), 1, [[0, 0], [0, 0], *around], "NCHW")


def depthwise(g: tf.Tensor, kernel: Kernel, size: Pair, stride: Pair, padding: str) -> tf.Tensor:
    """Return the gradient of a depthwise convolution's input; the kernel is (rows, columns, channels, 1)."""
    g, around = _apart(g, kernel.shape[:2], size, stride, padding)
    turned = tf.constant(np.ascontiguousarray(kernel[::-1, ::-1]))
    g = tf.pad(g, [[0, 0], [0, 0], *around])  # OpenVINO reads no zeros around a depthwise convolution
    return tf.nn.depthwise_conv2d(g, turned, (1, 1, 1, 1), "VALID", "NCHW")


def exchanged(kernel: Kernel, groups: int) -> Kernel:
    """Turn a kernel by 180 degrees and exchange its inputs and outputs, group by group."""
    parts = np.split(kernel[::-1, ::-1], groups, axis=3)
    return np.concatenate([part.transpose(0, 1, 3, 2) for part in parts], axis=3)


def average(g: tf.Tensor, kernel: Pair, size: Pair, stride: Pair, padding: str) -> tf.Tensor:
    """Return the gradient of an average pooling's input: each window shares out its own; zeros around do not count.

    It is divided with the zeros around it, not before: a constant of the kernel's size in front of a depthwise
    convolution is taken by OpenVINO for a part of its weights.
    """
    out = (g.shape[ROWS], g.shape[COLUMNS])
    covered = [_covered(*one, padding) for one in zip(size, out, kernel, stride, strict=True)]
    g, around = _apart(g, kernel, size, stride, padding)
    g = tf.pad(g, [[0, 0], [0, 0], *around])
    shares = []
    for axis, (counts, (first, _), step) in enumerate(zip(covered, around, stride, strict=True), start=ROWS):
        share = np.zeros(g.shape[axis], np.float32)
        share[first : first + step * len(counts) : step] = 1 / counts
        shares.append(share)
    ones = tf.ones((*kernel, g.shape[1], 1))
    return tf.nn.depthwise_conv2d(g * np.outer(*shares)[None, None], ones, (1, 1, 1, 1), "VALID", "NCHW")


def maximum(g: tf.Tensor, x: tf.Tensor, kernel: Pair, stride: Pair, padding: str) -> tf.Tensor:
    """Return the gradient of a max pooling's input x: all of it goes to the first maximum of each window.

    The window's maximum is that of its rows' maxima, and the first in reading order lies first in the first such row;
    so the two axes are gone back one after the other.
    """
    rows = Window(x, COLUMNS, kernel[1], stride[1], padding)
    whole = Window(rows.greatest, ROWS, kernel[0], stride[0], padding)
    return rows.gathered(rows.shares(whole.gathered(whole.shares(g))))


def maximum_map(g: tf.Tensor, x: tf.Tensor, kernel: Pair, stride: Pair, padding: str) -> tf.Tensor:
    """Return `maximum` times x, summed over channels, as (n, 1, rows, columns), by a shorter way.

    Where a cell is the maximum of a window, x is that maximum: so gradient and maximum are multiplied window by window,
    and only sums over channels are put back in their places.
    """
    rows = Window(x, COLUMNS, kernel[1], stride[1], padding)
    whole = Window(rows.greatest, ROWS, kernel[0], stride[0], padding)
    shares = rows.shares(whole.gathered(whole.shares(g * whole.greatest)))
    return rows.gathered([tf.reduce_sum(share, 1, keepdims=True) for share in shares])


class Window:
    """A maximum along one axis."""

    def __init__(self, x: tf.Tensor, axis: int, kernel: int, stride: int, padding: str) -> None:
        """Take every window of x apart."""
        self.axis, self.kernel, self.stride, self.size = axis, kernel, stride, x.shape[axis]
        self.out = -(-self.size // stride) if padding == "same" else (self.size - kernel) // stride + 1
        self.before = before(self.size, self.out, kernel, stride, padding)
        x = _fitted(x, axis, self.before, (self.out - 1) * stride + kernel, fill=x.dtype.min)
        self.parts = [_cut(x, axis, i, i + (self.out - 1) * stride + 1, stride) for i in range(kernel)]
        self.greatest = self.parts[0]
        for part in self.parts[1:]:
            self.greatest = tf.maximum(self.greatest, part)

    def shares(self, g: tf.Tensor) -> list[tf.Tensor]:
        """Give each window's gradient to the first of its parts that is the greatest; the last takes what is left."""
        shares = []
        for part in self.parts[:-1]:
            share = tf.nn.relu(1.0 - (self.greatest - part) * STEEP) * g
            g = g - share
            shares.append(share)
        return [*shares, g]

    def gathered(self, shares: list[tf.Tensor]) -> tf.Tensor:
        """Add the shares up where they come from: part i of window o is the place o * stride + i."""
        laps = -(-self.kernel // self.stride)
        phases = []
        for phase in range(self.stride):
            met = [_fitted(shares[i], self.axis, i // self.stride, self.out + laps - 1)
                   for i in range(phase, self.kernel, self.stride)]  # fmt: skip
            phases.append(tf.add_n(met) if met else tf.zeros_like(phases[0]))
        return _fitted(_interleaved(phases, self.axis), self.axis, -self.before, self.size)


def _apart(
    g: tf.Tensor, kernel: tuple[int, ...], size: Pair, stride: Pair, padding: str
) -> tuple[tf.Tensor, list[list[int]]]:
    """Set the gradients `stride` apart; also return the zeros around them for a sliding kernel to give `size`."""
    around = []
    for axis, (k, length, step) in enumerate(zip(kernel, size, stride, strict=True), start=ROWS):
        first = k - 1 - before(length, g.shape[axis], k, step, padding)
        if step > 1:
            kept = (g.shape[axis] - 1) * step + 1
            g = _cut(_interleaved([g, *[tf.zeros_like(g)] * (step - 1)], axis), axis, 0, kept, 1)
        around.append([first, length + k - 1 - first - g.shape[axis]])
    return g, around


def _interleaved(parts: list[tf.Tensor], axis: int) -> tf.Tensor:
    """Take one of each part in turn along an axis."""
    if len(parts) == 1:
        return parts[0]
    shape = [-1, *parts[0].shape[1:]]
    shape[axis] *= len(parts)
    return tf.reshape(tf.stack(parts, axis + 1), shape)


def _fitted(x: tf.Tensor, axis: int, first: int, size: int, fill: float = 0.0) -> tf.Tensor:
    """Put `first` cells before an axis (negative: leave out as many) and fill up or cut at the end to `size`."""
    begin = max(-first, 0)
    kept = min(x.shape[axis] - begin, size - max(first, 0))
    if (begin, kept) != (0, x.shape[axis]):
        x = _cut(x, axis, begin, begin + kept, 1)
    around = [[0, 0]] * 4
    around[axis] = [max(first, 0), size - kept - max(first, 0)]
    return tf.pad(x, around, constant_values=fill) if any(around[axis]) else x


def _cut(x: tf.Tensor, axis: int, begin: int, end: int, step: int) -> tf.Tensor:
    place = [slice(None)] * 4
    place[axis] = slice(begin, end, step)
    return x[tuple(place)]


def _covered(size: int, out: int, kernel: int, stride: int, padding: str) -> NDArray[np.int64]:
    """Return how many cells of the axis each window covers."""
    begin = np.arange(out) * stride - before(size, out, kernel, stride, padding)
    return np.minimum(begin + kernel, size) - np.maximum(begin, 0)
