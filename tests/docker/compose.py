"""The compose file as Compose reads it: merge keys resolved, variables filled in."""

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import ROOT

FILES = ("docker-compose.yml", "docker-compose.gpu.yml")
VALUES = {
    "SECRET_KEY": "0123456789abcdef" * 4,
    "POSTGRES_PASSWORD": "postgrespassword",
    "REDIS_PASSWORD": "redispassword",
}
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?:(?P<how>:-|:\?)(?P<rest>[^}]*))?\}")


class Missing(Exception):
    """A variable that the file insists on is not set."""


def load(name: str, values: Mapping[str, str] = VALUES) -> dict[str, Any]:
    """Read one of the compose files with its variables filled in; raises `Missing`."""
    read = YAML(typ="safe").load((ROOT / name).read_text())
    filled: dict[str, Any] = _fill(read, values)
    return filled


def variables(name: str) -> dict[str, str | None]:
    """Return the variables that a compose file uses, with their defaults; null where it insists on a value."""
    found: dict[str, str | None] = {}
    for match in VARIABLE.finditer((ROOT / name).read_text()):
        default = match["rest"] if match["how"] == ":-" else None
        found.setdefault(match["name"], default)
    return found


def _fill(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, values) for inner in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: _value(match, values), value)
    return value


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    given = values.get(match["name"], "")
    if given or match["how"] is None:
        return given
    if match["how"] == ":?":
        raise Missing(match["name"])
    return str(match["rest"])
