"""Results: what a release says of images, written only for screenings that their worker still held."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from cspine import __version__
from cspine.database import now
from cspine.records.claims import Held, Member
from cspine.tables import Result


def add(session: Session, held: Held, kept: Iterable[Member], answers: Mapping[int, list[dict[str, Any]]]) -> None:
    """Write the answers, columns of `Result` by screening, of the members that were kept."""
    common = {"release_id": held.release_id, "created_at": now(session), "software": __version__}
    rows = [
        answer | common | {"attempt_id": member.attempt_id}
        for member in kept
        for answer in answers.get(member.screening_id, ())
    ]
    if rows:
        session.execute(insert(Result), rows)
