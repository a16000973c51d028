"""The lines of upstream calls and sends: their members, who is named how, and which level hides which of them."""

import hashlib
import hmac
import logging
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.outcome import Result, Status
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.settings.model import Settings
from signalr_bridge.web.log_observer import LogObserver
from signalr_bridge.web.log_users import derive_key, make_name_user
from signalr_bridge.web.logs import configure_logs
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.trace import TRACE, Trace

from tests.unit.web.test_logs import lines, read

pytestmark = pytest.mark.usefixtures("own_logging")

CALL: dict[str, Any] = {
    "hub": "chat",
    "category": "messages",
    "event": "send",
    "connection_id": "c1",
    "user_id": "canary-ann",
    "seconds": 0.001,
}
ENDED = CALL | {
    "registered_event": "send",
    "handler": "my_chat:chat",
    "result": "returned",
    "endpoint": "east",
    "handler_seconds": 0.0005,
}
OPERATION = Operation(Action.SEND_TO_ALL, "chat")


def outcomes(**said: Verdict) -> Result:
    return Result(Status.ACCEPTED, tuple(Outcome(name, "Primary", one) for name, one in said.items()))


def end(observer: Observer, path: str = "/upstream") -> None:
    observer.request_ended(
        method="POST", path=path, route=path, status=200, seconds=0.0012345, caller=None, request_id="mine"
    )


@pytest.mark.parametrize("is_written_by_logging", [False, True])
def test_an_upstream_call_is_one_line(is_written_by_logging: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    observer, trace = LogObserver(), Trace("mine")
    token = TRACE.set(trace)
    other = logging.NullHandler()
    if is_written_by_logging:
        logging.getLogger("signalr_bridge.upstream").addHandler(other)
    try:
        observer.send_ended(operation=OPERATION, result=outcomes(east=Verdict.ACCEPTED, west=Verdict.UNKNOWN))
        observer.send_ended(operation=OPERATION, result=outcomes(east=Verdict.ACCEPTED))
        observer.event_ended(**ENDED)
        end(observer)
        observer.send_ended(operation=OPERATION, result=outcomes(east=Verdict.ABSENT))
    finally:
        logging.getLogger("signalr_bridge.upstream").removeHandler(other)
        TRACE.reset(token)
    line, later = lines(capsys)
    assert line.pop("timestamp")
    assert len(user := line.pop("user")) == 12
    assert set(user) <= set("0123456789abcdef")
    assert [*line][-1] == "milliseconds"
    assert line == {
        "message": "upstream call",
        "level": "info",
        "logger": "signalr_bridge.upstream",
        "hub": "chat",
        "category": "messages",
        "event": "send",
        "connection": "c1",
        "handler": "my_chat:chat",
        "result": "returned",
        "endpoint": "east",
        "outcomes": "east accepted 2 times, west unknown",
        "status": 200,
        "request_id": "mine",
        "milliseconds": 1.23,
    }
    assert (later["message"], later["outcomes"], later["request_id"]) == ("sent", "east absent", "mine")


def test_a_refused_call_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    observer = LogObserver()
    observer.event_refused(**CALL | {"reason": "signature", "user_id": "", "event": "e" * 9999})
    (line,) = lines(capsys)
    assert (line["result"], line["reason"], line["handler"], line["user"]) == ("rejected", "signature", None, None)
    assert (line["event"], line["milliseconds"]) == ("e" * 256, 1.0)


def test_the_line_of_a_send_says_what_each_endpoint_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    observer = LogObserver()
    token = TRACE.set(Trace("mine"))
    try:
        observer.send_ended(operation=OPERATION, result=outcomes(east=Verdict.ACCEPTED, west=Verdict.UNREACHABLE))
        end(observer, "/hubs/chat/send")
    finally:
        TRACE.reset(token)
    observer.send_ended(operation=OPERATION, result=outcomes(east=Verdict.ACCEPTED))
    request, sent = lines(capsys)
    assert (request["message"], request["outcomes"]) == ("request", "east accepted, west unreachable")
    assert (sent["logger"], sent["hub"], sent["operation"]) == ("signalr_bridge.sends", "chat", "SEND_TO_ALL")
    assert (sent["outcomes"], "request_id" in sent) == ("east accepted", False)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_probes_and_scrapes_have_no_lines(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("debug", "json")
    end(LogObserver(), path)
    end(LogObserver(), f"{path}s")
    assert [line["path"] for line in lines(capsys)] == [f"{path}s"]


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ("info", ["request", "upstream call"]),
        ("info,access=warning", ["upstream call"]),
        ("access=warning,upstream=debug", ["upstream call"]),
        ("warning, upstream = INFO", ["upstream call"]),
        ("info,signalr_bridge.upstream=warning", ["request"]),
        ("error", []),
    ],
)
def test_each_logger_has_its_level(levels: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("upstream=error,access=error", "json")
    configure_logs(levels, "json")
    observer = LogObserver()
    for is_call in (False, True):
        token = TRACE.set(Trace("mine"))
        if is_call:
            observer.event_ended(**ENDED)
        end(observer)
        TRACE.reset(token)
    assert [line["message"] for line in lines(capsys)] == shown


@dataclass
class Named:
    """Settings under which users are named, and the secret that the name comes from."""

    settings: dict[str, Any]
    secret: bytes


KEY = "a-key-of-a-caller"
DIGEST = hashlib.sha256(KEY.encode())


def derive_by_hand(secret: bytes) -> bytes:
    """HKDF as RFC 5869 writes it, for one block: extract with a salt of zeros, then expand once."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, b"signalr-bridge log users\x01", "sha256")


@pytest.mark.parametrize(
    "named",
    [
        Named({"log_users_key": "a-key-of-the-log", "callers": {"keys": [{"key": KEY}]}}, b"a-key-of-the-log"),
        Named({"callers": {"keys": [{"key": KEY}, {"key": "another-key-of-one"}]}}, DIGEST.digest()),
        Named({"callers": {"keys": [{"sha256": DIGEST.hexdigest()}]}}, DIGEST.digest()),
    ],
    ids=["own key", "caller key", "caller key by its hash"],
)
def test_users_have_the_same_name_wherever_the_settings_are_the_same(named: Named) -> None:
    name = make_name_user(Settings.model_validate(named.settings))
    key = derive_by_hand(named.secret)
    assert derive_key(named.secret) == key
    assert name("bob ü") == hmac.new(key, "bob ü".encode(), "sha256").hexdigest()[:12]


def test_without_any_key_each_process_has_names_of_its_own() -> None:
    one, other = make_name_user(Settings()), make_name_user(Settings())
    assert one("ann") == one("ann") != other("ann")


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("in_clear", [False, True])
def test_a_user_is_named_only_where_the_settings_say_so(
    form: Literal["json", "text"], in_clear: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", form)
    LogObserver(name_user=make_name_user(Settings.model_validate({"log_users": in_clear}))).event_ended(**ENDED)
    assert ("canary-ann" in read(capsys)) is in_clear
