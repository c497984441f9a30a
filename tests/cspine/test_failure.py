"""A failure as a value: alike failures have one fingerprint, and no foreign words are kept."""

import pytest

from cspine.errors import Contended, Permanent, ServiceFault
from cspine.failure import Failure, at_station, of_error, of_process
from cspine.reasons import Reason
from cspine.states import ErrorKind, Stage


def _divide(by: int) -> float:
    return 1 / by


def _wrapped(words: str) -> None:
    try:
        raise OSError(words)
    except OSError as error:
        raise Permanent("no such blob", Reason.BLOB_MISSING) from error


def failed(*arguments: str, stage: Stage = Stage.SCREEN, release: str | None = "7") -> Failure:
    with pytest.raises((ZeroDivisionError, Permanent)) as caught:
        _wrapped(*arguments) if arguments else _divide(0)
    return of_error(caught.value, stage, release)


def test_alike_failures_have_one_fingerprint() -> None:
    assert failed().fingerprint == failed().fingerprint
    assert len(failed().fingerprint) == 16
    different = {failed(), failed("x"), failed(stage=Stage.PREPARE), failed(release="8")}
    assert len({failure.fingerprint for failure in different}) == 4


def test_the_station_tells_failures_apart_where_it_is_known() -> None:
    base = failed()
    assert at_station(base, None) == base
    assert at_station(base, "XR1") == at_station(failed(), "XR1")
    prints = {base.fingerprint, at_station(base, "XR1").fingerprint, at_station(base, "XR2").fingerprint}
    assert {len(one) for one in prints} == {16}
    assert len(prints) == 3


def test_the_place_is_the_innermost_of_ours() -> None:
    assert failed().place == "tests/cspine/test_failure.py:_divide"


def test_the_words_of_a_foreign_library_are_not_kept() -> None:
    failure = failed("DOE^JANE 1970-01-01")
    assert failure.traceback is not None
    assert "DOE^JANE" not in failure.traceback
    assert "builtins.OSError" in failure.traceback
    assert "Permanent: blob_missing: no such blob" in failure.traceback
    assert failure.traceback.index("OSError") < failure.traceback.index("Permanent:"), "the cause comes first"


def test_kinds_follow_from_the_families_of_errors() -> None:
    assert of_error(ServiceFault(), Stage.SCREEN).service
    assert not of_error(Contended(), Stage.SCREEN).service
    assert of_error(Contended(), Stage.SCREEN).kind is ErrorKind.TRANSIENT
    assert of_error(ServiceFault(), Stage.SCREEN).kind is ErrorKind.TRANSIENT
    assert of_error(MemoryError(), Stage.SCREEN).reason is Reason.OUT_OF_MEMORY
    assert of_process(Reason.WORKER_CRASH, Stage.SCREEN).kind is ErrorKind.UNKNOWN
