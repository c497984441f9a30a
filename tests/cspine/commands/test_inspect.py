"""`cspine inspect` as other people's scripts use it: the contract of design section 8."""

import ctypes
import faulthandler
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cspine.__main__ import main
from cspine.commands import inspect as command
from tests.cspine.decoding.objects import ROOT, dicom, ramp

KEYS = ["file", "sha256", "kind", "outcome", "reason", "flags", "study_uid", "series_uid", "sop_uid", "meta", "images"]
META = ["patient_name", "patient_id", "study_date", "study_time", "study_description", "modality", "body_part", "view"]
IMAGE = ["frame", "rows", "columns", "display_rows", "display_columns", "png"]
FILM = dicom(ramp(), StudyDate="20260310", StudyTime="0815", PixelSpacing=[0.4, 0.2])


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Run the command and return its status and its records; stdout holds nothing else."""
    status = main(["inspect", "--json", *map(str, arguments)])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def png(**options: Any) -> bytes:
    """Make a small picture."""
    file = io.BytesIO()
    Image.fromarray(ramp(bits=8, dtype=np.uint8)).save(file, "PNG", **options)
    return file.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_the_record_of_a_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "film").write_bytes(FILM)
    status, [record] = run(capsys, tmp_path / "film", "--save", tmp_path / "out")
    assert status == 0
    assert [list(record), list(record["meta"]), list(record["images"][0])] == [KEYS, META, IMAGE]
    assert record["file"] == str(tmp_path / "film")
    assert record["sha256"] == hashlib.sha256(FILM).hexdigest()
    assert (record["kind"], record["outcome"], record["reason"], record["flags"]) == ("dicom", "accept", None, [])
    assert [record[key] for key in ("study_uid", "series_uid", "sop_uid")] == [ROOT + "1", ROOT + "2", ROOT + "3"]
    assert (record["meta"]["study_date"], record["meta"]["study_time"]) == ("2026-03-10", "08:15:00")
    image = record["images"][0]
    assert [image[key] for key in IMAGE[:5]] == [0, 24, 32, 48, 32]
    saved = Image.open(tmp_path / "out" / image["png"])
    assert (saved.mode, saved.size) == ("L", (32, 24))
    assert np.array_equal(np.asarray(saved), np.floor(ramp().astype(float) * 255 / 4095 + 0.5))


def test_a_picture_has_no_identity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "film.dcm").write_bytes(png())
    _, [record] = run(capsys, tmp_path / "film.dcm")
    assert (record["kind"], record["study_uid"], record["sop_uid"]) == ("png", None, None)
    assert set(record["meta"].values()) == {None}
    assert record["images"][0]["png"] is None


def test_a_folder_is_walked_and_a_rejection_gives_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b").write_bytes(FILM[:-9])
    (tmp_path / "in" / "deep" / "a").write_bytes(FILM)
    (tmp_path / "in" / "Thumbs.db").write_bytes(b"x")
    status, records = run(capsys, tmp_path / "in")
    by_name = {Path(record["file"]).name: record for record in records}
    assert status == 1
    assert (by_name["a"]["outcome"], by_name["a"]["reason"]) == ("accept", None)
    assert (by_name["b"]["outcome"], by_name["b"]["reason"]) == ("reject", "truncated")
    assert by_name["b"]["study_uid"] == ROOT + "1"  # the header was sound
    assert (by_name["Thumbs.db"]["outcome"], by_name["Thumbs.db"]["reason"]) == ("skip", "non_image_object")


def test_flags_and_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = np.stack([ramp(), np.zeros_like(ramp())])
    (tmp_path / "film").write_bytes(dicom(cells, BodyPartExamined="CHEST"))
    status, [record] = run(capsys, tmp_path / "film")
    assert (status, record["outcome"], record["reason"]) == (0, "accept_flagged", None)
    assert record["flags"] == ["blank_image", "wrong_body_part"]
    assert [image["frame"] for image in record["images"]] == [0, 1]


def test_an_archive_gives_a_line_an_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zipped(tmp_path / "a.zip", {"d/film": FILM, "cut": FILM[:-9], "notes.txt": b"x", ".DS_Store": b"x"})
    status, records = run(capsys, path, "--save", tmp_path / "out")
    assert status == 1
    assert [(record["file"].split("!")[1], record["reason"]) for record in records] == [
        ("d/film", None),
        ("cut", "truncated"),
        ("notes.txt", "unsupported_type"),
        (".DS_Store", "non_image_object"),
    ]
    assert records[0]["file"] == f"{path}!d/film"
    assert records[0]["sha256"] == hashlib.sha256(FILM).hexdigest()
    assert (tmp_path / "out" / records[0]["images"][0]["png"]).exists()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"../film": FILM}, "archive_traversal"),
        ({"notes.txt": b"x"}, "archive_no_images"),
        ({"report": dicom(None, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")}, "archive_no_images"),
    ],
)
def test_an_archive_refused_as_a_whole_gives_one_line(
    files: dict[str, bytes], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = zipped(tmp_path / "a.zip", files)
    status, [record] = run(capsys, path)
    assert status == 1
    assert (record["file"], record["kind"], record["outcome"], record["reason"]) == (str(path), "zip", "reject", reason)
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_crash_is_corrupt_and_the_next_file_unaffected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = command.report

    def crashing(path: Path, *arguments: Any) -> Any:
        if path.name == "bad":
            faulthandler.disable()
            ctypes.string_at(0)
        return report(path, *arguments)

    monkeypatch.setattr(command, "report", crashing)
    for name in ("bad", "good"):
        (tmp_path / name).write_bytes(FILM)
    status, [bad, good] = run(capsys, tmp_path / "bad", tmp_path / "good")
    assert status == 1
    assert (bad["kind"], bad["outcome"], bad["reason"], bad["images"]) == ("dicom", "reject", "corrupt", [])
    assert good["outcome"] == "accept"


def test_a_file_beyond_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSPINE_MAX_FILE_BYTES", "1000")
    (tmp_path / "film").write_bytes(FILM)
    _, [record] = run(capsys, tmp_path / "film")
    assert (record["outcome"], record["reason"]) == ("reject", "too_large")


def test_plain_lines_and_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "film").write_bytes(FILM)
    assert main(["inspect", str(tmp_path / "film")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'film'}: accept  dicom  24x32\n"
    assert main(["inspect", str(tmp_path / "nothing")]) == 2
    assert main(["inspect"]) == 2


def test_an_entry_beyond_the_limit_of_a_file_is_refused_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 4 * len(FILM)
    monkeypatch.setenv("CSPINE_MAX_FILE_BYTES", str(limit))
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("film", FILM)
        archive.writestr("larger", FILM.ljust(limit + 1, b"\0"))
    status, records = run(capsys, path)
    assert status == 1
    assert [record["reason"] for record in records] == [None, "too_large"]
