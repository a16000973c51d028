"""What an answer of the service means."""

from itertools import product

import pytest
from msgspec import Raw
from signalr_bridge.endpoints.endpoint import LARGEST_MESSAGE, Code, Outcome, Verdict, make_endpoint
from signalr_bridge.endpoints.rest_transport import RestTransport, read_answer, read_content
from signalr_bridge.errors import MalformedJson
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.protocol.rest import (
    CLIENT_ERROR_CODE,
    Action,
    ClientAnswer,
    ListedConnection,
    MemberPage,
    Message,
    Operation,
    write_client_error,
    write_member_page,
    write_message,
    write_result,
)

from tests.unit.endpoints.fakes import endpoint

E = endpoint("e")
MESSAGES = [action for action in Action if not action.may_repeat]
OTHERS = [action for action in Action if action.may_repeat]
V = Verdict


def read(action: Action, status: int, **headers: str) -> Outcome:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(E, Operation(action, "chat"), status, given)


@pytest.mark.parametrize(
    ("status", "message", "other", "code"),
    [
        (200, V.ACCEPTED, V.ACCEPTED, None),
        (202, V.ACCEPTED, V.ACCEPTED, None),
        (204, V.ACCEPTED, V.ACCEPTED, None),
        (301, V.REJECTED, V.REJECTED, None),
        (307, V.REJECTED, V.REJECTED, None),
        (400, V.REJECTED, V.REJECTED, None),
        (401, V.REJECTED, V.REJECTED, "denied"),
        (403, V.REJECTED, V.REJECTED, "denied"),
        (404, V.REJECTED, V.REJECTED, "endpoint-misrouted"),
        (413, V.REJECTED, V.REJECTED, None),
        (429, V.REJECTED, V.REJECTED, "throttled"),
        (500, V.UNKNOWN, V.REJECTED, None),
        (502, V.UNKNOWN, V.REJECTED, None),
        (503, V.REJECTED, V.REJECTED, "throttled"),
        (504, V.UNKNOWN, V.REJECTED, None),
    ],
)
def test_a_status(status: int, message: Verdict, other: Verdict, code: str | None) -> None:
    for actions, verdict in ((MESSAGES, message), (OTHERS, other)):
        for action in actions:
            found = read(action, status)
            assert (found.verdict, found.code) == (verdict, code), action
            assert found.status_code == (None if verdict is V.ACCEPTED else status)
            assert (found.name, found.endpoint_type) == ("e", "Primary")


@pytest.mark.parametrize(
    ("action", "code"),
    list(
        product(
            [Action.ADD_CONNECTION, Action.CONNECTION_EXISTS, Action.CLOSE_CONNECTION],
            [
                "Warning.Connection.NotExisted",
                "Warning.User.NotExisted",
                "Warning.Group.NotExisted",
                "Error.Connection.NotExisted",
                "Info.User.NotInGroup",
                "warning.connection.notexisted",
                " Info.User.NotInGroup ",
            ],
        )
    ),
)
def test_a_404_with_a_known_code_is_absent(action: Action, code: str) -> None:
    assert read(action, 404, x_ms_error_code=code) == Outcome("e", "Primary", V.ABSENT)


@pytest.mark.parametrize("code", ["", "Warning.Hub.NotExisted", "NotFound"])
def test_a_404_with_another_is_misrouted(code: str) -> None:
    assert read(Action.CONNECTION_EXISTS, 404, x_ms_error_code=code).code == "endpoint-misrouted"


LENIENT = make_endpoint("e", "Primary", ConnectionString("https://e.example", "k" * 32), lambda: 0, lenient_404=True)
EMULATORS_OWN = {"Content-Type": "application/problem+json; charset=utf-8"}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("headers", [EMULATORS_OWN, {}, {"content-type": "text/html"}])
def test_a_bare_404_is_absent_only_where_the_emulator_says_so_itself(action: Action, headers: dict[str, str]) -> None:
    found = read_answer(LENIENT, Operation(action, "chat"), 404, headers)
    is_its_own = headers is EMULATORS_OWN and action.api_version == "2022-06-01" and not action.is_message
    assert found.verdict is (V.ABSENT if is_its_own else V.REJECTED)
    strict = read_answer(E, Operation(action, "chat"), 404, headers)
    assert (strict.verdict, strict.code) == (V.REJECTED, "endpoint-misrouted")
    assert ("LENIENT_404" in (strict.why or "")) is is_its_own


@pytest.mark.parametrize("action", [Action.INVOKE, Action.LIST_MEMBERS])
def test_an_operation_that_the_service_lacks(action: Action) -> None:
    assert read(action, 404).why == "the service does not have this operation"
    assert read(action, 404, x_ms_error_code="Warning.Group.NotExisted").verdict is V.ABSENT
    assert read(action, 404, x_ms_error_code="Error.Hub.Strange").why is None


def test_a_known_code_on_another_status_says_nothing() -> None:
    assert read(Action.ADD_CONNECTION, 400, x_ms_error_code="Error.Connection.NotExisted").verdict is V.REJECTED


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("9" * 400, 2**31),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(status: int, text: str, seconds: float | None) -> None:
    found = read_answer(E, Operation(Action.SEND_TO_ALL, "chat"), status, {"Retry-After": text})
    assert found.retry_after == seconds


ACCEPTED = Outcome("e", "Primary", V.ACCEPTED)
REFUSED = Outcome("e", "Primary", V.ACCEPTED, 400, Code.CLIENT_ERROR)
PAGE = MemberPage([ListedConnection("c", "u")], "next")


def test_what_an_answer_says_is_read_here() -> None:
    assert read_content(Action.INVOKE, ACCEPTED, write_result([1])) == ClientAnswer(Raw(b"[1]"))
    assert read_content(Action.INVOKE, REFUSED, write_client_error("no")) == ClientAnswer(error="no")
    assert read_content(Action.LIST_MEMBERS, ACCEPTED, write_member_page(PAGE, "https://elsewhere.example")) == PAGE


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"value":[{}]}', b'{"result":1,"result":2}'])
def test_what_cannot_be_read_is_nothing(body: bytes) -> None:
    assert read_content(Action.LIST_MEMBERS, ACCEPTED, body) is None
    if body != b'{"value":[{}]}':  # an answer without a result, which is null
        assert read_content(Action.INVOKE, ACCEPTED, body) is None


def test_only_the_clients_own_error_has_its_code() -> None:
    assert read(Action.INVOKE, 400, x_ms_error_code=CLIENT_ERROR_CODE) == REFUSED
    assert read(Action.SEND_TO_ALL, 400, x_ms_error_code=CLIENT_ERROR_CODE).verdict is V.REJECTED


@pytest.mark.parametrize("action", [Action.SEND_TO_ALL, Action.INVOKE])
def test_a_message_fits_up_to_a_million_bytes(action: Action) -> None:
    room = LARGEST_MESSAGE - len(write_message("t", b'[""]'))
    fits = RestTransport().fits
    assert fits(action, Message("t", b'["' + b"x" * room + b'"]'))
    assert not fits(action, Message("t", b'["' + b"x" * (room + 1) + b'"]'))


def test_what_is_packed_for_every_protocol_is_measured_so_and_a_call_of_a_client_never_is() -> None:
    message = Message("t", b'["' + b"x" * 600_000 + b'"]')
    packing = RestTransport(messagepack=True)
    assert not packing.fits(Action.SEND_TO_ALL, message)
    assert packing.fits(Action.INVOKE, message)
    with pytest.raises(MalformedJson):
        packing.fits(Action.SEND_TO_ALL, Message("t", b"[" * 600 + b"]" * 600))
