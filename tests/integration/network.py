"""Hosts within this machine that share nothing but a wire: network namespaces at one bridge, each with its own name."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cspine.embedded import process

NET = "10.213.{}.{}"


class Host:
    """A namespace: its own network, process ids and host name."""

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

    @staticmethod
    def end(running: "subprocess.Popen[bytes]", seconds: float) -> None:
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
            made.append(Host(name, bridge, NET.format(number, place)))
        yield ours, made
    finally:
        for host in made:
            host.remove()
        _ip("link", "del", bridge)


def missing() -> str | None:
    """Say why there can be no hosts here, or null."""
    if not sys.platform.startswith("linux") or os.getuid() != 0:
        return "network namespaces need Linux and root"
    lacking = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    tried = subprocess.run(["unshare", "--net", "--uts", "--pid", "--fork", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "this machine lets nobody make a network namespace"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
