"""Binding expressions: what ``{...}`` and ``%...%`` in the properties of bindings stand for.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-expressions-patterns
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from signalr_bridge.protocol.hub_message import Payload


@dataclass(frozen=True, slots=True)
class BindingData:
    """What the expressions of one call read. The names of headers, parameters and claims are in lower case.

    Attributes:
        method: The function's name, which is ``{sys.methodname}``.
        moment: When the call came, in UTC.
        guid: The one random GUID of the call.
        headers: The values of each header that may be read.
        query: The values of each parameter of the query.
        claims: The values of each verified claim.
        named: Parameters of the route, members of a JSON body, and arguments of a message by the trigger's names.
    """

    method: str
    moment: datetime
    guid: str
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    query: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    claims: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    named: Mapping[str, Payload] = field(default_factory=dict, repr=False)
