"""The OpenAPI document: every route is there, named and described, and its body is what generators can handle."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.bridge.running import AUTH, bridge, build, client
from tests.contract.bridge.test_routes import CHANGES, QUESTIONS

DOCUMENT = build("http://localhost:1").openapi()
METHODS = {"get", "head", "post", "put", "patch", "delete", "options"}
ROUTES = [
    (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from walk(one)


async def test_it_is_served_where_the_settings_say_so() -> None:
    for setting, status in (("true", 200), ("false", 404)):
        async with client(build("http://localhost:1", BRIDGE_DOCS=setting), **AUTH) as http:
            assert (await http.get("/openapi.json")).status_code == status


def test_it_is_well_formed() -> None:
    assert re.fullmatch(r"3\.1\.\d", DOCUMENT["openapi"])
    assert DOCUMENT["info"].keys() >= {"title", "version", "description"}
    for one in walk(DOCUMENT):
        reference = one.get("$ref")
        if isinstance(reference, str):
            assert reference.startswith("#/components/schemas/"), reference
            assert reference.rpartition("/")[2] in DOCUMENT["components"]["schemas"]


def test_paths_have_plain_parameters() -> None:
    for path in DOCUMENT["paths"]:
        assert re.fullmatch(r"(/[\w.-]+|/\{\w+\})+", path), path


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES)
def test_a_route(method: str, path: str, operation: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"])
    assert operation["summary"]
    problem = operation["responses"]["default"]["content"]
    assert list(problem) == ["application/problem+json"]
    assert set(problem["application/problem+json"]["schema"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
    }
    described = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
    assert described == re.findall(r"\{(\w+)\}", path)
    assert all(one["required"] for one in operation.get("parameters", []) if one["in"] == "path")
    assert any(status[0] in "23" or status == "default" for status in operation["responses"])


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in ROUTES]
    assert len(ids) == len(set(ids))


def test_no_route_is_missing() -> None:
    def shape(line: str) -> str:
        method, path = line.split("?")[0].split(" ")
        path = re.sub(r"/hubs/\w+", "/hubs/*", path)
        path = re.sub(r"/(groups|users|connections)/[gcu]\b", r"/\1/*", path)
        return f"{method} {path}"

    told = {f"{method.upper()} {re.sub(r'{[^}]*}', '*', path)}" for method, path, _ in ROUTES}
    wanted = {shape(line) for line, _ in CHANGES}
    wanted |= {shape(f"{method} {path}") for path, _ in QUESTIONS for method in ("GET", "HEAD")}
    wanted |= {f"POST /hubs/*/{name}" for name in ("send", "groups", "outputs", "negotiate")}
    wanted |= {
        "POST /upstream",
        "POST /api/negotiate",
        "GET /hubs/*/endpoints",
        "GET /health/live",
        "GET /health/ready",
    }
    assert told >= wanted


def test_every_route_says_who_may_call_it() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    for method, path, operation in ROUTES:
        for one in operation.get("security", []):
            assert one.keys() <= schemes.keys(), path
        names = [set(one) for one in operation.get("security", [])]
        if path.startswith("/health/"):
            assert names == []
        elif path == "/upstream":
            assert all(one & {"upstreamSignature", "upstreamToken"} for one in names)
            assert {"upstreamSignature"} in names
        elif path in {"/hubs/{hub}/negotiate", "/api/negotiate"}:
            assert names == [{"callerKey"}, {"callerToken"}, {"clientToken"}, set()]
        else:
            assert names == [{"callerKey"}, {"callerToken"}], (method, path)
            assert "needs the right `" in operation["description"]


@pytest.mark.parametrize(
    ("operation_id", "headers"),
    [
        ("send", ["X-Request-Timeout", "Idempotency-Key"]),
        ("invokeConnection", ["X-Request-Timeout", "Idempotency-Key"]),
        ("closeAll", ["X-Request-Timeout", "Idempotency-Key"]),
        ("userExists", ["X-Request-Timeout"]),
        ("negotiate", []),
    ],
)
def test_headers_are_told(operation_id: str, headers: list[str]) -> None:
    (operation,) = [one for _, _, one in ROUTES if one["operationId"] == operation_id]
    assert [one["name"] for one in operation.get("parameters", []) if one["in"] == "header"] == headers


def body_of(path: str) -> dict[str, Any]:
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]
    assert list(content) == ["application/json"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


def test_bodies_are_what_generated_clients_can_handle() -> None:
    assert (body_of("/hubs/{hub}/send")["type"], body_of("/hubs/{hub}/send")["title"]) == ("object", "Message")
    assert (body_of("/hubs/{hub}/groups")["type"], body_of("/hubs/{hub}/groups")["title"]) == ("object", "GroupAction")
    outputs = body_of("/hubs/{hub}/outputs")
    assert outputs["type"] == "array"
    assert [one["title"] for one in outputs["items"]["anyOf"]] == ["Message", "GroupAction", "Close"]
    assert body_of("/hubs/{hub}/negotiate")["type"] == "object"


@pytest.mark.parametrize(
    ("method", "path", "operation_id"),
    [
        ("post", "/hubs/{hub}/send", "send"),
        ("post", "/hubs/{hub}/groups", "changeGroups"),
        ("post", "/hubs/{hub}/outputs", "sendOutputs"),
        ("post", "/hubs/{hub}/negotiate", "negotiate"),
        ("put", "/hubs/{hub}/groups/{groupName}/connections/{connectionId}", "addConnection"),
        ("delete", "/hubs/{hub}/connections", "closeAll"),
        ("head", "/hubs/{hub}/users/{userId}", "userExistsHead"),
    ],
)
def test_operation_ids_are_fixed(method: str, path: str, operation_id: str) -> None:
    assert DOCUMENT["paths"][path][method]["operationId"] == operation_id


async def test_the_document_and_its_viewer_follow_the_prefix_that_a_proxy_strips() -> None:
    async with bridge(BRIDGE_ROOT_PATH="/realtime") as running:
        assert (await running.http.get("/openapi.json")).json()["servers"] == [{"url": "/realtime"}]
        assert "/realtime/openapi.json" in (await running.http.get("/docs")).text
