"""The canary's decision: how many go first, and what follows from what became of them."""

from datetime import timedelta

import pytest

from cspine.canary import LONGEST, Move, Standing, decide, size


@pytest.mark.parametrize(
    ("members", "quarantined", "first"),
    [(1, False, 0), (3, False, 0), (4, False, 1), (10, False, 1), (11, False, 2), (100, False, 2), (101, False, 3),
     (100_000, False, 3), (1, True, 0), (2, True, 1), (100_000, True, 1)],
)  # fmt: skip
def test_at_most_three_are_tried_first(members: int, quarantined: bool, first: int) -> None:
    assert size(members, quarantined=quarantined) == first


def test_it_begins_with_the_planned_ones_or_with_as_many_as_there_are() -> None:
    assert decide(Standing(planned=3, held=1000)).count == 3
    assert decide(Standing(planned=3, held=2)).count == 2


@pytest.mark.parametrize(
    ("standing", "move"),
    [
        (Standing(3, 997, running=1, succeeded=2), Move.WAIT),
        (Standing(3, 997, succeeded=3), Move.RELEASE),
        (Standing(3, 997, running=2, failed=1), Move.STOP),  # the others end by themselves, and change nothing
        (Standing(3, 997, succeeded=2, failed=1), Move.STOP),
        (Standing(3, 997, succeeded=1, overtaken=2), Move.RELEASE),  # those that ran have succeeded
        (Standing(3, 997, running=1, overtaken=2), Move.WAIT),
        (Standing(3, 997, overtaken=3), Move.SEND),  # nothing is known yet, and nothing was wasted
        (Standing(3, 0, overtaken=3), Move.RELEASE),
        (Standing(3, 997, running=1, age=LONGEST), Move.WAIT),
        (Standing(3, 997, running=1, age=LONGEST + timedelta(seconds=1)), Move.STOP),
    ],
)
def test_the_rest_follows_only_where_all_that_ran_succeeded(standing: Standing, move: Move) -> None:
    assert decide(standing).move is move


def test_it_says_why_it_stopped() -> None:
    stopped = decide(Standing(3, 997, running=1, failed=2, reason="An error inside cspine."))
    assert stopped.words == "2 of 3 tried first failed again: An error inside cspine. The other 997 stay as they are."
    assert "48 hours" in decide(Standing(1, 1, running=1, age=2 * LONGEST)).words
    assert decide(Standing(1, 1, failed=1)).words.endswith("The other one stays as it is.")
