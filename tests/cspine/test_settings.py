"""Settings: the environment in, one frozen model out."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cspine.errors import Usage
from cspine.settings import Settings


def test_the_defaults_are_embedded(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    assert settings.database == f"sqlite+pysqlite:///{tmp_path}/cspine.db"
    assert settings.blobs == f"file://{tmp_path}/blobs"
    assert settings.embedded_broker


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@db/cspine")
    monkeypatch.setenv("MAX_LONE_ATTEMPTS", "5")
    settings = Settings()
    assert settings.database == "postgresql+psycopg://u:p@db/cspine"
    assert settings.max_lone_attempts == 5


def test_a_child_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, screen_batch=3, redis_url="redis://x")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_nobody_changes_them() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("key", ["", "short", "change-me", "secret"])
def test_production_refuses_a_weak_key(key: str) -> None:
    with pytest.raises(Usage, match="SECRET_KEY"):
        _ = Settings(env="production", secret_key=key).key


def test_a_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = Settings(var=tmp_path / "var", secret_key="").key
    assert len(first) >= 32
    assert Settings(var=tmp_path / "var", secret_key="").key == first
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600
