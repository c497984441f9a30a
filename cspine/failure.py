"""What went wrong in an attempt, as a value: its kind, its reason, its place in our code and its fingerprint.

Nothing of a patient may stand in it. Messages of foreign libraries can quote header values, so that only the type of
a foreign error is kept; our own errors carry a detail that never holds patient data.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import FrameSummary, extract_tb

from cspine.errors import Contended, CspineError, Permanent, Retriable, ServiceFault
from cspine.reasons import Reason
from cspine.states import ErrorKind, Stage

ROOT = Path(__file__).resolve().parent.parent
MOST_CAUSES = 5
MOST_TEXT = 20_000


@dataclass(frozen=True)
class Failure:
    """The failure of one attempt."""

    kind: ErrorKind
    reason: Reason
    fingerprint: str
    service: bool = False  # the broker, the database or the blob store: nobody's try
    place: str | None = None  # the innermost line of ours, "folder/file.py:function"
    traceback: str | None = None


def of_error(error: BaseException, stage: Stage, release: str | None = None) -> Failure:
    """Describe an error that was raised in an attempt."""
    kind, reason = _judged(error)
    place = _place(error)
    return Failure(
        kind=kind,
        reason=reason,
        fingerprint=fingerprint(type(error).__name__, place, reason, release, stage),
        service=isinstance(error, ServiceFault) and not isinstance(error, Contended),
        place=place,
        traceback=_traceback(error),
    )


def of_process(reason: Reason, stage: Stage, release: str | None = None) -> Failure:
    """Describe the end of a process of which nothing but the fact is known."""
    return Failure(ErrorKind.UNKNOWN, reason, fingerprint("process", None, reason, release, stage))


def at_station(failure: Failure, station: str | None) -> Failure:
    """Tell failures apart by the device that made the pictures, where it is known: its files may be what is wrong."""
    if not station:
        return failure
    return replace(failure, fingerprint=_short("\n".join([failure.fingerprint, station])))


def fingerprint(what: str, place: str | None, reason: Reason, release: str | None, stage: Stage) -> str:
    """Return the same 16 characters for failures that are alike."""
    text = "\n".join([what, place or "", reason.value, release or "", stage.value])
    return _short(text)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _judged(error: BaseException) -> tuple[ErrorKind, Reason]:
    if isinstance(error, Retriable):
        return ErrorKind.TRANSIENT, error.reason
    if isinstance(error, Permanent):
        return ErrorKind.PERMANENT, error.reason
    if isinstance(error, MemoryError):
        return ErrorKind.UNKNOWN, Reason.OUT_OF_MEMORY
    return ErrorKind.UNKNOWN, error.reason if isinstance(error, CspineError) else Reason.INTERNAL_ERROR


def _place(error: BaseException) -> str | None:
    ours = [frame for frame in extract_tb(error.__traceback__) if _own_path(frame.filename)]
    return f"{_own_path(ours[-1].filename)}:{ours[-1].name}" if ours else None


def _own_path(filename: str) -> str | None:
    """Return a path relative to the repository where the file is ours, else null."""
    path = Path(filename)
    if not path.is_relative_to(ROOT) or "site-packages" in path.parts:
        return None
    return path.relative_to(ROOT).as_posix()


def _traceback(error: BaseException) -> str:
    parts = [_section(cause) for cause in _chain(error)]
    return "\n\ncaused\n\n".join(reversed(parts))[-MOST_TEXT:]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give the error, then what it came from."""
    current: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _section(error: BaseException) -> str:
    lines = [_line(frame) for frame in extract_tb(error.__traceback__)]
    name = type(error).__qualname__
    lines.append(f"{name}: {error}" if isinstance(error, CspineError) else f"{type(error).__module__}.{name}")
    return "\n".join(lines)


def _line(frame: FrameSummary) -> str:
    path = Path(frame.filename)
    shown = _own_path(frame.filename) or "/".join(path.parts[path.parts.index("site-packages") + 1 :]
                                                  if "site-packages" in path.parts else path.parts[-2:])  # fmt: skip
    return f"  {shown}:{frame.lineno} in {frame.name}\n    {frame.line or ''}".rstrip()
