"""The alert rules: sound, tried, and about metrics that there are. promtool comes with Debian's package prometheus."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from web.metrics.families import COUNTERS, GAUGES, HISTOGRAMS, PREFIX

RULES, TRIALS = ROOT / "docs" / "alerts.yml", ROOT / "tests" / "web" / "alerts.yml"
METRIC = re.compile(r"\b(cspine_[a-z_]+)")
NAMES = {f"{PREFIX}{name}" for name in GAUGES} | {f"{PREFIX}{name}_total" for name in COUNTERS}
NAMES |= {f"{PREFIX}{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum", "count")}
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@needs_promtool
def test_promtool_finds_the_rules_sound() -> None:
    done = promtool("check", "rules", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


@needs_promtool
def test_each_alert_comes_when_it_must_and_only_then() -> None:
    done = promtool("test", "rules", TRIALS)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_would_see_an_alert_that_does_not_come(tmp_path: Path) -> None:
    deaf = RULES.read_text().replace("max(cspine_batches_unbalanced) > 0", "max(cspine_batches_unbalanced) > 9")
    (tmp_path / "alerts.yml").write_text(deaf)
    (tmp_path / "trials.yml").write_text(TRIALS.read_text().replace("../../docs/alerts.yml", "alerts.yml"))
    assert promtool("test", "rules", tmp_path / "trials.yml").returncode != 0


def test_each_alert_is_tried() -> None:
    tried = set(re.findall(r'alertname="(\w+)"', TRIALS.read_text()))
    assert tried == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_about_what_there_is_and_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert set(METRIC.findall(str(rule["expr"]))) <= NAMES
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["action"].endswith(".")
