"""Decoding: whatever comes in becomes the 8-bit picture that the standard means, or ends with a named reason."""

import cv2

from cspine.decoding.canonical import canonical, previews
from cspine.decoding.decode import decode, read_header
from cspine.decoding.frame import Decoded, Frame
from cspine.decoding.header import Header, Meta, RefusedWithHeader, SkippedWithHeader
from cspine.decoding.kinds import sniff
from cspine.decoding.limits import limit_child

# One child a core decodes, and a child is a fork: threads of OpenCV would gain nothing and leave it a locked pool.
cv2.setNumThreads(1)

__all__ = [
    "Decoded",
    "Frame",
    "Header",
    "Meta",
    "RefusedWithHeader",
    "SkippedWithHeader",
    "canonical",
    "decode",
    "limit_child",
    "previews",
    "read_header",
    "sniff",
]
