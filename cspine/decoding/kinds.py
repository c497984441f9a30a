"""What kind of file some bytes are, told by their content and never by the name."""

import re
from typing import BinaryIO, Literal

Kind = Literal["dicom", "png", "jpeg", "tiff", "bmp", "webp", "zip", "other"]

HEAD = 132
PROGRAMS = (b"MZ", b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf")
LITTER = {"thumbs.db", ".ds_store", "autorun.inf", "readme.txt", "desktop.ini", "ehthumbs.db"}
_SIGNATURES: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0\x08\0", "tiff"),
    (b"MM\0+\0\x08", "tiff"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
)
# A data set without preamble starts with group 2 or 8: tag, then a VR and a length, or a length of four bytes.
_BARE_EXPLICIT = re.compile(rb"(?s)(?:[\x02\x08]\0..|\0[\x02\x08]..)(?:AE|CS|DA|LO|OB|SH|ST|TM|UI|UL|UN|US)")
_BARE_IMPLICIT = re.compile(rb"(?s)[\x02\x08]\0.\0.\0\0\0")


def sniff(file: BinaryIO) -> Kind:
    """Name the kind of a seekable stream and leave it at its beginning."""
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    return kind_of(head)


def kind_of(head: bytes) -> Kind:
    """Name the kind of a file that begins with `head` (132 bytes, or all of a shorter file).

    A DICOM preamble may hold anything, another format's signature too, so DICM at 128 decides first; some files have
    left the preamble out and begin with DICM.
    """
    if head[128:132] == b"DICM" or head.startswith(b"DICM\x02\0"):
        return "dicom"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:18] in _BITMAP_HEADERS:
        return "bmp"
    if _BARE_EXPLICIT.match(head) or _BARE_IMPLICIT.match(head):
        return "dicom"
    return "other"


_BITMAP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}


def is_litter(name: str, kind: Kind) -> bool:
    """Say whether a file is what an operating system leaves behind: told by its name, unless it is a picture."""
    parts = [part.lower() for part in re.split(r"[/\\]", name) if part]
    if "__macosx" in parts[:-1]:
        return True
    base = parts[-1] if parts else ""
    return kind == "other" and (base in LITTER or base.startswith("._"))
