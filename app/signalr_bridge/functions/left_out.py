"""Functions that do not run here, and why: for those who read the log, and for ``check`` and ``import``.

Source: https://learn.microsoft.com/azure/azure-functions/disable-function
"""

from collections.abc import Sequence
from dataclasses import dataclass

from signalr_bridge.functions.app_folder import HostFile
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.description import TRIGGERS, Binding, Direction, FunctionDescription, Kind

_DURABLE = frozenset(
    {"orchestrationtrigger", "activitytrigger", "entitytrigger", "durableclient", "orchestrationclient"}
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A function that does not run here. ``reason`` is a sentence for people, about "it"."""

    name: str
    reason: str


def find_reason(
    function: FunctionDescription, host: HostFile, app_settings: AppSettings, *, is_beside: bool = False
) -> str | None:
    """Why a function does not run here. None for one that does.

    Args:
        function: Which one.
        host: The app's ``host.json``, which may name the functions that run.
        app_settings: The app's settings, by which functions are disabled.
        is_beside: Whether it runs in a program beside the bridge, which sees to outputs that the bridge does not have.
    """
    return (
        _find_unknown_trigger(function)
        or _find_switch(function, app_settings)
        or (None if host.runs(function.name) else "host.json lists the functions that run, and it is not one of them")
        or _find_unknown_binding([one for one in function.inputs if one.direction is Direction.IN or not is_beside])
        or (None if is_beside else _find_unknown_binding(function.outputs))
    )


def _find_unknown_trigger(function: FunctionDescription) -> str | None:
    trigger = function.trigger
    if trigger is None:
        return "it has no trigger"
    return None if trigger.kind in TRIGGERS else _explain(trigger, "starts by")


def _find_unknown_binding(bindings: Sequence[Binding]) -> str | None:
    unknown = next((one for one in bindings if one.kind not in set(Kind)), None)
    return None if unknown is None else _explain(unknown, "has a binding of the type")


def _explain(binding: Binding, what: str) -> str:
    if binding.kind in _DURABLE:
        return f"it belongs to Durable Functions ({binding.type}), which the bridge does not have"
    return f"it {what} {binding.type}, which the bridge does not have"


def _find_switch(function: FunctionDescription, app_settings: AppSettings) -> str | None:
    """Whether it is disabled: by the app's settings, or by its own ``function.json``."""
    settings = [f"AzureWebJobs.{function.name}.Disabled", f"AzureWebJobs__{function.name}__Disabled"]
    if function.disabled_by:
        settings.append(function.disabled_by)
    switch = next((name for name in settings if app_settings.is_on(name)), None)
    if switch is not None:
        return f"it is disabled by the setting {switch}"
    return f"it is disabled in {function.source}" if function.is_disabled else None
