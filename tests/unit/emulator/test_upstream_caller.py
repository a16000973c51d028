"""What an upstream's answer means to the client that waits for it."""

import pytest
from signalr_bridge.emulator.codecs import CODECS
from signalr_bridge.emulator.upstream import UNREACHABLE, UpstreamReply, interpret

from tests.unit.emulator.fakes import read_frame

COMPLETION = b'{"type":3,"invocationId":"7","result":1}'
RS = "\x1e"


def told(answer: UpstreamReply | None) -> str:
    text = read_frame(interpret(answer, "7", CODECS["json"]))
    assert isinstance(text, str)
    return text


def error(text: str) -> str:
    return f'{{"type":3,"invocationId":"7","error":"Invocation failed, {text}"}}{RS}'


@pytest.mark.parametrize("answer", [UpstreamReply(200), UpstreamReply(204), UpstreamReply(204, b"ignored")])
def test_an_empty_answer_is_an_empty_completion(answer: UpstreamReply) -> None:
    assert told(answer) == '{"type":3,"invocationId":"7"}' + RS


@pytest.mark.parametrize(
    "body",
    [
        COMPLETION + b"\x1e",
        b'{ "result" : "\xc3\xbc", "invocationId":"of another", "type":3, "extra":1}\x1e',
        b'{"type":1,"target":"t","arguments":[]}\x1e' + COMPLETION + b"\x1e",
        b'{"type":99}\x1e',
    ],
)
def test_framed_messages_are_passed_on_as_they_are(body: bytes) -> None:
    assert told(UpstreamReply(200, body)) == body.decode()


def test_a_missing_separator_is_added() -> None:
    assert told(UpstreamReply(200, COMPLETION)) == COMPLETION.decode() + RS


@pytest.mark.parametrize(
    "body",
    [b"hello", b"<html>", b"{}", b"[1]\x1e", b'{"type":3}\x1e', COMPLETION + b"\x1e\x1e", COMPLETION * 2, b"\xff\x1e"],
)
def test_what_is_no_message_becomes_an_error(body: bytes) -> None:
    assert told(UpstreamReply(200, body)) == error("the answer of the upstream is no message of the hub protocol.")


@pytest.mark.parametrize("status", [201, 202, 302, 400, 401, 404, 500, 503])
def test_any_other_status_is_an_error_whatever_the_body(status: int) -> None:
    assert told(UpstreamReply(status, COMPLETION + b"\x1e")) == error(f"status code {status}")


def test_an_unreachable_upstream_counts_as_status_500() -> None:
    assert told(UNREACHABLE) == error("status code 500")


@pytest.mark.parametrize("failure", ["response too large", "response cancelled", "error: broken"])
def test_an_answer_that_could_not_be_read_is_an_error(failure: str) -> None:
    assert told(UpstreamReply(200, failure=failure)) == error(f"{failure}.")


def test_nobody_answers_where_no_template_matches() -> None:
    assert told(None) == error("no upstream template matches the event.")
