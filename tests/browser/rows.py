"""Rows for the browser to look at: studies with real JPEG pictures, made through the tables."""

import io
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from PIL import Image as Picture

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import screenings, studies
from cspine.states import State
from cspine.tables import Batch, Release
from tests.cspine.records import makers

SIZE = 224
CARD = {
    "name": "demo", "version": "1", "demo": True, "network": "googlenet", "temperature": 1.3,
    "normal_label": "normal",
    "labels": [{"name": "normal", "weight": 0}, {"name": "fracture", "weight": 1}],
    "input": {"size": SIZE, "channels": 1, "scale": "standardise", "fit": "letterbox"},
    "ood": {"method": "mahalanobis", "threshold": 9.0},
}  # fmt: skip


def picture(rows: int = 400, columns: int = 200, format: str = "JPEG") -> bytes:
    """Draw a picture unlike any other."""
    noise = np.random.default_rng(secrets.randbits(64)).integers(60, 190, (rows // 8, columns // 8), np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(noise).resize((columns, rows)).save(buffer, format)
    return buffer.getvalue()


def saliency(row: int, column: int, cells: int = 14) -> dict[str, Any]:
    """Return a map with one hot cell, over a picture of twice the height of its width."""
    grid = np.zeros((cells, cells))
    grid[row, column] = 2.0
    geometry = {"scale": SIZE / 400, "top": 0, "left": SIZE // 4, "height": SIZE, "width": SIZE // 2}
    return {"grid": grid.tolist(), "method": "hirescam", "geometry": geometry}


def batch(database: Database, **values: Any) -> str:
    with database.write() as session:
        return makers.batch(session, name=f"night {secrets.token_hex(4)}", **values).id


def study(database: Database, blobs: BlobStore, label: str = "fracture", images: int = 1, *,
          state: State = State.DONE, **values: Any) -> str:  # fmt: skip
    """Make a study, analysed or on its way; return its id."""
    own = batch(database)
    with database.write() as session:
        row = makers.study(session, session.get_one(Batch, own), state,
                           received_at=datetime.now(UTC) - timedelta(minutes=12), **values)  # fmt: skip
        study_id = row.id
    if state is State.DONE:
        answer(database, blobs, study_id, label, images)
    return study_id


def answer(database: Database, blobs: BlobStore, study_id: str, label: str, images: int = 1) -> None:
    """Give a study its pictures and results, as the workers do."""
    keys = [blobs.put_bytes(picture()) for _ in range(images)]
    with database.write() as session:
        release = session.query(Release).first() or makers.release(session, card=CARD)
        screening = screenings.shown(session, study_id)
        detail = studies.detail(session, study_id)
        assert screening and detail
        screening.state, screening.release_id, screening.changed_at = State.DONE, release.id, datetime.now(UTC)
        attempt = makers.attempt(session, screening, ended_at=datetime.now(UTC))
        for frame, key in enumerate(keys):
            image = makers.image(session, detail.study, detail.files[0], frame, preview_key=key, thumbnail_key=key,
                                 rows=400, columns=200, display_rows=400, display_columns=200)  # fmt: skip
            share = 0.93 - 0.1 * frame
            other = "fracture" if label == "normal" else "normal"
            makers.result(session, image, attempt, release, label, share, explained=label, saliency=saliency(3, 9),
                          probabilities={label: share, other: 1 - share})  # fmt: skip
        studies.refresh(session, study_id)
