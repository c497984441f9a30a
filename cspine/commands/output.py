"""How subcommands print: JSON on stdout and nothing else there, or tables for people; progress on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

NOTICE = "An aid for reading order, not a diagnosis."
PLAIN_EVERY = 10  # a plain line for every tenth of the work

Step = Callable[[int], None]


def print_json(value: Mapping[str, Any]) -> None:
    """Print one object as one line."""
    click.echo(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table that fits the terminal, or 160 columns elsewhere."""
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    console.print(f"\n{title}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@contextmanager
def progress(words: str, total: int | None) -> Iterator[Step]:
    """Show progress on stderr: a bar on a terminal, plain lines elsewhere. The step is called with what is done."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(words, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    said = -1

    def say(done: int) -> None:
        nonlocal said
        tenth = done * PLAIN_EVERY // total if total else done // 100
        if tenth != said:
            said = tenth
            click.echo(f"{words}: {done}" + (f" of {total}" if total else ""), err=True)

    yield say
