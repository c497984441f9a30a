"""Typed access to the values that the walk kept: what cannot be understood is absent, never an exception."""

import math
import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cspine.decoding.elements import Element, Item

_BINARY = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
_MAX_DIGITS = 32


class Attributes:
    """The attributes of a data set or of a sequence item, by the keyword of the standard."""

    def __init__(self, item: Item, little: bool) -> None:
        """Read `item`, whose binary values are little-endian or not."""
        self._item = item
        self.little = little

    @property
    def offset(self) -> int:
        """Where an item begins in its file."""
        return self._item.offset

    def __contains__(self, keyword: str) -> bool:
        """Say whether the attribute is there, with a value or without."""
        return keyword in self._item

    def raw(self, keyword: str) -> bytes:
        """Return the bytes of a value, empty where there are none."""
        element = self._item.get(keyword)
        return element.value if isinstance(element, Element) else b""

    def code(self, keyword: str) -> str:
        """Return the first value of a code string or UID, stripped, non-ASCII replaced."""
        return next(iter(self.codes(keyword)), "")

    def codes(self, keyword: str) -> list[str]:
        """Return the values of a code string or UID."""
        text = self.raw(keyword).decode("ascii", "replace")
        return [value.strip(" \0") for value in text.split("\\")] if text else []

    def numbers(self, keyword: str, most: int | None = None) -> list[float]:
        """Return the values of a number, `most` of them, as finite floats; empty where one of them is none."""
        element = self._item.get(keyword)
        if not isinstance(element, Element) or not element.value:
            return []
        if element.vr in _BINARY:
            values = self._unpacked(element)[:most]
        else:
            texts = [text.strip(b" \0") for text in element.value.split(b"\\")[:most]]
            try:
                values = [float(text) for text in texts if len(text) <= _MAX_DIGITS and b"_" not in text]
            except ValueError:
                return []
            if len(values) < len(texts):
                return []
        return values if all(map(math.isfinite, values)) else []

    def number(self, keyword: str) -> float | None:
        """Return the first value of a number, whatever comes behind it."""
        return next(iter(self.numbers(keyword, 1)), None)

    def integer(self, keyword: str) -> int | None:
        """Return the first value of a number that is whole."""
        value = self.number(keyword)
        return int(value) if value is not None and value == int(value) else None

    def words(self, keyword: str) -> NDArray[np.uint16]:
        """Return a value as unsigned words of 16 bits: uint16 (n,)."""
        data = self.raw(keyword)
        return np.frombuffer(data[: len(data) // 2 * 2], "<u2" if self.little else ">u2").astype(np.uint16)

    def items(self, keyword: str) -> Iterator["Attributes"]:
        """Give the items of a sequence."""
        items = self._item.get(keyword)
        for item in items if isinstance(items, list) else []:
            yield Attributes(item, self.little)

    def first(self, keyword: str) -> "Attributes | None":
        """Return the first item of a sequence."""
        return next(self.items(keyword), None)

    def for_frame(self, index: int) -> "Attributes":
        """Return the attributes that hold for a frame: the functional groups (PS3.3 C.7.6.16) over the top level."""
        shared = self.first("SharedFunctionalGroupsSequence")
        own = self._item.get("PerFrameFunctionalGroupsSequence")
        groups = [shared._item] if shared else []
        if isinstance(own, list) and index < len(own):
            groups.append(own[index])
        if not groups:
            return self
        merged = Item(self._item)
        for group in groups:
            for macro in ("FrameVOILUTSequence", "PixelValueTransformationSequence", "PixelMeasuresSequence"):
                items = group.get(macro)
                if isinstance(items, list) and items:
                    merged.update(items[0])
        return Attributes(merged, self.little)

    def _unpacked(self, element: Element) -> list[float]:
        code = _BINARY[element.vr]
        count = len(element.value) // struct.calcsize(f"={code}")
        order = "<" if self.little else ">"
        return [float(value) for value in struct.unpack_from(f"{order}{count}{code}", element.value)]
