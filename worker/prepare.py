"""Prepare: the files of the claimed studies are decoded into canonical pictures, previews and thumbnails.

Several small studies are one claim, whose members run one after the other and are written together, so that they cost
the database little. What has not begun after a second goes back to work. Of a large study whatever was made is stored
each second, so that little is done twice whatever happens to a later file.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
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
from cspine.failure import Failure
from cspine.reasons import Reason
from cspine.records import claims, endings, images, studies
from cspine.records.claims import Held, LeaseLost, Member
from cspine.records.endings import Settled
from cspine.records.screenings import Ring
from cspine.states import Disposition, Stage
from cspine.tables import ReceivedFile
from worker import writing
from worker.lease import Lease
from worker.runtime import Runtime

PNG_LEVEL = 1
COMPANY_SECONDS = 1.0  # after which no further study of a company is begun
STORE_SECONDS = 1.0
SHARE_OF_LIMIT = 0.5  # of the hard time limit, after which the rest of a large study is left to another attempt

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Pictures:
    """What was made of one file."""

    header: Header
    frames: list[dict[str, Any]]  # columns of `Image`
    keys: list[str]  # of the blobs written


@dataclass(frozen=True)
class Taken:
    """What became of one file: pictures, or the reason why there are none."""

    member: Member
    file_id: int
    pictures: Pictures | None
    refusal: tuple[Disposition, Reason] | None = None


def claim(own: Runtime) -> Held | None:
    """Claim one study, or several small ones."""
    name, turn = own.name(Stage.PREPARE), own.turn()
    return own.claim(Stage.PREPARE, lambda session: claims.for_prepare(session, name, own.settings, turn))


def run(own: Runtime, held: Held, lease: Lease) -> None:
    """Decode the files that are not decoded yet, and send the studies on to be screened."""
    with own.database.read() as session:
        files = images.undecoded(session, [member.study_id for member in held.members])
    run = _Run(own, held)
    try:
        done = run.decode(files, lease)
        run.finish(done)
    except ServiceFault:
        raise  # nobody can say whether the last ones were stored; if not, the sweep of the blobs takes them
    except BaseException:
        run.forget_unnamed()
        raise


class _Run:
    """The decoding of one claim."""

    def __init__(self, own: Runtime, held: Held) -> None:
        self._own, self._held = own, held
        self._taken: list[Taken] = []  # not stored yet
        self._together = True  # until it is seen that the members cannot be stored together
        self._errors: dict[int, dict[int, Exception]] = defaultdict(dict)  # by screening and file

    def decode(self, files: dict[str, list[ReceivedFile]], lease: Lease) -> list[Member]:
        """Decode the files of one member after the other; return those of which all was decoded in time."""
        began = stored = time.monotonic()
        ends = began + self._own.settings.prepare_seconds * SHARE_OF_LIMIT
        done: list[Member] = []
        for member in self._held.members:
            if done and time.monotonic() - began > COMPANY_SECONDS:
                break
            for number, file in enumerate(files[member.study_id]):
                if number and time.monotonic() > ends:
                    return done
                lease.insist()
                self._take(member, file)
                if self._together and time.monotonic() - stored > STORE_SECONDS:
                    self._store()
                    stored = time.monotonic()
            done.append(member)
        return done

    def _take(self, member: Member, file: ReceivedFile) -> None:
        """Decode one file; one that meets an unnamed fault shall not keep the others from being read."""
        pictures, refusal = None, None
        try:
            pictures = self._own.reader.read(file.blob_key or "", lambda: _pictures(self._own, file))
        except Skipped as skipped:
            refusal = Disposition.NOT_AN_IMAGE, skipped.reason
        except Refused as refused:
            refusal = Disposition.REJECTED, refused.reason
        except (ServiceFault, LeaseLost, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # judged at the end, when it is known what else the study has
            self._errors[member.screening_id][file.id] = error
            return
        self._taken.append(Taken(member, file.id, pictures, refusal))

    def _store(self) -> None:
        """Store what was taken so far, in the middle of a run; raises `LeaseLost` where nothing is held any more."""

        def store(session: Session) -> set[int]:
            return self._write(session, claims.kept(session, self._held))

        stored = writing.ahead(self._own, self._held, store)
        self._together = stored is not None
        if stored is not None:
            self._stored(stored)

    def finish(self, done: Sequence[Member]) -> None:
        """Store the rest and settle the claim: what was not done goes back to work."""
        begun = [member for member in self._held.members if member in done or member.screening_id in self._errors]

        def write(session: Session, part: Held) -> tuple[set[int], Settled]:
            tries = claims.kept(session, part)
            stored = self._write(session, tries)
            failures = self._failures(session, [one for one in begun if one.screening_id in tries], done, tries)
            back = [one for one in part.members if one not in done and one.screening_id not in failures]
            settled = endings.settle(session, part, self._own.settings, failures, back)
            if settled.succeeded:
                studies.refresh(session, *(member.study_id for member in settled.succeeded))
            return stored, settled

        written = writing.settle(self._own, self._held, write)
        self._stored({file_id for stored, _ in written for file_id in stored})
        # One bell each is enough: whoever hears it takes all that is there, and passes it on.
        ready = [one for _, settled in written for one in settled.succeeded][:1]
        returned = [one for _, settled in written for one in settled.returned][:1]
        self._own.ring([Ring(Stage.SCREEN, one.lane, one.screening_id) for one in ready]
                       + [Ring(Stage.PREPARE, one.lane, one.screening_id) for one in returned])  # fmt: skip

    def _write(self, session: Session, kept: Collection[int]) -> set[int]:
        """Write what was taken of members that are still held; return the files whose pictures have rows now."""
        mine = [one for one in self._taken if one.member.screening_id in kept]
        for one in mine:
            if one.refusal is not None:
                images.refuse(session, one.file_id, *one.refusal)
        decoded = [images.DecodedFile(one.file_id, one.pictures.header, one.pictures.frames)
                   for one in mine if one.pictures is not None]  # fmt: skip
        return images.add(session, decoded)

    def _failures(self, session: Session, begun: Sequence[Member], done: Collection[Member],
                  tries: Mapping[int, int]) -> dict[int, Failure]:  # fmt: skip
        """Judge what failed; a file that met an unnamed fault twice is left out and its study goes on without it.

        A study that ran out of time is judged by the files that it came to: they would be the first again, and their
        faults would keep it in work for ever.
        """
        counts = images.counts(session, [member.study_id for member in begun])
        failures: dict[int, Failure] = {}
        for member in begun:
            errors = self._errors.get(member.screening_id, {})
            hopeless = member in done and counts[member.study_id] == 0
            try:
                for file_id, error in errors.items():
                    again = tries[member.screening_id] + 1 < UNKNOWN_TRIES
                    if again or hopeless or isinstance(error, CspineError):
                        raise error
                    place = failure.of_error(error, self._held.stage).place
                    log.error("file left out", kind=type(error).__name__, place=place)
                    images.refuse(session, file_id, Disposition.REJECTED, Reason.INTERNAL_ERROR)
                if hopeless:
                    raise Permanent("every file was refused", Reason.NO_USABLE_IMAGE)
            except Exception as error:  # noqa: BLE001  # recorded for the study that it belongs to
                described = failure.of_error(error, self._held.stage)
                failures[member.screening_id] = described
                log.warning("study failed", stage=self._held.stage.value, reason=described.reason.value,
                            place=described.place, kind=type(error).__name__)  # fmt: skip
        return failures

    def _stored(self, file_ids: Collection[int]) -> None:
        """Forget what was taken, with the pictures of those that came to nothing."""
        self._taken = [one for one in self._taken if one.file_id not in file_ids]
        self.forget_unnamed()

    def forget_unnamed(self) -> None:
        """Delete the pictures that were taken and that no row names; where the database is silent they stay."""
        keys = [key for one in self._taken if one.pictures for key in one.pictures.keys]
        file_ids = [one.file_id for one in self._taken]
        self._taken = []
        if keys:
            with suppress(ServiceFault):
                with self._own.database.read() as session:
                    named = images.blob_keys(session, file_ids)
                _forget(self._own.blobs, [key for key in keys if key not in named])


def _pictures(own: Runtime, file: ReceivedFile) -> Pictures:
    """Decode a file, and write its pictures as blobs."""
    assert file.blob_key is not None
    with own.blobs.open(file.blob_key, last=True) as stream:
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


def _png(frame: Frame) -> bytes:
    done, data = cv2.imencode(".png", canonical(frame), [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise RuntimeError("the PNG encoder gave nothing")
    return data.tobytes()


def _forget(blobs: BlobStore, keys: list[str]) -> None:
    """Delete blobs that no row names; one that cannot be deleted now is an orphan and no fault."""
    for key in keys:
        with suppress(ServiceFault):
            blobs.delete(key)
