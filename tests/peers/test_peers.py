"""Pictures as dcmtk and gdcm show them: pydicom's own files, and objects of ours with every step of the grey rule."""

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cspine.settings import Settings
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import dicom, ramp
from tests.peers.compare import compare, missing_tools

pytestmark = [
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
    pytest.mark.filterwarnings("ignore"),  # pydicom warns of what is odd in these files
]
DATA = Path(pydicom.__file__).parent / "data"
COLOUR = 8  # dcmtk shows YBR as RGB, clips it and gives the luma of that; the Y itself is the luma
# Colour that no RGB has may differ from its clipped form by more than that only in examples_ybr_color and the like
PEERS_READ_NO = {objects.HTJ2K, objects.HTJ2K_RPCL, objects.HTJ2K_LOSSY}
SYNTAXES = [syntax for syntax in (*objects.ENCODERS, objects.IMPLICIT, objects.BIG_ENDIAN, objects.DEFLATED)
            if syntax not in PEERS_READ_NO]  # fmt: skip


def test_files_of_pydicom_are_shown_as_the_peers_show_them(settings: Settings) -> None:
    compared, far = 0, {}
    for path in sorted(DATA.rglob("*")):
        if path.is_file():
            found = compare(path, settings)
            compared += found.difference is not None
            if (found.difference or 0) > (COLOUR if "colour" in found.note else 1):
                far[path.name] = found
    assert not far
    assert compared >= 80


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_film_of_every_syntax_that_a_peer_reads(syntax: str, settings: Settings, tmp_path: Path) -> None:
    bits = 8 if syntax == objects.BASELINE else 12
    path = tmp_path / "film.dcm"
    # away from the ends of the range: where a lossy stream overshoots it, dcmtk lets white turn to black, and we clip
    cells = (ramp(bits=bits) * 0.9 + 5).astype(np.uint8 if bits == 8 else np.uint16)
    path.write_bytes(dicom(cells, syntax, bits=bits))
    found = compare(path, settings)
    assert found.difference is not None, found
    assert found.difference <= 1


@pytest.mark.parametrize("seed", range(40))
def test_bits_signs_slopes_windows_and_polarities(seed: int, settings: Settings, tmp_path: Path) -> None:
    dice = random.Random(seed)
    bits, signed = dice.randint(8, 16), dice.random() < 0.5
    low = -(1 << bits - 1) if signed else 0
    cells = np.random.default_rng(seed).integers(low, low + (1 << bits), (24, 32), np.int16 if signed else np.uint16)
    attributes = {}
    if dice.random() < 0.6:
        attributes |= {"RescaleSlope": dice.choice(["1", "2", "-1", "0.5", "-10"]),
                       "RescaleIntercept": dice.choice(["0", "-1024", "37.5"])}  # fmt: skip
    if dice.random() < 0.7:
        attributes |= {"WindowCenter": str(low + dice.randrange(1 << bits)),
                       "WindowWidth": str(dice.randrange(2, 1 << bits)),
                       "VOILUTFunction": dice.choice(["LINEAR", "SIGMOID"])}  # fmt: skip
    path = tmp_path / "film.dcm"
    photometric = dice.choice(["MONOCHROME1", "MONOCHROME2"])
    syntax = dice.choice([objects.EXPLICIT, objects.IMPLICIT])
    path.write_bytes(dicom(cells, syntax, bits=bits, photometric=photometric, **attributes))
    found = compare(path, settings)
    assert found.difference is not None, found
    assert found.difference <= 1, attributes
