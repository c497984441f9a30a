"""The canary: a few studies of a group are tried first, and the rest follows only if they succeed. Pure functions.

A group is what failed alike (one fingerprint), so that two bugs never stop each other's canary, whatever reason they
share. A canary is judged by what became of its studies, however that came about: one that a person cancelled says
nothing, and another takes its place; one that failed says no, whoever sent it. A canary that does not end in time is
stopped, so that nothing waits for ever.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

ALL_AT_ONCE = 3  # a group of so few is its own canary
LARGE = 100  # from so many on a third study is tried
MIDDLE = 10
LONGEST = timedelta(hours=48)  # longer than a lane's window may be closed over a weekend's day and two nights


class Move(StrEnum):
    """What is done next."""

    SEND = "send"  # so many more are tried first
    WAIT = "wait"
    RELEASE = "release"  # the rest follows
    STOP = "stop"  # the rest stays as it is


@dataclass(frozen=True)
class Standing:
    """How a group's canary stands."""

    planned: int  # how many are to be tried first
    held: int  # studies that wait for it
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    overtaken: int = 0  # cancelled, or moved by somebody before they ended
    reason: str = ""  # why the first one failed, a sentence
    age: timedelta = timedelta()  # since it was confirmed


@dataclass(frozen=True)
class Decision:
    """The move, how many it sends, and what is said of it."""

    move: Move
    count: int = 0
    words: str = ""


def size(members: int, *, quarantined: bool = False) -> int:
    """Return how many of a group are tried first; 0: so few that all are.

    A quarantined study may kill its worker several times before it is given up again, therefore one is enough.
    """
    if members <= ALL_AT_ONCE:
        return 1 if quarantined and members > 1 else 0
    if quarantined or members <= MIDDLE:
        return 1
    return 2 if members <= LARGE else ALL_AT_ONCE


def decide(now: Standing) -> Decision:
    """Decide what follows from how a canary stands."""
    tried = now.running + now.succeeded + now.failed
    if now.failed:
        again = f"{now.failed} of {tried} tried first failed again"
        return Decision(Move.STOP, words=f"{again}: {now.reason} {_stay(now.held)}")
    if now.running:
        if now.age > LONGEST:
            return Decision(Move.STOP, words=f"What was tried first had not ended after {_hours()}. {_stay(now.held)}")
        return Decision(Move.WAIT)
    if now.succeeded or not now.planned:
        return Decision(Move.RELEASE)
    if now.held:
        return Decision(Move.SEND, min(now.planned, now.held))
    return Decision(Move.RELEASE)


def _stay(held: int) -> str:
    if held == 1:
        return "The other one stays as it is."
    return f"The other {held} stay as they are." if held else "No other was waiting."


def _hours() -> str:
    return f"{LONGEST.total_seconds() / 3600:.0f} hours"
