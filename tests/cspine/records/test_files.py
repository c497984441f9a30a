"""Names of files."""

import pytest

from cspine.database import Database
from cspine.records import files
from tests.cspine.records import makers

pytestmark = pytest.mark.services


def test_the_first_file_names_a_study(database: Database) -> None:
    with database.write() as session:
        batch = makers.batch(session)
        one, two = makers.study(session, batch), makers.study(session, batch)
        makers.file(session, batch, one, name="later.png")
        makers.file(session, batch, name="of no study.png")
        assert files.first_names(session, [one.id, two.id]) == {one.id: "a.png", two.id: "a.png"}
        assert files.first_names(session, [two.id]) == {two.id: "a.png"}
        assert files.first_names(session, []) == {}
