"""The pace of the workers, read from claims that are written down by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cspine.pace import SAMPLES, USUAL, Cost, Run, Sample, cost, strength
from cspine.states import Stage

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def runs(parent: str, children: int, *, begin: float = -600, end: float = 0, seconds: float = 2.0, gap: float = 0.0,
         size: int = 1) -> list[Run]:  # fmt: skip
    """Return the claims of a worker whose children work without a pause, in seconds before (negative) or after now."""
    found = []
    for child in range(children):
        at = begin + 0.1 * child
        while at + seconds <= end:
            began, ended = NOW + timedelta(seconds=at), NOW + timedelta(seconds=at + seconds)
            found.append(Run(f"{parent}-{child}-{at:.1f}", parent, f"{parent}:{child}", began, ended, size))
            at += seconds + gap
    return found


def test_as_many_work_at_once_as_there_are_children() -> None:
    measured = strength(runs("a", 3, size=4), {"a"}, NOW)
    assert measured is not None
    assert measured.children == pytest.approx(3)
    assert measured.claim_seconds == pytest.approx(2)
    assert measured.studies_per_minute == pytest.approx(3 * 4 * 30, rel=0.01)


def test_what_is_lost_between_two_claims_counts_and_want_of_work_does_not() -> None:
    lossy = strength(runs("a", 1, gap=0.5), {"a"}, NOW)
    idle = strength(runs("a", 1, gap=8.0), {"a"}, NOW)
    assert lossy is not None
    assert idle is not None
    assert lossy.children == pytest.approx(0.8, rel=0.01)
    assert idle.children == pytest.approx(1.0)


def test_a_worker_that_joins_counts_at_once_and_one_that_is_gone_no_more() -> None:
    joined = strength([*runs("a", 2), *runs("b", 2, begin=-20)], {"a", "b"}, NOW)
    left = strength([*runs("a", 2), *runs("b", 2, end=-20)], {"a"}, NOW)
    assert joined is not None
    assert left is not None
    assert joined.children == pytest.approx(4)
    assert left.children == pytest.approx(2)


def test_one_that_has_claimed_nothing_yet_is_taken_to_be_like_the_others() -> None:
    measured = strength(runs("a", 3), {"a", "b"}, NOW)
    assert measured is not None
    assert measured.children == pytest.approx(6)


def test_a_child_that_was_replaced_does_not_count_twice() -> None:
    later = [replace(run, child="a:new") for run in runs("a", 1, begin=-299)]
    measured = strength([*runs("a", 1, end=-300), *later], {"a"}, NOW)
    assert measured is not None
    assert measured.children == pytest.approx(1)


def test_the_pace_is_that_since_the_last_change_of_workers_once_a_minute_has_passed() -> None:
    def with_change(at: float) -> list[Run]:
        return [*runs("a", 2, end=at), *runs("a", 2, begin=at, seconds=4), *runs("b", 2, begin=at, seconds=4)]

    settled, too_early = (strength(with_change(at), {"a", "b"}, NOW) for at in (-120, -30))
    assert settled is not None
    assert too_early is not None
    assert settled.claim_seconds == pytest.approx(4)
    assert too_early.claim_seconds == pytest.approx(2)


def test_nothing_is_known_without_a_worker_or_before_the_first_claim_has_ended() -> None:
    assert strength(runs("a", 1), set(), NOW) is None
    assert strength([], {"a"}, NOW) is None
    assert strength([Run("c", "a", "a:1", NOW, None, 1)], {"a"}, NOW) is None


def test_an_idle_night_is_measured_by_the_last_claims_there_were() -> None:
    measured = strength(runs("a", 2, begin=-9000, end=-8000), {"a"}, NOW)
    assert measured is not None
    assert measured.children == pytest.approx(2)
    assert measured.studies_per_minute == 0


def test_an_hour_without_work_makes_the_workers_no_slower() -> None:
    measured = strength([*runs("a", 2, begin=-500, end=-480), *runs("a", 2, begin=-20)], {"a"}, NOW)
    assert measured is not None
    assert measured.studies_per_minute == pytest.approx(2 * 30, rel=0.1)


def test_no_more_claims_are_looked_up_than_are_needed() -> None:
    measured = strength(runs("a", 8, seconds=0.5), {"a"}, NOW)
    assert measured is not None
    assert SAMPLES / 2 < len(measured.measured) <= SAMPLES
    assert measured.measured[-1].began > NOW - timedelta(seconds=10)
    assert measured.measured[0].began < NOW - timedelta(seconds=590)


def sample(files: int, megabytes: float, seconds: float) -> Sample:
    return Sample(1, files, int(megabytes * 1e6), seconds)


def test_files_and_bytes_are_told_apart_where_studies_differ() -> None:
    true = Cost(0.2, 0.05)
    samples = [sample(files, size, true.of(files, size * 1e6)) for files in (1, 5, 20) for size in (0.5, 10, 100)] * 5
    fitted = cost(samples, USUAL[Stage.PREPARE])
    assert fitted.per_file == pytest.approx(true.per_file, rel=0.1)
    assert fitted.per_megabyte == pytest.approx(true.per_megabyte, rel=0.1)


@pytest.mark.parametrize("true", [Cost(0.5, 0.0), Cost(0.0, 0.1)])
def test_no_cost_is_negative(true: Cost) -> None:
    samples = [sample(files, size, true.of(files, size * 1e6)) for files in (1, 5, 20) for size in (0.5, 10, 100)]
    fitted = cost(samples, USUAL[Stage.PREPARE])
    assert fitted.per_file >= 0
    assert fitted.per_megabyte >= 0
    assert sum(fitted.of(one.files, one.bytes) for one in samples) == pytest.approx(sum(one.seconds for one in samples))


def test_studies_of_one_size_cost_in_the_usual_proportion() -> None:
    usual = USUAL[Stage.PREPARE]
    fitted = cost([sample(2, 10, 3.0)] * 20, usual)
    assert fitted.of(2, 10e6) == pytest.approx(3.0)
    assert fitted.per_file / fitted.per_megabyte == pytest.approx(usual.per_file / usual.per_megabyte)


def test_what_was_spent_for_nothing_is_part_of_the_price_and_a_hung_task_only_in_part() -> None:
    usual = USUAL[Stage.SCREEN]
    failing = cost([sample(1, 5, 1.0)] * 9 + [sample(0, 0, 1.0)], usual)
    hung = cost([sample(1, 5, 1.0)] * 99 + [sample(0, 0, 300.0)], usual)
    assert failing.per_file == pytest.approx(10 / 9)
    assert hung.per_file == pytest.approx((99 + 10) / 99)


def test_nothing_measured_leaves_the_usual_cost() -> None:
    assert cost([], USUAL[Stage.PREPARE]) == USUAL[Stage.PREPARE]
