"""The alerts: promtool understands them and lets each one fire, they name what there is, and each has its runbook."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.processes import ROOT
from tests.install import find
from tests.prometheus.names import KNOWN
from tests.prometheus.queries import ALERTS, Query, find_queries, find_unknown, read_rules

CASES = Path(__file__).parent / "alerts_test.yaml"
RUNBOOKS = ROOT / "docs/runbooks.md"


def run_promtool(*arguments: str) -> None:
    done = subprocess.run([find("promtool"), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_has_nothing_to_say_against_the_rules() -> None:
    run_promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))


def test_promtool_lets_every_alert_fire_and_keep_silent() -> None:
    """A case that is missing is a failure too: promtool itself runs only those that there are."""
    checked = [check for case in yaml.safe_load(CASES.read_text("utf-8"))["tests"] for check in case["alert_rule_test"]]
    alerts = {rule["alert"] for rule in read_rules()}
    assert {check["alertname"] for check in checked if check["exp_alerts"]} == alerts
    assert {check["alertname"] for check in checked if not check["exp_alerts"]} == alerts
    run_promtool("test", "rules", str(CASES))


def test_prometheus_itself_parses_the_dashboard(tmp_path: Path) -> None:
    """As rules of recordings, which is how promtool is given expressions."""
    texts = [query.text.replace("$__rate_interval", "5m") for query in find_queries()]
    rules = [{"record": f"x:{number}", "expr": text} for number, text in enumerate(texts)]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    run_promtool("check", "rules", str(tmp_path / "rules.yaml"))


def test_alerts_and_dashboard_name_only_metrics_and_labels_that_exist() -> None:
    queries = find_queries()
    assert find_unknown(queries, KNOWN) == []
    assert {name for query in queries for name in KNOWN if name in query.text} == set(KNOWN), "shown nowhere"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("signalr_bridge_request_total", "x: no metric signalr_bridge_request_total"),
        ("rate(signalr_bridge_request_seconds[5m])", "x: no metric signalr_bridge_request_seconds"),
        ('signalr_bridge_in_flight{endpoint="a"}', "x: signalr_bridge_in_flight has no label endpoint"),
        ("sum by (hub) (signalr_bridge_in_flight)", "x: no metric of it has a label hub"),
        ("up unless on (user) signalr_bridge_in_flight", "x: no metric of it has a label user"),
    ],
)
def test_a_name_that_does_not_exist_is_found(text: str, complaint: str) -> None:
    assert find_unknown([Query("x", text)], KNOWN) == [complaint]


def test_every_alert_says_what_it_means_and_has_a_runbook() -> None:
    """A section says what to look at, three kinds of it, and what to do. No alert that is gone has one."""
    sections = dict(re.findall(r"^## (SignalRBridge\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text("utf-8"), re.M | re.S))
    rules = {rule["alert"]: rule for rule in read_rules()}
    assert set(sections) == set(rules)
    for name, rule in rules.items():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        notes = rule["annotations"]
        assert notes["summary"]
        assert notes["description"]
        assert notes["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        for part in ("**Log lines.**", "**Endpoints.**", "**Metrics.**", "**What to do.**"):
            assert part in sections[name], f"{name} has no {part}"


def test_the_runbooks_name_log_lines_and_metrics_that_exist() -> None:
    text = RUNBOOKS.read_text("utf-8")
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "app" / "signalr_bridge").rglob("*.py"))
    parts = re.findall(r"\*\*Log lines\.\*\*(.*?)(?=^- \*\*)", text, re.M | re.S)
    lines = {line for part in parts for line in re.findall(r"`([a-z][a-z',]* [a-z', ]+)`", " ".join(part.split()))}
    assert len(lines) > 15
    assert {line for line in lines if f'"{line}' not in code} == set()
    assert set(re.findall(r"\bsignalr_bridge_\w+", text)) <= {
        *KNOWN,
        "signalr_bridge_request_seconds",
        "signalr_bridge_handler_seconds",
    }


def test_scraping_in_kubernetes_leaves_our_label_endpoint_as_it_is() -> None:
    """Prometheus Operator gives targets a label of this name, and rules by endpoint would never fire."""
    template = ROOT / "deploy/helm/signalr-bridge/templates/servicemonitor.yaml"
    assert re.search(r"^ {6}honorLabels: true$", template.read_text("utf-8"), re.MULTILINE)
