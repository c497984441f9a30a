"""The compose files, without a Docker engine: valid by the Compose specification, safe, and complete."""

import shutil
import subprocess
import sys

import pytest

from cspine.settings import Settings
from tests.conftest import ROOT
from tests.docker.compose import FILES, VALUES, Missing, load, variables

OURS = {"web", "worker-prepare", "worker-screen", "worker-explain", "sweep", "migrate"}
EVERY = OURS | {"redis", "db"}
SERVICES = load(FILES[0])["services"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_valid_by_the_schema_of_the_compose_specification(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", name]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_compose_itself_accepts_the_files() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("Docker's plugin `compose` is not here")
    files = [word for name in FILES for word in ("-f", name)]
    command = [docker, "compose", *files, "config", "--quiet"]
    ended = subprocess.run(command, cwd=ROOT, env=VALUES, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_every_service_of_the_design_is_there() -> None:
    assert set(SERVICES) == EVERY


@pytest.mark.parametrize("missing", sorted(VALUES))
def test_a_missing_secret_stops_the_start(missing: str) -> None:
    with pytest.raises(Missing, match=missing):
        load(FILES[0], {name: value for name, value in VALUES.items() if name != missing})


def test_every_service_restarts_and_every_lasting_one_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
        assert ("healthcheck" in service) == (name != "migrate")


def test_our_services_run_in_production_without_rights_that_they_do_not_need() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["environment"]["CSPINE_ENV"] == "production"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "user" not in service  # the images' own, who is not root


def test_what_an_installer_chooses_reaches_every_service() -> None:
    chosen = {"TIMEZONE": "Europe/Vienna", "OVERNIGHT_WINDOW": "22:00-06:00", "METRICS_TOKEN": "0123456789abcdef"}
    made = load(FILES[0], VALUES | chosen)["services"]
    for name in OURS:
        given = Settings.model_validate(made[name]["environment"])
        assert (given.site_timezone, given.overnight_window) == ("Europe/Vienna", "22:00-06:00"), name
        assert Settings.model_validate(SERVICES[name]["environment"]).overnight_window == ""
    assert Settings.model_validate(made["web"]["environment"]).metrics_token == chosen["METRICS_TOKEN"]


def test_the_database_is_migrated_before_anything_else_starts() -> None:
    for name in OURS - {"migrate"}:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}


def test_only_the_web_server_is_reached_from_outside_and_only_on_loopback() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"web"}
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_what_must_last_lies_in_volumes() -> None:
    compose = load(FILES[0])
    assert set(compose["volumes"]) == {"blobs", "db", "redis"}
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == set(compose["volumes"])


def test_redis_keeps_its_data_and_asks_for_the_password() -> None:
    lines = load(FILES[0])["configs"]["redis"]["content"].splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction", "requirepass redispassword"} <= set(lines)


def test_the_gpu_overlay_changes_a_service_that_exists() -> None:
    overlay = load(FILES[1])["services"]
    assert set(overlay) == {"worker-screen"}
    assert (ROOT / overlay["worker-screen"]["build"]["args"]["REQUIREMENTS"]).exists()


def test_the_example_names_every_variable_and_its_default() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    assert example == {name: default or "" for name, default in variables(FILES[0]).items()}
