"""A child that crashes, hangs or wants too much memory ends alone, and says nothing but corrupt."""

import ctypes
import faulthandler
import os
import resource
import time

import numpy as np
import pytest

from cspine.decoding.isolation import isolated
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings


def crash() -> None:
    """Read where nothing is, as a decoder with a bug does."""
    faulthandler.disable()
    ctypes.string_at(0)


def hang() -> None:
    """Never come back."""
    while True:
        time.sleep(1)


def grow(size: int) -> int:
    """Allocate and touch."""
    return int(np.ones(size, np.uint8).sum())


def limits() -> list[int]:
    """Tell the limits of this process."""
    return [resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_AS)[0], os.getpid()]


def test_an_answer_comes_back_from_another_process_under_limits(settings: Settings) -> None:
    core, memory, process = isolated(settings, limits).result()
    assert core == 0
    assert memory > settings.prepare_memory_bytes
    assert process != os.getpid()
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != memory


@pytest.mark.parametrize("fault", [crash, hang])
def test_a_crash_and_a_hang_are_corrupt(fault: object, settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        isolated(settings.model_copy(update={"prepare_seconds": 1}), fault).result()  # type: ignore[arg-type]
    assert refused.value.reason is Reason.CORRUPT


def test_the_memory_limit_is_on_what_comes_after_the_fork(settings: Settings) -> None:
    small = settings.model_copy(update={"prepare_memory_bytes": 64 * 2**20})
    assert isolated(small, grow, 16 * 2**20).result() == 16 * 2**20
    with pytest.raises(Refused) as refused:
        isolated(small, grow, 256 * 2**20).result()
    assert refused.value.reason is Reason.CORRUPT
