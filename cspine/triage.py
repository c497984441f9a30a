"""The triage order: one bucket and one reason in words for every unread study (design, section 7).

Pure functions of what is known of a study. Nothing here reads a clock, a setting or a database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from cspine.reasons import Reason, sentence
from cspine.states import State


class Bucket(StrEnum):
    """The buckets, the first to be read first."""

    OVERDUE = "overdue"
    POSITIVE = "positive"
    NOT_ANALYSED = "not_analysed"
    NORMAL = "normal"


DISQUALIFYING = (Reason.WRONG_BODY_PART, Reason.BLANK_IMAGE, Reason.OUT_OF_DISTRIBUTION)
IN_WORK = "In work"
STUDY_FAULTS = (Reason.UID_CONFLICT, Reason.PATIENT_CONFLICT)


@dataclass(frozen=True)
class ImageAnswer:
    """What is known of one image of a study."""

    order: tuple[int, int, int]  # series, instance, frame
    flags: tuple[str, ...] = ()
    label: str | None = None  # null: no result
    probabilities: Mapping[str, float] = field(default_factory=dict)  # after temperature scaling
    urgency: float = 0.0  # sum over labels of probability times the card's weight, 0..1
    flagged: bool = False  # not the normal label, or 1 - p(normal) at or above the card's threshold
    thumbnail_key: str | None = None

    @property
    def counts(self) -> bool:
        """Say whether the image may speak for its study."""
        return self.label is not None and not any(flag in self.flags for flag in DISQUALIFYING)


@dataclass(frozen=True)
class StudyFacts:
    """What is known of a study."""

    state: State
    reason: str | None  # of the screening's failure
    images: Sequence[ImageAnswer]
    rejected_files: int
    flags: tuple[str, ...] = ()  # of the study itself
    here: int = 0  # instances that came
    announced: int = 0  # instances that the study's own objects say it has; 0 where nothing is missing

    @property
    def partial(self) -> str:
        """What of the study could not be read or never came, in words; empty where nothing is missing."""
        parts = [f"{files_in_words(self.rejected_files)} could not be read"] if self.rejected_files else []
        if self.announced > self.here:
            parts.append(f"only {self.here} of {self.announced} announced instances came")
        return ", ".join(parts)


@dataclass(frozen=True)
class Verdict:
    """The place of a study on the list, without regard to how long it has waited."""

    bucket: Bucket
    reason: str
    label: str | None = None
    urgency: float = 0.0
    probabilities: Mapping[str, float] | None = None
    flags: tuple[str, ...] = ()
    thumbnail_key: str | None = None


def judge(facts: StudyFacts) -> Verdict:
    """Give a study its bucket and the reason in words."""
    images = sorted(facts.images, key=lambda image: image.order)
    counting = [image for image in images if image.counts]
    best = max(counting, key=lambda image: image.urgency, default=None)  # ties: the first in order
    flags = _flags(facts, images)
    missing = _what_is_missing(facts, images)
    thumbnail = (best or images[0]).thumbnail_key if images else None
    if any(image.flagged for image in counting) and best is not None:
        bucket, words = Bucket.POSITIVE, _positive(counting, best)
        reason = f"{words}; {missing}" if missing else words
    elif missing:
        bucket, reason = Bucket.NOT_ANALYSED, missing
    else:
        bucket, reason = Bucket.NORMAL, "nothing flagged"
    reason = reason[:1].upper() + reason[1:]
    if best is None:
        return Verdict(bucket, reason, flags=flags, thumbnail_key=thumbnail)
    return Verdict(bucket, reason, best.label, best.urgency, dict(best.probabilities), flags, thumbnail)


def share_in_words(share: float, digits: int = 2) -> str:
    """Return a probability for a person; one that is not quite 0 or 1 never reads as if it were."""
    least = 10.0**-digits
    if 0 < share < least / 2:
        return f"<{least:.{digits}f}"
    if 1 - least / 2 <= share < 1:
        return f">{1 - least:.{digits}f}"
    return f"{share:.{digits}f}"


def files_in_words(count: int) -> str:
    """Return a number of files for a person."""
    return "1 file" if count == 1 else f"{count} files"


def overdue_since(now: datetime, max_wait_hours: float) -> datetime | None:
    """Return the time of receipt at or before which an unread study is overdue; null where that is turned off."""
    return now - timedelta(hours=max_wait_hours) if max_wait_hours > 0 else None


def place(verdict_bucket: str, reason: str, received_at: datetime, now: datetime, max_wait_hours: float,
          zone: ZoneInfo, read_at: datetime | None = None) -> tuple[Bucket, str]:  # fmt: skip
    """Return the bucket and the reason of a study as it stands now, waiting time included."""
    if reason == IN_WORK:
        reason = f"In work since {received_at.astimezone(zone):%Y-%m-%d %H:%M}"
    limit = overdue_since(now, max_wait_hours)
    if read_at is not None or limit is None or received_at > limit:
        return Bucket(verdict_bucket), reason
    hours = (now - received_at).total_seconds() / 3600
    return Bucket.OVERDUE, f"Unread for {hours:.0f} h; {reason[:1].lower()}{reason[1:]}"


def _positive(counting: Sequence[ImageAnswer], best: ImageAnswer) -> str:
    flagged = [image for image in counting if image.flagged]
    shown = best if best.flagged else max(flagged, key=lambda image: image.urgency)
    share = shown.probabilities.get(shown.label or "", 0.0)
    words = f"{shown.label} suspected, model output {share_in_words(share)}"
    if best.flagged and len(counting) > 1:
        words += f", in {len(flagged)} of {len(counting)} images"
    return words


def _what_is_missing(facts: StudyFacts, images: Sequence[ImageAnswer]) -> str:
    """Say why there is no answer, or none to rely on; empty where nothing is missing."""
    if facts.state is State.WAITING:
        return f"will be tried again: {_code(facts.reason)}"
    if facts.state in {State.FAILED, State.QUARANTINED, State.CANCELLED}:
        return f"{facts.state.value}: {_code(facts.reason)}"
    if facts.state is not State.DONE:
        return IN_WORK
    parts = []
    for reason in DISQUALIFYING:
        hit = sum(reason in image.flags for image in images)
        if hit:
            parts.append(f"{reason.value.replace('_', ' ')} in {hit} of {len(images)} images")
    if unanswered := sum(image.label is None for image in images):
        parts.append(f"no result for {unanswered} of {len(images)} images")
    if facts.partial:
        parts.append(f"partial, {facts.partial}")
    parts += [flag.replace("_", " ") for flag in facts.flags if flag in (*STUDY_FAULTS, Reason.PARTIAL)]
    if not images:
        parts.append("no image")
    return "; ".join(dict.fromkeys(parts))


def _flags(facts: StudyFacts, images: Sequence[ImageAnswer]) -> tuple[str, ...]:
    partial = [Reason.PARTIAL.value] if facts.partial and images else []
    every = [*facts.flags, *partial, *(flag for image in images for flag in image.flags)]
    return tuple(dict.fromkeys(every))


def _code(code: str | None) -> str:
    return sentence(code) if code else "no reason is known"
