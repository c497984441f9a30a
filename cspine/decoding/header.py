"""What is known of a file before its pixels are decoded: its kind, identity, description and first flags."""

from dataclasses import dataclass, field

from cspine.decoding import kinds
from cspine.decoding.announced import Announced
from cspine.errors import Refused, Skipped
from cspine.reasons import Reason


@dataclass(frozen=True)
class Meta:
    """What the header says of patient, study and machine: cleaned for display, None where it says nothing.

    Dates are YYYY-MM-DD and times HH:MM:SS, as stored and never shifted; names keep their ^ and =.
    """

    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession_number: str | None = None
    study_date: str | None = None
    study_time: str | None = None
    study_description: str | None = None
    modality: str | None = None
    body_part: str | None = None
    view: str | None = None
    station: str | None = None
    manufacturer: str | None = None
    series_number: int | None = None
    instance_number: int | None = None


@dataclass(frozen=True)
class Header:
    """The header of one file. UIDs are None where the file has none, or a bad one, of its own."""

    kind: kinds.Kind
    study_uid: str | None = None
    series_uid: str | None = None
    sop_uid: str | None = None
    meta: Meta = field(default_factory=Meta)
    flags: tuple[str, ...] = ()
    announced: tuple[Announced, ...] = ()


class RefusedWithHeader(Refused):
    """A file is refused although its header could be read, so that its study is known."""

    def __init__(self, detail: str, reason: Reason, header: Header) -> None:
        """Keep the header beside the reason."""
        super().__init__(detail, reason)
        self.header = header


class SkippedWithHeader(Skipped):
    """An object without a picture, of which the study is known."""

    def __init__(self, detail: str, header: Header) -> None:
        """Keep the header; the reason is always non_image_object."""
        super().__init__(detail)
        self.header = header
