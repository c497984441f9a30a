"""The layers between two tensors of a Keras network, in the order in which they run."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from models.lrn import LRN

Values = dict[int, tf.Tensor]  # by the id of the Keras tensor that stands for it


class Unsupported(Exception):
    """The network has something that cannot be exported; TensorFlow runs it all the same."""


@dataclass(frozen=True)
class Step:
    """One call of one layer."""

    layer: keras.Operation
    inputs: tuple[keras.KerasTensor, ...]
    output: keras.KerasTensor
    node: object

    def run(self, values: Values) -> tf.Tensor:
        """Call the layer as in service; LRN by TensorFlow's own operation, for which OpenVINO has a kernel."""
        if isinstance(self.layer, LRN):
            one = self.layer
            return tf.nn.local_response_normalization(
                values[id(self.inputs[0])], one.size // 2, bias=one.k, alpha=one.alpha / one.size, beta=one.beta
            )
        arguments, options = self.node.arguments.fill_in(values)
        if getattr(self.layer, "_call_has_training_arg", False):  # slicing is an operation and no layer
            options["training"] = False
        return self.layer(*arguments, **options)


def steps(outputs: Sequence[keras.KerasTensor], begin: Sequence[keras.KerasTensor]) -> list[Step]:
    """Return the calls that lead from some tensors to others; raises `Unsupported` where one comes from elsewhere."""
    found: dict[int, Step] = {}
    known = {id(tensor) for tensor in begin}

    def visit(tensor: keras.KerasTensor) -> None:
        if id(tensor) in known or id(tensor) in found:
            return
        layer, index, _ = tensor._keras_history
        node = layer._inbound_nodes[index]
        if not node.input_tensors or len(node.output_tensors) != 1:
            raise Unsupported(f"{layer.name} does not follow from the layer that is explained")
        for one in node.input_tensors:
            visit(one)
        found[id(tensor)] = Step(layer, tuple(node.input_tensors), tensor, node)

    for tensor in outputs:
        visit(tensor)
    return list(found.values())


def run(calls: Sequence[Step], values: Values) -> Values:
    """Run the calls on the values of what they begin with, and return the values of all tensors."""
    values = dict(values)
    for step in calls:
        values[id(step.output)] = step.run(values)
    return values
