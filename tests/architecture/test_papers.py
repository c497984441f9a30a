"""The papers say what the code does: every reason, every setting, every command; and their links lead somewhere."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from cspine.__main__ import COMMANDS
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.architecture.tree import files, text
from tests.conftest import ROOT

PAPERS = list(files(".md"))
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")
DECISION = re.compile(r"(\d{3})-[a-z0-9-]+\.md")


def rows(path: str) -> set[tuple[str, ...]]:
    """Return the rows of a paper's tables, cell by cell."""
    lines = [line for line in text(Path(path)).splitlines() if line.startswith("| ")]
    return {tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines}


def test_every_reason_is_explained_in_its_own_words() -> None:
    explained = {row for row in rows("docs/reasons.md") if row[0].startswith("`")}
    assert explained == {(f"`{reason.value}`", reason.sentence) for reason in Reason}


def test_every_setting_is_explained_with_its_default() -> None:
    explained = {row[:2] for row in rows("docs/operations.md")}
    for field in Settings.model_fields.values():
        assert (f"`{field.validation_alias}`", str(field.default) or "(none)") in explained


def test_every_subcommand_is_named() -> None:
    named = {row[0].split()[0].strip("`") for row in rows("docs/operations.md")}
    assert set(COMMANDS) - named == set()


@pytest.mark.parametrize("path", PAPERS, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(text(path))
    assert [target for target in targets if not (ROOT / path.parent / target).exists()] == []


def test_make_explains_every_target_of_the_design() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in told.splitlines()} >= {"setup", "demo", "test", "check", "bench", "up", "help"}


def test_make_bench_measures_chain_and_queue_too() -> None:
    told = subprocess.run(["make", "-n", "bench"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (parts,) = re.findall(r"for part in ([a-z ]+);.* -m tests\.bench\.\$part", told)
    assert set(parts.split()) >= {"chain", "queue"}
    assert [part for part in parts.split() if not (ROOT / "tests" / "bench" / f"{part}.py").exists()] == []


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [int(DECISION.fullmatch(path.name)[1]) for path in files(".md", below="docs/decisions")]
    assert len(set(numbers)) == len(numbers)


def test_a_decision_fits_one_page() -> None:
    assert [str(path) for path in files(".md", below="docs/decisions") if len(text(path).splitlines()) > 60] == []


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert text(Path("CHANGELOG.md")).splitlines()[2].lower() == "## unreleased"


def test_the_repository_is_never_installed() -> None:
    assert set(tomllib.loads(text(Path("pyproject.toml")))) == {"tool"}
