"""Calls of a client: what is asked of the service, and every answer there is."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from signalr_bridge.protocol.rest import CLIENT_ERROR_CODE

from tests.contract.bridge.running import AUTH, Bridge, bridge
from tests.contract.endpoints.programmable import answer_of

PATH = "/hubs/chat/connections/a%2Fb/invoke"


@pytest.fixture
async def running() -> AsyncIterator[Bridge]:
    async with bridge() as started:
        yield started


async def ask(running: Bridge, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await running.http.post(PATH, content=content, headers=AUTH | {"Content-Type": "application/json"} | headers)


async def test_what_is_asked_of_the_service(running: Bridge) -> None:
    running.service.answer = answer_of(200, b'{"result": {"n": 12345678901234567890}}')
    answer = await ask(running, b'{"Target": "t", "arguments": [1, 12345678901234567890], "timeoutSeconds": null}')
    assert (answer.status_code, answer.json()) == (200, {"result": {"n": 12345678901234567890}})
    request = running.seen[0]
    assert request.target == "/api/hubs/chat/connections/a%2Fb/:invoke?api-version=2024-12-01"
    assert (request.method, request.body) == ("POST", b'{"target":"t","arguments":[1, 12345678901234567890]}')


@pytest.mark.parametrize("said", [b"{}", b'{"result": null}', b'{"result":null,"protocol":"json"}'])
async def test_nothing_is_null(running: Bridge, said: bytes) -> None:
    running.service.answer = answer_of(200, said)
    assert (await ask(running, {"target": "t"})).json() == {"result": None}


async def test_the_clients_own_error_is_certain_by_its_code_alone(running: Bridge) -> None:
    running.service.answer = answer_of(400, b'{"message": "no"}', x_ms_error_code=CLIENT_ERROR_CODE)
    answer = await ask(running, {"target": "t"})
    assert (answer.status_code, answer.json()) == (200, {"error": "no"})
    running.service.answer = answer_of(400, b'{"message": "no"}', x_ms_error_code="Error.Connection.Else")
    answer = await ask(running, {"target": "t"})
    assert (answer.status_code, answer.json()["code"]) == (502, "invoke-failed")


@pytest.mark.parametrize("said", [b"", b"[]", b"null", b"\xff", b'{"result": 1', b'{"result":1,"result":2}'])
async def test_an_answer_that_cannot_be_read(running: Bridge, said: bytes) -> None:
    running.service.answer = answer_of(200, said)
    answer = await ask(running, {"target": "t"})
    assert (answer.status_code, answer.json()["code"]) == (502, "invoke-failed")


@pytest.mark.parametrize("status", [408, 504])
async def test_a_time_out_that_the_service_reports(running: Bridge, status: int) -> None:
    running.service.say(status)
    answer = await ask(running, {"target": "t"})
    assert (answer.status_code, answer.json()["code"]) == (504, "client-timeout")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/target"),
        ({"target": ""}, "#/target"),
        ({"target": 5}, "#/target"),
        ({"target": "t", "arguments": {}}, "#/arguments"),
        ({"target": "t", "timeoutSeconds": 0}, "#/timeoutSeconds"),
        ({"target": "t", "timeoutSeconds": 101}, "#/timeoutSeconds"),
        ({"target": "t", "timeoutSeconds": "5"}, "#/timeoutSeconds"),
        ({"target": "t", "userId": "u"}, "#/userId"),
        ([], "#"),
        ({"target": "t", "arguments": ["x" * 1_000_000]}, "#"),
    ],
)
async def test_a_bad_call(running: Bridge, body: Any, pointer: str) -> None:
    answer = await ask(running, body)
    assert answer.status_code == 422, answer.text
    assert pointer in [one["pointer"] for one in answer.json()["errors"]]
    assert running.seen == []


async def test_a_call_with_a_key_is_made_once(running: Bridge) -> None:
    running.service.answer = answer_of(200, b'{"result": 1}')
    answers = [await ask(running, {"target": "t"}, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert [one.json() for one in answers] == [{"result": 1}] * 2
    assert len(running.seen) == 1
