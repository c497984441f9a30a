"""Rows that tests of the records need, made through the tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from cspine.preprocessing import VERSION
from cspine.states import Disposition, Outcome, State
from cspine.tables import Attempt, Batch, Claim, Image, ReceivedFile, Release, Result, Screening, Study, new_id

NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def batch(session: Session, name: str = "night", **values: Any) -> Batch:
    row = Batch(**{"name": name, "lane": "normal", "created_at": NIGHT} | values)
    session.add(row)
    session.flush()
    return row


def release(session: Session, **values: Any) -> Release:
    card = {"name": "demo", "version": "1", "demo": True, "network": "googlenet"}
    row = Release(**{"identity": new_id().ljust(64, "0"), "name": "demo", "version": "1", "card": card,
                     "imported_at": NIGHT, "active": True} | values)  # fmt: skip
    session.add(row)
    session.flush()
    return row


def study(session: Session, own: Batch, state: State = State.DONE, *, minutes: int = 0, **values: Any) -> Study:
    """Make a study with one file and its screening, received so many minutes after the night's begin."""
    received = NIGHT + timedelta(minutes=minutes)
    row = Study(**{"study_uid": f"2.25.{abs(hash(new_id()))}", "batch_id": own.id, "lane": "normal",
                   "urgency": 0.0, "received_at": received, "bucket": "not_analysed",
                   "reason": "In work", "flags": []} | values)  # fmt: skip
    session.add(row)
    session.flush()
    file(session, own, row)
    screening = Screening(study_id=row.id, state=state, lane="normal", created_at=received, changed_at=received)
    session.add(screening)
    session.flush()
    return row


def file(session: Session, own: Batch, of: Study | None = None, **values: Any) -> ReceivedFile:
    row = ReceivedFile(**{"batch_id": own.id, "study_id": of.id if of else None, "name": "a.png", "kind": "png",
                          "sha256": new_id().ljust(64, "0"), "size": 1, "blob_key": "aa/bb", "original": True,
                          "flags": [], "disposition": Disposition.ACCEPTED, "received_at": NIGHT} | values)  # fmt: skip
    session.add(row)
    session.flush()
    return row


def image(session: Session, of: Study, source: ReceivedFile, frame: int = 0, **values: Any) -> Image:
    row = Image(**{"study_id": of.id, "file_id": source.id, "frame": frame, "rows": 10, "columns": 10,
                   "display_rows": 10, "display_columns": 10, "pixel_sha256": new_id().ljust(64, "0"),
                   "canonical_key": "c", "preview_key": "p", "thumbnail_key": f"t{frame}",
                   "flags": []} | values)  # fmt: skip
    session.add(row)
    session.flush()
    return row


def attempt(session: Session, screening: Screening, **values: Any) -> Attempt:
    claim = Claim(stage="screen", worker="host:1", device="cpu", size=1, started_at=NIGHT, expires_at=NIGHT)
    session.add(claim)
    session.flush()
    row = Attempt(**{"screening_id": screening.id, "claim_id": claim.id, "stage": "screen", "number": 1, "company": 1,
                     "worker": "host:1", "device": "cpu", "started_at": NIGHT, "outcome": Outcome.DONE,
                     "software": "0"} | values)  # fmt: skip
    session.add(row)
    session.flush()
    return row


def result(session: Session, of: Image, by: Attempt, model: Release, label: str, share: float,
           **values: Any) -> Result:  # fmt: skip
    normal = share if label == "normal" else 1 - share
    shown = not session.get_one(Screening, by.screening_id).shadow
    if shown:
        session.execute(update(Result).where(Result.image_id == of.id).values(shown=False))
    row = Result(**{"image_id": of.id, "release_id": model.id, "attempt_id": by.id, "preprocessing": "1",
                    "shown": shown, "input_sha256": "0" * 64, "label": label, "probabilities": {label: share},
                    "urgency": 1 - normal, "flagged": label != "normal", "flags": [], "timings": {}, "software": "0",
                    "created_at": NIGHT} | values)  # fmt: skip
    session.add(row)
    session.flush()
    return row


def answer(image_id: int, label: str, share: float = 0.9) -> dict[str, Any]:
    """Return columns of `Result` as a worker hands them to `results.add`."""
    normal = share if label == "normal" else 1 - share
    return {"image_id": image_id, "preprocessing": VERSION, "input_sha256": "0" * 64, "label": label,
            "probabilities": {label: share}, "urgency": 1 - normal, "flagged": label != "normal", "flags": [],
            "timings": {}}  # fmt: skip
