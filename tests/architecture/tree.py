"""The files of the repository, as the tests of its shape look at them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("cspine", "web", "worker", "models", "migrations")


def files(*suffixes: str, below: str = ".") -> Iterator[Path]:
    """Give every file that is committed or would be, by suffix (all of them without one), relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", below]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in sorted(filter(None, listed.split("\0"))):
        path = Path(name)
        if (not suffixes or path.suffix in suffixes) and (ROOT / path).is_file():
            yield path


def text(path: Path) -> str:
    """Return the text of a file named relative to the root."""
    return (ROOT / path).read_text(encoding="utf-8")
