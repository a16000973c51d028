"""The REST transport against a real server: what it says of every kind of answer, and how often it asked."""

import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager

import jwt
import pytest
from signalr_bridge.endpoints.endpoint import Endpoint, Outcome, Verdict, make_endpoint
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.outcome import Status
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.protocol.connection_string import parse_connection_string
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.web.observer import SILENT
from signalr_bridge.web.trace import TRACE, Trace

from tests.contract.endpoints.programmable import Server, programmable_server

KEY = "0123456789abcdefghijklmnopqrstuv"
MESSAGE = Operation(Action.SEND_TO_ALL, "chat")
JOIN = Operation(Action.ADD_CONNECTION, "chat", group="g", connection="c")
LEAVE = Operation(Action.REMOVE_CONNECTION, "chat", group="g", connection="c")
EXISTS = Operation(Action.USER_EXISTS, "chat", user="u")
SENT = Message("t", b"[1]")
BODY = b'{"target":"t","arguments":[1]}'
V = Verdict


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with programmable_server() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[RestTransport]:
    async with RestTransport() as opened:
        yield opened


def endpoint_at(url: str) -> Endpoint:
    text = f"Endpoint={url};AccessKey={KEY};Version=1.0;"
    return make_endpoint("e", "Primary", parse_connection_string(text), time.time)


async def ask(transport: RestTransport, url: str, operation: Operation = MESSAGE, seconds: float = 5) -> Outcome:
    return await transport.begin(endpoint_at(url), operation, SENT if operation.action.is_message else None, seconds)


@pytest.mark.parametrize(
    ("status", "message", "join", "code"),
    [
        (200, V.ACCEPTED, V.ACCEPTED, None),
        (202, V.ACCEPTED, V.ACCEPTED, None),
        (204, V.ACCEPTED, V.ACCEPTED, None),
        (400, V.REJECTED, V.REJECTED, None),
        (401, V.REJECTED, V.REJECTED, "denied"),
        (403, V.REJECTED, V.REJECTED, "denied"),
        (404, V.REJECTED, V.REJECTED, "endpoint-misrouted"),
        (413, V.REJECTED, V.REJECTED, None),
        (429, V.REJECTED, V.REJECTED, "throttled"),
        (500, V.UNKNOWN, V.REJECTED, None),
        (503, V.REJECTED, V.REJECTED, "throttled"),
    ],
)
async def test_a_status(
    server: Server, transport: RestTransport, status: int, message: Verdict, join: Verdict, code: str | None
) -> None:
    server.say(status)
    for operation, verdict in ((MESSAGE, message), (JOIN, join), (EXISTS, join)):
        outcome = await ask(transport, server.url, operation)
        assert (outcome.verdict, outcome.code) == (verdict, code)
        assert outcome.status_code == (None if verdict is V.ACCEPTED else status)
    assert [one.method for one in server.requests] == ["POST", "PUT", "HEAD"], "each was asked once"


@pytest.mark.parametrize("code", ["Error.Connection.NotExisted", "warning.connection.notexisted"])
async def test_absent(server: Server, transport: RestTransport, code: str) -> None:
    server.say(404, x_ms_error_code=code)
    assert (await ask(transport, server.url, JOIN)).verdict is V.ABSENT


async def test_the_wait_that_the_service_asks_for(server: Server, transport: RestTransport) -> None:
    server.say(429, Retry_After="7")
    assert (await ask(transport, server.url)).retry_after == 7


async def test_a_redirect_is_not_followed(server: Server, transport: RestTransport) -> None:
    async with programmable_server() as other:
        server.say(307, Location=f"{other.url}/stolen")
        outcome = await ask(transport, server.url)
        assert (outcome.verdict, outcome.status_code) == (V.REJECTED, 307)
        assert (len(server.requests), len(other.requests)) == (1, 0)


# --- it certainly never arrived


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_refused(transport: RestTransport) -> None:
    assert (await ask(transport, f"http://127.0.0.1:{free_port()}")).verdict is V.UNREACHABLE


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid", "a..b"])
async def test_a_name_that_means_nothing(transport: RestTransport, host: str) -> None:
    assert (await ask(transport, f"http://{host}:1")).verdict is V.UNREACHABLE


async def test_tls_with_a_server_that_has_none(server: Server, transport: RestTransport) -> None:
    assert (await ask(transport, server.url.replace("http:", "https:"), seconds=0.2)).verdict is V.UNREACHABLE
    assert server.requests == []


@contextmanager
def deaf_listener() -> Iterator[int]:
    """A port where connections are accepted by the kernel, and nobody ever answers."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=8)) as listening:
        yield int(listening.getsockname()[1])


async def test_a_time_out_in_the_tls_handshake(transport: RestTransport) -> None:
    with deaf_listener() as port:
        assert (await ask(transport, f"https://127.0.0.1:{port}", seconds=0.2)).verdict is V.UNREACHABLE


# --- it may have been done


async def test_a_time_out_after_the_request_went_out(transport: RestTransport) -> None:
    with deaf_listener() as port:
        assert (await ask(transport, f"http://127.0.0.1:{port}", seconds=0.2)).verdict is V.UNKNOWN


@pytest.mark.parametrize("wait_for_body", [True, False])
async def test_silence_before_and_after_the_body_was_read(
    server: Server, transport: RestTransport, wait_for_body: bool
) -> None:
    server.answer, server.wait_for_body = None, wait_for_body
    assert (await ask(transport, server.url, seconds=0.2)).verdict is V.UNKNOWN
    assert len(server.requests) == 1


@pytest.mark.parametrize("wait_for_body", [True, False])
async def test_closed_without_an_answer(server: Server, transport: RestTransport, wait_for_body: bool) -> None:
    server.answer, server.close, server.wait_for_body = None, True, wait_for_body
    assert (await ask(transport, server.url)).verdict is V.UNKNOWN
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Acc",
        b"HTTP/1.1 202 Accepted\r\nContent-Le",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: many\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_or_is_none(server: Server, transport: RestTransport, answer: bytes) -> None:
    server.answer, server.close = answer, True
    assert (await ask(transport, server.url)).verdict is V.UNKNOWN
    assert len(server.requests) == 1


async def test_a_body_that_breaks_off_does_not_matter(server: Server, transport: RestTransport) -> None:
    server.answer, server.close = b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf", True
    assert (await ask(transport, server.url)).verdict is V.ACCEPTED


async def test_a_kept_connection_that_the_server_has_closed_gets_no_message_twice(
    server: Server, transport: RestTransport
) -> None:
    assert (await ask(transport, server.url)).verdict is V.ACCEPTED
    server.answer, server.close = None, True
    assert (await ask(transport, server.url)).verdict is V.UNKNOWN
    assert (len(server.requests), server.connections) == (2, 1)


# --- behind the registry


def registry_at(transport: RestTransport, url: str, clock: Callable[[], float] = time.monotonic) -> Registry:
    return Registry([endpoint_at(url)], transport, Health(time.time), clock=clock, random=lambda: 0.0, observer=SILENT)


@pytest.mark.parametrize("kind", ["silence", "close", "garbage", "500"])
async def test_there_are_never_two_copies_of_a_message(server: Server, transport: RestTransport, kind: str) -> None:
    server.answer = {"garbage": b"no HTTP\r\n\r\n", "500": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}.get(kind)
    server.close = kind in {"close", "garbage"}
    known = registry_at(transport, server.url)
    result = await known.perform(MESSAGE, SENT, names=None, deadline=time.monotonic() + 0.3)
    assert result.status is Status.UNKNOWN
    assert len(server.requests) == 1


@pytest.mark.parametrize(("operation", "requests"), [(MESSAGE, 1), (JOIN, 3), (LEAVE, 3)])
async def test_what_may_happen_twice_is_tried_again(
    server: Server, transport: RestTransport, operation: Operation, requests: int
) -> None:
    server.say(500)
    message = SENT if operation is MESSAGE else None
    known = registry_at(transport, server.url)
    await known.perform(operation, message, names=None, deadline=time.monotonic() + 5)
    assert len(server.requests) == requests


async def test_a_message_that_was_refused_for_its_rate_is_sent_again(server: Server, transport: RestTransport) -> None:
    server.say(429)
    moments = iter([0.0, 0.0, 3.0, 3.0, 6.0, 6.0, 9.0, 9.0])
    known = registry_at(transport, server.url, lambda: next(moments, 100.0))
    result = await known.perform(MESSAGE, SENT, names=None, deadline=10)
    assert (result.status, result.code) == (Status.REJECTED, "throttled")
    assert len(server.requests) == 4, "to the end of its deadline"


# --- the request


@pytest.mark.parametrize(
    ("operation", "target"),
    [
        (Operation(Action.SEND_TO_ALL, "Chat"), "/api/hubs/chat/:send?api-version=2022-06-01"),
        (
            Operation(Action.SEND_TO_GROUP, "chat", group="a/b%c +é?#😀", excluded=("x&y", "z")),
            "/api/hubs/chat/groups/a%2Fb%25c%20%2B%C3%A9%3F%23%F0%9F%98%80/:send"
            "?api-version=2022-06-01&excluded=x%26y&excluded=z",
        ),
        (
            Operation(Action.ADD_USER, "chat", user="%2F", group="%2e%2e", ttl=5),
            "/api/hubs/chat/users/%252F/groups/%252e%252e?api-version=2022-06-01&ttl=5",
        ),
        (
            Operation(Action.CLOSE_CONNECTION, "chat", connection="a//b", reason="so, what?"),
            "/api/hubs/chat/connections/a%2F%2Fb?api-version=2022-06-01&reason=so%2C%20what%3F",
        ),
    ],
)
async def test_the_target_is_escaped_exactly_once(
    server: Server, transport: RestTransport, operation: Operation, target: str
) -> None:
    await ask(transport, server.url, operation)
    assert server.requests[0].target == target


async def test_the_token_is_for_this_url_alone(server: Server, transport: RestTransport) -> None:
    await ask(transport, server.url, Operation(Action.SEND_TO_GROUP, "chat", group="a/b é", excluded=("x",)))
    scheme, token = server.requests[0].headers["authorization"].split(" ")
    assert scheme == "Bearer"
    audience = f"{server.url}/api/hubs/chat/groups/a%2Fb%20%C3%A9/:send"
    claims = jwt.decode(token, KEY, algorithms=["HS256"], audience=audience)
    assert claims["aud"] == audience, "with the port, without the query"
    assert claims["exp"] - claims["iat"] <= 600
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, KEY + "x", algorithms=["HS256"], audience=audience)


async def test_a_server_endpoint_is_where_calls_go(server: Server, transport: RestTransport) -> None:
    text = f"Endpoint=https://contoso.example;AccessKey={KEY};ServerEndpoint={server.url}/gate/;"
    there = make_endpoint("e", "Primary", parse_connection_string(text), time.time)
    await transport.begin(there, MESSAGE, SENT, 5)
    assert server.requests[0].target == "/gate/api/hubs/chat/:send?api-version=2022-06-01"
    token = server.requests[0].headers["authorization"].split(" ")[1]
    jwt.decode(token, KEY, algorithms=["HS256"], audience=f"{server.url}/gate/api/hubs/chat/:send")


async def test_the_body_goes_out_as_it_is(server: Server, transport: RestTransport) -> None:
    await ask(transport, server.url)
    request = server.requests[0]
    assert request.body == BODY
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body)["target"] == "t"
    await ask(transport, server.url, JOIN)
    assert server.requests[1].body == b""


async def test_each_message_and_each_operation_has_its_own_request(server: Server, transport: RestTransport) -> None:
    there, other = endpoint_at(server.url), Operation(Action.SEND_TO_USER, "chat", user="u")
    calls = [(MESSAGE, Message("a")), (MESSAGE, Message("b")), (other, Message("b")), (JOIN, None), (LEAVE, None)]
    calls += [(MESSAGE, SENT)] * 2
    for operation, message in calls:
        await transport.begin(there, operation, message, 5)
    assert [(one.method, one.target.partition("?")[0], one.body) for one in server.requests] == [
        ("POST", "/api/hubs/chat/:send", b'{"target":"a","arguments":[]}'),
        ("POST", "/api/hubs/chat/:send", b'{"target":"b","arguments":[]}'),
        ("POST", "/api/hubs/chat/users/u/:send", b'{"target":"b","arguments":[]}'),
        ("PUT", "/api/hubs/chat/groups/g/connections/c", b""),
        ("DELETE", "/api/hubs/chat/groups/g/connections/c", b""),
        ("POST", "/api/hubs/chat/:send", BODY),
        ("POST", "/api/hubs/chat/:send", BODY),
    ]


async def test_a_trace_is_passed_on(server: Server, transport: RestTransport) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    TRACE.set(Trace("id", trace))
    await ask(transport, server.url)
    TRACE.set(Trace("id"))
    await ask(transport, server.url)
    assert [one.headers.get("traceparent") for one in server.requests] == [trace, None]


async def test_cookies_are_not_kept(server: Server, transport: RestTransport) -> None:
    server.say(202, Set_Cookie="a=b; Path=/")
    await ask(transport, server.url)
    await ask(transport, server.url)
    assert "cookie" not in server.requests[1].headers


async def test_it_is_of_no_use_before_it_is_opened() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await RestTransport().begin(endpoint_at("http://localhost"), MESSAGE, SENT, 1)
