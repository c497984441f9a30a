"""Run by test_keras_2.py in an environment with Keras 2: writes the original program's network and its answers.

Arguments: the .hdf5 to write, a file of pictures (`x`, float32) to answer, and the file for the answers.
"""

import sys

import numpy as np
import tf_keras as keras


def main(network: str, pictures: str, answers: str) -> None:
    """Write the network as the notebook builds it, with random weights; its layers' names begin at 94 here."""
    keras.utils.set_random_seed(5)
    keras.applications.InceptionV3(include_top=False, weights=None)
    base = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(224, 224, 3))
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(1024, activation="relu")(x)
    x = keras.layers.Dropout(0.4)(x)
    x = keras.layers.Dense(512)(x)
    model = keras.Model(base.input, keras.layers.Dense(3, activation="softmax")(x))
    given = np.load(pictures)["x"]
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.2
    base(given, training=True)  # statistics that a trained network would have
    model.layers[-1].set_weights([array * 30 for array in model.layers[-1].get_weights()])  # decided answers
    model.compile(keras.optimizers.SGD(0.001, momentum=0.95), "categorical_crossentropy")
    model.save(network)
    np.savez(answers, probabilities=model.predict(given, verbose=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
