"""What a subcommand needs of the installation: settings, a migrated database, blobs, the bell."""

from dataclasses import dataclass

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import ServiceFault, Usage
from cspine.queue import Bell
from cspine.records import batches
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.tables import Batch

ACTOR = "command line"


@dataclass(frozen=True)
class Service:
    """The installation that the environment names."""

    settings: Settings
    database: Database
    blobs: BlobStore
    bell: Bell

    def batch(self, name: str) -> Batch:
        """Return the batch of this name; raises `Usage` where there is none."""
        with self.database.read() as session:
            batch = batches.by_name(session, name)
        if batch is None:
            raise Usage(f"there is no batch {name!r}")
        return batch

    def ring(self, rings: list[Ring]) -> bool:
        """Ring for work that was committed; false where the broker is down and the sweep will ring later."""
        try:
            for ring in rings:
                self.bell.ring(ring.stage, ring.lane, [ring.screening_id])
        except ServiceFault:
            return False
        return True


def service() -> Service:
    """Open the installation; an embedded database is brought to the newest schema."""
    settings = Settings()
    database = Database.of(settings)
    if database.sqlite:
        migrate.upgrade(database)
    return Service(settings, database, BlobStore(settings.blobs), Bell(settings))
