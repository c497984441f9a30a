"""Damaged files decoded in limited children, many to a child, with a journal by which a death is laid to its file."""

import faulthandler
import io
import json
import os
import random
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO

from cspine import archives
from cspine.decoding import canonical, decode, previews, read_header
from cspine.decoding.canonical import CANONICAL
from cspine.decoding.isolation import ONE_FILE_SECONDS, isolated
from cspine.errors import Refused, Skipped
from cspine.settings import Settings
from tests.fuzz.mutations import mutated, originals

BLOCK = 100
CHUNK = 2**16
ACCEPTED, FAULT, CRASH, HANG, MEMORY = "accepted", "fault", "crash", "hang", "memory limit"
MIB = 2**20
DEATH = re.compile(r'File ".*/cspine/decoding/(\w+\.py)", line (\d+)')


@dataclass(frozen=True)
class Trial:
    """What became of one damaged file."""

    seed: int
    outcomes: list[str]  # of each file in it: `accepted` or a reason; else one of the words above
    grown: int = 0  # bytes by which the child's resident memory rose above what it was before, at its highest
    seconds: float = 0.0
    words: str = ""  # what went wrong, and where


@dataclass
class Summary:
    """All trials, counted."""

    outcomes: Counter[str] = field(default_factory=Counter)
    troubled: list[Trial] = field(default_factory=list)  # faults, crashes, hangs, memory limits
    slowest: Trial = Trial(0, [])
    largest: Trial = Trial(0, [])
    count: int = 0

    def add(self, trial: Trial) -> None:
        """Count one trial."""
        self.count += 1
        self.outcomes.update(trial.outcomes)
        if not {FAULT, CRASH, HANG, MEMORY}.isdisjoint(trial.outcomes):
            self.troubled.append(trial)
        self.slowest = max(self.slowest, trial, key=lambda one: one.seconds)
        self.largest = max(self.largest, trial, key=lambda one: one.grown)

    def having(self, outcome: str) -> list[Trial]:
        """Return the trials that came to this."""
        return [trial for trial in self.troubled if outcome in trial.outcomes]


def trials(settings: Settings, seeds: range, at_once: int = 1) -> Iterator[Trial]:
    """Try every seed, `at_once` children at a time; a child's death costs its file and no other."""
    blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
    files = originals()
    with tempfile.TemporaryDirectory(prefix="cspine-fuzz-") as folder:
        journals = [Path(folder) / str(number) for number in range(at_once)]
        for at in range(0, len(blocks), at_once):
            together = list(zip(blocks[at : at + at_once], journals, strict=False))
            started = [isolated(settings, _block, files, block, journal, settings) for block, journal in together]
            for (block, journal), child in zip(together, started, strict=True):
                with suppress(Refused):
                    child.result()
                yield from _settled(settings, files, block, journal)


def alone(settings: Settings, files: list[bytes], seed: int, journal: Path) -> Trial:
    """Try one seed in a child of its own, under the limits of one file."""
    try:
        isolated(settings, _block, files, range(seed, seed + 1), journal, settings).result()
    except Refused as refused:
        done, words = _read(journal)
        return done[0] if done else Trial(seed, [HANG if "no end" in refused.detail else CRASH],
                                          words=f"{refused.detail} at {words}")  # fmt: skip
    return _read(journal)[0][0]


def try_file(data: bytes, settings: Settings) -> list[str]:
    """Take a file as intake and prepare do, and return the outcome of each file in it."""
    file = io.BytesIO(data)
    if not archives.is_zip(file):
        return [_try_picture(file, settings)]
    try:
        return [_try_entry(entry, settings) for entry in archives.entries(file, settings)]
    except Refused as refused:
        return [refused.reason.value]


def _try_entry(entry: archives.Entry, settings: Settings) -> str:
    unpacked = io.BytesIO()
    try:
        with entry.open() as stream:
            while piece := stream.read(CHUNK):
                unpacked.write(piece)
    except Refused as refused:
        return refused.reason.value
    return _try_picture(unpacked, settings)


def _try_picture(file: BinaryIO, settings: Settings) -> str:
    try:
        read_header(file, "film", settings)
    except (Refused, Skipped) as refused:
        header = refused
    else:
        header = None
    try:
        decoded = decode(file, "film", settings)
    except (Refused, Skipped) as refused:
        assert header is None or header.reason is refused.reason, "the header was refused for another reason"
        return refused.reason.value
    assert header is None, "a file whose header was refused is decoded"
    assert decoded.frames, "no picture and no reason"
    for frame in decoded.frames:
        assert max(canonical(frame).shape) <= CANONICAL
        assert all(previews(frame))
    return ACCEPTED


def _block(files: list[bytes], seeds: range, journal: Path, settings: Settings) -> None:
    """Try some seeds; each is written down before it begins and after it has ended."""
    warnings.simplefilter("ignore")
    with journal.open("w") as log, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # libtiff and others talk
        faulthandler.enable(log)
        if len(seeds) == 1:
            faulthandler.dump_traceback_later(ONE_FILE_SECONDS - 5, file=log)
        for seed in seeds:
            _write(log, seed)
            _write(log, _trial(files, seed, settings))
        faulthandler.cancel_dump_traceback_later()


def _trial(files: list[bytes], seed: int, settings: Settings) -> dict[str, Any]:
    data = mutated(files, random.Random(seed))
    before, began, words = _restart_peak(), time.monotonic(), ""
    try:
        outcomes = try_file(data, settings)
    except MemoryError:
        outcomes, words = [MEMORY], _place(*sys.exc_info())
    except Exception:  # noqa: BLE001  # whatever else it is, it is what we look for
        outcomes, words = [FAULT], _place(*sys.exc_info())
    return {"seed": seed, "outcomes": outcomes, "grown": max(0, peak() - before),
            "seconds": time.monotonic() - began, "words": words}  # fmt: skip


def _place(kind: type[BaseException] | None, _: object, trace: TracebackType | None) -> str:
    """Name an exception by its type and by the last of our own lines, so that one cause has one name."""
    ours = [frame for frame in traceback.extract_tb(trace) if "cspine" in Path(frame.filename).parts]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "the trial itself"
    return f"{kind.__name__ if kind else None} at {where}"


def _restart_peak() -> int:
    """Let the peak of this process begin again, where the kernel can, and return it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak(process: int | str = "self") -> int:
    """Return the peak of a process's resident memory in bytes; raises OSError or IndexError where it has ended."""
    status = Path(f"/proc/{process}/status")
    if process == "self" and not status.exists():  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024


def _write(log: IO[str], value: Any) -> None:
    log.write(json.dumps(value) + "\n")
    log.flush()


def _read(journal: Path) -> tuple[list[Trial], str]:
    """Return the trials that ended, and where the child died, if it did: its last lines in our decoder."""
    text = journal.read_text(errors="replace") if journal.exists() else ""
    done = [Trial(**json.loads(line)) for line in text.splitlines() if line.startswith("{")]
    return done, ", ".join(f"{file}:{line}" for file, line in DEATH.findall(text)[:2])


def _settled(settings: Settings, files: list[bytes], block: range, journal: Path) -> Iterator[Trial]:
    """Give a block's trials; the file in which it ended is tried alone, and the rest goes on in another child."""
    while block:
        done, _ = _read(journal)
        journal.unlink(missing_ok=True)
        yield from done
        block = block[len(done) :]
        if block:
            yield alone(settings, files, block[0], journal)
            block = block[1:]
            journal.unlink(missing_ok=True)
        if block:
            with suppress(Refused):
                isolated(settings, _block, files, block, journal, settings).result()
