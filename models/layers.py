"""What the networks share: the lesion-map head."""

import keras


def lesion_head(x, maps: int):
    """Return the training head that marks lesions: one map a label over x (batch, rows, columns, channels), logits."""
    few = keras.initializers.Constant(-3.0)  # few cells hold a lesion
    return keras.layers.Conv2D(maps, 1, bias_initializer=few, dtype="float32", name="lesion_map")(x)
