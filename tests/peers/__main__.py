"""Compare every file of pydicom's own test data with dcmtk and gdcm and print a table: python -m tests.peers [DIR]."""

import sys
from pathlib import Path

import pydicom

from cspine.settings import Settings
from tests.peers.compare import compare, missing_tools


def main() -> int:
    """Print a line for each file; 1 where a picture differs by more than one grey level."""
    if missing := missing_tools():
        print(f"not installed: {', '.join(missing)} (Debian: dcmtk, libgdcm-tools)", file=sys.stderr)
        return 3
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(pydicom.__file__).parent / "data"
    worst = 0
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}):
        found = compare(path, Settings())
        worst = max(worst, found.difference or 0)
        levels = "" if found.difference is None else f"{found.difference:3} {found.pixels:7}"
        print(f"{path.relative_to(root)!s:60.60} {found.outcome:44.44} {levels:11} {found.note}")
    return int(worst > 1)


if __name__ == "__main__":
    sys.exit(main())
