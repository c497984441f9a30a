"""Progress of a training: a bar with the time left on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.training.manifest import LeftOut

QUIET = 60  # seconds after which a plain line says that the work goes on


class TrainingProgress:
    """What reading, drawing and fitting report to."""

    def __init__(self, epochs: int) -> None:
        """Take the length of the training in epochs."""
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self.console, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.task = self.bar.add_task("Preparing", total=None)
        self.epochs, self.ran, self.left = epochs, 0, 0.0
        self.started = self.said = time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self.bar.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.said = time.monotonic()
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def lost(self, files: Sequence[LeftOut]) -> None:
        """Print which files are left out, why, and how many there are."""
        for file in files:
            self.say(f"left out: {file.file} ({file.reason})")
        if files:
            self.say(f"{len(files)} files left out")

    def prepared(self, done: int, total: int) -> None:
        """Show how many files are read or drawn."""
        self.bar.update(self.task, total=total, completed=done)
        self._plain(f"prepared {done} of {total}")

    def step(self, epoch: int, done: int, steps: int) -> None:
        """Show a step of an epoch, counted from 1."""
        if not self.ran:
            self.started = time.monotonic()  # the first step compiles: its time tells nothing of the others
            self.bar.reset(self.task, total=self.epochs * steps, completed=(epoch - 1) * steps)
        self.ran += 1
        came, each = (epoch - 1) * steps + done, (time.monotonic() - self.started) / max(1, self.ran - 1)
        self.left = each * (self.epochs * steps - came)
        self.bar.update(self.task, description=f"Epoch {epoch} of {self.epochs}", completed=came)
        self._plain(f"epoch {epoch}/{self.epochs}: step {done} of {steps}, {self._time_left()}")

    def epoch(self, row: dict[str, float]) -> None:
        """Print an epoch's figures."""
        self.say(
            f"epoch {row['epoch']:.0f}/{self.epochs}: loss {row['loss']:.3f}, "
            f"validation loss {row['validation_loss']:.3f}, "
            f"validation accuracy {row['validation_accuracy']:.1%}, {self._time_left()}"
        )

    def _time_left(self) -> str:
        return f"{self.left / 60:.0f} min left" if self.left >= 60 else f"{self.left:.0f} s left"

    def _plain(self, text: str) -> None:
        if not self.console.is_terminal and time.monotonic() - self.said > QUIET:
            self.say(text)
