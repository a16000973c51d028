"""The bindings of functions: what their inputs are given, and what their outputs send."""

from collections.abc import Mapping

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.expressions import BindingData
from signalr_bridge.negotiate.negotiator import Negotiator
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.settings.model import Settings


class Bindings:
    """Fills the inputs of functions and sends what they put into their outputs.

    Args:
        settings: What admits and names clients, and the app's own settings for ``%Name%``.
        negotiator: Signs the tokens of clients.
        directory: The endpoints of each hub.
        sender: Sends items.
    """

    def __init__(
        self, settings: Settings, negotiator: Negotiator, directory: EndpointDirectory, sender: Sender
    ) -> None:
        self._settings, self._negotiator = settings, negotiator
        self._directory, self._sender = directory, sender

    def check(self, function: FunctionDescription) -> None:
        """Raise ``SettingsError`` for a binding that could never work, such as one that nothing resolves."""

    async def read_inputs(self, function: FunctionDescription, data: BindingData) -> dict[str, object]:
        """The values of the function's input bindings by their names, as JSON has them.

        Raises:
            Unauthenticated: A binding names a user, and the request shows none.
            FunctionFailed: A value cannot be made.
            BridgeError: What ``Negotiator`` raises.
        """
        return {}

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
