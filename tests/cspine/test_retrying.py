"""Retries in bulk, from the preview to the end: frozen, confirmed once, tried by a canary, never left hanging."""

import threading
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine import canary
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import Usage
from cspine.queue import MOST_BELLS
from cspine.records import bulk as views
from cspine.records import screenings, sweep
from cspine.records.filters import Filter
from cspine.records.selections import Selection
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Audit, Bulk, BulkMember, ReceivedFile, Release, Screening, Study
from tests.cspine.records import crowd, makers
from tests.cspine.retries import Retries, spy_on_restarts

pytestmark = pytest.mark.services


@pytest.fixture
def own(settings: Settings, database: Database, blobs: BlobStore) -> Retries:
    return Retries(settings, database, blobs)


def test_a_preview_changes_nothing_and_says_what_would_be(own: Retries) -> None:
    studies = own.failed(12)
    with own.database.write() as session:
        session.execute(update(ReceivedFile).where(ReceivedFile.study_id == studies[0].id).values(blob_key=None))
        session.execute(update(ReceivedFile).where(ReceivedFile.study_id == studies[1].id).values(blob_key="aa/gone"))
    seen = own.view(own.preview())
    assert (seen.state, seen.selected, seen.held, seen.skipped, seen.canary) == ("previewed", 12, 10, 2, 2)
    assert [(skip.reason, skip.count) for skip in seen.skips] == [("blob_missing", 2)]
    assert (seen.files, seen.looked, seen.gone, seen.answered) == (11, 11, 1, 0)
    assert (seen.words, seen.release) == ("all of group f1", "demo 1")
    assert seen.expected is not None
    assert set(crowd.states(own.database, studies)) == {State.FAILED}
    assert own.rings == []


def test_what_the_release_has_answered_is_counted(own: Retries) -> None:
    answered, half, fresh = own.failed(3)
    with own.database.write() as session:
        model = session.scalars(select(Release)).one()
        for study, pictures, answers in ((answered, 2, 2), (half, 2, 1), (fresh, 1, 0)):
            file = session.scalars(select(ReceivedFile).where(ReceivedFile.study_id == study.id)).one()
            file.decoded = True
            attempt = makers.attempt(session, screenings.shown(session, study.id))  # type: ignore[arg-type]
            for frame in range(pictures):
                image = makers.image(session, study, file, frame, canonical_key=own.key)
                if frame < answers:
                    makers.result(session, image, attempt, model, "normal", 0.9)
    seen = own.view(own.preview())
    assert (seen.answered, seen.held, seen.files) == (1, 3, 5)


def test_the_canary_runs_first_and_the_rest_follows_by_itself(own: Retries) -> None:
    studies = own.failed(120)
    bulk_id = own.begin()
    assert (len(own.rings), crowd.members(own.database, bulk_id)) == (3, {"canary": 3, "held": 117})
    assert own.step() == []
    for id_ in crowd.waiting(own.database):
        own.end(id_)
    assert len(own.step()) == MOST_BELLS, "bells wake, they do not count"
    assert crowd.members(own.database, bulk_id) == {"canary": 3, "sent": 117}
    seen = own.view(bulk_id)
    assert (seen.state, seen.outcome, seen.held, seen.sent) == ("done", None, 0, 120)
    assert seen.progress == {"done": 3, "waiting": 117}
    assert {one.verdict for one in seen.canaries} == {"succeeded"}
    assert seen.ended_at is not None
    assert State.FAILED not in crowd.states(own.database, studies)


def test_one_failure_stops_it_after_one_run_each(own: Retries) -> None:
    studies = own.failed(120)
    bulk_id = own.begin()
    first, *others = crowd.waiting(own.database)
    own.end(first, fails=True)
    assert own.step() == []
    seen = own.view(bulk_id)
    assert (seen.state, seen.held, seen.sent) == ("stopped", 117, 3)
    assert seen.outcome is not None
    assert seen.outcome.startswith("1 of 3 tried first failed again: An error inside cspine")
    for id_ in others:
        own.end(id_, fails=True)
    assert own.step() == []
    assert crowd.waiting(own.database) == [], "no second try of an unnamed error"
    assert set(crowd.states(own.database, studies)) == {State.FAILED}
    again = own.begin()
    for id_ in crowd.waiting(own.database):
        own.end(id_)
    own.step()
    assert own.view(again).state == "done"


def test_a_second_confirmation_does_nothing(own: Retries) -> None:
    own.failed(2)
    bulk_id = own.begin()
    again = own.confirm(bulk_id, "bob")
    assert (again.first, again.view.confirmed_by, again.view.sent, len(own.rings)) == (False, "ana", 2, 2)
    with own.database.read() as session:
        assert [row.action for row in session.scalars(select(Audit))] == ["retry"]
    with pytest.raises(Usage):
        own.confirm("no-such-preview")


def test_two_people_at_once_make_one_attempt(own: Retries) -> None:
    studies = own.failed(3)
    previews = [own.preview(actor=actor) for actor in ("ana", "bob")]
    both = threading.Barrier(2)
    views_: list[views.BulkView] = []

    def confirm(bulk_id: str, actor: str) -> None:
        both.wait()
        views_.append(own.confirm(bulk_id, actor).view)

    threads = [threading.Thread(target=partial(confirm, one, who)) for one, who in zip(previews, "ab", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((one.sent, one.skipped) for one in views_) == [(0, 3), (3, 0)]
    assert len(own.rings) == 3
    assert set(crowd.states(own.database, studies)) == {State.RECEIVED}


def test_a_group_has_one_canary_at_a_time(own: Retries) -> None:
    own.failed(120)
    first = own.begin()
    second = own.begin()
    seen = own.view(second)
    assert (seen.state, seen.sent, [(skip.reason, skip.count) for skip in seen.skips]) == (
        "done", 0, [("canary_running", 117)])  # fmt: skip
    assert own.view(first).running == 3


def test_two_bugs_under_one_reason_do_not_stop_each_other(own: Retries) -> None:
    mine, others = own.failed(8), own.failed(8, fingerprint="f2")
    bulk_id = own.begin(Selection(chosen=Filter(reason="internal_error")))
    by_study = {crowd.screening_of(own.database, study).id: study for study in (*mine, *others)}
    assert crowd.members(own.database, bulk_id) == {"canary": 2, "held": 14}
    for id_ in crowd.waiting(own.database):
        own.end(id_, fails=by_study[id_] in others)
    own.step()
    seen = own.view(bulk_id)
    assert (seen.state, seen.held, seen.sent) == ("stopped", 7, 9)
    assert seen.outcome is not None
    assert seen.outcome.startswith("Group f2: 1 of 1 tried first failed again")
    assert State.FAILED not in crowd.states(own.database, mine)
    assert set(crowd.states(own.database, others)) == {State.FAILED}


def test_a_canary_whose_studies_are_overtaken_still_ends(own: Retries) -> None:
    studies = own.failed(20)
    bulk_id = own.begin()
    first, second = crowd.waiting(own.database)
    with own.database.write() as session:
        screenings.cancel(session, [first, second], "cancelled")
    assert len(own.step()) == 2, "two others take their place"
    third, fourth = crowd.waiting(own.database)
    with own.database.write() as session:  # a further file of the one, somebody's discard of the other
        study = session.get_one(Study, session.get_one(Screening, third).study_id)
        screenings.begin(session, study, "urgent")
        screenings.cancel(session, [fourth], "cancelled")
    assert own.step() == []
    own.end(third)
    own.step()
    assert own.view(bulk_id).state == "done"
    assert crowd.states(own.database, studies).count(State.RECEIVED) == 16


def test_a_canary_that_failed_and_was_sent_again_by_somebody_has_failed(own: Retries) -> None:
    own.failed(5)
    bulk_id = own.begin()
    (only,) = crowd.waiting(own.database)
    own.end(only, fails=True)
    with own.database.write() as session:
        assert screenings.restart(session, only)
    own.step()
    assert own.view(bulk_id).state == "stopped"


def test_a_canary_ends_in_time_whatever_happens(own: Retries) -> None:
    own.failed(5)
    bulk_id = own.begin()
    assert own.view(bulk_id).state == "canary"
    with own.database.write() as session:
        moved = own.view(bulk_id).confirmed_at
        assert moved
        long_ago = moved - canary.LONGEST - timedelta(minutes=1)
        session.execute(update(Bulk).where(Bulk.id == bulk_id).values(confirmed_at=long_ago))
    own.step()
    assert own.view(bulk_id).state == "stopped"


def test_members_that_have_moved_since_are_left_alone(own: Retries) -> None:
    studies = own.failed(3)
    bulk_id = own.preview()
    with own.database.write() as session:
        first, second = (screenings.shown(session, study.id) for study in studies[:2])
        assert first
        assert second
        assert screenings.restart(session, first.id)  # somebody tried it again, and it failed again since
        session.execute(update(Screening).where(Screening.id == first.id).values(state="failed", fingerprint="f1"))
        screenings.cancel(session, [second.id], "cancelled")
    seen = own.confirm(bulk_id).view
    assert (seen.sent, [(skip.reason, skip.count) for skip in seen.skips]) == (1, [("state_changed", 2)])


def test_named_studies_say_why_they_are_left_out(own: Retries) -> None:
    (study,) = own.failed(1, state=State.CANCELLED)
    with own.database.write() as session:
        done = makers.study(session, own.batch, State.DONE)
    seen = own.view(own.begin(Selection(studies=(study.id, done.id, "nobody", study.id))))
    assert (seen.selected, seen.sent, seen.skipped) == (3, 1, 2)
    assert seen.skipped_studies == ((done.id, "is_done"), ("nobody", "unknown_study"))
    assert seen.selection.studies == (study.id, done.id, "nobody")


def test_a_quarantined_group_is_tried_by_one_alone(own: Retries) -> None:
    studies = own.failed(3, state=State.QUARANTINED, reason="poison")
    own.begin()
    (only,) = crowd.waiting(own.database)
    assert crowd.states(own.database, studies).count(State.QUARANTINED) == 2
    with own.database.read() as session:
        assert session.get_one(Screening, only).group_id is not None


def test_urgent_studies_are_the_canary(own: Retries) -> None:
    own.failed(5, lane="overnight")
    (urgent,) = own.failed(1, lane="urgent")
    own.begin()
    assert crowd.waiting(own.database) == [crowd.screening_of(own.database, urgent).id]


def test_a_large_selection_is_sent_in_chunks_that_the_sweep_goes_on_with(
    own: Retries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cspine.records.bulk_moves.CHUNK", 4)
    own.failed(10)
    bulk_id = own.begin(Selection(everything=True))
    assert (own.view(bulk_id).state, crowd.members(own.database, bulk_id)) == ("released", {"free": 6, "sent": 4})
    own.step()
    assert (own.view(bulk_id).state, crowd.members(own.database, bulk_id)) == ("done", {"sent": 10})


def test_two_sweeps_at_once_send_each_once(own: Retries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cspine.records.bulk_moves.CHUNK", 2)
    own.failed(30)
    bulk_id = own.begin(Selection(everything=True))
    moved = spy_on_restarts(monkeypatch)
    threads = [threading.Thread(target=own.step) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own.step()  # the one that ends it may have looked when another held it
    assert (own.view(bulk_id).state, len(moved), len(set(moved))) == ("done", 28, 28)


def test_discard_keeps_its_reason_and_spares_what_is_in_work_again(own: Retries) -> None:
    studies = own.failed(3)
    bulk_id = own.preview(action="discard", reason="sent twice")
    with own.database.write() as session:
        first = screenings.shown(session, studies[0].id)
        assert first
        assert screenings.restart(session, first.id)
    seen = own.confirm(bulk_id).view
    assert (seen.state, seen.sent, seen.skipped, seen.reason) == ("done", 2, 1, "sent twice")
    assert crowd.states(own.database, studies) == [State.RECEIVED, State.CANCELLED, State.CANCELLED]
    with own.database.read() as session:
        kept = session.scalars(select(Audit).where(Audit.action == "discard")).one()
        assert (kept.actor, kept.subject, (kept.detail or {})["reason"]) == ("ana", bulk_id, "sent twice")


@pytest.mark.parametrize("fingerprint", ["f1", None])
def test_what_was_in_work_when_it_was_chosen_is_discarded_wherever_it_stands(
    own: Retries, fingerprint: str | None
) -> None:
    """Between two tries it has the fingerprint of the first, and is in work all the same."""
    (study,) = own.failed(1, state=State.WAITING)
    with own.database.write() as session:
        session.execute(update(Screening).values(next_try_at=makers.NIGHT, fingerprint=fingerprint))
    bulk_id = own.preview(Selection(studies=(study.id,)), action="discard", reason="a test card")
    with own.database.write() as session:
        assert sweep.due(session, own.settings), "its next try comes while the preview is read"
    seen = own.confirm(bulk_id).view
    assert (seen.sent, seen.skipped) == (1, 0)
    assert crowd.states(own.database, [study]) == [State.CANCELLED]


def test_a_page_stands_while_the_sweep_sends_the_last(own: Retries, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL shows to the next question what was committed since the one before."""
    own.failed(2)
    bulk_id = own.preview()
    count = views._by_state

    def then_sent(session: Session, bulk_id: str) -> dict[str, int]:
        found = count(session, bulk_id)
        session.execute(update(BulkMember).values(state="sent"))
        return found

    monkeypatch.setattr(views, "_by_state", then_sent)
    assert own.view(bulk_id).held == 2


def test_an_old_preview_is_removed(own: Retries) -> None:
    own.failed(2)
    bulk_id = own.preview()
    own.step()
    assert own.view(bulk_id).state == "previewed"
    with own.database.write() as session:
        session.execute(update(Bulk).values(created_at=crowd.moment(own.database) - timedelta(hours=25)))
    own.step()
    with own.database.read() as session:
        assert views.view(session, bulk_id, own.settings) is None
