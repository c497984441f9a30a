"""DICOM objects for tests: any pixels in any transfer syntax, written by pydicom and the encoders of imagecodecs."""

import io
import struct
import warnings
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from cspine.decoding import Decoded, decode
from cspine.decoding.frame import Grey
from cspine.settings import Settings

IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
RLE = "1.2.840.10008.1.2.5"
BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1, JPEGLS, JPEGLS_NEAR, J2K, J2K_LOSSY, HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY = (
    f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)
)
ROOT = "1.2.826.0.1.3680043.8.498."
CR = "1.2.840.10008.5.1.4.1.1.1"

ENCODERS: dict[str, Callable[[NDArray[Any], int], bytes]] = {
    BASELINE: lambda cells, bits: imagecodecs.jpeg8_encode(cells, 100, subsampling="444"),
    EXTENDED: lambda cells, bits: imagecodecs.jpeg8_encode(cells, 100, bitspersample=8 if bits == 8 else 12),
    LOSSLESS: lambda cells, bits: _lossless_jpeg(cells, bits, predictor=6),
    LOSSLESS_SV1: lambda cells, bits: _lossless_jpeg(cells, bits, predictor=1),
    JPEGLS: lambda cells, bits: imagecodecs.jpegls_encode(cells),
    JPEGLS_NEAR: lambda cells, bits: imagecodecs.jpegls_encode(cells, 2),
    J2K: lambda cells, bits: imagecodecs.jpeg2k_encode(cells, 0, codecformat="j2k", bitspersample=bits),
    J2K_LOSSY: lambda cells, bits: imagecodecs.jpeg2k_encode(cells, 90, codecformat="j2k", bitspersample=bits),
    HTJ2K: lambda cells, bits: imagecodecs.htj2k_encode(cells, reversible=True),
    HTJ2K_RPCL: lambda cells, bits: imagecodecs.htj2k_encode(cells, reversible=True),
    HTJ2K_LOSSY: lambda cells, bits: imagecodecs.htj2k_encode(cells, 0.0001, reversible=False),
    RLE: lambda cells, bits: run_lengths(cells),
}


def dicom(
    cells: NDArray[Any] | None,
    syntax: str = EXPLICIT,
    bits: int = 12,
    photometric: str = "MONOCHROME2",
    streams: list[bytes] | None = None,
    **attributes: Any,
) -> bytes:
    """Write an object whose every frame is made of `cells`: (rows, columns), (rows, columns, 3) or with frames first.

    `streams` are taken as the compressed frames instead of ours; an attribute of None is left out.
    """
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR, ROOT + "3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = ROOT + "1", ROOT + "2"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "CR", "Test^One", "T1"
    dataset.PatientBirthDate = ""
    if cells is not None:
        colour = photometric not in {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}
        frames = cells if cells.ndim == (4 if colour else 3) else cells[None]
        dataset.Rows, dataset.Columns = frames.shape[1:3]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3 if colour else 1, photometric
        if colour:
            dataset.PlanarConfiguration = 0
        if len(frames) > 1:
            dataset.NumberOfFrames = len(frames)
        dataset.BitsAllocated = cells.dtype.itemsize * 8
        dataset.BitsStored = min(bits, dataset.BitsAllocated)
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(cells.dtype.kind == "i")
        if syntax in ENCODERS:
            coded = streams or [ENCODERS[syntax](frame, dataset.BitsStored) for frame in frames]
            dataset.PixelData = encapsulate(coded)
            dataset["PixelData"].is_undefined_length = True
        else:
            dataset.PixelData = _plain(cells, ">" if syntax == BIG_ENDIAN else "<")
        dataset["PixelData"].VR = "OB" if syntax in ENCODERS else "OW"
    return written(dataset, syntax, **attributes)


def written(dataset: Dataset, syntax: str = EXPLICIT, **attributes: Any) -> bytes:
    """Write a data set after setting attributes by keyword, odd values included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of the odd values that are meant
        for keyword, value in attributes.items():
            if value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                delattr(dataset, keyword)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CR)
        dataset.file_meta.MediaStorageSOPInstanceUID = ROOT + "3"
        file = io.BytesIO()
        dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def renamed(data: bytes, syntax: str, other: str) -> bytes:
    """Name another transfer syntax than the one that an object was written in."""
    old, new = (element(0x00020010, "UI", uid.encode() + b"\0" * (len(uid) % 2)) for uid in (syntax, other))
    assert old in data
    return data.replace(old, new, 1)


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Write one element in explicit little endian."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    long = vr in {"OB", "OW", "SQ", "UN", "UT"}
    return head + (struct.pack("<HL", 0, len(value)) if long else struct.pack("<H", len(value))) + value


def ramp(rows: int = 24, columns: int = 32, bits: int = 12, dtype: Any = np.uint16) -> NDArray[Any]:
    """Draw a smooth picture that uses the whole range of its bits (rows, columns)."""
    down, across = np.mgrid[0:rows, 0:columns]
    shade = (down / (rows - 1) + across / (columns - 1)) / 2 * ((1 << bits) - 1)
    if np.dtype(dtype).kind == "i":
        shade = shade - (1 << bits - 1)
    return np.rint(shade).astype(dtype)


def opened(data: bytes, settings: Settings, name: str = "film") -> Decoded:
    """Decode bytes."""
    return decode(io.BytesIO(data), name, settings)


def picture(data: bytes, settings: Settings) -> Grey:
    """Decode bytes and return the first picture."""
    return opened(data, settings).frames[0].pixels


def run_lengths(cells: NDArray[Any]) -> bytes:
    """Encode a frame by PS3.5 annex G, each row of each byte plane in literal runs."""
    planes = cells[None] if cells.ndim == 2 else np.moveaxis(cells, -1, 0)
    segments = []
    for plane in planes:
        octets = np.ascontiguousarray(plane).astype(plane.dtype.newbyteorder(">")).view(np.uint8)
        for byte in range(plane.dtype.itemsize):
            rows = octets.reshape(*plane.shape, -1)[:, :, byte]
            packed = b"".join(bytes([len(part) - 1]) + part for row in rows for part in _runs(row.tobytes()))
            segments.append(packed + b"\0" * (len(packed) % 2))
    offsets = np.cumsum([64, *map(len, segments)])[:-1]
    return struct.pack("<16L", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def _runs(row: bytes) -> list[bytes]:
    return [row[at : at + 128] for at in range(0, len(row), 128)]


def _lossless_jpeg(cells: NDArray[Any], bits: int, predictor: int) -> bytes:
    options = {"colorspace": "RGB", "outcolorspace": "RGB"} if cells.ndim == 3 else {}
    return imagecodecs.jpeg8_encode(  # type: ignore[no-any-return]
        cells, lossless=True, predictor=predictor, bitspersample=bits, **options
    )


def _plain(cells: NDArray[Any], order: str) -> bytes:
    data = cells.astype(cells.dtype.newbyteorder(order)).tobytes()
    data += b"\0" * (len(data) % 2)
    if order == ">" and cells.dtype.itemsize == 1:  # words of two cells
        return np.frombuffer(data, np.uint16).byteswap().tobytes()
    return data
