"""Hosts within this machine that share nothing but a wire: network namespaces at one bridge, each with its own name.

Where there can be none, groups of processes stand for them, each of which reaches the servers through a forwarder.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cspine.embedded import process
from tests.servers import free_port

NET = "10.213.{}.{}"


class Host(Protocol):
    """What can be done with a host."""

    name: str

    def run(self, command: Sequence[str], environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """Run a command on this host; all that it starts ends with it."""

    def end(self, running: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Ask a command to stop, and wait for it."""

    def unplug(self) -> None:
        """Pull the cable at the other end: nothing arrives any more, and nobody is told."""

    def plug(self) -> None:
        """Put the cable back."""

    def remove(self) -> None:
        """Take the host away."""


class Namespace:
    """A network of its own, and process ids and a host name."""

    def __init__(self, name: str, bridge: str, address: str) -> None:
        """Make it and plug it in."""
        self.name, self._bridge = name, bridge
        self._ns, self._plug = f"{bridge}-{name}", f"{bridge}{name}"[:15]
        _ip("netns", "add", self._ns)
        _ip("link", "add", self._plug, "type", "veth", "peer", "name", "eth0", "netns", self._ns)
        _ip("link", "set", self._plug, "master", bridge, "up")
        for words in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "lo", "up"),
                      ("link", "set", "eth0", "up")):  # fmt: skip
            _ip("-n", self._ns, *words)

    def run(self, command: Sequence[str], environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """Run a command on this host; all that it starts ends with it."""
        inside = f'hostname {self.name}; exec "$@"'
        words = ["ip", "netns", "exec", self._ns, "unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child",
                 "sh", "-c", inside, "sh", *command]  # fmt: skip
        with log.open("ab") as output:
            return process.spawn(words, environment, output)

    def end(self, running: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Ask a command to stop, and wait for it; `unshare`, which stands above it, hears no signal."""
        for pid in process.children(running.pid):
            os.kill(pid, signal.SIGTERM)
        running.wait(seconds)

    def unplug(self) -> None:
        """Pull the cable at the other end: nothing arrives any more, and nobody is told."""
        _ip("link", "set", self._plug, "nomaster")

    def plug(self) -> None:
        """Put the cable back."""
        _ip("link", "set", self._plug, "master", self._bridge)

    def remove(self) -> None:
        """Take the host away."""
        _ip("netns", "del", self._ns)


class Group:
    """A group of processes under a host name of its own, whose only way out is a forwarder that can be stopped."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        """Note where the servers stand; the forwarder starts with the first command."""
        self.name, self._address, self._folder = name, address, folder / f"{name}-name"
        self._forwarder: subprocess.Popen[bytes] | None = None
        self._folder.mkdir()
        (self._folder / "sitecustomize.py").write_text(f"import socket\nsocket.gethostname = lambda: {name!r}\n")

    def run(self, command: Sequence[str], environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """Run a command whose addresses all lead through the forwarder."""
        place = re.compile(re.escape(self._address) + r"(:|%3A)(\d+)")
        ours = {name: environment[name] for name in ("DATABASE_URL", "REDIS_URL", "BLOB_URL")}
        ports = {to: str(free_port()) for url in ours.values() for _, to in place.findall(url)}
        moved = {name: place.sub(lambda found: f"127.0.0.1{found[1]}{ports[found[2]]}", url)
                 for name, url in ours.items()}  # fmt: skip
        wires = [f"{port}:{self._address}:{to}" for to, port in ports.items()]
        path = f"{environment['PYTHONPATH']}{os.pathsep}{self._folder}"
        self._forwarder = process.spawn([sys.executable, "-m", "tests.integration.forwarder", *wires],
                                        dict(os.environ), subprocess.DEVNULL)  # fmt: skip
        with log.open("ab") as output:
            return process.spawn(command, environment | moved | {"PYTHONPATH": path}, output)

    def end(self, running: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Ask a command to stop, and wait for it."""
        running.terminate()
        running.wait(seconds)

    def unplug(self) -> None:
        """Stop the forwarder: nothing arrives any more, and nobody is told."""
        assert self._forwarder is not None
        self._forwarder.send_signal(signal.SIGSTOP)

    def plug(self) -> None:
        """Let the forwarder go on."""
        assert self._forwarder is not None
        self._forwarder.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """End the forwarder."""
        if self._forwarder is not None:
            self._forwarder.kill()
            self._forwarder.wait()


@contextmanager
def groups(folder: Path, *names: str) -> Iterator[tuple[str, list[Host]]]:
    """Give the address of the servers, and hosts that are only groups of processes."""
    made: list[Host] = [Group(name, "127.0.0.1", folder) for name in names]
    try:
        yield "127.0.0.1", made
    finally:
        for host in made:
            host.remove()


@contextmanager
def hosts(*names: str) -> Iterator[tuple[str, list[Host]]]:
    """Give the address of this machine on a bridge of its own, and the hosts that hang on it."""
    bridge, number = f"cs{os.getpid() % 10**6}", os.getpid() % 250
    ours = NET.format(number, 1)
    made: list[Host] = []
    _ip("link", "add", bridge, "type", "bridge")
    try:
        _ip("addr", "add", f"{ours}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for place, name in enumerate(names, 2):
            made.append(Namespace(name, bridge, NET.format(number, place)))
        yield ours, made
    finally:
        for host in made:
            host.remove()
        _ip("link", "del", bridge)


def missing() -> str | None:
    """Say why there can be no namespaces here, or null."""
    if not sys.platform.startswith("linux") or os.getuid() != 0:
        return "network namespaces need Linux and root"
    lacking = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    tried = subprocess.run(["unshare", "--net", "--uts", "--pid", "--fork", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "this machine lets nobody make a network namespace"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
