"""The body of a send."""

import json

import pytest
from signalr_bridge.emulator.rest_payloads import BadRequest, read_payload
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Invocation


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"target":"t","arguments":[1,{"B":null,"a":"2020-01-01T00:00:00.100Z"}]}', None),
        (b'{"Arguments":[1,{"B":null,"a":"2020-01-01T00:00:00.100Z"}],"TARGET":"t","rawBytes":"x"}', None),
        (b'{"target":"t"}', Invocation("t", [])),
        (b'{"target":"t","arguments":null}', Invocation("t", [])),
        (b'{"target":"t","arguments":[1,2,3,4,5,6,7,8,9,10,11]}', Invocation("t", list(range(1, 12)))),
    ],
)
def test_member_names_are_in_any_case_and_values_stay(body: bytes, message: Invocation | None) -> None:
    read = read_payload(body)
    arguments = json.loads(json_text.encode(read.arguments))
    wanted = message or Invocation("t", [1, {"B": None, "a": "2020-01-01T00:00:00.100Z"}])
    assert (read.target, arguments) == (wanted.target, wanted.arguments)


@pytest.mark.parametrize(
    ("body", "parameter", "detail"),
    [
        (b"", "message", "Message in request body is required."),
        (b"null", "message", "Message in request body is required."),
        (b"{", "message", "well-formed JSON"),
        (b"[]", "message", "not a JSON object"),
        (b"{}", "Target", "The Target field is required."),
        (b'{"target":""}', "Target", "The Target field is required."),
        (b'{"target":1}', "Target", "The Target field is required."),
        (b'{"target":"t","arguments":{}}', "Arguments", "not an array"),
        (b'{"target":"\x1e"}', "message", "well-formed JSON"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, parameter: str, detail: str) -> None:
    with pytest.raises(BadRequest, match=detail) as caught:
        read_payload(body)
    assert caught.value.parameter == parameter
