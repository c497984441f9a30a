"""What `make bench` measures against: pydicom with its usual plugins, windowing in numpy, one picture by OpenCV.

Asked line by line over stdin, answering on stdout, both in JSON: the CPU milliseconds of the parts of one film, the
plugins that are there for it, or an error in words. The Python of .venv/peer runs it, so it imports nothing of ours
(docs/decisions/019-the-peer-has-its-own-environment.md).
"""

import json
import sys
import time
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder, pixel_array

LONGEST = 512


def grey(film: Dataset, cells: NDArray[Any]) -> NDArray[np.uint8]:
    """Apply rescale and the window (PS3.3 C.11.2.1.2.1): uint8 like `cells`, 0..255.

    Plain numpy: pydicom's own apply_modality_lut and apply_voi_lut, scaled to 8 bits, take half as much time again.
    """
    centre, width = float(film.WindowCenter) - 0.5, float(film.WindowWidth) - 1
    values = cells * float(film.get("RescaleSlope", 1)) + float(film.get("RescaleIntercept", 0))
    shades = np.clip((values - centre) / width + 0.5, 0, 1) * 255
    return np.asarray((shades + 0.5).astype(np.uint8))


def small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink to 512 at the longest side by area."""
    scale = min(1.0, LONGEST / max(pixels.shape))
    rows, columns = (round(side * scale) for side in pixels.shape)
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def answer(path: str, plugin: str | None, save: str | None) -> dict[str, Any]:
    """Read, decode, window and shrink one film."""
    began = time.process_time()
    film = dcmread(path)
    read = time.process_time()
    cells = pixel_array(film, decoding_plugin=plugin or "")
    decoded = time.process_time()
    pixels = grey(film, cells)
    windowed = time.process_time()
    small(pixels)
    ended = time.process_time()
    if save:
        np.save(save, pixels)
    points = (began, read, decoded, windowed, ended)
    names = ("read", "decode", "window", "resize")
    return {name: (to - since) * 1000 for name, (since, to) in zip(names, pairwise(points), strict=True)}


def plugins(path: str) -> list[str]:
    """Return the plugins that are there for the syntax of a film."""
    film = dcmread(path, stop_before_pixels=True)
    return list(get_decoder(film.file_meta.TransferSyntaxUID).available_plugins)


def main() -> None:
    """Answer each line until there is none."""
    cv2.setNumThreads(1)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            found = answer(**question) if "save" in question else {"plugins": plugins(**question)}
        except (RuntimeError, ValueError, AttributeError, TypeError) as error:
            found = {"error": " ".join(str(error).split())}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
