"""`cspine pretrained`, through the command line."""

import hashlib
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import onnx
import pytest

from cspine.__main__ import main
from models.networks import NETWORKS
from models.pretrained import commands, imports, load, read
from tests.models.pretrained import writers

WIDTH = 0.0625


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the import build a narrow AlexNet; the real one has 61 million parameters."""
    build = NETWORKS["alexnet"].build
    monkeypatch.setattr(NETWORKS["alexnet"], "build", lambda classes: build(classes, width=WIDTH))


def test_its_networks_are_those_that_can_be_imported() -> None:
    assert set(commands.NETWORKS) == set(imports.KINDS) == set(NETWORKS)


def test_fetched_imported_listed_and_loaded(
    tmp_path: Path, narrow: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, blobs = writers.alexnet(WIDTH, 1000)
    site = tmp_path / "site"
    site.mkdir()
    onnx.save(graph, site / "zoo.onnx")
    digest = hashlib.sha256((site / "zoo.onnx").read_bytes()).hexdigest()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(site))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/zoo.onnx"
        assert main(["pretrained", "fetch", "mine.onnx", "--url", url, "--sha256", digest]) == 0
    fetched = tmp_path / "var" / "pretrained" / "mine.onnx"
    assert main(["pretrained", "import", str(fetched), "--network", "alexnet"]) == 0
    out = capsys.readouterr().out
    path = tmp_path / "var" / "pretrained" / "alexnet.weights.h5"
    count = sum(array.size for arrays in blobs.values() for array in arrays)
    assert f"imported: {count:,} parameters in 11 layers of alexnet into {path}" in out
    assert hashlib.sha256(path.read_bytes()).hexdigest() in out
    assert read(path).origin == f"mine.onnx sha256:{digest}"
    model = NETWORKS["alexnet"].build(3)
    assert load("alexnet", model, path)[-1] == "fc7"
    (path.parent / "broken.weights.h5").write_bytes(b"no")
    assert main(["pretrained", "list"]) == 0
    listed = capsys.readouterr().out
    for words in ("mine.onnx", "alexnet.weights.h5", "damaged", "bvlc_googlenet.caffemodel"):
        assert words in listed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch", "mine.h5"], "give --url and a digest"),
        (["fetch", "mine.h5", "--url", "http://127.0.0.1:9/"], "give --sha1 or --sha256"),
        (["fetch", "mine.h5", "--url", "http://127.0.0.1:9/", "--sha1", "12"], "'12' is no sha1"),
        (["fetch", "../mine.h5", "--url", "http://127.0.0.1:9/", "--sha1", "0" * 40], "no name of a file"),
        (["fetch", "mine.h5", "--url", "http://127.0.0.1:9/", "--sha1", "0" * 40], "could not be fetched"),
        (["import", __file__, "--network", "alexnet"], "is imported from .caffemodel or .onnx files"),
        (["import", __file__, "--network", "alexnet", "--out", "x.h5"], "ends in .weights.h5"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrained", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_nothing_there_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrained", "list"]) == 0
    assert "bvlc_alexnet.caffemodel" in capsys.readouterr().out
