"""An installation in a folder of its own, used by its command line as a person would; SQL is only looked at."""

import json
import math
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import select

from cspine import export_store, migrate
from cspine.__main__ import main
from cspine.blobs import BlobStore
from cspine.commands.release import ensure
from cspine.commands.service import Service
from cspine.database import Database
from cspine.queue import Bell
from cspine.settings import Settings
from cspine.tables import Image, Release, Result, Study
from models.runtime.openvino_runtime import export_name
from tests.conftest import ROOT
from tests.integration.night import services
from tests.worker.services import wait

SECONDS = 600.0
File = dict[str, Any]  # a file of a ledger, as the command line prints it


def with_demo(installation: Service, export: Path | None = None) -> Release:
    """Make the demo release the active one, its export in the store where one is given."""
    row = ensure(installation)
    if export is not None:
        export_store.store(installation.blobs, row.identity, export_name(), export)
    return row


class House:
    """The installation; its services run or not."""

    def __init__(self, folder: Path, export: Path | None = None) -> None:
        """Make it, with the demo release active; its workers make their export where none is given."""
        self.settings = Settings().model_copy(update={"var": folder})
        self.database = Database.of(self.settings)
        migrate.upgrade(self.database)
        with_demo(Service(self.settings, self.database, BlobStore(self.settings.blobs), Bell(self.settings)), export)

    def run(self, *arguments: object, **environment: str) -> str:
        """Run `bin/cspine`, which may end with 0, or with 1 where something was refused; return what it prints."""
        command = [str(ROOT / "bin" / "cspine"), *map(str, arguments)]
        done = subprocess.run(command, env=self.settings.environment() | environment, capture_output=True, text=True,
                              timeout=SECONDS, check=False)  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def call(self, *arguments: object, **environment: str) -> str:
        """Do what `run` does in this process, which has imported everything already."""
        printed = StringIO()
        with patch.dict(os.environ, self.settings.environment() | environment), redirect_stdout(printed):
            assert main([*map(str, arguments)]) in (0, 1)
        return printed.getvalue()

    def screen(self, path: Path, batch: str, *options: str) -> dict[str, Any]:
        """Screen a path, and return the ledger that is printed."""
        return read(self.call("screen", path, "--batch", batch, "--json", *options))

    def screen_apart(self, path: Path, batch: str, *options: str) -> dict[str, Any]:
        """Do what `screen` does by a process of its own."""
        return read(self.run("screen", path, "--batch", batch, "--json", *options))

    def ledger(self, batch: str) -> dict[str, Any]:
        """Return the ledger of a batch."""
        return read(self.call("ledger", batch, "--json"))

    def finished(self, batch: str) -> dict[str, Any]:
        """Wait until nothing of a batch is in work, as `screen --wait` does, and return its ledger."""
        wait(lambda: not self.ledger(batch)["waiting"], SECONDS, pause=0.2)
        return self.ledger(batch)

    def triage(self, **environment: str) -> dict[str, dict[str, Any]]:
        """Return the rows of the triage list by the study's id, and those of unreadable files by the batch's id."""
        rows = [read(line) for line in self.call("triage", "--json", **environment).splitlines()]
        return {row["study"] or row["batch"]: row for row in rows}

    def studies(self) -> dict[str, Study]:
        """Return the studies by their id."""
        with self.database.read() as session:
            return {study.id: study for study in session.scalars(select(Study))}

    def results(self, study_id: str) -> list[tuple[Image, Result]]:
        """Return a study's images with their results."""
        with self.database.read() as session:
            query = select(Image, Result).join(Result, Result.image_id == Image.id).where(Image.study_id == study_id)
            return [(image, result) for image, result in session.execute(query.order_by(Image.id))]


@contextmanager
def house(folder: Path, export: Path | None = None) -> Iterator[House]:
    """Give an installation whose workers run until the block ends."""
    made = House(folder, export)
    try:
        with services(made.settings):
            yield made
    finally:
        made.database.dispose()


def read(text: str) -> Any:
    """Read JSON in which nothing may be infinite or no number."""
    value = json.loads(text)
    assert finite(value), text
    return value


def finite(value: Any) -> bool:
    """Say whether every number in a value of JSON is finite."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)
