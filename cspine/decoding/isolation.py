"""A process of its own for one file: a crash, a hang or the memory limit ends the child and nothing else.

The child is a fork, so that it costs milliseconds; the parent must have imported the decoders and never TensorFlow.
The answer comes back as JSON: nothing that a child sends is ever unpickled.
"""

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any

from cspine.decoding.limits import limit_child
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

ONE_FILE_SECONDS = 60  # a prepare task, with its longer limit, may hold several files
_context = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Isolated:
    """A call that runs in its own process."""

    _process: ForkProcess
    _answer: Connection
    _seconds: int

    def result(self) -> Any:
        """Wait for the answer; raises `Refused` (corrupt) where the child crashed, hung or ran out of memory."""
        try:
            if not self._answer.poll(self._seconds):
                raise Refused(f"no end within {self._seconds} s", Reason.CORRUPT)
            return json.loads(self._answer.recv_bytes())
        except EOFError as error:
            self._process.join()
            raise Refused(f"the decoder ended with {self._process.exitcode}", Reason.CORRUPT) from error
        finally:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._answer.close()


def isolated(settings: Settings, function: Callable[..., Any], *arguments: Any) -> Isolated:
    """Start `function` in a child under the limits of the settings; what it returns must be fit for JSON."""
    answer, sender = _context.Pipe(duplex=False)
    process = _context.Process(target=_run, args=(sender, settings, function, arguments), daemon=True)
    process.start()
    sender.close()
    return Isolated(process, answer, min(settings.prepare_seconds, ONE_FILE_SECONDS))


def _run(sender: Connection, settings: Settings, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    limit_child(settings)
    try:
        sender.send_bytes(json.dumps(function(*arguments)).encode())
    except MemoryError:
        return  # the parent sees an end without an answer
