"""Phantoms: drawn lateral radiographs of the cervical spine, with known truth, for demonstration and tests."""

from cspine.phantoms.drawing import Phantom, draw
from cspine.phantoms.files import write
from cspine.phantoms.night import write_night

__all__ = ["Phantom", "draw", "write", "write_night"]
