"""The bindings of functions: what their inputs are given, and what their outputs send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.errors import InvalidName, SettingsError
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.belief import (
    CLIENT_KINDS,
    believes_platform,
    check_expression,
    check_id_token,
    list_names,
)
from signalr_bridge.functions.connections import check_connections
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import (
    BindingData,
    Expression,
    fault,
    parse,
    resolve_settings,
)
from signalr_bridge.functions.inputs import HubBinding, Inputs
from signalr_bridge.functions.outputs import Outputs
from signalr_bridge.negotiate.identity import name_by_principal
from signalr_bridge.negotiate.negotiator import Negotiator
from signalr_bridge.negotiate.rules import RulesOf
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.protocol.platform_headers import hide_headers
from signalr_bridge.settings.access import is_reserved_claim
from signalr_bridge.settings.model import Settings

_INPUTS = frozenset({*CLIENT_KINDS, Kind.ENDPOINTS})


@dataclass(frozen=True, slots=True)
class _HubBindings:
    """The bindings of one function that have a hub, and whether it believes the platform's headers."""

    inputs: Sequence[HubBinding]
    outputs: Sequence[HubBinding]
    platform: bool


class Bindings:
    """Fills the inputs of functions and sends what they put into their outputs.

    Args:
        settings: What admits and names clients, and the app's own settings for ``%Name%``.
        rules_of: The rules for the clients of each hub.
        negotiator: Signs the tokens of clients.
        directory: The endpoints of each hub.
        sender: Sends items.
    """

    def __init__(
        self,
        settings: Settings,
        rules_of: RulesOf,
        negotiator: Negotiator,
        directory: EndpointDirectory,
        sender: Sender,
    ) -> None:
        self._settings = settings
        self._inputs = Inputs(rules_of, settings, negotiator, directory)
        self._outputs = Outputs(sender)
        self._known: dict[str, tuple[FunctionDescription, _HubBindings]] = {}

    def resolve(self, function: FunctionDescription) -> FunctionDescription:
        """The function with app settings for each ``%Name%``. Raises ``SettingsError`` for one that is missing."""
        return resolve_settings(function, AppSettings(self._settings.app_settings))

    def believes_platform(self, function: FunctionDescription) -> bool:
        """Whether the platform's headers are believed in requests to this function."""
        return believes_platform(self._settings, function)

    def check(self, function: FunctionDescription) -> None:
        """Raise ``SettingsError`` for a binding that could never work, such as one that nothing resolves.

        It also raises for one that believes what it must not.
        """
        self._known[function.name] = (function, self._read(function))

    def check_connections(self, functions: Sequence[FunctionDescription]) -> None:
        """Raise ``SettingsError`` for a binding whose connection is not that of its hub."""
        check_connections(self._settings, functions)

    async def read_inputs(self, function: FunctionDescription, data: BindingData) -> dict[str, object]:
        """The values of the function's input bindings by their names, as JSON has them.

        Raises:
            Unauthenticated: A binding names a user, and the request shows none.
            FunctionFailed: A value cannot be made.
            BridgeError: What ``Negotiator`` raises.
        """
        found = self._find(function)
        data = _believe(data, platform=found.platform)
        return {one.binding.name: await self._inputs.read(function, one, data) for one in found.inputs}

    async def send_outputs(
        self, function: FunctionDescription, data: BindingData, outputs: Mapping[str, bytes]
    ) -> None:
        """Send what a function has put into its ``signalR`` outputs, binding by binding, each in order.

        Args:
            function: Which one.
            data: What the binding's expressions read.
            outputs: JSON text by the name of the binding. ``$return`` is one.

        Raises:
            FunctionFailed: What it put there is not well formed, or was not delivered.
        """
        if not outputs:
            return
        found = self._find(function)
        data = _believe(data, platform=found.platform)
        given = {name.lower(): text for name, text in outputs.items()}
        for one in found.outputs:
            if (text := given.get(one.binding.name.lower())) is not None:
                await self._outputs.send(function, one, data, text)

    def _find(self, function: FunctionDescription) -> _HubBindings:
        known = self._known.get(function.name)
        return known[1] if known is not None and known[0] is function else self._read(function)

    def _read(self, function: FunctionDescription) -> _HubBindings:
        return _HubBindings(
            [self._read_binding(function, one) for one in function.inputs if one.kind in _INPUTS],
            [self._read_binding(function, one) for one in function.outputs if one.kind == Kind.SIGNALR],
            believes_platform(self._settings, function),
        )

    def _read_binding(self, function: FunctionDescription, binding: Binding) -> HubBinding:
        hub = self._parse(function, binding, "hubName")
        if hub is None:
            raise fault(function, binding, "hubName", "the binding names no hub: write its name.")
        if hub.is_fixed:
            _check_hub(function, binding, hub.text)
        if binding.kind not in CLIENT_KINDS:
            return HubBinding(binding, hub)
        id_token = self._parse(function, binding, "idToken")
        if id_token is not None:
            check_id_token(self._settings, function, binding, id_token)
        user_id, types = self._parse(function, binding, "userId"), binding.texts("claimTypeList") or ()
        if any(map(is_reserved_claim, types)):
            sentence = "a claim's type is empty, or one that the service or the bridge reserves: leave it out."
            raise fault(function, binding, "claimTypeList", sentence)
        return HubBinding(binding, hub, user_id, id_token, types)

    def _parse(self, function: FunctionDescription, binding: Binding, property_: str) -> Expression | None:
        """A property, checked. None where it is blank."""
        text = binding.text(property_)
        if not text:
            return None
        try:
            expression = parse(text, list_names(function.trigger))
        except SettingsError as error:
            raise fault(function, binding, property_, error.sentence) from None
        check_expression(self._settings, function, binding, property_, expression)
        return expression


def _check_hub(function: FunctionDescription, binding: Binding, hub: str) -> None:
    try:
        check_hub(hub)
    except InvalidName as error:
        raise fault(function, binding, "hubName", error.detail) from None


def _believe(data: BindingData, *, platform: bool) -> BindingData:
    """The data of a call with the headers that are believed."""
    if not data.is_request:
        return data
    return replace(data, headers=name_by_principal(data.headers) if platform else hide_headers(data.headers))
