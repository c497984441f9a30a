"""JPEG streams that were cut and end in their mark all the same are refused; whole ones pass, flat ends included."""

import io
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cspine.decoding import scans
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding.objects import BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1, dicom, opened

NOISE = np.random.default_rng(3).integers(0, 256, (96, 80), np.uint8)
DEEP = np.random.default_rng(4).integers(0, 4096, (96, 80), np.uint16)
COLOUR = np.random.default_rng(5).integers(0, 256, (96, 80, 3), np.uint8)
END = b"\xff\xd9"


def pillow(**options: Any) -> Callable[[NDArray[Any]], bytes]:
    """Make an encoder of options."""

    def encode(cells: NDArray[Any]) -> bytes:
        file = io.BytesIO()
        Image.fromarray(cells).save(file, "JPEG", quality=90, **options)
        return file.getvalue()

    return encode


KINDS: dict[str, tuple[Callable[[NDArray[Any]], bytes], NDArray[Any], str, dict[str, Any]]] = {
    "baseline": (pillow(), NOISE, BASELINE, {"bits": 8}),
    "restarts": (pillow(restart_marker_blocks=7), NOISE, BASELINE, {"bits": 8}),
    "progressive": (pillow(progressive=True), NOISE, BASELINE, {"bits": 8}),
    "colour": (pillow(), COLOUR, BASELINE, {"bits": 8, "photometric": "YBR_FULL_422"}),
    "extended": (lambda cells: imagecodecs.jpeg8_encode(cells, 95, bitspersample=12), DEEP, EXTENDED, {}),
    "lossless": (
        lambda cells: imagecodecs.jpeg8_encode(cells, lossless=True, predictor=1, bitspersample=12),
        DEEP, LOSSLESS_SV1, {},
    ),
    "lossless 6": (
        lambda cells: imagecodecs.jpeg8_encode(cells, lossless=True, predictor=6, bitspersample=12), DEEP, LOSSLESS, {},
    ),
}  # fmt: skip


def refusal(data: bytes) -> Reason | None:
    """Return why a file is refused, None where it is not."""
    try:
        opened(data, Settings())
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_stream_with_an_end_is_truncated(kind: str, share: float) -> None:
    encode, cells, syntax, attributes = KINDS[kind]
    whole = encode(cells)
    cut = whole[: int(len(whole) * share)].rstrip(b"\xff") + END
    for data in (cut, dicom(cells, syntax, streams=[cut + b"\0" * (len(cut) % 2)], **attributes)):
        assert refusal(data) is Reason.TRUNCATED


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_stream_passes_with_a_flat_end_too(kind: str) -> None:
    encode, cells, syntax, attributes = KINDS[kind]
    for flat, fill in ((0, b""), (40, b""), (80, b""), (80, b"\xff\xff")):
        given = cells.copy()
        given[len(given) - flat :] = 60
        stream = encode(given)[:-2] + fill + END
        for data in (stream, dicom(given, syntax, streams=[stream + b"\0" * (len(stream) % 2)], **attributes)):
            assert refusal(data) is None


def test_a_missing_scan_is_told(settings: Settings) -> None:
    """A progressive stream that was cut between two scans is legal, and blurred."""
    stream = pillow(progressive=True)(NOISE)
    starts = [at for at in range(len(stream)) if stream[at : at + 2] == b"\xff\xda"]
    assert len(starts) > 2
    for at in starts[1:]:
        assert refusal(stream[:at] + END) is Reason.TRUNCATED


def test_the_end_that_counts_is_that_of_the_stream() -> None:
    assert refusal(pillow()(NOISE) + b"<html>" + END) is None
    cut = pillow()(NOISE)[:4000] + END
    assert refusal(cut + b"<html>" + END) is Reason.TRUNCATED


def test_a_long_run_of_fill_bytes_is_passed_in_one_go(settings: Settings) -> None:
    """A run of 0xFF that ends in a stuffed byte is no marker, wherever one begins to look."""
    stream = pillow(progressive=True)(NOISE)[:-2] + b"\xff" * 300_000 + b"\0" + END
    assert len(opened(stream, settings).frames) == 1


def test_a_flood_of_segments_ends() -> None:
    stream = pillow(progressive=True)(NOISE)[:-2]
    assert refusal(stream + b"\xff\xfe\0\2" * (scans.MAX_SEGMENTS + 1) + END) is Reason.CORRUPT
