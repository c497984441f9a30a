"""The table of states: what may follow what."""

from cspine.states import ENDED, IN_WORK, RETRIABLE, TRANSITIONS, State, sources


def test_every_state_has_a_row_and_is_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {target for targets in TRANSITIONS.values() for target in targets} == set(State)


def test_every_state_is_in_work_or_ended_and_not_both() -> None:
    assert set(State) == IN_WORK | ENDED
    assert not IN_WORK & ENDED


def test_a_person_may_retry_what_has_no_answer_and_cancel_all_but_done() -> None:
    assert sources(State.RECEIVED) >= RETRIABLE
    assert sources(State.CANCELLED) == set(State) - {State.DONE, State.CANCELLED}


def test_done_is_left_only_for_a_further_file() -> None:
    assert TRANSITIONS[State.DONE] == {State.RECEIVED}
