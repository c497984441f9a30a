"""From a release to a graph that runs without TensorFlow."""
