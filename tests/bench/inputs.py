"""The films that are measured: phantoms at the sizes of real ones, with the grain that makes files as large."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cspine.phantoms import draw
from cspine.phantoms.files import uid

PNG_SIZE = (1000, 800)
FILM_SIZE = (2500, 2048)
BITS = 12
GRAIN = 12 / 4095  # deviation of the noise, as a share of the range
QUALITY = 95  # of the two lossy syntaxes


def write_png(folder: Path, count: int, seed: int) -> list[Path]:
    """Write 8-bit PNGs of 1000x800."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed + i}.png" for i in range(count)]
    for i, path in enumerate(paths):
        Image.fromarray(_grainy(seed + i, PNG_SIZE, 255, 2.0).astype(np.uint8)).save(path, compress_level=3)
    return paths


def write_films(folder: Path, count: int, seed: int) -> list[Path]:
    """Write DICOM films of 2500x2048 with 12 bits, JPEG lossless (process 14), one study each."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_film(folder / f"{seed + i}.dcm", seed + i) for i in range(count)]


def write_copies(folder: Path, count: int, pictures: int, seed: int) -> list[Path]:
    """Write so many films as `write_films` does, which show only a few pictures, each film under UIDs of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    films = [pydicom.dcmread(write_film(folder / f"{seed + i}.dcm", seed + i)) for i in range(min(pictures, count))]
    paths = [folder / f"{seed + i}.dcm" for i in range(count)]
    for i, path in enumerate(paths):
        film = films[i % len(films)]
        film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID = uid("bench instance", seed + i)
        film.StudyInstanceUID, film.SeriesInstanceUID = uid("bench study", seed + i), uid("bench series", seed + i)
        film.save_as(path, enforce_file_format=True)
    return paths


def write_film(
    path: Path, seed: int, syntax: UID = JPEGLossless, size: tuple[int, int] = FILM_SIZE, shutter: int = 0
) -> Path:
    """Write one DICOM film in a transfer syntax: 12 bits in 16, but 8 bits as JPEG baseline, which has no more.

    `shutter` rows at its lower end are of one value, as where a machine masks what the collimator hid.
    """
    bits = 8 if syntax == JPEGBaseline8Bit else BITS
    most = 2**bits - 1
    pixels = _grainy(seed, size, most, most * GRAIN).astype(np.uint8 if bits == 8 else np.uint16)
    pixels[size[0] - shutter :] = 0
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = uid("bench instance", seed), syntax
    film = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.StudyInstanceUID, film.SeriesInstanceUID = uid("bench study", seed), uid("bench series", seed)
    film.Modality, film.BodyPartExamined, film.ViewPosition = "DX", "CSPINE", "LL"
    film.Rows, film.Columns = size
    film.SamplesPerPixel, film.PixelRepresentation, film.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = pixels.dtype.itemsize * 8, bits, bits - 1
    film.WindowCenter, film.WindowWidth = str(2 ** (bits - 1)), str(2**bits)
    if syntax.is_encapsulated:
        film.PixelData = encapsulate([ENCODERS[syntax](pixels)])
    else:
        film.PixelData = pixels.tobytes()
    film["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    film.save_as(path, enforce_file_format=True)
    return path


def _rle(pixels: NDArray[np.uint16]) -> bytes:
    runner: dict[str, Any] = {
        "rows": pixels.shape[0], "columns": pixels.shape[1], "samples_per_pixel": 1, "bits_allocated": 16,
        "bits_stored": BITS, "photometric_interpretation": "MONOCHROME2", "pixel_representation": 0,
        "number_of_frames": 1,
    }  # fmt: skip
    return RLELosslessEncoder.encode(pixels, **runner)


ENCODERS: dict[UID, Callable[[NDArray[Any]], bytes]] = {
    RLELossless: _rle,
    JPEGBaseline8Bit: lambda pixels: imagecodecs.jpeg8_encode(pixels, QUALITY),
    JPEGExtended12Bit: lambda pixels: imagecodecs.jpeg8_encode(pixels, QUALITY, bitspersample=BITS),
    JPEGLossless: lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=BITS),
    JPEGLosslessSV1: lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=BITS),
    JPEGLSLossless: lambda pixels: imagecodecs.jpegls_encode(pixels),
    JPEG2000Lossless: lambda pixels: imagecodecs.jpeg2k_encode(pixels, 0, codecformat="j2k", bitspersample=BITS),
    HTJ2KLossless: lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True),
}


def _grainy(seed: int, size: tuple[int, int], most: int, grain: float) -> NDArray[np.float32]:
    """Return float32 of the size, whole numbers from 0 to `most`; grain is the deviation of the noise."""
    drawn = draw(seed).pixels.astype(np.float32) * (most / 255)
    large = cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(seed).standard_normal(size, np.float32) * np.float32(grain)
    return np.clip(np.rint(large + noise), 0, most)
