"""Tallies: counters over all that ever happened, without counting it all each time.

A tally is taken from rows that are only ever added to. The sweep counts what has settled and keeps the sum; `/metrics`
adds what came since. Any process gets the same figures, and they go on where one is started anew.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, extract, func, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from cspine.database import now
from cspine.queue import EXPLAIN
from cspine.records import notes
from cspine.records.measures import NONE, code
from cspine.states import Outcome, Stage
from cspine.tables import Attempt, Claim, ReceivedFile

SETTLES = timedelta(minutes=15)  # no attempt runs for so long, and no transaction takes so long to commit
DURATIONS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # studies
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
REPLAY = "replay"  # stands as the stage of what a replay did in the shadow
CHUNK = 50_000  # rows counted by one statement, so that no transaction is long
MOST_LEFT = 100_000  # rows that are counted while somebody waits
NAME, SEPARATOR = "tally", "|"


@dataclass
class Histogram:
    """How values fall below the bounds, not added up, the last place being for those above all; and their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, place: int, count: int, total: float) -> None:
        """Add some values that all fall into one place."""
        self.counts[place] += count
        self.total += total

    def plus(self, other: "Histogram") -> "Histogram":
        """Return both together."""
        both = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        return Histogram(self.bounds, both, self.total + other.total)


@dataclass
class Attempts:
    """Attempts by stage, outcome and reason; those that ran again; leases that ran out."""

    ended: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)

    def plus(self, other: "Attempts") -> "Attempts":
        """Return both together."""
        return Attempts(self.ended + other.ended, self.again + other.again, self.expired + other.expired)

    @property
    def outcomes(self) -> dict[tuple[str, str], int]:
        """Attempts by stage and outcome, each of these from 0 on.

        A monitor sees how much a counter grows, and of one that begins with its first value it sees nothing: the first
        thousand failures for a new reason would be none.
        """
        found = {(stage, outcome): 0 for stage in (*map(str, Stage), REPLAY)
                 for outcome in map(str, Outcome) if outcome != Outcome.RUNNING}  # fmt: skip
        for (stage, outcome, _), count in self.ended.items():
            found[stage, outcome] = found.get((stage, outcome), 0) + count
        return found


@dataclass
class Claims:
    """How long claims were held, and how many studies were in one, by stage."""

    seconds: dict[str, Histogram] = field(default_factory=dict)
    studies: dict[str, Histogram] = field(default_factory=dict)

    def plus(self, other: "Claims") -> "Claims":
        """Return both together."""
        return Claims(_sum(self.seconds, other.seconds), _sum(self.studies, other.studies))


@dataclass
class Tally:
    """What was counted so far, and up to where."""

    attempts: Attempts = field(default_factory=Attempts)
    claims: Claims = field(default_factory=Claims)
    files: int = 0
    kept_bytes: int = 0
    last_attempt: int = 0
    last_claim: datetime = BEGINNING
    last_file: int = 0

    def advance(self, session: Session) -> bool:
        """Count some more of what has settled; false where nothing is left of it."""
        moment = now(session) - SETTLES
        return any([self._count_attempts(session, moment), self._count_claims(session, moment),
                    self._count_files(session, moment)])  # fmt: skip

    def complete(self, session: Session) -> "Tally | None":
        """Return the tally with all that is not in it yet; null where that is too much to be counted while one waits.

        That is so until the sweep has counted what was there before it began, and where no sweep runs for long.
        """
        newest = session.scalar(select(func.max(Attempt.id))) or 0
        if newest - self.last_attempt > MOST_LEFT or _some_left(session, self.last_claim):
            return None
        files, size = _files(session, ReceivedFile.id > self.last_file)
        return Tally(self.attempts.plus(_attempts(session, self.last_attempt, newest)),
                     self.claims.plus(_claims(session, Claim.ended_at > self.last_claim)),
                     self.files + files, self.kept_bytes + size)  # fmt: skip

    def _count_attempts(self, session: Session, moment: datetime) -> bool:
        unsettled = or_(Attempt.ended_at.is_(None), Attempt.started_at >= moment)
        until, more = _span(session, Attempt.id, self.last_attempt, unsettled)
        if until > self.last_attempt:
            self.attempts = self.attempts.plus(_attempts(session, self.last_attempt, until))
            self.last_attempt = until
        return more

    def _count_claims(self, session: Session, moment: datetime) -> bool:
        new = (Claim.ended_at > self.last_claim, Claim.ended_at <= moment)
        until = session.scalar(select(Claim.ended_at).where(*new).order_by(Claim.ended_at).offset(CHUNK).limit(1))
        self.claims = self.claims.plus(_claims(session, new[0] & (Claim.ended_at <= (until or moment))))
        self.last_claim = max(self.last_claim, until or moment)
        return until is not None

    def _count_files(self, session: Session, moment: datetime) -> bool:
        until, more = _span(session, ReceivedFile.id, self.last_file, ReceivedFile.received_at >= moment)
        if until > self.last_file:
            files, size = _files(session, ReceivedFile.id > self.last_file, ReceivedFile.id <= until)
            self.files, self.kept_bytes, self.last_file = self.files + files, self.kept_bytes + size, until
        return more


def load(session: Session) -> Tally:
    """Return what the sweep has counted; nothing where none has for a day, so that it is counted anew."""
    kept = notes.kept(session, NAME)
    if kept is None:
        return Tally()
    attempts = Attempts(_unpacked(kept["ended"]), Counter(kept["again"]), Counter(kept["expired"]))
    claims = Claims(_histograms(DURATIONS, kept["seconds"]), _histograms(SIZES, kept["studies"]))
    return Tally(attempts, claims, kept["files"], kept["bytes"], kept["last_attempt"],
                 datetime.fromisoformat(kept["last_claim"]), kept["last_file"])  # fmt: skip


def save(session: Session, tally: Tally) -> None:
    """Keep what was counted. Of two sweeps that do so at once either is right: sums and places belong together."""
    notes.keep(session, NAME, {
        "ended": {SEPARATOR.join(key): count for key, count in tally.attempts.ended.items()},
        "again": dict(tally.attempts.again), "expired": dict(tally.attempts.expired),
        "seconds": {stage: [one.counts, one.total] for stage, one in tally.claims.seconds.items()},
        "studies": {stage: [one.counts, one.total] for stage, one in tally.claims.studies.items()},
        "files": tally.files, "bytes": tally.kept_bytes, "last_attempt": tally.last_attempt,
        "last_claim": tally.last_claim.isoformat(), "last_file": tally.last_file,
    })  # fmt: skip


def _unpacked(kept: dict[str, int]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for key, count in kept.items():
        stage, outcome, reason = key.split(SEPARATOR)
        found[stage, outcome, reason] = count
    return found


def _histograms(bounds: tuple[float, ...], kept: dict[str, Any]) -> dict[str, Histogram]:
    return {stage: Histogram(bounds, counts, total) for stage, (counts, total) in kept.items()}


def _span(session: Session, key: InstrumentedAttribute[int], last: int,
          unsettled: ColumnElement[bool]) -> tuple[int, bool]:  # fmt: skip
    """Return up to where the next rows have settled, and whether more of them may have beyond."""
    some = select(key.label("id"), unsettled.label("unsettled")).where(key > last).order_by(key).limit(CHUNK).subquery()
    first = func.min(case((some.c.unsettled, some.c.id)))
    stop, newest, count = session.execute(select(first, func.max(some.c.id), func.count()).select_from(some)).one()
    if stop is not None:
        return stop - 1, False
    return newest or last, count == CHUNK


def _some_left(session: Session, last: datetime) -> bool:
    query = select(Claim.id).where(Claim.ended_at > last).order_by(Claim.ended_at).offset(MOST_LEFT).limit(1)
    return session.scalar(query) is not None


def _attempts(session: Session, after: int, until: int) -> Attempts:
    """Count the ended attempts of a range of ids."""
    stage = _stage(Attempt.stage, Attempt.worker)
    lease = case((Attempt.outcome == Outcome.EXPIRED, Attempt.claim_id))
    query = (
        select(stage, Attempt.outcome, Attempt.reason, func.count(), func.sum(_again()),
               func.count(lease.distinct()))
        .where(Attempt.id > after, Attempt.id <= until, Attempt.ended_at.is_not(None))
        .group_by(stage, Attempt.outcome, Attempt.reason)
    )  # fmt: skip
    found = Attempts()
    for stage_, outcome, reason, count, again, expired in session.execute(query):
        found.ended[stage_, outcome, code(reason) if outcome != Outcome.DONE else NONE] += count
        found.again[stage_] += int(again)
        found.expired[stage_] += expired
    return found


def _again() -> ColumnElement[int]:
    """1 for an attempt of a stage that its study had been tried in before, else 0; what was handed back is no try.

    A study needs one attempt in each stage: only one with a higher number is worth a look at those before it.
    """
    before = aliased(Attempt)
    same = exists(select(before.id).where(before.screening_id == Attempt.screening_id, before.stage == Attempt.stage,
                                          before.id < Attempt.id, before.outcome != Outcome.HANDED_BACK))  # fmt: skip
    beyond = or_(and_(Attempt.stage == Stage.PREPARE, Attempt.number > 1), Attempt.number > len(Stage))
    return case((and_(Attempt.outcome != Outcome.HANDED_BACK, beyond, same), 1), else_=0)


def _claims(session: Session, which: ColumnElement[bool]) -> Claims:
    """Put the claims that ended in a span of time into histograms, in one pass."""
    stage, seconds = _stage(Claim.stage, Claim.worker), _duration(session)
    long, large = _place(seconds, DURATIONS), _place(Claim.size, SIZES)
    query = (
        select(stage, long, large, func.count(), func.sum(seconds), func.sum(Claim.size))
        .where(which)
        .group_by(stage, long, large)
    )
    found = Claims()
    for stage_, at, of, count, total, studies in session.execute(query):
        found.seconds.setdefault(stage_, Histogram(DURATIONS)).add(at, count, float(total))
        found.studies.setdefault(stage_, Histogram(SIZES)).add(of, count, float(studies))
    return found


def _duration(session: Session) -> ColumnElement[Any]:
    """The seconds from a claim's begin to its end."""
    if session.get_bind().dialect.name == "sqlite":
        return (func.julianday(Claim.ended_at) - func.julianday(Claim.started_at)) * 86400.0
    return extract("epoch", Claim.ended_at - Claim.started_at)


def _place(value: Any, bounds: Iterable[float]) -> ColumnElement[int]:
    """The place of a value among the bounds, each of which still belongs below it."""
    steps = [(value <= bound, literal(place)) for place, bound in enumerate(bounds)]
    return case(*steps, else_=literal(len(steps)))


def _stage(stage: Any, worker: Any) -> ColumnElement[str]:
    """The stage as a label; work in the shadow is done by the workers of maps and is told by their name."""
    return case((worker.contains(f":{EXPLAIN}:"), literal(REPLAY)), else_=stage)


def _files(session: Session, *which: ColumnElement[bool]) -> tuple[int, int]:
    kept = case((ReceivedFile.blob_key.is_not(None), ReceivedFile.size), else_=0)
    count, size = session.execute(select(func.count(), func.coalesce(func.sum(kept), 0)).where(*which)).one()
    return count, int(size)


def _sum(one: dict[str, Histogram], other: dict[str, Histogram]) -> dict[str, Histogram]:
    found = dict(one)
    for stage, histogram in other.items():
        found[stage] = found[stage].plus(histogram) if stage in found else histogram
    return found
