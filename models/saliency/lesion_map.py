"""The lesion map, SUPERVISED: the head that training taught where drawn lesions are, where a release keeps it.

It is no explanation of the answer: the answer does not pass through it. Its figures do not compare with those of the
other methods, which were told nothing of the place.
"""

from collections.abc import Callable

import tensorflow as tf


def explain(model_fn: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Return a label's map among those that the head gives.

    Parameters
    ----------
    model_fn
        From activations to maps of logits (n, rows, columns, classes): the head alone.
    x
        Activations (n, rows, columns, channels), float.
    label
        int (n,), the label to show for each.

    Returns
    -------
    float (n, rows, columns), logits: positive where the head holds a lesion of that label likelier than none.
    """
    return tf.gather(model_fn(tf.convert_to_tensor(x)), label, axis=-1, batch_dims=1)
