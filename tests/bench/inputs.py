"""The films that are measured: phantoms at the sizes of real ones, with the grain that makes files as large."""

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import DigitalXRayImageStorageForPresentation, JPEGLossless

from cspine.phantoms import draw
from cspine.phantoms.files import uid

PNG_SIZE = (1000, 800)
FILM_SIZE = (2500, 2048)
BITS = 12


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
    paths = [folder / f"{seed + i}.dcm" for i in range(count)]
    for i, path in enumerate(paths):
        _write_film(path, seed + i)
    return paths


def _write_film(path: Path, seed: int) -> None:
    pixels = _grainy(seed, FILM_SIZE, 2**BITS - 1, 12.0).astype(np.uint16)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = uid("bench instance", seed), JPEGLossless
    film = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.StudyInstanceUID, film.SeriesInstanceUID = uid("bench study", seed), uid("bench series", seed)
    film.Modality, film.BodyPartExamined, film.ViewPosition = "DX", "CSPINE", "LL"
    film.Rows, film.Columns = FILM_SIZE
    film.SamplesPerPixel, film.PixelRepresentation, film.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, BITS, BITS - 1
    film.WindowCenter, film.WindowWidth = str(2 ** (BITS - 1)), str(2**BITS)
    film.PixelData = encapsulate([imagecodecs.ljpeg_encode(pixels, bitspersample=BITS)])
    film["PixelData"].VR = "OB"
    film.save_as(path, enforce_file_format=True)


def _grainy(seed: int, size: tuple[int, int], most: int, grain: float) -> NDArray[np.float32]:
    """Return float32 of the size, whole numbers from 0 to `most`; grain is the deviation of the noise."""
    drawn = draw(seed).pixels.astype(np.float32) * (most / 255)
    large = cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(seed).standard_normal(size, np.float32) * np.float32(grain)
    return np.clip(np.rint(large + noise), 0, most)
