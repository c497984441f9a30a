"""Passwords: argon2id, with the same work for users that do not exist."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 10
MAX_LENGTH = 200

_hasher = PasswordHasher()


def hashed(password: str) -> str:
    """Return the hash to keep."""
    return _hasher.hash(password)


def fits(password: str, kept: str | None) -> bool:
    """Say whether the password is the one that was kept; a missing hash costs as much time and never fits."""
    nobody = _nobody()  # made at the first password of a process, whoever's it is, since it takes time
    try:
        _hasher.verify(kept or nobody, password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@cache
def _nobody() -> str:
    return hashed("nobody has this password")


def fault(password: str) -> str | None:
    """Say why a new password will not do; null where it does."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters."
    return None
