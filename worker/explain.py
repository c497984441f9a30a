"""Explain: one saliency map that a person asked for, by the very release that gave the answer.

It runs in a worker of its own, so that a slow map delays no study, on the processor, so that a GPU is left to those
that screen. The child loads the network at its first map, and ends after some idle time to give the memory back.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray

from cspine import preprocessing, release_store
from cspine.blobs import BlobStore
from cspine.card import Card
from cspine.errors import Permanent, ServiceFault
from cspine.queue import EXPLAIN
from cspine.reasons import Reason
from cspine.records import explanations, freeing
from cspine.records.explanations import Work
from cspine.tables import Image, Result
from worker import idle
from worker.answers import short
from worker.parent import HOST
from worker.runtime import Runtime

if TYPE_CHECKING:
    from models.saliency.explainer import Explainer

log = structlog.get_logger(__name__)
_loaded: dict[str, Explainer] = {}  # at most one, by the release's identity


def run(own: Runtime, explanation_id: int) -> None:
    """Claim a map, make it, store it; whatever ends it is recorded."""
    idle.wake()
    name = freeing.worker_name(HOST, EXPLAIN, os.getppid(), os.getpid())
    seconds = own.settings.explain_seconds + own.settings.lease_seconds
    work = own.write(lambda session: explanations.claim(session, explanation_id, name, seconds))
    if work is not None:
        _attempt(own, work)
    idle.rest(own.settings.explain_idle_seconds)


def _attempt(own: Runtime, work: Work) -> None:
    try:
        key, options = make(own, work)
    except (ServiceFault, MemoryError):
        raise  # the lease, or the parent, brings it back
    except Exception as error:  # noqa: BLE001  # a person waits for it: it ends with a reason
        reason = error.reason if isinstance(error, Permanent) else Reason.INTERNAL_ERROR
        log.warning("no map", method=work.explanation.method, reason=reason.value, kind=type(error).__name__)
        own.write(lambda session: explanations.fail(session, work, reason))
        return
    if not own.write(lambda session: explanations.finish(session, work, key, options)):
        own.blobs.delete(key)


def make(own: Runtime, work: Work) -> tuple[str, dict[str, Any]]:
    """Make the map and store it as JSON; return its key and the options of the method.

    Raises `Permanent` where the picture or the release is not what the answer came from.
    """
    card, method = Card.model_validate(work.release.card), work.explanation.method
    pixels = picture(own.blobs, work.image, work.result)
    explained = work.result.explained or work.result.label
    batch = preprocessing.to_input(pixels, card.input)[None]
    grid = _explainer(own, work.release.identity).explain(method, batch, np.array([card.names.index(explained)]))[0]
    options = _options(method)
    told = {
        "method": method, "explained": explained, "options": options, "input_size": card.input.size,
        "geometry": asdict(preprocessing.geometry(pixels.shape[0], pixels.shape[1], card.input)), "grid": short(grid),
    }  # fmt: skip
    return own.blobs.put_bytes(json.dumps(told, separators=(",", ":")).encode(), suffix=".json"), options


def picture(blobs: BlobStore, image: Image, result: Result) -> NDArray[np.uint8]:
    """Read the canonical picture, uint8 (h, w), that a result is about; raises `Permanent` where it is another."""
    data = np.frombuffer(blobs.get(image.canonical_key), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if pixels is None or hashlib.sha256(pixels.tobytes()).hexdigest() != result.input_sha256:
        raise Permanent("the picture is not the one that was analysed", Reason.BLOB_MISSING)
    return np.asarray(pixels, np.uint8)


def _explainer(own: Runtime, identity: str) -> Explainer:
    """Return the release's network as the methods take it, loaded at the first call."""
    if identity not in _loaded:
        import tensorflow as tf

        from models import release
        from models.saliency.explainer import Explainer
        from models.saliency.head import read_head

        tf.config.set_visible_devices([], "GPU")
        folder = release_store.fetch(own.blobs, identity, own.settings.var.absolute() / "cache")
        loaded = release.load(folder)
        _loaded.clear()
        idle.hold()
        _loaded[identity] = Explainer(loaded.card.network, loaded.network, read_head(folder))
    return _loaded[identity]


def _options(method: str) -> dict[str, Any]:
    """Return what a method runs with, by the name of each option."""
    from models.saliency import METHODS

    parameters = inspect.signature(METHODS[method]).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}
