"""The same file through our decoder and through tools that share no code with it: dcmtk, and gdcm where that is needed.

dcmtk renders by the window that our rule takes: the VOI LUT, else the first window, else the least to the greatest.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless

from cspine.decoding import Decoded, decode
from cspine.errors import Refused, Skipped
from cspine.settings import Settings

TOOLS = ("dcmj2pnm", "gdcmconv")
FIRST_TO_GDCM = {JPEG2000, JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless}  # Debian's dcmj2pnm reads none of them
SECONDS = 60
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Comparison:
    """What became of one file: our outcome, and how far the first frame is from the peer's (None: not compared)."""

    outcome: str
    difference: int | None = None
    pixels: int = 0  # that differ by more than one level
    note: str = ""


def missing_tools() -> list[str]:
    """Return those of the peers that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def compare(path: Path, settings: Settings) -> Comparison:
    """Decode a file by both, and compare what they show of its first frame."""
    try:
        with path.open("rb") as file:
            decoded: Decoded = decode(file, path.name, settings)
    except Skipped:
        return Comparison("skip")
    except Refused as refused:
        return Comparison(f"reject {refused.reason.value}")
    outcome = " ".join(["accept", *decoded.flags])
    if decoded.header.kind != "dicom":
        return Comparison(outcome, note="no DICOM")
    dataset = pydicom.dcmread(path, force=True)
    with tempfile.TemporaryDirectory() as scratch:
        theirs, note = rendered(path, dataset, Path(scratch))
    if theirs is None:
        return Comparison(outcome, note=note)
    ours = decoded.frames[0].pixels
    if dataset.get("SamplesPerPixel", 1) != 1:
        note += ", colour"
    if ours.shape != theirs.shape:
        return Comparison(outcome, 255, ours.size, f"{ours.shape} and {theirs.shape}")
    difference = np.abs(ours.astype(np.int16) - theirs)
    return Comparison(outcome, int(difference.max()), int((difference > 1).sum()), note)


def rendered(path: Path, dataset: Dataset, scratch: Path) -> tuple[Picture | None, str]:
    """Return the first frame as the peers show it, uint8 (rows, columns), or None and why they do not."""
    note = "dcmtk"
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if syntax in FIRST_TO_GDCM:
        plain = scratch / "plain.dcm"
        done = _run(["gdcmconv", "--raw", str(path), str(plain)])
        if done.returncode or not plain.is_file():
            return None, f"gdcm: {_last(done)}"
        path, note = plain, "gdcm, dcmtk"
    target = scratch / "frame.pgm"
    done = _run(["dcmj2pnm", "--quiet", "--write-raw-pnm", "-O", "-S", "+F", "1", "+Ma", *window(dataset), str(path),
                 str(target)])  # fmt: skip
    if done.returncode or not target.is_file():
        return None, f"dcmtk: {_last(done) or done.returncode}"
    return read_pnm(target.read_bytes()), note


def window(dataset: Dataset) -> list[str]:
    """Return the options by which dcmtk applies what our rule applies."""
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        return []
    if dataset.get("VOILUTSequence"):
        return ["+Wl", "1"]
    if dataset.get("WindowWidth") not in (None, "") and dataset.get("WindowCenter") not in (None, ""):
        return ["+Wi", "1"]
    return ["+Wm"]


def read_pnm(data: bytes) -> Picture:
    """Read a PGM, or the luma of a PPM, of 8 bits: uint8 (rows, columns)."""
    lines, at = [], 0
    while len(lines) < 3:
        end = data.index(b"\n", at)
        if not data[at:end].startswith(b"#"):
            lines.append(data[at:end])
        at = end + 1
    columns, rows = map(int, lines[1].split())
    if lines[0] == b"P5":
        return np.frombuffer(data, np.uint8, rows * columns, at).reshape(rows, columns)
    colour = np.frombuffer(data, np.uint8, rows * columns * 3, at).reshape(rows, columns, 3)
    return np.asarray(np.floor(colour @ np.array([0.299, 0.587, 0.114]) + 0.5), np.uint8)


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    return next(reversed(done.stderr.strip().splitlines()), "")[:100]
