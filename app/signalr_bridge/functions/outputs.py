"""Output bindings: what a function has put into them is sent, item by item, to the hub of the binding."""

import logging
from collections.abc import Iterable

from signalr_bridge.endpoints.outcome import Judgement, Meaning, describe, fails_outputs
from signalr_bridge.errors import BridgeError, InvalidItem, InvalidName, MalformedJson
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.expressions import BindingData
from signalr_bridge.functions.inputs import HubBinding, fail
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.protocol.function_outputs import read_output
from signalr_bridge.protocol.json_text import DuplicateMember
from signalr_bridge.settings.names import write_name

_EMPTY_MEANS_ALL = write_name(("output", "empty_means_all"))
_LOG = logging.getLogger("signalr_bridge.functions")


class Outputs:
    """Sends what functions put into ``signalR`` outputs.

    Args:
        sender: Sends items.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, function: FunctionDescription, binding: HubBinding, data: BindingData, text: bytes) -> None:
        """Send the items of one output in order. The first that fails ends it.

        Args:
            function: Whose output it is.
            binding: The output.
            data: What the binding's expressions read.
            text: What the function has put there, as JSON text.

        Raises:
            FunctionFailed: It is not well formed, and nothing is sent, or an item was not delivered.
        """
        try:
            items = b",".join(read_output(text))
        except (MalformedJson, DuplicateMember):
            why = "what it holds is no object, no array of objects, and not the JSON text of these"
            raise fail(function, binding.binding, why) from None
        if items:
            judgements = await self._send(function, binding, binding.find_hub(function, data), b"[%b]" % items)
            _check(function, binding, judgements)

    async def _send(
        self, function: FunctionDescription, binding: HubBinding, hub: str, items: bytes
    ) -> Iterable[Judgement]:
        try:
            return await self._sender.send_outputs(hub, items)
        except BridgeError as error:
            why = f"what it holds is not well formed ({error.code}): {error.detail.rstrip('.')}"
            raise fail(function, binding.binding, f"{why}{_advise(error)}") from None


def _advise(error: BridgeError) -> str:
    """What to do where a name may be empty, which means everybody in the host."""
    names = isinstance(error, InvalidItem) and any(one.kind is InvalidName for one in error.faults)
    return f". Where it is empty and everybody is meant, set {_EMPTY_MEANS_ALL}=true" if names else ""


def _check(function: FunctionDescription, binding: HubBinding, judgements: Iterable[Judgement]) -> None:
    for index, judgement in enumerate(judgements):
        result = judgement.result
        if fails_outputs(judgement):
            why = f"item {index} was not delivered: {result.status} ({describe(result)})"
            raise fail(function, binding.binding, why)
        if judgement.meaning is Meaning.PARTIAL:
            output = f"{binding.binding.name}[{index}]"
            extra = {"function": function.name, "output": output, "outcomes": describe(result)}
            _LOG.warning("output delivered in part", extra=extra)
