"""Events read what a change of the settings has made, and build nothing of it again."""

import sys
from collections import Counter
from types import CodeType, FrameType

import httpx
from fastapi import FastAPI
from signalr_bridge.endpoints.credentials import Credentials
from signalr_bridge.endpoints.directory import EndpointMap
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.main import create_app
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.settings.model import Settings
from signalr_bridge.upstream.authenticator import (
    ServiceIdentity,
    UpstreamAuthenticator,
    UpstreamRules,
    VerificationKey,
    collect_verifiers,
)
from signalr_bridge.upstream.entra import EntraTokens
from signalr_bridge.upstream.forward.formats import WebhookSigner
from signalr_bridge.web.callers import KeyRing

from tests.bench.checks import CALLER, CODE, key_of, make_settings
from tests.unit.upstream.fakes import event, header_lines

MADE_BY_A_CHANGE = (
    Credentials,
    Endpoint,
    EndpointMap,
    EntraTokens,
    KeyRing,
    Registry,
    ServiceIdentity,
    SigningKey,
    UpstreamAuthenticator,
    UpstreamRules,
    VerificationKey,
    WebhookSigner,
)
CODES: dict[CodeType, str] = {vars(one)["__init__"].__code__: one.__name__ for one in MADE_BY_A_CHANGE}
CODES |= {one.__code__: one.__name__ for one in (collect_verifiers, Settings.all_endpoints)}


class Counting:
    """Counts, by name, what is made while it is entered."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()

    def __enter__(self) -> Counter[str]:
        sys.setprofile(self._see)
        return self.made

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code in CODES:
            self.made[CODES[frame.f_code]] += 1


def client(bridge: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(bridge), base_url="http://bridge")


def test_what_is_built_is_counted() -> None:
    with Counting() as made:
        create_app(make_settings(endpoints=3))
    counted = made["VerificationKey"], made["SigningKey"], made["UpstreamRules"]
    assert counted == (6, 6 + 3, 2), "for default, and for all, and 3 that sign our own tokens"
    assert made["collect_verifiers"] == 2
    assert made["Registry"] == made["EndpointMap"] == made["KeyRing"] == 1


async def test_a_hundred_events_build_nothing_and_read_the_same_rules() -> None:
    bridge = create_app(make_settings(endpoints=20))
    authenticator = bridge.state.parts.snapshots.authenticator()
    given = event(category="connections", event="connected")
    signed = [header_lines(given, x_asrs_signature=sign("c1", key_of(f"e{number % 20}"))) for number in range(100)]
    async with client(bridge) as http:
        with Counting() as made:
            answers = [await http.post("/upstream", params={"code": CODE}, headers=lines) for lines in signed]
    assert {one.status_code for one in answers} == {200}
    assert made == {}
    assert bridge.state.parts.snapshots.authenticator() is authenticator


async def test_a_hundred_calls_of_a_caller_build_nothing() -> None:
    bridge = create_app(make_settings(endpoints=20))
    async with client(bridge) as http:
        with Counting() as made:
            answers = [
                await http.post("/hubs/chat/negotiate", json={"userId": "ann"}, headers={"X-API-Key": CALLER})
                for _ in range(100)
            ]
    assert {one.status_code for one in answers} == {200}
    assert made == {}
