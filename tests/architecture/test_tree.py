"""The shape of the repository: short files, packages everywhere below tests, nothing unfinished, nothing foreign."""

import ast
import re
from pathlib import Path

from tests.architecture.tree import PACKAGES, files, text
from tests.conftest import ROOT

LONGEST = 350
CODE = (".py", ".js", ".css", ".html", ".sh", ".yml", ".toml", ".md", ".in", ".txt")
CONTRACT = {"cspine", "web", "worker", "models", "migrations", "tests", "bin", "docker", "requirements", "docs", ".ci"}
STATEMENTS = {"select", "insert", "update", "delete"}
ENVIRONMENT = {"environ", "getenv", "putenv"}  # of `os`
# A letter of each in brackets, so that this file passes its own test.
UNFINISHED = re.compile(r"TOD[O]|FIXM[E]|XX[X]|NotImplementedErro[r]")
FOREIGN = re.compile(r"pyp[i]\.|pythonhoste[d]|npmj[s]|deb\.debia[n]|/wor[k]/")


def test_a_file_holds_at_most_350_lines() -> None:
    """A migration may hold more: it is written once and never edited."""
    code = [path for path in files(".py", ".js", ".css", ".html") if path.parts[:2] != ("migrations", "versions")]
    assert [str(path) for path in code if len(text(path).splitlines()) > LONGEST] == []


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {parent for path in files(".py", below="tests") for parent in path.parents if parent != Path()}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


def test_the_folders_at_the_top_are_those_of_the_design() -> None:
    assert {path.parts[0] for path in files() if len(path.parts) > 1} == CONTRACT


def test_nothing_is_unfinished_and_nothing_names_a_registry_or_a_machine() -> None:
    found = [
        f"{path}: {line.strip()}"
        for path in files(*CODE)
        for line in text(path).splitlines()
        if UNFINISHED.search(line) or FOREIGN.search(line)
    ]
    assert found == []


def test_only_the_settings_read_the_environment() -> None:
    readers = set()
    for path in [path for package in PACKAGES for path in files(".py", below=package)]:
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and ast.unparse(node.value) == "os":
                readers.add(str(path))
    assert readers <= {"cspine/settings.py"}


def test_a_migration_imports_nothing_of_ours() -> None:
    for path in files(".py", below="migrations/versions"):
        tree = ast.parse(text(path))
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {module.split(".")[0] for module in modules}.isdisjoint({*PACKAGES, "tests", ""}), path


def test_sql_is_written_in_records_only() -> None:
    """Sessions are passed around; statements are made in `records`."""
    writers = set()
    for path in [path for package in ("cspine", "web", "worker", "models") for path in files(".py", below=package)]:
        for node in ast.walk(ast.parse(text(path))):
            from_it = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
            if from_it and STATEMENTS & {alias.name for alias in node.names}:
                writers.add(path)
    allowed = {Path("cspine/database.py")}  # asks PostgreSQL for the time
    assert {path for path in writers if Path("cspine/records") not in path.parents} <= allowed
