"""`cspine inspect`: decode files and say what they are, without a database."""

import hashlib
import json
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import click

from cspine import archives
from cspine.decoding.isolation import Isolated, isolated
from cspine.decoding.kinds import Kind, sniff
from cspine.decoding.report import Record, described, report
from cspine.errors import Refused, Usage
from cspine.reasons import Reason
from cspine.settings import Settings

CHUNK = 2**20


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
@click.option("--save", "folder", type=click.Path(path_type=Path, file_okay=False), help="Save each picture as PNG.")
def inspect(paths: tuple[Path, ...], as_json: bool, folder: Path | None) -> int:
    """Decode files, folders and ZIPs under the limits of the service and say what comes out. Nothing is stored."""
    for path in paths:
        if not path.exists():
            raise Usage(f"no such file or folder: {path}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    rejected = False
    for record in Inspection(Settings(), folder).records(paths):
        rejected |= record["outcome"] == "reject"
        click.echo(json.dumps(record) if as_json else _line(record))
    return int(rejected)


@dataclass
class _Job:
    """A file in work or done; the entries of one archive share a group."""

    name: str
    sha256: str
    kind: Kind
    child: Isolated | None = None
    record: Record = field(default_factory=dict)
    unpacked: Path | None = None
    archive: "_Job | None" = None
    last: bool = False


class Inspection:
    """Runs a child for each file, some at a time, and gives the records in the order of the files."""

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        """Prepare; nothing is read yet."""
        self._settings, self._folder = settings, folder
        self._started = 0

    def records(self, paths: Iterable[Path]) -> Iterator[Record]:
        """Give a record for each file, and for each entry of a sound archive."""
        running: deque[_Job] = deque()
        held: list[Record] = []
        with tempfile.TemporaryDirectory(prefix="cspine-inspect-") as scratch:
            for job in self._jobs(paths, Path(scratch)):
                running.append(job)
                while len(running) > (os.cpu_count() or 1):
                    yield from self._done(running.popleft(), held)
            while running:
                yield from self._done(running.popleft(), held)

    def _jobs(self, paths: Iterable[Path], scratch: Path) -> Iterator[_Job]:
        for path in paths:
            for file in sorted(_walk(path)) if path.is_dir() else [path]:
                yield from self._file_jobs(file, scratch)

    def _file_jobs(self, path: Path, scratch: Path) -> Iterator[_Job]:
        try:
            with path.open("rb") as file:
                job = _Job(str(path), hashlib.file_digest(file, "sha256").hexdigest(), sniff(file))
                if file.seek(0, os.SEEK_END) > self._settings.max_file_bytes:
                    job.record = described("reject", Reason.TOO_LARGE, None)
                elif job.kind == "zip":
                    yield from self._entry_jobs(job, file, scratch)
                    return
        except OSError:
            job = _Job(str(path), "", "other", record=described("reject", Reason.UNREADABLE, None))
        if not job.record:
            self._start(job, path, str(path))
        yield job

    def _entry_jobs(self, archive: _Job, file: BinaryIO, scratch: Path) -> Iterator[_Job]:
        try:
            entries = list(archives.entries(file, self._settings))
        except Refused as refused:
            archive.record = described("reject", refused.reason, None)
            yield archive
            return
        for number, entry in enumerate(entries):
            job = _Job(f"{archive.name}!{entry.name}", "", "other", archive=archive, last=number == len(entries) - 1)
            target = scratch / str(self._started)
            try:
                job.sha256 = _unpack(entry, target, self._settings.max_file_bytes)
                with target.open("rb") as unpacked:
                    job.kind = sniff(unpacked)
                job.unpacked = target
                self._start(job, target, entry.name)
            except Refused as refused:
                job.record = described("reject", refused.reason, None)
                target.unlink(missing_ok=True)
            yield job

    def _start(self, job: _Job, path: Path, name: str) -> None:
        self._started += 1
        prefix = f"{self._started:05}"
        job.child = isolated(self._settings, report, path, name, self._settings, self._folder, prefix)

    def _done(self, job: _Job, held: list[Record]) -> Iterator[Record]:
        """Finish a job; the records of an archive are held back until one of them shows that it holds a picture."""
        if job.child is not None:
            try:
                job.record = job.child.result()
            except Refused as refused:
                job.record = described("reject", refused.reason, None)
        if job.unpacked is not None:
            job.unpacked.unlink()
        record = _named(job)
        if job.archive is None:
            yield record
            return
        held.append(record)
        if not job.last:
            return
        if any(archives.is_picture_reason(entry["reason"]) for entry in held):
            yield from held
        else:
            job.archive.record = described("reject", Reason.ARCHIVE_NO_IMAGES, None)
            yield _named(job.archive)
        held.clear()


def _named(job: _Job) -> Record:
    return {"file": job.name, "sha256": job.sha256, **job.record, "kind": job.record["kind"] or job.kind}


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_file():
                yield path


def _unpack(entry: archives.Entry, target: Path, limit: int) -> str:
    digest = hashlib.sha256()
    with entry.open() as source, target.open("wb") as file:
        while chunk := source.read(CHUNK):
            if file.tell() + len(chunk) > limit:
                raise Refused(f"more than {limit} bytes", Reason.TOO_LARGE)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _line(record: Record) -> str:
    shapes = ", ".join(f"{image['rows']}x{image['columns']}" for image in record["images"][:4])
    more = f" and {len(record['images']) - 4} more" if len(record["images"]) > 4 else ""
    words = [record["outcome"], record["reason"] or "", record["kind"], shapes + more, " ".join(record["flags"])]
    safe = record["file"].encode("utf-8", "backslashreplace").decode()
    return f"{safe}: " + "  ".join(filter(None, words))
