"""``Idempotency-Key`` through the routes: what is given again, and what is a retry."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.contract.bridge.running import AUTH, Bridge, bridge

ITEM = {"target": "t"}


async def post(running: Bridge, key: str, body: Any = None, path: str = "/hubs/chat/send") -> httpx.Response:
    headers = AUTH | {"Idempotency-Key": key, "X-Request-Timeout": "5"}
    return await running.http.post(path, json=body or ITEM, headers=headers)


async def test_an_answer_is_given_again_and_nothing_is_sent_twice() -> None:
    async with bridge() as running:
        first, second = await post(running, "k"), await post(running, "k")
        assert (first.status_code, second.status_code, len(running.seen)) == (202, 202, 1)
        assert first.json() == second.json()
        assert "idempotency-replay" not in first.headers
        assert second.headers["idempotency-replay"] == "true"
        assert second.headers["content-type"] == "application/json"
        for other in (post(running, "k2"), post(running, "k", path="/hubs/other/send")):
            assert "idempotency-replay" not in (await other).headers
        assert len(running.seen) == 3


async def test_another_body() -> None:
    async with bridge() as running:
        await post(running, "k")
        other = await post(running, "k", {"target": "other"})
        assert (other.status_code, other.headers["x-problem-code"]) == (422, "idempotency-mismatch")


async def test_an_unknown_delivery_is_kept() -> None:
    async with bridge() as running:
        running.service.answer, running.service.close = None, True
        first = await post(running, "k")
        running.service.close = False
        running.service.say(202)
        second = await post(running, "k")
        assert (first.status_code, second.status_code, len(running.seen)) == (504, 504, 1)
        assert second.headers["x-problem-code"] == "delivery-unknown"
        assert second.json() == first.json()
        assert second.headers["idempotency-replay"] == "true"


@pytest.mark.parametrize("status", [400, 401])
async def test_a_failure_is_not_kept(status: int) -> None:
    async with bridge() as running:
        running.service.say(status)
        assert (await post(running, "k")).status_code == 502
        running.service.say(202)
        again = await post(running, "k")
        assert (again.status_code, len(running.seen)) == (202, 2)
        assert "idempotency-replay" not in again.headers


async def test_an_error_is_not_kept() -> None:
    async with bridge() as running:
        assert (await post(running, "k", {"target": ""})).status_code == 422
        assert (await post(running, "k")).status_code == 202


async def test_while_the_first_is_running() -> None:
    async with bridge() as running:
        running.service.delay = 0.1
        first, second = await asyncio.gather(post(running, "k"), post(running, "k"))
        assert sorted([first.status_code, second.status_code]) == [202, 409]
        assert len(running.seen) == 1


@pytest.mark.parametrize(("method", "path"), [("PUT", "groups/g/connections/c"), ("DELETE", "connections/c")])
async def test_a_change_is_given_again(method: str, path: str) -> None:
    async with bridge() as running:
        headers = AUTH | {"Idempotency-Key": "k"}
        answers = [await running.http.request(method, f"/hubs/chat/{path}", headers=headers) for _ in range(2)]
        assert [one.status_code for one in answers] == [204, 204]
        assert answers[1].headers["idempotency-replay"] == "true"
        assert len(running.seen) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
async def test_a_bad_key(key: str) -> None:
    async with bridge() as running:
        headers = {name.encode(): value.encode() for name, value in (AUTH | {"Idempotency-Key": key}).items()}
        answer = await running.http.post("/hubs/chat/send", json=ITEM, headers=headers)
        assert (answer.status_code, answer.headers["x-problem-code"]) == (400, "invalid-header")
        assert running.seen == []
