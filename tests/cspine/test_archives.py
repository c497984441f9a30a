"""Archives: what is refused as a whole, what an entry alone is refused for, and names."""

import io
import stat
import struct
import zipfile
import zlib
from typing import Any

import pytest

from cspine import archives
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 200  # enough to be taken for a picture by its content


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **attributes: Any) -> bytes:
    """Make an archive; `attributes` are set on every entry."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return file.getvalue()


def names(data: bytes, settings: Settings) -> list[str]:
    """List the entries of an archive."""
    return [entry.name for entry in archives.entries(io.BytesIO(data), settings)]


def refusal(data: bytes, settings: Settings) -> Reason:
    """Return the reason for which an archive is refused as a whole, before its first entry."""
    with pytest.raises(Refused) as refused:
        archives.entries(io.BytesIO(data), settings)
    return refused.value.reason


@pytest.fixture
def settings() -> Settings:
    """Give the default limits; no database is needed here."""
    return Settings()


def test_a_sound_archive_gives_its_files_and_no_folders(settings: Settings) -> None:
    data = packed({"a/": b"", "a/one": PNG, "b\\": b"", "b\\two": b"text", "three": b""})
    assert names(data, settings) == ["a/one", "b/two", "three"]
    read = [(entry.size, entry.open().read()) for entry in archives.entries(io.BytesIO(data), settings)]
    assert read == [(len(PNG), PNG), (4, b"text"), (0, b"")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_methods(method: int, settings: Settings) -> None:
    entry = next(archives.entries(io.BytesIO(packed({"one": PNG}, method)), settings))
    with entry.open() as stream:
        assert [stream.read(10), stream.read(), stream.read(10)] == [PNG[:10], PNG[10:], b""]


def test_a_method_with_a_dictionary_of_any_size_is_refused_by_the_entry(settings: Settings) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one", PNG)
        archive.writestr("two", PNG, zipfile.ZIP_LZMA)
    one, two = archives.entries(file, settings)
    assert one.open().read() == PNG
    with pytest.raises(Refused) as refused:
        two.open()
    assert refused.value.reason is Reason.UNSUPPORTED_TYPE


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "..\\x", "a\\..\\..\\x", "\\x", "C:\\x", "c:x", "C:/x", "//host/x", ".."]
)
def test_names_that_point_outside(name: str, settings: Settings) -> None:
    assert refusal(packed({"good": PNG, name: PNG}), settings) is Reason.ARCHIVE_TRAVERSAL


@pytest.mark.parametrize("name", ["a..b", "..a/x", "a/b..", "...", "a/b:c"])
def test_names_that_only_look_like_it(name: str, settings: Settings) -> None:
    assert names(packed({name: PNG}), settings) == [name]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(kind: int, settings: Settings) -> None:
    data = packed({"one": PNG}, external_attr=(kind | 0o644) << 16, create_system=3)
    assert refusal(data, settings) is Reason.ARCHIVE_TRAVERSAL


def test_encryption(settings: Settings) -> None:
    data = bytearray(packed({"one": PNG}))
    for at in (6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    assert refusal(bytes(data), settings) is Reason.ARCHIVE_ENCRYPTED


def test_a_bomb_by_its_ratio_and_by_its_total(settings: Settings) -> None:
    assert refusal(packed({"one": PNG, "big": b"\0" * (70 * 2**20)}), settings) is Reason.ARCHIVE_BOMB
    small = settings.model_copy(update={"max_archive_bytes": 10_000})
    assert refusal(packed({str(n): PNG for n in range(60)}), small) is Reason.ARCHIVE_BOMB
    assert names(packed({"zeros": b"\0" * 2**20, "one": PNG}), settings) == ["zeros", "one"]


def test_too_many_entries_are_counted_in_the_directory_itself(settings: Settings) -> None:
    few = settings.model_copy(update={"max_archive_entries": 20})
    data = bytearray(packed({str(n): PNG for n in range(21)}))
    assert refusal(bytes(data), few) is Reason.ARCHIVE_TOO_MANY_ENTRIES
    data[-14:-10] = struct.pack("<HH", 1, 1)  # the end record says that there is one
    assert refusal(bytes(data), few) is Reason.ARCHIVE_TOO_MANY_ENTRIES
    assert len(names(packed({str(n): PNG for n in range(20)}), few)) == 20


def test_a_name_of_any_length_does_not_fill_the_memory(settings: Settings) -> None:
    few = settings.model_copy(update={"max_archive_entries": 20})
    assert refusal(packed({f"{n}" * 5000: PNG for n in range(9)}), few) is Reason.ARCHIVE_TOO_MANY_ENTRIES


def test_more_than_65535_entries_are_counted_in_the_64_bit_record(settings: Settings) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(70_000):
            archive.writestr(zipfile.ZipInfo(str(number)), b"")
    assert refusal(file.getvalue(), settings) is Reason.ARCHIVE_TOO_MANY_ENTRIES


def test_archives_without_a_picture(settings: Settings) -> None:
    assert refusal(packed({}), settings) is Reason.ARCHIVE_NO_IMAGES
    assert refusal(packed({"a": b"text", "b": b""}), settings) is Reason.ARCHIVE_NO_IMAGES
    assert refusal(packed({"in.zip": packed({"one": PNG})}), settings) is Reason.ARCHIVE_NESTED


def test_an_archive_beside_pictures_does_not_cost_them(settings: Settings) -> None:
    assert names(packed({"viewer.jar": packed({"x": b"y"}), "one": PNG}), settings) == ["viewer.jar", "one"]


@pytest.mark.parametrize("cut", [30, 150, -1, -22])
def test_a_cut_archive(cut: int, settings: Settings) -> None:
    assert refusal(packed({"one": PNG, "two": PNG})[:cut], settings) in {Reason.TRUNCATED, Reason.CORRUPT}


def lying(files: dict[str, bytes], name: str, size: int) -> bytes:
    """Make an archive of which one entry declares another size than it has."""
    data = bytearray(packed(files))
    header = data.index(name.encode()) - 30
    entry = data.rindex(name.encode()) - 46
    data[header + 22 : header + 26] = data[entry + 24 : entry + 28] = struct.pack("<L", size)
    return bytes(data)


def test_a_lying_size_never_gives_more_than_it_declared(settings: Settings) -> None:
    data = lying({"zeros": PNG + b"\0" * 100_000, "good": PNG}, "zeros", 300)
    zeros, good = archives.entries(io.BytesIO(data), settings)
    with pytest.raises(Refused) as refused:
        zeros.open().read()
    assert refused.value.reason is Reason.ARCHIVE_BOMB
    assert good.open().read() == PNG
    short = lying({"short": PNG}, "short", 5000)
    with pytest.raises(Refused) as refused:
        stream = next(archives.entries(io.BytesIO(short), settings)).open()
        while stream.read(100):
            pass
    assert refused.value.reason is Reason.CORRUPT


def test_an_archive_of_nothing_but_damage_says_so(settings: Settings) -> None:
    assert refusal(lying({"zeros": b"\0" * 100_000}, "zeros", 100), settings) is Reason.ARCHIVE_BOMB


def test_a_damaged_entry_is_corrupt_and_its_neighbour_is_not(settings: Settings) -> None:
    data = bytearray(packed({"one": PNG, "two": PNG}, zipfile.ZIP_STORED))
    data[60] ^= 255
    one, two = archives.entries(io.BytesIO(bytes(data)), settings)
    with pytest.raises(Refused) as refused, one.open() as stream:
        while stream.read(64):
            pass
    assert refused.value.reason is Reason.CORRUPT
    assert two.open().read() == PNG


@pytest.mark.parametrize(
    ("raw", "code_page", "shown"),
    [
        ("шея".encode(), "cp437", "шея"),
        ("шея".encode(), "cp866", "шея"),
        ("шея".encode("cp866"), "cp866", "шея"),
        ("шея".encode("cp866"), "cp437", "шея".encode("cp866").decode("cp437")),
        ("頸椎".encode("cp932"), "cp932", "頸椎"),
        ("表示".encode("cp932"), "cp932", "表示"),  # its second byte is that of a backslash
        (b"\x81-\x81-", "gbk", "ü-ü-"),
    ],
)
def test_names_in_other_code_pages(raw: bytes, code_page: str, shown: str) -> None:
    data = packed({"x" * len(raw): PNG}).replace(b"x" * len(raw), raw)
    assert names(data, Settings(archive_code_page=code_page)) == [shown]


def test_a_unicode_path_beside_a_name_in_a_code_page(settings: Settings) -> None:
    """APPNOTE 4.6.9: version, checksum of the plain name, the name in UTF-8."""
    for checksum, shown in ((zlib.crc32(b"???"), "шея"), (1, "???")):
        value = b"\1" + checksum.to_bytes(4, "little") + "шея".encode()
        extra = struct.pack("<HH", 0x7075, len(value)) + value
        assert names(packed({"???": PNG}, extra=extra), settings) == [shown]


def test_a_name_that_promises_utf_8_and_is_none_costs_nothing_else(settings: Settings) -> None:
    """An entry with a name beyond ASCII gets the flag; then its bytes are replaced by those of a code page."""
    data = packed({"шея.png": PNG, "two.png": PNG}).replace("шея".encode(), "шея".encode("cp866") + b"\xff\xff\xff")
    found = list(archives.entries(io.BytesIO(data), settings.model_copy(update={"archive_code_page": "cp866"})))
    assert found[0].name.startswith("шея")
    assert found[1].name == "two.png"
    assert [entry.open().read() for entry in found] == [PNG, PNG]


def test_two_entries_of_one_name_are_two_files(settings: Settings) -> None:
    data = packed({"first": PNG, "other": PNG + b"2"}).replace(b"other", b"first")
    read = [(entry.name, entry.open().read()) for entry in archives.entries(io.BytesIO(data), settings)]
    assert read == [("first", PNG), ("first", PNG + b"2")]


def test_a_zip_is_told_by_its_content() -> None:
    assert archives.is_zip(io.BytesIO(packed({"one": PNG})))
    assert archives.is_zip(io.BytesIO(packed({})))
    assert not archives.is_zip(io.BytesIO(PNG))
    assert not archives.is_zip(io.BytesIO(b""))


@pytest.mark.parametrize(
    ("reason", "is_picture"),
    [
        (None, True),
        ("corrupt", True),
        ("too_large", True),
        ("unsupported_type", False),
        ("empty_file", False),
        ("non_image_object", False),
    ],
)
def test_what_counts_as_a_picture_of_an_archive(reason: str | None, is_picture: bool) -> None:
    assert archives.is_picture_reason(reason) is is_picture
