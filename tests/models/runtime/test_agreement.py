"""Both runtimes give the same answers: on drawings, on noise, on blank pictures, in any company."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine import phantoms
from cspine.commands.release import DEMO
from cspine.errors import Permanent
from cspine.preprocessing import to_input
from cspine.reasons import Reason
from models.export.make import make
from models.release import LoadedRelease, load
from models.runtime import openvino_runtime
from models.runtime.openvino_runtime import GRAPH, BadExport, OpenVINORelease
from tests.once import once

LABELS = ("normal", "fracture", "dislocation")
SURE = 1e-3  # by which the two greatest probabilities differ where the label must agree


@pytest.fixture(scope="module")
def export(by_tensorflow: LoadedRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def write(folder: Path) -> None:
        folder.mkdir()
        make(by_tensorflow, DEMO, folder)

    return once(tmp_path_factory, "demo-export", write)


@pytest.fixture(scope="module")
def by_openvino(export: Path) -> OpenVINORelease:
    return openvino_runtime.load(DEMO, export)


@pytest.fixture(scope="module")
def by_tensorflow() -> LoadedRelease:
    return load(DEMO)


@pytest.fixture(scope="module")
def pictures(by_tensorflow: LoadedRelease) -> NDArray[np.float32]:
    """Give 8 drawings, 5 pictures of noise, a step and 2 blank ones, as inputs."""
    card, random = by_tensorflow.card, np.random.default_rng(5)
    drawn = [phantoms.draw(80_000 + i, LABELS[i % 3]).pixels for i in range(8)]
    noise = [random.integers(0, 255, (224, 224), np.uint8) for _ in range(5)]
    step = np.repeat(np.array([[20], [200]], np.uint8), 120, axis=0).repeat(200, axis=1)
    blank = [np.zeros((224, 150), np.uint8), np.full((224, 224), 255, np.uint8)]
    return np.stack([to_input(picture, card.input) for picture in [*drawn, *noise, step, *blank]])


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_both_runtimes_answer_alike(
    by_openvino: OpenVINORelease, by_tensorflow: LoadedRelease, pictures: NDArray[np.float32], batch: int
) -> None:
    for start in range(0, len(pictures), batch):
        chunk = pictures[start : start + batch]
        ours, theirs = by_openvino.predict(chunk), by_tensorflow.predict(chunk)
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=5e-4, rtol=0)
        np.testing.assert_allclose(ours.ood_score, theirs.ood_score, rtol=1e-3)
        second, first = np.sort(theirs.probabilities, axis=1)[:, -2:].T
        sure = first - second > SURE
        assert sure.any()
        np.testing.assert_array_equal(ours.probabilities.argmax(1)[sure], theirs.probabilities.argmax(1)[sure])
        for one, other, same in zip(ours.saliency, theirs.saliency, ours.explained == theirs.explained, strict=True):
            assert same
            np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max(), rtol=0)


def test_answers_outlive_the_next_batch(by_openvino: OpenVINORelease, pictures: NDArray[np.float32]) -> None:
    first = by_openvino.predict(pictures[:1])
    kept = first.saliency.copy()
    by_openvino.predict(pictures[1:2])
    np.testing.assert_array_equal(first.saliency, kept)


def test_an_input_that_is_no_number_is_refused(by_openvino: OpenVINORelease, pictures: NDArray[np.float32]) -> None:
    with pytest.raises(Permanent) as caught:
        by_openvino.predict(np.full_like(pictures[:1], np.nan))
    assert caught.value.reason is Reason.NOT_A_NUMBER


def test_bfloat16_and_threads_are_settings(export: Path, pictures: NDArray[np.float32]) -> None:
    """Where the processor has no bfloat16 OpenVINO computes in float32; either way the answers hardly move."""
    narrow = openvino_runtime.load(DEMO, export, "bf16", threads=1).predict(pictures[:8])
    wide = openvino_runtime.load(DEMO, export, "f32", threads=1).predict(pictures[:8])
    np.testing.assert_allclose(narrow.probabilities, wide.probabilities, atol=1e-2)


def test_weights_that_were_changed_fail_the_sentinel(export: Path, tmp_path: Path) -> None:
    weights = np.fromfile((export / GRAPH).with_suffix(".bin"), np.uint8)
    values = weights[: len(weights) // 4 * 4].view(np.float32)
    values[(np.abs(values) > 1e-3) & (np.abs(values) < 1)] *= 1.2
    weights.tofile(tmp_path / "graph.bin")
    (tmp_path / GRAPH).write_bytes((export / GRAPH).read_bytes())
    with pytest.raises(Permanent, match=r"answers of OpenVINO differ from sentinel\.npz") as caught:
        openvino_runtime.load(DEMO, tmp_path)
    assert caught.value.reason is Reason.SENTINEL_FAILED


def test_a_graph_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / GRAPH).write_text("<net/>")
    with pytest.raises(BadExport):
        openvino_runtime.load(DEMO, tmp_path)
