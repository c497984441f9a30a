"""Lookup tables of DICOM: Modality LUT, VOI LUT, palettes (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.decoding.attributes import Attributes
from cspine.decoding.segmented import expand


@dataclass(frozen=True)
class Lut:
    """A table whose entries are of `bits` bits; `first` is the input of the first one, and inputs outside clamp."""

    entries: NDArray[np.uint16]
    first: int
    bits: int

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Map values of any shape: float64 of the same shape, 0..2^bits - 1."""
        index = np.floor(np.asarray(values, np.float64) - self.first + 0.5)
        return self.entries[np.clip(index, 0, len(self.entries) - 1).astype(np.intp)].astype(np.float64)


def read_lut(
    attributes: Attributes, signed: bool, descriptor: str = "LUTDescriptor", data: str = "LUTData"
) -> Lut | None:
    """Read a table, or None where descriptor and data do not make one; `signed` tells how its first input is meant."""
    numbers = attributes.numbers(descriptor)
    raw = attributes.raw(data)
    segmented = b"" if raw else attributes.raw(f"Segmented{data}")
    if len(numbers) != 3 or not (raw or segmented):
        return None
    count, first, bits = (int(number) for number in numbers)
    count = (count & 0xFFFF) or 65536
    first = _signed16(first) if signed else first
    if not 8 <= bits <= 16:
        return None
    if segmented:
        segments = np.frombuffer(segmented, np.uint8) if bits == 8 else attributes.words(f"Segmented{data}")
        written = expand(segments, count)
        return None if written is None else Lut(written, first, bits)
    if bits == 8 and len(raw) in {count, count + count % 2}:  # two entries a word, the first in its lower half
        entries = attributes.words(data).astype("<u2").view(np.uint8)[:count].astype(np.uint16)
    else:
        entries = attributes.words(data)[:count]
    return Lut(entries, first, bits) if len(entries) == count else None


def _signed16(value: int) -> int:
    return (value & 0xFFFF ^ 0x8000) - 0x8000
