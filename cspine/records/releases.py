"""Model releases: what was imported, which one is active."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.tables import Release


def active(session: Session) -> Release | None:
    """Return the release that a screening takes when it is claimed, or null where none is active."""
    return session.scalars(select(Release).where(Release.active)).one_or_none()


def by_identity(session: Session, identity: str) -> Release | None:
    """Return the release with this SHA-256 of its SHA256SUMS, or null."""
    return session.scalars(select(Release).where(Release.identity == identity)).one_or_none()


def listing(session: Session) -> Sequence[Release]:
    """Return every imported release, the newest first."""
    return session.scalars(select(Release).order_by(Release.id.desc())).all()


def add(session: Session, identity: str, card: Mapping[str, Any]) -> Release:
    """Record an imported release; one that is already there is returned as it is."""
    known = by_identity(session, identity)
    if known is not None:
        return known
    release = Release(identity=identity, name=card["name"], version=card["version"], card=dict(card),
                      imported_at=now(session), active=False)  # fmt: skip
    session.add(release)
    session.flush()
    return release


def activate(session: Session, release: Release) -> None:
    """Make a release the active one; work claimed from now on takes it, and no earlier result is relabelled."""
    session.execute(update(Release).where(Release.active, Release.id != release.id).values(active=False))
    session.execute(update(Release).where(Release.id == release.id).values(active=True, activated_at=now(session)))
