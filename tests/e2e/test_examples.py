"""The backends of deploy/examples, one in each language: the same chat, the same answers, the same refusals."""

import base64
import datetime
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import standardwebhooks

from tests.e2e.examples import FOLDER, LANGUAGES, command, run_example
from tests.e2e.node_client import CallFailed, NodeClient, NodeClients
from tests.e2e.processes import API_KEY, NAMED_CLIENTS, Machine, Process, eventually, free_port, run_apart

SECRET, OTHER_SECRET = ("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
PORTS = {language: free_port() for language in LANGUAGES}

Connect = Callable[[str], NodeClient]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One bridge for all: each language has a hub of its name. It signs with two secrets, as while rotating."""
    forward: dict[str, str] = {}
    for language, port in PORTS.items():
        rule = {"HUB": language, "URL": f"http://localhost:{port}/signalr", "SECRETS": f"{OTHER_SECRET},{SECRET}"}
        forward |= {f"BRIDGE_FORWARD__{language}__{name}": value for name, value in rule.items()}
    with run_apart({**forward, **NAMED_CLIENTS}) as running:
        yield running


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def backend(language: str, machine: Machine) -> Iterator[Process]:
    """Knows the second of the bridge's two secrets only."""
    settings = {"WEBHOOK_SECRET": SECRET, "BRIDGE_URL": machine.url, "BRIDGE_API_KEY": API_KEY}
    with run_example(language, PORTS[language], settings) as process:
        yield process


@pytest.fixture
def connect(node: NodeClients, machine: Machine, backend: Process, language: str) -> Iterator[Connect]:
    """Connects as the user given to the hub of the language."""
    with ExitStack() as stack:

        def start(user: str) -> NodeClient:
            client = node.client().start(f"{machine.url}/hubs/{language}?userId={quote(user)}")
            stack.callback(client.stop)
            return client

        yield start


# --- through the bridge


def test_a_broadcast_reaches_everybody(connect: Connect) -> None:
    ann, bob = connect("ann"), connect("bob")
    assert ann.invoke("broadcast", "hello <é> \U0001f600") == "sent"
    assert ann.message() == bob.message() == ("newMessage", ["ann", "hello <é> \U0001f600"])


def test_a_room_has_those_who_join_until_they_leave(connect: Connect) -> None:
    ann, bob, carol = connect("ann"), connect("bob"), connect("carol")
    room = "a/b%c +é"
    assert ann.invoke("join", room) == bob.invoke("join", room) == room
    assert ann.message() == ("newMessage", ["room", f"ann has joined {room}"])
    assert ann.message() == bob.message() == ("newMessage", ["room", f"bob has joined {room}"])

    assert carol.invoke("broadcast", "to the room", room) == "sent"
    assert ann.message() == bob.message() == ("newMessage", ["carol", "to the room"])

    assert ann.invoke("leave", room) == room
    assert bob.message() == ("newMessage", ["room", f"ann has left {room}"])
    assert bob.invoke("broadcast", "to who is left", room) == "sent"
    assert bob.message() == ("newMessage", ["bob", "to who is left"])

    assert bob.invoke("broadcast", "to everybody", None) == "sent"
    for client in (ann, bob, carol):  # ann's next, so she has missed one; carol's first, so she has missed all
        assert client.message() == ("newMessage", ["bob", "to everybody"])


def test_it_knows_who_is_here(connect: Connect) -> None:
    ann, bob = connect("ann"), connect("b/b%25 é")
    assert ann.invoke("who", "ann", "nobody", "b/b%25 é", "..") == ["ann", "b/b%25 é"]
    bob.stop()
    eventually(lambda: ann.invoke("who", "b/b%25 é") == [] or None, "nobody is here but ann")


def test_it_sends_by_itself(connect: Connect) -> None:
    ann, bob = connect("ann"), connect("bob")
    assert ann.invoke("announce", "lunch é") == "announced"
    assert ann.message() == bob.message() == ("newMessage", ["announcement", "lunch é"])


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (["broadcast"], "The text is empty."),
        (["broadcast", " "], "The text is empty."),
        (["broadcast", 1], "The text is empty."),
        (["broadcast", "hello", ""], "The room is empty."),
        (["join", None], "The room is empty."),
        (["leave"], "The room is empty."),
        (["announce", ""], "The text is empty."),
        (["who"], "Ask for 1 to 10 users."),
        (["who", *["ann"] * 11], "Ask for 1 to 10 users."),
        (["who", "ann", {}], "The user is empty."),
        (["no such method"], "There is no such method."),
        (["constructor"], "There is no such method."),
        (["a/b?c#d"], "There is no such method."),
        (["é"], "There is no such method."),
    ],
)
def test_its_refusal_reaches_the_client(connect: Connect, call: list[Any], refusal: str) -> None:
    with pytest.raises(CallFailed) as failed:
        connect("ann").invoke(*call)
    assert str(failed.value) == refusal


def test_a_banned_user_is_sent_away(connect: Connect, machine: Machine, language: str) -> None:
    try:
        told = connect("mallory").event("closed")["error"]
    except CallFailed:  # the close came before the client had ended its start, which then tells no reason
        told = httpx.post(f"{machine.url}/hubs/{language}/negotiate?userId=mallory&negotiateVersion=1").json()["detail"]
    assert "You are banned." in told


def test_it_hears_who_comes_and_who_goes(connect: Connect, backend: Process) -> None:
    client = connect("carla")
    backend.wait_for_line(r"\bconnected: carla$")
    client.stop()
    backend.wait_for_line(r"\bdisconnected: carla$")


# --- the backend by itself

CALL = json.dumps(
    {"hub": "chat", "category": "messages", "event": "broadcast", "userId": "ann", "arguments": ["hello"]}
).encode()
SENT = {"result": "sent", "outputs": [{"target": "newMessage", "arguments": ["ann", "hello"]}]}


def sign(body: bytes = CALL, *, secret: str = SECRET, age: float = 0) -> dict[str, str]:
    """The headers of a call signed by the scheme's own library, ``age`` seconds ago."""
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age)
    signature = standardwebhooks.Webhook(secret).sign("msg_1", moment, body.decode())
    stamp = str(int(moment.timestamp()))
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


def post(language: str, headers: dict[str, str], body: bytes = CALL, port: int | None = None) -> httpx.Response:
    media_type = {"Content-Type": "application/json"}
    url = f"http://localhost:{port or PORTS[language]}/signalr"
    return httpx.post(url, content=body, headers=headers | media_type, trust_env=False, timeout=10)


@pytest.mark.parametrize("age", [0, 280, -280])
def test_it_takes_what_the_schemes_own_library_signs(backend: Process, language: str, age: float) -> None:
    response = post(language, sign(age=age))
    assert (response.status_code, response.json()) == (200, SENT)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("others", ["v1,AAAA v2,BBBB {}", "{} v1a,CCCC", "v1,{other} {}", "{} v1,{other}"])
def test_it_takes_one_good_signature_among_several(backend: Process, language: str, others: str) -> None:
    headers = sign()
    other = base64.b64encode(bytes(32)).decode()
    headers["webhook-signature"] = others.format(headers["webhook-signature"], other=other)
    assert post(language, headers).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-id": None},
        {"webhook-timestamp": "{earlier}"},
        {"webhook-timestamp": "{moment}.0"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 30},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": None},
        {"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()},
        {"webhook-signature": "v1,{half}"},
        {"webhook-signature": "v2,{signature}"},
        {"webhook-signature": "{signature}"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": ""},
        {"webhook-signature": None},
    ],
)
def test_it_takes_no_other_headers(backend: Process, language: str, changed: dict[str, str | None]) -> None:
    """A header that is None is left out."""
    headers = sign()
    moment, signature = headers["webhook-timestamp"], headers["webhook-signature"].removeprefix("v1,")
    known = {"moment": moment, "earlier": str(int(moment) - 1), "signature": signature, "half": signature[:20]}
    for name, value in changed.items():
        headers.pop(name)
        if value is not None:
            headers[name] = value.format_map(known)
    response = post(language, headers)
    assert (response.status_code, response.content) == (401, b"")


@pytest.mark.parametrize("age", [330, 86_400, -330])
def test_it_takes_nothing_from_another_time(backend: Process, language: str, age: float) -> None:
    assert post(language, sign(age=age)).status_code == 401


def test_it_takes_nothing_signed_with_another_secret(backend: Process, language: str) -> None:
    """Not even the first of the two that the bridge knows: this backend was given the second."""
    assert post(language, sign(secret=OTHER_SECRET)).status_code == 401


@pytest.mark.parametrize("body", [CALL + b" ", CALL.replace(b"hello", b"hallo"), b"", b"{}"])
def test_it_takes_no_other_body(backend: Process, language: str, body: bytes) -> None:
    assert post(language, sign(), body).status_code == 401


def test_it_answers_what_is_no_event(backend: Process, language: str) -> None:
    url = f"http://localhost:{PORTS[language]}"
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 204
    assert httpx.get(f"{url}/signalr", trust_env=False).status_code == 405
    assert post(language, sign(), b"x" * 8_000_001).status_code == 413
    assert post(language, sign(b"no JSON"), b"no JSON").status_code == 500
    assert post(language, sign()).status_code == 200


def test_it_outlives_a_bridge_that_does_not_answer(language: str) -> None:
    """Its own calls fail, and only they."""
    port = free_port()
    with run_example(language, port, {"WEBHOOK_SECRET": SECRET, "BRIDGE_URL": f"http://localhost:{free_port()}"}):
        for method, status in {"who": 500, "announce": 500, "broadcast": 200}.items():
            body = CALL.replace(b"broadcast", method.encode())
            assert post(language, sign(body), body, port).status_code == status


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_without_a_good_secret_it_takes_nothing(language: str, secret: str) -> None:
    port = free_port()
    with Process(f"{language} backend", command(language, port), {"PORT": str(port), "WEBHOOK_SECRET": secret}) as one:
        if language == "php":  # has no start of its own: it fails at every call

            def call() -> int | None:
                try:
                    return httpx.post(
                        f"http://localhost:{port}", content=CALL, headers=sign(), trust_env=False
                    ).status_code
                except httpx.TransportError:
                    return None

            assert eventually(call, "an answer") == 500
        else:
            assert one.wait() == 1
        one.wait_for_line("WEBHOOK_SECRET is missing or no secret")


# --- the page about them

PAGE = (FOLDER / "README.md").read_text("utf-8")


def test_the_pages_example_is_signed_as_it_says() -> None:
    request = re.search(r"^```http\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL)
    secret = re.search(r"`whsec_([A-Za-z0-9+/=]+)`", PAGE)
    assert request is not None
    assert secret is not None
    head, _, body = request[1].partition("\n\n")
    headers = dict(re.findall(r"^([\w-]+): (.*)$", head, re.MULTILINE))
    assert headers["Content-Length"] == str(len(body.encode()))
    assert json.loads(body)["id"] == headers["webhook-id"]

    key = base64.b64decode(secret[1])
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    digest = hmac.digest(key, signed, "sha256")
    signature = base64.b64encode(digest).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    for shown in (f"{len(key)} bytes", key.hex(), f"{len(signed)} bytes", digest.hex(), f"`{signature}`"):
        assert shown in PAGE


def test_the_page_names_every_method_and_every_file() -> None:
    files = [path for path in FOLDER.glob("*/*.*") if path.suffix not in {".toml", ".lock"}]
    assert {path.parent.name for path in files} == {*LANGUAGES, "csharp"}
    programs = [f"{path.parent.name}/{path.name}" for path in files]
    for name in ("join", "leave", "broadcast", "who", "announce", *programs):
        assert name in PAGE


def test_the_one_that_is_only_read_says_so() -> None:
    assert "CHECKED BY READING ONLY" in (FOLDER / "csharp" / "Backend.cs").read_text("utf-8")
    assert "checked by reading only" in PAGE
