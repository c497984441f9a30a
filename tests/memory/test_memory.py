"""What a claim alone costs, in a limited child; and that the watch sees what a process held. `make memory` measures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cspine.decoding.isolation import isolated
from cspine.settings import Settings
from tests.fuzz.trials import peak, try_file
from tests.memory.files import MIB, bombs, folder
from tests.memory.watch import Watch
from tests.worker.services import wait

CLAIMS = {
    "PNG, 1 bit, 3,600 megapixels": "too_many_pixels",
    "TIFF, 100 megapixels claimed": "truncated",
    "TIFF, a strip of 4 GiB claimed": "truncated",
    "JPEG 2000, 100 megapixels claimed": "corrupt",
    "HTJ2K, 100 megapixels claimed": "corrupt",
}
ROOM = 64 * MIB  # and what the fork held already


@pytest.fixture
def settings() -> Settings:
    return Settings()


def refused(path: str) -> tuple[list[str], int]:
    """Decode a file and tell the outcome and this process's growth."""
    before = peak()
    return try_file(Path(path).read_bytes(), Settings()), peak() - before


@pytest.mark.parametrize("what", CLAIMS)
def test_a_claim_is_refused_before_it_costs_memory(what: str, settings: Settings, tmp_path: Path) -> None:
    bombs()[what](tmp_path / "bomb")
    outcomes, grown = isolated(settings, refused, str(tmp_path / "bomb")).result()
    assert outcomes == [CLAIMS[what]]
    assert grown < ROOM


def test_a_process_is_seen_by_what_it_does_at_its_highest() -> None:
    code = f"import sys; big = b'1' * {80 * MIB}; del big; print('ready', flush=True); sys.stdin.read()"
    watch = Watch(os.getpid())
    with subprocess.Popen([sys.executable, "-c", code, "web"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        wait(lambda: watch.peaks["web"] > 80 * MIB)
        watch.restart()
        wait(lambda: watch.peaks["web"])
        assert watch.peaks["web"] < 80 * MIB
        child.communicate()
    watch.stop()


def test_the_folder_holds_studies_and_what_is_none(tmp_path: Path, settings: Settings) -> None:
    folder(tmp_path / "many", 120)
    outcomes = [try_file(path.read_bytes(), settings) for path in sorted((tmp_path / "many").iterdir())]
    assert [outcomes.count([word]) for word in ("accepted", "unsupported_type")] == [117, 3]
