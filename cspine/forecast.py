"""When a batch will be done: the queue is played forward at the pace of the workers. Pure.

Work flows like water: each stage gives its strength to the lanes that are open and have work, by their turns; what is
prepared flows on to be screened. A lane is first in, first out, so that a batch is done when its lane has been worked
off up to the batch's last study. Studies that keep coming into other lanes are taken to go on coming.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from cspine.lanes import TURNS
from cspine.states import Lane, Stage

HORIZON = timedelta(days=7)
STEPS = 300  # that the time to the end is cut into, roughly
SHORTEST, LONGEST = 0.25, 120.0  # seconds of a step
NOTHING = 1e-6  # seconds of work

Openings = Callable[[datetime], tuple[tuple[Lane, ...], datetime | None]]


class Why(StrEnum):
    """Why no end is known."""

    words: str

    def __new__(cls, code: str, words: str) -> "Why":
        """Make the member of which `code` is the value and `words` the explanation."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.words = words
        return member

    DONE = "done", "Nothing of it is in work."
    PAUSED = "paused", "Its lane is paused: it goes on when somebody resumes it."
    NO_WORKER = "no_worker", "No worker is ready to work on it: it goes on when one is."
    NOT_MEASURED = "not_measured", "No worker has ended anything yet, so that nothing is known of the pace."
    BEYOND = "beyond", "At this pace it takes more than a week."


@dataclass
class Backlog:
    """What lies in one lane of one stage, in seconds of a child."""

    until: float = 0.0  # up to and with the last study of the batch, itself and all before it
    behind: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.until + self.behind

    def take(self, work: float) -> tuple[float, float]:
        """Work off so much from the front; return how much of it was up to the batch's last study, and behind it."""
        own = min(work, self.until)
        rest = min(work - own, self.behind)
        self.until, self.behind = self.until - own, self.behind - rest
        return own, rest


@dataclass(frozen=True)
class Piece:
    """One of the last studies of a batch to be prepared: a single child works on it, however many there are."""

    seconds: float  # of preparing it
    after: float = 0.0  # seconds of a child of the batch's work that come after it in its lane
    since: datetime | None = None  # when a worker took it; null where none has yet


@dataclass(frozen=True)
class Situation:
    """Everything that the end of a batch depends on."""

    moment: datetime
    strength: Mapping[Stage, float]  # seconds of a child done in a second
    backlog: Mapping[tuple[Stage, Lane], Backlog]
    onward: Mapping[Lane, float] = field(default_factory=dict)  # seconds of screening for a second of preparing
    arrivals: Mapping[Lane, float] = field(default_factory=dict)  # seconds of preparing that come in each second
    pieces: Sequence[Piece] = ()
    company: Mapping[Stage, float] = field(default_factory=dict)  # seconds of one claim
    not_before: datetime | None = None  # when the last of those that wait for another try are tried


def end(situation: Situation, openings: Openings) -> datetime | None:
    """Return when the batch will be done; null where that is more than a week away.

    `openings` gives the lanes that are open at a moment, and until when that stays so.
    """
    moment = prepared = situation.moment
    backlog = {key: replace(lot) for key, lot in situation.backlog.items()}
    if any(lot.until > NOTHING and not situation.strength[stage] for (stage, _), lot in backlog.items()):
        return None
    limit, rate = moment + HORIZON, situation.strength[Stage.PREPARE]
    step = _step(situation)
    while any(lot.until > NOTHING for lot in backlog.values()):
        if moment > limit:
            return None
        lanes, changes = openings(moment)
        if changes is not None and not any(lot.total > NOTHING for (_, lane), lot in backlog.items() if lane in lanes):
            moment = changes
            continue
        ours = any(lot.until > NOTHING for (_, lane), lot in backlog.items() if lane in lanes)
        seconds = step if ours else LONGEST
        if changes is not None:
            seconds = min(seconds, max((changes - moment).total_seconds(), SHORTEST))
        before = _to_prepare(backlog)
        _flow(situation, backlog, lanes, seconds)
        moment += timedelta(seconds=seconds)
        after = _to_prepare(backlog)
        if before > NOTHING:
            prepared = moment
            rate = (before - after) / seconds if after > NOTHING else rate
    moment = max(moment + timedelta(seconds=_unequal(situation)), _last_prepared(situation, prepared, rate))
    return max(moment, situation.not_before) if situation.not_before is not None else moment


def _to_prepare(backlog: Mapping[tuple[Stage, Lane], Backlog]) -> float:
    return sum(lot.until for (stage, _), lot in backlog.items() if stage is Stage.PREPARE)


def _unequal(situation: Situation) -> float:
    """Return how many seconds the children of the second stage end one after the other, on average."""
    children = max(situation.strength[Stage.SCREEN], 1.0)
    return situation.company.get(Stage.SCREEN, 0.0) / 2 * (1 - 1 / children)


def _last_prepared(situation: Situation, prepared: datetime, rate: float) -> datetime:
    """Return when what is prepared last will be screened, where screening waits for it.

    A large study near the end is what all wait for: it begins when what is before it is done, and one child works on
    it while the others have nothing more to do.
    """
    if not any(stage is Stage.PREPARE and lot.until > NOTHING for (stage, _), lot in situation.backlog.items()):
        return situation.moment
    longest = situation.company.get(Stage.PREPARE, 0.0) / 2
    for piece in situation.pieces:
        if piece.since is not None:
            ends = (piece.since - prepared).total_seconds() + piece.seconds
        else:
            ends = piece.seconds - (piece.seconds + piece.after) / max(rate, 1.0)
        longest = max(longest, ends)
    return prepared + timedelta(seconds=longest + situation.company.get(Stage.SCREEN, 0.0))


def shares(strength: float, wanted: Mapping[Lane, float]) -> dict[Lane, float]:
    """Divide a stage's strength among lanes by their turns; a turn that is not needed goes to the most urgent lane."""
    given = {lane: min(want, strength * TURNS.count(lane) / len(TURNS)) for lane, want in wanted.items()}
    spare = strength - sum(given.values())
    for lane in Lane:
        if lane in given:
            more = min(spare, wanted[lane] - given[lane])
            given[lane] += more
            spare -= more
    return given


def _flow(situation: Situation, backlog: dict[tuple[Stage, Lane], Backlog], lanes: tuple[Lane, ...],
          seconds: float) -> None:  # fmt: skip
    """Let the work of some seconds flow through both stages."""
    for lane, rate in situation.arrivals.items():
        backlog.setdefault((Stage.PREPARE, lane), Backlog()).behind += rate * seconds
    for stage in Stage:
        wanted = {lane: backlog[stage, lane].total for lane in lanes if (stage, lane) in backlog}
        for lane, work in shares(situation.strength[stage] * seconds, wanted).items():
            own, rest = backlog[stage, lane].take(work)
            if stage is Stage.PREPARE:
                onward = backlog.setdefault((Stage.SCREEN, lane), Backlog())
                ratio = situation.onward.get(lane, 0.0)
                onward.until += own * ratio
                onward.behind += rest * ratio


def _step(situation: Situation) -> float:
    """Choose the step by the time that the batch would take alone."""
    work = {stage: sum(lot.until for (of, _), lot in situation.backlog.items() if of is stage) for stage in Stage}
    for lane, ratio in situation.onward.items():
        first = situation.backlog.get((Stage.PREPARE, lane))
        work[Stage.SCREEN] += first.until * ratio if first else 0.0
    alone = max((work[stage] / power for stage, power in situation.strength.items() if power), default=0.0)
    return min(max(alone / STEPS, SHORTEST), LONGEST)


@dataclass(frozen=True)
class Forecast:
    """When a batch will be done, as far as that can be told, and whether its deadline will be met."""

    made_at: datetime
    waiting: int  # studies of the batch that are still in work
    ends_at: datetime | None
    why: Why | None  # set where no end is known
    per_minute: float | None  # studies a minute, of the whole queue, lately
    deadline: datetime | None = None

    @property
    def late(self) -> bool:
        """Say whether the deadline will be missed, or is already, or whether nothing is being done to meet it."""
        if self.deadline is None or not self.waiting:
            return False
        if self.ends_at is not None:
            return self.ends_at > self.deadline
        return self.made_at > self.deadline or self.why is not Why.NOT_MEASURED

    def sentence(self, zone: str) -> str:
        """Say it in words, with times of the site's clock."""
        if self.ends_at is None:
            words = (self.why or Why.NOT_MEASURED).words
        else:
            left = "1 study is left" if self.waiting == 1 else f"{self.waiting} studies are left"
            words = f"{left}; done by {_clock(self.ends_at, self.made_at, zone)}."
        if self.deadline is None or not self.waiting:
            return words
        by = _clock(self.deadline, self.made_at, zone)
        if not self.late:
            return f"{words} The deadline is {by}."
        if self.made_at > self.deadline:
            return f"{words} The deadline was {by}."
        return f"{words} The deadline, {by}, will be missed."

    def as_dict(self) -> dict[str, Any]:
        """Return it as the command line and the pages give it; times in UTC."""
        return {
            "made_at": self.made_at.isoformat(),
            "waiting": self.waiting,
            "ends_at": self.ends_at.isoformat() if self.ends_at else None,
            "why": self.why.value if self.why else None,
            "per_minute": round(self.per_minute, 2) if self.per_minute is not None else None,
            "deadline": self.deadline.isoformat() if self.deadline else None,
            "late": self.late,
        }


@dataclass(frozen=True)
class Expected:
    """What so many more studies would take."""

    seconds_of_work: float | None  # of a child, both stages together; null where nothing was measured
    ends_at: datetime | None
    why: Why | None


def _clock(moment: datetime, now: datetime, zone: str) -> str:
    """Write a time of the site's clock, with its day where that is another than today."""
    own, today = moment.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    return f"{own:%H:%M}" if own.date() == today else f"{own:%Y-%m-%d %H:%M}"
