"""What an answer of the service means."""

from itertools import product

import pytest
from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.rest_transport import read_answer
from signalr_bridge.protocol.rest import Action, Operation

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
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("9" * 400, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(status: int, text: str, seconds: float | None) -> None:
    found = read_answer(E, Operation(Action.SEND_TO_ALL, "chat"), status, {"Retry-After": text})
    assert found.retry_after == seconds
