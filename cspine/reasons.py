"""Reason codes: the one vocabulary for why a file, an image or a study is not a plain success.

A code stands in the ledger, the triage list, the API and the logs; its sentence tells a person what it is and what
to do. Codes are added freely and never renamed.
"""

from enum import StrEnum


class Reason(StrEnum):
    """A code with its sentence."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> "Reason":
        """Make the member of which `code` is the value and `sentence` the explanation."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    # What can be wrong with a file
    EMPTY_FILE = "empty_file", "The file has no bytes; send it again."
    UNREADABLE = "unreadable", "The file cannot be opened; check its permissions."
    TOO_LARGE = "too_large", "The file is larger than this installation accepts; raise the limit or send less."
    TRUNCATED = "truncated", "The file ends before its picture does; send it again from the source."
    CORRUPT = "corrupt", "The file cannot be decoded; send it again from the source."
    UNSUPPORTED_TYPE = "unsupported_type", "This kind of file is not a radiograph that cspine reads."
    NON_IMAGE_OBJECT = (
        "non_image_object",
        "This object holds no picture (report, key object, directory); it is skipped.",
    )
    NO_PIXEL_DATA = "no_pixel_data", "The DICOM file holds no pixel data."
    MISSING_TRANSFER_SYNTAX = "missing_transfer_syntax", "The DICOM file does not say how its pixels are encoded."
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax", "The pixels are in an encoding that is not read here."
    UNSUPPORTED_PIXEL_TYPE = "unsupported_pixel_type", "The pixels are of a type (float, colour space) not read here."
    UNSUPPORTED_BIT_LAYOUT = "unsupported_bit_layout", "BitsAllocated, BitsStored and HighBit are no layout read here."
    BAD_GEOMETRY = "bad_geometry", "Rows, columns or frames do not describe a picture."
    EXCESS_PIXEL_DATA = "excess_pixel_data", "The pixel data are longer than the header says; the rest was left out."
    TOO_MANY_FRAMES = "too_many_frames", "The file has more frames or pages than this installation accepts."
    TOO_MANY_PIXELS = "too_many_pixels", "The picture has more pixels than this installation accepts."
    TOO_SMALL = "too_small", "The picture is too small to be a radiograph."
    NESTING_TOO_DEEP = "nesting_too_deep", "The DICOM sequences are nested deeper than any real file's."
    DECOMPRESSION_BOMB = "decompression_bomb", "The file grows out of proportion when unpacked; it was refused."
    DECODER_CRASH = "decoder_crash", "This file repeatedly killed the process that decodes it; it is set aside."
    ANIMATED_IMAGE = "animated_image", "The picture is animated, which no radiograph is."
    EXECUTABLE_PREAMBLE = "executable_preamble", "The DICOM preamble looks like a program; the picture itself is read."

    # What can be wrong with an archive
    ARCHIVE_BOMB = "archive_bomb", "The archive unpacks to more than the limit allows; it was refused as a whole."
    ARCHIVE_ENCRYPTED = "archive_encrypted", "The archive is encrypted; send it without a password."
    ARCHIVE_NESTED = "archive_nested", "An archive inside an archive is not opened; unpack it first."
    ARCHIVE_NO_IMAGES = "archive_no_images", "The archive holds no radiograph."
    ARCHIVE_TOO_MANY_ENTRIES = "archive_too_many_entries", "The archive has more entries than the limit allows."
    ARCHIVE_TRAVERSAL = "archive_traversal", "The archive has entries that point outside it; it was refused as a whole."

    # What can be odd with text and identity; the picture is still read
    BAD_CHARSET = "bad_charset", "The character set is unknown; names may be shown wrongly."
    BAD_DATE = "bad_date", "The study date or time is not a real one; it is shown as missing."
    BAD_TEXT = "bad_text", "A text holds control characters or is too long; it was cleaned for display."
    BAD_UID = "bad_uid", "A UID breaks the rules of DICOM; the study has one of our own."
    MISSING_UID = "missing_uid", "A UID is missing; the study has one of our own."
    BAD_RESCALE = (
        "bad_rescale",
        "The rescale of the stored values is unusable and left out; the brightness may be wrong.",
    )
    BAD_WINDOW = "bad_window", "The window is unusable; the picture is shown from its least to its greatest value."
    UID_CONFLICT = "uid_conflict", "Two different pictures carry the same SOP Instance UID; check which is right."
    PATIENT_CONFLICT = (
        "patient_conflict",
        "Files of one study name different patients; find out whose pictures these are before they are read.",
    )
    HEADER_CHANGED = "header_changed", "The same picture came before under another header; check which header is right."

    # What a study or an image is flagged for
    PARTIAL = "partial", "Some of the study could not be read or never came; the answer covers only the rest."
    BLANK_IMAGE = "blank_image", "The picture is blank or constant; there is nothing to analyse."
    WRONG_BODY_PART = "wrong_body_part", "The header says that this is not a cervical spine; no label is given."
    OUT_OF_DISTRIBUTION = (
        "out_of_distribution",
        "The picture is unlike what this release was trained on; its answer is not to be relied on.",
    )
    BORDER_ATTENTION = (
        "border_attention",
        "The answer rests mostly on the film's border, where no vertebra is; look at the map before relying on it.",
    )

    # Why a study has no answer
    NO_USABLE_IMAGE = (
        "no_usable_image",
        "None of the study's files gave a picture of its own; see the reason of each file.",
    )
    WORKER_CRASH = "worker_crash", "The process that analysed this study was killed; it is tried again."
    LEASE_EXPIRED = "lease_expired", "The worker stopped answering while it had this study; it is tried again."
    TIMED_OUT = "timed_out", "The analysis took longer than its limit and was stopped."
    OUT_OF_MEMORY = "out_of_memory", "The analysis needed more memory than it may have."
    BLOB_MISSING = "blob_missing", "The stored file is no longer there; send the study again."
    STORAGE_UNAVAILABLE = "storage_unavailable", "The blob store does not answer; it is tried again."
    STORAGE_FULL = "storage_full", "There is no room left to store the file; free some space and send it again."
    BROKER_UNAVAILABLE = "broker_unavailable", "The message broker does not answer; work waits and is taken up later."
    DATABASE_UNAVAILABLE = "database_unavailable", "The database does not answer; it is tried again."
    DATABASE_BUSY = "database_busy", "The database was too busy with other work for this; it is tried again."
    NO_RELEASE = "no_release", "No model release is active; import and activate one."
    BROKEN_RELEASE = "broken_release", "The model release is damaged or incomplete; `cspine doctor` says which file."
    UNSUPPORTED_METHOD = "unsupported_method", "The network of this release does not allow this saliency method."
    SENTINEL_FAILED = (
        "sentinel_failed",
        "On this machine the release does not answer its pinned pictures as it did when it was made; studies wait.",
    )
    NOT_A_NUMBER = "not_a_number", "The network gave a value that is not a finite number; it is no answer."
    INTERNAL_ERROR = "internal_error", "An error inside cspine; the traceback is on the failures page for admins."
    POISON = "poison", "This study repeatedly killed its worker; it is set aside until a person retries it."
    CANCELLED = "cancelled", "A person discarded this study or cancelled its batch."


def sentence(code: str) -> str:
    """Return the sentence of a code; a code of another version is given back as it is."""
    try:
        return Reason(code).sentence  # type: ignore[call-arg]  # the enum's call by value
    except ValueError:
        return code
