"""The sentinel: pinned pictures whose answers were recorded when the release was made, put to every runtime."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cspine import preprocessing
from cspine.errors import Permanent
from cspine.reasons import Reason
from models.runtime.release import Release

Precision = Literal["f32", "bf16"]
# Of probabilities, and of the strangeness relatively. Float32 of other processors and runtimes differs by a tenth of
# this; bfloat16 was seen to move probabilities by up to 0.0035, and the demo release's strangeness by 2 %.
TOLERANCE: dict[Precision, tuple[float, float]] = {"f32": (2e-3, 0.02), "bf16": (1e-2, 0.1)}

Arrays = Mapping[str, NDArray]


def sentinel(release: Release, pictures: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Return the arrays of sentinel.npz: canonical pictures (n, h, w) and the release's answers to them."""
    answer = release.predict(np.stack([preprocessing.to_input(picture, release.card.input) for picture in pictures]))
    return {"pictures": pictures, "probabilities": answer.probabilities, "ood_score": answer.ood_score}


def check(release: Release, pinned: Arrays, precision: Precision = "f32") -> None:
    """Raise `Permanent`: sentinel_failed where the answers differ from the pinned ones, broken_release if none fits."""
    if missing := {"pictures", "probabilities", "ood_score"} - set(pinned):
        raise Permanent(f"sentinel.npz lacks {', '.join(sorted(missing))}", Reason.BROKEN_RELEASE)
    with fitting("sentinel.npz does not fit card.json"):
        now = sentinel(release, pinned["pictures"])
        if any(now[name].shape != pinned[name].shape for name in now):
            raise ValueError("another number of pictures or labels")
    difference = float(np.abs(now["probabilities"] - pinned["probabilities"]).max())
    relative = float(np.abs(now["ood_score"] / pinned["ood_score"] - 1).max())
    probability, strangeness = TOLERANCE[precision]
    if not (difference <= probability and relative <= strangeness):  # what is not a number differs
        detail = (
            f"the answers of {release.runtime} differ from sentinel.npz by {difference:.4f} in probability, where "
            f"{probability:g} is allowed, and by {relative:.1%} in strangeness, where {strangeness:.0%} is"
        )
        raise Permanent(detail, Reason.SENTINEL_FAILED)


def read(path: Path) -> dict[str, NDArray]:
    """Read a file of arrays of a release; raises `Permanent` (broken_release) where it is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise Permanent(f"{path.name} cannot be read", Reason.BROKEN_RELEASE) from error


@contextmanager
def fitting(words: str) -> Iterator[None]:
    """Name the files at fault for whatever is raised within; want of memory is no fault of theirs."""
    try:
        yield
    except MemoryError:
        raise
    except Permanent as error:
        known = error.reason in {Reason.BROKEN_RELEASE, Reason.SENTINEL_FAILED}
        detail = error.detail if known else f"{words}: {error.detail}"
        raise Permanent(detail, error.reason if known else Reason.BROKEN_RELEASE) from error
    except Exception as error:
        raise Permanent(words, Reason.BROKEN_RELEASE) from error
