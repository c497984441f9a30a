"""The scenes in which the forecast is tried."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cspine.settings import Settings
from cspine.states import Lane, Stage
from tests.integration.clockwork import House, Job, Prices, Worker

OWN, OTHER = "own", "other"
FILM = 5_000_000
EVENING = datetime(2026, 3, 2, 19, 30, tzinfo=UTC)  # 20:30 in Vienna
CLOCK_SET = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # the night in which Vienna's clock is set forward
MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Scene:
    """A scene: its name, what happens, and whether the promise of 15 % holds in it."""

    name: str
    words: str
    house: Callable[[int], House]
    promised: bool = True


def _films(rng: random.Random, count: int, *, batch: str = OWN, lane: Lane = Lane.NORMAL, first: int = 1,
           begin: float = 0.0, every: float = 0.0) -> list[Job]:  # fmt: skip
    """Make studies of two or three films each; all at once, or one after the other."""
    return [
        Job(first + index, batch, lane, files, int(files * FILM * rng.uniform(0.8, 1.2)), begin + index * every)
        for index in range(count)
        for files in [rng.choice((2, 3))]
    ]


def _mixed(rng: random.Random, count: int) -> list[Job]:
    """Make studies of one to forty files of 0.2 to 12 MB each, most of them small."""
    jobs = []
    for index in range(count):
        files = min(40, int(rng.paretovariate(1.2)))
        jobs.append(Job(index + 1, OWN, Lane.NORMAL, files, int(files * rng.uniform(0.2, 12) * 1e6), 0.0))
    return jobs


def _workers(prepare: int = 4, screen: int = 1) -> list[Worker]:
    return [Worker("a:prepare:1", Stage.PREPARE, prepare), Worker("a:screen:2", Stage.SCREEN, screen)]


def _settings(**values: str) -> Settings:
    return Settings(site_timezone="Europe/Vienna", **values)  # type: ignore[arg-type]


def _house(seed: int, jobs: Sequence[Job], workers: Sequence[Worker] | None = None, *, begin: datetime = EVENING,
           window: str = "", prices: Prices | None = None, cores: float | None = None) -> House:  # fmt: skip
    return House(_settings(overnight_window=window), begin, workers or _workers(), jobs, seed,
                 prices or Prices(), cores)  # fmt: skip


def steady(seed: int) -> House:
    """Make 2,000 studies of one kind."""
    return _house(seed, _films(random.Random(seed), 2000))


def mixed(seed: int) -> House:
    """Make studies of very different sizes in any order."""
    return _house(seed, _mixed(random.Random(seed), 2000))


def large_last(seed: int) -> House:
    """Make the same studies, the small ones first."""
    jobs = sorted(_mixed(random.Random(seed), 2000), key=lambda job: job.bytes)
    return _house(seed, [replace(job, number=index + 1) for index, job in enumerate(jobs)])


def workers_change(seed: int) -> House:
    """Let a second machine come, a third slower one come, and the first one go."""
    workers = [
        Worker("a:prepare:1", Stage.PREPARE, 3, ends=30 * MINUTE),
        Worker("a:screen:2", Stage.SCREEN, 1),
        Worker("b:prepare:1", Stage.PREPARE, 4, begins=8 * MINUTE),
        Worker("c:prepare:1", Stage.PREPARE, 4, begins=20 * MINUTE, speed=0.5),
    ]
    return _house(seed, _films(random.Random(seed), 16000), workers)


def lanes_ahead(seed: int) -> House:
    """Put an overnight batch beside a normal one of others and a stream of urgent studies."""
    rng = random.Random(seed)
    own = _films(rng, 1500, lane=Lane.OVERNIGHT)
    beside = _films(rng, 1500, batch=OTHER, lane=Lane.NORMAL, first=2001)
    urgent = _films(rng, 2500, batch="urgent", lane=Lane.URGENT, first=4001, begin=-20 * MINUTE, every=12.0)
    return _house(seed, [*own, *beside, *urgent])


def behind(seed: int) -> House:
    """Put a batch behind an earlier one of other sizes in the same lane, with an overnight one beside it."""
    rng = random.Random(seed)
    earlier = [replace(job, number=job.number + 3000, batch=OTHER, arrives=-60.0) for job in _mixed(rng, 800)]
    own = _films(rng, 1200)
    beside = _films(rng, 3000, batch="night", lane=Lane.OVERNIGHT, first=6001)
    return _house(seed, [*own, *earlier, *beside])


def window(seed: int) -> House:
    """Let the overnight window open after the batch came and close before it is done."""
    prices = Prices(file=2.0, megabyte=0.7, screen_file=0.4)
    return _house(seed, _films(random.Random(seed), 6000, lane=Lane.OVERNIGHT), window="22:00-06:00", prices=prices)


def clock_set(seed: int) -> House:
    """Do so in the night in which the site's clock is set forward."""
    prices = Prices(file=2.0, megabyte=0.7, screen_file=0.4)
    jobs = _films(random.Random(seed), 6000, lane=Lane.OVERNIGHT)
    return _house(seed, jobs, begin=CLOCK_SET, window="22:00-06:00", prices=prices)


def screen_bound(seed: int) -> House:
    """Let screening be what takes longest."""
    return _house(seed, _films(random.Random(seed), 1500), _workers(4, 1), prices=Prices(screen_file=0.8))


def shared_cores(seed: int) -> House:
    """Let all children share two cores, so that each is slower when the others work."""
    return _house(seed, _films(random.Random(seed), 1500), _workers(2, 1), cores=2.0)


def troubles(seed: int) -> House:
    """Let some studies fail and be tried again, and some hang until the limit."""
    rng = random.Random(seed)
    jobs = _films(rng, 6000)
    for job in jobs:
        while rng.random() < 0.03:
            job.fails += 1
    for job in rng.sample(jobs[:5400], 4):  # one that hangs at the very end is the end, which nobody can foresee
        job.hangs = True
    return _house(seed, jobs)


def dearer_later(seed: int) -> House:
    """Let the later half cost four times as much by its files' contents, which no size tells."""
    jobs = _films(random.Random(seed), 1500)
    return _Dearer(_settings(), EVENING, _workers(), jobs, seed)


class _Dearer(House):
    def _seconds(self, worker: Worker, jobs: Sequence[Job]) -> float:
        factor = 4.0 if worker.stage is Stage.PREPARE and jobs[0].number > len(self.jobs) / 2 else 1.0
        return factor * super()._seconds(worker, jobs)


def _scenes() -> Iterator[Scene]:
    yield Scene("steady", "studies of one kind", steady)
    yield Scene("mixed", "1 to 40 files of 0.2 to 12 MB, in any order", mixed)
    yield Scene("large last", "the same, the small ones first", large_last)
    yield Scene("workers", "machines come at 8 and 20 min, one goes at 30 min", workers_change)
    yield Scene("lanes", "overnight, beside a normal batch and a stream of urgent ones", lanes_ahead)
    yield Scene("behind", "behind another batch of its lane, an overnight one beside", behind)
    yield Scene("window", "the overnight window opens later and closes before the end", window)
    yield Scene("clock set", "the same, the site's clock being set forward that night", clock_set)
    yield Scene("screen", "screening takes longest", screen_bound)
    yield Scene("cores", "all children share two cores", shared_cores)
    yield Scene("troubles", "3 % of attempts fail and are tried again, four hang for two minutes", troubles)
    yield Scene("dearer", "the later half costs four times as much, which no size tells", dearer_later, promised=False)


SCENES = tuple(_scenes())
