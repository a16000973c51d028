"""JavaScript function apps for tests: copied as they are, run as people do, called as the Functions host calls."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from tests.e2e.processes import E2E, NODE, ROOT, Process

APPS = ROOT / "tests" / "function_apps"
SERVER = str(ROOT / "deploy" / "functions-node")


def copy_app(name: str, folder: Path) -> Path:
    """A copy of one of the test apps, as `npm install` would leave it."""
    shutil.copytree(APPS / name, folder)
    return add_packages(folder)


def write_app(folder: Path, files: Mapping[str, str]) -> Path:
    """An app with these files, as `npm install` would leave it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return add_packages(folder)


def add_packages(folder: Path) -> Path:
    (folder / "node_modules").symlink_to(E2E / "node_modules")
    return folder


@contextmanager
def run_functions_node(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[tuple[Process, str]]:
    """The server for an app, and its address, once the app is loaded."""
    with Process("functions-node", [NODE, SERVER, str(folder), "--port", "0"], settings) as process:
        yield process, process.wait_for_line(r"at (http://127\.0\.0\.1:\d+)")[1]


EVENT = {
    "Arguments": ["friends", "hi"],
    "Error": None,
    "Category": "messages",
    "Event": "sendToGroup",
    "Hub": "chat",
    "ConnectionId": "c1",
    "UserId": "ann",
    "Headers": {"X-ASRS-Hub": "chat"},
    "Query": None,
    "Claims": None,
}
TIMER = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": True}
INFO = {"url": "http://localhost/client/?hub=chat", "accessToken": "a.b.c"}


class Functions:
    """The functions of one app, called by their names."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=10)
        self.descriptions = {one["name"]: one for one in self.http.get("/functions").json()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, name: str, value: object, metadata: Mapping[str, object] | None = None, **inputs: str) -> Any:
        """A call with this value for the trigger, whatever the trigger is called."""
        data = {self.trigger(name)["name"]: value, **inputs}
        return self.http.post(f"/{name}", json={"Data": data, "Metadata": metadata or {}})

    def call(self, name: str, value: object, metadata: Mapping[str, object] | None = None, **inputs: str) -> Any:
        answer = self.post(name, value, metadata, **inputs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def trigger(self, name: str) -> Any:
        return next(one for one in self.descriptions[name]["bindings"] if one["type"].endswith("Trigger"))


def request(method: str = "POST", body: str | None = None, **more: Any) -> dict[str, Any]:
    headers = {"Content-Type": ["application/json"], "X-Several": ["a", "b"]}
    given = {"Url": "https://chat.example/api/x?sender=bob", "Method": method, "Query": {"sender": "bob"}}
    return given | {"Headers": headers, "Params": {}} | ({} if body is None else {"Body": body}) | more


def text(value: object) -> str:
    """As the host writes an input binding: the text, as JSON text."""
    return json.dumps(json.dumps(value))
