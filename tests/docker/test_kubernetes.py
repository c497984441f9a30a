"""The Kubernetes example: what it names is there, in cspine and in itself; who runs may do little."""

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cspine.__main__ import COMMANDS
from cspine.embedded import pulse
from cspine.embedded.services import SILENCE
from cspine.settings import Settings
from tests.conftest import ROOT
from tests.web.test_alerts import METRIC, NAMES
from web import create_app

FOLDER = ROOT / "docs" / "kubernetes"
VARIABLES = {str(field.validation_alias) for field in Settings.model_fields.values()}
ADDRESSES = {"DATABASE_URL", "REDIS_URL", "BLOB_URL"}


def objects() -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("*.yml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield from document["items"] if document["kind"] == "List" else [document]


OBJECTS = list(objects())
PODS = {one["metadata"]["name"]: one["spec"]["template"] for one in OBJECTS if one["kind"] in {"Deployment", "Job"}}
NAMED = pytest.mark.parametrize("name", sorted(PODS))


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in OBJECTS if one["kind"] == kind]


def container(name: str) -> dict[str, Any]:
    (only,) = PODS[name]["spec"]["containers"]
    return dict(only)


def test_everything_is_in_one_namespace() -> None:
    (namespace,) = of_kind("Namespace")
    others = {one["metadata"]["namespace"] for one in OBJECTS if one["kind"] != "Namespace"}
    assert others == {namespace["metadata"]["name"]}


def test_every_part_of_a_fleet_runs() -> None:
    assert set(PODS) == {"migrate", "web", "prepare", "screen", "sweep", "explain"}


@NAMED
def test_commands_and_settings_are_cspines(name: str) -> None:
    own = container(name)
    program, command, *_ = own["command"]
    assert (program, command in COMMANDS) == ("bin/cspine", True)
    assert {one["name"] for one in own.get("env", ())} <= VARIABLES


@pytest.mark.parametrize("name", ["prepare", "screen", "sweep", "explain"])
def test_liveness_asks_the_pulse_of_this_pod_and_nobody_else(name: str, settings: Settings) -> None:
    """Only a process that had a pulse and has none is to be started anew, later than its supervisor would do it."""
    (*shell, script) = container(name)["livenessProbe"]["exec"]["command"]
    assert shell == ["sh", "-c"]

    def alive() -> bool:
        values = {"CSPINE_VAR": str(settings.var), "PATH": os.environ["PATH"]}
        return subprocess.run([*shell, script], env=values, capture_output=True, check=False).returncode == 0

    assert alive(), "it waits for its broker"
    own = pulse.Pulse(settings)
    own.beat()
    assert alive()
    file = pulse.path(settings.var, os.getpid())
    for seconds, said in ((SILENCE[name], True), (SILENCE[name] + 61, False)):
        moment = time.time() - seconds
        os.utime(file, (moment, moment))
        assert alive() is said
    own.end()
    assert alive(), "it has ended in order"


def test_the_job_can_be_applied_again_and_by_itself() -> None:
    (job,) = of_kind("Job")
    assert job["spec"]["ttlSecondsAfterFinished"] > 0, "a Job that is there cannot be changed"
    assert job["metadata"]["labels"]["part"] == "migrate"
    told = (ROOT / "docs" / "scaling.md").read_text()
    assert "delete job/migrate --ignore-not-found" in told
    assert "-l part=migrate" in told
    assert [one["kind"] for one in OBJECTS if one["metadata"].get("labels", {}).get("part") == "migrate"] == ["Job"]


def test_the_secret_and_the_settings_are_cspines() -> None:
    (secret,), (settings,) = of_kind("Secret"), of_kind("ConfigMap")
    assert ADDRESSES <= set(secret["stringData"]) <= VARIABLES
    assert set(settings["data"]) <= VARIABLES
    given = Settings.model_validate(secret["stringData"] | settings["data"])
    assert given.env == "production"
    assert given.blobs.startswith("s3://")


@NAMED
def test_a_pod_gets_its_addresses_and_a_folder_of_its_own(name: str) -> None:
    own = container(name)
    assert own["envFrom"] == [{"configMapRef": {"name": "cspine"}}, {"secretRef": {"name": "cspine"}}]
    volumes = {one["name"]: one for one in PODS[name]["spec"]["volumes"]}
    assert all("emptyDir" in volume for volume in volumes.values()), "nothing is shared"
    (settings,) = of_kind("ConfigMap")
    assert settings["data"]["CSPINE_VAR"] in {mount["mountPath"] for mount in own["volumeMounts"]}


@NAMED
def test_who_runs_may_do_little(name: str) -> None:
    pod, own = PODS[name]["spec"], container(name)
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert own["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {"cpu", "memory"} <= set(own["resources"]["requests"])
    assert "memory" in own["resources"]["limits"]


def test_selectors_find_their_pods() -> None:
    for one in of_kind("Deployment"):
        assert (
            one["spec"]["selector"]["matchLabels"].items()
            <= PODS[one["metadata"]["name"]]["metadata"]["labels"].items()
        )
    web = PODS["web"]["metadata"]["labels"]
    (service,), (budget,) = of_kind("Service"), of_kind("PodDisruptionBudget")
    assert service["spec"]["selector"].items() <= web.items()
    assert budget["spec"]["selector"]["matchLabels"].items() <= web.items()
    (monitor,) = of_kind("ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_addresses_that_are_asked_are_there(settings: Settings) -> None:
    app = create_app(settings)
    known = {str(rule) for rule in app.url_map.iter_rules()}
    probes = [container("web")[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")]
    (monitor,) = of_kind("ServiceMonitor")
    assert {*probes, monitor["spec"]["endpoints"][0]["path"]} <= known
    app.extensions["cspine"].database.dispose()


@pytest.mark.parametrize("scaled", of_kind("ScaledObject"), ids=lambda one: one["metadata"]["name"])
def test_what_is_scaled_is_there_and_by_metrics_that_there_are(scaled: dict[str, Any]) -> None:
    target = scaled["spec"]["scaleTargetRef"]["name"]
    deployment = next(one for one in of_kind("Deployment") if one["metadata"]["name"] == target)
    assert "replicas" not in deployment["spec"], "two would set the number"
    (trigger,) = scaled["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    assert set(METRIC.findall(query)) <= NAMES
    assert f'stage="{target}"' in query
    assert scaled["spec"]["minReplicaCount"] >= 1
