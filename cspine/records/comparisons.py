"""Comparisons: what a replay's studies showed against what the candidate says of them, in numbers and one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from cspine.agreement import Agreement, McNemar, agreement, mcnemar
from cspine.records.studies import answer, image_order
from cspine.tables import Image, Release, Replay, ReplayStudy, Result, Study

NO_ANSWER = "none"  # no image of the study counts: out of distribution, blank, a wrong body part
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Comparison:
    """The studies of a replay that the candidate has answered, by both labels and by whether they are flagged."""

    labels: Mapping[tuple[str, str], int]  # (shown, candidate) -> studies
    flagged: Mapping[tuple[bool, bool], int]
    changed: int  # studies of which the label, or whether they are flagged, is another

    @cached_property
    def agreement(self) -> Agreement:
        """How often the labels are the same, and Cohen's kappa."""
        return agreement(self.labels)

    @cached_property
    def mcnemar(self) -> McNemar:
        """Whether the one flags more studies than the other."""
        return mcnemar(self.flagged.get((True, False), 0), self.flagged.get((False, True), 0))

    @property
    def names(self) -> list[str]:
        """The labels that occur, in order."""
        return sorted({label for pair in self.labels for label in pair})

    def as_dict(self) -> dict[str, object]:
        """Return it as the command line prints it."""
        own, test = self.agreement, self.mcnemar
        return {
            "compared": own.count, "changed": self.changed, "same_label": own.same, "agreement": own.share,
            "agreement_interval": [own.low, own.high] if own.count else None, "kappa": own.kappa,
            "flagged_before_only": test.first_only, "flagged_after_only": test.second_only, "mcnemar_p": test.p,
            "labels": [
                {"before": before, "after": after, "studies": count}
                for (before, after), count in sorted(self.labels.items())
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class Film:
    """The image that speaks for a study under one release, and its result."""

    image: Image
    result: Result
    release: Release


@dataclass(frozen=True)
class Change:
    """A study of which the candidate says something else; a film is null where there is none with a result."""

    study: ReplayStudy
    record: Study
    before: Film | None
    after: Film | None

    def as_dict(self) -> dict[str, object]:
        """Return it as the command line prints it."""
        own = self.study
        return {
            "study": own.study_id, "before": own.before_label, "after": own.after_label,
            "before_flagged": own.before_flagged, "after_flagged": own.after_flagged,
            "before_urgency": own.before_urgency, "after_urgency": own.after_urgency, "promoted": own.promoted,
        }  # fmt: skip


def compare(session: Session, replay_id: str) -> Comparison:
    """Count what the candidate has answered so far."""
    keys = (ReplayStudy.before_label, ReplayStudy.after_label, ReplayStudy.before_flagged, ReplayStudy.after_flagged)
    query = select(*keys, func.count()).where(*_answered(replay_id)).group_by(*keys)
    labels: dict[tuple[str, str], int] = {}
    flagged: dict[tuple[bool, bool], int] = {}
    changed = 0
    for before, after, was, is_, count in session.execute(query):
        pair = before or NO_ANSWER, after or NO_ANSWER
        labels[pair] = labels.get(pair, 0) + count
        flagged[bool(was), bool(is_)] = flagged.get((bool(was), bool(is_)), 0) + count
        changed += count if before != after or was != is_ else 0
    return Comparison(labels, flagged, changed)


def changes(session: Session, replay: Replay, offset: int = 0, limit: int | None = None) -> list[Change]:
    """Return the studies of which label or flag is another, those first whose urgency changed most."""
    distance = func.abs(ReplayStudy.after_urgency - ReplayStudy.before_urgency)
    query = (
        select(ReplayStudy, Study)
        .join(Study, Study.id == ReplayStudy.study_id)
        .where(*_answered(replay.id), _differs())
        .order_by(distance.desc(), ReplayStudy.study_id)
        .offset(offset)
    )
    found = session.execute(query.limit(limit) if limit is not None else query).all()
    rows = [row for row, _ in found]
    study_ids = [row.study_id for row in rows]
    after = films(session, study_ids, replay.release_id)
    before: dict[str, Film] = {}
    for release_id in {row.before_release_id for row in rows}:
        own = [row.study_id for row in rows if row.before_release_id == release_id]
        before |= films(session, own, release_id)
    return [Change(row, record, before.get(row.study_id), after.get(row.study_id)) for row, record in found]


def film(session: Session, replay: Replay, study_id: str, side: str) -> Film | None:
    """Return the film of one study of a replay, `before` or `after`; null where there is none."""
    row = session.get(ReplayStudy, (replay.id, study_id))
    if row is None or row.after_flagged is None:
        return None
    release_id = row.before_release_id if side == BEFORE else replay.release_id
    return films(session, [study_id], release_id).get(study_id)


def films(session: Session, study_ids: Sequence[str], release_id: int) -> dict[str, Film]:
    """Return for each study the image that speaks for it under a release: the most urgent of those that count.

    Where none counts it is the first that has a result.
    """
    query = (
        select(Image, Result, Release)
        .join(Result, Result.image_id == Image.id)
        .join(Release, Release.id == Result.release_id)
        .where(Image.study_id.in_(study_ids), Result.release_id == release_id)
        .order_by(Result.id)  # of several preprocessings the last
    )
    found: dict[str, dict[int, Film]] = {}
    for image, result, release in session.execute(query):
        found.setdefault(image.study_id, {})[image.id] = Film(image, result, release)
    return {study_id: max(sorted(own.values(), key=_order), key=_speaks) for study_id, own in found.items()}


def _answered(replay_id: str) -> tuple[ColumnElement[bool], ...]:
    return ReplayStudy.replay_id == replay_id, ReplayStudy.after_flagged.is_not(None)


def _differs() -> ColumnElement[bool]:
    return or_(
        ReplayStudy.before_label.is_distinct_from(ReplayStudy.after_label),
        ReplayStudy.before_flagged != ReplayStudy.after_flagged,
    )


def _order(film: Film) -> tuple[int, int, int]:
    return image_order(film.image)


def _speaks(film: Film) -> tuple[bool, float]:
    counts = answer(film.image, film.result).counts
    return counts, film.result.urgency if counts else 0.0
