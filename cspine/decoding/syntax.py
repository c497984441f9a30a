"""Transfer syntaxes: which are read, by which decoder, and how the data set of a file is written."""

from dataclasses import dataclass
from typing import Literal

from cspine.decoding.elements import LONG_VRS, Encoding

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))
Codec = Literal["plain", "rle", "jpeg", "jpegls", "jpeg2000", "htj2k"]
_JPEG = "1.2.840.10008.1.2.4."
_OTHER_VRS = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL",
              b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}  # fmt: skip
VRS = LONG_VRS | _OTHER_VRS


@dataclass(frozen=True)
class Syntax:
    """The decoder of a transfer syntax; a lossy one may overshoot the stored bits, which are then clipped."""

    codec: Codec
    lossy: bool = False


SYNTAXES = {
    IMPLICIT: Syntax("plain"),
    EXPLICIT: Syntax("plain"),
    BIG_ENDIAN: Syntax("plain"),
    DEFLATED: Syntax("plain"),
    "1.2.840.10008.1.2.1.98": Syntax("plain"),  # encapsulated uncompressed
    "1.2.840.10008.1.2.5": Syntax("rle"),
    _JPEG + "50": Syntax("jpeg", lossy=True),
    _JPEG + "51": Syntax("jpeg", lossy=True),
    _JPEG + "57": Syntax("jpeg"),
    _JPEG + "70": Syntax("jpeg"),
    _JPEG + "80": Syntax("jpegls"),
    _JPEG + "81": Syntax("jpegls", lossy=True),
    _JPEG + "90": Syntax("jpeg2000"),
    _JPEG + "91": Syntax("jpeg2000", lossy=True),
    _JPEG + "201": Syntax("htj2k"),
    _JPEG + "202": Syntax("htj2k"),
    _JPEG + "203": Syntax("htj2k", lossy=True),
}


def encoding_of(head: bytes, transfer_syntax: str | None) -> Encoding:
    """Tell how a data set is written from its first element, which is believed before the file meta header.

    `head` holds the first 8 bytes of the data set.
    """
    explicit = head[4:6] in VRS
    group = int.from_bytes(head[:2], "little")
    if transfer_syntax == BIG_ENDIAN or (transfer_syntax is None and group >= 0x0100 and group & 0xFF == 0):
        little = group != 0 and group & 0xFF != 0 and group < 0x0100  # labelled big-endian, written little-endian
    else:
        little = True
    if not head:
        explicit = transfer_syntax not in {None, IMPLICIT}
    return Encoding(implicit=not explicit, little=little)
