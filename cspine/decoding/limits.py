"""The limits of a process that decodes a stranger's file."""

import resource
from pathlib import Path

from cspine.settings import Settings

PAGE = resource.getpagesize()


def limit_child(settings: Settings) -> None:
    """Limit this process's memory, and leave no core file with a patient's pixels; called in the child after the fork.

    The limit is on address space, `prepare_memory_bytes` above what is mapped at this moment: libraries map much that
    they never touch, and what counts is what the file makes them allocate.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE if Path("/proc/self/statm").exists() else 0
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = mapped + settings.prepare_memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
