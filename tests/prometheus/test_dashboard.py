"""The dashboard: Grafana can import it, for any data source, and its panels have what they need."""

from itertools import combinations
from typing import Any

from tests.prometheus.queries import read_dashboard

WIDTH = 24


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_dashboard()["panels"]
    return found


def test_it_can_be_imported_for_any_data_source() -> None:
    """The import asks for nothing, and no id of somebody's Grafana is in it."""
    dashboard = read_dashboard()
    assert dashboard["title"]
    assert dashboard.get("id") is None
    assert dashboard["schemaVersion"] >= 36
    assert "__inputs" not in dashboard
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert {"datasource", "instance", "endpoint", "hub"} <= set(variables)
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    asked = [panel for panel in panels() if panel["type"] != "row"]
    sources = [one["datasource"] for panel in asked for one in (panel, *panel["targets"])]
    sources += [one["datasource"] for one in variables.values() if one["type"] == "query"]
    assert [one for one in sources if one != wanted] == []


def test_panels_have_ids_titles_words_units_and_room() -> None:
    shown = panels()
    ids = [panel["id"] for panel in shown]
    assert len(set(ids)) == len(ids)
    for panel in shown:
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= WIDTH
        if panel["type"] in {"timeseries", "stat"}:
            assert panel["description"]
            assert panel["fieldConfig"]["defaults"]["unit"]
    assert [(a["title"], b["title"]) for a, b in combinations(shown, 2) if overlap(a["gridPos"], b["gridPos"])] == []


def overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not (beside or below)


def test_every_panel_follows_the_variables() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            assert 'job=~"$job",instance=~"$instance"' in target["expr"], panel["title"]
