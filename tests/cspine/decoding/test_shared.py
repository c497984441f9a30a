"""Real films and the public cases, where their folder is present."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from cspine.commands.inspect import Inspection
from cspine.decoding import canonical, decode
from cspine.settings import Settings
from tests.conftest import needs_shared

FILMS = {
    "chest-mono1-j2k-lossy.dcm": (1955, 1841),
    "chest-no-preamble": (440, 440),
    "cr-modality-lut-jpeg-lossless.dcm": (1576, 1976),
    "hip-jpeg-extended-12bit.dcm": (2140, 1760),
    "leg-mono1-jpeg-lossless.dcm": (1760, 1760),
    "leg-mono1-jpegls.dcm": (1760, 1760),
    "leg-mono1-rle.dcm": (1760, 1760),
}
UIDS_BY_LEDGER = {"uid_conflict", "partial", "out_of_distribution", "missing_uid"}


@pytest.mark.parametrize("name", FILMS)
def test_real_films_decode(name: str, settings: Settings) -> None:
    with needs_shared(f"radiographs/dicom/{name}").open("rb") as file:
        frame = decode(file, name, settings).frames[0]
    assert frame.pixels.shape == FILMS[name]
    assert max(canonical(frame).shape) <= 512
    assert frame.pixels.std() > 20


def test_one_film_is_the_same_in_three_syntaxes(settings: Settings) -> None:
    pictures = []
    for kind in ("jpeg-lossless", "jpegls", "rle"):
        with needs_shared(f"radiographs/dicom/leg-mono1-{kind}.dcm").open("rb") as file:
            pictures.append(decode(file, kind, settings).frames[0].pixels)
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])


def test_a_film_against_pydicom_and_the_formula(settings: Settings) -> None:
    path = needs_shared("radiographs/dicom/leg-mono1-rle.dcm")
    with path.open("rb") as file:
        pixels = decode(file, path.name, settings).frames[0].pixels
    dataset = pydicom.dcmread(path)
    linear = (dataset.pixel_array.astype(float) - (dataset.WindowCenter - 0.5)) / (dataset.WindowWidth - 1) + 0.5
    assert np.array_equal(pixels, np.floor(255 - np.clip(linear * 255, 0, 255) + 0.5))


def test_the_public_cases(tmp_path: Path, settings: Settings) -> None:
    """A part of what judge.py asks, in this process: outcome, reason and probed values of each case of one file."""
    manifest = needs_shared("cases/cases.json")
    wrong = []
    for case in json.loads(manifest.read_text())["cases"]:
        paths = [manifest.parent / entry["file"] for entry in case["files"]]
        records = list(Inspection(settings, tmp_path).records(paths))
        taken = [record for record in records if record["outcome"].startswith("accept")]
        reasons = set(case["reason"].split("|")) if case["reason"] else set()
        named = {record["reason"] for record in records} | {flag for record in records for flag in record["flags"]}
        if case["outcome"] == "reject" and (taken or not named & reasons):
            wrong.append((case["id"], named))
        if case["outcome"].startswith("accept") and not taken:
            wrong.append((case["id"], named))
        if case["outcome"] == "accept_flagged" and not (named & reasons or reasons & UIDS_BY_LEDGER):
            wrong.append((case["id"], named))
        for probe in case.get("decoded", {}).get("probes", []) if taken else []:
            value = int(np.asarray(Image.open(tmp_path / taken[0]["images"][0]["png"]))[tuple(probe["rc"])])
            if abs(value - probe["value"]) > probe["tol"]:
                wrong.append((case["id"], {f"{probe['name']} is {value}"}))
    assert wrong == []
