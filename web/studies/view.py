"""What the study page says of a study, decided here so that the template only sets it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from cspine import release_store, saliency
from cspine.blobs import BlobStore
from cspine.errors import ServiceFault
from cspine.ledger import bucket_of
from cspine.records.studies import Detail, ImageDetail
from cspine.settings import Settings
from cspine.states import IN_WORK, RETRIABLE, State
from cspine.tables import Attempt, ReceivedFile, Screening
from cspine.triage import DISQUALIFYING, Bucket, place
from web.words import person_name


@dataclass(frozen=True)
class View:
    """A study as one reader sees it at one moment, with one of its images chosen."""

    detail: Detail
    settings: Settings
    now: datetime
    first_file: str
    asked_image: int | None = None

    @property
    def title(self) -> str:
        """The patient's name, else the name of the file."""
        return person_name(self.detail.study.patient_name) or self.first_file or "Study without a name"

    @property
    def bucket(self) -> Bucket:
        """The bucket as it stands now."""
        return self._place[0]

    @property
    def reason(self) -> str:
        """The reason in words."""
        return self._place[1]

    @cached_property
    def _place(self) -> tuple[Bucket, str]:
        study = self.detail.study
        return place(study.bucket, study.reason, study.received_at, self.now, self.settings.max_wait_hours,
                     ZoneInfo(self.settings.site_timezone), study.read_at)  # fmt: skip

    @property
    def state(self) -> State | None:
        """Where the study's screening stands."""
        return State(self.detail.screening.state) if self.detail.screening else None

    @property
    def in_work(self) -> bool:
        """Say whether an answer may still come."""
        return self.state in IN_WORK

    @property
    def retriable(self) -> bool:
        """Say whether a person may send it to work again."""
        return self.state in RETRIABLE

    @cached_property
    def image(self) -> ImageDetail | None:
        """The image shown: the one asked for, else the one that gives the study its urgency, else the first."""
        images = self.detail.images
        for one in images:
            if one.image.id == self.asked_image:
                return one
        return max(images, key=_speaks, default=None)

    @property
    def number(self) -> int:
        """The place of the image shown among the study's, from 1."""
        return self.detail.images.index(self.image) + 1 if self.image else 0

    @property
    def version(self) -> str:
        """A text that changes whenever the study's screening does."""
        return version(self.detail.screening)

    @property
    def overlay_at_first(self) -> bool:
        """Say whether the map is drawn at once: not where the image is normal or its answer is not to be relied on."""
        shown = self.image
        return shown is not None and shown.result is not None and shown.result.flagged and not disqualified(shown)

    def methods(self, blobs: BlobStore) -> dict[str, saliency.Method]:
        """Return the saliency methods to choose from: those that the release's network allows."""
        release = self.detail.release
        try:
            kept = release is not None and release_store.holds(blobs, release.identity, saliency.LESION_MAP_FILE)
        except ServiceFault:  # the page is there without the store
            kept = False
        network = str(release.card["network"]) if release is not None else ""
        return saliency.offered(network, lesion_head=kept)

    def bucket_of(self, file: ReceivedFile) -> str:
        """Return the bucket of the ledger that a file of the study is in."""
        return bucket_of(file.disposition, self.state)

    @property
    def last_attempt(self) -> Attempt | None:
        """The attempt that gave the result shown, else the latest."""
        shown, attempts = self.image, self.detail.attempts
        if shown is not None and shown.result is not None:
            for attempt in attempts:
                if attempt.id == shown.result.attempt_id:
                    return attempt
        return attempts[-1] if attempts else None


def version(screening: Screening | None) -> str:
    """Return a text that changes with every change of state."""
    return f"{screening.state}-{screening.changed_at.timestamp():.6f}" if screening else ""


def flags_of(one: ImageDetail) -> Sequence[str]:
    """Return the flags of an image and of its result."""
    return list(dict.fromkeys([*one.image.flags, *(one.result.flags if one.result else [])]))


def disqualified(one: ImageDetail) -> bool:
    """Say whether an image's answer is not to be relied on."""
    return any(flag in DISQUALIFYING for flag in flags_of(one))


def _speaks(one: ImageDetail) -> tuple[bool, float]:
    counts = one.result is not None and not disqualified(one)
    return counts, one.result.urgency if one.result else 0.0
