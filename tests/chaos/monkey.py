"""The monkey: faults drawn from a seed, done one after the other while the night goes on.

A victim that shall die in the middle of its work is stopped and looked at first, so that it cannot end it before that.
A healthy study that is alone for what would be its last attempt is spared: nobody could tell it from a poison.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cspine.embedded import process
from cspine.queue import queue_name
from cspine.states import Lane, Stage
from tests.chaos.house import LEASE_SECONDS, SWEEP_SECONDS, House

AWAY_SECONDS = 5.0  # of a server; less than a task may take
FROZEN_SECONDS = LEASE_SECONDS + 2 * SWEEP_SECONDS + 4.0
LOOKS = 60
LOOK_SECONDS = 0.05
UNKNOWN_ID = 987_654_321
GONE_SECONDS = 10.0


@dataclass(frozen=True)
class Planned:
    """A fault, and the share of the night after which it is done."""

    after: float
    name: str


@dataclass
class Monkey:
    """Does the faults of a plan, and remembers whom it hit."""

    house: House
    random: Random
    say: Callable[[str], object] = print
    hit: set[int] = field(default_factory=set)  # processes killed or frozen
    left: list[str] = field(default_factory=list)  # children that outlived their worker
    _thaws: list[threading.Timer] = field(default_factory=list)
    _held: list[int] = field(default_factory=list)  # frozen until the end

    def do(self, name: str) -> None:
        """Do one fault and say so."""
        self.say(f"{name.replace('_', ' ')}: {FAULTS[name](self)}")

    def rest(self) -> None:
        """Wait until what is frozen for a while is thawed."""
        for thaw in self._thaws:
            thaw.join()

    def thaw(self) -> None:
        """Thaw what was frozen until the end."""
        _thaw(self._held)

    def kill_child(self) -> str:
        """Kill a child in the middle of its work."""
        pid, words = self._busy()
        if not pid:
            return words
        self._kill(pid)
        return f"process {pid}, {words}"

    def kill_worker(self) -> str:
        """Kill a worker whose child is in the middle of its work; its children must go with it."""
        pid, words = self._busy()
        if not pid:
            return words
        parent = self._parent(pid)
        children = process.children(parent)
        self.hit |= {parent, *children}
        os.kill(parent, signal.SIGKILL)
        end = time.monotonic() + GONE_SECONDS
        while any(Path(f"/proc/{child}").exists() for child in children):
            if time.monotonic() > end:
                self.left.append(f"children of {parent}")
                break
            time.sleep(LOOK_SECONDS)
        return f"process {parent} and its {len(children)} children, {words}"

    def kill_sweep(self) -> str:
        """Kill the sweep."""
        pids = self.house.parents("sweep")
        for pid in pids:
            self._kill(pid)
        return f"process {pids}"

    def freeze_child(self) -> str:
        """Freeze a child in the middle of its work until its lease is gone; its late write must be refused."""
        pid, words = self._busy()
        if pid:
            self.hit.add(pid)
            self._thaw_later([pid])
        return f"process {pid} for {FROZEN_SECONDS:.0f} s, {words}" if pid else words

    def freeze_worker(self) -> str:
        """Freeze a worker with its children, as a host that is suspended."""
        pid, words = self._busy()
        if not pid:
            return words
        frozen: list[int] = []
        named = self._freeze(self._parent(pid), frozen)
        self._thaw_later(frozen)
        return f"{named} for {FROZEN_SECONDS:.0f} s, {words}"

    def freeze_transaction(self) -> str:
        """Freeze a worker in the middle of a transaction that has written, until the night is over without it."""
        for _ in range(10 * LOOKS):
            pid = self._any_child()
            if pid and self._stop(pid):
                load = self.house.load(pid)
                if self.house.writes(pid) and load is not None and not load.spare:
                    return f"process {pid}'s worker until the end, {self._freeze(self._parent(pid), self._held)}"
                os.kill(pid, signal.SIGCONT)
        return "nobody was in the middle of a transaction"

    def stop_worker(self) -> str:
        """Ask a worker to stop, as an upgrade does."""
        pids = [pid for stage in Stage for pid in self.house.parents(stage.value) if pid not in self.hit]
        pid = self.random.choice(pids)
        os.kill(pid, signal.SIGTERM)
        return f"process {pid}"

    def restart_redis(self) -> str:
        """Restart Redis in order, or after a crash; it has kept what it held."""
        how = self.random.choice([signal.SIGTERM, signal.SIGKILL])
        self.house.redis.stop(how)
        self.house.redis.start()
        return f"by {how.name}"

    def empty_redis(self) -> str:
        """Kill Redis and have it come back empty."""
        self.house.redis.stop(signal.SIGKILL)
        self.house.redis.forget()
        self.house.redis.start()
        return "it has forgotten everything"

    def flush_redis(self) -> str:
        """Empty Redis while everybody is connected."""
        with self.house.redis.client() as client:
            client.flushall()
        return "everything"

    def redis_away(self) -> str:
        """Take Redis away for a while."""
        self.house.redis.stop(signal.SIGKILL)
        time.sleep(AWAY_SECONDS)
        self.house.redis.start()
        return f"for {AWAY_SECONDS:.0f} s"

    def cut_redis(self) -> str:
        """Cut every connection to Redis."""
        with self.house.redis.client() as client:
            return f"{client.client_kill_filter(_type='normal', skipme=True)} connections"

    def restart_postgres(self) -> str:
        """Restart PostgreSQL in order, or as by a crash."""
        how = self.random.choice([signal.SIGINT, signal.SIGQUIT])
        self.house.postgres.stop(how)
        self.house.postgres.start()
        return "in order" if how is signal.SIGINT else "by a crash"

    def postgres_away(self) -> str:
        """Take PostgreSQL away for a while."""
        self.house.postgres.stop(signal.SIGQUIT)
        time.sleep(AWAY_SECONDS)
        self.house.postgres.start()
        return f"for {AWAY_SECONDS:.0f} s"

    def read_only_postgres(self) -> str:
        """Let PostgreSQL refuse every write for a while."""
        self.house.postgres.read_only(True)
        time.sleep(AWAY_SECONDS)
        self.house.postgres.read_only(False)
        return f"for {AWAY_SECONDS:.0f} s"

    def cut_postgres(self) -> str:
        """Cut every connection to PostgreSQL, several times, in the middle of whatever it does."""
        cut = 0
        for _ in range(10):
            cut += self.house.postgres.cut_connections()
            time.sleep(self.random.uniform(0.05, 0.3))
        return f"{cut} connections"

    def drop_messages(self) -> str:
        """Throw away every other message that waits."""
        dropped = 0
        with self.house.redis.client() as client:
            for queue in _queues():
                for message in client.lrange(queue, 0, -1)[::2]:
                    dropped += client.lrem(queue, 1, message)
        return f"{dropped}"

    def double_messages(self) -> str:
        """Send every message that waits a second time, and one of a study that does not exist."""
        doubled = 0
        with self.house.redis.client() as client:
            for queue in _queues():
                waiting = client.lrange(queue, 0, -1)
                doubled += len(waiting)
                if waiting:
                    client.lpush(queue, *waiting)
        for stage in Stage:
            self.house.bell.ring(stage, Lane.NORMAL, [UNKNOWN_ID])
        return f"{doubled}, and one for nothing in each stage"

    def _busy(self) -> tuple[int, str]:
        """Stop a child that holds work, and return it with what it does; 0 where nobody does for a while."""
        for _ in range(LOOKS):
            pid = self._any_child()
            if pid and self._stop(pid):
                load = self.house.load(pid)
                if load is not None and load.studies and not load.spare:
                    return pid, f"{load.stage} with {load.studies} studies in hand"
                os.kill(pid, signal.SIGCONT)
            time.sleep(LOOK_SECONDS)
        return 0, "nobody had work in hand"

    def _any_child(self) -> int:
        """Return a child of a worker that was not hit before, or 0."""
        children = [pid for pid in self.house.children(self.random.choice(list(Stage)).value) if pid not in self.hit]
        return self.random.choice(children) if children else 0

    @staticmethod
    def _stop(pid: int) -> bool:
        """Stop a process; false where it is gone."""
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return False
        return True

    def _freeze(self, parent: int, frozen: list[int]) -> str:
        """Freeze a worker with its children, note them, and return them in words."""
        family = [parent, *process.children(parent)]
        for pid in family:
            self._stop(pid)
        self.hit |= set(family)
        frozen += family
        return f"process {parent} and its {len(family) - 1} children"

    def _kill(self, pid: int) -> None:
        self.hit.add(pid)
        os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _parent(pid: int) -> int:
        try:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return 0

    def _thaw_later(self, pids: list[int]) -> None:
        timer = threading.Timer(FROZEN_SECONDS, _thaw, [pids])
        timer.start()
        self._thaws.append(timer)


def _thaw(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _queues() -> list[str]:
    return [queue_name(stage, lane) for stage in Stage for lane in Lane]


FAULTS: dict[str, Callable[[Monkey], str]] = {
    name: getattr(Monkey, name)
    for name in (
        "kill_child", "kill_worker", "kill_sweep", "freeze_child", "freeze_worker", "freeze_transaction", "stop_worker",
        "restart_redis", "empty_redis",
        "flush_redis", "redis_away", "cut_redis", "restart_postgres", "postgres_away", "read_only_postgres",
        "cut_postgres", "drop_messages", "double_messages",
    )
}  # fmt: skip
SHORT = ("kill_child", "kill_worker", "freeze_child", "freeze_transaction", "restart_redis", "flush_redis",
         "restart_postgres", "cut_postgres", "drop_messages", "double_messages")  # fmt: skip
ONCE = {"freeze_transaction"}  # a worker less until the end
LONG = (
    *FAULTS,
    *(name for name in FAULTS if name not in ONCE),
    "kill_child",
    "kill_child",
    "kill_child",
    "kill_worker",
)


def plan(random: Random, faults: Sequence[str]) -> list[Planned]:
    """Deal the faults over the night, in random order, at random distances, the last before its last tenth."""
    names = sorted(faults)
    random.shuffle(names)
    places = sorted(random.uniform(0.03, 0.9) for _ in names)
    return [Planned(place, name) for place, name in zip(places, names, strict=True)]
