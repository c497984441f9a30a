"""The forecast as a pure function: queues that can be worked out by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from cspine.forecast import Backlog, Forecast, Openings, Piece, Situation, Why, end, shares
from cspine.records.forecasts import openings
from cspine.settings import Settings
from cspine.states import Lane, Stage

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
U, N, O = Lane.URGENT, Lane.NORMAL, Lane.OVERNIGHT  # noqa: E741
ALWAYS: Openings = lambda _moment: (tuple(Lane), None)  # noqa: E731
PREPARE, SCREEN = Stage.PREPARE, Stage.SCREEN


def seconds(situation: Situation, when: Openings = ALWAYS) -> float:
    done = end(situation, when)
    assert done is not None
    return (done - NOW).total_seconds()


def queue(**values: object) -> Situation:
    return Situation(**{"moment": NOW, "strength": {PREPARE: 4.0, SCREEN: 1.0}} | values)  # type: ignore[arg-type]


def test_work_is_divided_by_strength() -> None:
    assert seconds(queue(backlog={(PREPARE, N): Backlog(4000)})) == pytest.approx(1000, rel=0.01)
    assert seconds(queue(backlog={(SCREEN, N): Backlog(1000)})) == pytest.approx(1000, rel=0.01)


def test_the_slower_stage_decides_and_what_is_prepared_flows_on() -> None:
    backlog = {(PREPARE, N): Backlog(4000)}
    assert seconds(queue(backlog=backlog, onward={N: 0.1})) == pytest.approx(1000, rel=0.01)
    assert seconds(queue(backlog=backlog, onward={N: 0.5})) == pytest.approx(2000, rel=0.01)


def test_what_lies_behind_the_batch_in_its_lane_does_not_hold_it_up() -> None:
    assert seconds(queue(backlog={(PREPARE, N): Backlog(4000, behind=99_999)})) == pytest.approx(1000, rel=0.01)


def test_a_lane_beside_takes_its_turns_until_it_is_empty() -> None:
    # normal has two turns in ten and those of urgent, which is empty: overnight has one in ten until it is alone
    beside = {(PREPARE, O): Backlog(1000), (PREPARE, N): Backlog(behind=3600)}
    assert seconds(queue(backlog=beside)) == pytest.approx(1150, rel=0.01)


def test_the_turns_of_lanes() -> None:
    assert shares(10, {U: 99.0, N: 99.0, O: 99.0}) == {U: 7, N: 2, O: 1}
    assert shares(10, {N: 99.0, O: 99.0}) == {N: 9, O: 1}
    assert shares(10, {U: 3.0, N: 99.0, O: 99.0}) == {U: 3, N: 6, O: 1}
    assert shares(10, {U: 3.0, N: 1.0, O: 2.0}) == {U: 3, N: 1, O: 2}
    assert shares(10, {}) == {}


def test_a_stream_into_another_lane_takes_of_the_strength() -> None:
    stream = queue(backlog={(PREPARE, O): Backlog(3000)}, arrivals={U: 1.0})
    assert seconds(stream) == pytest.approx(1000, rel=0.02)


def test_a_window_that_closes_interrupts_and_one_that_is_closed_is_waited_for() -> None:
    settings = Settings(overnight_window="22:00-06:00", site_timezone="Europe/Vienna")
    long = queue(backlog={(PREPARE, O): Backlog(4 * 3600 * 5)})  # five hours, and three are left of the window
    assert seconds(long, openings(settings, ())) == pytest.approx((3 + 16 + 2) * 3600, rel=0.01)
    noon = queue(moment=NOW + timedelta(hours=9), backlog={(PREPARE, O): Backlog(400)})
    assert end(noon, openings(settings, ())) == pytest.approx(NOW + timedelta(hours=19), abs=timedelta(minutes=3))


def test_the_window_is_an_hour_shorter_when_the_clock_is_set_forward() -> None:
    settings = Settings(overnight_window="22:00-06:00", site_timezone="Europe/Vienna")
    evening = datetime(2026, 3, 28, 21, 0, tzinfo=UTC)
    night = Situation(evening, {PREPARE: 4.0, SCREEN: 1.0}, {(PREPARE, O): Backlog(4 * 3600 * 8)})
    done = end(night, openings(settings, ()))
    assert done == pytest.approx(datetime(2026, 3, 29, 21, 0, tzinfo=UTC), abs=timedelta(minutes=4))


def test_an_end_beyond_a_week_is_none() -> None:
    assert end(queue(backlog={(PREPARE, N): Backlog(4 * 8 * 86_400)}), ALWAYS) is None
    assert end(queue(backlog={(PREPARE, N): Backlog(4)}, strength={PREPARE: 0.0, SCREEN: 1.0}), ALWAYS) is None
    never: Openings = lambda moment: ((), moment + timedelta(days=1))  # noqa: E731
    assert end(queue(backlog={(PREPARE, N): Backlog(4)}), never) is None


def test_one_large_study_at_the_end_is_waited_for() -> None:
    last = queue(backlog={(PREPARE, N): Backlog(4000)}, pieces=[Piece(400.0)])
    assert seconds(last) == pytest.approx(1000 + 300, rel=0.01)
    earlier = queue(backlog={(PREPARE, N): Backlog(4000)}, pieces=[Piece(400.0, after=1600)])
    assert seconds(earlier) == pytest.approx(1000, rel=0.01)
    taken = queue(backlog={(PREPARE, N): Backlog(40)}, pieces=[Piece(400.0, since=NOW - timedelta(seconds=100))])
    assert seconds(taken) == pytest.approx(300, rel=0.01)


def test_those_that_wait_for_another_try_are_waited_for() -> None:
    later = NOW + timedelta(minutes=10)
    assert end(queue(backlog={(PREPARE, N): Backlog(4)}, not_before=later), ALWAYS) == later


def test_the_queue_is_not_changed_by_looking_at_it() -> None:
    lot = Backlog(4000, behind=7)
    assert seconds(queue(backlog={(PREPARE, N): lot})) == seconds(queue(backlog={(PREPARE, N): lot}))
    assert lot == Backlog(4000, behind=7)


def told(ends: timedelta | None, deadline: timedelta | None, why: Why | None = None, waiting: int = 9) -> Forecast:
    return Forecast(NOW, waiting, NOW + ends if ends is not None else None, why, 12.0,
                    NOW + deadline if deadline is not None else None)  # fmt: skip


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("one", "late", "words"),
    [
        (told(HOUR, None), False, "9 studies are left; done by 04:00."),
        (told(HOUR, 2 * HOUR), False, "9 studies are left; done by 04:00. The deadline is 05:00."),
        (told(2 * HOUR, HOUR), True, "9 studies are left; done by 05:00. The deadline, 04:00, will be missed."),
        (told(30 * HOUR, -HOUR), True, "9 studies are left; done by 2026-03-02 09:00. The deadline was 02:00."),
        (told(None, HOUR, Why.PAUSED), True, f"{Why.PAUSED.words} The deadline, 04:00, will be missed."),
        (told(None, HOUR, Why.NO_WORKER), True, f"{Why.NO_WORKER.words} The deadline, 04:00, will be missed."),
        (told(None, HOUR, Why.NOT_MEASURED), False, f"{Why.NOT_MEASURED.words} The deadline is 04:00."),
        (told(None, -HOUR, Why.NOT_MEASURED), True, f"{Why.NOT_MEASURED.words} The deadline was 02:00."),
        (told(None, -HOUR, Why.DONE, 0), False, Why.DONE.words),
    ],
)
def test_lateness_and_its_words(one: Forecast, late: bool, words: str) -> None:
    assert (one.late, one.sentence("Europe/Vienna")) == (late, words)


def test_one_study_is_no_plural() -> None:
    assert told(HOUR, None, waiting=1).sentence("UTC") == "1 study is left; done by 03:00."


def test_the_json_has_times_in_utc() -> None:
    assert told(HOUR, 2 * HOUR).as_dict() == {
        "made_at": "2026-03-01T02:00:00+00:00", "waiting": 9, "ends_at": "2026-03-01T03:00:00+00:00", "why": None,
        "per_minute": 12.0, "deadline": "2026-03-01T04:00:00+00:00", "late": False,
    }  # fmt: skip
