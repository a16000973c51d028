"""What a caller may ask for, and every way to get it wrong."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import InvalidItem, MalformedJson
from signalr_bridge.negotiate.negotiator import ClientToken
from signalr_bridge.negotiate.request import is_blank, read_request

DEFAULTS = ClientToken(lifetime_seconds=1234, close_on_expiry=True)


def read(value: Any) -> ClientToken:
    return read_request(value if isinstance(value, bytes) else json.dumps(value).encode(), DEFAULTS)


def faults(value: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidItem) as caught:
        read(value)
    assert caught.value.status == 422
    return [(fault.pointer, fault.kind.code) for fault in caught.value.faults]


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t", b"{}", b" { } ", b"{\n}"])
def test_blank(body: bytes) -> None:
    assert is_blank(body)


@pytest.mark.parametrize("body", [b"null", b"[]", b'{"userId":null}', b"{", b"{}{}", b"0", b'""'])
def test_not_blank(body: bytes) -> None:
    assert not is_blank(body)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"userId": None}, ClientToken(None, {}, 1234, None, True)),
        ({"userId": "ann"}, ClientToken("ann", {}, 1234, None, True)),
        ({"USERID": "ann", "ClOsEoNeXpIrY": False}, ClientToken("ann", {}, 1234, None, False)),
        (
            {"claims": {"role": ["a", "b"], "n": 1, "b": True, "f": 1.5, "e": []}},
            ClientToken(None, {"role": ("a", "b"), "n": (1,), "b": (True,), "f": (1.5,), "e": ()}, 1234, None, True),
        ),
        ({"claims": {"Role": "x", "role": "y"}}, ClientToken(None, {"Role": ("x",), "role": ("y",)}, 1234, None, True)),
        ({"lifetimeSeconds": 1}, ClientToken(None, {}, 1, None, True)),
        ({"lifetimeSeconds": 86400}, ClientToken(None, {}, 86400, None, True)),
        ({"endpoint": "eastus", "claims": None, "lifetimeSeconds": None}, ClientToken(None, {}, 1234, "eastus", True)),
    ],
)
def test_a_request(given: Any, expected: ClientToken) -> None:
    assert read(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"userId": ""}, [("#/userId", "invalid-name")]),
        ({"userId": "  "}, [("#/userId", "invalid-name")]),
        ({"userId": " ann"}, [("#/userId", "invalid-name")]),
        ({"userId": "ann "}, [("#/userId", "invalid-name")]),
        ({"userId": "u" * 1025}, [("#/userId", "invalid-name")]),
        ({"userId": "a\nb"}, [("#/userId", "invalid-name"), ("#/userId", "invalid-name")]),
        ({"userId": "x, bridge.claims: e30"}, [("#/userId", "reserved-claim")]),
        ({"userId": 5}, [("#/userId", "invalid-item")]),
        ({"claims": []}, [("#/claims", "invalid-item")]),
        ({"claims": {"": "x"}}, [("#/claims", "reserved-claim")]),
        ({"claims": {"nameid": "x"}}, [("#/claims", "reserved-claim")]),
        ({"claims": {"asrs.s.uid": "x"}}, [("#/claims", "reserved-claim")]),
        ({"claims": {"bridge.x": "x"}}, [("#/claims", "reserved-claim")]),
        (
            {"claims": {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": "x"}},
            [("#/claims", "reserved-claim")],
        ),
        ({"claims": {"name": "Bob, bridge.claims: e30"}}, [("#/claims", "reserved-claim")]),
        ({"claims": {"name": ["a", "bridge.claims"]}}, [("#/claims", "reserved-claim")]),
        ({"claims": {"x, bridge.claims": "y"}}, [("#/claims", "reserved-claim")]),
        ({"claims": {"name": "a\nb"}}, [("#/claims", "invalid-name")]),
        ({"claims": {"name": "a\x80b"}}, [("#/claims", "invalid-name")]),
        ({"claims": {"name": ["a", "\x9f"]}}, [("#/claims", "invalid-name")]),
        ({"claims": {"a\x85": "b"}}, [("#/claims", "invalid-name")]),
        ({"userId": "a\x85b"}, [("#/userId", "invalid-name"), ("#/userId", "invalid-name")]),
        ({"claims": {"name": None}}, [("#/claims", "invalid-item")]),
        ({"claims": {"name": {}}}, [("#/claims", "invalid-item")]),
        ({"claims": {"name": ["a", None]}}, [("#/claims", "invalid-item")]),
        ({"claims": {"name": [["a"]]}}, [("#/claims", "invalid-item")]),
        ({"lifetimeSeconds": 0}, [("#/lifetimeSeconds", "invalid-item")]),
        ({"lifetimeSeconds": 86401}, [("#/lifetimeSeconds", "invalid-item")]),
        ({"lifetimeSeconds": -(2**70)}, [("#/lifetimeSeconds", "invalid-item")]),
        ({"lifetimeSeconds": 1.5}, [("#/lifetimeSeconds", "invalid-item")]),
        ({"lifetimeSeconds": "60"}, [("#/lifetimeSeconds", "invalid-item")]),
        ({"closeOnExpiry": 1}, [("#/closeOnExpiry", "invalid-item")]),
        ({"endpoint": 1}, [("#/endpoint", "invalid-item")]),
        ({"hub": "x"}, [("#/hub", "unknown-property")]),
        ({"a/b~": 1, "userId": ""}, [("#/a~1b~0", "unknown-property"), ("#/userId", "invalid-name")]),
        ({"userId": "a", "UserId": "b"}, [("#/UserId", "invalid-item")]),
        (b'{"userId":"a","userId":"b"}', [("#/userId", "invalid-item")]),
        ([], [("#", "invalid-item")]),
        ("x", [("#", "invalid-item")]),
        (None, [("#", "invalid-item")]),
    ],
)
def test_an_error(given: Any, expected: list[tuple[str, str]]) -> None:
    assert faults(given) == expected


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 90_000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "ann", "a\nb", "é"])
)
_CLAIMS = st.dictionaries(st.sampled_from(["role", "nameid", "x"]), _VALUES | st.lists(_VALUES, max_size=2), max_size=2)
_NAMES = ["userId", "claims", "lifetimeSeconds", "endpoint", "closeOnExpiry", "hub"]


def outcome(body: dict[str, Any]) -> Any:
    try:
        return read(body)
    except InvalidItem as error:
        return [(fault.pointer.lower(), fault.kind, fault.detail) for fault in error.faults]


@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES | _CLAIMS, max_size=4))
def test_the_usual_spelling_means_what_another_one_means(body: dict[str, Any]) -> None:
    """Names in upper case are read property by property, those in the usual spelling at once."""
    told = outcome({name.upper(): value for name, value in body.items()})
    if isinstance(told, list):
        told = [(pointer, kind, detail.replace("'HUB'", "'hub'")) for pointer, kind, detail in told]
    assert outcome(body) == told


@pytest.mark.parametrize(
    "body",
    [
        b'{"userId":"a","user\\u0049d":"b"}',
        b'{"userId":"a", "userId" : null}',
        b'{"claims":{},"endpoint":"x","claims":{}}',
    ],
)
def test_a_property_that_stands_there_twice_is_refused_in_any_spelling(body: bytes) -> None:
    assert [code for _, code in faults(body)] == ["invalid-item"]


def test_a_name_may_also_be_a_value() -> None:
    assert read({"userId": "endpoint", "claims": {"userId": "x"}, "endpoint": "claims"}) == ClientToken(
        "endpoint", {"userId": ("x",)}, 1234, "claims", True
    )


@pytest.mark.parametrize("body", [b"{", b"x", b'{"userId":"\xff"}', b'{"userId":}', b"[1", b'{"userId":"\\ud800"}'])
def test_no_json(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        read(body)


def test_an_error_shows_nothing_that_was_sent() -> None:
    with pytest.raises(InvalidItem) as caught:
        read({"userId": "canary\n", "claims": {"nameid": "canary", "x": ["canary\n"]}, "lifetimeSeconds": "canary"})
    assert "canary" not in json.dumps(caught.value.extensions) + caught.value.detail
