"""Read listed files through the one decoder: each in a process of its own, several at a time."""

import hashlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.decoding import canonical, decode
from cspine.decoding.isolation import isolated
from cspine.errors import Refused, Skipped
from cspine.reasons import Reason
from cspine.settings import Settings
from models.training.listing import Entry
from models.training.manifest import LeftOut, Record, pseudonym

Picture = NDArray[np.uint8]
Report = Callable[[int, int], None]
SUBGROUPS = ("sex", "view", "manufacturer")  # of a DICOM header; a list's own columns come before them


@dataclass
class Films:
    """What could be read: records and canonical pictures, uint8 (h, w), side by side; and what could not."""

    records: list[Record] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read(entries: Sequence[Entry], settings: Settings, scratch: Path, report: Report) -> Films:
    """Decode every frame of every file.

    The pictures are kept in one file without a name in the folder `scratch` and mapped into memory from there: 20,000
    of them are up to 5 GB, which the system holds in memory only as far as there is room.
    """
    films = Films()
    places: list[tuple[int, int, int]] = []
    # Children fork, which a process in which TensorFlow runs must not: so they are another process's children
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryFile(dir=scratch) as store,
        ProcessPoolExecutor(min(os.cpu_count() or 1, len(entries)), mp_context=context) as pool,
    ):
        answers = pool.map(_read_one, entries, repeat(settings), chunksize=4)
        for done, (entry, answer) in enumerate(zip(entries, answers, strict=True), start=1):
            if isinstance(answer, str):
                films.left_out.append(LeftOut(entry.file, answer))
            else:
                # Here and not in the children, where the first to ask would make the key while others read it
                films.records += [
                    replace(record, patient=pseudonym(record.patient, settings)) for record, _ in answer
                ]  # fmt: skip
                for _, picture in answer:
                    places.append((store.tell(), *picture.shape))
                    store.write(picture)
            report(done, len(entries))
        store.flush()
        pixels = np.memmap(store, np.uint8, "r") if places else np.empty(0, np.uint8)
    films.pictures = [pixels[start : start + rows * columns].reshape(rows, columns) for start, rows, columns in places]
    return films


def pixels_sha256(picture: Picture) -> str:
    """Return the SHA-256 of a picture with its shape."""
    return hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()


def _read_one(entry: Entry, settings: Settings) -> list[tuple[Record, Picture]] | str:
    """Return the frames of a file, their patient as the file names him, or the reason why there are none."""
    with tempfile.NamedTemporaryFile() as scratch:
        try:
            found = isolated(settings, _decode, str(entry.path), scratch.name, settings).result()
        except Refused as error:
            return error.reason.value
        if isinstance(found, str):
            return found
        pixels = np.frombuffer(scratch.read(), np.uint8)
    record = Record(entry.file, 0, found["sha256"], "", entry.label, split=entry.split,
                    columns={**found["columns"], **entry.columns},
                    patient=entry.patient or found["patient"] or found["study"])  # fmt: skip
    frames = []
    for index, start, rows, columns in found["frames"]:
        picture = pixels[start : start + rows * columns].reshape(rows, columns)
        frames.append((replace(record, frame=index, pixels_sha256=pixels_sha256(picture)), picture))
    return frames


def _decode(path: str, scratch: str, settings: Settings) -> dict[str, Any] | str:
    """Write the canonical pictures of a file one after the other and return where they lie; runs in a child."""
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            decoded = decode(file, Path(path).name, settings)
    except (Refused, Skipped) as error:
        return error.reason.value
    except OSError:
        return Reason.UNREADABLE.value
    frames = []
    with Path(scratch).open("wb") as out:
        for frame in decoded.frames:
            picture = canonical(frame)
            frames.append((frame.index, out.tell(), *picture.shape))
            out.write(np.ascontiguousarray(picture))
    header, meta = decoded.header, decoded.header.meta
    columns = {name: value for name in SUBGROUPS if (value := getattr(meta, name))}
    return {"sha256": digest, "patient": meta.patient_id or "", "study": header.study_uid or "", "columns": columns,
            "frames": frames}  # fmt: skip
