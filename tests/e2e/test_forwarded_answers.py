"""Every row of the table of answers and every rule of retries, through service, bridge and a backend of its own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.crowd import crowd
from tests.e2e.forwarded import ask_backend, run_forwarding, run_recording_backend
from tests.e2e.processes import Machine, eventually, free_port
from tests.e2e.raw_client import raw_client

PROBLEM, JSON = "application/problem+json", "application/json"
GENERAL = "Method 'answer' failed."


@pytest.fixture(scope="module")
def backend_port() -> Iterator[int]:
    port = free_port()
    with run_recording_backend(port):
        yield port


@pytest.fixture(scope="module")
def machine(backend_port: int) -> Iterator[Machine]:
    with run_forwarding(backend_port, {"TIMEOUT_SECONDS": "5", "RETRY_SECONDS": "5"}) as running:
        yield running


@pytest.mark.parametrize(
    ("answer", "completion"),
    [
        ((200, JSON, '{"result":{"n":1.5}}'), {"result": {"n": 1.5}}),
        ((200, JSON, '{"result":1,"outputs":[{"target":"x"}]}'), {"result": 1}),
        ((200, JSON, "{}"), {"result": None}),
        ((200, "", ""), {"result": None}),
        ((204, "", ""), {"result": None}),
        *(((status, PROBLEM, '{"detail":"Not now."}'), {"error": "Not now."}) for status in (400, 403, 409, 422)),
        ((403, PROBLEM, '{"title":"no detail"}'), {"error": GENERAL}),
        ((403, PROBLEM, json.dumps({"detail": "x" * 2000})), {"error": "x" * 1024}),
        ((403, JSON, '{"detail":"no problem"}'), {"error": GENERAL}),
        *(((status, PROBLEM, '{"detail":"x"}'), {"error": GENERAL}) for status in (301, 307, 401, 404, 429, 500, 503)),
        ((200, JSON, "no JSON"), {"error": GENERAL}),
        ((200, JSON, '{"outputs":[{"target":""}]}'), {"error": GENERAL}),
        ((200, JSON, '{"outputs":[{"target":"x","more":1}]}'), {"error": GENERAL}),
        ((200, JSON, '{"result":1,"outputs":5}'), {"error": GENERAL}),
    ],
)
async def test_a_message(machine: Machine, backend_port: int, answer: Any, completion: dict[str, Any]) -> None:
    before = ask_backend(backend_port)["requests"]
    async with crowd(machine.url) as clients, clients.member("ann") as ann:
        given = await ann.invoke("answer", *answer)
        assert {name: given.get(name) for name in completion} == completion
        assert ("error" in given) == ("error" in completion)
        assert ask_backend(backend_port)["requests"] == before + 2, "connected, and the message once"


@pytest.mark.parametrize(
    ("statuses", "requests", "answered"),
    [
        ("204", 1, 200),
        ("500,429,503,200", 4, 200),
        ("404", 1, 500),
        ("302", 1, 500),
        ("500,403", 2, 403),
    ],
)
async def test_connected(machine: Machine, backend_port: int, statuses: str, requests: int, answered: int) -> None:
    async with crowd(machine.url) as clients, clients.member(statuses) as ann:
        if answered == 403:
            await ann.wait_for_close()
        else:
            await ann.invoke("number", 1)
    attempts = eventually(lambda: attempts_at(backend_port, statuses), "the event at the backend")
    assert attempts == requests
    machine.bridge.wait_for_line(rf'"event":"connected",.*"status":{answered}\b')


def attempts_at(port: int, user: str) -> int | None:
    seen = ask_backend(port)
    named = zip(seen["attempts"].values(), seen["effects"], strict=True)
    return next((count for count, one in named if one[0] == "connected" and one[2] == user), None)


def test_what_a_backend_gets_and_answers_is_as_it_was_written(machine: Machine, backend_port: int) -> None:
    numbers = '[1e5,1.10,12345678901234567.89,1E400,{"a":1,"a":[ ]}]'
    answer = json.dumps(f'{{"result":{numbers},"outputs":[{{"target":"x","arguments":{numbers}}}]}}')
    with raw_client(machine.emulator_port, "json") as client:
        arguments = f'[200,"{JSON}",{answer},{numbers}]'
        client.send(f'{{"type":1,"invocationId":"7","target":"answer","arguments":{arguments}}}'.encode())
        assert client.receive() == f'{{"type":1,"target":"x","arguments":{numbers}}}'.encode()
        assert client.receive() == f'{{"type":3,"invocationId":"7","result":{numbers}}}'.encode()
