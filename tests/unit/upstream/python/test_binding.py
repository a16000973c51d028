"""Arguments, bound by position and converted."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgpack
import msgspec
import pytest
from pydantic import BaseModel, Field, TypeAdapter
from signalr_bridge import Context
from signalr_bridge.errors import HubError, SettingsError
from signalr_bridge.protocol import hub_messagepack, json_text
from signalr_bridge.protocol.hub_message import UNHELD, StreamItem
from signalr_bridge.upstream.python.binding import Binding, describe_type


class Message(BaseModel):
    text: str


@dataclass
class Point:
    x: int
    y: int = 0


async def plain(context: Context) -> None: ...
async def typed(context: Context, text: str, urgent: bool = False) -> None: ...
async def untyped(context, value) -> None: ...  # type: ignore[no-untyped-def]
async def model(context: Context, message: Message) -> None: ...
async def point(context: Context, point: Point) -> None: ...
async def number(context: Context, count: int) -> None: ...
async def maybe(context: Context, count: int | None) -> None: ...
async def day(context: Context, day: date) -> None: ...
async def uuid(context: Context, id: UUID) -> None: ...
async def moment(context: Context, moment: datetime) -> None: ...
async def data(context: Context, data: bytes) -> None: ...
async def chunks(context: Context, chunks: list[bytes] | None) -> None: ...
async def names(context: Context, names: list[str]) -> None: ...
async def rest(context: Context, first: str, *more: int) -> None: ...
async def everything(*values: Any) -> None: ...
async def bounded(context: Context, count: Annotated[int, Field(gt=0)]) -> None: ...
async def choice(context: Context, choice: Literal["a", "b"]) -> None: ...
async def with_keyword(context: Context, text: str, *, flag: bool = True) -> None: ...


def bind(function: Callable[..., Any], *arguments: Any) -> list[Any]:
    return Binding(function, "test").bind("go", arguments)


@pytest.mark.parametrize(
    ("function", "arguments", "bound"),
    [
        (plain, [], []),
        (typed, ["hi"], ["hi"]),
        (typed, ["hi", True], ["hi", True]),
        (untyped, [{"a": [1]}], [{"a": [1]}]),
        (model, [{"text": "hi"}], [Message(text="hi")]),
        (point, [{"x": 1, "y": 2}], [Point(1, 2)]),
        (number, [2**70], [2**70]),
        (number, ["5"], [5]),
        (number, [5.0], [5]),
        (maybe, [None], [None]),
        (day, ["2026-11-22"], [date(2026, 11, 22)]),
        (uuid, ["12345678-1234-5678-1234-567812345678"], [UUID("12345678-1234-5678-1234-567812345678")]),
        (names, [["a", "b"]], [["a", "b"]]),
        (chunks, [["AP8=", b"\x00\xff"]], [[b"\x00\xff", b"\x00\xff"]]),
        (rest, ["a"], ["a"]),
        (rest, ["a", 1, "2"], ["a", 1, 2]),
        (everything, [1, "2", None], [1, "2", None]),
        (bounded, [1], [1]),
        (choice, ["b"], ["b"]),
        (with_keyword, ["hi"], ["hi"]),
    ],
)
def test_arguments_that_fit(function: Callable[..., Any], arguments: list[Any], bound: list[Any]) -> None:
    assert bind(function, *arguments) == bound


@pytest.mark.parametrize(
    ("function", "arguments", "text"),
    [
        (typed, [], "Method 'go': the argument 'text' (str) is missing."),
        (typed, [1], "Method 'go': the argument 'text' must be str."),
        (typed, ["hi", "canary"], "Method 'go': the argument 'urgent' must be bool."),
        (
            typed,
            ["canary", True, 1],
            "Method 'go' was called with 3 arguments, more than it takes: text (str), urgent (bool).",
        ),
        (plain, ["canary"], "Method 'go' was called with 1 arguments, more than it takes: none."),
        (number, ["canary"], "Method 'go': the argument 'count' must be int."),
        (number, [None], "Method 'go': the argument 'count' must be int."),
        (maybe, ["canary"], "Method 'go': the argument 'count' must be int or None."),
        (model, [{"canary": 1}], "Method 'go': the argument 'message' must be Message: field 'text' is missing."),
        (
            names,
            [["canary", 1]],
            "Method 'go': the argument 'names' must be list[str]: item '1' must be a string, and is a number.",
        ),
        (model, [[]], "Method 'go': the argument 'message' must be Message: it must be an object, and is a list."),
        (rest, ["a", 1, "canary"], "Method 'go': the argument 'more' must be int."),
        (rest, [], "Method 'go': the argument 'first' (str) is missing."),
        (bounded, [-1], "Method 'go': the argument 'count' must be int: it must be greater than 0."),
        (bounded, ["canary"], "Method 'go': the argument 'count' must be int."),
        (data, ["canary!"], "Method 'go': the argument 'data' must be bytes."),
        (moment, ["canary"], "Method 'go': the argument 'moment' must be datetime."),
        (number, [b"canary"], "Method 'go': the argument 'count' must be int."),
        (choice, ["canary"], "Method 'go': the argument 'choice' must be 'a' or 'b'."),
        (untyped, [], "Method 'go': the argument 'value' (any value) is missing."),
    ],
)
def test_arguments_that_do_not_fit(function: Callable[..., Any], arguments: list[Any], text: str) -> None:
    with pytest.raises(HubError) as caught:
        bind(function, *arguments)
    assert caught.value.detail == text


@pytest.mark.parametrize("value", [b"", b"\x00\xff", b"abcd", datetime(2026, 11, 22, 10, 0, 0, 123000, UTC), 5, 5.0])
def test_annotated_arguments_are_the_same_in_both_protocols(value: Any) -> None:
    in_json = json_text.decode(json_text.encode(value))
    functions: dict[type, Callable[..., Any]] = {bytes: data, datetime: moment}
    function = functions.get(type(value), number)
    assert bind(function, value) == bind(function, in_json) == [value]


class Mine(Context):
    """The bridge gives a Context, and none of these."""


async def without_context() -> None: ...
async def forgetful(text: str) -> None: ...
async def forgetful_of_optional(order: Message | None) -> None: ...
async def forgetful_in_text(count: "int", context: Context) -> None: ...
async def with_another(context: Mine) -> None: ...
async def only_strings(*values: str) -> None: ...
async def in_text(context: "Context") -> None: ...
async def maybe_context(context: Context | None) -> None: ...
async def annotated_context(context: Annotated[Context, "x"]) -> None: ...
async def object_context(context: object) -> None: ...
async def keyword_context(*, context: Context) -> None: ...
async def demanding(context: Context, *, flag: bool) -> None: ...
async def inconvertible(context: Context, what: Binding) -> None: ...
async def meaningless(context: Context, what: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821
async def unfinished(context: Context, what: "int |") -> None: ...  # type: ignore[valid-type]  # noqa: F722
async def absent(context: Context, what: "json_text.NoSuchType") -> None: ...  # type: ignore[name-defined]
async def mispatterned(context: Context, what: Annotated[str, Field(pattern="(")]) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (without_context, "^The handler test has no first parameter: write 'context: Context'.$"),
        (keyword_context, "no first parameter"),
        (
            forgetful,
            "has a first parameter 'text' of the type str, but it is given a Context: write 'context: Context'",
        ),
        (forgetful_of_optional, "a first parameter 'order' of the type Message or None, but"),
        (forgetful_in_text, "a first parameter 'count' of the type int, but"),
        (with_another, "a first parameter 'context' of the type Mine, but"),
        (only_strings, "a first parameter 'values' of the type str, but"),
        (demanding, "'flag'"),
        (inconvertible, "'what': Unable to generate pydantic-core schema for [^\n]*on your type to fully support it.$"),
        (mispatterned, "'what': .*regex parse error: .* unclosed group$"),
        (meaningless, "NoSuchType"),
        (unfinished, "an annotation that means nothing"),
        (absent, "NoSuchType"),
    ],
)
def test_handlers_that_nobody_could_call(function: Callable[..., Any], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        Binding(function, "test")


@pytest.mark.parametrize("function", [in_text, maybe_context, annotated_context, object_context, everything, untyped])
def test_a_first_parameter_that_takes_a_context(function: Callable[..., Any]) -> None:
    assert Binding(function, "test").fits(1) is (function in {everything, untyped})


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (dict[str, list[Message]], "dict[str, list[Message]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Annotated[int | None, "x"], "int or None"),
        (Literal[1, "a"], "1 or 'a'"),
    ],
)
def test_types_in_words(annotation: Any, text: str) -> None:
    assert describe_type(annotation) == text


@pytest.mark.parametrize(
    ("annotation", "given", "bound"),
    [
        (str, "x", "x"),
        (int, 7, 7),
        (int, 7.0, 7),
        (int, True, 1),
        (int, 2**200, 2**200),
        (float, 1.5, 1.5),
        (float, 1, 1.0),
        (bool, True, True),
        (bool, 1, True),
    ],
)
def test_a_value_of_a_plain_type_is_bound_as_pydantic_would(annotation: type, given: object, bound: object) -> None:
    async def function(context: Context, value: Any) -> None: ...

    function.__annotations__["value"] = annotation
    [found] = Binding(function, "test").bind("send", [given])
    assert (found, type(found)) == (bound, type(bound))
    assert found == TypeAdapter(annotation).validate_python(given)


# --- numbers with all their digits, and times with offsets


class Price(BaseModel):
    amount: Decimal
    rate: float = 0.0
    more: Any = None


async def price(context: Context, price: Price, all: list[Decimal | None], limit: Decimal | None = None) -> None: ...
async def only(context: Context, values: list[Any], limit: Decimal) -> None: ...
async def times(context: Context, moment: datetime, more: list[datetime], other: Any = None) -> None: ...
async def either(context: Context, moment: datetime | list[Any]) -> None: ...
async def stay(context: Context, stay: "Stay") -> None: ...


class Stay(BaseModel):
    until: datetime | None
    nights: dict[str, tuple[datetime, int]] = {}


def test_numbers_of_json_reach_a_decimal_with_all_their_digits() -> None:
    assert Binding(price, "test").needs_digits
    assert not Binding(number, "test").needs_digits
    text = b'[{"amount":12345678901234567.89,"rate":1.10,"more":1.10},[0.10,null,1e5,-7,"1.50"],1e999]'
    [bound, all, limit] = Binding(price, "test").bind("go", msgspec.Raw(text))
    assert [bound.amount, *all] == [Decimal("12345678901234567.89"), Decimal("0.10"), None, 100000, -7, Decimal("1.50")]
    assert [str(one) for one in (all[0], limit)] == ["0.10", "1E+999"]
    assert (type(bound.rate), bound.rate, bound.more, bound.more + 1) == (float, 1.1, 1.1, 2.1)
    assert json_text.encode([bound.more, limit]) == b"[1.10,1E+999]", "it goes on as it was written"
    assert msgpack.unpackb(hub_messagepack.write_body(StreamItem("1", bound.more)))[3] == 1.1


@pytest.mark.parametrize("values", [b"[1e999]", b"[%s]" % (b"7" * 5000), b"[" * 5000 + b"]" * 5000])
def test_what_a_parameter_cannot_hold_refuses_the_call(values: bytes) -> None:
    with pytest.raises(HubError) as refused:
        Binding(only, "test").bind("go", msgspec.Raw(b"[%s,1]" % values))
    assert refused.value.detail == UNHELD


LOCAL = datetime(2024, 3, 22, 10, 11, 12, tzinfo=UTC)
"""What the clock shows there, as if it were in UTC: so .NET writes a DateTimeOffset of 10:11:12+02:00."""
THERE = datetime(2024, 3, 22, 10, 11, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("function", "arguments", "bound"),
    [
        (times, [[LOCAL, 120], [[LOCAL, 120], LOCAL]], [THERE, [THERE, LOCAL]]),
        (times, [LOCAL, [], [LOCAL, 120]], [LOCAL, [], [LOCAL, 120]]),
        (times, [[LOCAL, -840], []], [LOCAL.replace(tzinfo=timezone(timedelta(hours=-14))), []]),
        (either, [[LOCAL, 120]], [[LOCAL, 120]]),
        (stay, [{"until": [LOCAL, 120], "nights": {"a": [LOCAL, 7]}}], [Stay(until=THERE, nights={"a": (LOCAL, 7)})]),
    ],
)
def test_a_time_with_its_offset_in_minutes(
    function: Callable[..., Any], arguments: list[Any], bound: list[Any]
) -> None:
    found = bind(function, *arguments)
    assert found == bound
    assert repr(found) == repr(bound), "offsets, too"


@pytest.mark.parametrize("given", [[LOCAL, 841], [LOCAL, True], [LOCAL, 1.0], [LOCAL], [LOCAL, 1, 1], ["2024", 1]])
def test_what_is_no_time_with_an_offset(given: list[Any]) -> None:
    with pytest.raises(HubError, match="'moment' must be datetime"):
        bind(times, given, [])
