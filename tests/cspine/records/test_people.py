"""Users, one-time tokens and sessions."""

from datetime import timedelta

import pytest

from cspine.database import Database
from cspine.errors import Usage
from cspine.records import people
from cspine.records.people import Purpose, Role

pytestmark = pytest.mark.services

HOUR = timedelta(hours=1)


def test_a_name_is_taken_once(database: Database) -> None:
    with database.write() as session:
        people.add(session, "rita", Role.READER)
        with pytest.raises(Usage):
            people.add(session, "rita", Role.ADMIN)
        assert [user.name for user in people.listing(session)] == ["rita"]


def test_a_role_that_is_none_is_refused(database: Database) -> None:
    with database.write() as session, pytest.raises(ValueError, match="boss"):
        people.add(session, "rita", "boss")


def test_a_token_is_spent_once_and_for_its_purpose_only(database: Database) -> None:
    with database.write() as session:
        user = people.add(session, "rita", Role.READER)
        token = people.issue(session, user, Purpose.SIGNIN, HOUR)
    with database.write() as session:
        assert people.spend(session, token, Purpose.SESSION) is None
    with database.write() as session:
        spent = people.spend(session, token, Purpose.SIGNIN)
        assert spent is not None
        assert spent.name == "rita"
    with database.write() as session:
        assert people.spend(session, token, Purpose.SIGNIN) is None


def test_a_session_ends_with_its_time_its_user_and_a_new_password(database: Database) -> None:
    with database.write() as session:
        user = people.add(session, "rita", Role.READER)
        late, kept, ended = (people.sign_in(session, user, life) for life in (-HOUR, HOUR, HOUR))
        assert people.holder(session, late, Purpose.SESSION) is None
        people.end_sessions(session, user.id, keep=kept)
        assert people.holder(session, ended, Purpose.SESSION) is None
        assert people.holder(session, kept, Purpose.SESSION) is not None
        user.active = False
        session.flush()
        assert people.holder(session, kept, Purpose.SESSION) is None


def test_the_first_admin_is_made_on_an_empty_table_only(database: Database) -> None:
    with database.write() as session:
        first, again = people.first_admin(session, HOUR), people.first_admin(session, HOUR)
        assert first and again and first != again
        assert [(user.name, user.role) for user in people.listing(session)] == [("admin", "admin")]
        admin = people.by_name(session, "admin")
        assert admin
        people.sign_in(session, admin, HOUR)
        session.expire_all()
        assert people.first_admin(session, HOUR) is None


def test_a_reader_by_itself_makes_no_admin(database: Database) -> None:
    with database.write() as session:
        people.add(session, "rita", Role.READER)
        assert people.first_admin(session, HOUR) is None
