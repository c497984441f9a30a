"""How fast the workers are, read from their latest claims; what a claim held is looked up for a few hundred only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine import pace
from cspine.pace import USUAL, Cost, Run, Sample, Strength
from cspine.records.backlogs import Size
from cspine.records.freeing import SEPARATOR
from cspine.records.heartbeats import FRESH_SECONDS
from cspine.states import Disposition, Outcome, Stage
from cspine.tables import Attempt, Claim, Heartbeat, ReceivedFile, Screening

MOST_RUNS = 1000  # claims of a stage
PLACE = 3  # host, kind and process id name a worker; its children have one part more


@dataclass(frozen=True)
class Pace:
    """What a stage can do, and what a study costs it; a stage without strength has no worker, or has ended nothing."""

    alive: bool
    strength: Strength | None
    cost: Cost
    usual: Size  # of one study, lately


@dataclass(frozen=True)
class Paces:
    """Both stages at one moment."""

    moment: datetime
    stages: Mapping[Stage, Pace] = field(default_factory=dict)

    def __getitem__(self, stage: Stage) -> Pace:
        """Return the pace of a stage."""
        return self.stages[stage]


def read(session: Session, moment: datetime) -> Paces:
    """Measure both stages."""
    return Paces(moment, {stage: _of(session, stage, moment) for stage in Stage})


def _of(session: Session, stage: Stage, moment: datetime) -> Pace:
    alive = _alive(session, stage, moment)
    strength = pace.strength(_runs(session, stage), alive, moment)
    samples = _samples(session, strength.measured) if strength else []
    studies = sum(one.studies for one in samples)
    return Pace(
        alive=bool(alive),
        strength=strength,
        cost=pace.cost(samples, USUAL[stage]),
        usual=_total(samples) * (1 / studies) if studies else Size(1, 1, 0),
    )


def _alive(session: Session, stage: Stage, moment: datetime) -> set[str]:
    """Return the workers that live and say of nothing that it keeps them from working."""
    fresh = Heartbeat.at > moment - timedelta(seconds=FRESH_SECONDS)
    rows = session.execute(select(Heartbeat.name, Heartbeat.detail).where(Heartbeat.kind == stage.value, fresh))
    return {name for name, detail in rows if "fault" not in (detail or {})}


def _total(samples: Sequence[Sample]) -> Size:
    return Size(*(float(sum(getattr(one, name) for one in samples)) for name in ("studies", "files", "bytes")))


def _runs(session: Session, stage: Stage) -> list[Run]:
    """Return the latest claims of a stage, ended and running; replays run in another kind of worker."""
    query = (
        select(Claim.id, Claim.worker, Claim.started_at, Claim.ended_at, Claim.size)
        .where(Claim.stage == stage.value, Claim.worker.contains(f"{SEPARATOR}{stage.value}{SEPARATOR}"))
        .limit(MOST_RUNS)
    )
    ended = query.where(Claim.ended_at.is_not(None)).order_by(Claim.ended_at.desc())
    rows = [*session.execute(ended), *session.execute(query.where(Claim.ended_at.is_(None)))]
    return [
        Run(
            row.id,
            SEPARATOR.join(row.worker.split(SEPARATOR)[:PLACE]),
            row.worker,
            row.started_at,
            row.ended_at,
            row.size,
        )
        for row in rows
    ]


def _samples(session: Session, runs: Sequence[Run]) -> list[Sample]:
    """Look up how many files of how many bytes were done in each of these claims."""
    query = (
        select(
            Attempt.claim_id,
            func.count(Attempt.id.distinct()),
            func.count(ReceivedFile.id),
            func.coalesce(func.sum(ReceivedFile.size), 0),
        )
        .join(Screening, Screening.id == Attempt.screening_id)
        .join(
            ReceivedFile,
            (ReceivedFile.study_id == Screening.study_id) & (ReceivedFile.disposition == Disposition.ACCEPTED),
        )
        .where(Attempt.claim_id.in_([run.claim_id for run in runs]), Attempt.outcome == Outcome.DONE.value)
        .group_by(Attempt.claim_id)
    )
    done = {claim_id: (studies, files, int(size)) for claim_id, studies, files, size in session.execute(query)}
    return [
        Sample(*done.get(run.claim_id, (0, 0, 0)), (run.ended - run.began).total_seconds())
        for run in runs
        if run.ended is not None and run.ended > run.began
    ]
