"""What the expressions of one call read, gathered from what has started the function."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from signalr_bridge.errors import MalformedJson
from signalr_bridge.functions.expressions import BindingData
from signalr_bridge.functions.invocation import HttpCall, TriggerData
from signalr_bridge.negotiate.identity import group_values
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.upstream.context import Context


def gather(method: str, moment: datetime, guid: str, trigger: TriggerData, named: Mapping[str, Payload]) -> BindingData:
    """What the expressions of one call read.

    Args:
        method: The function's name.
        moment: When the call came, in UTC.
        guid: A random GUID.
        trigger: What has started the function.
        named: The arguments of a message by the names that the trigger gives them.
    """
    if isinstance(trigger, HttpCall):
        headers = dict(trigger.headers) | ({"authorization": trigger.authorization} if trigger.authorization else {})
        query = group_values([(name, one) for name, values in trigger.query.items() for one in values])
        return BindingData(
            method, moment, guid, headers, query, named=_LateValues(lambda: _name_all(trigger)), is_request=True
        )
    if isinstance(trigger, Context):
        return BindingData(
            method,
            moment,
            guid,
            _LateValues(lambda: {name: [value] for name, value in trigger.headers.items()}),
            _LateValues(lambda: group_values([(n, one) for n, values in trigger.query.items() for one in values])),
            _LateValues(lambda: _read_claims(trigger)),
            _lower(named),
        )
    return BindingData(method, moment, guid, named=_lower(named))


def _read_claims(context: Context) -> Mapping[str, list[str]]:
    """The claims of an event. A line of claims that a client may have forged names none."""
    if not context.claims_exact:
        return {}
    return group_values([(name, one) for name, values in context.claims.items() for one in values])


def _name_all(call: HttpCall) -> dict[str, Payload]:
    """The members of the body, the parameters of the query and those of the route. The last one of a name counts.

    A parameter that is repeated names no value.
    """
    query = {name: values[0] if len(values) == 1 else values for name, values in call.query.items()}
    return _lower(_read_body(call.body)) | _lower(query) | _lower(call.route)


def _read_body(body: bytes) -> Mapping[str, Payload]:
    if json_text.first_character(body) != b"{":
        return {}
    try:
        found = json_text.decode_exactly(body)
    except MalformedJson:
        return {}
    return found if isinstance(found, dict) else {}


def _lower(named: Mapping[str, Payload]) -> dict[str, Payload]:
    return {name.lower(): value for name, value in named.items()}


class _LateValues(Mapping[str, Payload]):
    """Values by name that are read when the first of them is asked for, because most functions ask for none."""

    def __init__(self, read: Callable[[], Mapping[str, Payload]]) -> None:
        self._read = read
        self._found: Mapping[str, Payload] | None = None

    def _all(self) -> Mapping[str, Payload]:
        if self._found is None:
            self._found = self._read()
        return self._found

    def __getitem__(self, name: str) -> Payload:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
