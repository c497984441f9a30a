"""Folders as archives, CDs and people make them: one folder a case, generated, with the names of its files."""

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cspine.phantoms import draw
from tests.cspine.decoding.companions import (
    DOSE,
    KEY_OBJECT,
    PDF,
    REPORT,
    companion,
    dicomdir,
    key_object,
    localizer,
    presentation_state,
)
from tests.cspine.decoding.objects import dicom

ROOT = "1.2.826.0.1.3680043.8.498.4."
Cells = NDArray[Any]
NAMES = {  # PS3.5 annexes H to K, and what else is named in PS3.3 C.12.1.1.2
    "": ("Doe^Jane", "ascii"),
    "ISO_IR 100": ("Buc^Jérôme", "latin_1"),
    "ISO_IR 101": ("Dvořák^Jiří", "iso8859_2"),
    "ISO_IR 109": ("Ċensu^Ħal", "iso8859_3"),
    "ISO_IR 110": ("Bērziņš^Jānis", "iso8859_4"),
    "ISO_IR 144": ("Люксембург^Роза", "iso8859_5"),
    "ISO_IR 127": ("قباني^لنزار", "iso8859_6"),
    "ISO_IR 126": ("Διονυσιος^Νικος", "iso8859_7"),
    "ISO_IR 138": ("שרון^דבורה", "iso8859_8"),
    "ISO_IR 148": ("Çavuşoğlu^Işıl", "iso8859_9"),
    "ISO_IR 203": ("Œuvrard^Chloé", "iso8859_15"),
    "ISO_IR 166": ("สมชาย^ใจดี", "iso8859_11"),
    "ISO_IR 13": ("ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis"),
    "ISO_IR 192": ("Wang^XiaoDong=王^小東=", "utf_8"),
    "GB18030": ("Wang^XiaoDong=王^小东=", "gb18030"),
    "GBK": ("Wang^XiaoDong=王^小东=", "gbk"),
}


def picture(seed: int, rows: int = 240, columns: int = 180) -> Cells:
    """Draw a neck, small, uint16 (rows, columns) of 12 bits, another one for each seed."""
    drawn = Image.fromarray(draw(seed).pixels).resize((columns, rows), Image.Resampling.BOX)
    return (np.asarray(drawn, np.uint16) * 16 + seed % 16).astype(np.uint16)


def film(study: str, number: int = 1, cells: Cells | None = None, **attributes: Any) -> bytes:
    """Write a film of a study named by a word."""
    if cells is None:
        cells = picture(sum(map(ord, study)) + number)
        attributes = {"WindowCenter": 2048, "WindowWidth": 4096} | attributes
    return dicom(cells, **_own(study, number) | attributes)


def uid(study: str) -> str:
    """Return the UID of a study named by a word."""
    return ROOT + str(int.from_bytes(study.encode()))


def _own(study: str, number: int) -> dict[str, Any]:
    of = uid(study)
    return {"StudyInstanceUID": of, "SeriesInstanceUID": f"{of}.1", "SOPInstanceUID": f"{of}.1.{number}",
            "PatientID": study, "InstanceNumber": number, "StudyDate": "20260301",
            "StudyTime": "230000"}  # fmt: skip


def instance(study: str, number: int) -> str:
    """Return the UID of a film."""
    return f"{uid(study)}.1.{number}"


def png(cells: Cells) -> bytes:
    """Write a picture file of uint8 or uint16 (rows, columns)."""
    file = io.BytesIO()
    Image.fromarray(cells).save(file, "PNG")
    return file.getvalue()


def archive(entries: dict[str, bytes]) -> bytes:
    """Write a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return file.getvalue()


def pages(*pictures: Cells) -> bytes:
    """Write a TIFF of several pages."""
    file = io.BytesIO()
    first, *others = map(Image.fromarray, pictures)
    first.save(file, "TIFF", save_all=True, append_images=others)
    return file.getvalue()


def compositions() -> dict[str, dict[str, bytes]]:
    """Films with what lies beside them."""
    cd = [film("cd", number) for number in (1, 2)]
    short = [film("short", number) for number in (1, 2, 3)]
    litter = {"__MACOSX/A/._IM0": b"\0\5\x16\7", ".DS_Store": b"\0\0\0\1Bud1", "A/Thumbs.db": b"\xd0\xcf\x11\xe0"}
    grey = (picture(7) >> 4).astype(np.uint8)
    return {
        "report": {"IM1": film("report"), "SR1": companion(REPORT, uid("report"))},
        "dose": {"IM1": film("dose"), "SR1": companion(DOSE, uid("dose"))},
        "pdf": {"IM1": film("pdf"), "PDF1": companion(PDF, uid("pdf"), EncapsulatedDocument=b"%PDF-1.7\n")},
        "state": {"IM1": film("state"), "PR1": presentation_state(uid("state"), [instance("state", 1)])},
        "key": {"KO1": key_object(uid("key"), [instance("key", 1), instance("key", 2)]), "XR1": film("key")},
        "localizer": {"AX1": film("localizer", Modality="CT"), "LOC": localizer(uid("localizer"))},
        "only_report": {"SR1": companion(REPORT, uid("only_report")), "KO1": companion(KEY_OBJECT, uid("only_report"))},
        "cd": {"cd.zip": archive({"DICOMDIR": dicomdir(*cd), "A/IM0": cd[0], "B/IM0": cd[1], **litter})},
        "short": {"DICOMDIR": dicomdir(*short), "A/IM0": short[0], "B/IM0": short[2]},
        "mixed": {"m.zip": archive({"good": film("mixed"), "cut": film("mixed", 2)[:-9000], "notes.txt": b"x",
                                    "empty": b""})},
        "pages": {"two.tif": pages(grey, grey[::-1].copy())},
        "frames": {"three.dcm": film("frames", cells=np.stack([picture(seed) for seed in (1, 2, 3)]))},
        "announced": {"IM1": film("announced", 1, NumberOfStudyRelatedInstances=3), "IM2": film("announced", 2)},
    }  # fmt: skip


def identities() -> dict[str, dict[str, bytes]]:
    """Files that are the same, or say that they are."""
    once, other = film("twice"), {"SeriesInstanceUID": f"{uid('twin_uid')}.2"}
    return {
        "twice": {"a.dcm": once, "b.dcm": once},
        "twin_uid": {"a.dcm": film("twin_uid"), "b.dcm": film("twin_uid", 1, picture(99), **other)},
        "two_series": {"a.dcm": film("two_series", 1, picture(5)),
                       "b.dcm": film("two_series", 1, picture(5), SeriesInstanceUID=f"{uid('two_series')}.2")},
        "shared_series": {"a.dcm": film("shared_a", SeriesInstanceUID=ROOT + "9"),
                          "b.dcm": film("shared_b", SeriesInstanceUID=ROOT + "9")},
        "two_patients": {"a.dcm": film("two_patients"), "b.dcm": film("two_patients", 2, PatientID="other")},
        "no_uids": {"a.dcm": film("no_uids", StudyInstanceUID=None, SeriesInstanceUID=None, SOPInstanceUID=None)},
        "bad_uids": {"a.dcm": film("bad_uids", StudyInstanceUID="../../etc/passwd"),
                     "b.dcm": film("bad_uids", 2, StudyInstanceUID="1." * 40 + "1")},
        "midnight": {"a.dcm": film("midnight", 1, StudyDate="20260310", StudyTime="235930", ContentTime="235930"),
                     "b.dcm": film("midnight", 2, StudyDate="20260310", StudyTime="235930", ContentDate="20260311",
                                   ContentTime="000030")},
        "bad_dates": {"a.dcm": film("bad_dates", StudyDate="20261332", StudyTime="996199")},
        "old_dates": {"a.dcm": film("old_dates", StudyDate="1996.02.29", StudyTime="07:05:09")},
    }  # fmt: skip


def contents() -> dict[str, dict[str, bytes]]:
    """Pictures that are no cervical spine, or no picture to speak of."""
    whole = (240, 180)
    return {
        "chest": {"a.dcm": film("chest", BodyPartExamined="CHEST")},
        "hand": {"a.dcm": film("hand", BodyPartExamined="HAND")},
        "breast": {"a.dcm": film("breast", Modality="MG")},
        "black": {"a.png": png(np.zeros(whole, np.uint8))},
        "white": {"a.png": png(np.full(whole, 255, np.uint8))},
        "constant": {"a.dcm": film("constant", cells=np.full(whole, 1000, np.uint16))},
        "saturated": {"a.dcm": film("saturated", cells=np.full(whole, 4095, np.uint16), WindowCenter=9, WindowWidth=1)},
        "tiny": {"a.png": png(picture(3, 16, 16).astype(np.uint16))},
        "speck": {"a.png": png(np.array([[0, 255]], np.uint8))},
    }  # fmt: skip


def names() -> dict[str, dict[str, bytes]]:
    """One patient's name in each character set; the file is named by its character set."""
    small, files = picture(11, 48, 32), {}
    for number, (term, (name, encoding)) in enumerate(NAMES.items()):
        placeholder = "X" * len(name.encode(encoding))
        data = film("name" + str(number), 1, small + number, PatientName=placeholder, SpecificCharacterSet=term or None)
        files[term or "ASCII"] = data.replace(placeholder.encode(), name.encode(encoding))
    return {"names": files}
