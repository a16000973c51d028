"""What no HTTP library would send, through a real uvicorn: raw paths, raw headers, bodies that never end."""

import json

import pytest

from tests.contract.bridge.running import CALLER, bridge_on_a_socket, send_raw

VERSION = "api-version=2022-06-01"


def request(line: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: bridge", f"X-API-Key: {CALLER}", "Connection: close", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def test_names_reach_the_service_escaped_exactly_once() -> None:
    cases = {
        "a%2Fb": "a%2Fb",
        "a%2fb": "a%2Fb",
        "a%252Fb": "a%252Fb",
        "a/../b": None,
        "a%25c": "a%25c",
        "a+b": "a%2Bb",
        "a%20b": "a%20b",
        "a%3Fb%23c": "a%3Fb%23c",
        "%F0%9F%98%80": "%F0%9F%98%80",
        "a;b=c": "a%3Bb%3Dc",
        "~a-b_c.d": "~a-b_c.d",
    }
    async with bridge_on_a_socket() as (port, service):
        for given, escaped in cases.items():
            service.requests.clear()
            answer = await send_raw(port, request(f"PUT /hubs/chat/groups/{given}/users/u"))
            targets = [one.target for one in service.requests if "/connections/probe" not in one.target]
            if escaped is None:
                assert (answer.status, targets) == (404, [])
            else:
                assert answer.status == 204, given
                assert targets == [f"/api/hubs/chat/users/u/groups/{escaped}?{VERSION}"]


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ("PUT /hubs/chat/groups/%2e%2e/users/u", 400, "invalid-name"),
        ("PUT /hubs/chat/groups/../users/u", 400, "invalid-name"),
        ("PUT /hubs/chat/groups/%2E/users/u", 400, "invalid-name"),
        ("PUT /hubs/chat/groups//users/u", 400, "invalid-name"),
        ("PUT /hubs/chat/groups/%FF/users/u", 400, "invalid-name"),
        ("PUT /hubs/chat/groups/%00/users/u", 400, "invalid-name"),
        ("PUT /hubs/chat/groups/a%0Ab/users/u", 400, "invalid-name"),
        ("DELETE /hubs/chat/connections/", 404, "route-not-found"),
        ("PUT /hubs/chat/groups/g/users/u/", 404, "route-not-found"),
        ("PUT /hubs%2Fchat/groups/g/users/u", 404, "route-not-found"),
        ("TRACE /hubs/chat/groups/g/users/u", 405, "method-not-allowed"),
        ("OPTIONS /hubs/chat/groups/g/users/u", 405, "method-not-allowed"),
    ],
)
async def test_a_path_that_is_refused(line: str, status: int, code: str) -> None:
    async with bridge_on_a_socket() as (port, service):
        answer = await send_raw(port, request(line))
        assert (answer.status, answer.headers["x-problem-code"]) == (status, code)
        assert json.loads(answer.body)["code"] == code
        assert "location" not in answer.headers
        assert not [one for one in service.requests if "/connections/probe" not in one.target]


@pytest.mark.parametrize("line", ["PUT /hubs/chat/groups/\xc3\xa9/users/u", "PUT /hubs/chat/groups/a b/users/u"])
async def test_what_is_no_http_does_not_get_in(line: str) -> None:
    async with bridge_on_a_socket() as (port, service):
        assert (await send_raw(port, request(line))).status == 400
        assert not [one for one in service.requests if "/connections/probe" not in one.target]


async def test_a_head_has_no_body() -> None:
    async with bridge_on_a_socket() as (port, service):
        answer = await send_raw(port, request("HEAD /hubs/chat/users/u"))
        assert (answer.status, answer.body) == (200, b"")
        service.say(404, x_ms_error_code="Warning.User.NotExisted")
        answer = await send_raw(port, request("HEAD /hubs/chat/users/u"))
        assert (answer.status, answer.headers["x-problem-code"], answer.body) == (404, "not-present", b"")
        answer = await send_raw(port, request("HEAD /hubs/1/users/u"))
        assert (answer.status, answer.headers["x-problem-code"], answer.body) == (400, "invalid-name", b"")


async def test_a_body_that_is_too_large_is_refused_before_it_has_arrived() -> None:
    async with bridge_on_a_socket() as (port, _):
        head = request(
            "POST /hubs/chat/send", b"", "Content-Type: application/json", f"Content-Length: {9 * 1024 * 1024}"
        )
        answer = await send_raw(port, head + b"[")
        assert (answer.status, answer.headers["x-problem-code"]) == (413, "body-too-large")
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-request-id"]


async def test_without_a_key_a_large_body_is_a_401() -> None:
    async with bridge_on_a_socket() as (port, _):
        head = b"POST /hubs/chat/send HTTP/1.1\r\nHost: b\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n"
        assert (await send_raw(port, head)).status == 401


async def test_it_does_not_say_what_it_is_made_of() -> None:
    async with bridge_on_a_socket() as (port, _):
        answer = await send_raw(port, request("GET /health/live"))
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "live"})
        assert "server" not in answer.headers
