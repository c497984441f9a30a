"""The services of one machine: an embedded broker, workers, sweep and web, run by `up` or for as long as one waits."""

from cspine.embedded.running import running
from cspine.embedded.services import ALL, WORK, sign_in

__all__ = ["ALL", "WORK", "running", "sign_in"]
