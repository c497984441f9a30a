"""What every page may use of the installation: settings, database, blobs, the bell."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.queue import Bell
from cspine.settings import Settings

EXTENSION = "cspine"


@dataclass(frozen=True)
class Services:
    """One of each, shared by the threads of a web process; none is connected before its first use."""

    settings: Settings
    database: Database
    blobs: BlobStore
    bell: Bell

    @classmethod
    def of(cls, settings: Settings) -> "Services":
        """Make those that the settings name."""
        return cls(settings, Database.of(settings, settings.web_threads), BlobStore(settings.blobs), Bell(settings))


def services() -> Services:
    """Return the services of the application that answers the present request."""
    return cast(Services, current_app.extensions[EXTENSION])
