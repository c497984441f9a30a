"""Settings: the environment in, one frozen model out."""

import secrets
from pathlib import Path

import pytest
from pydantic import ValidationError

from cspine.__main__ import main
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


@pytest.mark.parametrize(
    "key", ["", "short", "a" * 40, "change-me" * 4, "0123456" * 6, "SECRET_KEY" + "0123456789abcdef" * 2]
)
def test_production_refuses_a_weak_key(key: str) -> None:
    with pytest.raises(Usage, match="SECRET_KEY"):
        _ = Settings(env="production", secret_key=key).key


def test_a_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = Settings(var=tmp_path / "var", secret_key="").key
    assert len(first) >= 32
    assert Settings(var=tmp_path / "var", secret_key="").key == first
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_production_takes_a_key_drawn_at_random() -> None:
    key = secrets.token_hex(32)
    assert Settings(env="production", secret_key=key).key == key


@pytest.mark.parametrize(
    ("name", "value"),
    [("CSPINE_MAX_WAIT_HOURS", "abc"), ("CSPINE_TIMEZONE", "Mars"), ("CSPINE_TIMEZONE", "../etc/passwd"),
     ("CSPINE_ENV", "prod"), ("CSPINE_SCREEN_BATCH", "0"), ("CSPINE_OVERNIGHT_WINDOW", "22-6"),
     ("CSPINE_LOG_LEVEL", "loud")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["triage", "up", "sweep", "web"])
def test_a_bad_value_ends_with_2_and_the_name_of_its_variable(
    command: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv(name, value)
    assert main([command]) == 2
    assert capsys.readouterr().err.startswith(f"cspine: {name}: ")
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("command", [["up"], ["web"], ["sweep"], ["worker", "--stage", "prepare"]])
def test_no_service_starts_in_production_without_a_key(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    environment = Settings(var=tmp_path / "var", env="production", secret_key="").environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(command) == 2
    assert "SECRET_KEY" in capsys.readouterr().err
    assert not (tmp_path / "var").exists(), "nothing was begun"


@pytest.mark.parametrize("given", [None, "0"])
def test_the_libraries_are_quiet_unless_the_environment_says_otherwise(
    given: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a command sets its child processes inherit."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "before")  # so that it is restored
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    if given is not None:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", given)
    assert main(["worker", "--help"]) == 0
    assert Settings(var=tmp_path).environment()["TF_CPP_MIN_LOG_LEVEL"] == (given or "3")


def test_a_code_page_is_a_known_one() -> None:
    assert Settings(archive_code_page="CP866").archive_code_page == "cp866"
    with pytest.raises(ValidationError, match="code page"):
        Settings(archive_code_page="cp99999")
