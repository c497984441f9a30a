"""Weights out of a .caffemodel: Protocol Buffers' wire format, read as far as layers, their names and their blobs.

A bounded reader of our own: the few fields that are needed have had the same numbers since 2014
(https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto), in three generations of layers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.errors import Usage

LARGEST = 2**31  # of Protocol Buffers itself
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
Blobs = dict[str, list[NDArray[np.float32]]]


@dataclass(frozen=True)
class Generation:
    """The numbers of a layer's fields in one generation of the format."""

    name: int
    blobs: int


NEWEST, V1, V0 = Generation(1, 7), Generation(4, 6), Generation(1, 50)
LAYER, LAYERS_V1, LAYER_V0_IN_V1 = 100, 2, 1  # fields of the network, and of a V1 layer
NUM, CHANNELS, HEIGHT, WIDTH, DATA, SHAPE, DOUBLE_DATA = 1, 2, 3, 4, 5, 7, 8  # fields of a blob
DIM = 1  # field of a shape


def read(path: Path) -> Blobs:
    """Return each layer's blobs, float32 in Caffe's order of axes, by the layer's name.

    Raises `Usage` where the file is larger than the format allows, ends too soon or is no such file.
    """
    if path.stat().st_size > LARGEST:
        raise Usage(f"{path.name} is larger than a .caffemodel can be")
    try:
        found = dict(_layers(memoryview(path.read_bytes())))
    except (ValueError, IndexError, OverflowError) as error:
        raise Usage(f"{path.name} is no .caffemodel, or a damaged one: {error}") from error
    found = {name: blobs for name, blobs in found.items() if blobs}
    if not found:
        raise Usage(f"{path.name} is no .caffemodel: no layer in it has weights")
    return found


def _layers(network: memoryview) -> Iterator[tuple[str, list[NDArray[np.float32]]]]:
    for field, _, value in _fields(network):
        if field == LAYER:
            yield _layer(value, NEWEST)
        elif field == LAYERS_V1:
            oldest = [inner for number, _, inner in _fields(value) if number == LAYER_V0_IN_V1]
            yield _layer(oldest[0], V0) if oldest else _layer(value, V1)


def _layer(message: memoryview, generation: Generation) -> tuple[str, list[NDArray[np.float32]]]:
    name, blobs = "", []
    for field, kind, value in _fields(message):
        if field == generation.name and kind == LENGTH:
            name = bytes(value).decode()
        elif field == generation.blobs and kind == LENGTH:
            blobs.append(_blob(value))
    return name, blobs


def _blob(message: memoryview) -> NDArray[np.float32]:
    old = {NUM: 1, CHANNELS: 1, HEIGHT: 1, WIDTH: 1}
    shape: list[int] | None = None
    parts = []
    for field, kind, value in _fields(message):
        if field in old and kind == VARINT:
            old[field] = value
        elif field == SHAPE and kind == LENGTH:
            shape = _shape(value)
        elif field in (DATA, DOUBLE_DATA) and kind in (LENGTH, FOUR_BYTES, EIGHT_BYTES):  # packed or one by one
            parts.append(np.frombuffer(value, "<f4" if field == DATA else "<f8").astype(np.float32))
    data = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return data.reshape(list(old.values()) if shape is None else shape)


def _shape(message: memoryview) -> list[int]:
    found = []
    for field, kind, value in _fields(message):
        if field == DIM and kind == VARINT:
            found.append(value)
        elif field == DIM and kind == LENGTH:
            at = 0
            while at < len(value):
                number, at = _varint(value, at)
                found.append(number)
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield number, wire type and value of each field: an int of a varint, else the bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        field, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield field, kind, value
            continue
        if kind == LENGTH:
            size, at = _varint(message, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(message):
            raise ValueError("the file ends within a field")
        yield field, kind, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place behind it."""
    number = shift = 0
    while shift < 64:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("a number of more than ten bytes")
