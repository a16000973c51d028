"""The continuation token, and what it must not be."""

import base64

import pytest
from signalr_bridge.endpoints.endpoint import Endpoint, Outcome, Verdict
from signalr_bridge.errors import InvalidContinuationToken, NoEndpointAvailable
from signalr_bridge.outbound.members import Position, list_members, read_position, write_position
from signalr_bridge.protocol.rest import ClientAnswer, ListedConnection, MemberPage

from tests.unit.endpoints.fakes import FakeTransport, endpoint, offline, registry, said

A, B = endpoint("a"), endpoint("b")


@pytest.mark.parametrize("position", [Position("eastus"), Position("é/ü", 3, "x+y/z=="), Position("", 0, "")])
def test_there_and_back(position: Position) -> None:
    text = write_position(position)
    assert read_position(text) == position
    assert text.isascii()
    assert not set(text) & set("+/=")


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "é",
        "https://evil.example/",
        encoded(b"null"),
        encoded(b"{}"),
        encoded(b'"abc"'),
        encoded(b'["a",0]'),
        encoded(b'["a",0,null,1]'),
        encoded(b'["a",-1,null]'),
        encoded(b'["a",true,null]'),
        encoded(b"[1,0,null]"),
        encoded(b'["a",0,5]'),
        encoded(b"\xff\xff"),
        encoded(b'["a",0,"' + b"x" * 6000 + b'"]'),
    ],
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(InvalidContinuationToken):
        read_position(text)


def page(name: str, *ids: str, continuation: str | None = None) -> Outcome:
    members = [ListedConnection(one, f"user of {one}" if one != "anonymous" else None) for one in ids]
    return Outcome(name, "Primary", Verdict.ACCEPTED, answer=MemberPage(members, continuation))


async def collect(transport: FakeTransport, *endpoints: Endpoint, top: int) -> list[list[str]]:
    pages, token = [], None
    while True:
        known = registry(endpoints, transport)
        found = await list_members(known, "chat", "g", top=top, token=token, deadline=1010)
        pages.append([f"{one['connectionId']}@{one['endpoint']}" for one in found["value"]])
        token = found["continuationToken"]
        if token is None:
            return pages


async def test_one_endpoint_after_the_other() -> None:
    transport = FakeTransport(
        {"a": [page("a", "1", "2", continuation="next"), page("a", "3")], "b": [page("b", "4"), page("b")]}
    )
    assert await collect(transport, A, B, top=2) == [["1@a", "2@a"], ["3@a", "4@b"]]
    asked = [(call.endpoint, call.operation.page_size, call.operation.continuation) for call in transport.calls]
    assert asked == [("a", 2, None), ("a", 2, "next"), ("b", 1, None)]


async def test_a_page_that_ends_with_an_endpoint() -> None:
    transport = FakeTransport({"a": [page("a", "1", "2")], "b": [page("b", "3")]})
    assert await collect(transport, A, B, top=2) == [["1@a", "2@a"], ["3@b"]]


async def test_empty_pages_are_followed() -> None:
    transport = FakeTransport({"a": [page("a", continuation="x"), page("a", continuation="y"), page("a", "1")]})
    assert await collect(transport, A, top=5) == [["1@a"]]


async def test_a_group_that_nobody_knows() -> None:
    transport = FakeTransport({"a": [said("a", Verdict.ABSENT)], "b": [page("b")]})
    assert await collect(transport, A, B, top=5) == [[]]


@pytest.mark.parametrize(
    "outcome",
    [
        said("b", Verdict.UNREACHABLE),
        said("b", Verdict.REJECTED, 401, "denied"),
        said("b", Verdict.ACCEPTED),
        Outcome("b", "Primary", Verdict.ACCEPTED, answer=ClientAnswer()),
        page("b", "1", continuation="same"),
    ],
)
async def test_an_endpoint_that_cannot_be_asked_is_named(outcome: Outcome) -> None:
    transport = FakeTransport({"a": [page("a", "1")], "b": [outcome]})
    with pytest.raises(NoEndpointAvailable) as caught:
        await list_members(registry([A, B], transport), "chat", "g", top=9, token=None, deadline=1010)
    assert [one["name"] for one in caught.value.extensions["endpoints"]] == ["b"]


async def test_an_endpoint_that_is_offline_is_named() -> None:
    known = registry([A, B], FakeTransport({"a": [page("a", "1")]}), health=offline("b"))
    with pytest.raises(NoEndpointAvailable) as caught:
        await list_members(known, "chat", "g", top=9, token=None, deadline=1010)
    assert caught.value.extensions["endpoints"][0]["outcome"] == "offline"


async def test_a_token_of_an_endpoint_that_has_gone() -> None:
    token = write_position(Position("gone"))
    with pytest.raises(InvalidContinuationToken):
        await list_members(registry([A], FakeTransport()), "chat", "g", top=9, token=token, deadline=1010)
