"""The peer: a process of an environment of its own (pydicom_side.py), asked for its time of a film."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.bench import pydicom_side

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PYTHON = Path(".venv/peer/bin/python")
TRIES = 3


class Peer:
    """A running peer; `python` is the interpreter of its environment."""

    def __init__(self, python: Path | str = PYTHON) -> None:
        """Start it, with one thread; its folder is not on its path (-P), so that it can import nothing of ours."""
        self._process = subprocess.Popen(
            [str(python), "-P", pydicom_side.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )

    def __enter__(self) -> Self:
        """Use it for as long as the block lasts."""
        return self

    def __exit__(self, *error: object) -> None:
        """End it by closing its questions."""
        self._process.communicate()

    def choose(self, film: Path, save: Path) -> str | None:
        """Return the plugin that takes the least time for a film, of those that read it, and save its picture.

        An empty name is pydicom itself, which needs none for plain pixels; None where no plugin reads the film.
        """
        names = self._ask(path=str(film))["plugins"] or [""]
        taken = {}
        for name in names:
            answers = [self._ask(path=str(film), plugin=name, save=None) for _ in range(TRIES)]
            if "error" not in answers[-1]:
                taken[name] = min(sum(one.values()) for one in answers)
        if not taken:
            return None
        best = min(taken, key=taken.__getitem__)
        self._ask(path=str(film), plugin=best, save=str(save))
        return str(best)

    def take(self, film: Path, plugin: str) -> dict[str, float]:
        """Return the CPU milliseconds of the parts of one film."""
        answer = self._ask(path=str(film), plugin=plugin, save=None)
        return {name: float(value) for name, value in answer.items()}

    def _ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"the peer ended with {self._process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer
