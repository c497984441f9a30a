"""What becomes of a screening after an error: another try at a stated time, or the end. A pure function.

- An error that may pass by itself gets `max_tries` tries, the wait doubling from `retry_first_seconds` up to
  `retry_most_seconds`.
- A fault of broker, database or blob store counts as nobody's try. Its wait does not grow, so that work goes on soon
  after the service is back.
- A permanent error ends the screening at once.
- An error that nobody has named is most often a fault in our code, which the next run meets again, and now and then
  bad luck: it gets one more try, and ends the screening if it comes back.
"""

from dataclasses import dataclass
from datetime import timedelta

from cspine.failure import Failure
from cspine.settings import Settings
from cspine.states import ErrorKind, State

UNKNOWN_TRIES = 2
SERVICE_FACTOR = 2  # times retry_first_seconds
JITTER = 0.2  # a wait is stretched or shortened by at most this share


@dataclass(frozen=True)
class Decision:
    """The next state of a screening, and how many tries it has used up."""

    state: State  # waiting or failed
    tries: int
    wait: timedelta | None = None  # null where it has failed


def decide(failure: Failure, tries: int, settings: Settings, chance: float) -> Decision:
    """Decide from the failure, the tries used up before it, and a random number from 0 to 1 for the jitter."""
    if failure.service:
        return Decision(State.WAITING, tries, _wait(settings.retry_first_seconds * SERVICE_FACTOR, chance))
    if failure.kind is ErrorKind.PERMANENT:
        return Decision(State.FAILED, tries + 1)
    most = min(UNKNOWN_TRIES, settings.max_tries) if failure.kind is ErrorKind.UNKNOWN else settings.max_tries
    if tries + 1 >= most:
        return Decision(State.FAILED, tries + 1)
    seconds = min(settings.retry_first_seconds * 2**tries, settings.retry_most_seconds)
    return Decision(State.WAITING, tries + 1, _wait(seconds, chance))


def longest_wait(settings: Settings) -> timedelta:
    """Return the longest wait that `decide` gives; a stated time beyond it means that a clock was changed."""
    return _wait(max(settings.retry_most_seconds, settings.retry_first_seconds * SERVICE_FACTOR), 1.0)


def _wait(seconds: float, chance: float) -> timedelta:
    return timedelta(seconds=seconds * (1 + JITTER * (2 * chance - 1)))
