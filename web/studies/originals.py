"""Originals: the files of a study as they were received, to be saved and never to be opened in the page.

A download holds a thread for as long as its reader takes, therefore only so many run at once, and a reader that takes
nothing for a while is left. The one change to the bytes: the preamble of a DICOM file, in which a program can stand
(CVE-2019-11687), is given as zeros. What is stored stays as it came.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import BoundedSemaphore
from typing import BinaryIO

from flask import Flask, Response, abort, current_app, request

from cspine.blobs import BlobStore
from cspine.settings import Settings
from cspine.tables import ReceivedFile
from web.bodies import CHUNK

EXTENSION = "cspine_downloads"
PREAMBLE, MAGIC = 128, b"DICM"
SUFFIXES = {"dicom": "dcm", "png": "png", "jpeg": "jpg", "tiff": "tif", "bmp": "bmp", "webp": "webp"}
SEND_SECONDS = 60.0  # for one chunk


def init(app: Flask, settings: Settings) -> None:
    """Allow downloads on a quarter of the threads."""
    app.extensions[EXTENSION] = BoundedSemaphore(max(1, settings.web_threads // 4))


def original(blobs: BlobStore, file: ReceivedFile) -> Response:
    """Answer with a kept file, in pieces; raises `Permanent` (blob_missing) where its bytes are gone."""
    assert file.blob_key is not None
    slots: BoundedSemaphore = current_app.extensions[EXTENSION]
    if not slots.acquire(blocking=False):
        abort(503)
    with ExitStack() as stack:
        stack.callback(slots.release)
        stream = stack.enter_context(blobs.open(file.blob_key))
        size = stream.seek(0, os.SEEK_END)
        response = Response(_pieces(stream, dicom=file.kind == "dicom"), mimetype=_mimetype(file))
        response.content_length = size
        response.headers["Content-Disposition"] = f'attachment; filename="{_name(file)}"'
        response.call_on_close(stack.pop_all().close)
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(SEND_SECONDS)
    return response


def _pieces(stream: BinaryIO, *, dicom: bool) -> Iterator[bytes]:
    stream.seek(0)
    head = stream.read(PREAMBLE + len(MAGIC))
    yield bytes(PREAMBLE) + MAGIC if dicom and head[PREAMBLE:] == MAGIC else head
    while piece := stream.read(CHUNK):
        yield piece


def _mimetype(file: ReceivedFile) -> str:
    return "application/dicom" if file.kind == "dicom" else "application/octet-stream"


def _name(file: ReceivedFile) -> str:
    """Return a name that says nothing of the patient and is none that a stranger chose."""
    return f"cspine-{file.study_id}-{file.id}.{SUFFIXES.get(file.kind or '', 'bin')}"
