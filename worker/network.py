"""The network in memory: the active release, fetched, verified and loaded in the child, once for each device.

OpenVINO runs it on a processor and TensorFlow on a GPU, or where there is no export. Either is imported inside the
functions, when it is used: TensorFlow used in a parent process deadlocks the children, and takes half a gigabyte.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from cspine import release_store
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import Permanent, ServiceFault
from cspine.reasons import Reason
from cspine.records import heartbeats, releases
from cspine.records.claims import CPU
from cspine.settings import Settings
from cspine.states import Stage
from cspine.tables import Release
from worker.exports import Exports, available

if TYPE_CHECKING:
    from models.runtime.release import Floats, Prediction
    from models.runtime.release import Release as Loaded

RETRY_SECONDS = 60.0
NVIDIA = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # a driver for TensorFlow to ask for devices; the latter in WSL

log = structlog.get_logger(__name__)


class Unfit(Permanent):
    """The release is whole and cannot be loaded: another attempt would find the same bytes."""

    default = Reason.BROKEN_RELEASE


@dataclass(frozen=True)
class Fault:
    """Why a release cannot be loaded, and until when nobody tries again: each attempt leaves some memory lost."""

    identity: str
    error: Permanent
    until: float  # on the steady clock


@dataclass(frozen=True)
class Ready:
    """A release that screens, and the device it does it on."""

    row: Release
    device: str


class Holder:
    """One release in memory: fetched, verified and loaded when it is asked for, once for each device."""

    def __init__(self, settings: Settings, blobs: BlobStore) -> None:
        """Keep what is needed to load; nothing is loaded."""
        self._settings, self._blobs = settings, blobs
        self._row: Release | None = None
        self._loaded: dict[str, Loaded] = {}
        self._exports = Exports(settings, blobs)

    def hold(self, row: Release) -> None:
        """Choose the release; another one that is in memory is let go."""
        if self._row is None or self._row.id != row.id:
            self._loaded, self._row = {}, row

    def let_go(self) -> None:
        """Hold none."""
        self._loaded, self._row = {}, None

    def on(self, device: str) -> Loaded:
        """Return the release on a device, loaded there at the first call, its answers compared with the pinned ones.

        Raises `Permanent`: broken_release, naming the file, or sentinel_failed.
        """
        if device not in self._loaded:
            assert self._row is not None, "hold() comes first"
            row = self._row
            folder = self._fetch(row)
            try:
                loaded = (self._by_openvino(row, folder) if device == CPU and available() else None) or (
                    self._by_tensorflow(folder, device)
                )
            except Permanent as error:
                kind = Permanent if error.reason is Reason.SENTINEL_FAILED else Unfit
                raise kind(f"{row.name} {row.version}: {error.detail}", error.reason) from error
            self._loaded[device] = loaded
            log.info("release loaded", release=row.name, version=row.version, device=device, runtime=loaded.runtime)
        return self._loaded[device]

    def _by_openvino(self, row: Release, folder: Path) -> Loaded | None:
        """Load the release's export; null where there is none that OpenVINO reads."""
        from models.runtime import openvino_runtime

        for anew in (False, True):
            export = self._exports.obtain(row.identity, anew=anew)
            if export is None:
                return None
            try:
                return openvino_runtime.load(folder, export, self._settings.precision, self._settings.screen_threads)
            except openvino_runtime.BadExport as error:
                log.warning("an export is of no use", release=row.identity[:12], why=str(error))
            except Permanent:
                self._exports.forget(row.identity)  # another may have been stored until the next try
                raise
        return None

    def _by_tensorflow(self, folder: Path, device: str) -> Loaded:
        import tensorflow as tf

        from models import release

        with tf.device(device.upper()):
            return release.load(folder)

    def predict(self, device: str, batch: Floats) -> Prediction:
        """Analyse float32 (n, size, size, channels); raises `MemoryError` where the device has no room for it."""
        loaded = self.on(device)
        if loaded.runtime == "OpenVINO":
            return loaded.predict(batch)
        import tensorflow as tf

        with tf.device(device.upper()):
            return loaded.predict(batch)

    def _fetch(self, row: Release) -> Path:
        try:
            return release_store.fetch(self._blobs, row.identity, self._settings.var.absolute() / "cache")
        except Permanent as error:
            raise Permanent(f"{row.name} {row.version}: {error.detail}", error.reason) from error


class Network(Holder):
    """The active release; where it is broken there is none, and a heartbeat says why."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStore, name: str) -> None:
        """Keep what is needed to load; nothing is loaded."""
        super().__init__(settings, blobs)
        self._database, self._name = database, name
        self._fault: Fault | None = None
        self._faulty = False

    def ready(self) -> Ready | None:
        """Load the active release where it is not loaded; null where it cannot be, so that nothing is claimed."""
        with self._database.read() as session:
            row = releases.active(session)
        try:
            if row is None:
                raise Permanent("no release is active", Reason.NO_RELEASE)
            device = self._load(row)
        except Permanent as error:
            self.let_go()
            self._say(error)
            return None
        self._recovered()
        return Ready(row, device)

    def _load(self, row: Release) -> str:
        """Load a release and return its device; whatever keeps it from being loaded is raised as `Permanent`."""
        known = self._fault
        if known is not None and known.identity == row.identity and time.monotonic() < known.until:
            raise known.error
        self.hold(row)
        try:
            device = _device()
            self.on(device)
        except ServiceFault:
            raise
        except Exception as error:
            said = error if isinstance(error, Permanent) else unnamed(row, error)
            wait = math.inf if isinstance(error, Unfit) else RETRY_SECONDS
            self._fault = Fault(row.identity, Permanent(said.detail, said.reason), time.monotonic() + wait)
            forget_networks()
            raise said from error
        self._fault = None
        return device

    def _say(self, error: Permanent) -> None:
        """Let /readyz, doctor and whoever waits know why nothing is screened."""
        log.error("nothing is screened", reason=error.reason.value, detail=error.detail)
        detail = {"fault": error.reason.value, "detail": error.detail}
        with self._database.write() as session:
            heartbeats.beat(session, self._name, Stage.SCREEN.value, detail)
        self._faulty = True

    def _recovered(self) -> None:
        if self._faulty:
            with self._database.write() as session:
                heartbeats.gone(session, self._name)
            self._faulty = False


def _device() -> str:
    """Return the device to screen on, as a claim notes it: `gpu:0`, or `cpu`."""
    if not any(path.exists() for path in NVIDIA):
        return CPU
    import tensorflow as tf

    return "gpu:0" if tf.config.list_physical_devices("GPU") else CPU


def unnamed(row: Release, error: Exception) -> Permanent:
    """Describe what nobody foresaw by its type alone: its words may quote anything."""
    words = f"{row.name} {row.version} cannot be loaded ({type(error).__name__})"
    return Permanent(words, Reason.OUT_OF_MEMORY if _full(error) else Reason.BROKEN_RELEASE)


def _full(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"  # TensorFlow's


def forget_networks() -> None:
    """Let go of what an attempt to load has left in memory."""
    if "keras" in sys.modules:
        import keras

        keras.utils.clear_session()
    gc.collect()
