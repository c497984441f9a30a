"""`python -m tests.chaos.services`: the product's supervisor over four workers and a sweep, until SIGTERM.

A process of its own: a supervisor kills every child that it does not know, and the servers are not its.
"""

import sys

from cspine.embedded.services import PYTHON
from cspine.embedded.supervisor import Service, Supervisor
from cspine.settings import Settings

WORKERS = (("prepare", "2"), ("prepare", "2"), ("screen", "1"), ("screen", "1"))  # stage, children
ENTRY = (sys.executable, "-m", "tests.chaos.entry")


def main() -> int:
    """Run them."""
    settings = Settings()
    own = Supervisor(settings.environment(), settings.var / "log")
    with own.supervising():
        own.start(Service("sweep", (*PYTHON, "sweep"), 5.0))
        for number, (stage, children) in enumerate(WORKERS, 1):
            command = (*ENTRY, "worker", "--stage", stage, "--concurrency", children)
            own.start(Service(f"{stage}-{number}", command, 15.0))
        own.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
