"""What Microsoft's Management SDK sends, as it was recorded, against the emulator's process."""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import msgpack

from tests.e2e.processes import Machine
from tests.e2e.raw_client import RawClient, raw_client, token_as_recorded
from tests.vectors import read_vectors

RECORDED = read_vectors("management_requests")


def body_of(request: dict[str, Any]) -> bytes:
    return bytes.fromhex(request["hex"]) if "hex" in request else str(request.get("text", "")).encode()


def ask(connection: http.client.HTTPConnection, request: dict[str, Any]) -> tuple[int, str | None]:
    """The status, and the service's own code. Path, query and body go out as they were recorded."""
    headers = {"Authorization": f"Bearer {token_as_recorded(request['header'], request['claims'])}"}
    headers |= {"Content-Type": request["type"]} if "type" in request else {}
    body, is_chunked = body_of(request), request["chunked"]
    if is_chunked:
        headers["Transfer-Encoding"] = "chunked"
    sent: Any = iter([body]) if is_chunked else body or None
    connection.request(request["method"], request["target"], sent, headers, encode_chunked=is_chunked)
    response = connection.getresponse()
    response.read()
    return response.status, response.headers["x-ms-error-code"]


def is_good(request: dict[str, Any], status: int, code: str | None) -> bool:
    """As the SDK takes it: a send is accepted, and of the rest some ask for what is not there."""
    if request["target"].partition("?")[0].endswith("/:send"):
        return status == 202
    return status in {200, 204} or (status == 404 and code is not None)


def broadcasts(key: str) -> Iterator[bytes]:
    """The messages of the recorded sends to all of the hub, for the clients of one protocol in a finished body."""
    for request in RECORDED["requests"]:
        path, _, query = request["target"].partition("?")
        if path != "/api/hubs/chat/:send" or "application=" in query:
            continue
        if request["type"] == "application/octet-stream":
            if key in (frames := msgpack.unpackb(body_of(request))):
                yield frames[key]
        else:
            yield body_of(request)


def test_every_recorded_request_is_taken_and_every_recorded_client_gets_the_messages(apart: Machine) -> None:
    port = apart.emulator_port
    with ExitStack() as stack:
        tokens = [token_as_recorded(one["header"], one["claims"]) for one in RECORDED["clients"]]
        clients: list[RawClient] = [stack.enter_context(raw_client(port, "json", one)) for one in tokens]
        packed = stack.enter_context(raw_client(port, "messagepack", tokens[0]))
        connection = stack.enter_context(closing(http.client.HTTPConnection("localhost", port, timeout=15)))
        answers = [(request, ask(connection, request)) for request in RECORDED["requests"]]
        refused = [(one["case"], how) for one, how in answers if not is_good(one, *how)]
        assert (len(answers), refused) == (174, [])
        for client in clients[::2]:  # the others have a user, who gets more
            got = [read_members(client.receive()) for _ in broadcasts("json")]
            assert got == [read_members(one) for one in broadcasts("json")]
        targets = [msgpack.unpackb(packed.receive())[3] for _ in broadcasts("messagepack")]
        assert len(targets) > 10
        assert {one.lower() for one in targets} == {"t", "newmessage"}


def read_members(text: bytes) -> tuple[str, Any]:
    """Target and arguments, in the spelling of the SDK or of the hub protocol."""
    members = {name.lower(): value for name, value in json.loads(text.removesuffix(b"\x1e")).items()}
    return members["target"], members["arguments"]
