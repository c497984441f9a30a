"""Failures in groups, by a filter, with their trend, their history and what has changed since."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from cspine import __version__
from cspine.database import Database, now
from cspine.errors import Usage
from cspine.records import failures, filters, history, selections, trends
from cspine.records.filters import Filter
from cspine.records.selections import Selection
from cspine.states import Disposition, State
from cspine.tables import Attempt, Screening, Study
from tests.cspine.records import crowd, makers

pytestmark = pytest.mark.services


def of(session: Session, study: Study) -> Screening:
    return session.query(Screening).where(Screening.study_id == study.id).one()


def fail(session: Session, study: Study, ago: timedelta, **values: object) -> Attempt:
    """Write down a failed attempt that ended so long ago."""
    ended = now(session) - ago
    return makers.attempt(session, of(session, study), **{
        "outcome": "failed", "reason": "internal_error", "error_kind": "unknown", "fingerprint": "f1",
        "started_at": ended - timedelta(seconds=2), "ended_at": ended, "place": "worker/screen.py:run",
        "traceback": "ZeroDivisionError", "software": __version__} | values)  # fmt: skip


def test_groups_with_their_numbers(database: Database) -> None:
    with database.write() as session:
        night, model = makers.batch(session), makers.release(session)
        one, two = crowd.failed(session, night, 2, station="XR1")
        (three,) = crowd.failed(session, night, fingerprint="f2", state=State.QUARANTINED, station="XR2")
        crowd.failed(session, night, state=State.CANCELLED)
        makers.study(session, night, State.DONE)
        first = fail(session, one, timedelta(days=3000), release_id=model.id)
        last = fail(session, two, timedelta(minutes=1), release_id=model.id)
        of(session, two).changed_at = last.ended_at or now(session)
        session.flush()
        groups = failures.groups(session)
        assert [(group.fingerprint, group.count, group.failed, group.quarantined) for group in groups] == [
            ("f1", 2, 2, 0), ("f2", 1, 0, 1),
        ]  # fmt: skip
        group = groups[0]
        assert list(group.studies) == [two.id, one.id]
        assert (group.release, group.station, group.stage, group.kind) == ("demo 1", "XR1", "prepare", "unknown")
        assert (group.first_seen, group.last_seen) == (first.ended_at, last.ended_at)
        assert (group.place, group.traceback) == ("worker/screen.py:run", "ZeroDivisionError")
        assert group.sentence.startswith("An error inside cspine")
        assert (group.trend.last_hour, group.trend.last_week, groups[1].trend.last_week) == (1, 1, 0)
        assert failures.totals(session) == failures.Totals(studies=3, groups=2)
        assert failures.totals(session, Filter(station="XR2")) == failures.Totals(1, 1)
        found = failures.members(session, limit=2)
        assert [(row.study_id, row.name) for row in found] == [(one.id, "a.png"), (two.id, "a.png")]
        assert [row.study_id for row in failures.members(session, after=found[-1].screening_id)] == [three.id]


def test_bars_grow_with_age_and_add_up(database: Database) -> None:
    ages = [timedelta(0), timedelta(minutes=7), timedelta(hours=1, minutes=30), timedelta(hours=23, minutes=30),
            timedelta(hours=30), timedelta(days=6, hours=23), timedelta(days=8), timedelta(hours=-1)]  # fmt: skip
    with database.write() as session:
        (study,) = crowd.failed(session, makers.batch(session))
        for age in ages:
            fail(session, study, age)
        shadow = makers.study(session, makers.batch(session, "other"), State.FAILED)
        of(session, shadow).shadow = True
        fail(session, shadow, timedelta(minutes=1))
        session.flush()
        trend = trends.of(session, ["f1", "f2"])["f1"]
    assert (trend.hour[-1], trend.hour[-2], sum(trend.hour)) == (2, 1, 3), "one of the future counts as now"
    assert (trend.day[-1], trend.day[-2], trend.day[0], sum(trend.day)) == (3, 1, 1, 5)
    assert (trend.week[-1], trend.week[-2], trend.week[0], sum(trend.week)) == (5, 1, 1, 7)
    assert (len(trend.hour), len(trend.day), len(trend.week)) == (12, 24, 7)


def test_each_field_of_a_filter_narrows(database: Database) -> None:
    with database.write() as session:
        night, other, model = makers.batch(session), makers.batch(session, "other"), makers.release(session)
        (one,) = crowd.failed(session, night, station="XR1")
        (two,) = crowd.failed(session, other, fingerprint="f2", state=State.QUARANTINED, reason="poison")
        first, second = of(session, one), of(session, two)
        first.release_id, first.stage, second.error_kind = model.id, "screen", "transient"
        second.changed_at = now(session)
        session.flush()
        own = {"fingerprint": "f1", "reason": "internal_error", "kind": "unknown", "stage": "screen",
               "release": model.identity[:8], "station": "XR1", "batch": night.id, "state": "failed"}  # fmt: skip
        for name, value in own.items():
            chosen = Filter.of({name: value, "page": "2", "kind" if name != "kind" else "stage": ""})
            assert [row.study_id for row in failures.members(session, chosen)] == [one.id], name
            assert [group.count for group in failures.groups(session, chosen)] == [1], name
        for chosen in (Filter.of({"release": "none"}), Filter.of({"since": "1h"})):
            assert [row.study_id for row in failures.members(session, chosen)] == [two.id]
        choices = filters.choices(session)
        assert (choices.reasons, choices.kinds) == (["internal_error", "poison"], ["transient", "unknown"])
        assert (choices.stages, choices.stations) == (["prepare", "screen"], ["XR1"])
        assert choices.releases == [(model.identity, "demo 1")]
        assert {name for _, name in choices.batches} == {"night", "other"}


def test_a_filter_is_read_as_it_was_written() -> None:
    chosen = Filter(reason="corrupt", since=datetime(2026, 3, 1, 22, tzinfo=UTC))
    assert Filter.of(chosen.as_dict()) == chosen
    assert not chosen.empty
    assert Filter.of({"since": "2026-03-01T22:00"}) == Filter(since=chosen.since)
    assert Filter.of({}).empty
    for bad in ({"kind": "odd"}, {"state": "done"}, {"stage": "x"}, {"since": "yesterday"},
                {"since": "0001-01-01T00:00+14:00"}, {"since": "9999-12-31T23:59-12:00"}):  # fmt: skip
        with pytest.raises(Usage):
            Filter.of(bad)


def test_selections(database: Database) -> None:
    for ways in ({}, {"everything": True, "batch": "x"}):
        with pytest.raises(Usage):
            Selection(**ways)  # type: ignore[arg-type]
    chosen = [Selection(fingerprint="f1"), Selection(batch="b", canary=True),
              Selection(chosen=Filter(reason="poison")), Selection(everything=True)]  # fmt: skip
    for selection in chosen:
        assert Selection.of(selection.as_dict()) == selection
    assert [one.with_canary for one in chosen] == [True, True, True, False]
    assert not Selection(studies=("a",), canary=True).with_canary
    with database.write() as session:
        night = makers.batch(session)
        said = [selections.words(session, one.as_dict()) for one in (
            Selection(studies=("a",)), Selection(studies=("a", "b")), Selection(batch=night.id), *chosen,
            Selection(chosen=Filter(batch=night.id, state="failed")))]  # fmt: skip
    assert said == [
        "1 chosen study", "2 chosen studies", "everything of batch night that was given up", "all of group f1",
        "everything of batch None that was given up", "everything given up with reason poison",
        "everything that was given up", "everything given up with state failed, batch night",
    ]  # fmt: skip


def test_a_report_laid_beside_a_study_gives_its_batch_no_say(database: Database) -> None:
    with database.write() as session:
        night, later = makers.batch(session), makers.batch(session, "reports")
        (study,) = crowd.failed(session, night)
        makers.file(session, later, study, disposition=Disposition.NOT_AN_IMAGE, blob_key=None)
        assert failures.members(session, Filter(batch=later.id)) == []
        assert [row.study_id for row in failures.members(session, Filter(batch=night.id))] == [study.id]


def test_history_says_what_has_changed_since(database: Database) -> None:
    with database.write() as session:
        (study,) = crowd.failed(session, makers.batch(session))
        old = makers.release(session, active=False)
        fail(session, study, timedelta(hours=2), release_id=old.id, software="0.0.9")
        fail(session, study, timedelta(hours=1))
        makers.attempt(session, of(session, study), outcome="running", ended_at=None, reason=None)
        without_release = history.history(session, of(session, study).id)[0]
        assert without_release.changed == (f"cspine 0.0.9 -> {__version__}",)
        new = makers.release(session, version="2")
        first, second, third = history.history(session, of(session, study).id)
        assert first.changed == ("release demo 1 -> demo 2", f"cspine 0.0.9 -> {__version__}")
        assert (first.release, first.seconds, second.release, second.changed) == ("demo 1", 2.0, None, ())
        assert first.sentence is not None
        assert (third.seconds, third.sentence) == (None, None)
        new.version = "1"
        session.flush()
        (words, _) = history.history(session, of(session, study).id)[0].changed
        assert words == f"release demo 1 -> demo 1 ({old.identity[:8]} -> {new.identity[:8]})"
        assert failures.groups(session)[0].changed == ()
