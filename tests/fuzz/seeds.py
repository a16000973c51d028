"""Well-formed inputs of each decoder, from which fuzzing sets out."""

import json

import msgpack
from signalr_bridge.protocol.access_token import sign_token
from signalr_bridge.protocol.claims import write_lossless
from signalr_bridge.protocol.upstream_event import write_signatures

from tests.unit.upstream.issued import AUDIENCE, NOW, TENANT, V1, V2, claims, jwk, token

INVOCATION = {
    "type": 1,
    "invocationId": "0",
    "target": "send",
    "arguments": ["é", -1, 2**64 - 1, 1.5e300, None, True, {"a": [{}]}, []],
    "headers": {"a": "b"},
    "streamIds": ["1"],
}
_MOMENT = msgpack.Timestamp(1, 2)
_LATEST = msgpack.Timestamp(253_402_300_799, 999_999_900)
"""``DateTime.MaxValue`` of .NET."""
_BEYOND = [msgpack.Timestamp(2**63 - 1, 999_999_999), msgpack.Timestamp(-(2**63), 0)]
HALVES = (
    b'{"type":1,"invocationId":"0","target":"send",'
    b'"arguments":["\\ud800","\\udc00\\ud83d",{"\\udfff":"\\ud83d\\ude00"}]}'
)
NUMBERS = (
    b'{"type":1,"invocationId":"0","target":"send",'
    b'"arguments":[12345678901234567.89,1e5,1E-400,-0.0,123456789012345678901234567890,0.1000000000000000055511151231257827]}'
)
MESSAGEPACK = [
    [1, {}, "0", "send", ["é", b"\xff", -1, 2**64 - 1, 1.5, None, {"a": [1]}, {1: 2}]],
    [1, {"a": "b"}, None, "send", [msgpack.ExtType(5, b"x"), _MOMENT], ["1"]],
    [1, {}, "0", "send", [_LATEST, [_LATEST, 60], [_MOMENT, -840], *_BEYOND, "12345678901234567.89"]],
]
OTHERS = [[3, {}, "0", 3, {"a": 1}], [3, {}, "0", 1, "broken"], [6], [7, "bye", True]]
LINE = (
    f"role: admin, name: Bob, role: admin, bridge.claims: {write_lossless({'role': ['admin', 'x'], 'n': [1]})}, nbf: 1"
)


def _packed(value: object) -> bytes:
    return msgpack.packb(value)  # type: ignore[no-any-return]


TOML = b"""\
[[callers.keys]]
name = "shop"
key = "a-key-of-the-shop"
hubs = ["chat"]
rights = ["send"]

[upstream]
code = ["a-code"]

[limits]
body_bytes = 1_000_000
"""
"""Where it is cut off behind a line, it is valid all the same."""
JSON = b"""{"IsEncrypted": false, // a comment
"Values": {"AzureSignalRConnectionString": "Endpoint=http://localhost;AccessKey=abc=;Version=1.0;"},
"Host": {"CORS": "*"}}"""

SEEDS: dict[str, list[bytes]] = {
    "json invocation": [
        json.dumps(INVOCATION).encode(),
        HALVES,
        NUMBERS,
        b'{"Type":1,"Target":"send","arguments":null}\x1e',
    ],
    "messagepack invocation": [_packed(one) for one in MESSAGEPACK],
    "disconnected": [b'{"type":11,"error":"lost"}', b'{"Type":11,"Error":null}', b" "],
    "event headers": [
        b"X-ASRS-Hub:chat\nX-ASRS-Category:messages\nX-ASRS-Event:send\nX-ASRS-Connection-Id:c1",
        "X-ASRS-User-Id:é\nX-ASRS-User-Claims:a: b\nX-ASRS-Client-Query:?a=b".encode(),
    ],
    "client query": [b"?hub=chat&room=7&room=8&access_token=x&asrs_x=%FF&a+b=%20;c"],
    "claims line": [LINE.encode(), b"asrs.s.uid: bob, aud: x, exp: 1", write_lossless({"a": ["b"]}).encode()],
    "signatures": [write_signatures("c1", ["key", "other"]).encode()],
    "entra token": [token().encode(), token(version=V2, algorithm="PS256").encode()],
    "entra claims": [json.dumps(claims(one)).encode() for one in (V1, V2)],
    "issuer's keys": [json.dumps({"keys": [jwk("first"), jwk("second")]}).encode()],
    "issuer's document": [json.dumps({"issuer": TENANT, "jwks_uri": "https://localhost/keys"}).encode()],
    "access token": [sign_token({"exp": NOW + 60, "nbf": NOW, "aud": AUDIENCE}, "key").encode()],
    "connection string": [b"Endpoint=https://x.service.signalr.net;AccessKey=abc=;Version=1.0;Port=8080;AuthType=aad"],
    "http requests": [
        b"POST /hubs/a%2Fb/send?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET * HTTP/1.0\r\n\r\n",
        b"PUT http://x/y#z HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nX-T: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n"
        b"Content-Length: 1\r\n\r\nxCONNECT /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nrest",
    ],
    "json text": [json.dumps(INVOCATION).encode(), NUMBERS],
    "json members": [b'{"a": 1, "b": [1, {}], "a\\u0000": "x"}'],
    "json elements": [b'[1, {"a": []}, "x", null]'],
    "json records": [
        json.dumps(INVOCATION).encode() + b'\x1e{"type":3,"invocationId":"0","result":1}\x1e{"type":6}\x1e'
    ],
    "messagepack keys": [_packed(one) for one in [*MESSAGEPACK, *OTHERS]],
    "messagepack frames": [bytes([len(body := _packed(one))]) + body for one in [*MESSAGEPACK, *OTHERS]],
    "http answer": [
        b"\x06HTTP/1.1 202 Accepted\r\nDate: x\r\nContent-Length: 5\r\n\r\nhello",
        b"\x16HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
        b"\x27HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n",
        b"\x06HTTP/1.0 404 Not Found\r\nX-A: b\r\n\r\nuntil the end",
        b"\x00HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n",
    ],
    "settings in TOML": [TOML, *(TOML[:end] for end in (TOML.index(b"hubs ="), TOML.index(b"[upstream]")))],
    "settings in JSON": [JSON],
}
