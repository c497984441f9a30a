"""Ids of our own: hard to guess, and words that a command line takes for no option."""

from cspine.tables import new_id


def test_an_id_is_never_taken_for_an_option() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert {len(id_) for id_ in ids} == {22}
    assert not [id_ for id_ in ids if id_.startswith("-")]
