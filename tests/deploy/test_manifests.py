"""The files in deploy/: valid by the published schemas, and true of the service that they run."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from prometheus_client import REGISTRY

from serving import metrics
from serving.endpoints import PAGES
from serving.metrics import page
from serving.settings import KEYS, OTHERS, PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
VERSIONS = ("1.33", kubernetes_validate.latest_version())  # the oldest that is meant to work, the newest there is
PORT = 3000  # of `bentoml serve` in the image
LABELS = {"app.kubernetes.io/name": "relatent"}


def resources() -> dict[str, dict[str, Any]]:
    """Every Kubernetes resource by its kind."""
    documents = [document for path in KUBERNETES for document in yaml.safe_load_all(path.read_text())]
    found = {document["kind"]: document for document in documents}
    assert len(found) == len(documents)
    return found


RESOURCES = resources()
POD = RESOURCES["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["relatent"]
ENVIRONMENTS = {
    "compose": dict(SERVICE["environment"]),
    "kubernetes": {entry["name"]: entry.get("value", "") for entry in CONTAINER["env"]},
}


def settings(environment: dict[str, str]) -> Settings:
    return Settings.from_environment(environment)


def seconds(text: str) -> float:
    number = re.fullmatch(r"(\d+)s", text)
    assert number
    return float(number[1])


def metric_names() -> set[str]:
    """The names of all series of the service."""
    names = set()
    for family in REGISTRY.collect():
        ends = {"counter": ["_total"], "histogram": ["_sum", "_count", "_bucket"]}.get(family.type, [""])
        names |= {family.name + end for end in ends}
    return {name for name in names if name.startswith("relatent_")}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", sorted(RESOURCES))
def test_kubernetes_takes_every_resource(kind: str, version: str) -> None:
    kubernetes_validate.validate(RESOURCES[kind], version, strict=True)


def test_the_schemas_refuse_what_is_wrong() -> None:
    wrong = json.loads(json.dumps(RESOURCES["Deployment"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(wrong, VERSIONS[1], strict=True)


def test_compose_takes_the_file() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    validator.validate(COMPOSE)
    assert not validator.is_valid({"services": {"relatent": {**SERVICE, "stop_grace": "15s"}}})


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_every_variable_is_a_setting(name: str) -> None:
    chosen = settings(ENVIRONMENTS[name])  # an unknown RELATENT_* variable is an error
    assert chosen.api_keys_file is not None
    assert not chosen.anonymous
    assert chosen.workers == 1
    assert not set(ENVIRONMENTS[name]) & {KEYS}  # keys are in no file of the repository
    others = {key for key in ENVIRONMENTS[name] if not key.startswith(PREFIX)} - OTHERS
    assert others == {"BENTOML_HOME"}


def test_keys_come_from_where_they_are_mounted() -> None:
    [name] = SERVICE["secrets"]
    assert ENVIRONMENTS["compose"]["RELATENT_API_KEYS_FILE"] == f"/run/secrets/{name}"
    file = COMPOSE["secrets"][name]["file"]
    assert f"deploy/{Path(file).name}" in (ROOT / ".gitignore").read_text().splitlines()
    mounts = {mount["name"]: mount for mount in CONTAINER["volumeMounts"]}
    folder, _, key = ENVIRONMENTS["kubernetes"]["RELATENT_API_KEYS_FILE"].rpartition("/")
    assert mounts["api-keys"]["mountPath"] == folder
    text = (DEPLOY / "kubernetes" / "deployment.yaml").read_text()
    [secret] = [volume["secret"] for volume in POD["spec"]["volumes"] if "secret" in volume]
    assert f"create secret generic {secret['secretName']} --from-literal={key}=" in text


def test_probes_ask_paths_that_exist() -> None:
    probes = {name: CONTAINER[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe["path"] for probe in probes.values()} <= set(PAGES)
    assert probes["livenessProbe"]["path"] == "/livez"  # /readyz would restart whoever drains
    assert probes["readinessProbe"]["path"] == probes["startupProbe"]["path"] == "/readyz"
    [port] = CONTAINER["ports"]
    assert port == {"name": probes["livenessProbe"]["port"], "containerPort": PORT}
    annotations = POD["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] in PAGES
    assert int(annotations["prometheus.io/port"]) == PORT
    assert all(mapping.startswith("127.0.0.1:") and mapping.endswith(f":{PORT}") for mapping in SERVICE["ports"])


def test_the_health_check_follows_readiness(service_url: str) -> None:
    _, _, option, code = SERVICE["healthcheck"]["test"]
    assert option == "-c"
    assert f":{PORT}/readyz" in code
    for port, status in ((service_url.rpartition(":")[2], 0), ("9", 1)):  # nobody listens on 9
        words = [sys.executable, "-c", code.replace(str(PORT), port)]
        assert subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == status


def test_everyone_means_the_same_pods() -> None:
    assert POD["metadata"]["labels"] == LABELS
    assert RESOURCES["Deployment"]["spec"]["selector"]["matchLabels"] == LABELS
    assert RESOURCES["Service"]["spec"]["selector"] == LABELS
    assert RESOURCES["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == LABELS
    assert RESOURCES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == LABELS
    target = RESOURCES["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", RESOURCES["Deployment"]["metadata"]["name"])
    [service_port] = RESOURCES["Service"]["spec"]["ports"]
    [[policy_port]] = [rule["ports"] for rule in RESOURCES["NetworkPolicy"]["spec"]["ingress"]]
    assert service_port["targetPort"] == policy_port["port"] == CONTAINER["ports"][0]["name"]


def test_a_pod_may_be_taken_while_others_answer() -> None:
    assert (
        RESOURCES["PodDisruptionBudget"]["spec"]["maxUnavailable"]
        < (RESOURCES["HorizontalPodAutoscaler"]["spec"]["minReplicas"])
    )
    assert RESOURCES["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "replicas" not in RESOURCES["Deployment"]["spec"]  # the autoscaler's


def test_the_time_to_end_is_enough() -> None:
    """SIGTERM, the drain, what is in progress; Kubernetes counts preStop into the same time."""
    chosen = settings(ENVIRONMENTS["compose"])
    assert seconds(SERVICE["stop_grace_period"]) > chosen.drain_seconds + chosen.timeout + 2
    chosen = settings(ENVIRONMENTS["kubernetes"])
    wait = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = POD["spec"]["terminationGracePeriodSeconds"]
    assert grace > wait + chosen.drain_seconds + chosen.timeout + 2
    probe = CONTAINER["readinessProbe"]
    assert chosen.drain_seconds > probe["periodSeconds"] * probe["failureThreshold"]


def test_nothing_is_allowed_that_is_not_needed() -> None:
    context = CONTAINER["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    writable = {mount["mountPath"] for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")}
    for environment, places in ((ENVIRONMENTS["kubernetes"], writable), (ENVIRONMENTS["compose"], SERVICE["tmpfs"])):
        assert any(Path(environment["BENTOML_HOME"]).is_relative_to(place) for place in places)


def test_scaling_follows_metrics_of_the_service() -> None:
    rules = yaml.safe_load(RESOURCES["ConfigMap"]["data"]["config.yaml"])["rules"]
    series = {rule["name"]["as"]: rule["seriesQuery"].partition("{")[0] for rule in rules}
    wanted = {entry["pods"]["metric"]["name"] for entry in RESOURCES["HorizontalPodAutoscaler"]["spec"]["metrics"]}
    assert wanted == set(series)
    assert set(series.values()) <= metric_names()
    for name in series.values():  # and the page that Prometheus reads has them
        assert re.search(rf"^{name} ", page().decode(), flags=re.MULTILINE)
    limits = RESOURCES["HorizontalPodAutoscaler"]["spec"]["metrics"]
    queue = next(entry["pods"] for entry in limits if entry["pods"]["metric"]["name"] == "relatent_queue_length")
    assert int(queue["target"]["averageValue"]) < Settings().max_waiting


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    asked = set(re.findall(r"relatent_[a-z_]+", (DEPLOY / "grafana.json").read_text()))
    assert asked <= metric_names()
    assert metrics.REQUESTS.describe()[0].name + "_total" in asked
