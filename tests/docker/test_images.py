"""The images, without a Docker engine: what they copy suffices for what they run, and the web has no TensorFlow."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

IMAGES = {"web": ("web", "migrate", "users", "doctor"), "worker": ("worker", "sweep", "doctor", "train", "release")}
UNNEEDED = shutil.ignore_patterns("__pycache__", "*.keras")
# What `python -m cspine COMMAND --help` does, for one command after another: what they import, they import once.
EACH = """
import runpy, sys
for command in sys.argv[1:]:
    sys.argv = ["cspine", command, "--help"]
    try:
        runpy.run_module("cspine", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        assert not ended.code, command
"""
COPY = re.compile(r"^COPY (?!--from)(.+) (\S+)$", re.MULTILINE)


def dockerfile(image: str) -> str:
    return (ROOT / "docker" / f"{image}.Dockerfile").read_text()


def last_stage(image: str) -> str:
    return dockerfile(image).rpartition("\nFROM ")[2]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_user_without_rights(image: str) -> None:
    assert re.findall(r"^USER (.+)$", last_stage(image), re.MULTILINE) == ["cspine"]


@pytest.mark.parametrize("image", IMAGES)
def test_everything_that_is_copied_exists_and_is_let_through(image: str) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for sources, _ in COPY.findall(dockerfile(image)):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert Path(source).parts[0] in allowed


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_enough_for_every_command(image: str, tmp_path: Path) -> None:
    for sources, target in COPY.findall(last_stage(image)):
        for source in sources.split():
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target, ignore=UNNEEDED)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = [sys.executable, "-c", EACH, *IMAGES[image]]
    ended = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert re.findall(r"^Usage: cspine (\S+)", ended.stdout, re.MULTILINE) == list(IMAGES[image])


def test_the_web_image_has_no_tensorflow() -> None:
    pinned = (ROOT / "requirements/web.txt").read_text()
    assert "requirements/web.txt" in dockerfile("web")
    assert not re.search(r"^(tensorflow|keras)", pinned, re.MULTILINE)
    assert not re.search(r"^COPY .*\b(models|worker)\b", dockerfile("web"), re.MULTILINE)


def test_exactly_one_tensorflow_is_in_each_list() -> None:
    for name, only in (("requirements.txt", "tensorflow-cpu"), ("requirements/gpu.txt", "tensorflow")):
        pinned = re.findall(r"^(tensorflow(?:-cpu)?)==", (ROOT / name).read_text(), re.MULTILINE)
        assert pinned == [only]


def test_cpu_and_gpu_have_the_same_version() -> None:
    lists = ("requirements.txt", "requirements/gpu.txt", "requirements/dev.txt")
    versions = {re.search(r"^tensorflow(?:-cpu)?==(\S+)", (ROOT / name).read_text(), re.MULTILINE)[1] for name in lists}
    assert len(versions) == 1
