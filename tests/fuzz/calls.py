"""Upstream calls as anybody may make them: every header right, wrong, missing, repeated or any bytes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgpack
from hypothesis import strategies as st
from signalr_bridge.protocol.claims import write_lossless
from signalr_bridge.protocol.upstream_event import decode_header, sign

from tests.unit.upstream.issued import OTHER_APPLICATION, token

KEY, CODE = "the-key-of-eastus", "the code"
GOOD_TOKEN, BAD_TOKENS = token(), (token(name="foreign"), token(appid=OTHER_APPLICATION), "x.y.z", "")
ADMIN = write_lossless({"role": ["admin"]})

HeaderLine = tuple[bytes, bytes]


@dataclass(frozen=True)
class Call:
    """``vouched``: the call holds a good signature or token, and the code. Then, and only then, it may be believed."""

    query: bytes
    lines: list[HeaderLine]
    pieces: list[bytes] = field(repr=False)
    vouched: bool


any_bytes = st.binary(max_size=40)
any_value = any_bytes | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass"))
arguments = st.lists(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8) | any_bytes, max_size=3
)

RIGHT = {
    b"x-asrs-connection-id": b"c1",
    b"x-asrs-hub": b"chat",
    b"x-asrs-category": b"messages",
    b"x-asrs-event": b"send",
    b"content-type": b"application/json",
}
OTHER = {
    b"x-asrs-connection-id": [b"", b"\xff", "é".encode(), b"."],
    b"x-asrs-hub": [b"Chat", b"", b"1", b"a b"],
    b"x-asrs-category": [b"connections", b"Connections", b"groups", b""],
    b"x-asrs-event": [b"connected", b"disconnected", b"SEND", b"", b".."],
    b"content-type": [
        b"application/x-msgpack",
        b"application/x-msgpack",
        b"text/plain",
        b"Application/JSON;charset=x",
        b"",
    ],
    b"content-encoding": [b"gzip", b"identity", b"br"],
    b"content-length": [b"5", b"999999999999", b"-1", b"\xb2", "٣".encode()],
    b"x-asrs-user-id": [b"ann", f"x, bridge.claims: {ADMIN}".encode()],
    b"x-asrs-user-claims": [
        b"role: a, role: b",
        f"bridge.claims: {ADMIN}".encode(),
        b"bridge.claims: x, bridge.claims: x",
    ],
    b"x-asrs-client-query": [b"?a=b&a=%ff", b"a" * 99],
    b"x-request-id": [b"r-1", b"\xff"],
    b"traceparent": [b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"\xff"],
    b"transfer-encoding": [b"chunked"],
    b"expect": [b"100-continue"],
}

changes = st.lists(
    st.sampled_from(list(OTHER)).flatmap(
        lambda name: st.tuples(st.just(name), st.lists(st.sampled_from(OTHER[name]) | any_value, max_size=2))
    ),
    max_size=3,
)
bodies = st.one_of(
    st.tuples(st.sampled_from(["send", "send", "SEND", "other"]), st.none() | st.text(max_size=5), arguments).flatmap(
        lambda one: st.sampled_from([_write_json(*one), _write_messagepack(*one)])
    ),
    st.sampled_from([b"", b"{}", b'{"type":11,"error":"lost"}', b'{"Type":11}', b"[" * 1900, b"x" * 3000]),
    any_bytes,
)


def _write_json(target: str, invocation: str | None, values: Sequence[object]) -> bytes:
    members = {"type": 1, "target": target, "invocationId": invocation, "arguments": values}
    return json.dumps(members, default=lambda raw: raw.hex()).encode()


def _write_messagepack(target: str, invocation: str | None, values: Sequence[object]) -> bytes:
    packed: bytes = msgpack.packb([1, {}, invocation, target, values], unicode_errors="surrogatepass")
    return packed


def _sign(kind: str, connection: str) -> str:
    good, foreign = sign(connection, KEY), sign(connection, "another key")
    return {
        "good": good,
        "second": f"{foreign}, {good.upper()}",
        "foreign": foreign,
        "another connection's": sign(connection + "x", KEY),
        "late": ",".join([foreign] * 16 + [good]),
        "empty": "",
        "half": good[:-2],
    }[kind]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    values = {name: [value] for name, value in RIGHT.items()} | dict(draw(changes))
    connection = decode_header(next(iter(values[b"x-asrs-connection-id"]), b""))
    signature = draw(
        st.sampled_from([*["good"] * 6, "second", "foreign", "another connection's", "late", "empty", "half"])
    )
    bearer = draw(st.sampled_from([None, None, GOOD_TOKEN, *BAD_TOKENS]))
    code = draw(
        st.sampled_from([b"code=the+code"] * 4 + [b"CODE=the%20code&x=%ff", b"code=", b"code=other"]) | any_bytes
    )
    lines = [(name, value) for name, several in values.items() for value in several]
    lines.append((b"x-asrs-signature", _sign(signature, connection).encode()))
    lines += [] if bearer is None else [(b"authorization", b"Bearer " + bearer.encode())]
    body = draw(bodies)
    cut = draw(st.integers(0, len(body)))
    vouched = (signature in {"good", "second"} or bearer == GOOD_TOKEN) and code.lower().startswith(b"code=the")
    return Call(code, draw(st.sampled_from([lines, lines[::-1]])), [body[:cut], body[cut:]], vouched)
