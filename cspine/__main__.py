"""The command line and composition root: each subcommand is loaded from its folder when it is called, not before.

This is the one file of `cspine` that may name the other folders; it names them as text in a table.
"""

import importlib
import sys

import click
from pydantic import ValidationError

from cspine import logs
from cspine.errors import CspineError, ServiceFault, ServiceMissing, Usage
from cspine.settings import quiet_libraries

COMMANDS = {
    "batches": "cspine.commands.batches:batches",
    "cancel": "cspine.commands.cancel:cancel",
    "deadline": "cspine.commands.deadline:deadline",
    "demo": "cspine.commands.demo:demo",
    "discard": "cspine.commands.retry:discard",
    "doctor": "cspine.commands.doctor:doctor",
    "explain": "models.explain:explain",
    "export": "models.export.command:export",
    "failures": "cspine.commands.failures:failures",
    "forecast": "cspine.commands.forecast:forecast",
    "inspect": "cspine.commands.inspect:inspect",
    "ledger": "cspine.commands.ledger:ledger",
    "migrate": "cspine.commands.migrate:migrate",
    "pause": "cspine.commands.pause:pause",
    "phantom": "cspine.commands.phantom:phantom",
    "pretrained": "models.pretrained.commands:pretrained",
    "release": "cspine.commands.release:release",
    "replay": "cspine.commands.replay:replay",
    "retries": "cspine.commands.retry:retries",
    "resume": "cspine.commands.pause:resume",
    "retry": "cspine.commands.retry:retry",
    "screen": "cspine.commands.screen:screen",
    "sweep": "worker.commands:sweep",
    "train": "models.commands:train",
    "triage": "cspine.commands.triage:triage",
    "up": "cspine.commands.up:up",
    "users": "web.commands:users",
    "web": "web.commands:web",
    "worker": "worker.commands:worker",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every subcommand."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Screen cervical-spine radiographs in bulk. An aid for reading order, not a diagnosis."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 failures, 2 usage, 3 a service is missing."""
    quiet_libraries()
    logs.to_stderr()
    try:
        status = cli.main(args=arguments, prog_name="cspine", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        return 130
    except ValidationError as error:
        if error.title != "Settings":
            raise
        for fault in error.errors():
            name, words = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
            click.echo(f"cspine: {name}: {words}", err=True)
        return 2
    except Usage as error:
        click.echo(f"cspine: {error.detail}", err=True)
        return 2
    except (ServiceMissing, ServiceFault) as error:
        click.echo(f"cspine: {error.detail} ({error.reason.value}): {error.reason.sentence}", err=True)
        return 3
    except CspineError as error:
        click.echo(f"cspine: {error.detail} ({error.reason.value}): {error.reason.sentence}", err=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
