"""What a simple method makes of the same data: logistic regression on 32 x 32 pixels, fitted on the training split."""

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.training.data import Samples

SIZE = 32


def hits(training: Samples, test: Samples) -> NDArray[np.bool_]:
    """Return for each test picture whether logistic regression on its 32 x 32 pixels names the right label."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    classifier.fit(_small(training), training.labels)
    right: NDArray[np.bool_] = classifier.predict(_small(test)) == np.array(test.labels)
    return right


def _small(samples: Samples) -> NDArray[np.float32]:
    return np.stack([
        cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA).ravel() for picture in samples.pictures
    ]).astype(np.float32) / np.float32(255)  # fmt: skip
