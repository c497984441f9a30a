"""A house in a simulated clock: its workers claim and end as the real ones do; at any time it can be put into SQL.

What is simulated is time only: the order of the lanes, the windows and the tables are the product's own.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from cspine import lanes
from cspine.records.claims import WORK
from cspine.settings import Settings
from cspine.states import Disposition, Lane, Outcome, Stage, State
from cspine.tables import Attempt, Batch, Claim, Heartbeat, ReceivedFile, Screening, Study

BETWEEN = 0.02  # seconds from the end of a claim to the next one
LOOK_AGAIN = 2.0  # seconds until an idle child looks again; the real ones are woken
COMPANY_BYTES = 16e6  # small studies are prepared in company
COMPANY = 8
KEPT = 1200.0  # seconds for which a claim that has ended is put into SQL
MEGABYTE = 1e6


@dataclass(frozen=True)
class Prices:
    """What the work really takes one child, in seconds; the forecast does not know it."""

    file: float = 0.3
    megabyte: float = 0.1
    screen_file: float = 0.15
    noise: float = 0.3  # standard deviation of the logarithm


@dataclass
class Job:
    """A study: of which batch and lane, how large, and where it stands."""

    number: int
    batch: str
    lane: Lane
    files: int
    bytes: int
    arrives: float
    fails: int = 0  # transient errors before it succeeds
    hangs: bool = False  # once, until the hard time limit
    state: State = State.RECEIVED
    stage: Stage = Stage.PREPARE
    next_try: float | None = None
    tries: int = 0


@dataclass
class Child:
    """A child process of a worker."""

    name: str
    parent: "Worker"
    claim: "Held | None" = None


@dataclass
class Worker:
    """A worker process with its children, from when until when it runs."""

    name: str
    stage: Stage
    children: int
    begins: float = 0.0
    ends: float = float("inf")
    speed: float = 1.0


@dataclass
class Held:
    """A claim."""

    id: str
    child: Child
    jobs: Sequence[Job]
    began: float
    ended: float | None = None
    hung: bool = False
    failed: frozenset[int] = frozenset()  # numbers of its jobs


@dataclass
class House:
    """The queue, its workers and its clock, which counts seconds from the begin."""

    settings: Settings
    begin: datetime
    workers: Sequence[Worker]
    jobs: Sequence[Job]
    seed: int
    prices: Prices = Prices()
    cores: float | None = None  # shared by all children, so that each is slower when more of them work
    limit: float = 120.0  # seconds after which a hung task is ended
    clock: float = 0.0
    claims: list[Held] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    turns: Counter[Stage] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Set up the clock's events and the queues."""
        self._busy = 0
        self._random = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._due: dict[tuple[Stage, Lane], list[tuple[float, int, Job]]] = {
            (stage, lane): [] for stage in Stage for lane in Lane
        }
        for job in self.jobs:
            self._at(job.arrives, partial(self._due_now, job))
        for worker in self.workers:
            for number in range(worker.children):
                child = Child(f"{worker.name}:{number}", worker)
                self._at(worker.begins + self._random.random(), partial(self._look, child))

    def run(self, on_end: Callable[[Job], None], batch: str) -> None:
        """Let the time pass until every study of a batch has ended; call back at each study's end."""
        self._on_end = on_end
        own = sum(job.batch == batch for job in self.jobs)
        while self.ended[batch] < own:
            self.clock, _, event = heapq.heappop(self._events)
            event()

    @property
    def moment(self) -> datetime:
        """The time of day."""
        return self.at(self.clock)

    def at(self, clock: float) -> datetime:
        """Return the time of day so many seconds after the begin."""
        return self.begin + timedelta(seconds=clock)

    def changes(self) -> list[float]:
        """Return when workers join or leave."""
        return sorted({*(one.begins for one in self.workers), *(one.ends for one in self.workers)} - {float("inf")})

    def _at(self, clock: float, event: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (clock, self._number, event))

    def _due_now(self, job: Job) -> None:
        job.state, job.next_try = WORK[job.stage][0], None
        heapq.heappush(self._due[job.stage, job.lane], (job.arrives, job.number, job))

    def _look(self, child: Child) -> None:
        """Claim something, and come back when it is done."""
        worker = child.parent
        if self.clock >= worker.ends:
            return
        jobs = self._pick(worker.stage)
        if not jobs:
            self._at(self.clock + LOOK_AGAIN, partial(self._look, child))
            return
        for job in jobs:
            job.state = WORK[worker.stage][1]
        held = Held(f"claim-{len(self.claims)}", child, jobs, self.clock)
        child.claim = held
        self.claims.append(held)
        self._busy += 1
        seconds = self._seconds(worker, jobs)
        self._at(self.clock + seconds, partial(self._end, held))
        if self.clock + seconds > worker.ends:
            self._at(worker.ends, partial(self._hand_back, held))

    def _pick(self, stage: Stage) -> list[Job]:
        opened = lanes.open_lanes(self.moment, self.settings)
        self.turns[stage] += 1
        for lane in lanes.order(self.turns[stage], opened):
            due = self._due[stage, lane]
            if not due:
                continue
            most = self.settings.screen_batch if stage is Stage.SCREEN else COMPANY
            jobs = [heapq.heappop(due)[2]]
            while due and len(jobs) < most:
                if stage is Stage.PREPARE and sum(job.bytes for job in jobs) + due[0][2].bytes > COMPANY_BYTES:
                    break
                jobs.append(heapq.heappop(due)[2])
            return jobs
        return []

    def _seconds(self, worker: Worker, jobs: Sequence[Job]) -> float:
        if any(job.hangs for job in jobs):
            return self.limit
        prices, seconds = self.prices, 0.0
        for job in jobs:
            noise = self._random.lognormvariate(-(prices.noise**2) / 2, prices.noise)
            if worker.stage is Stage.PREPARE:
                seconds += noise * (prices.file * job.files + prices.megabyte * job.bytes / MEGABYTE)
            else:
                seconds += noise * prices.screen_file * job.files
        crowd = max(1.0, self._busy / self.cores) if self.cores else 1.0
        return seconds * crowd / worker.speed + BETWEEN

    def _end(self, held: Held) -> None:
        if held.ended is not None:
            return
        self._close(held)
        held.hung = any(job.hangs for job in held.jobs)
        held.failed = frozenset(job.number for job in held.jobs if job.fails and not held.hung)
        for job in held.jobs:
            if held.hung:
                job.hangs = False
                self._due_now(job)
            elif job.fails:
                job.fails -= 1
                wait = self.settings.retry_first_seconds * 2**job.tries
                job.tries += 1
                job.state, job.next_try = State.WAITING, self.clock + wait
                self._at(job.next_try, partial(self._due_now, job))
            elif job.stage is Stage.PREPARE:
                job.stage = Stage.SCREEN
                self._due_now(job)
            else:
                job.state = State.DONE
                self.ended[job.batch] += 1
                self._on_end(job)
        self._at(self.clock + BETWEEN, partial(self._look, held.child))

    def _hand_back(self, held: Held) -> None:
        if held.ended is None:
            self._close(held)
            for job in held.jobs:
                self._due_now(job)

    def _close(self, held: Held) -> None:
        held.ended, held.child.claim = self.clock, None
        self._busy -= 1

    # What the tables hold at this moment

    def receive(self, session: Session, batches: dict[str, Batch]) -> None:
        """Write the studies and their files, which do not change."""
        studies, files = [], []
        for job in self.jobs:
            batch, moment = batches[job.batch], self.at(job.arrives)
            studies.append({"id": f"study-{job.number}", "study_uid": f"2.25.{job.number}", "batch_id": batch.id,
                            "lane": job.lane.value, "received_at": moment, "bucket": "not_analysed", "reason": "",
                            "flags": []})  # fmt: skip
            files += [
                {"batch_id": batch.id, "study_id": f"study-{job.number}", "name": "a.dcm", "kind": "dicom",
                 "size": job.bytes // job.files, "sha256": f"{job.number}-{number}", "original": True,
                 "flags": [], "disposition": Disposition.ACCEPTED, "received_at": moment}
                for number in range(job.files)
            ]  # fmt: skip
        session.execute(insert(Study.__table__), studies)
        session.execute(insert(ReceivedFile.__table__), files)

    def write(self, session: Session) -> None:
        """Write what changes: screenings, the latest claims with their attempts, heartbeats."""
        for table in (Attempt, Screening, Claim, Heartbeat):
            session.execute(delete(table))
        recent = [one for one in self.claims if one.ended is None or one.ended > self.clock - KEPT]
        if recent:
            session.execute(insert(Claim.__table__), [self._claim(one) for one in recent])
        here = [job for job in self.jobs if job.arrives <= self.clock]
        session.execute(insert(Screening.__table__), [self._screening(job) for job in here])
        attempts = [self._attempt(one, job) for one in recent for job in one.jobs]
        if attempts:
            session.execute(insert(Attempt.__table__), attempts)
        living = [one for one in self.workers if one.begins <= self.clock < one.ends]
        for one in living:
            session.add(Heartbeat(name=one.name, kind=one.stage.value, at=self.moment))

    def _claim(self, one: Held) -> dict[str, Any]:
        return {"id": one.id, "stage": one.child.parent.stage.value, "worker": one.child.name, "device": "cpu",
                "size": len(one.jobs), "started_at": self.at(one.began), "expires_at": self.at(one.began + 30),
                "ended_at": self.at(one.ended) if one.ended is not None else None}  # fmt: skip

    def _screening(self, job: Job) -> dict[str, Any]:
        next_try = self.at(job.next_try) if job.next_try is not None else None
        return {"id": job.number, "study_id": f"study-{job.number}", "state": job.state.value, "lane": job.lane.value,
                "created_at": self.at(job.arrives), "changed_at": self.at(job.arrives), "stage": job.stage.value,
                "next_try_at": next_try}  # fmt: skip

    def _attempt(self, one: Held, job: Job) -> dict[str, Any]:
        return {"screening_id": job.number, "claim_id": one.id, "stage": one.child.parent.stage.value, "number": 1,
                "company": len(one.jobs), "worker": one.child.name, "device": "cpu", "started_at": self.at(one.began),
                "outcome": _outcome(one, job).value, "software": "0"}  # fmt: skip


def _outcome(one: Held, job: Job) -> Outcome:
    if one.ended is None:
        return Outcome.RUNNING
    if one.hung:
        return Outcome.CRASHED
    return Outcome.FAILED if job.number in one.failed else Outcome.DONE
