"""How the command line chooses studies: by name, by group, by batch, by a filter, or all that was given up."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from cspine.commands.service import Service
from cspine.errors import Usage
from cspine.records.filters import Filter
from cspine.records.selections import Selection

FIELDS = "reason, kind, stage, release, station, batch, since, state or fingerprint"


def narrowing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--filter`."""
    words = f"Only what has NAME=VALUE; may be given several times. NAME is {FIELDS}."
    return click.option("--filter", "fields", multiple=True, metavar="NAME=VALUE", help=words)(command)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the arguments and options by which studies are chosen."""
    for decorate in (
        click.argument("studies", nargs=-1),
        click.option("--group", "fingerprint", help="Everything that failed alike (a fingerprint of `failures`)."),
        click.option("--batch", "batch_name", help="Everything of this batch that failed or is quarantined."),
        click.option("--all", "everything", is_flag=True, help="Everything that failed or is quarantined."),
        narrowing,
    ):
        command = decorate(command)
    return command


def chosen(installation: Service, studies: Sequence[str], fingerprint: str | None, batch_name: str | None,
           everything: bool, fields: Sequence[str], canary: bool | None = None) -> Selection:  # fmt: skip
    """Return what was chosen; raises `Usage` where that is nothing, or more than one thing."""
    if sum([bool(studies), fingerprint is not None, batch_name is not None, everything, bool(fields)]) != 1:
        raise Usage("name studies, or give one of --group, --batch, --filter, --all")
    return Selection(
        studies=tuple(studies),
        fingerprint=fingerprint,
        batch=installation.batch(batch_name).id if batch_name is not None else None,
        everything=everything,
        chosen=narrowed(installation, fields) if fields else None,
        canary=canary,
    )


def narrowed(installation: Service, fields: Sequence[str]) -> Filter:
    """Return the filter that some NAME=VALUE make; a batch is called by its name. Raises `Usage`."""
    values: dict[str, str] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not value or name not in Filter.__dataclass_fields__:
            raise Usage(f"--filter is NAME=VALUE, where NAME is {FIELDS}")
        values[name] = installation.batch(value).id if name == "batch" else value
    return Filter.of(values)
