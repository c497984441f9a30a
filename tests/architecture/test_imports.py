"""What importing does: never TensorFlow where it does not belong, never a connection, a model or a process.

Each question is put to a fresh Python, since this one has imported everything already.
"""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

IMPORT_ALL = """
import importlib, pkgutil, sys

BEGUN = []
WATCHED = ("socket.connect", "sqlite3.connect", "subprocess.Popen", "os.fork", "os.posix_spawn")

def watch(event, args):
    weights = event == "open" and str(args[0]).endswith((".keras", ".npz", ".h5", ".onnx"))
    if event in WATCHED or weights:
        BEGUN.append((event, str(args[0])))

sys.addaudithook(watch)
count = 0
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if module.name.rpartition(".")[2] != "__main__":
            importlib.import_module(module.name)
            count += 1
loaded = sorted({"tensorflow", "keras", "flask", "models", "worker", "web"} & set(sys.modules))
print(count, loaded, [event for event in BEGUN if event != ("subprocess.Popen", "uname")])  # Python's own `platform`
"""


def ask(code: str, *arguments: str) -> str:
    """Run code in a fresh Python at the root of the repository and return what it prints."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize(
    ("packages", "loaded"),
    [
        (("cspine",), []),
        (("web",), ["flask", "web"]),
        (("worker", "models"), ["keras", "models", "tensorflow", "worker"]),
    ],
    ids=["cspine", "web", "worker and models"],
)
def test_importing_connects_to_nothing_and_loads_no_model(packages: tuple[str, ...], loaded: list[str]) -> None:
    count, rest = ask(IMPORT_ALL, *packages).split(" ", 1)
    assert int(count) > 3
    assert rest == f"{loaded} []"


def test_the_command_line_loads_no_other_folder_before_a_subcommand_is_called() -> None:
    code = "import sys, cspine.__main__; print(sorted({'web', 'worker', 'models', 'tensorflow'} & set(sys.modules)))"
    assert ask(code) == "[]"


def test_every_subcommand_of_the_table_can_be_loaded() -> None:
    code = (
        "import cspine.__main__ as m, click; c = click.Context(m.cli);"
        "print([n for n in m.COMMANDS if not isinstance(m.cli.get_command(c, n), click.Command)])"
    )
    assert ask(code) == "[]"
