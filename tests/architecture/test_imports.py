"""What importing does: never TensorFlow where it does not belong, never a connection, a model or a process.

The questions are put to fresh Pythons, since this one has imported everything already.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT

# Imports the packages of each argument in turn, and prints after each how many modules that were and what it did.
IMPORT_ALL = """
import importlib, json, pkgutil, sys

BEGUN = []
WATCHED = ("socket.connect", "sqlite3.connect", "subprocess.Popen", "os.fork", "os.posix_spawn")

def watch(event, args):
    weights = event == "open" and str(args[0]).endswith((".keras", ".npz", ".h5", ".onnx"))
    if event in WATCHED or weights:
        BEGUN.append((event, str(args[0])))

sys.addaudithook(watch)
for packages in sys.argv[1:]:
    count = 0
    for name in packages.split():
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, name + "."):
            if module.name.rpartition(".")[2] != "__main__":
                importlib.import_module(module.name)
                count += 1
    loaded = sorted({"tensorflow", "keras", "flask", "models", "worker", "web"} & set(sys.modules))
    begun = [event for event in BEGUN if event != ("subprocess.Popen", "uname")]  # Python's own `platform`
    print(json.dumps([count, loaded, begun]))
"""
NOT_LOADED = """
import cspine.__main__ as m, click
c = click.Context(m.cli)
print(json.dumps([n for n in m.COMMANDS if not isinstance(m.cli.get_command(c, n), click.Command)]))
"""


def ask(code: str, *arguments: str) -> list[str]:
    """Run code in a fresh Python at the root of the repository and return the lines that it prints."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Ask once, for TensorFlow takes seconds to load; web is asked apart from what it must not load."""
    cspine, worker, not_loaded = ask(IMPORT_ALL + NOT_LOADED, "cspine", "worker models")
    (web,) = ask(IMPORT_ALL, "web")
    answers = {"cspine": cspine, "web": web, "worker and models": worker, "not loaded": not_loaded}
    return {name: json.loads(answer) for name, answer in answers.items()}


@pytest.mark.parametrize(
    ("packages", "loaded"),
    [
        ("cspine", []),
        ("web", ["flask", "web"]),
        ("worker and models", ["keras", "models", "tensorflow", "worker"]),
    ],
    ids=["cspine", "web", "worker and models"],
)
def test_importing_connects_to_nothing_and_loads_no_model(
    told: dict[str, Any], packages: str, loaded: list[str]
) -> None:
    count, *rest = told[packages]
    assert count > 3
    assert rest == [loaded, []]


def test_the_command_line_loads_no_other_folder_before_a_subcommand_is_called() -> None:
    code = "import sys, cspine.__main__; print(sorted({'web', 'worker', 'models', 'tensorflow'} & set(sys.modules)))"
    assert ask(code) == ["[]"]


def test_every_subcommand_of_the_table_can_be_loaded(told: dict[str, Any]) -> None:
    assert told["not loaded"] == []
