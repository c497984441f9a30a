"""How good the forecast of a batch's end is, in a simulated clock: scenes of a night, and the error at each tenth.

python -m tests.integration.forecast [--seed N] [SCENE ...]

At each tenth of a batch the state of the house is written into the tables of an SQLite database, the product's own
forecast is asked, and what it said is held against the true end. The error is told as a share of the time that was
left (the harder reading) and of the whole time of the batch. Counted are the tenths from ten minutes after the last
change of workers on; the others are printed in brackets. It ends with 1 where a counted error is above 15 % of the time
left, in a scene that is promised.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cspine import migrate
from cspine.database import Database
from cspine.records import forecasts
from cspine.states import Lane
from cspine.tables import Batch
from tests.integration.clockwork import Job
from tests.integration.scenes import OWN, SCENES, Scene

MOST = 0.15
SETTLED = 600.0  # seconds after the last change of workers from which the promise holds
TENTHS = 10


@dataclass(frozen=True)
class Told:
    """A forecast at one tenth of the batch, and what became true."""

    scene: str
    tenth: int
    at: float  # seconds from the batch's begin
    ends_at: float | None  # seconds too
    truly: float
    counted: bool

    @property
    def of_left(self) -> float:
        """The error as a share of the time that was left."""
        return abs((self.ends_at if self.ends_at is not None else float("inf")) - self.truly) / (self.truly - self.at)

    @property
    def of_all(self) -> float:
        """The error as a share of the batch's whole time."""
        return abs((self.ends_at if self.ends_at is not None else float("inf")) - self.truly) / self.truly


def play(scene: Scene, seed: int, database: Database) -> list[Told]:
    """Play a scene to its end and return what was forecast at each tenth."""
    house = scene.house(seed)
    own = [job for job in house.jobs if job.batch == OWN]
    begin = min(job.arrives for job in own)
    told: list[tuple[int, float, float | None]] = []
    with database.write() as session:
        rows = {name: Batch(name=name, lane=Lane.NORMAL.value, created_at=house.begin)
                for name in {job.batch for job in house.jobs}}  # fmt: skip
        session.add_all(rows.values())
        session.flush()
        house.receive(session, rows)

    def ask(job: Job) -> None:
        done = house.ended[OWN]
        if job.batch != OWN or done * TENTHS // len(own) == (done - 1) * TENTHS // len(own) or done == len(own):
            return
        with database.write() as session:
            house.write(session)
        with database.read() as session:
            said = forecasts.of_batch(session, rows[OWN], house.settings, house.moment)
        ends_at = (said.ends_at - house.begin).total_seconds() if said.ends_at else None
        told.append((done * TENTHS // len(own), house.clock, ends_at))

    house.run(ask, OWN)
    changed = max((one for one in house.changes() if one <= house.clock), default=0.0)
    return [
        Told(scene.name, tenth, at - begin, None if ends_at is None else ends_at - begin, house.clock - begin,
             at >= changed + SETTLED or changed <= 0.0)
        for tenth, at, ends_at in told
    ]  # fmt: skip


@contextmanager
def fresh_database() -> Iterator[Database]:
    """Give a migrated, empty database that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="cspine-forecast-") as folder:
        database = Database(f"sqlite+pysqlite:///{Path(folder) / 'cspine.db'}")
        migrate.upgrade(database)
        yield database
        database.dispose()


def table(played: dict[str, list[Told]], error: Callable[[Told], float]) -> Iterator[str]:
    """Give the lines of a table of errors in percent; what is not counted stands in brackets."""
    yield f"{'scene':<16}" + "".join(f"{f'{tenth}0 %':>8}" for tenth in range(1, TENTHS)) + f"{'worst':>8}"
    for name, rows in played.items():
        by_tenth = {row.tenth: row for row in rows}
        cells = [_cell(by_tenth.get(tenth), error) for tenth in range(1, TENTHS)]
        worst = max((error(row) for row in rows if row.counted), default=0.0)
        yield f"{name:<16}" + "".join(f"{cell:>8}" for cell in cells) + f"{100 * worst:>8.1f}"


def _cell(row: Told | None, error: Callable[[Told], float]) -> str:
    if row is None:
        return "-"
    return f"{100 * error(row):.1f}" if row.counted else f"({100 * error(row):.0f})"


def main() -> int:
    """Play the scenes and print the tables."""
    parser = argparse.ArgumentParser(description="The errors of the forecast in a simulated clock.")
    parser.add_argument("scenes", nargs="*", help=f"of {', '.join(one.name for one in SCENES)}; default: all")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    played = {}
    for scene in SCENES:
        if given.scenes and scene.name not in given.scenes:
            continue
        with fresh_database() as database:
            played[scene.name] = play(scene, given.seed, database)
        minutes = played[scene.name][-1].truly / 60
        print(f"{scene.name}: {scene.words} ({minutes:.0f} min)", flush=True)
    print("\nerror in % of the time that was left")
    print("\n".join(table(played, lambda one: one.of_left)))
    print("\nerror in % of the whole time of the batch")
    print("\n".join(table(played, lambda one: one.of_all)))
    promised = {scene.name for scene in SCENES if scene.promised}
    counted = [one for rows in played.values() for one in rows if one.counted and one.scene in promised]
    worst = max(one.of_left for one in counted)
    print(f"\nforecast: seed {given.seed} tenths counted {len(counted)} worst {100 * worst:.1f} % of the time left")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
