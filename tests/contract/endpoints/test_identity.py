"""An endpoint opened by azure-identity's own code, against App Service's identity endpoint and the service's keys."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
import pytest
import trustme
from signalr_bridge.endpoints.credentials import Credentials
from signalr_bridge.endpoints.endpoint import Endpoint, Outcome, Verdict, make_endpoint
from signalr_bridge.endpoints.entra_credential import KEY_RENEW_SECONDS, KEY_SECONDS
from signalr_bridge.endpoints.health import State, explain, judge_probe
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.errors import CredentialInsufficient, NoEndpointAvailable
from signalr_bridge.protocol.access_token import client_claims
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.model import CredentialSettings, EndpointSettings
from signalr_bridge.web.observer import SILENT

from tests.azure.identity_endpoint import Identities, IdentityEndpoint
from tests.azure.issuer import Issuer
from tests.azure.signalr import KEY, SignalR
from tests.azure.standin import running

SEND = Operation(Action.SEND_TO_ALL, "chat")
MANAGED = CredentialSettings(kind="managed-identity")
DAY = 86_400.0
KEYS = "/default/api/v1/auth/accessKey"


@dataclass
class World:
    """The parts, and ``passed``: seconds by which the bridge's clock is ahead."""

    issuer: Issuer
    identity: IdentityEndpoint
    service: SignalR
    transport: RestTransport
    passed: float = 0.0
    opened: list[Credentials] = field(default_factory=list)

    def clock(self) -> float:
        return time.time() + self.passed

    def endpoint(self, credential: CredentialSettings = MANAGED, name: str = "default") -> Endpoint:
        connection = ConnectionString(self.service.url, None, server_endpoint=f"{self.service.url}/{name}")
        settings = EndpointSettings(name=name, connection=connection, credential=credential)
        if not self.opened:
            made = Credentials(
                self.issuer.url,
                runtime=Runtime(wall_clock=self.clock, random=lambda: 1.0),
                wait_seconds=1.0,
                observer=SILENT,
            )
            self.opened.append(made)
        opened = self.opened[0].find(settings)
        return make_endpoint(name, "Primary", connection, self.clock, credential=opened)

    async def send(self, endpoint: Endpoint, seconds: float = 5.0) -> Outcome:
        return await self.transport.begin(endpoint, SEND, Message("x"), seconds)

    def claims(self, **more: Any) -> dict[str, Any]:
        given: dict[str, Any] = {"user_id": "ann", "claims": {}, "now": int(self.clock()), "lifetime": 3600} | more
        return client_claims(audience="http://localhost/client/?hub=chat", **given)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running(Issuer(trustme.CA())) as one:
        yield one


@pytest.fixture
async def world(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    assigned = frozenset({("client_id", "c"), ("mi_res_id", "/r"), ("principal_id", "o")})
    with (
        running(IdentityEndpoint(issuer, Identities(assigned=assigned))) as identity,
        running(SignalR(issuer)) as service,
    ):
        for name, text in identity.environment.items():
            monkeypatch.setenv(name, text)
        async with RestTransport() as transport:
            made = World(issuer, identity, service, transport)
            yield made
            identity.open.set()
            service.open.set()
            for one in made.opened:
                await one.__aexit__(None, None, None)


async def settle(until: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not until():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# --- the token


async def test_a_thousand_at_once_on_a_cold_cache_ask_once(world: World) -> None:
    endpoint, other = world.endpoint(), world.endpoint(name="other")
    tokens = await asyncio.gather(*(one.credential.rest_token("u") for one in [endpoint, other] for _ in range(500)))
    assert len(set(tokens)) == 1
    assert len(world.identity.asked) == 1, "endpoints that are opened alike share the token"
    assert (await world.send(endpoint)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("ids", "sent"),
    [
        ({}, {}),
        ({"client_id": "c"}, {"client_id": "c"}),
        ({"resource_id": "/r"}, {"mi_res_id": "/r"}),
        ({"object_id": "o"}, {"principal_id": "o"}),
    ],
    ids=["system", "client id", "resource id", "object id"],
)
async def test_identities_go_by_the_names_that_app_service_knows(
    world: World, ids: dict[str, str], sent: dict[str, str]
) -> None:
    outcome = await world.send(world.endpoint(CredentialSettings.model_validate({"kind": "managed-identity", **ids})))
    assert outcome.verdict is Verdict.ACCEPTED
    known = {"api-version": "2019-08-01", "resource": "https://signalr.azure.com"}
    assert world.identity.asked == [known | sent]


async def test_the_default_credential_with_a_resource_id(world: World) -> None:
    outcome = await world.send(world.endpoint(CredentialSettings(kind="default", resource_id="/r")))
    assert outcome.verdict is Verdict.ACCEPTED
    assert world.identity.asked[-1]["mi_res_id"] == "/r"


async def test_only_the_first_calls_wait_for_a_token_and_a_key(world: World) -> None:
    endpoint = world.endpoint()
    assert endpoint.credential.ready_token("u") is None
    assert (await world.send(endpoint)).verdict is Verdict.ACCEPTED
    token = endpoint.credential.ready_token("u")
    assert token == await endpoint.credential.rest_token("u")
    await endpoint.credential.client_token(world.claims())
    signing = endpoint.credential.client_token(world.claims())
    with pytest.raises(StopIteration):
        signing.send(None)  # it is done without a turn of the event loop


async def test_a_token_is_refreshed_ahead_of_its_end_and_nobody_waits(world: World) -> None:
    endpoint = world.endpoint()
    await world.send(endpoint)
    world.identity.open.clear()
    world.passed = DAY - 300
    outcomes = await asyncio.gather(*(world.send(endpoint) for _ in range(50)))
    assert {one.verdict for one in outcomes} == {Verdict.ACCEPTED}
    await settle(lambda: len(world.identity.asked) == 2)
    world.identity.open.set()


@pytest.mark.parametrize(
    ("status", "headers"), [(401, {}), (403, {}), (429, {"Retry_After": "20"}), (500, {}), (400, {})], ids=str
)
async def test_an_identity_endpoint_that_fails_is_survived_under_traffic(
    world: World, status: int, headers: dict[str, str]
) -> None:
    endpoint = world.endpoint()
    await world.send(endpoint)
    world.identity.say(status, **headers)
    for ahead in (DAY - 300, DAY - 200, DAY - 100):  # the token is still good: nobody notices
        world.passed = ahead
        outcomes = await asyncio.gather(*(world.send(endpoint) for _ in range(20)))
        assert {one.verdict for one in outcomes} == {Verdict.ACCEPTED}
    await settle(lambda: endpoint.credential.refresh_failure == f"status {status}")
    world.passed = DAY + 1
    outcomes = await asyncio.gather(*(world.send(endpoint, 1.0) for _ in range(20)))
    assert {(one.verdict, one.code) for one in outcomes} == {(Verdict.UNREACHABLE, "no-credential")}
    assert {explain(one) for one in outcomes} == {f"no-credential: status {status}"}
    assert {judge_probe(one) for one in outcomes} == {State.DENIED}
    world.identity.said, world.identity.seconds = None, 3 * DAY  # the bridge's clock is ahead by one
    world.passed += 60
    assert (await world.send(endpoint)).verdict is Verdict.ACCEPTED
    assert endpoint.credential.refresh_failure is None


async def test_retry_after_is_honoured(world: World) -> None:
    endpoint = world.endpoint()
    world.identity.say(429, Retry_After="20")
    assert (await world.send(endpoint)).why == "status 429"
    world.identity.said = None
    world.passed = 18.0
    assert (await world.send(endpoint)).code == "no-credential"
    assert len(world.identity.asked) == 1
    world.passed = 22.0
    assert (await world.send(endpoint)).verdict is Verdict.ACCEPTED


async def test_a_hanging_identity_endpoint_costs_no_more_than_the_deadline(world: World) -> None:
    endpoint = world.endpoint()
    world.identity.open.clear()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*(world.send(endpoint, 0.1) for _ in range(20)))
    assert {one.why for one in outcomes} == {"no answer in time"}
    assert len(world.identity.asked) == 1
    world.identity.open.set()
    assert (await world.send(endpoint)).verdict is Verdict.ACCEPTED


async def test_an_identity_endpoint_that_is_gone_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
    outcome = await world.send(world.endpoint())
    assert outcome.code == "no-credential"
    assert outcome.why is not None
    assert outcome.why.startswith("failed: ")


# --- the signing key

_TOKENS = [("made-by-the-service", "chat"), ("made-by-the-service", "news"), ("made-by-somebody", "chat")]


async def test_clients_tokens_are_signed_with_the_key_the_service_issues(world: World) -> None:
    endpoint = world.endpoint()
    tokens = await asyncio.gather(*(endpoint.credential.client_token(world.claims()) for _ in range(1000)))
    assert {jwt.get_unverified_header(one)["kid"] for one in tokens} == {"key-1"}
    assert jwt.decode(tokens[0], KEY, ["HS256"], audience="http://localhost/client/?hub=chat")["asrs.s.uid"] == "ann"
    assert world.service.count(KEYS) == 1


async def test_a_key_is_refreshed_by_the_calls_that_come_anyway(world: World) -> None:
    endpoint = world.endpoint()
    await world.send(endpoint)
    assert world.service.count(KEYS) == 0, "who only sends needs no key"
    await endpoint.credential.client_token(world.claims())
    world.passed = KEY_RENEW_SECONDS - 5
    await world.send(endpoint)
    assert world.service.count(KEYS) == 1
    assert endpoint.credential.client_keys == (KEY,)
    world.service.key_id, world.service.key, world.passed = "key-2", f"another-{KEY}", KEY_RENEW_SECONDS + 5
    await world.send(endpoint)
    await settle(lambda: world.service.count(KEYS) == 2)
    await settle(lambda: not [one for one in asyncio.all_tasks() if "RefreshingToken._refresh" in repr(one)])
    token = await endpoint.credential.client_token(world.claims())
    assert jwt.get_unverified_header(token)["kid"] == "key-2"
    assert tuple(endpoint.credential.client_keys) == (f"another-{KEY}", KEY), (
        "tokens of the first are valid for a while"
    )


async def test_issued_keys_are_remembered_as_long_as_tokens_signed_by_them_may_live(world: World) -> None:
    world.identity.seconds = 9 * DAY
    endpoint, keys = world.endpoint(), [f"issued-{number}".ljust(32, "-") for number in range(30)]
    for number, key in enumerate(keys):
        world.passed, world.service.key = number * KEY_SECONDS, key
        await endpoint.credential.client_token(world.claims())
    living = keys[-1 - int(DAY // KEY_SECONDS) :]
    assert list(endpoint.credential.client_keys) == living[::-1], "the newest first"
    world.passed += KEY_SECONDS + DAY - 60
    assert list(endpoint.credential.client_keys) == keys[-1:]
    world.passed += 120
    assert list(endpoint.credential.client_keys) == []


async def test_an_old_key_signs_while_a_new_one_is_refused(world: World) -> None:
    endpoint = world.endpoint()
    await endpoint.credential.client_token(world.claims())
    world.service.said = (403, {}, b"")
    world.passed = KEY_SECONDS - 60
    token = await endpoint.credential.client_token(world.claims(lossless=False, claims={"role": ["admin"]}))
    assert jwt.get_unverified_header(token)["kid"] == "key-1"


async def test_a_forbidden_key_has_tokens_made(world: World) -> None:
    endpoint = world.endpoint()
    world.service.said = (403, {}, b"")
    assert await endpoint.credential.client_token(world.claims()) == "made-by-the-service"
    obtained = [endpoint.credential.has_obtained(*one) for one in _TOKENS]
    assert obtained == [True, False, False], "no key of ours tells that it is one of the hub's"
    assert await endpoint.credential.client_token(world.claims(user_id=None)) == "made-by-the-service"
    for more in (
        {"claims": {"role": ["admin"]}},
        {"close_on_expiry": True},
        {"user_id": "x, bridge.claims: e30", "lossless": False},
    ):
        try:
            claims = world.claims(**more)
        except Exception:
            continue
        with pytest.raises(CredentialInsufficient):
            await endpoint.credential.client_token(claims)


@pytest.mark.parametrize("answer", [(401, {}, b""), (500, {}, b""), (200, {}, b"{}"), (200, {}, b"no"), (302, {}, b"")])
async def test_no_key_for_the_moment(world: World, answer: tuple[int, dict[str, str], bytes]) -> None:
    endpoint = world.endpoint()
    world.service.said = answer
    with pytest.raises(NoEndpointAvailable) as caught:
        await endpoint.credential.client_token(world.claims())
    assert "Retry-After" in caught.value.headers
    world.service.said, world.passed = None, 10.0
    assert jwt.get_unverified_header(await endpoint.credential.client_token(world.claims()))["kid"] == "key-1"


async def test_a_client_waits_no_longer_than_it_may(world: World) -> None:
    endpoint = world.endpoint()
    world.service.open.clear()
    async with asyncio.timeout(5):
        with pytest.raises(NoEndpointAvailable):
            await endpoint.credential.client_token(world.claims())


def test_what_opens_is_not_shown(world: World) -> None:
    endpoint = replace(world.endpoint(CredentialSettings.model_validate({"kind": "client-secret", "tenant_id": "t",
        "client_id": "c", "client_secret": "canary"})))  # fmt: skip
    assert "canary" not in repr(endpoint) + repr(world.opened[0])
