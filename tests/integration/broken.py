"""`python -m tests.integration.broken worker ...`: `cspine worker` with bugs in it.

CANARY_BUGS names those it has: `one` fails each picture of 60 rows, `two` each of 70. Both raise the same error, for
the same reason, in different places. The bugs lie here and not in the product.
"""

import os
import sys
from typing import Any

from cspine import preprocessing
from cspine.__main__ import main
from cspine.settings import quiet_libraries

VARIABLE = "CANARY_BUGS"
ROWS = {"one": 60, "two": 70}


def _one(pixels: Any) -> float:
    return float(pixels.shape[0] / (pixels.shape[0] - ROWS["one"]))


def _two(pixels: Any) -> float:
    return float(pixels.shape[0] / (pixels.shape[0] - ROWS["two"]))


def infect(bugs: list[str]) -> None:
    """Make the pipeline of this process, and of its children, fail."""
    shared: Any = preprocessing
    true = shared.to_input
    functions = [{"one": _one, "two": _two}[bug] for bug in bugs]

    def to_input(pixels: Any, *rest: Any) -> Any:
        for function in functions:
            function(pixels)
        return true(pixels, *rest)

    shared.to_input = to_input


if __name__ == "__main__":
    quiet_libraries()
    infect(os.environ[VARIABLE].split())
    sys.exit(main(sys.argv[1:]))
