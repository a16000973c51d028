"""A ``[forward.<name>]`` section of the settings, checked: which events go where, in which format, for how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED
from signalr_bridge.runtime import NewId
from signalr_bridge.settings.model import ForwardSettings
from signalr_bridge.settings.names import write_name
from signalr_bridge.upstream.dispatch import ANY, read_hub_pattern
from signalr_bridge.upstream.forward.formats import Address, Format, JsonFormat, WebhookSigner
from signalr_bridge.upstream.forward.functions import FunctionsFormat, check_names


@dataclass(frozen=True, slots=True)
class Rule:
    """Which events a backend is told of, and how.

    Attributes:
        source: The section's name, such as ``forward.orders``.
        hub: The hub in lower case, or ``*``. ``category`` and ``event`` are names too, or ``*``.
        origin: The backend: scheme, host and port of its URL.
        format: How events are written, and answers are read.
        seconds: How long an attempt may take. A message's attempts may take so long together.
        retry_seconds: How long a connection event is posted again and again.
    """

    source: str
    hub: str
    category: str
    event: str
    origin: str
    format: Format
    seconds: float
    retry_seconds: float


def read_rule(name: str, given: ForwardSettings, new_id: NewId) -> Rule:
    """The rule of the section ``[forward.<name>]``. Raises ``SettingsError`` for one that could never work."""
    address = Address(given.url, _write(name, "url"), given.function or "")
    return Rule(
        f"forward.{name}",
        read_hub_pattern(given.hub, _write(name, "hub")),
        given.category,
        _read_event(given, name),
        address.origin,
        _make_format(given, address, name, new_id),
        given.timeout_seconds,
        given.retry_seconds,
    )


def _write(name: str, field: str) -> str:
    return write_name(("forward", name, field))


def _read_event(given: ForwardSettings, name: str) -> str:
    known = given.category != CONNECTIONS or given.event.lower() in {ANY, CONNECTED, DISCONNECTED}
    if not known or not given.event:
        raise SettingsError(
            "this event is never met: write connected or disconnected for connections, or a message's name.",
            setting=_write(name, "event"),
        )
    return given.event


def _make_format(given: ForwardSettings, address: Address, name: str, new_id: NewId) -> Format:
    if given.format == "functions":
        return _make_functions(given, address, name, new_id)
    for setting in ("function", "parameter_names"):
        if getattr(given, setting) is not None:
            raise SettingsError(
                'goes with format = "functions" only: remove it, or write that format.', setting=_write(name, setting)
            )
    return JsonFormat(address, cloud=given.format == "cloudevents")


def _make_functions(given: ForwardSettings, address: Address, name: str, new_id: NewId) -> Format:
    if given.function is None or given.function in {"", ".", ".."}:
        raise SettingsError(
            "is missing: write the name of the function that the custom handler is to run.",
            setting=_write(name, "function"),
        )
    if given.parameter_names is not None:
        check_names(given.parameter_names, _write(name, "parameter_names"))
    return FunctionsFormat(address, given.function, given.binding, given.parameter_names, new_id)


def build_signers(rules: Mapping[str, ForwardSettings]) -> Mapping[str, WebhookSigner]:
    """What signs the calls of each rule, by its source. Raises ``SettingsError`` for a missing or malformed secret."""
    return {f"forward.{name}": _make_signer(given, _write(name, "secrets")) for name, given in rules.items()}


def _make_signer(given: ForwardSettings, setting: str) -> WebhookSigner:
    if not given.secrets and not given.unsigned:
        raise SettingsError(
            "has no secrets, so that a backend could not tell our calls from others: "
            "write a secret (whsec_...), or unsigned = true.",
            setting=setting,
        )
    return WebhookSigner([one.get_secret_value() for one in given.secrets], setting)
