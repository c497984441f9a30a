"""The export of a release for this worker: fetched, or made now by a process of its own, whose memory goes with it."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import structlog

from cspine import export_store
from cspine.blobs import BlobStore
from cspine.embedded import process
from cspine.embedded.services import PYTHON
from cspine.settings import Settings

SECONDS = 240.0  # less than a task may take

log = structlog.get_logger(__name__)


def available() -> bool:
    """Say whether OpenVINO is installed; it is not imported."""
    return find_spec("openvino") is not None


class Exports:
    """The exports that this worker uses; one that cannot be made is not tried again."""

    def __init__(self, settings: Settings, blobs: BlobStore) -> None:
        """Keep what is needed to fetch and to make."""
        self._settings, self._blobs, self._cache = settings, blobs, settings.var.absolute() / "cache"
        self._hopeless: set[str] = set()

    def obtain(self, identity: str, *, anew: bool = False) -> Path | None:
        """Return the folder of a sound export; null, with a line in the log, where none can be had."""
        from models.runtime.openvino_runtime import export_name

        name = export_name()
        if not anew and (found := export_store.fetch(self._blobs, identity, name, self._cache)) is not None:
            return found
        if identity in self._hopeless:
            return None
        export_store.forget(identity, name, self._cache)
        if self._make(identity) and (found := export_store.fetch(self._blobs, identity, name, self._cache)) is not None:
            return found
        log.warning("no export of the release can be made, TensorFlow runs it", release=identity[:12])
        self._hopeless.add(identity)
        return None

    def forget(self, identity: str) -> None:
        """Throw the local copy away: its answers were not those of the release."""
        from models.runtime.openvino_runtime import export_name

        export_store.forget(identity, export_name(), self._cache)

    def _make(self, identity: str) -> bool:
        path = self._settings.var / "log" / "export.log"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        log.info("the release is exported", release=identity[:12])
        with path.open("ab") as output:
            running = process.spawn([*PYTHON, "export", identity], self._settings.environment(), output)
        try:
            return running.wait(SECONDS) == 0
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            return False
