"""Two thousand seeded mutations of every kind of file: each ends in pictures or in a reason, in a child's own time."""

import io
import random
import warnings

import numpy as np
from PIL import Image

from cspine.decoding import canonical, decode
from cspine.decoding.isolation import isolated
from cspine.errors import Refused, Skipped
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import dicom, ramp

BLOCK, BLOCKS = 250, 8


def originals() -> list[bytes]:
    """Make a small file of every syntax and kind."""
    files = [dicom(ramp(), syntax) for syntax in objects.ENCODERS if syntax != objects.BASELINE]
    files += [dicom(ramp(bits=8, dtype=np.uint8), objects.BASELINE, bits=8)]
    files += [dicom(ramp(), syntax) for syntax in (objects.IMPLICIT, objects.DEFLATED, objects.BIG_ENDIAN)]
    for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(ramp(bits=8, dtype=np.uint8)).save(file, form)
        files.append(file.getvalue())
    for form in ("PNG", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(ramp(bits=16)).save(file, form)
        files.append(file.getvalue())
    return files


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Change, remove, double or cut some bytes, mostly near the beginning."""
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 5, 20])):
        if not changed:
            break
        at = dice.randrange(len(changed) if dice.random() < 0.5 else min(len(changed), 1500))
        what = dice.random()
        if what < 0.6:
            changed[at : at + 1] = bytes([dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])])
        elif what < 0.75:
            changed[at : at + dice.randrange(1, 8)] = bytes([dice.choice([0, 255])] * dice.randrange(1, 8))
        elif what < 0.85:
            del changed[at : at + dice.randrange(1, 50)]
        elif what < 0.95:
            changed[at:at] = changed[at : at + dice.randrange(1, 50)]
        else:
            del changed[at + 1 :]
    return bytes(changed)


def outcomes(first: int, count: int) -> list[str]:
    """Decode the mutations of some seeds; anything but a picture or a reason ends the child."""
    files = originals()
    warnings.simplefilter("ignore")
    found = []
    for seed in range(first, first + count):
        dice = random.Random(seed)
        try:
            decoded = decode(io.BytesIO(mutated(dice.choice(files), dice)), "film", Settings())
            found.append("accept" if all(canonical(frame).size for frame in decoded.frames) else "nothing")
        except (Refused, Skipped) as error:
            found.append(error.reason.value)
    return found


def test_every_mutation_ends_in_pictures_or_a_reason(settings: Settings) -> None:
    found = []
    for block in range(BLOCKS):
        found += isolated(settings, outcomes, block * BLOCK, BLOCK).result()
    assert len(found) == BLOCK * BLOCKS
    assert set(found) <= {"accept", *(reason.value for reason in Reason)} - {Reason.INTERNAL_ERROR.value}
    assert 0.1 < found.count("accept") / len(found) < 0.9
