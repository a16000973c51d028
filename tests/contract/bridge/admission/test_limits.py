"""Rates and numbers at the running bridge: who is limited by what, and that health never is."""

import asyncio
import hashlib
import json

import httpx
import pytest

from tests.contract.bridge.running import AUTH, Bridge, bridge

PATH = "/hubs/chat/negotiate"
OPEN = {"BRIDGE_NEGOTIATE__HUBS": "chat", "BRIDGE_NEGOTIATE__ANONYMOUS": "true"}
SLOWLY = "0.001"


def limited(answer: httpx.Response) -> bool:
    if answer.status_code != 429:
        return False
    assert answer.json()["code"] == "rate-limited"
    assert 1 <= int(answer.headers["retry-after"]) <= 1000
    return True


async def test_a_caller_is_limited_by_name() -> None:
    keys = json.dumps([{"key": f"a-key-of-{name}-{n}-xxx", "name": name} for name in ("ann", "bob") for n in (1, 2)])
    async with bridge(BRIDGE_CALLERS__KEYS=keys, BRIDGE_LIMITS__CALLER_PER_SECOND=SLOWLY, **OPEN) as running:

        async def call(key: str, path: str = "/hubs/chat/send") -> httpx.Response:
            return await running.http.post(path, json={"target": "t"}, headers={"X-API-Key": key})

        assert (await call("a-key-of-ann-1-xxx")).status_code == 202
        assert limited(await call("a-key-of-ann-1-xxx"))
        assert limited(await call("a-key-of-ann-2-xxx")), "another key of hers"
        assert limited(await call("a-key-of-ann-2-xxx", PATH))
        assert (await call("a-key-of-bob-1-xxx")).status_code == 202
        assert (await running.http.post(PATH)).status_code == 200, "clients are not callers"
        assert len(running.seen) == 2


async def test_clients_are_limited_by_address() -> None:
    async with bridge(BRIDGE_LIMITS__NEGOTIATE_PER_SECOND=SLOWLY, **OPEN) as running:
        assert (await running.http.post(PATH)).status_code == 200
        assert limited(await running.http.post(PATH))
        assert limited(await running.http.post(PATH, headers={"X-Forwarded-For": "1.1.1.1"})), "nobody is believed"
        assert limited(await running.http.post("/hubs/unknown/negotiate"))
        for _ in range(3):
            answer = await running.http.post(PATH, json={"userId": "ann"}, headers=AUTH)
            assert answer.status_code == 200, "callers are not clients"


async def negotiate_from(running: Bridge, address: str, header: str = "X-Forwarded-For") -> httpx.Response:
    return await running.http.post(PATH, headers={header: address})


async def test_behind_a_trusted_proxy_it_is_the_client_s_address() -> None:
    settings = OPEN | {"BRIDGE_TRUSTED_PROXIES": "127.0.0.0/8", "BRIDGE_LIMITS__NEGOTIATE_PER_SECOND": SLOWLY}
    async with bridge(**settings) as running:
        for address in ("198.51.100.1", "198.51.100.2", "2001:db8::1"):
            assert (await negotiate_from(running, address)).status_code == 200
            assert limited(await negotiate_from(running, address))
        assert limited(await negotiate_from(running, "9.9.9.9, 198.51.100.1")), "what a client writes does not count"
        assert limited(await negotiate_from(running, "2001:db8::2")), "one network"
        assert (await negotiate_from(running, "for=198.51.100.3", "Forwarded")).status_code == 200
        assert limited(await negotiate_from(running, "198.51.100.3"))


async def test_wrong_keys_are_limited_by_address() -> None:
    async with bridge(BRIDGE_TRUSTED_PROXIES="127.0.0.1") as running:

        async def guess(key: str, address: str = "198.51.100.1") -> httpx.Response:
            headers = {"X-API-Key": key, "X-Forwarded-For": address}
            return await running.http.get("/hubs/chat/endpoints", headers=headers)

        answers = [await guess(hashlib.sha256(bytes([one])).hexdigest()) for one in range(130)]
        assert [one.status_code for one in answers[:100]] == [401] * 100
        assert sum(limited(one) for one in answers) >= 20
        assert (await guess("wrong", "198.51.100.2")).status_code == 401
        assert (await guess(AUTH["X-API-Key"])).status_code == 200
        assert (await running.http.get("/health/ready", headers={"X-API-Key": "wrong"})).status_code in {200, 503}


async def test_only_so_many_requests_at_once() -> None:
    async with bridge(BRIDGE_LIMITS__IN_FLIGHT="2", BRIDGE_CORS__ORIGINS="https://a.example", **OPEN) as running:
        running.service.answer = None  # it says nothing
        waiting = [
            asyncio.create_task(
                running.http.post("/hubs/chat/send", json={"target": "t"}, headers=AUTH | {"X-Request-Timeout": "0.3"})
            )
            for _ in range(2)
        ]
        for _ in range(200):
            if len(running.seen) < 2:
                await asyncio.sleep(0.01)
        answer = await running.http.post(PATH, headers={"Origin": "https://a.example"})
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert (await running.http.get("/health/live")).status_code == 200
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [504, 504]
        assert (await running.http.post(PATH)).status_code == 200


async def test_off_unless_set() -> None:
    async with bridge(**OPEN) as running:
        statuses = {(await running.http.post(PATH)).status_code for _ in range(50)}
        assert statuses == {200}


@pytest.mark.parametrize("name", ["CALLER_PER_SECOND", "NEGOTIATE_PER_SECOND"])
async def test_a_page_can_read_how_long_to_wait(name: str) -> None:
    settings = OPEN | {f"BRIDGE_LIMITS__{name}": SLOWLY, "BRIDGE_CORS__ORIGINS": "https://a.example"}
    async with bridge(**settings) as running:
        headers = {"Origin": "https://a.example"} | (AUTH if name.startswith("CALLER") else {})
        answers = [await running.http.post(PATH, headers=headers) for _ in range(2)]
        assert [one.status_code for one in answers] == [200, 429]
        for one in answers:
            assert one.headers["access-control-allow-origin"] == "https://a.example"
            assert one.headers["access-control-expose-headers"] == "X-Request-Id, Retry-After"
