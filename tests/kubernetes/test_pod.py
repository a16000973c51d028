"""The rendered container runs here: its settings are the product's own, and its probes and ports answer."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml

from tests.e2e.processes import (
    API_KEY,
    ENDS_WITHIN,
    Process,
    app_command,
    bridge_settings,
    clean_environment,
    free_port,
    run_emulator,
    wait_until_answered,
)
from tests.kubernetes.helm import render, write_values
from tests.kubernetes.pod import Pod, start_pod
from tests.kubernetes.test_chart import EVERY_VALUE


def check(pod: Pod) -> dict[str, str]:
    """What the product understands of the settings, by their names. They must be without mistake and remark."""
    done = subprocess.run(
        app_command("check", "--json"),
        env=clean_environment() | dict(pod.env),
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN,
        check=False,
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["findings"]) == (0, []), done.stdout
    return {one["canonical"]: one["value"] for one in report["settings"]}


def test_the_product_takes_the_settings_of_every_value(tmp_path: Path) -> None:
    others = {
        "secret/codes": {"upstream": "a-code-of-the-upstream"},
        "configMap/shared": {"BRIDGE_CORS__ORIGINS": "https://example.com"},
        "configMap/company-ca": {"ca.pem": ""},
    }
    pod = start_pod(render("--values", str(EVERY_VALUE)), tmp_path, others)
    understood = check(pod)
    settings = yaml.safe_load(EVERY_VALUE.read_text("utf-8"))["settings"]
    assert set(understood) >= {name for name in settings if name.startswith("BRIDGE_")}
    assert understood["BRIDGE_LIMITS__BODY_BYTES"] == "268435457"
    assert understood["BRIDGE_NEGOTIATE__USER_ID"] == settings["BRIDGE_NEGOTIATE__USER_ID"]
    assert understood["BRIDGE_UPSTREAM__CODE"] == "***"
    assert understood["BRIDGE_CORS__ORIGINS"] == "https://example.com"
    assert pod.env["BRIDGE_UPSTREAM__KEYS"] == '["0123456789 $(BRIDGE_PORT) \\"quoted\\""]'


def test_a_pod_answers_its_probes_on_each_port_and_stops(tmp_path: Path) -> None:
    port, callers, metrics, emulator = (free_port() for _ in range(4))
    secrets = bridge_settings(emulator)
    values = {
        "listenAddress": secrets.pop("BRIDGE_HOST"),
        "port": port,
        "callers": {"ownListener": True, "port": callers},
        "metrics": {"enabled": True, "port": metrics},
        "stop": {"drainSeconds": 0},
        "settings": {"BRIDGE_STRICT": True, "BRIDGE_ALLOW_EMULATOR_KEY": True, "BRIDGE_NEGOTIATE__HUBS": ["chat"]},
        "settingsFile": '[hubs."My.Hub"]\nstrategy = "sticky-user"\n',
    }
    secrets.pop("BRIDGE_ALLOW_EMULATOR_KEY")
    pod = start_pod(
        render("--values", write_values(tmp_path / "values.yaml", values)), tmp_path, {"secret/signalr-bridge": secrets}
    )
    assert pod.ports == {"http": port, "callers": callers, "metrics": metrics}
    with (
        run_emulator(emulator, f"http://localhost:{port}/upstream"),
        Process("pod", app_command(*pod.args), pod.env) as process,
    ):
        for at, path in pod.probes.values():
            wait_until_answered(process, f"http://localhost:{at}{path}")
        with httpx.Client(headers={"X-API-Key": API_KEY}, trust_env=False) as client:
            assert "my.hub" in client.get(f"http://localhost:{callers}/hubs").text
            assert client.get(f"http://localhost:{port}/hubs").status_code == 404
            assert "signalr_bridge_build_info" in client.get(f"http://localhost:{metrics}/metrics").text
            assert client.get(f"http://localhost:{port}/metrics").status_code == 404
        process.terminate()
        assert process.wait() == 0


def test_a_pod_without_its_secret_waits(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the pod would wait for secret signalr-bridge"):
        start_pod(render(), tmp_path)
    start_pod(render("--set", "secrets.optional=true"), tmp_path)
