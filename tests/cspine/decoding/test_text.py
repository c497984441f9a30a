"""Character sets, cleaning, dates and UIDs, by the examples of PS3.5 annexes H, I and J."""

import io

import pytest

from cspine.decoding import Header, read_header
from cspine.settings import Settings
from tests.cspine.decoding.objects import dicom, element, ramp

NAME, CHARSET, DATE, TIME, DESCRIPTION = 0x00100010, 0x00080005, 0x00080020, 0x00080030, 0x00081030
PIXELS = dicom(ramp(8, 8))[132:]  # without the preamble


def header(settings: Settings, **values: bytes) -> Header:
    """Read the header of an object whose texts are the given bytes."""
    tags = {"charset": (CHARSET, "CS"), "date": (DATE, "DA"), "time": (TIME, "TM"),
            "description": (DESCRIPTION, "LO"), "name": (NAME, "PN"), "study": (0x0020000D, "UI")}  # fmt: skip
    own = b"".join(element(*tags[key], value + b" " * (len(value) % 2)) for key, value in values.items())
    meta = element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
    body = PIXELS[PIXELS.index(b"\x08\0\x16\0UI") :]
    return read_header(io.BytesIO(b"\0" * 128 + b"DICM" + meta + own + body), "film", settings)


@pytest.mark.parametrize(
    ("charset", "raw", "name"),
    [
        (b"ISO_IR 100", "Buc^Jérôme".encode("latin-1"), "Buc^Jérôme"),
        (b"ISO_IR 101", "Wałęsa^Lech".encode("iso8859_2"), "Wałęsa^Lech"),
        (b"ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
        (b"ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος"),
        (b"ISO_IR 127", "قباني^لنزار".encode("iso8859_6"), "قباني^لنزار"),
        (b"ISO_IR 138", "שרון^דבורה".encode("iso8859_8"), "שרון^דבורה"),
        (b"ISO_IR 148", "Çavuşoğlu".encode("iso8859_9"), "Çavuşoğlu"),
        (b"ISO_IR 166", "สมชาย".encode("iso8859_11"), "สมชาย"),
        (b"ISO_IR 192", "Zoë^Ana=𠮷田^花".encode(), "Zoë^Ana=𠮷田^花"),
        (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        (b"GBK", "Wang^XiaoDong=王^小东".encode("gbk"), "Wang^XiaoDong=王^小东"),
        (b"\\ISO 2022 IR 87",
         b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
         "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87",
         b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
         "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (b"\\ISO 2022 IR 149",
         b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
         "Hong^Gildong=洪^吉洞=홍^길동"),
        (b"ISO 2022 IR 100\\ISO 2022 IR 144",
         b"Dionysios^J\xe9r\xf4me \x1b-L\xbb\xee\xda",
         "Dionysios^Jérôme Люк"),
        (b"ISO_IR 6", b"Doe^John", "Doe^John"),
        (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (b"ISO_IR 109", "Ħal^Ġużè".encode("iso8859_3"), "Ħal^Ġużè"),
        (b"ISO_IR 110", "Šķēle^Ņina".encode("iso8859_4"), "Šķēle^Ņina"),
        (b"ISO_IR 203", "Šœur^Ÿ€".encode("iso8859_15"), "Šœur^Ÿ€"),
        (b"\\ISO 2022 IR 159", b"Test^One=\x1b$(D0!0\"\x1b(B", "Test^One=丂丄"),
        (b"\\ISO 2022 IR 58",
         b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
         "Zhang^XiaoDong=张^小东="),
        (b"\\ISO 2022 IR 149", b"=\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7", "=洪^吉洞"),  # not repeated, as often in the wild
        (b"ISO 2022 IR 6\\ISO 2022 IR 101", b"A^\x1b-BWa\xb3\xeasa", "A^Wałęsa"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 109", b"A^\x1b-C\xa1", "A^Ħ"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 110", b"A^\x1b-D\xa9", "A^Š"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 126", b"A^\x1b-F\xc4", "A^Δ"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 127", b"A^\x1b-G\xe4", "A^ل"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 138", b"A^\x1b-H\xf9", "A^ש"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 148", b"A^\x1b-M\xf0", "A^ğ"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 166", b"A^\x1b-T\xca", "A^ส"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 203", b"A^\x1b-b\xa4", "A^€"),
        (b"ISO 2022 IR 100\\ISO 2022 IR 144", b"\x1b-L\xd2^\xe9", "в^é"),
        (b"iso-ir 100", "Jérôme".encode("latin-1"), "Jérôme"),  # misspelt in the wild
    ],
)  # fmt: skip
def test_character_sets(charset: bytes, raw: bytes, name: str, settings: Settings) -> None:
    read = header(settings, charset=charset, name=raw)
    assert (read.meta.patient_name, read.flags) == (name, ())


@pytest.mark.parametrize(
    ("charset", "raw", "name"),
    [
        (b"ISO_IR 999", "Jérôme".encode("latin-1"), "Jérôme"),
        (b"ISO_IR 999", "Jérôme".encode(), "Jérôme"),
        (b"ISO_IR 192", "Jérôme".encode("latin-1"), "J\ufffdr\ufffdme"),
        (b"", "Jérôme".encode("latin-1"), "Jérôme"),
        (b"ISO_IR 6", "Jérôme".encode("latin-1"), "Jérôme"),
        (b"ISO_IR 6", "山田".encode(), "山田"),
        (b"\\ISO 2022 IR 87", "山田".encode(), "山田"),
        (b"ISO 2022 IR 87", b"A^B=\x1b$B;3ED\x1b$B^\x1b$BB@O:\x1b(B", "A^B=山田\ufffd太郎"),
        (b"ISO_IR 192", b"A\xffB", "A\ufffdB"),
        (b"ISO_IR 192", "A\ufffdB".encode(), "A\ufffdB"),  # lost before
        (b"\\ISO 2022 IR 999", b"Doe\x1b$(Z\xb0", "Doe$(Z°"),
    ],
)
def test_an_unknown_or_broken_character_set_is_flagged_and_read_as_well_as_it_goes(
    charset: bytes, raw: bytes, name: str, settings: Settings
) -> None:
    values = {"charset": charset, "name": raw} if charset else {"name": raw}
    read = header(settings, **values)
    assert (read.meta.patient_name, read.flags) == (name, ("bad_charset",))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Doe^John\0\0", "Doe^John"),
        (b"  Doe^John  ", "Doe^John"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        (b"=cmd()", "=cmd()"),
    ],
)
def test_padding_is_no_fault_and_markup_stays(raw: bytes, text: str, settings: Settings) -> None:
    read = header(settings, name=raw)
    assert (read.meta.patient_name, read.flags) == (text, ())


def test_control_characters_are_cleaned_and_flagged(settings: Settings) -> None:
    read = header(settings, name=b"Doe\0^John", description=b"Neck\r\nlateral\tleft")
    assert (read.meta.patient_name, read.meta.study_description) == ("Doe^John", "Neck lateral left")
    assert read.flags == ("bad_text",)
    turned = header(settings, charset=b"ISO_IR 192", name="Doe\u202egpj.exe".encode())
    assert (turned.meta.patient_name, turned.flags) == ("Doe gpj.exe", ("bad_text",))


def test_a_second_value_where_one_is_allowed_is_shown_and_flagged(settings: Settings) -> None:
    read = header(settings, description=b"C-SPINE\\LAT")
    assert (read.meta.study_description, read.flags) == ("C-SPINE\\LAT", ("bad_text",))


def test_over_long_text_is_cut_and_flagged(settings: Settings) -> None:
    read = header(settings, description=b"x" * 3000)
    assert read.meta.study_description == "x" * 100
    assert read.flags == ("bad_text",)


@pytest.mark.parametrize(
    ("raw", "date", "flags"),
    [
        (b"20260310", "2026-03-10", ()),
        (b"1997.01.02", "1997-01-02", ()),  # ACR-NEMA
        (b"20260230", None, ("bad_date",)),
        (b"10.03.26", None, ("bad_date",)),
        (b"20261301", None, ("bad_date",)),
        (b"", None, ()),
    ],
)
def test_dates(raw: bytes, date: str | None, flags: tuple[str, ...], settings: Settings) -> None:
    read = header(settings, date=raw)
    assert (read.meta.study_date, read.flags) == (date, flags)


@pytest.mark.parametrize(
    ("raw", "time", "flags"),
    [
        (b"235930", "23:59:30", ()),
        (b"000030.123456", "00:00:30", ()),
        (b"1230", "12:30:00", ()),
        (b"07", "07:00:00", ()),
        (b"12:30:15", "12:30:15", ()),
        (b"235960", "23:59:60", ()),
        (b"250000", None, ("bad_date",)),
        (b"noon", None, ("bad_date",)),
    ],
)
def test_times(raw: bytes, time: str | None, flags: tuple[str, ...], settings: Settings) -> None:
    read = header(settings, time=raw)
    assert (read.meta.study_time, read.flags) == (time, flags)


@pytest.mark.parametrize("uid", [b"../../etc/passwd", b"1.2.3/4", b"1." + b"2" * 64, b"1..2", b"abc", b"12"])
def test_a_bad_uid_is_none_and_flagged(uid: bytes, settings: Settings) -> None:
    read = header(settings, study=uid)
    assert (read.study_uid, read.flags) == (None, ("bad_uid",))


def test_a_missing_uid_is_flagged(settings: Settings) -> None:
    read = read_header(io.BytesIO(dicom(ramp(), StudyInstanceUID=None)), "film", settings)
    assert (read.study_uid, read.flags) == (None, ("missing_uid",))
    assert read.sop_uid is not None
