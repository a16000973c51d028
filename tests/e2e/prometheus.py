"""Prometheus before a bridge: a real process that scrapes it and evaluates the alerts of the product."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.processes import ROOT, Process, free_port, wait_until_answered
from tests.install import find


class Prometheus:
    """A running one, and what it knows."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression gives now. Raises ``httpx.HTTPStatusError`` when it is not understood."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def series(self) -> list[dict[str, str]]:
        """The labels of all series of the bridge, ``__name__`` among them."""
        return list(self._get("series", **{"match[]": '{__name__=~"signalr_bridge_.+"}'}))

    def rules(self) -> list[dict[str, Any]]:
        """The rules with their ``health``, and the alerts that are pending or firing by them."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: str) -> Any:
        answer = self._http.get(f"/api/v1/{what}", params=parameters).raise_for_status()
        return answer.json()["data"]


@contextmanager
def run_prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Scrapes ``target`` (host and port) each second as the job ``signalr-bridge``. Its files stand in the folder."""
    port, config = free_port(), folder / "prometheus.json"
    job = {"job_name": "signalr-bridge", "honor_labels": True, "static_configs": [{"targets": [target]}]}
    often = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    rules = [str(ROOT / "deploy/prometheus/alerts.yaml")]
    config.write_text(json.dumps({"global": often, "rule_files": rules, "scrape_configs": [job]}))
    command = [find("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    url = f"http://127.0.0.1:{port}"
    with Process("Prometheus", [*command, f"--web.listen-address=127.0.0.1:{port}"], folder=folder) as process:
        wait_until_answered(process, f"{url}/-/ready")
        with httpx.Client(base_url=url, trust_env=False, timeout=10) as http:
            yield Prometheus(http)
