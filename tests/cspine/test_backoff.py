"""The retry decision is a pure function."""

from datetime import timedelta

import pytest

from cspine.backoff import decide, longest_wait
from cspine.errors import Permanent, Refused, Retriable, ServiceFault
from cspine.failure import of_error
from cspine.settings import Settings
from cspine.states import Stage, State

SETTINGS = Settings()
MIDDLE = 0.5  # no jitter


def test_waits_double_from_ten_seconds() -> None:
    failure = of_error(Retriable("later"), Stage.SCREEN)
    waits = [decide(failure, tries, SETTINGS, MIDDLE).wait for tries in range(SETTINGS.max_tries - 1)]
    assert waits == [timedelta(seconds=seconds) for seconds in (10, 20, 40, 80)]
    last = decide(failure, SETTINGS.max_tries - 1, SETTINGS, MIDDLE)
    assert (last.state, last.tries, last.wait) == (State.FAILED, SETTINGS.max_tries, None)


def test_no_wait_is_longer_than_ten_minutes_and_its_jitter() -> None:
    many = SETTINGS.model_copy(update={"max_tries": 50})
    waits = [decide(of_error(Retriable(), Stage.SCREEN), tries, many, 1.0).wait for tries in range(49)]
    assert max(wait for wait in waits if wait) == longest_wait(many) == timedelta(seconds=720)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 8), (0.5, 10), (1.0, 12)])
def test_jitter_stays_in_its_bounds(chance: float, seconds: float) -> None:
    assert decide(of_error(Retriable(), Stage.SCREEN), 0, SETTINGS, chance).wait == timedelta(seconds=seconds)


@pytest.mark.parametrize("tries", [0, 4, 100])
def test_a_fault_of_a_service_is_not_counted_and_its_wait_does_not_grow(tries: int) -> None:
    decision = decide(of_error(ServiceFault(), Stage.SCREEN), tries, SETTINGS, MIDDLE)
    assert (decision.state, decision.tries, decision.wait) == (State.WAITING, tries, timedelta(seconds=20))


@pytest.mark.parametrize("error", [Permanent(), Refused()])
def test_a_permanent_error_ends_at_once(error: Permanent) -> None:
    assert decide(of_error(error, Stage.PREPARE), 0, SETTINGS, MIDDLE).state is State.FAILED


def test_an_unnamed_error_gets_one_more_try() -> None:
    failure = of_error(ZeroDivisionError(), Stage.SCREEN)
    assert decide(failure, 0, SETTINGS, MIDDLE).state is State.WAITING
    assert decide(failure, 1, SETTINGS, MIDDLE).state is State.FAILED
