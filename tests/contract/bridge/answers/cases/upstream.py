"""Events of the service: every check, every ending, in JSON and in MessagePack."""

import json
from collections.abc import Iterator
from typing import Any

from signalr_bridge.protocol.hub_message import Invocation
from signalr_bridge.protocol.upstream_event import write_messagepack_invocation, write_signatures

from tests.contract.bridge.answers.bridges import CODE, SERVICE_KEY
from tests.contract.bridge.answers.cases.request import event, request
from tests.contract.bridge.answers.exchange import Case

PACKED = "application/x-msgpack"
_WRONG = "vutsrqponmlkjihgfedcba9876543210"


def said(target: str, *arguments: Any, id: str | None = "0") -> bytes:
    """An invocation in JSON."""
    return json.dumps(
        {"type": 1} | ({} if id is None else {"invocationId": id}) | {"target": target, "arguments": arguments}
    ).encode()


def packed(target: str, *arguments: Any, id: str | None = "0") -> bytes:
    """An invocation in MessagePack."""
    return write_messagepack_invocation(Invocation(target, list(arguments), id))


def messages() -> Iterator[Case]:
    """A handler returns, refuses or fails, and the client waits or not."""
    arguments: dict[str, tuple[Any, ...]] = {
        "echo": ({"a": [1, "\xe4", None, 1.5]},),
        "nothing": (),
        "who": (),
        "refuse": (),
        "reject": (),
        "fail": (),
        "send": ("ann",),
    }
    for target, given in arguments.items():
        for id, name in (("0", "who waits"), (None, "who does not")):
            yield event(f"{target} of a client {name}", "rooms", "messages", target, body=said(target, *given, id=id))
            body = packed(target, *given, id=id)
            yield event(f"{target} of a client {name}, packed", "rooms", "messages", target, body=body, media=PACKED)
    for word in ("absent", "500", "403"):
        yield event(f"send: {word}", event="send", body=said("send", f"say-{word}"))
        yield event(f"send without an id: {word}", event="send", body=said("send", f"say-{word}", id=None))
    yield event("too many arguments", event="nothing", body=said("nothing", 1))
    yield event("too few arguments", event="echo", body=said("echo"))
    yield event("another spelling", "ROOMS", "MESSAGES", "ECHO", body=said("Echo", 1))
    yield event("no handler", event="other", body=said("other"))
    yield event("no handler of the hub", "chat", event="echo", body=said("echo", 1))
    for hub, target in (("outside", "echo"), ("away", "echo")):
        yield event(f"{hub}: {target}", hub, event=target, body=said(target, 1))
        yield event(f"{hub}: {target} without an id", hub, event=target, body=said(target, 1, id=None))
        yield event(f"{hub}: {target}, packed", hub, event=target, body=packed(target, 1), media=PACKED)
    for word in ("refused", "500", "404", "empty", "nonsense", "outputs", "cut", "nothing"):
        yield event(f"outside: {word}", "outside", event=f"say-{word}", body=said(f"say-{word}"))
    yield event("outside: refused without an id", "outside", event="say-refused", body=said("say-refused", id=None))


def connections() -> Iterator[Case]:
    """Clients come and go."""
    for hub in ("rooms", "strict", "broken", "chat", "outside", "away", "unknown"):
        yield event(f"connected: {hub}", hub, "connections", "connected", body=b'{"type":10}')
        yield event(f"disconnected: {hub}", hub, "connections", "disconnected", body=b'{"type":11}')
    for name, body in {
        "nothing": b"",
        "an error": b'{"type":11,"error":"lost"}',
        "capitals": b'{"Type":11,"Error":"lost"}',
        "a separator": b'{"type":11}\x1e',
        "a number": b'{"error":1}',
        "no JSON": b"x",
        "an array": b"[]",
        "more behind it": b'{"type":11} x',
    }.items():
        yield event(f"disconnected with {name}", "rooms", "connections", "disconnected", body=body)
    yield event("disconnected, packed", "rooms", "connections", "disconnected", body=b"\x90", media=PACKED)
    yield event("connected, packed", "rooms", "connections", "connected", body=b"\x90", media=PACKED)
    yield event("connected with a body that is none", "rooms", "connections", "connected", body=b"x")
    yield event("connected in capitals", "Rooms", "Connections", "Connected", body=b"")
    yield event("an unknown event", "rooms", "connections", "reconnected", body=b"")
    yield event("an unknown category", "rooms", "other", "echo", body=said("echo", 1))
    yield event("no media type", "rooms", "connections", "connected", body=b"", media="")


def bodies() -> Iterator[Case]:
    """What is wrong with a message."""
    for name, body in {
        "nothing": b"",
        "no JSON": b"x",
        "an array": b"[]",
        "another type": b'{"type":3}',
        "no type": b'{"target":"echo"}',
        "no target": b'{"type":1,"arguments":[]}',
        "another target": said("other", 1),
        "no arguments": b'{"type":1,"target":"echo"}',
        "null for arguments": b'{"type":1,"target":"nothing","arguments":null}',
        "an object for arguments": b'{"type":1,"target":"echo","arguments":{}}',
        "a separator": said("echo", 1) + b"\x1e",
        "two": said("echo", 1) + b"\x1e" + said("echo", 2),
        "not UTF-8": b'{"type":1,"target":"echo","arguments":["\xff"]}',
        "a lone surrogate": b'{"type":1,"invocationId":"0","target":"echo","arguments":["\\ud800"]}',
        "a stream": b'{"type":1,"invocationId":"0","target":"echo","arguments":[1],"streamIds":["1"]}',
        "a number as it is written": b'{"type":1,"invocationId":"0","target":"echo","arguments":[1.0]}',
        "a large number": b'{"type":1,"invocationId":"0","target":"echo","arguments":[12345678901234567890123]}',
        "an empty id": b'{"type":1,"invocationId":"","target":"echo","arguments":[1]}',
        "a number for an id": b'{"type":1,"invocationId":1,"target":"echo","arguments":[1]}',
        "capitals": b'{"Type":1,"InvocationId":"0","Target":"echo","Arguments":[1]}',
        "headers": b'{"type":1,"invocationId":"0","target":"echo","arguments":[1],"headers":{"a":"b"}}',
    }.items():
        yield event(f"message of {name}", body=body)
    for name, body in {
        "nothing": b"",
        "nonsense": b"\xc1",
        "an object": b"\x80",
        "half": packed("echo", 1)[:-1],
        "more behind it": packed("echo", 1) + b"\x00",
        "another target": packed("other", 1),
        "bytes": packed("echo", b"\x00\xff"),
        "an object with numbers for names": packed("echo", {1: 2}),
    }.items():
        yield event(f"packed message of {name}", body=body, media=PACKED)
    for media in ("", "text/plain", "application/json; charset=utf-8", "APPLICATION/JSON", "application/octet-stream"):
        yield event(f"media type {media or 'of none'}", body=said("echo", 1), media=media)
    for encoding in ("gzip", "identity", ""):
        yield event(
            f"encoding {encoding}", "rooms", "messages", "echo", f"Content-Encoding: {encoding}", body=said("echo", 1)
        )


def checks() -> Iterator[Case]:
    """The code, the signature, the headers: one after the other."""
    body = said("echo", 1)
    for name, target in {
        "no code": "/upstream",
        "an empty code": "/upstream?code=",
        "a wrong code": "/upstream?code=x",
        "a code too many": f"/upstream?code=x&code={CODE}",
        "a code in capitals": f"/upstream?CODE={CODE}",
        "another parameter": f"/upstream?x=1&code={CODE}",
        "a query that is not UTF-8": f"/upstream?%FF&code={CODE}",
        "below": f"/upstream/rooms/api/messages/echo?code={CODE}",
        "below with slashes": f"/upstream//rooms/?code={CODE}",
        "with a slash": f"/upstream/?code={CODE}",
        "in capitals": f"/UPSTREAM?code={CODE}",
        "in capitals below": f"/UpStream/X?code={CODE}",
        "beside it": f"/upstreams?code={CODE}",
        "of a function app": f"/runtime/webhooks/signalr?code={CODE}",
        "of a function app in capitals": f"/Runtime/WebHooks/SignalR?code={CODE}",
        "of a function app below": f"/runtime/webhooks/signalr/x?code={CODE}",
        "of a function app beside it": f"/runtime/webhooks/other?code={CODE}",
        "of a function app with an escape": f"/runtime/webhooks%2Fsignalr?code={CODE}",
    }.items():
        yield event(f"address: {name}", body=body, target=target)
    yield event(
        "code in a header", "rooms", "messages", "echo", f"x-functions-key: {CODE}", body=body, target="/upstream"
    )
    yield event(
        "wrong code in a header", "rooms", "messages", "echo", "x-functions-key: x", body=body, target="/upstream"
    )
    yield event("no signature", body=body, keys=())
    yield event("a wrong signature", body=body, keys=(_WRONG,))
    yield event("two signatures", body=body, keys=(_WRONG, SERVICE_KEY))
    right = write_signatures("c-1", [SERVICE_KEY])
    for name, lines in {
        "with a blank": (f"X-ASRS-Signature: sha256=00, {right}",),
        "in two lines": ("X-ASRS-Signature: sha256=00", f"X-ASRS-Signature: {right}"),
        "in capitals": (f"X-ASRS-Signature: {right.upper()}",),
        "without its scheme": (f"X-ASRS-Signature: {right.removeprefix('sha256=')}",),
        "behind sixteen others": ("X-ASRS-Signature: " + "sha256=00," * 16 + right,),
        "empty": ("X-ASRS-Signature:",),
        "of a token": ("Authorization: Bearer {{token:caller}}",),
    }.items():
        yield event(f"signature {name}", "rooms", "messages", "echo", *lines, body=body, keys=())
    yield event("another connection", "rooms", "messages", "echo", "X-ASRS-Connection-Id: c-2", body=body)
    yield event("no connection", body=body, connection="")
    yield event("no hub", "", body=body)
    yield event("no category", category="", body=body)
    yield event("no event", event="", body=body)
    yield event("a hub that is none", "1", body=body)
    yield event("a connection with dots", body=body, connection="..")
    user = "X-ASRS-User-Id: \xc3\xa4nn"
    yield event("a user", "rooms", "messages", "who", user, "X-ASRS-User-Claims: role: a, role: b", body=said("who"))
    yield event("an id of the request", "rooms", "messages", "echo", "X-Request-Id: mine", body=body)
    yield event("a key of a caller", "rooms", "messages", "echo", "X-API-Key: wrong", body=body)
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "post"):
        yield event(f"method {method}", body=b"", method=method)
    head = request("POST", f"/upstream?code={CODE}", "Transfer-Encoding: chunked")
    yield Case("chunked without a signature", (head + b"0\r\n\r\n",))


def unhandled() -> Iterator[Case]:
    """A bridge that answers messages nobody handles, and asks for no code and no signature."""
    body = said("x")
    yield event("unhandled", "chat", event="x", body=body, target="/upstream", keys=())
    yield event("unhandled, packed", "chat", event="x", body=packed("x"), target="/upstream", keys=(), media=PACKED)
    yield event("unhandled without an id", "chat", event="x", body=said("x", id=None), target="/upstream", keys=())
    yield event("unhandled connection", "chat", "connections", "connected", target="/upstream", keys=())
    yield event("unhandled of no connection", "chat", event="x", body=body, target="/upstream", keys=(), connection="")


def sizes() -> Iterator[Case]:
    """A body of at most 200 bytes."""
    path = "/upstream"
    for size in (200, 201):
        body = said("echo", "x" * (size - len(said("echo", ""))))
        yield event(f"{size} bytes", body=body, target=path)
        left = body[:100], body[100:]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in left) + b"0\r\n\r\n"
        whole = event("", "rooms", "messages", "echo", "Transfer-Encoding: chunked", target=path).sent[0]
        head = whole.replace(b"Content-Length: 0\r\n", b"")
        yield Case(f"{size} bytes in chunks", (head + chunks,))
    yield event("201 bytes without a signature", body=b"x" * 201, target=path, keys=())
    yield event("connected with 201 bytes", "rooms", "connections", "connected", body=b"x" * 201, target=path)
    yield event("disconnected with 201 bytes", "rooms", "connections", "disconnected", body=b" " * 201, target=path)
