"""The one decoder: used by ingest (headers), prepare, training, evaluation and `inspect`."""

from typing import BinaryIO

from cspine.decoding import dicom, kinds, pictures
from cspine.decoding.frame import Decoded
from cspine.decoding.header import Header
from cspine.errors import Refused, Skipped
from cspine.reasons import Reason
from cspine.settings import Settings


def read_header(file: BinaryIO, name: str, settings: Settings) -> Header:
    """Read the header of a seekable stream: bounded in bytes, depth and time, no pixel is decoded.

    Raises `Refused` or `Skipped` with the reason; where the header itself was sound these carry it as `.header`.
    """
    kind = _picture_kind(file, name)
    if kind == "dicom":
        return dicom.open_object(file, settings).header
    pictures.check(file, kind, settings)
    return Header(kind)


def decode(file: BinaryIO, name: str, settings: Settings) -> Decoded:
    """Decode every frame of a file, judged by its content.

    Raises `Refused` or `Skipped` as `read_header` does. To be called in a child process that `limits.limit_child` has
    limited: a damaged stream may kill its decoder.
    """
    kind = _picture_kind(file, name)
    if kind == "dicom":
        return dicom.decode(file, settings)
    return pictures.decode(file, kind, settings)


def _picture_kind(file: BinaryIO, name: str) -> kinds.Kind:
    """Return the kind of a file that may be a picture; raises `Skipped` for litter, `Refused` for what it cannot be."""
    kind = kinds.sniff(file)
    if kinds.is_litter(name, kind):
        raise Skipped("left behind by an operating system")
    if kind == "zip":
        raise Refused("an archive where a picture was expected", Reason.ARCHIVE_NESTED)
    if kind == "other":
        empty = not file.read(1)
        raise Refused("", Reason.EMPTY_FILE if empty else Reason.UNSUPPORTED_TYPE)
    return kind
