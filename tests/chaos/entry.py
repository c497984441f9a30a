"""`python -m tests.chaos.entry worker ...`: `cspine worker` whose children die of certain pictures, or hang.

The hook lies here and not in the product. Each poison is known by a hash: of its file in prepare, of its canonical
picture in screen. The table of them is a JSON file that CHAOS_POISON names: {hash: "kill" or "hang"}.
"""

import hashlib
import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from cspine import preprocessing
from cspine.__main__ import main
from cspine.settings import quiet_libraries

VARIABLE = "CHAOS_POISON"
KILL, HANG = "kill", "hang"


def poison(table: dict[str, str]) -> None:
    """Make the pipelines of this process, and of its children, die of what the table names."""
    prepare: Any = import_module("worker.prepare")
    shared: Any = preprocessing
    true_decode, true_input = prepare.decode, shared.to_input

    def decode(stream: BinaryIO, *rest: Any) -> Any:
        _swallow(table, stream.read())
        stream.seek(0)
        return true_decode(stream, *rest)

    def to_input(pixels: Any, *rest: Any) -> Any:
        _swallow(table, pixels.tobytes())
        return true_input(pixels, *rest)

    prepare.decode, shared.to_input = decode, to_input


def _swallow(table: dict[str, str], data: bytes) -> None:
    effect = table.get(hashlib.sha256(data).hexdigest())
    if effect == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    while effect == HANG:
        time.sleep(1)


if __name__ == "__main__":
    quiet_libraries()
    poison(json.loads(Path(os.environ[VARIABLE]).read_text()))
    sys.exit(main(sys.argv[1:]))
