"""Calls made up from the OpenAPI document, right ones and wrong ones: no 500, and no answer that is not in it."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS

from tests.contract.bridge.running import AUTH, bridge_on_a_socket, build

EXAMPLES = 8
pytestmark = [
    pytest.mark.slow,
    # One of schemathesis's own strategies draws from `random`, and hypothesis sometimes says so.
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning"),
]
DOCUMENT = build("http://localhost:1").openapi()
FOUND: Any = schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
OPERATIONS = {operation.definition.raw["operationId"]: operation for operation in (one.ok() for one in FOUND)}
WANTED: Any = CHECKS.get_by_names(
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "allow_header_conformance",
    ]
)
OPEN = {
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__HUBS": "*",
    "BRIDGE_DEFAULT_HUB": "chat",
    "BRIDGE_LIMITS__DEADLINE_SECONDS": "2",
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A running bridge, in a thread of its own: schemathesis waits for its answers."""
    ports: list[int] = []
    running, stopping = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with bridge_on_a_socket(**OPEN) as (port, _):
            ports.append(port)
            running.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="bridge")
    thread.start()
    assert running.wait(10)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(stopping.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as one:
        one.trust_env = False
        yield one


def calls() -> Iterator[tuple[str, GenerationMode]]:
    """Every operation; wrong calls of those where something can be wrong."""
    for name, operation in OPERATIONS.items():
        yield name, GenerationMode.POSITIVE
        if operation.body or operation.query or operation.path_parameters:
            yield name, GenerationMode.NEGATIVE


@pytest.mark.parametrize("headers", [AUTH, {}], ids=["with a key", "without"])
@pytest.mark.parametrize(("name", "mode"), list(calls()))
def test_every_answer_is_in_the_document(
    address: str, session: requests.Session, name: str, headers: dict[str, str], mode: GenerationMode
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(OPERATIONS[name].as_strategy(mode))
    def ask(case: Case[Any]) -> None:
        answer: Any = case.call(base_url=address, session=session, headers=headers, timeout=10)
        assert answer.status_code != 500
        assert answer.headers["x-request-id"]
        case.validate_response(answer, checks=WANTED)

    ask()
