"""The metrics' names, everywhere they are written; and that no label can grow without end."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import prometheus_client.parser as prometheus
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = re.compile(r"relatent_[a-z_]+")


@pytest.fixture
def families(client):
    client.post("/sample")
    client.post("/sample", json={"n": 0})
    text = client.get("/metrics").text
    return {family.name: family for family in prometheus.text_string_to_metric_families(text)}


def ours(families):
    return {name: family for name, family in families.items() if name.startswith("relatent_")}


def test_prometheus_reads_them_all(families):
    assert {
        "relatent_requests",
        "relatent_errors",
        "relatent_request_duration_seconds",
        "relatent_requests_in_progress",
        "relatent_queue_length",
        "relatent_queue_seconds",
        "relatent_compute_seconds",
        "relatent_items",
        "relatent_batch_items",
        "relatent_batch_requests",
        "relatent_bundle",
        "relatent_bundle_loads",
        "relatent_non_finite_outputs",
        "relatent_draining",
    } == set(ours(families))


def test_the_dashboard_and_the_documents_name_metrics_that_exist(families):
    exist = {sample.name for family in ours(families).values() for sample in family.samples}
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    named = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in NAME.findall(target["expr"])
    }
    assert named <= exist
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in named} >= {
        sample.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for sample in exist
        if not sample.endswith("_created")
    }
    document = (ROOT / "docs" / "serving.md").read_text()
    told = set(re.findall(r"`(relatent_[a-z_]+)", document))
    assert told == {family.name + ("_total" if family.type == "counter" else "") for family in ours(families).values()}


def test_dashboard_panels_do_not_lie_on_each_other(families):
    taken = set()
    for panel in json.loads((ROOT / "deploy" / "grafana.json").read_text())["panels"]:
        box = panel["gridPos"]
        cells = {(box["x"] + i, box["y"] + j) for i in range(box["w"]) for j in range(box["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_no_request_adds_a_label(client):
    def series():
        return {line.rpartition(" ")[0] for line in client.get("/metrics").text.splitlines()}

    def strange(number):
        client.get(f"/random/{number}")
        client.get(f"/static_content/{number}.js")
        client.post("/sample", json={"model": f"model-{number}"})
        client.request(f"METHOD{number}", "/sample")

    strange(0)
    before = series()
    for number in range(1, 30):
        strange(number)
    assert series() == before


DEAD = """
import os, subprocess, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
code = "from serving import metrics as m; m.DRAINING.set(1); m.NON_FINITE.inc()"
subprocess.run([sys.executable, "-c", code], check=True)
from serving import metrics
assert b"relatent_draining 1.0" in metrics.page()
metrics.forget_dead_processes()
print(metrics.page().decode())
"""


def test_the_dead_leave_their_counters_but_not_their_gauges(tmp_path):
    command = [sys.executable, "-c", DEAD, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, env={**os.environ})
    assert result.returncode == 0, result.stderr
    assert "relatent_draining 1.0" not in result.stdout
    assert "relatent_non_finite_outputs_total 1.0" in result.stdout


def test_counters_exist_before_they_count():
    """An alert on a counter that does not exist yet would never fire."""
    code = "from serving import metrics; print(metrics.page().decode())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    for outcome in ("loaded", "refused", "removed"):
        assert f'relatent_bundle_loads_total{{outcome="{outcome}"}} 0.0' in result.stdout
    assert "relatent_non_finite_outputs_total 0.0" in result.stdout
