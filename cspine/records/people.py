"""People: users, the one-time tokens that sign them in, and their sessions.

A session is a token too: the cookie holds a secret of which only the hash is kept, so that signing out ends it for good
and a user who is no longer active has none.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.errors import Usage
from cspine.tables import Token, User

FIRST_ADMIN = "admin"
NAME_LENGTH = 80  # the column's
KEEP_TOKENS = timedelta(days=7)  # after they have expired


class Role(StrEnum):
    """What a user may do."""

    READER = "reader"  # sees, uploads, reads, retries
    ADMIN = "admin"  # all, tracebacks included


class Purpose(StrEnum):
    """What a token is good for."""

    SIGNIN = "signin"  # one sign-in, by the address that was printed
    SESSION = "session"  # every request, until its end


def by_name(session: Session, name: str) -> User | None:
    """Return the user of this name, or null."""
    return session.scalars(select(User).where(User.name == name)).one_or_none()


def by_id(session: Session, user_id: int) -> User | None:
    """Return the user of this id, or null."""
    return session.get(User, user_id)


def listing(session: Session) -> Sequence[User]:
    """Return every user, by name."""
    return session.scalars(select(User).order_by(User.name)).all()


def add(session: Session, name: str, role: str, password_hash: str | None = None) -> User:
    """Add a user; raises `Usage` where the name is taken, or cannot be typed into the sign-in form."""
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable() or name != name.strip():
        raise Usage(f"a name has 1 to {NAME_LENGTH} characters that can be typed")
    user = User(name=name, role=Role(role).value, password_hash=password_hash, created_at=now(session))
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError as error:
        raise Usage(f"there is a user {name!r} already") from error
    return user


def set_password(session: Session, user_id: int, password_hash: str) -> None:
    """Give a user a new password."""
    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


def end_sessions(session: Session, user_id: int, keep: str | None = None) -> None:
    """End every session of a user, except the one that is kept."""
    query = update(Token).where(
        Token.user_id == user_id, Token.purpose == Purpose.SESSION.value, Token.spent_at.is_(None)
    )
    if keep is not None:
        query = query.where(Token.sha256 != _sha256(keep))
    session.execute(query.values(spent_at=now(session)))


def first_admin(session: Session, lifetime: timedelta) -> str | None:
    """Return a one-time sign-in token for the first admin; null where some admin has a password or has signed in.

    On an empty table of users the admin is made now, without a password.
    """
    if session.scalars(select(User.id).limit(1)).first() is None:
        return issue(session, add(session, FIRST_ADMIN, Role.ADMIN), Purpose.SIGNIN, lifetime)
    admins = session.scalars(select(User).where(User.role == Role.ADMIN.value, User.active).order_by(User.id)).all()
    if not admins or any(admin.password_hash or admin.last_login_at for admin in admins):
        return None
    return issue(session, admins[0], Purpose.SIGNIN, lifetime)


def issue(session: Session, user: User, purpose: Purpose, lifetime: timedelta) -> str:
    """Make a token and return the secret, which is kept nowhere."""
    moment, secret = now(session), secrets.token_urlsafe(32)
    session.execute(delete(Token).where(Token.expires_at < moment - KEEP_TOKENS))
    session.add(Token(user_id=user.id, sha256=_sha256(secret), purpose=purpose.value, created_at=moment,
                      expires_at=moment + lifetime))  # fmt: skip
    return secret


def holder(session: Session, secret: str, purpose: Purpose) -> User | None:
    """Return the active user to whom a token belongs that is neither spent nor expired, or null."""
    query = select(User).join(Token, Token.user_id == User.id).where(_good(session, secret, purpose), User.active)
    return session.scalars(query).one_or_none()


def spend(session: Session, secret: str, purpose: Purpose) -> User | None:
    """Spend a token by a compare-and-set, and return whose it was; null where it is not good any more."""
    query = (
        update(Token)
        .where(_good(session, secret, purpose))
        .values(spent_at=now(session))
        .returning(Token.user_id)
        .execution_options(synchronize_session=False)
    )
    user_id = session.scalars(query).one_or_none()
    user = by_id(session, user_id) if user_id is not None else None
    return user if user is not None and user.active else None


def _good(session: Session, secret: str, purpose: Purpose) -> ColumnElement[bool]:
    return and_(
        Token.sha256 == _sha256(secret),
        Token.purpose == purpose.value,
        Token.spent_at.is_(None),
        Token.expires_at > now(session),
    )


def sign_in(session: Session, user: User, lifetime: timedelta) -> str:
    """Begin a session and return its secret."""
    session.execute(update(User).where(User.id == user.id).values(last_login_at=now(session)))
    return issue(session, user, Purpose.SESSION, lifetime)


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
