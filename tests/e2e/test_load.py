"""Who is served while others flood the bridge, and what ends when a right ends: at a running bridge."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import trustme
from signalr_bridge.protocol.upstream_event import sign

from tests.contract.bridge.admission.openid import OpenId, run_openid
from tests.e2e.processes import (
    API_KEY,
    EMULATOR_KEY,
    Machine,
    Process,
    app_command,
    bridge_settings,
    eventually,
    free_port,
    run_emulator,
    wait_until_answered,
)
from tests.unit.web.issuing import AUDIENCE, said, signed

HUB = "/hubs/audited"
WATCHER, CLOSER, LATE = "a-key-that-may-watch", "a-key-that-may-close", "a-key-that-comes-late"
BUDGET, LARGE = 32 * 1024 * 1024, 8 * 1024 * 1024
ALL = {"name": "backend", "key": API_KEY}


Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Loaded:
    machine: Machine
    issuer: OpenId
    folder: Path

    def http(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.machine.url, headers=headers, trust_env=False, timeout=30)

    def admit(self, *keys: dict[str, Any]) -> None:
        """The callers' keys from now on, as a platform writes them: the bridge sees it within a few seconds."""
        (self.folder / "BRIDGE_CALLERS__KEYS").write_text(json.dumps(keys))

    def token(self, seconds: float = 3600, **claims: Any) -> str:
        now = time.time()
        return signed(said(now, iss=self.issuer.url, roles=["all"], exp=int(now + seconds), **claims))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder, authority = tmp_path_factory.mktemp("secrets"), trustme.CA()
    certificate = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    keys = [ALL, {"name": "watcher", "key": WATCHER, "rights": ["read"]}]
    keys += [{"name": "closer", "key": CLOSER}, {"name": "late", "key": LATE}]
    with run_openid(authority) as issuer:
        settings = {
            "SSL_CERT_FILE": str(certificate),
            "BRIDGE_SECRETS_DIR": str(folder),
            "BRIDGE_CALLERS__OIDC__ISSUER": issuer.url,
            "BRIDGE_CALLERS__OIDC__AUDIENCE": AUDIENCE,
            "BRIDGE_CALLERS__OIDC__ROLES": json.dumps({"all": {}}),
            "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
            "BRIDGE_CONSOLE": "true",
            "BRIDGE_DOCS": "true",
            "BRIDGE_HANDLERS": "tests.e2e.closing:chat",
            "BRIDGE_LIMITS__BODY_BYTES": str(BUDGET),
            "BRIDGE_LIMITS__DRAIN_SECONDS": "0",
        }
        (folder / "BRIDGE_CALLERS__KEYS").write_text(json.dumps(keys))
        port, emulator_port = free_port(), free_port()
        given = bridge_settings(emulator_port) | settings
        del given["BRIDGE_CALLERS__KEYS"]  # it would hide the file
        emulator = run_emulator(emulator_port, f"http://localhost:{port}/upstream")
        with emulator, Process("bridge", app_command("serve", "--port", str(port)), given) as bridge:
            wait_until_answered(bridge, f"http://localhost:{port}/health/live")
            yield Loaded(Machine(port, emulator_port, bridge, {"X-API-Key": API_KEY}), issuer, folder)


def head(method: str, path: str, length: int, *lines: str) -> bytes:
    shown = (f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *lines)
    return "\r\n".join([*shown, "", ""]).encode()


@asynccontextmanager
async def begun(loaded: Loaded, count: int, sent: bytes) -> AsyncIterator[Sequence[Streams]]:
    """So many connections on each of which this has been sent, and nothing more."""
    made = [await asyncio.open_connection("127.0.0.1", loaded.machine.bridge_port) for _ in range(count)]
    try:
        for _, writer in made:
            writer.write(sent)
        await asyncio.gather(*(writer.drain() for _, writer in made))
        yield made
    finally:
        for _, writer in made:
            writer.transport.abort()


async def ask_as_everybody(loaded: Loaded) -> list[int]:
    """A client, one with a body, a caller, the service, and health."""
    called = {
        "X-ASRS-Hub": "other",
        "X-ASRS-Category": "connections",
        "X-ASRS-Event": "disconnected",
        "X-ASRS-Connection-Id": "c1",
        "X-ASRS-Signature": sign("c1", EMULATOR_KEY),
        "Content-Type": "application/json",
    }
    async with loaded.http() as http:
        answers = [
            await http.post(f"{HUB}/negotiate"),
            await http.post(f"{HUB}/negotiate", content=b" { } "),
            await http.post(f"{HUB}/send", json={"target": "t"}, headers={"X-API-Key": API_KEY}),
            await http.post("/upstream", headers=called),
            await http.get("/health/live"),
        ]
    return [one.status_code for one in answers]


async def test_a_thousand_clients_who_begin_a_body_shut_nobody_out(loaded: Loaded) -> None:
    async with begun(loaded, 1000, head("POST", f"{HUB}/negotiate", 2) + b"{"):
        assert await ask_as_everybody(loaded) == [200, 200, 202, 200, 200]
    upstream = head("POST", "/upstream", 4_000_000, "X-ASRS-Hub: other", "X-ASRS-Connection-Id: c1") + b"{" * 1000
    nobody = head("POST", f"{HUB}/send", LARGE, "Content-Type: application/json") + b"[" * 1000
    for sent in (upstream, nobody):
        async with begun(loaded, 20, sent) as streams:
            answers = [(await reader.readuntil(b"\r\n")).split()[1] for reader, _ in streams]
            assert answers == [b"401"] * 20, "before anything of the body is read"


def memory_of(pid: int, what: str = "VmHWM") -> int:
    """The most bytes that a process has had in memory so far, or what it has now."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{what}:"))


async def test_bodies_in_flight_have_a_budget_together(loaded: Loaded) -> None:
    before = memory_of(loaded.machine.bridge.pid)
    body = json.dumps([{"target": "t", "arguments": ["x" * 8000]} for _ in range(1000)]).encode()
    whole = head("POST", f"{HUB}/send", len(body), f"X-API-Key: {API_KEY}", "Content-Type: application/json")
    async with begun(loaded, 200, whole + b" " * 100_000) as streams:
        over, waiting = set[Any](), {asyncio.ensure_future(reader.readuntil(b"\r\n\r\n")) for reader, _ in streams}
        while len(waiting) > BUDGET // len(body):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            over |= done
        assert {one.result().split()[1] for one in over} == {b"503"}
        assert all(b"\r\nretry-after: 1\r\n" in one.result() for one in over)
        assert await ask_as_everybody(loaded) == [200, 200, 202, 200, 200], "small ones have room beside it"
        assert len(waiting) >= 3, "those whose bytes have come first are taken"
        for one in waiting:
            one.cancel()
    assert memory_of(loaded.machine.bridge.pid) - before < 3 * BUDGET
    async with loaded.http(**{"X-API-Key": API_KEY, "Content-Type": "application/json"}) as http:
        statuses = [one.status_code for one in await asyncio.gather(*(_send(http, body) for _ in range(8)))]
    assert 202 in statuses
    assert set(statuses) <= {202, 503}
    assert memory_of(loaded.machine.bridge.pid) - before < 8 * BUDGET
    assert await ask_as_everybody(loaded) == [200, 200, 202, 200, 200], "what was taken has been given back"


async def test_a_refused_body_is_not_kept(loaded: Loaded) -> None:
    """Neither by the stack of its refusal, which nothing would free before the garbage collector comes."""
    piece = b"%x\r\n%s\r\n" % (LARGE // 8, b" " * (LARGE // 8))
    lines = f"X-API-Key: {API_KEY}", "Content-Type: application/json"
    chunked = head("POST", f"{HUB}/send", 0, *lines).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    before = memory_of(loaded.machine.bridge.pid, "VmRSS")
    for _ in range(40):
        async with begun(loaded, 1, chunked + piece * 9) as ((reader, _),):
            assert b" 413 " in await reader.readline()
    assert memory_of(loaded.machine.bridge.pid, "VmRSS") - before < 4 * BUDGET


async def _send(http: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await http.post(f"{HUB}/send?order=none&onError=continue", content=body)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_an_array_is_read_up_to_the_cap_of_faults(loaded: Loaded) -> None:
    flood = json.dumps([{"target": "t"} | {f"p{number}": 0 for number in range(700)}] * 1000).encode()
    tiny = b"[" + b"{}," * 2_700_000 + b"{}]"
    excluded = json.dumps([{"target": "t", "excluded": ["x"] * 200_000}] * 7).encode()
    async with loaded.http(**{"X-API-Key": API_KEY, "Content-Type": "application/json"}) as http:
        for body, faults in ((flood, 1000), (tiny, 1), (excluded, 7)):
            before = cpu_seconds(loaded.machine.bridge.pid)
            answer = await http.post(f"{HUB}/send", content=body)
            assert (answer.status_code, len(answer.json()["errors"])) == (422, faults)
            assert cpu_seconds(loaded.machine.bridge.pid) - before < 1, "it took 2.7 s, and 4 s"


async def test_callers_are_known_by_issuer_and_whole_subject(loaded: Loaded) -> None:
    replayed = []
    async with loaded.http(**{"Idempotency-Key": "one"}) as http:
        for subject in ("s" * 100 + "1", "s" * 100 + "2", "s" * 100 + "1"):
            token = loaded.token(sub=subject, azp="one-application")
            answer = await http.post(f"{HUB}/send", json={"target": "t"}, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 202
            replayed.append("idempotency-replay" in answer.headers)
    assert replayed == [False, False, True]


async def until_ended(http: httpx.AsyncClient, **headers: str) -> bytes:
    """What an open stream has said when it ends."""
    async with http.stream("GET", "/events", headers=headers) as answer:
        assert answer.status_code == 200
        return b"".join([piece async for piece in answer.aiter_bytes()])


async def test_what_is_open_ends_with_the_right(loaded: Loaded) -> None:
    outputs = [{"action": "close", "userId": "nobody"}]
    once = {"X-API-Key": CLOSER, "Idempotency-Key": "close"}
    async with loaded.http() as http:
        assert (await http.post(f"{HUB}/outputs", json=outputs, headers=once)).status_code == 202
        again = await http.post(f"{HUB}/outputs", json=outputs, headers=once)
        assert again.headers["idempotency-replay"] == "true"
        brief = asyncio.ensure_future(until_ended(http, Authorization=f"Bearer {loaded.token(2)}"))
        watching = asyncio.ensure_future(until_ended(http, **{"X-API-Key": WATCHER}))
        await asyncio.wait_for(brief, 10)  # at the end of its token, though it has nothing to say
        assert not watching.done()
        sent = f"X-API-Key: {LATE}", "Content-Type: application/json"
        late, later = head("POST", f"{HUB}/send", 15, *sent), head("POST", "/api/negotiate", 15, *sent)
        async with (
            begun(loaded, 1, late + b'{"target":') as (first,),
            begun(loaded, 1, later + b'{"userId":') as (second,),
        ):
            loaded.admit(ALL, {"name": "closer", "key": CLOSER, "rights": ["send"]})
            await asyncio.wait_for(watching, 20)
            for reader, writer in (first, second):
                writer.write(b' "t"}')
                assert (await reader.readuntil(b"\r\n")).split()[1] == b"401", "its key has gone while its body came"
        assert (await http.get("/events", headers={"X-API-Key": WATCHER})).status_code == 401
        lost = await http.post(f"{HUB}/outputs", json=outputs, headers=once)
        assert (lost.status_code, lost.headers["x-problem-code"]) == (403, "forbidden"), "and no kept answer"


async def test_head_is_answered_wherever_get_is(loaded: Loaded) -> None:
    async with loaded.http(**{"X-API-Key": API_KEY}) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
        asked = [path.replace("{hub}", "audited") for path, item in paths.items() if "get" in item]
        assert {path.replace("{hub}", "audited") for path, item in paths.items() if "head" in item} == {*asked}
        asked = [path.replace("{", "").replace("}", "") for path in asked if path != "/events"]
        pages = [
            "/",
            "/docs",
            "/openapi.json",
            "/page/workbench.js",
            "/static/signalr.min.js",
            "/health/ready?strict=true",
        ]
        for path in [*asked, f"{HUB}/exists?userId=u", *pages]:
            got, headed = await http.get(path), await http.head(path)
            assert (headed.status_code, headed.content) == (got.status_code, b""), path
        headed = await http.head("/events")
        assert (headed.status_code, headed.content) == (200, b"")


async def test_closes_are_audited(loaded: Loaded) -> None:
    arrived = {
        "X-ASRS-Hub": "audited",
        "X-ASRS-Category": "connections",
        "X-ASRS-Event": "connected",
        "X-ASRS-Connection-Id": "c1",
        "X-ASRS-Signature": sign("c1", EMULATOR_KEY),
        "Content-Type": "application/json",
    }
    async with loaded.http(**{"X-API-Key": API_KEY}) as http:
        assert (await http.delete(f"{HUB}/groups/staff/connections")).status_code == 204
        assert (await http.delete(f"{HUB}/connections?confirm=all")).status_code == 204
        assert (await http.post("/upstream", headers=arrived)).status_code == 200
    who, result = "backend", "accepted"
    wanted = [
        {"who": who, "what": "close the connections of group staff in hub audited", "result": result},
        {"who": who, "what": "close all connections of hub audited", "result": result},
        {"who": "tests.e2e.closing:arrive", "what": "close the connections of a user in hub audited", "result": result},
    ]

    def look() -> bool | None:
        lines = [json.loads(line) for line in loaded.machine.bridge.lines if line.startswith("{")]
        audited = [line for line in lines if line["logger"] == "signalr_bridge.audit"]
        return all(any(one.items() <= line.items() for line in audited) for one in wanted) or None

    eventually(look, "audits of the three closes", 5)
