"""What a backend may send: every rule, and what an error is called."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.errors import InvalidItem, MalformedJson
from signalr_bridge.outbound.items import Item, Kind, read_item, read_items
from signalr_bridge.protocol.rest import Action, Message, Operation, write_message

ALL = frozenset(Kind)
ENDPOINTS = {"eastus", "westus"}
FITS = RestTransport().fits


def has_endpoint(name: str) -> bool:
    return name.lower() in ENDPOINTS


def read(value: Any, *kinds: Kind) -> Item:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_item(text, "chat", frozenset(kinds) or ALL, has_endpoint, FITS)


def body_of(item: Item) -> bytes | None:
    """What goes to the service."""
    return None if item.message is None else item.message.written(write_message)


def faults(value: Any, *kinds: Kind) -> list[tuple[str, str]]:
    with pytest.raises(InvalidItem) as caught:
        read(value, *kinds)
    return [(fault.pointer, fault.kind.code) for fault in caught.value.faults]


def message(**more: Any) -> dict[str, Any]:
    return {"target": "t"} | more


def read_leniently(value: Any) -> Item:
    text = json.dumps(value).encode()
    return read_item(text, "chat", ALL, has_endpoint, FITS, empty_means_all=True)


def add(**more: Any) -> dict[str, Any]:
    return {"action": "add", "userId": "u", "groupName": "g"} | more


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (message(userId=""), message()),
        (message(userId="", groupName="", connectionId=""), message()),
        (message(USERID="", excluded=["c"]), message(excluded=["c"])),
        (message(connectionId="", userId="u"), message(userId="u")),
        (message(connectionId=None, groupName=""), message()),
        (add(connectionId=""), add()),
        ({"action": "close", "userId": "", "groupName": "g"}, {"action": "close", "groupName": "g"}),
        (message(), message()),
        (message(userId="u"), message(userId="u")),
    ],
)
def test_an_empty_destination_may_count_as_absent(given: dict[str, Any], same: dict[str, Any]) -> None:
    assert read_leniently(given).operation == read(same).operation


@pytest.mark.parametrize(
    "given",
    [
        {"action": "close", "userId": ""},  # it never closes everybody
        add(groupName=""),
        add(userId=""),
        message(userId=" "),
        message(target="", userId=""),
        message(userId="", excluded=[""]),
    ],
)
def test_nothing_else_may_be_empty(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidItem):
        read_leniently(given)


@pytest.mark.parametrize("name", ["userId", "groupName", "connectionId"])
def test_an_empty_destination_is_a_fault_otherwise(name: str) -> None:
    assert faults(message(**{name: ""})) == [(f"#/{name}", "invalid-name")]


# --- messages


@pytest.mark.parametrize(
    ("given", "operation"),
    [
        ({}, Operation(Action.SEND_TO_ALL, "chat")),
        ({"userId": "u"}, Operation(Action.SEND_TO_USER, "chat", user="u")),
        ({"groupName": "a/b%c +é"}, Operation(Action.SEND_TO_GROUP, "chat", group="a/b%c +é")),
        ({"connectionId": "c"}, Operation(Action.SEND_TO_CONNECTION, "chat", connection="c")),
        ({"excluded": ["x", "y"]}, Operation(Action.SEND_TO_ALL, "chat", excluded=("x", "y"))),
        ({"excluded": []}, Operation(Action.SEND_TO_ALL, "chat")),
        ({"groupName": "g", "excluded": ["x"]}, Operation(Action.SEND_TO_GROUP, "chat", group="g", excluded=("x",))),
        ({"userId": "u", "excluded": []}, Operation(Action.SEND_TO_USER, "chat", user="u")),
    ],
)
def test_a_message(given: dict[str, Any], operation: Operation) -> None:
    item = read(message(**given), Kind.MESSAGE)
    assert (item.kind, item.operation, item.endpoints) == (Kind.MESSAGE, operation, None)
    assert body_of(item) == b'{"target":"t","arguments":[]}'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (message(userId="u", groupName="g"), [("#", "invalid-item")]),
        (message(userId="u", connectionId="c"), [("#", "invalid-item")]),
        (message(userId="u", groupName="g", connectionId="c"), [("#", "invalid-item")]),
        (message(userId=""), [("#/userId", "invalid-name")]),
        (message(groupName=""), [("#/groupName", "invalid-name")]),
        (message(connectionId=""), [("#/connectionId", "invalid-name")]),
        (message(userId=" \t"), [("#/userId", "invalid-name")]),
        (message(groupName=".."), [("#/groupName", "invalid-name")]),
        (message(groupName="."), [("#/groupName", "invalid-name")]),
        (message(userId="a\nb"), [("#/userId", "invalid-name")]),
        (message(userId="u" * 1025), [("#/userId", "invalid-name")]),
        (message(userId="😀" * 513), [("#/userId", "invalid-name")]),
        (message(userId=5), [("#/userId", "invalid-item")]),
        (message(target=""), [("#/target", "invalid-item")]),
        (message(target=None), [("#/target", "invalid-item")]),
        (message(arguments="x"), [("#/arguments", "invalid-item")]),
        (message(arguments={}), [("#/arguments", "invalid-item")]),
        (message(excluded="x"), [("#/excluded", "invalid-item")]),
        (message(excluded=[1]), [("#/excluded", "invalid-item")]),
        (message(excluded=["x", ""]), [("#/excluded/1", "invalid-name")]),
        (message(userId="u", excluded=["x"]), [("#/excluded", "invalid-item")]),
        (message(connectionId="c", excluded=["x"]), [("#/excluded", "invalid-item")]),
        (message(user="u"), [("#/user", "unknown-property")]),
        (message(action="add"), [("#/action", "unknown-property")]),
        (message(ttlSeconds=1), [("#/ttlSeconds", "unknown-property")]),
        (message(**{"a/b~c é\n": 1}), [("#/a~1b~0c ", "unknown-property")]),
        (message(**{"x" * 80: 1}), [("#/" + "x" * 64, "unknown-property")]),
        (
            message(userId="", groupName="", more=1),
            [
                ("#", "invalid-item"),
                ("#/userId", "invalid-name"),
                ("#/groupName", "invalid-name"),
                ("#/more", "unknown-property"),
            ],
        ),
        ({}, [("#/target", "invalid-item")]),
        ([], [("#", "invalid-item")]),
        ("x", [("#", "invalid-item")]),
        (None, [("#", "invalid-item")]),
    ],
)
def test_no_message(given: Any, expected: list[tuple[str, str]]) -> None:
    assert faults(given, Kind.MESSAGE) == expected


@pytest.mark.parametrize("name", ["groupName", "userId", "connectionId"])
def test_a_bad_name_beside_much_text_is_that_error_and_no_other(name: str) -> None:
    assert faults(message(**{name: ""}, arguments=["x" * 5000]), Kind.MESSAGE) == [(f"#/{name}", "invalid-name")]


def test_an_error_shows_nothing_that_was_sent() -> None:
    with pytest.raises(InvalidItem) as caught:
        read(message(userId="canary\n", groupName="canary", connectionId=["canary"], endpoints=["canary"]))
    assert "canary" not in json.dumps(caught.value.extensions) + caught.value.detail


def test_our_names_ignore_case_and_null_is_absent() -> None:
    item = read({"TARGET": "t", "Arguments": [1], "userid": None, "GroupName": "g", "excluded": None, "more": None})
    assert item.operation == Operation(Action.SEND_TO_GROUP, "chat", group="g")
    assert body_of(item) == b'{"target":"t","arguments":[1]}'


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (b'{"target":"t","target":"u"}', "#/target"),
        (b'{"target":"t","target":"t"}', "#/target"),
        (b'{"target":"t","Target":"u"}', "#/Target"),
        (b'{"target":"t","userId":"u","USERID":null}', "#/USERID"),
        (b'{"target":"t","user\\u0049d":"u","userId":"v"}', "#/userId"),
    ],
)
def test_a_property_twice(text: bytes, pointer: str) -> None:
    assert faults(text)[0] == (pointer, "invalid-item")


@pytest.mark.parametrize(
    "arguments",
    [
        b"[]",
        b"[ 1 , 2 ]",
        b"[123456789012345678901234567890, 1e999, 1.10, -0.0]",
        b'[{"a":1,"a":2,"A":3}, {"target":"x","TARGET":"y"}]',
        b'["\\u00e9", "\xc3\xa9", "\\/", null, true]',
        b"[[[[]]]]",
        b'\n[\t"x"\r\n]',
    ],
)
def test_arguments_go_out_byte_for_byte(arguments: bytes) -> None:
    item = read(b'{"target":"t", "arguments":' + arguments + b"}")
    assert body_of(item) == b'{"target":"t","arguments":' + arguments.strip() + b"}"


def test_a_target_is_written_as_json() -> None:
    assert body_of(read({"target": 'a"b\n'})) == b'{"target":"a\\"b\\n","arguments":[]}'


@pytest.mark.parametrize(
    "text",
    [b"{", b'{"target":"t"', b'{"target":}', b'{"target":"t"}}', b'{"target":"\xff"}', b'{"target":"t",}'],
)
def test_no_json(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        read(text)


# --- endpoints


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, None),
        (["eastus"], {"eastus"}),
        (["EastUS", "westus"], {"eastus", "westus"}),
        ([{"name": "eastus"}], {"eastus"}),
        (
            [{"endpointType": "Primary", "Name": "WestUS", "endpoint": "https://x", "online": True, "state": "online"}],
            {"westus"},
        ),
        (["eastus", {"name": "westus"}], {"eastus", "westus"}),
    ],
)
@pytest.mark.parametrize("item", [message(), add(), {"action": "close", "userId": "u"}])
def test_endpoints(item: dict[str, Any], given: Any, names: set[str] | None) -> None:
    assert read(item | {"endpoints": given}).endpoints == names


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [("#/endpoints", "invalid-item")]),
        ("eastus", [("#/endpoints", "invalid-item")]),
        ([1], [("#/endpoints", "invalid-item")]),
        (["eastus", "nowhere"], [("#/endpoints/1", "unknown-endpoint")]),
        ([""], [("#/endpoints/0", "unknown-endpoint")]),
        ([{}], [("#/endpoints/0", "unknown-endpoint")]),
        ([{"name": 1}], [("#/endpoints/0", "unknown-endpoint")]),
        ([{"name": "eastus", "NAME": "westus"}], [("#/endpoints/0", "unknown-endpoint")]),
    ],
)
def test_no_endpoints(given: Any, expected: list[tuple[str, str]]) -> None:
    assert faults(message(endpoints=given)) == expected


# --- group actions and closes


@pytest.mark.parametrize(
    ("given", "operation"),
    [
        (add(), Operation(Action.ADD_USER, "chat", user="u", group="g")),
        (add(ttlSeconds=0), Operation(Action.ADD_USER, "chat", user="u", group="g", ttl=0)),
        (add(ttlSeconds=2**31 - 1), Operation(Action.ADD_USER, "chat", user="u", group="g", ttl=2**31 - 1)),
        (add(action="ADD"), Operation(Action.ADD_USER, "chat", user="u", group="g")),
        (
            {"action": "add", "connectionId": "c", "groupName": "g"},
            Operation(Action.ADD_CONNECTION, "chat", connection="c", group="g"),
        ),
        (
            {"action": "Remove", "connectionId": "c", "groupName": "g"},
            Operation(Action.REMOVE_CONNECTION, "chat", connection="c", group="g"),
        ),
        (add(action="remove"), Operation(Action.REMOVE_USER, "chat", user="u", group="g")),
        ({"action": "removeAll", "userId": "u"}, Operation(Action.REMOVE_USER_FROM_ALL, "chat", user="u")),
        (
            {"action": "REMOVEALL", "connectionId": "c", "groupName": None},
            Operation(Action.REMOVE_CONNECTION_FROM_ALL, "chat", connection="c"),
        ),
    ],
)
@pytest.mark.parametrize("kinds", [(Kind.GROUP_ACTION,), tuple(Kind)])
def test_a_group_action(given: dict[str, Any], operation: Operation, kinds: tuple[Kind, ...]) -> None:
    item = read(given, *kinds)
    assert (item.kind, item.operation, body_of(item)) == (Kind.GROUP_ACTION, operation, None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (add(connectionId="c"), [("#", "invalid-item")]),
        ({"action": "add", "groupName": "g"}, [("#", "invalid-item")]),
        (add(userId=""), [("#/userId", "invalid-name")]),
        (add(groupName=""), [("#/groupName", "invalid-name")]),
        (add(groupName=None), [("#/groupName", "invalid-item")]),
        (add(action="removeAll"), [("#/groupName", "invalid-item")]),
        (add(action="leave"), [("#/action", "invalid-item")]),
        (add(action=""), [("#/action", "invalid-item")]),
        (add(ttlSeconds=-1), [("#/ttlSeconds", "invalid-item")]),
        (add(ttlSeconds=2**31), [("#/ttlSeconds", "invalid-item")]),
        (add(ttlSeconds=2**80), [("#/ttlSeconds", "invalid-item")]),
        (add(ttlSeconds="5"), [("#/ttlSeconds", "invalid-item")]),
        (add(ttlSeconds=1.5), [("#/ttlSeconds", "invalid-item")]),
        (add(ttlSeconds=True), [("#/ttlSeconds", "invalid-item")]),
        (add(action="remove", ttlSeconds=5), [("#/ttlSeconds", "invalid-item")]),
        ({"action": "add", "connectionId": "c", "groupName": "g", "ttlSeconds": 5}, [("#/ttlSeconds", "invalid-item")]),
        (add(target="t"), [("#/target", "unknown-property")]),
        (add(excluded=["x"]), [("#/excluded", "unknown-property")]),
        ({"userId": "u", "groupName": "g"}, [("#/action", "invalid-item")]),
        ({"action": "close", "userId": "u"}, [("#/action", "invalid-item"), ("#/groupName", "invalid-item")]),
    ],
)
def test_no_group_action(given: Any, expected: list[tuple[str, str]]) -> None:
    assert faults(given, Kind.GROUP_ACTION) == expected


@pytest.mark.parametrize(
    ("given", "operation"),
    [
        ({"connectionId": "c"}, Operation(Action.CLOSE_CONNECTION, "chat", connection="c")),
        ({"userId": "u", "reason": "so, what?"}, Operation(Action.CLOSE_USER, "chat", user="u", reason="so, what?")),
        ({"groupName": "g", "reason": None}, Operation(Action.CLOSE_GROUP, "chat", group="g")),
    ],
)
@pytest.mark.parametrize("word", ["close", "Close"])
def test_a_close(given: dict[str, Any], operation: Operation, word: str) -> None:
    item = read({"action": word} | given)
    assert (item.kind, item.operation, body_of(item)) == (Kind.CLOSE, operation, None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [("#", "invalid-item")]),
        ({"userId": "u", "groupName": "g"}, [("#", "invalid-item")]),
        ({"userId": ""}, [("#/userId", "invalid-name")]),
        ({"userId": "u", "reason": 1}, [("#/reason", "invalid-item")]),
        ({"userId": "u", "excluded": ["x"]}, [("#/excluded", "unknown-property")]),
        ({"userId": "u", "ttlSeconds": 1}, [("#/ttlSeconds", "unknown-property")]),
    ],
)
def test_no_close(given: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert faults({"action": "close"} | given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [("#/target", "invalid-item")]),
        ({"target": "t", "action": "add"}, [("#/action", "unknown-property")]),
        ({"action": 5, "userId": "u", "groupName": "g"}, [("#/action", "invalid-item"), ("#/action", "invalid-item")]),
    ],
)
def test_at_outputs_what_an_item_is_shows_in_its_properties(given: Any, expected: list[tuple[str, str]]) -> None:
    assert faults(given) == expected


# --- arrays and sizes


def read_all(value: Any, *kinds: Kind) -> list[Item]:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    items = list(read_items(text, "chat", frozenset(kinds) or ALL, has_endpoint, FITS))
    assert None not in items
    return [one for one in items if one is not None]


def test_an_array_mixes_all_kinds_in_its_order() -> None:
    items = read_all([message(), add(), {"action": "close", "userId": "u"}, message(userId="u")])
    assert [item.kind for item in items] == [Kind.MESSAGE, Kind.GROUP_ACTION, Kind.CLOSE, Kind.MESSAGE]
    assert read_all([]) == []


def test_every_fault_of_every_item_is_pointed_at() -> None:
    with pytest.raises(InvalidItem) as caught:
        read_all([message(), message(userId="", x=1), 5, add(ttlSeconds=-1, endpoints=["eastus", "no"])])
    assert [(fault.pointer, fault.kind.code) for fault in caught.value.faults] == [
        ("#/1/userId", "invalid-name"),
        ("#/1/x", "unknown-property"),
        ("#/2", "invalid-item"),
        ("#/3/ttlSeconds", "invalid-item"),
        ("#/3/endpoints/1", "unknown-endpoint"),
    ]
    assert caught.value.status == 422
    assert caught.value.extensions["errors"][0].keys() == {"pointer", "code", "detail"}


@pytest.mark.parametrize("text", [b"[", b"{}", b"[{]", b"[{}] x", b"\xff"])
def test_no_array(text: bytes) -> None:
    with pytest.raises((MalformedJson, InvalidItem)):
        read_all(text)


def test_an_item_of_an_array_may_be_no_larger_than_one_alone() -> None:
    with pytest.raises(InvalidItem) as caught:
        read_all([message(), message(arguments=["x" * 1024 * 1024])])
    assert [(fault.pointer, fault.kind.code) for fault in caught.value.faults] == [("#/1", "invalid-item")]
    assert "1,048,576" in caught.value.detail


def test_a_thousand_items_and_no_more() -> None:
    assert len(read_all([message()] * 1000)) == 1000
    with pytest.raises(InvalidItem) as caught:
        read_all([0] * 1001)
    assert [fault.pointer for fault in caught.value.faults] == ["#"], "none of them was read"


def test_an_outgoing_body_has_at_most_a_million_bytes() -> None:
    room = 1_000_000 - len(b'{"target":"t","arguments":[""]}')
    item = read(message(arguments=["x" * room]))
    assert len(body_of(item) or b"") == 1_000_000
    with pytest.raises(InvalidItem) as caught:
        read_all([message(), message(arguments=["x" * (room + 1)])])
    assert [fault.pointer for fault in caught.value.faults] == ["#/1"]


def test_an_outgoing_url_has_at_most_8000_bytes() -> None:
    assert read(message(excluded=["x" * 100] * 70)).operation.excluded
    with pytest.raises(InvalidItem) as caught:
        read_all([message(), message(excluded=["x" * 100] * 75)])
    assert [(fault.pointer, fault.kind.code) for fault in caught.value.faults] == [("#/1", "url-too-long")]
    assert caught.value.code == "url-too-long"


@pytest.mark.parametrize("name", ["é" * 1024, "😀" * 512])
def test_escaping_makes_a_url_long(name: str) -> None:
    if len(name) == 1024:
        assert read(message(userId=name)).operation.user == name
    assert faults(message(groupName=name, excluded=["é" * 400])) == [("#", "url-too-long")]


def test_an_answer_does_not_grow_with_the_number_of_faults() -> None:
    unknown = message(**{f"u{number}": 1 for number in range(3000)})
    assert len(faults(unknown)) == 1000
    with pytest.raises(InvalidItem) as caught:
        read_all([unknown, unknown])
    assert len(caught.value.faults) == 1000


# --- the short way for messages as most are says the same as the long one

NAMES = st.sampled_from(["t", "", "\n", " ", "..", "é", "a\u0000b", '"', "x" * 1025, "😀" * 512, "e" * 1024])
MEMBERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "target": NAMES | st.none() | st.integers(),
        "arguments": st.sampled_from([[], [1, "a"], [[]], None, {}, "[", 5]),
        "userId": NAMES | st.none() | st.integers(),
        "groupName": NAMES | st.none(),
        "connectionId": NAMES,
        "excluded": st.sampled_from([[], ["c"], None]),
        "endpoints": st.sampled_from([["eastus"], [], ["nowhere"]]),
        "action": st.sampled_from(["add", "close"]),
        "Target": st.just("t"),
    },
)


def outcome_of(text: bytes, *kinds: Kind) -> object:
    try:
        return read_item(text, "chat", frozenset(kinds) or ALL, has_endpoint, FITS)
    except (InvalidItem, MalformedJson) as error:
        return type(error), error.detail, getattr(error, "faults", None)


@given(MEMBERS, st.booleans(), st.sampled_from([(), (Kind.MESSAGE,), (Kind.GROUP_ACTION,)]))
def test_blanks_change_nothing(values: dict[str, Any], escaped: bool, kinds: tuple[Kind, ...]) -> None:
    compact = json.dumps(values, separators=(",", ":"), ensure_ascii=escaped).encode()
    # So much that a repeated name might hide in it, so this is read the long way.
    spread = json.dumps(values, indent=30, ensure_ascii=escaped).encode()
    short, long = outcome_of(compact, *kinds), outcome_of(spread, *kinds)
    if isinstance(short, Item) and isinstance(long, Item) and short.message and long.message:
        assert json.loads(short.message.arguments) == json.loads(long.message.arguments)
        short, long = (
            msgspec.structs.replace(one, message=Message(one.message.target)) for one in (short, long) if one.message
        )
    assert short == long


@pytest.mark.parametrize("blank", ["", " ", "\n  "])
@pytest.mark.parametrize(
    "twice",
    ['"target":"u"', '"target":""', '"arguments":[]', '"groupName":"g"', '"\\u0074arget":"t"', '"GROUPNAME":"g"'],
)
def test_a_property_that_stands_there_twice_is_seen(twice: str, blank: str) -> None:
    once = '"target":"t","groupName":"g","arguments":[1]'
    for members in (f"{twice},{once}", f"{once},{twice}"):
        text = ("{" + members.replace(",", "," + blank).replace(":", ":" + blank) + "}").encode()
        with pytest.raises(InvalidItem) as caught:
            read(text, Kind.MESSAGE)
        assert "more than once" in caught.value.detail


def test_arguments_go_out_as_the_bytes_that_came() -> None:
    arguments = b'[1.0, 1e2,12345678901234567890123,"\\u00e9\xc3\xa9",  {"b":1,"a":2}]'
    for text in (b'{"target":"t","arguments":' + arguments + b"}", b'{ "ARGUMENTS" :' + arguments + b',"target":"t"}'):
        assert body_of(read(text)) == b'{"target":"t","arguments":' + arguments + b"}"


@pytest.mark.parametrize("arguments", [b'["\xff"]', b'["\xed\xa0\x80"]', b"[nul]", b"[" * 5000 + b"]" * 5000])
def test_arguments_that_are_no_json_in_utf8_are_refused(arguments: bytes) -> None:
    with pytest.raises(MalformedJson):
        read(b'{"target":"t","arguments":' + arguments + b"}")


def test_nothing_is_read_behind_as_many_faults_as_are_told() -> None:
    unknown = {"target": "t"} | {f"p{number}": 0 for number in range(700)}
    read = read_items(
        json.dumps([unknown] * 1000).encode(), "chat", ALL, lambda name: True, lambda action, message: True
    )
    assert next(read) is None
    with pytest.raises(InvalidItem) as caught:
        next(read)
    assert len(caught.value.faults) == 1000
    assert caught.value.faults[-1].pointer == "#/1/p299"
