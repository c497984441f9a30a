"""The supervisor: restarts what dies, ends what does not listen, leaves nothing behind however it dies itself."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cspine.embedded.process import alive, children
from cspine.settings import Settings

PROGRAM = """
import os, sys
from pathlib import Path
from cspine.embedded.supervisor import Service, Supervisor
folder = Path(sys.argv[1])
services = [Service(name, (sys.executable, "-c", code), grace=0.5, silence={silence})
            for name, code in {services!r}.items()]
with Supervisor(dict(os.environ), folder / "log").supervising() as supervisor:
    for service in services:
        supervisor.start(service)
    supervisor.run()
(folder / "ended").touch()
"""
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); " + SLEEP


def wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def family(pid: int) -> set[int]:
    """Return a process's children and theirs."""
    return {found for child in children(pid) for found in (child, *children(child))}


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that runs a supervisor of some services, each a line of Python that prints when it is up."""
    started: list[subprocess.Popen[bytes]] = []

    def do(services: dict[str, str], silence: float | None = None) -> "subprocess.Popen[bytes]":
        program = textwrap.dedent(PROGRAM).format(services=services, silence=silence)
        popen = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=Settings().environment())
        started.append(popen)
        logs = [tmp_path / "log" / f"{name}.log" for name in services]
        wait(lambda: all(log.exists() and b"up" in log.read_bytes() for log in logs))
        return popen

    yield do
    for popen in started:
        popen.kill()
        popen.wait()


def test_a_service_that_dies_is_started_again(start: Start, tmp_path: Path) -> None:
    supervisor = start({"one": SLEEP, "two": SLEEP})
    before = set(children(supervisor.pid))
    os.kill(min(before), signal.SIGKILL)
    wait(lambda: len(set(children(supervisor.pid)) - before) == 1)
    assert len(children(supervisor.pid)) == 2
    wait(lambda: (tmp_path / "log" / "one.log").read_text().count("up") == 2)


def test_a_service_that_stands_still_is_killed_and_started_again(start: Start, tmp_path: Path) -> None:
    """One that has a pulse, and one that never had any and is left alone."""
    beating = (
        "import time; from pathlib import Path; from cspine.embedded.pulse import Pulse; "
        f"from cspine.settings import Settings; pulse = Pulse(Settings(var=Path({str(tmp_path)!r})))\n"
        "print('up', flush=True)\nwhile True: pulse.beat(); time.sleep(0.05)"
    )
    supervisor = start({"beating": beating, "silent": SLEEP}, silence=1.5)
    pulses = tmp_path / "run"
    wait(lambda: pulses.exists() and list(pulses.iterdir()))
    (first,) = (int(pulse.stem) for pulse in pulses.iterdir())
    others = set(children(supervisor.pid)) - {first}
    os.kill(first, signal.SIGSTOP)
    wait(lambda: not alive(first))
    wait(lambda: [pulse for pulse in pulses.iterdir() if int(pulse.stem) != first])
    assert others < set(children(supervisor.pid))


@pytest.mark.parametrize("wish", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_everything(start: Start, tmp_path: Path, wish: signal.Signals) -> None:
    supervisor = start({"one": SLEEP, "stubborn": STUBBORN, "parent": PARENT})
    wait(lambda: len(family(supervisor.pid)) == 4)
    all_of_them = family(supervisor.pid)
    supervisor.send_signal(wish)
    assert supervisor.wait(60) == 0
    assert (tmp_path / "ended").exists()
    assert not [pid for pid in all_of_them if alive(pid)]


def test_killed_itself_it_takes_its_services_along(start: Start) -> None:
    supervisor = start({"one": SLEEP, "stubborn": STUBBORN})
    all_of_them = family(supervisor.pid)
    supervisor.kill()
    supervisor.wait()
    wait(lambda: not [pid for pid in all_of_them if alive(pid)])


def test_all_are_in_one_process_group_and_do_not_hear_ctrl_c(start: Start) -> None:
    supervisor = start({"one": SLEEP})
    (service,) = children(supervisor.pid)
    assert os.getpgid(service) == os.getpgid(supervisor.pid)
    os.kill(service, signal.SIGINT)
    blocked = Path(f"/proc/{service}/status").read_text().split("SigBlk:")[1].split()[0]
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert alive(service)
