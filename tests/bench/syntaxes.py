"""CPU milliseconds of one film in a transfer syntax, part by part, and by turns with pydicom's usual plugins.

What a library's decoder takes is told apart by timing its own calls while our code makes them, so that one run gives
both and no difference of two long runs is needed. CPU time is of the process that does the work, all threads.
"""

import hashlib
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import cv2
import imagecodecs
import numpy as np
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cspine.blobs import CHUNK
from cspine.decoding import Frame, canonical, decode, grey, previews
from cspine.decoding.dicom import open_object
from cspine.decoding.frame import Geometry, blank
from cspine.decoding.stored import stored_frames
from cspine.settings import Settings
from tests.bench.peer import Peer
from worker.prepare import PNG_LEVEL

SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG baseline .50": JPEGBaseline8Bit,
    "JPEG extended .51": JPEGExtended12Bit,
    "JPEG lossless .57": JPEGLossless,
    "JPEG lossless .70": JPEGLosslessSV1,
    "lossless .70, shutter": JPEGLosslessSV1,
    "JPEG-LS .80": JPEGLSLossless,
    "JPEG 2000 .90": JPEG2000Lossless,
    "HTJ2K .201": HTJ2KLossless,
}
SHUTTERS = {"lossless .70, shutter": 200}  # rows of one value; decision 020
DECODERS = ("dicomrle_decode", "jpeg8_decode", "jpegls_decode", "jpeg2k_decode", "htj2k_decode")
LIBRARY = "decode"
PARTS = ("read", "hash", "header", "checks", LIBRARY, "LUT", "blank", "resize", "PNG", "preview", "pixels")
SAME = ("read", "header", "checks", LIBRARY, "LUT", "blank", "resize")  # what the peer does too, in its own way
LIMIT, SHARE = 45.0, 1 / 3
ROUNDS = 9
Take = Callable[[Path], dict[str, float]]


class Watch:
    """Adds up the CPU milliseconds of named parts; what the library takes within a part counts for the library."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.parts = dict.fromkeys(PARTS, 0.0)
        self._decoded = False

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        library, began = self.parts[LIBRARY], time.process_time()
        yield
        self.parts[name] += (time.process_time() - began) * 1000 - (self.parts[LIBRARY] - library)

    @contextmanager
    def library(self) -> Iterator[None]:
        """Time the first call of a decoder of imagecodecs, and each of zlib's inflater, that is made inside.

        What a decoder is called for once more, to check a stream, is our own doing.
        """
        with ExitStack() as stack:
            for name in DECODERS:
                stack.enter_context(patch.object(imagecodecs, name, self._once(getattr(imagecodecs, name))))
            stack.enter_context(patch.object(zlib, "decompressobj", self._inflater(zlib.decompressobj)))
            yield

    def _once(self, call: Callable[..., Any]) -> Callable[..., Any]:
        timed = self._timed(call)

        def once(*given: Any, **options: Any) -> Any:
            first, self._decoded = not self._decoded, True
            return timed(*given, **options) if first else call(*given, **options)

        once.__name__ = call.__name__
        return once

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **options: Any) -> Any:
            with self.part(LIBRARY):
                return call(*given, **options)

        timed.__name__ = call.__name__
        return timed

    def _inflater(self, make: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: _Inflater(make(*given), self._timed)


class _Inflater:
    """A decompression object of zlib whose work is timed."""

    def __init__(self, inner: Any, timed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._inner, self.decompress = inner, timed(inner.decompress)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass(frozen=True)
class Row:
    """The medians of one syntax: our parts and the peer's, its plugin, and how many levels its picture is from ours.

    The plugin is empty where pydicom needs none, and None where it cannot read the film.
    """

    name: str
    parts: dict[str, float]
    peer: dict[str, float]
    plugin: str | None
    difference: int

    @property
    def ours(self) -> float:
        """All but the library's decode."""
        return sum(self.parts.values()) - self.parts[LIBRARY]

    @property
    def limit(self) -> float:
        """What our part may take: 45 ms or a third of the decode, whichever is more."""
        return max(LIMIT, SHARE * self.parts[LIBRARY])

    @property
    def same(self) -> float:
        """What we take for what the peer does too: from the file to the small picture."""
        return sum(self.parts[name] for name in SAME)

    @property
    def whole(self) -> float:
        """What we take for all that is done with a film."""
        return sum(self.parts.values())


def ours(path: Path, settings: Settings) -> dict[str, float]:
    """Take a film through intake and prepare once and return the milliseconds of each part.

    The file is hashed in pieces, as intake does: to hold it whole would leave memory at hand that prepare has not.
    """
    watch, digest, chunk = Watch(), hashlib.sha256(), b"-"
    with path.open("rb") as file:
        while chunk:
            with watch.part("read"):
                chunk = file.read(CHUNK)
            with watch.part("hash"):
                digest.update(chunk)
    with path.open("rb") as file, watch.library():
        with watch.part("header"):
            image = open_object(file, settings)
        with watch.part("checks"):
            (cells,) = stored_frames(image, set())
    with watch.part("LUT"):
        pixels, _ = grey.render(cells, image.layout, image.attributes, image.syntax)
    with watch.part("blank"):
        geometry = Geometry.of(image.layout.rows, image.layout.columns, image.attributes)
        frame = Frame(0, pixels, geometry.rows, geometry.columns, blank(pixels))
    with watch.part("resize"):
        picture = canonical(frame)
    with watch.part("PNG"):
        cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    with watch.part("preview"):
        previews(frame)
    with watch.part("pixels"):
        assert frame.sha256
    return watch.parts


@contextmanager
def own_process(settings: Settings) -> Iterator[Take]:
    """Give `ours` in a new process, as a prepare child is one: what this one did before must not leave it memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda path: pool.submit(ours, path, settings).result()


def measured(name: str, path: Path, take: Take, peer: Peer, settings: Settings, rounds: int = ROUNDS) -> Row:
    """Compare the pictures of both sides, which must be alike within a grey level, then measure them by turns.

    `take` is `ours`, here or in another process. The first round of each is not counted.
    """
    with path.open("rb") as file:
        pixels = decode(file, path.name, settings).frames[0].pixels
    picture = path.with_suffix(".npy")
    plugin = peer.choose(path, picture)
    difference = 0
    if plugin is not None:
        difference = int(np.abs(pixels.astype(np.int16) - np.load(picture)).max())
        assert difference <= 1, f"{name}: the peer's picture is {difference} levels from ours"
    take(path)
    mine, other = [], []
    for _ in range(rounds):
        mine.append(take(path))
        if plugin is not None:
            other.append(peer.take(path, plugin))
    return Row(name, _medians(mine), _medians(other), plugin, difference)


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(one[name] for one in rounds) for name in (rounds[0] if rounds else ())}
