"""What must hold at the end of a night of chaos, exactly: each fault found is a sentence."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine.ledger import Ledger, bucket_of
from cspine.reasons import Reason
from cspine.records import batches
from cspine.states import HELD, IN_WORK, Disposition, Outcome, Stage, State
from cspine.tables import Attempt, Batch, Claim, Heartbeat, Image, ReceivedFile, Result, Screening
from tests.chaos.night import ANALYSED, DUPLICATE, QUARANTINED, File

BLAMED = {Outcome.CRASHED, Outcome.EXPIRED}
OF_SERVICES = {Reason.DATABASE_UNAVAILABLE, Reason.BROKER_UNAVAILABLE, Reason.STORAGE_UNAVAILABLE, Reason.STORAGE_FULL}


@dataclass
class Verdict:
    """What was found; sound where there is no fault."""

    ledger: Ledger
    received: int = 0
    lost: int = 0
    double: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Say whether everything held."""
        return not self.faults and not self.lost and not self.double


def check(session: Session, batch: Batch, files: Sequence[File], tries: Mapping[str, int], hit: Collection[str],
          most_lone: int) -> Verdict:  # fmt: skip
    """Look at every row of the night: `tries` says how often each file was sent, `hit` what was hit."""
    verdict = Verdict(batches.ledger(session, batch))
    rows = session.execute(
        select(ReceivedFile, Screening.state)
        .outerjoin(Screening, (Screening.study_id == ReceivedFile.study_id) & Screening.shadow.is_(False))
        .where(ReceivedFile.batch_id == batch.id)
        .order_by(ReceivedFile.id)
    ).all()
    verdict.received = len(rows)
    _buckets(verdict, files, tries, [(row, bucket_of(row.disposition, state)) for row, state in rows])
    _results(session, verdict, files)
    _attempts(session, verdict, files, hit, most_lone)
    _ended(session, verdict)
    return verdict


def _buckets(verdict: Verdict, files: Sequence[File], tries: Mapping[str, int],
             rows: Sequence[tuple[ReceivedFile, str]]) -> None:  # fmt: skip
    """Every file is in the bucket that it must be in; one that was sent again in doubt is its own duplicate."""
    found: dict[str, list[str]] = defaultdict(list)
    for row, bucket in rows:
        found[row.name].append(bucket)
    for file in files:
        first, *others = found.pop(file.name, None) or ["lost"]
        if first == "lost":
            verdict.lost += 1
        if first != file.bucket:
            verdict.faults.append(f"{file.name} is {first} and should be {file.bucket}")
        if len(others) >= tries[file.name] or any(bucket != DUPLICATE for bucket in others):
            verdict.faults.append(f"{file.name}, sent {tries[file.name]} times, is also {others}")
    verdict.faults += [f"nobody sent {name}" for name in found]
    counted = Counter(bucket for _, bucket in rows)
    ledger = verdict.ledger.as_dict()
    if not verdict.ledger.balanced or ledger["received"] != len(rows):
        verdict.faults.append(f"the ledger does not balance: {ledger}")
    verdict.faults += [f"the ledger says {ledger.get(bucket, 0)} {bucket}, the rows {count}"
                       for bucket, count in counted.items() if ledger.get(bucket, 0) != count]  # fmt: skip


def _results(session: Session, verdict: Verdict, files: Sequence[File]) -> None:
    """Each study that is analysed has one picture with one result, each other none."""
    query = (
        select(ReceivedFile.name, func.count(Image.id.distinct()), func.count(Result.id))
        .outerjoin(Image, Image.file_id == ReceivedFile.id)
        .outerjoin(Result, Result.image_id == Image.id)
        .where(ReceivedFile.disposition != Disposition.DUPLICATE)
        .group_by(ReceivedFile.name)
    )
    counted = {name: (images, results) for name, images, results in session.execute(query)}
    for file in files:
        images, results = counted.get(file.name, (0, 0))
        wanted = int(file.bucket == ANALYSED)
        verdict.double += max(0, results - 1)
        verdict.lost += max(0, wanted - results)
        if results != wanted or (wanted and images != 1):
            verdict.faults.append(f"{file.name} has {images} pictures and {results} results")


def _attempts(session: Session, verdict: Verdict, files: Sequence[File], hit: Collection[str], most_lone: int) -> None:
    """Poison is quarantined after exactly so many lone attempts, and nobody else is blamed for anything."""
    poison = {file.name: file.poison for file in files if file.bucket == QUARANTINED}
    healthy = {file.name for file in files if file.bucket == ANALYSED}
    query = (
        select(ReceivedFile.name, Screening, Attempt)
        .join(Screening, (Screening.study_id == ReceivedFile.study_id) & Screening.shadow.is_(False))
        .join(Attempt, Attempt.screening_id == Screening.id)
        .where(ReceivedFile.disposition != Disposition.DUPLICATE)
        .order_by(Attempt.id)
    )
    by_file: dict[str, list[Attempt]] = defaultdict(list)
    screenings: dict[str, Screening] = {}
    for name, screening, attempt in session.execute(query):
        by_file[name].append(attempt)
        screenings[name] = screening
        verdict.attempts[f"{attempt.stage} {attempt.outcome}"] += 1
    poisoned = {attempt.claim_id for name in poison for attempt in by_file[name]}
    for name, stage in poison.items():
        lone = [one for one in by_file[name] if one.company == 1 and one.stage == stage and one.outcome in BLAMED]
        found = screenings.get(name)
        counted = found.lone_attempts if found else 0
        if len(lone) != most_lone or counted != most_lone:
            verdict.faults.append(
                f"poison {name}: {len(lone)} lone attempts, {counted} counted: {_story(by_file[name])}"
            )
    for name in healthy:
        attempts = by_file[name]
        if screenings[name].lone_attempts if name in screenings else True:
            verdict.faults.append(f"{name} has lone attempts against it: {_story(attempts)}")
        done = Counter(one.stage for one in attempts if one.outcome == Outcome.DONE)
        if done != {stage.value: 1 for stage in Stage}:
            verdict.double += sum(count - 1 for count in done.values() if count > 1)
            verdict.faults.append(f"{name} was not done once in each stage: {_story(attempts)}")
        for one in attempts:
            if _unjust(one, poisoned, hit):
                verdict.faults.append(f"{name} was blamed: {_story(attempts)}")


def _unjust(attempt: Attempt, poisoned: Collection[str], hit: Collection[str]) -> bool:
    """Say whether a healthy study is blamed without a poison in its company and without the monkey's hand."""
    if attempt.outcome == Outcome.FAILED:
        return attempt.reason not in OF_SERVICES
    by_monkey = not set(hit).isdisjoint(attempt.worker.split(":"))
    return attempt.outcome in BLAMED and attempt.claim_id not in poisoned and not by_monkey


def _story(attempts: Sequence[Attempt]) -> str:
    return ", ".join(
        f"{one.stage} {one.outcome} {one.reason or ''} of {one.company} by {one.worker} "
        f"{one.started_at:%H:%M:%S}-{one.ended_at or one.started_at:%H:%M:%S}"
        for one in attempts
    )


def _ended(session: Session, verdict: Verdict) -> None:
    """Nothing is in work, held or running any more, and no process says that something is broken."""
    for words, query in (
        ("screenings in work", select(func.count()).where(Screening.state.in_(IN_WORK))),
        ("screenings held", select(func.count()).where(Screening.state.in_(HELD) | Screening.claim_id.is_not(None))),
        ("open claims", select(func.count()).where(Claim.ended_at.is_(None))),
        ("running attempts", select(func.count()).where(Attempt.ended_at.is_(None))),
        ("screenings without a study's file", select(func.count()).where(
            Screening.study_id.not_in(select(ReceivedFile.study_id).where(ReceivedFile.study_id.is_not(None))))),
    ):  # fmt: skip
        if count := session.scalar(query):
            verdict.faults.append(f"{count} {words}")
    for row in session.scalars(select(Heartbeat)):
        if row.detail and ("fault" in row.detail or "steps" in row.detail):
            verdict.faults.append(f"{row.name} says {row.detail}")


def blobs(session: Session, keys: Collection[str]) -> list[str]:
    """Compare the keys of the blob store with those that rows name."""
    named: set[str] = {key for key in session.scalars(select(ReceivedFile.blob_key)) if key is not None}
    for column in (Image.canonical_key, Image.preview_key, Image.thumbnail_key):
        named |= set(session.scalars(select(column)))
    orphans, missing = set(keys) - named, named - set(keys)
    return [f"{len(found)} {words}: {sorted(found)[:5]}"
            for words, found in (("orphan blobs", orphans), ("blobs missing", missing)) if found]  # fmt: skip


__all__ = ["State", "Verdict", "blobs", "check"]
