"""What a run writes down, and when it goes on or is refused."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
import tensorflow as tf

from cspine.errors import Usage
from models.training import checkpoint, run
from models.training.checkpoint import Progress
from models.training.data import Data
from models.training.manifest import LeftOut
from tests.models.training.small import RECIPE, stripes

ROWS = [{"epoch": 1, "loss": 1.5, "rate": 0.1}, {"epoch": 2, "loss": 0.75, "rate": 0.05}]


@pytest.fixture(scope="module")
def data() -> Data:
    """Give three pictures and a file that could not be read."""
    return Data({"training": stripes(3)}, [LeftOut("x.png", "corrupt")])


def test_the_run_manifest_says_what_was_run_on_what(tmp_path: Path, data: Data) -> None:
    begun = run.begin(tmp_path / "out", RECIPE, 5, data, resume=False)
    facts = json.loads((begun.folder / "run.json").read_text())
    assert begun.folder == tmp_path / "out.training"
    assert facts["recipe"]["optimizer"]["rate"] == RECIPE.optimizer.rate and facts["seed"] == 5
    assert facts["pictures"] == {"training": 3, "left_out": 1}
    assert facts["versions"]["tensorflow"] == tf.__version__ and facts["machine"]["cores"] >= 1
    assert set(facts["code"]) == {"commit", "dirty"}
    written = (begun.folder / "manifest.jsonl").read_bytes()
    assert facts["data_manifest_sha256"] == hashlib.sha256(written).hexdigest()
    assert json.loads((begun.folder / "left_out.jsonl").read_text()) == {"file": "x.png", "reason": "corrupt"}
    begun.finish(Progress(epoch=4, best_epoch=3), "identity")
    facts = json.loads((begun.folder / "run.json").read_text())
    assert (facts["epochs"], facts["best_epoch"], facts["release"]) == (4, 3, "identity")
    assert facts["started"] <= facts["ended"]


def test_logs_hold_each_epoch_once_after_a_resumption(tmp_path: Path, data: Data) -> None:
    begun = run.begin(tmp_path / "out", RECIPE, 5, data, resume=False)
    begun.log(ROWS[:1])
    again = run.begin(tmp_path / "out", RECIPE, 5, data, resume=True)
    again.log(ROWS)
    assert len(again.facts["resumed"]) == 1
    with (begun.folder / "log.csv").open() as file:
        assert [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)] == ROWS
    events: dict[str, dict[int, float]] = {}
    for path in (begun.folder / "tensorboard").iterdir():
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                events.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    assert events == {"loss": {1: 1.5, 2: 0.75}, "rate": {1: pytest.approx(0.1), 2: pytest.approx(0.05)}}


def test_it_goes_on_only_with_the_same_recipe_seed_and_data(tmp_path: Path, data: Data) -> None:
    out = tmp_path / "out"
    with pytest.raises(Usage, match="there is no interrupted training"):
        run.check(out, resume=True)
    run.check(out, resume=False)
    folder = run.begin(out, RECIPE, 5, data, resume=False).folder
    (folder / checkpoint.NAME).touch()
    with pytest.raises(Usage, match="go on with --resume, or remove that folder"):
        run.check(out, resume=False)
    run.check(out, resume=True)
    with pytest.raises(Usage, match="began with another seed"):
        run.begin(out, RECIPE, 6, data, resume=True)
    with pytest.raises(Usage, match="began with another recipe"):
        run.begin(out, RECIPE.changed({"epochs": 99}), 5, data, resume=True)
    with pytest.raises(Usage, match="began with another data_manifest_sha256"):
        run.begin(out, RECIPE, 5, Data({"training": stripes(4)}), resume=True)
    checkpoint.clear(folder)
    run.check(out, resume=False)


def test_what_has_ended_is_not_gone_on_with(tmp_path: Path, data: Data) -> None:
    begun = run.begin(tmp_path / "out", RECIPE, 5, data, resume=False)
    begun.finish(Progress(epoch=4, best_epoch=3), "identity")
    with pytest.raises(Usage, match=r"the training in .*out\.training has ended"):
        run.check(tmp_path / "out", resume=True)
    (begun.folder / checkpoint.NAME).touch()  # killed before it was removed
    run.check(tmp_path / "out", resume=False)


def test_a_damaged_run_manifest_is_said(tmp_path: Path, data: Data) -> None:
    begun = run.begin(tmp_path / "out", RECIPE, 5, data, resume=False)
    (begun.folder / "run.json").write_text("{")
    with pytest.raises(Usage, match=r"run\.json cannot be read: remove"):
        run.check(tmp_path / "out", resume=True)


def test_another_file_of_pretrained_weights_is_another_training(tmp_path: Path, data: Data) -> None:
    weights = tmp_path / "net.weights.h5"
    weights.write_bytes(b"1")
    recipe = RECIPE.changed({"transfer.pretrained": weights})
    run.begin(tmp_path / "out", recipe, 5, data, resume=False)
    weights.write_bytes(b"2")
    with pytest.raises(Usage, match="began with another pretrained_sha256"):
        run.begin(tmp_path / "out", recipe, 5, data, resume=True)
