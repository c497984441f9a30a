"""The pace of the workers: how many run at once, and how long a study takes one of them. Pure.

Work is measured in seconds of one worker process (a child). A stage's strength is how many children work at once, less
what they lose between two claims; the cost of a study grows with its files and their bytes. Both come from the claims
of the last minutes since the last change of workers, so that a worker that joins or leaves counts at once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean, median

from cspine.states import Stage

LOOK_BACK = timedelta(minutes=10)
SETTLE = timedelta(minutes=1)  # so long after a change of workers the pace of before is still the better measure
FEWEST = 12  # claims from which a pace is read where there are as many
SAMPLES = 300  # claims whose studies are looked up
SHORT = 2.0  # seconds between two claims of a child that are a cost of the queue; longer ones are want of work
OUTLIER = 10.0  # times the usual time, and no more of a hung task is taken for a measure of the others
MEGABYTE = 1e6
PRIOR_WEIGHT = 6  # made-up claims by the usual costs, which decide as long as all studies are of one size


@dataclass(frozen=True)
class Run:
    """One claim: of which worker and child, from when to when."""

    claim_id: str
    parent: str
    child: str
    began: datetime
    ended: datetime | None  # null while it runs
    size: int  # studies


@dataclass(frozen=True)
class Sample:
    """What a claim did, and the seconds that it took; what failed in it, and will be done again, is not counted."""

    studies: int
    files: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Cost:
    """The seconds of a child that a study takes."""

    per_file: float
    per_megabyte: float

    def of(self, files: float, size: float) -> float:
        """Return the seconds for so many files of so many bytes together."""
        return self.per_file * files + self.per_megabyte * size / MEGABYTE


# Of a film by JPEG lossless on two shared cores (docs/speed.md); only their proportion matters once claims have ended.
USUAL = {Stage.PREPARE: Cost(0.03, 0.012), Stage.SCREEN: Cost(0.03, 0.0)}


@dataclass(frozen=True)
class Strength:
    """How much work a stage does in a second, in seconds of a child, and from which claims its costs are to be read."""

    children: float
    claim_seconds: float  # of one claim
    studies_per_minute: float  # lately, while there was work
    measured: Sequence[Run]


def strength(runs: Iterable[Run], alive: Collection[str], moment: datetime) -> Strength | None:
    """Measure a stage by its latest claims and its live workers; null where none is alive, or no claim has ended yet.

    A worker that is alive and has not claimed yet is taken to be like the others.
    """
    latest = sorted(runs, key=lambda run: run.ended or moment)
    ended = [run for run in latest if run.ended is not None]
    if not alive or not ended:
        return None
    recent = _recent(latest, ended, alive, moment)
    at_once = _at_once([run for run in latest if run.parent in alive])
    known = fmean(at_once.values()) if at_once else 1.0
    children = sum(at_once.get(parent, known) for parent in alive)
    lately = [run for run in ended if run.ended is not None and run.ended > moment - LOOK_BACK]
    return Strength(
        children=children * _busy_share(recent),
        claim_seconds=median(_seconds(run) for run in recent),
        studies_per_minute=60 * sum(run.size for run in lately) / max(_worked(lately), 1.0),
        measured=_spread(recent),
    )


def cost(samples: Sequence[Sample], usual: Cost) -> Cost:
    """Fit the cost of a file and of a megabyte to what claims took; none is negative.

    Where all studies are alike the two cannot be told apart: then the proportion of the usual costs stands.
    """
    told = [(one, usual.of(one.files, one.bytes)) for one in samples if one.files]
    if not told:
        return usual
    typical = median(one.seconds / by_prior for one, by_prior in told)
    rows = [(one.files, one.bytes / MEGABYTE, min(one.seconds, OUTLIER * typical * by_prior)) for one, by_prior in told]
    most = OUTLIER * typical * fmean(by_prior for _, by_prior in told)
    spent = sum(row[2] for row in rows) + sum(min(one.seconds, most) for one in samples if not one.files)
    scale = sum(row[2] for row in rows) / sum(by_prior for _, by_prior in told)
    prior = Cost(usual.per_file * scale, usual.per_megabyte * scale)
    fitted = _fitted(rows, prior) if usual.per_megabyte else prior
    # Whatever the fit, the samples together take what they took, with what was spent for nothing.
    exact = spent / sum(fitted.of(files, megabytes * MEGABYTE) for files, megabytes, _ in rows)
    return Cost(fitted.per_file * exact, fitted.per_megabyte * exact)


def _fitted(rows: Sequence[tuple[float, float, float]], prior: Cost) -> Cost:
    """Least squares, each row weighted by what it is expected to take, with made-up rows by the prior beside them."""
    files, megabytes = fmean(row[0] for row in rows), fmean(row[1] for row in rows)
    made_up = [(files, 0.0, prior.per_file * files), (0.0, megabytes, prior.per_megabyte * megabytes)]
    ff = fm = mm = fs = ms = 0.0
    for (f, m, s), weight in [*((row, 1.0) for row in rows), *((row, PRIOR_WEIGHT / 2) for row in made_up)]:
        w = weight / max(prior.of(f, m * MEGABYTE), 1e-6)
        ff, fm, mm, fs, ms = ff + w * f * f, fm + w * f * m, mm + w * m * m, fs + w * f * s, ms + w * m * s
    determinant = ff * mm - fm * fm
    if determinant <= 1e-9 * ff * mm:
        return prior
    per_file, per_megabyte = (fs * mm - ms * fm) / determinant, (ms * ff - fs * fm) / determinant
    if per_file < 0:
        return Cost(0.0, ms / mm)
    if per_megabyte < 0:
        return Cost(fs / ff, 0.0)
    return Cost(per_file, per_megabyte)


def _recent(latest: Sequence[Run], ended: Sequence[Run], alive: Collection[str], moment: datetime) -> list[Run]:
    """Return the ended claims since the last change of workers, of ten minutes at most, or the last few."""
    begin = moment - LOOK_BACK
    for change in sorted(_changes(latest, alive)):
        if begin < change <= moment - SETTLE:
            begin = change
    recent = [run for run in ended if run.began >= begin]
    return recent if len(recent) >= FEWEST else list(ended[-FEWEST:])


def _changes(runs: Sequence[Run], alive: Collection[str]) -> list[datetime]:
    """Return when workers joined or left: the begin of one's first claim, the end of the last of one that is gone."""
    first: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    for run in runs:
        first[run.parent] = min(first.get(run.parent, run.began), run.began)
        end = run.ended or run.began
        last[run.parent] = max(last.get(run.parent, end), end)
    return [*first.values(), *(end for parent, end in last.items() if parent not in alive)]


def _at_once(runs: Sequence[Run]) -> dict[str, int]:
    """Return the most claims that each worker held at one time; a child that was replaced does not count twice."""
    events = defaultdict(list)
    for run in runs:
        events[run.parent].append((run.began, 1))
        if run.ended is not None:
            events[run.parent].append((run.ended, -1))
    most = {}
    for parent, changes in events.items():
        held = top = 0
        for _, change in sorted(changes):  # at one time ends come before begins
            held += change
            top = max(top, held)
        most[parent] = top
    return most


def _busy_share(runs: Sequence[Run]) -> float:
    """Return the share of their time that children work while there is work."""
    by_child = defaultdict(list)
    for run in runs:
        by_child[run.child].append(run)
    busy = lost = 0.0
    for own in by_child.values():
        own.sort(key=lambda run: run.began)
        busy += sum(map(_seconds, own))
        for one, after in pairwise(own):
            gap = (after.began - (one.ended or after.began)).total_seconds()
            lost += gap if 0 <= gap <= SHORT else 0.0
    return busy / (busy + lost) if busy else 1.0


def _worked(runs: Sequence[Run]) -> float:
    """Return the seconds in which some child worked, with what lay between two claims as long as it was short."""
    worked = 0.0
    until: datetime | None = None
    for run in sorted(runs, key=lambda run: run.began):
        end = run.ended or run.began
        if until is None or (run.began - until).total_seconds() > SHORT:
            until = run.began
        worked += max(0.0, (end - until).total_seconds())
        until = max(until, end)
    return worked


def _seconds(run: Run) -> float:
    return max(0.001, (run.ended - run.began).total_seconds()) if run.ended else 0.001


def _spread(runs: Sequence[Run]) -> Sequence[Run]:
    """Return some of the claims, spread over all of them."""
    step = max(1, -(-len(runs) // SAMPLES))
    return runs[::step]
