"""Prepare: a study's files are decoded into canonical pictures, previews and thumbnails, one file after the other.

Each file is stored by itself, so that whatever happens to a later one, those before it are kept.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2
import structlog
from sqlalchemy.orm import Session

from cspine import failure
from cspine.backoff import UNKNOWN_TRIES
from cspine.blobs import BlobStore
from cspine.decoding import Decoded, Frame, Header, canonical, decode, previews
from cspine.errors import CspineError, Permanent, Refused, ServiceFault, Skipped
from cspine.reasons import Reason
from cspine.records import claims, endings, freeing, images, studies
from cspine.records.claims import Held, LeaseLost
from cspine.records.screenings import Ring
from cspine.states import Disposition, Stage
from cspine.tables import ReceivedFile
from worker.lease import Lease
from worker.runtime import Runtime

PNG_LEVEL = 1
SHARE_OF_LIMIT = 0.5  # of the hard time limit, after which the rest of a large study is left to another attempt

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Pictures:
    """What was made of one file."""

    header: Header
    frames: list[dict[str, Any]]  # columns of `Image`
    keys: list[str]  # of the blobs written


def claim(own: Runtime) -> Held | None:
    """Claim one study."""
    name, turn = own.name(Stage.PREPARE), own.turn()
    return own.claim(Stage.PREPARE, lambda session: claims.for_prepare(session, name, own.settings, turn))


def run(own: Runtime, held: Held, lease: Lease) -> None:
    """Decode the study's files that are not decoded yet, and send it on to be screened."""
    (member,) = held.members
    ends = time.monotonic() + own.settings.prepare_seconds * SHARE_OF_LIMIT
    with own.database.read() as session:
        files = images.undecoded(session, member.study_id)
    errors: dict[int, Exception] = {}
    for number, file in enumerate(files):
        if number and time.monotonic() > ends:
            own.ring(own.write(lambda session: freeing.hand_back(session, held.claim_id)))
            return
        lease.insist()
        try:
            _take(own, held, file)
        except (ServiceFault, LeaseLost, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # one file's fault shall not keep the others from being read
            errors[file.id] = error
    _finish(own, held, errors)


def _take(own: Runtime, held: Held, file: ReceivedFile) -> None:
    """Decode one file and store what comes of it."""
    (member,) = held.members
    try:
        pictures = _pictures(own, file)
    except Skipped as skipped:
        reason, disposition = skipped.reason, Disposition.NOT_AN_IMAGE
    except Refused as refused:
        reason, disposition = refused.reason, Disposition.REJECTED
    else:
        _store(own, held, file, pictures)
        return

    def refuse(session: Session) -> None:
        claims.insist(session, held, member)
        images.refuse(session, file.id, disposition, reason)

    own.write(refuse)


def _store(own: Runtime, held: Held, file: ReceivedFile, pictures: Pictures) -> None:
    (member,) = held.members

    def store(session: Session) -> bool:
        claims.insist(session, held, member)
        return images.add(session, file.id, pictures.header, pictures.frames)

    try:
        stored = own.write(store)
    except ServiceFault:
        raise  # nobody can say whether they were stored; if not, the sweep of the blobs takes them
    except BaseException:
        _forget_unnamed(own, pictures.keys)
        raise
    if not stored:
        _forget_unnamed(own, pictures.keys)


def _pictures(own: Runtime, file: ReceivedFile) -> Pictures:
    """Decode a file, and write its pictures as blobs."""
    assert file.blob_key is not None
    with own.blobs.open(file.blob_key) as stream:
        decoded: Decoded = decode(stream, file.name, own.settings)
    made = Pictures(decoded.header, [], [])
    try:
        for frame in decoded.frames:
            made.frames.append(_frame(own.blobs, frame, made.keys))
    except BaseException:
        _forget(own.blobs, made.keys)
        raise
    return made


def _frame(blobs: BlobStore, frame: Frame, keys: list[str]) -> dict[str, Any]:
    large, small = previews(frame)
    contents = {
        "canonical_key": (_png(frame), ".png"),
        "preview_key": (large, ".jpg"),
        "thumbnail_key": (small, ".jpg"),
    }
    columns: dict[str, Any] = {}
    for column, (data, suffix) in contents.items():
        columns[column] = blobs.put_bytes(data, suffix)
        keys.append(columns[column])
    rows, width = frame.pixels.shape
    return columns | {
        "frame": frame.index, "rows": rows, "columns": width, "display_rows": frame.display_rows,
        "display_columns": frame.display_columns, "pixel_sha256": frame.sha256, "flags": list(frame.flags),
    }  # fmt: skip


def _finish(own: Runtime, held: Held, errors: dict[int, Exception]) -> None:
    """Send the study on; where a file met an unnamed fault twice, it is left out and the study goes on without it."""
    (member,) = held.members
    if errors:
        error = next(iter(errors.values()))
        with own.database.read() as session:
            again = claims.tries(session, member) + 1 < UNKNOWN_TRIES
            alone = images.count(session, member.study_id) == 0
        if again or alone or isinstance(error, CspineError):
            raise error
        log.error("file left out", kind=type(error).__name__, place=failure.of_error(error, held.stage).place)

    def finish(session: Session) -> list[Ring]:
        if errors:
            claims.insist(session, held, member)
        for file_id in errors:
            images.refuse(session, file_id, Disposition.REJECTED, Reason.INTERNAL_ERROR)
        if images.count(session, member.study_id) == 0:
            raise Permanent("every file was refused", Reason.NO_USABLE_IMAGE)
        ready = endings.settle(session, held, own.settings).succeeded
        if ready:
            studies.refresh(session, member.study_id)
        return [Ring(Stage.SCREEN, one.lane, one.screening_id) for one in ready]

    own.ring(own.write(finish))


def _png(frame: Frame) -> bytes:
    done, data = cv2.imencode(".png", canonical(frame), [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise RuntimeError("the PNG encoder gave nothing")
    return data.tobytes()


def _forget_unnamed(own: Runtime, keys: list[str]) -> None:
    """Delete blobs that no row names: a commit that broke off may have been done all the same."""
    with suppress(ServiceFault):
        with own.database.read() as session:
            named = images.named(session, keys)
        _forget(own.blobs, [key for key in keys if key not in named])


def _forget(blobs: BlobStore, keys: list[str]) -> None:
    """Delete blobs that no row names; one that cannot be deleted now is an orphan and no fault."""
    for key in keys:
        with suppress(ServiceFault):
            blobs.delete(key)
