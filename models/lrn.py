"""Local response normalisation across channels, as Caffe computes it."""

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="cspine", name="LRN")
class LRN(keras.layers.Layer):
    """Divide each activation by (k + alpha / n * sum of squares over n neighbouring channels) ** beta.

    The defaults are those of Caffe's AlexNet and GoogLeNet; the paper's AlexNet has k = 2 and alpha = 5e-4, since it
    does not divide by n. TensorFlow's own operation has other defaults, no bfloat16
    kernel and a gradient that costs more than a small network's convolutions; this one computes in float32 and has
    the gradient written out.

    Input and output: (batch, rows, columns, channels); the output is float32.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, **kwargs: object
    ) -> None:
        """Keep the window in channels (odd) and the constants."""
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the band matrix that sums a channel's neighbours."""
        channel = np.arange(input_shape[-1])
        self._band = np.abs(channel[:, None] - channel[None, :]) <= self.size // 2
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalise."""
        return lrn(inputs, tf.constant(self._band, tf.float32), self.alpha / self.size, self.beta, self.k)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return what makes the same layer again."""
        return {**super().get_config(), "size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}


def lrn(x: tf.Tensor, band: tf.Tensor, scale: float, beta: float, k: float = 1.0) -> tf.Tensor:
    """Return x * t**-beta with t = k + scale * (x**2 @ band), and its gradient in closed form.

    With s = t**-beta and an incoming gradient g, the gradient is g * s - 2 * scale * beta * x * (g * x * s / t) @ band.
    """

    @tf.custom_gradient
    def normalise(x: tf.Tensor) -> tuple[tf.Tensor, object]:
        t = k + scale * _summed(x * x, band)
        s = _power(t, beta)

        def gradient(g: tf.Tensor) -> tf.Tensor:
            gs = g * s
            return gs - (2.0 * scale * beta) * x * _summed(gs * x / t, band)

        return x * s, gradient

    return normalise(x)


def _summed(x: tf.Tensor, band: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(x, band[None, None], strides=1, padding="VALID")


def _power(t: tf.Tensor, beta: float) -> tf.Tensor:
    if beta == 0.75:  # two square roots cost a tenth of a general power
        root = tf.math.rsqrt(t)
        return root * tf.sqrt(root)
    return tf.pow(t, -beta)
