"""A new route is written into one file. Then it is served, described, guarded and logged, or the start says why not.

A copy of the package gets one more route, and a process tries it.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.shape.tree import APP

ROUTE = '''

async def count(request: Request) -> Answer:
    """How many letters the group's name has."""
    return make_answer(200, b"%d" % len(request.names["groupName"]), "application/json")


ROUTES += (
    Route(
        "GET",
        "/hubs/{hub}/groups/{groupName}/letters",
        "countLetters",
        count,
        rights=frozenset({Right.READ}),
        query=(),
        description=Description(tags=["who is there"]),
    ),
)
'''

TRY = """
import asyncio, json, logging, sys
import httpx
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load
from signalr_bridge.web.logs import configure_logs

async def main():
    keys = [{"key": "a-key-that-may-read", "rights": ["read"]}, {"key": "a-key-that-may-send", "rights": ["send"]}]
    given = {
        "AzureSignalRConnectionString": "Endpoint=http://localhost:1;AccessKey=0123456789abcdefghijklmnopqrstuv;",
        "BRIDGE_CALLERS__KEYS": json.dumps(keys),
    }
    configure_logs("info", "json")
    app = create_app(load(gather(given, {})))
    wire = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=wire, base_url="http://bridge", trust_env=False) as http:
        path = "/hubs/chat/groups/a%2Fb/letters"
        found = []
        for headers, query in [
            ({}, ""),
            ({"X-API-Key": "a-key-that-may-send"}, ""),
            ({"X-API-Key": "a-key-that-may-read"}, "?x=1"),
            ({"X-API-Key": "a-key-that-may-read"}, ""),
        ]:
            answer = await http.get(path + query, headers=headers)
            found.append([answer.status_code, answer.text if answer.status_code == 200 else ""])
        wrong = await http.post(path)
        found.append([wrong.status_code, wrong.headers["allow"]])
    operation = app.openapi()["paths"]["/hubs/{hub}/groups/{groupName}/letters"]["get"]
    print(json.dumps({"answers": found, "operation": operation}))

asyncio.run(main())
"""


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    """The one file, in a copy of the package."""
    copied = tmp_path / APP.name
    shutil.copytree(APP, copied, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return copied / "outbound" / "resource_routes.py"


def attempt(routes: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """What a process says that starts the copy with ``text`` at the end of the file, and calls the new route."""
    routes.write_text(routes.read_text("utf-8") + text, "utf-8")
    folder = routes.parents[2]
    return subprocess.run(
        [sys.executable, "-c", TRY], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_is_served_described_guarded_and_logged(routes: Path) -> None:
    done = attempt(routes, ROUTE)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    assert found["answers"] == [[401, ""], [403, ""], [400, ""], [200, "3"], [405, "GET"]]
    operation = found["operation"]
    assert (operation["operationId"], operation["summary"]) == ("countLetters", "Count")
    assert [one["name"] for one in operation["parameters"]] == ["hub", "groupName"]
    assert operation["security"] == [{"callerKey": []}, {"callerToken": []}]
    assert "needs the right `read`" in operation["description"]
    lines = [msgspec.json.decode(line) for line in done.stderr.splitlines()]
    logged = [(line["path"], line["status"]) for line in lines if line["message"] == "request"]
    assert logged == [("/hubs/chat/groups/a%2Fb/letters", status) for status, _ in found["answers"]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("        rights=frozenset({Right.READ}),\n", "routes for callers name rights"),
        ('        description=Description(tags=["who is there"]),\n', "a description says what it does"),
        ("        count,\n", "nothing answers it"),
    ],
)
def test_what_is_missing_is_said_at_the_start(routes: Path, line: str, reason: str) -> None:
    assert line in ROUTE
    done = attempt(routes, ROUTE.replace(line, ""))
    assert done.returncode != 0
    assert f"GET /hubs/{{hub}}/groups/{{groupName}}/letters: {reason}" in done.stderr
