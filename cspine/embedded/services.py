"""The services of one machine as commands: what `up` runs, and what those need who only wait for an answer."""

import subprocess
import sys
from collections.abc import Callable

from cspine.database import Database
from cspine.embedded.supervisor import Service
from cspine.errors import ServiceFault
from cspine.queue import EXPLAIN
from cspine.records import heartbeats
from cspine.settings import Settings

BROKER, WEB = "broker", "web"
WORK = frozenset({BROKER, "sweep", "prepare", "screen"})
ALL = WORK | {WEB, EXPLAIN}
PYTHON = (sys.executable, "-m", "cspine")
COMMANDS = {
    "sweep": (*PYTHON, "sweep"),
    "prepare": (*PYTHON, "worker", "--stage", "prepare"),
    "screen": (*PYTHON, "worker", "--stage", "screen"),
    EXPLAIN: (*PYTHON, "worker", "--stage", EXPLAIN),
    WEB: (*PYTHON, "web"),
}
SILENCE = {"sweep": 300.0, "prepare": 90.0, "screen": 90.0, EXPLAIN: 90.0}  # a pass of the sweep may take long
GRACE = {"sweep": 5.0, "prepare": 15.0, "screen": 15.0, EXPLAIN: 15.0, WEB: 5.0}


def service(name: str, wanted: Callable[[], bool] = lambda: True) -> Service:
    """Return a service of our own by its name."""
    return Service(name, COMMANDS[name], GRACE[name], wanted, SILENCE.get(name))


def missing(database: Database, name: str) -> bool:
    """Say whether no process of this kind is alive on any machine."""
    try:
        with database.read() as session:
            return not heartbeats.alive(session, name)
    except ServiceFault:
        return False


def sign_in(settings: Settings) -> str | None:
    """Return a one-time sign-in address for the first admin; null where an admin can sign in already."""
    command = [*PYTHON, "users", "first-admin"]
    run = subprocess.run(command, env=settings.environment(), capture_output=True, text=True, check=False)
    return run.stdout.strip() or None
