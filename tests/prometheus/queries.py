"""The expressions of alerts and dashboard: read, parsed, and the names in them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml

from tests.e2e.processes import ROOT

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"

SCRAPED = {"namespace", "job", "instance"}
"""Labels that Prometheus gives to each target. The first is Kubernetes' alone."""


@dataclass(frozen=True)
class Query:
    """An expression, where it stands, and the labels that a legend or a description shows of what comes out."""

    place: str
    text: str
    shown: frozenset[str] = frozenset()

    def parse(self) -> promql_parser.Expr:
        """Raises ``ValueError`` when it is not PromQL. Grafana replaces ``$__rate_interval`` by a duration."""
        return promql_parser.parse(self.text.replace("$__rate_interval", "5m"))


@dataclass(frozen=True)
class Use:
    """A metric in an expression, and the labels that are asked of it."""

    metric: str
    labels: frozenset[str]


def read_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def read_dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return dashboard


def find_queries() -> list[Query]:
    """All of both files."""
    return [*_find_in_rules(), *_find_in_panels(), *_find_in_variables()]


def _find_in_rules() -> Iterator[Query]:
    for rule in read_rules():
        shown = re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))
        yield Query(rule["alert"], rule["expr"], frozenset(shown))


def _find_in_panels() -> Iterator[Query]:
    for panel in read_dashboard()["panels"]:
        for target in panel.get("targets", ()):
            shown = re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"])
            yield Query(f"{panel['title']} {target['refId']}", target["expr"], frozenset(shown))


def _find_in_variables() -> Iterator[Query]:
    """``label_values(selector, label)`` is Grafana's own: its selector is PromQL, and gives what its label holds."""
    for variable in read_dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert match is not None, variable["definition"]
            yield Query(f"variable {variable['name']}", match[1], frozenset({match[2]}))


def find_uses(query: Query) -> list[Use]:
    """The metrics that a query names, with the labels by which it chooses."""
    chosen = [one for one in _walk(query.parse()) if isinstance(one, promql_parser.VectorSelector)]
    return [Use(one.name or "", frozenset(matcher.name for matcher in one.matchers.matchers)) for one in chosen]


def find_labels(query: Query) -> set[str]:
    """The labels that a query groups or joins by, and those that are shown of what comes out."""
    return {*query.shown, *_labels_around(query.parse())}


def _walk(expr: promql_parser.Expr) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(expr, found.append)
    return found


def _labels_around(expr: promql_parser.Expr) -> Iterator[str]:
    """Those of ``by (...)``, ``on (...)`` and ``group_left (...)``."""
    for one in _walk(expr):
        if isinstance(one, promql_parser.AggregateExpr) and one.modifier is not None:
            yield from one.modifier.labels
        elif isinstance(one, promql_parser.BinaryExpr) and one.modifier is not None:
            yield from one.modifier.matching.labels if one.modifier.matching is not None else ()
            yield from one.modifier.group_labels or ()


def find_unknown(queries: list[Query], known: Mapping[str, frozenset[str]]) -> list[str]:
    """What the queries name that is not there, one line each.

    Args:
        known: The metrics as Prometheus stores them, such as ``x_total`` and ``x_bucket``, with their labels.
    """
    return [line for query in queries for line in _unknown_in(query, {**known, "up": frozenset()})]


def _unknown_in(query: Query, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    uses = find_uses(query)
    for use in uses:
        if use.metric not in known:
            yield f"{query.place}: no metric {use.metric}"
        elif unknown := use.labels - known[use.metric] - SCRAPED:
            yield f"{query.place}: {use.metric} has no label {', '.join(sorted(unknown))}"
    there = SCRAPED.union(*(known.get(use.metric, ()) for use in uses))
    if strangers := find_labels(query) - there:
        yield f"{query.place}: no metric of it has a label {', '.join(sorted(strangers))}"
