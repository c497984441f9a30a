"""Seeded damage: to any byte, and to what a decoder believes of a file's structure."""

import random
import re
import struct
import zlib
from collections.abc import Callable

from cspine.decoding.kinds import kind_of
from cspine.decoding.syntax import DEFLATED, SYNTAXES
from tests.fuzz.films import films
from tests.fuzz.pictures import archive, archives, chunk, pictures

Mutation = Callable[[bytes, random.Random], bytes]
NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 4096, 2**15 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
TEXTS = (b"", b" ", b"0", b"-1", b"nan", b"1e400", b"-1e-400", b"1\\\\2", b"\\" * 400, b"9" * 300, b"\0" * 10,
         b"\xff\xfe", b"1.2.840.10008.1.2.4.100", b"\x1b$B\x1b(B\x1b", b"2147483648", b"1_000", b"MONOCHROME3",
         b"PALETTE COLOR", b"RGB", b"YBR_FULL_422")  # fmt: skip
OTHER_SYNTAXES = ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.110", "1.2.3", "")
PIXEL_DATA = b"\xe0\x7f\x10\x00"
PIXEL_MODULE = tuple(struct.pack("<HH", 0x28, element) for element in
                     (0x2, 0x4, 0x6, 0x8, 0x10, 0x11, 0x34, 0x100, 0x101, 0x102, 0x103, 0x120, 0x1101, 0x1201, 0x3002)
                     )  # fmt: skip
_ELEMENT = re.compile(rb"(?s)[\x02\x08\x10\x18\x20\x28\x88\x00\xfe]..[\x00\x30\xe0](?:[A-Z]{2}..|.{4})")
_TEXT = re.compile(rb"(?s)..\x00?.(?:AS|CS|DA|DS|IS|LO|PN|SH|TM|UI)(..)")
_STREAM_HEAD = re.compile(rb"\xff[\xc0-\xcf\xda-\xdd\xe0\xee\xf7\xf8]|\xff[\x4f-\x5f\x90\x91\x93]")
_RLE_HEAD = re.compile(rb"(?s)[\x01-\x0f]\0\0\0\x40\0\0\0")


def originals() -> list[bytes]:
    """Make the sound files of every kind; films come first, since they are most of what comes in."""
    sound = films()
    return [*sound.values(), *pictures().values(), *archives([sound["plain"], sound["VOI table"]]).values()]


def mutated(files: list[bytes], dice: random.Random) -> bytes:
    """Choose a file and damage it once or several times."""
    data = dice.choice(files)
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        kind = kind_of(data[:132])
        choices = OF_ANY + OF_KIND.get(kind, ())
        data = spliced(data, dice.choice(files), dice) if dice.random() < 0.04 else dice.choice(choices)(data, dice)
    return data


def bytes_changed(data: bytes, dice: random.Random) -> bytes:
    """Change, remove or double some bytes, mostly near the beginning."""
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 5, 20])):
        at, what = _place(changed, dice), dice.random()
        if what < 0.6:
            changed[at : at + 1] = bytes([dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])])
        elif what < 0.75:
            changed[at : at + dice.randrange(1, 8)] = bytes([dice.choice([0, 255])] * dice.randrange(1, 8))
        elif what < 0.87:
            del changed[at : at + dice.randrange(1, 50)]
        else:
            changed[at:at] = changed[at : at + dice.randrange(1, 50)]
    return bytes(changed)


def number_changed(data: bytes, dice: random.Random) -> bytes:
    """Write an extreme number, or one close to what is there, where a length or an offset may be."""
    width, order = dice.choice([2, 4, 4, 8]), dice.choice(["little", "big"])
    at = _place(data, dice)
    there = int.from_bytes(data[at : at + width], order)
    number = dice.choice([dice.choice(NUMBERS), there + 1, there - 1, there * 2, len(data), len(data) - at, at])
    return data[:at] + (number % (1 << 8 * width)).to_bytes(width, order) + data[at + width :]


def cut(data: bytes, dice: random.Random) -> bytes:
    """End the file anywhere, or exactly where one of its headers begins or ends."""
    edges = [edge for found in (*_ELEMENT.finditer(data), *_STREAM_HEAD.finditer(data)) for edge in found.span()]
    return data[: dice.choice(edges) if edges and dice.random() < 0.7 else dice.randrange(len(data) + 1)]


def spliced(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """Put the pixel data of another film into this one, or join the two anywhere."""
    mine, its = data.rfind(PIXEL_DATA), other.rfind(PIXEL_DATA)
    if mine < 0 or its < 0 or dice.random() < 0.2:
        mine, its = dice.randrange(len(data) + 1), dice.randrange(len(other) + 1)
    return data[:mine] + other[its:]


def stream_wrecked(data: bytes, dice: random.Random) -> bytes:
    """Write into the header of a compressed stream: SOF, DHT, SOS, SIZ, COD, SOT, the offsets of RLE."""
    heads = [found.start() for found in (*_STREAM_HEAD.finditer(data), *_RLE_HEAD.finditer(data))]
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 3]) if heads else 0):
        at = dice.choice(heads[:40]) + dice.randrange(1, 44)
        changed[at : at + 1] = bytes([dice.choice([0, 1, 2, 3, 8, 16, 17, 64, 127, 128, 255, dice.randrange(256)])])
    return bytes(changed)


def segment_moved(data: bytes, dice: random.Random) -> bytes:
    """Leave out, double or swap what lies between two markers of a stream."""
    heads = [found.start() for found in _STREAM_HEAD.finditer(data)]
    if len(heads) < 3:
        return data
    one, two, three = sorted(dice.choices(heads, k=3))
    parts = data[one:two], data[two:three]
    joined = dice.choice([parts[1], parts[0] * 2 + parts[1], parts[1] + parts[0], parts[0]])
    return data[:one] + joined + data[three:]


def syntax_changed(data: bytes, dice: random.Random) -> bytes:
    """Name another transfer syntax in a sound file meta header."""
    at = data.find(b"\x02\x00\x10\x00UI", 132)
    if at < 0:
        return data
    end = at + 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    uid = dice.choice([*SYNTAXES, *OTHER_SYNTAXES]).encode()
    uid += b"\0" * (len(uid) % 2)
    whole = bytearray(data[: at + 6] + struct.pack("<H", len(uid)) + uid + data[end:])
    length = int.from_bytes(whole[140:144], "little") + len(uid) - (end - at - 8)
    whole[140:144] = struct.pack("<L", length % (1 << 32))
    return bytes(whole)


def pixel_module_lies(data: bytes, dice: random.Random) -> bytes:
    """Say something else of rows, columns, bits, samples or the descriptor of a table."""
    tag = dice.choice(PIXEL_MODULE)
    at = data.find(tag)
    order = "little"
    if at < 0:
        at, order = data.find(struct.pack(">HH", *struct.unpack("<HH", tag))), "big"
    if at < 0:
        return data
    there = int.from_bytes(data[at + 8 : at + 10], order)
    number = dice.choice([dice.choice(NUMBERS), there + 1, there - 1, there * 2, there // 2, dice.randrange(1, 20)])
    return data[: at + 8] + (number % 65536).to_bytes(2, order) + data[at + 10 :]


def text_changed(data: bytes, dice: random.Random) -> bytes:
    """Replace the value of a text element (a window, a number of frames, a name) and its length with it."""
    found = list(_TEXT.finditer(data))
    if not found:
        return data
    one, text = dice.choice(found), dice.choice(TEXTS)
    length = int.from_bytes(one[1], "little")
    return data[: one.start(1)] + struct.pack("<H", len(text)) + text + data[one.end() + length :]


def inside_deflated(data: bytes, dice: random.Random) -> bytes:
    """Damage the data set of a deflated film and deflate it again."""
    start = 144 + int.from_bytes(data[140:144], "little")
    if DEFLATED.encode() not in data[:start]:
        return data
    try:
        inner = zlib.decompress(data[start:], -15)
    except zlib.error:
        return data
    packer = zlib.compressobj(wbits=-15)
    changed = dice.choice([bytes_changed, number_changed, pixel_module_lies, text_changed, cut])(inner, dice)
    return data[:start] + packer.compress(changed) + packer.flush()


def chunk_changed(data: bytes, dice: random.Random) -> bytes:
    """Damage, leave out, double or swap chunks of a PNG, with right checksums."""
    parts, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not parts:
        return data
    one, what = dice.randrange(len(parts)), dice.random()
    name, content = parts[one]
    if what < 0.6:
        parts[one] = name, dice.choice([bytes_changed, number_changed])(content, dice) if content else b"\0"
    elif what < 0.7:
        del parts[one]
    elif what < 0.8:
        parts.insert(dice.randrange(len(parts) + 1), parts[one])
    elif what < 0.9 and name == b"IDAT":
        parts[one] = name, zlib.compress(dice.randbytes(dice.randrange(3000)))
    else:
        parts.insert(
            one, (dice.choice([b"acTL", b"tRNS", b"eXIf", b"iCCP", b"PLTE", b"fcTL", b"zTXt"]), dice.randbytes(20))
        )
    return data[:8] + b"".join(chunk(*part) for part in parts)


def directory_changed(data: bytes, dice: random.Random) -> bytes:
    """Change the tag, type, count or value of an entry of a TIFF's first directory."""
    order, big = ("<" if data[:2] == b"II" else ">"), data[2:4] in (b"+\0", b"\0+")
    offset, count, entry, head = ("Q", "Q", 20, 8) if big else ("L", "H", 12, 4)
    try:
        (at,) = struct.unpack_from(order + offset, data, head)
        (entries,) = struct.unpack_from(order + count, data, at)
    except (struct.error, OverflowError):  # the offset was damaged before
        return data
    place = at + struct.calcsize(order + count) + entry * dice.randrange(min(entries, 64) or 1)
    part, width = dice.choice([(0, 2), (2, 2), (4, entry // 2 - 2), (entry // 2 + 2, entry // 2 - 2)])
    number = dice.choice([*NUMBERS, 5, 6, 32773, 34712, 259, 273, 322, 324, len(data), dice.randrange(1 << 16)])
    value = (number % (1 << 8 * width)).to_bytes(width, "little" if order == "<" else "big")
    return data[: place + part] + value + data[place + part + width :]


def entry_changed(data: bytes, dice: random.Random) -> bytes:
    """Write an extreme number into a header or the directory of a ZIP."""
    heads = [found.start() for found in re.finditer(rb"PK(?:\x01\x02|\x03\x04|\x05\x06|\x06\x06|\x06\x07)", data)]
    if not heads:
        return data
    at, width = dice.choice(heads) + dice.randrange(4, 46), dice.choice([1, 2, 4])
    number = dice.choice([*NUMBERS, dice.randrange(1 << 16)]) % (1 << 8 * width)
    return data[:at] + number.to_bytes(width, "little") + data[at + width :]


def archive_of_damaged(data: bytes, dice: random.Random) -> bytes:
    """Put the file, damaged, into a sound archive."""
    return archive([OF_ANY[dice.randrange(len(OF_ANY))](data, dice) for _ in range(dice.randrange(1, 4))])


def _place(data: bytes | bytearray, dice: random.Random) -> int:
    return dice.randrange(max(1, len(data) if dice.random() < 0.5 else min(len(data), 1500)))


OF_ANY: tuple[Mutation, ...] = (bytes_changed, bytes_changed, number_changed, cut, stream_wrecked)
OF_KIND: dict[str, tuple[Mutation, ...]] = {
    "dicom": (syntax_changed, pixel_module_lies, pixel_module_lies, text_changed, text_changed, stream_wrecked,
              stream_wrecked, segment_moved, inside_deflated, archive_of_damaged),
    "png": (chunk_changed, chunk_changed, chunk_changed, archive_of_damaged),
    "jpeg": (stream_wrecked, stream_wrecked, segment_moved),
    "tiff": (directory_changed, directory_changed, directory_changed),
    "zip": (entry_changed, entry_changed, entry_changed),
}  # fmt: skip
