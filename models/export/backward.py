"""The gradient of a network's output at a layer below it, written as forward operations: a small reverse-mode walk.

Only the kinds of layers that our networks have above the layer that is explained; others raise `Unsupported`.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from models.export import windows
from models.export.walk import Step, Unsupported, Values

ACTIVATIONS = ("linear", "relu", "relu6")
Gradient = Callable[[Step, Values, tf.Tensor], list[tf.Tensor]]


def explained_map(calls: Sequence[Step], values: Values, begin: keras.KerasTensor, seed: tf.Tensor) -> tf.Tensor:
    """Return the gradient of (last output * seed) by `begin` times its value, summed over channels: (n, rows, columns).

    All the calls follow from `begin`; `values` are those of all tensors as `walk.run` gives them, pictures as (n, rows,
    columns, channels). Raises `Unsupported` for a layer of another kind.
    """
    values = {key: _channels_first(value) for key, value in values.items()}
    flowing: Values = {id(calls[-1].output): seed}
    found = 0.0
    for step in reversed(calls):
        g = flowing.pop(id(step.output))
        if isinstance(step.layer, layers.MaxPooling2D) and step.inputs[0] is begin:
            found += _max_pooling(step, values, g, windows.maximum_map)[0]
            continue
        for tensor, part in zip(step.inputs, _rule(step)(step, values, g), strict=True):
            known = flowing.get(id(tensor))
            flowing[id(tensor)] = part if known is None else known + part
    if id(begin) in flowing:
        found += tf.reduce_sum(flowing[id(begin)] * values[id(begin)], 1, keepdims=True)
    return found[:, 0]


def _channels_first(value: tf.Tensor) -> tf.Tensor:
    return tf.transpose(value, (0, 3, 1, 2)) if value.shape.rank == 4 else value


def supported(calls: Sequence[Step]) -> None:
    """Raise `Unsupported` where some layer, or its activation, has no rule here."""
    for step in calls:
        _rule(step)
        name = getattr(getattr(step.layer, "activation", None), "__name__", "linear")
        if name not in ACTIVATIONS:
            raise Unsupported(f"{step.layer.name} has the activation {name}, whose gradient is not written out")


def _rule(step: Step) -> Gradient:
    rule = RULES.get(type(step.layer))
    if rule is None:
        raise Unsupported(f"{step.layer.name} is a {type(step.layer).__name__}, whose gradient is not written out")
    return rule


def _spread(g: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Give a gradient that is the same at all places (n, channels, 1, 1) the shape of its value."""
    return g if g.shape[1:] == like.shape[1:] else g + tf.zeros_like(like)


def _activated(step: Step, values: Values, g: tf.Tensor) -> tf.Tensor:
    """Go back through a layer's own activation."""
    y, name = values[id(step.output)], step.layer.activation.__name__
    if name == "linear":
        return _spread(g, y)
    if name == "relu":
        return tf.where(y > 0, g, 0.0)
    return tf.where((y > 0) & (y < 6), g, 0.0)  # relu6, the last of ACTIVATIONS


def _size(step: Step, values: Values) -> tuple[int, int]:
    return tuple(values[id(step.inputs[0])].shape[2:4])


def _convolution(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    layer, g = step.layer, _activated(step, values, g)
    if layer.dilation_rate != (1, 1):
        raise Unsupported(f"{layer.name} is dilated")
    size = _size(step, values)
    return [windows.convolution(g, _array(layer.kernel), size, layer.strides, layer.padding, layer.groups)]


def _depthwise(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    layer, g = step.layer, _activated(step, values, g)
    if layer.dilation_rate != (1, 1) or layer.depth_multiplier != 1:
        raise Unsupported(f"{layer.name} is dilated or multiplies its channels")
    return [windows.depthwise(g, _array(layer.kernel), _size(step, values), layer.strides, layer.padding)]


def _dense(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    return [tf.matmul(_activated(step, values, g), step.layer.kernel.value, transpose_b=True)]


def _normalisation(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    layer = step.layer
    factor = 1 / np.sqrt(_array(layer.moving_variance) + layer.epsilon)
    factor = (factor * _array(layer.gamma) if layer.scale else factor).astype(np.float32)
    return [g * tf.constant(factor[:, None, None])]


def _relu(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    layer, y = step.layer, values[id(step.output)]
    if layer.negative_slope or layer.threshold:
        raise Unsupported(f"{layer.name} is no plain ReLU")
    open_ = y > 0 if layer.max_value is None else (y > 0) & (y < float(layer.max_value))
    return [tf.where(open_, g, 0.0)]


def _max_pooling(step: Step, values: Values, g: tf.Tensor, work=windows.maximum) -> list[tf.Tensor]:
    layer, x = step.layer, values[id(step.inputs[0])]
    g = _spread(g, values[id(step.output)])
    return [work(g, x, layer.pool_size, layer.strides, layer.padding)]


def _average_pooling(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    layer, g = step.layer, _spread(g, values[id(step.output)])
    return [windows.average(g, layer.pool_size, _size(step, values), layer.strides, layer.padding)]


def _global_average(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    """Share the gradient out evenly; it is (n, channels, 1, 1) until something needs it at every place."""
    rows, columns = _size(step, values)
    return [g[:, :, None, None] / float(rows * columns)]


def _concatenate(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    if step.layer.axis not in (-1, 3):
        raise Unsupported(f"{step.layer.name} joins something else than channels")
    return tf.split(g, [tensor.shape[-1] for tensor in step.inputs], axis=1)


def _flatten(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    channels, rows, columns = values[id(step.inputs[0])].shape[1:]  # flattened with the channels last
    return [_channels_first(tf.reshape(g, (-1, rows, columns, channels)))]


def _zero_padding(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    g = _spread(g, values[id(step.output)])
    (top, bottom), (left, right) = step.layer.padding
    return [g[:, :, top : g.shape[2] - bottom, left : g.shape[3] - right]]


def _through(step: Step, values: Values, g: tf.Tensor) -> list[tf.Tensor]:
    return [g]


def _array(variable: keras.Variable) -> NDArray[np.float32]:
    with tf.init_scope():  # a variable has its value outside of what is traced only
        return np.asarray(variable.value, np.float32)


RULES: dict[type, Gradient] = {
    layers.Activation: lambda step, values, g: [_activated(step, values, g)],
    layers.Add: lambda step, values, g: [g] * len(step.inputs),
    layers.AveragePooling2D: _average_pooling,
    layers.BatchNormalization: _normalisation,
    layers.Concatenate: _concatenate,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.DepthwiseConv2D: _depthwise,
    layers.Dropout: _through,
    layers.Flatten: _flatten,
    layers.GlobalAveragePooling2D: _global_average,
    layers.MaxPooling2D: _max_pooling,
    layers.ReLU: _relu,
    layers.ZeroPadding2D: _zero_padding,
}
