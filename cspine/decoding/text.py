"""Text of a DICOM header: character sets, cleaning for display, dates and times (PS3.3 C.12.1.1.2, PS3.5 6)."""

import re
from datetime import date

from pydicom import charset

from cspine.decoding.attributes import Attributes
from cspine.reasons import Reason

LOST = "\ufffd"  # what could not be decoded, here or by whoever wrote the file
ESCAPE = b"\x1b"
DELIMITERS = {*b"\\\r\n\f\t"}  # and ^ and = in a name: after one of them the first character set holds again
DEFAULT = "latin_1"
ASCII = charset.python_encoding["ISO_IR 6"]
STATEFUL = {"iso2022_jp", "iso2022_jp_2"}  # Python's decoders of these follow the escape sequences themselves
LIMITS = {"PN": 3 * 64 + 2, "LO": 64, "SH": 16, "CS": 16}  # characters that the standard allows
KEPT = {"PN": 400, "LO": 100, "SH": 100, "CS": 20}  # characters that are kept all the same
_PART = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]+")
_DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)")
_TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d{0,6})?)?)?")
_UID = re.compile(r"\d+(?:\.\d+)+")
MAX_UID = 64


class Reader:
    """Reads the text of one header and gathers what was odd with it in `flags`."""

    def __init__(self, attributes: Attributes) -> None:
        """Take the character sets from (0008,0005) *Specific Character Set*."""
        self._attributes = attributes
        self.flags: set[Reason] = set()
        self._encodings = self._read_encodings(attributes.codes("SpecificCharacterSet"))

    def text(self, keyword: str, vr: str) -> str | None:
        """Return a text decoded and cleaned for display, or None where there is none."""
        raw = self._attributes.raw(keyword).strip(b" \0")
        if not raw:
            return None
        text = self._decoded(raw, DELIMITERS | {*b"^="} if vr == "PN" else DELIMITERS)
        if "\\" in text and vr != "CS":
            self.flags.add(Reason.BAD_TEXT)  # it parts values, and one is all that these may have
        return self._clean(text.split("\\")[0] if vr == "CS" else text, vr)

    def uid(self, keyword: str) -> str | None:
        """Return a valid UID, or None with a flag (missing_uid, bad_uid)."""
        value = self._attributes.raw(keyword).decode("ascii", "replace").strip(" \0")
        if not value:
            self.flags.add(Reason.MISSING_UID)
            return None
        if not is_uid(value):
            self.flags.add(Reason.BAD_UID)
            return None
        return value

    def date(self, keyword: str) -> str | None:
        """Return a date as YYYY-MM-DD, or None; an impossible one is flagged (bad_date)."""
        value = self._attributes.code(keyword)
        if not value:
            return None
        if match := _DATE.fullmatch(value):
            year, _, month, day = match.groups()
            try:
                return date(int(year), int(month), int(day)).isoformat()
            except ValueError:
                pass
        self.flags.add(Reason.BAD_DATE)
        return None

    def time(self, keyword: str) -> str | None:
        """Return a time as HH:MM:SS, or None; an impossible one is flagged (bad_date)."""
        value = self._attributes.code(keyword)
        if not value:
            return None
        if match := _TIME.fullmatch(value):
            hour, minute, second = (int(part or 0) for part in match.groups())
            if hour < 24 and minute < 60 and second <= 60:  # 60 is a leap second
                return f"{hour:02}:{minute:02}:{second:02}"
        self.flags.add(Reason.BAD_DATE)
        return None

    def _read_encodings(self, terms: list[str]) -> list[str]:
        encodings = []
        for term in terms or [""]:
            name = re.sub(r"[ _-]+", "_", term.upper())
            encoding = _ENCODINGS.get(name)
            if encoding is None:
                self.flags.add(Reason.BAD_CHARSET)
            else:
                encodings.append(encoding)
        return encodings or [DEFAULT]

    def _decoded(self, raw: bytes, delimiters: set[int]) -> str:
        if raw.isascii() and ESCAPE not in raw:
            return raw.decode("ascii")
        first = self._encodings[0]
        if first == ASCII and ESCAPE not in raw:
            self.flags.add(Reason.BAD_CHARSET)  # more than ASCII, where no other character set is named
        if Reason.BAD_CHARSET in self.flags and ESCAPE not in raw:
            try:
                return raw.decode("utf-8")
            except UnicodeDecodeError:
                return raw.decode(first, "replace")
        try:
            if ESCAPE not in raw:
                return raw.decode(first)
            return "".join(self._part(part, delimiters, "strict") for part in _PART.findall(raw))
        except UnicodeDecodeError:
            self.flags.add(Reason.BAD_CHARSET)
            return "".join(self._part(part, delimiters, "replace") for part in _PART.findall(raw))

    def _part(self, part: bytes, delimiters: set[int], errors: str) -> str:
        """Decode what follows one escape sequence; a delimiter takes back the first character set (PS3.5 6.1.2.5.3)."""
        first = self._encodings[0]
        if not part.startswith(ESCAPE):
            return part.decode(first, errors)
        length = 4 if part[1:3] in {b"$(", b"$)"} else 3
        encoding = _CODES.get(part[:length])
        if encoding is None:
            self.flags.add(Reason.BAD_CHARSET)
            return part[1:].decode(first, "replace")
        if encoding in STATEFUL:
            return part.decode(encoding, errors)
        part = part[length:]
        stop = next((at for at, byte in enumerate(part) if byte in delimiters), len(part))
        if first == ASCII and not part[stop:].isascii():  # in no other set: the escape sequence was not repeated
            first = encoding
        return part[:stop].decode(encoding, errors) + part[stop:].decode(first, errors)

    def _clean(self, text: str, vr: str) -> str | None:
        if LOST in text:
            self.flags.add(Reason.BAD_CHARSET)
        cleaned = _CONTROLS.sub(lambda match: "" if match[0].strip("\0") == "" else " ", text).strip()
        if cleaned != text.strip() or len(text) > LIMITS[vr]:
            self.flags.add(Reason.BAD_TEXT)
        return cleaned[: KEPT[vr]] or None


def is_uid(value: str) -> bool:
    """Say whether a text is a UID (PS3.5 9.1), leading zeros allowed."""
    return len(value) <= MAX_UID and _UID.fullmatch(value) is not None


# Latin alphabet 9 is in PS3.3 C.12.1.1.2, and not yet in pydicom's table
_TERMS = charset.python_encoding | {"ISO_IR 203": "iso8859_15", "ISO 2022 IR 203": "iso8859_15"}
_CODES = charset.CODES_TO_ENCODINGS | {b"\x1b-b": "iso8859_15"}
_ENCODINGS = {re.sub(r"[ _-]+", "_", term.upper()): name or DEFAULT for term, name in _TERMS.items()}
