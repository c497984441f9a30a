"""A batch that one release has answered, and a candidate that answers it in the shadow, as a worker would."""

from collections.abc import Sequence

from sqlalchemy import select

from cspine.database import Database
from cspine.errors import Permanent
from cspine.failure import of_error
from cspine.reasons import Reason
from cspine.records import endings, replays, results, shadows, studies
from cspine.records.claims import Held
from cspine.settings import Settings
from cspine.states import Stage
from cspine.tables import Image, Replay, Result, Screening, Study
from tests.cspine.records import makers

SHOWN = ("normal", "normal", "fracture", "fracture", "dislocation")
CANDIDATE = ("normal", "fracture", "fracture", "normal", "fracture")
WORKER = "host:explain:1:2"


class Night:
    """A batch of five studies that the release 1 has answered, and a release 2."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as session:
            self.batch = makers.batch(session)
            self.old = makers.release(session)
            self.new = makers.release(session, version="2", active=False)
            self.ids = []
            for minute, label in enumerate(SHOWN):
                study = makers.study(session, self.batch, minutes=minute)
                screening = session.scalars(select(Screening).where(Screening.study_id == study.id)).one()
                screening.release_id = self.old.id
                file = makers.file(session, self.batch, study)
                image = makers.image(session, study, file)
                attempt = makers.attempt(session, screening, release_id=self.old.id)
                makers.result(session, image, attempt, self.old, label, 0.9)
                self.ids.append(study.id)
            studies.refresh(session, *self.ids)

    def begin(self) -> Replay:
        with self.database.write() as session:
            return replays.begin(session, self.batch, self.new, "ada").replay

    def claim(self, replay: Replay, settings: Settings) -> Held | None:
        with self.database.write() as session:
            return shadows.claim(session, replay.id, WORKER, settings)

    def answer(self, replay: Replay, settings: Settings, labels: Sequence[str] = CANDIDATE) -> None:
        """Answer everything that waits, as a worker does."""
        while held := self.claim(replay, settings):
            self.settle(held, settings, labels)

    def settle(self, held: Held, settings: Settings, labels: Sequence[str] = CANDIDATE) -> None:
        with self.database.write() as session:
            images = dict(session.execute(select(Image.study_id, Image.id)).all())
            answers = {
                member.screening_id: [makers.answer(images[member.study_id], labels[self.ids.index(member.study_id)])]
                for member in held.members
            }
            settled = endings.settle(session, held, settings)
            results.add(session, held, settled.kept, answers, shown=False)
            shadows.answered(session, settled.succeeded, self.new.id)

    def fail(self, held: Held, settings: Settings) -> None:
        with self.database.write() as session:
            failure = of_error(Permanent("", Reason.NOT_A_NUMBER), Stage.SCREEN, str(self.new.id))
            endings.settle(session, held, settings, {member.screening_id: failure for member in held.members})

    def shown(self) -> list[tuple[str | None, int]]:
        """What each study shows: label in the list, and the release of the result."""
        with self.database.read() as session:
            query = (
                select(Study.label, Result.release_id)
                .join(Image, Image.study_id == Study.id)
                .join(Result, (Result.image_id == Image.id) & Result.shown)
                .order_by(Study.received_at)
            )
            return [(label, release_id) for label, release_id in session.execute(query)]

    def row(self, replay: Replay) -> replays.Row:
        with self.database.read() as session:
            found = replays.row(session, replay.id)
            assert found
            return found
