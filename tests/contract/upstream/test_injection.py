"""Names that would be somebody else's address: what a client types never leaves its path segment or its header."""

import json
from typing import Any

import pytest
from signalr_bridge.errors import InvalidName, NoHandler
from signalr_bridge.protocol import json_text
from signalr_bridge.upstream.dispatch import Failed, Returned, answer_message

from tests.contract.upstream.backend import Backend, answer
from tests.contract.upstream.forwarding import World, forwarding
from tests.unit.upstream.fakes import Caller, context, event

NAMES = {
    "a/b": "a%2Fb",
    "?x": "%3Fx",
    "#": "%23",
    "%2e%2e": "%252e%252e",
    "..%2f": "..%252f",
    "@host": "%40host",
    "//host/x": "%2F%2Fhost%2Fx",
    "\\..\\": "%5C..%5C",
    "a\r\nx-forged: 1": "a%0D%0Ax-forged%3A%201",
    "a\nb": "a%0Ab",
    "\x00": "%00",
    "{hub}": "%7Bhub%7D",
    " ": "%20",
    "...": "...",
    "x" * 7_000: "x" * 7_000,
}


@pytest.mark.parametrize("form", ["json", "cloudevents", "functions"])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:20]))
async def test_an_event_stays_where_it_belongs(name: str, form: str) -> None:
    with Backend(answer(204)) as backend:
        more: dict[str, Any] = {"function": "run"} if form == "functions" else {}
        async with forwarding(backend.url, format=form, **more) as forward:
            assert await answer_message(forward, context(event=name)) == Returned(None)
        [call] = backend.calls
    assert call.target == f"/chat/{NAMES[name]}" + ("/run" if more else "")
    assert "x-forged" not in call.headers
    body = json.loads(call.body)
    assert (body["Data"]["invocation"]["Event"] if more else body["event"]) == name


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_that_no_path_can_carry_is_no_event(name: str) -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            with pytest.raises(NoHandler):
                await Caller(forward).message(invocation(name), event=name)
        assert backend.calls == []


async def test_a_name_that_no_server_takes_fails_without_a_call() -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            assert await answer_message(forward, context(event="x" * 10_000)) == Failed()
        assert backend.calls == []
        async with World().forwards({"test": {"url": backend.url + "/all"}}) as [forward]:
            assert await answer_message(forward, context(event="x" * 10_000)) == Returned(None)
        assert backend.calls[0].target == "/all"


@pytest.mark.parametrize(
    "hub", ["..", ".", "a/b", "?x", "#", "%2e%2e", "@host", "chat\r\nx: y", "x" * 10_000, "{event}", "1"]
)
async def test_a_hub_that_is_none_is_not_forwarded(hub: str) -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            with pytest.raises(InvalidName):
                await Caller(forward).call(event(hub=hub), invocation("send"), X_ASRS_Hub=hub)
        assert backend.calls == []


@pytest.mark.parametrize("url", ["http://other.example/x", "//other.example", "/again", "http://127.0.0.1:1/"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_leads_nowhere(url: str, status: int) -> None:
    with Backend(answer(status, b"", f"Location: {url}")) as backend:
        async with forwarding(backend.url) as forward:
            assert await answer_message(forward, context()) == Failed()
        assert len(backend.calls) == 1


async def test_the_others_of_a_context_stay_in_their_headers() -> None:
    given: dict[str, Any] = {"user_id": "a\r\nx-forged: 1", "connection_id": "../../x\r\ny: z"}
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url, format="cloudevents") as forward:
            await forward.answer(context(**given, invocation_id="0\r\n"))
        [call] = backend.calls
    assert call.headers["ce-userid"] == "a%0D%0Ax-forged:%201"
    assert call.headers["ce-source"] == "/hubs/chat/connections/..%252F..%252Fx%250D%250Ay%253A%2520z"
    assert call.headers["ce-invocationid"] == "0%0D%0A"
    assert not {"x-forged", "y"} & call.headers.keys()


def invocation(target: str) -> bytes:
    return json_text.encode({"type": 1, "target": target, "arguments": []})
