"""Progress of a training: a bar with the time left on a terminal, a line an epoch elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """What `data` and `fit` report to."""

    def __init__(self, epochs: int) -> None:
        """Take the length of the training in epochs."""
        self.console = Console(stderr=True)
        self.epochs, self.steps, self.epoch, self.ran = epochs, 0, 0, 0
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self.console, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.task = self.bar.add_task("Preparing", total=None)
        self.started = time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self.bar.stop()

    def prepared(self, done: int, total: int) -> None:
        """Show how many files are read or drawn."""
        self.bar.update(self.task, total=total, completed=done)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.bar.console.print(text, highlight=False, soft_wrap=True)

    def trained(self, epoch: int, step: int, figures: dict[str, float] | None) -> None:
        """Show a step, or an epoch's figures at its end."""
        if figures is None:
            if epoch == 0:
                self.started, self.steps = time.monotonic(), step
                self.bar.reset(self.task, total=self.epochs * step)  # drawing went at another speed
                return
            self.bar.update(self.task, description=f"Epoch {self.epoch + 1} of {self.epochs}",
                            completed=self.epoch * self.steps + step)  # fmt: skip
            return
        self.epoch, self.ran = epoch, self.ran + 1
        left = (time.monotonic() - self.started) / self.ran * (self.epochs - epoch)
        accuracy = figures.get("val_logits_accuracy", figures.get("val_accuracy", 0.0))
        loss = figures.get("val_logits_loss", figures.get("val_loss", 0.0))
        self.say(f"epoch {epoch}/{self.epochs}: loss {figures['loss']:.3f}, validation loss {loss:.3f}, "
                   f"validation accuracy {accuracy:.1%}, {left / 60:.0f} min left")  # fmt: skip
