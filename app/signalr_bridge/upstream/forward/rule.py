"""A ``[forward.<name>]`` section of the settings, checked: which events go where, in which format, for how long."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.admission import NEGOTIATE
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
        path: The path of its URL, with ``{hub}`` and ``{event}``.
    """

    source: str
    hub: str
    category: str
    event: str
    origin: str
    format: Format
    seconds: float
    retry_seconds: float
    path: str = ""


def read_rule(name: str, given: ForwardSettings, new_id: NewId) -> Rule:
    """The rule of the section ``[forward.<name>]``. Raises ``SettingsError`` for one that could never work."""
    _refuse_headers(given, name)
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
        address.path,
    )


def _write(name: str, field: str) -> str:
    return write_name(("forward", name, field))


@dataclass(frozen=True, slots=True)
class NegotiateRule:
    """Which backend decides about the clients of a hub.

    Attributes:
        source: The section's name, such as ``forward.clients``.
        hub: The hub in lower case, or ``*``.
        address: The backend's URL.
        headers: The headers of the client's request that are sent on, in lower case.
        seconds: How long the call may take.
    """

    source: str
    hub: str
    address: Address
    headers: tuple[str, ...]
    seconds: float


NEGOTIATE_SECONDS = 5.0
"""How long a call may take where the rule does not say. A client waits for it."""

_ANY_URL = "http://backend"
_OF_FUNCTIONS = ("function", "parameter_names")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def read_negotiate_rule(name: str, given: ForwardSettings) -> NegotiateRule:
    """The rule of a section whose category is ``negotiate``. Raises ``SettingsError`` for one that could never work."""
    _refuse_format(given, name)
    _refuse_event(given, name)
    _refuse_functions(given, name)
    _check_headers(given, name)
    return NegotiateRule(
        f"forward.{name}",
        read_hub_pattern(given.hub, _write(name, "hub")),
        Address(given.url, _write(name, "url")),
        tuple(dict.fromkeys(one.lower() for one in given.headers)),
        given.timeout_seconds if "timeout_seconds" in given.model_fields_set else NEGOTIATE_SECONDS,
    )


def find_errors(name: str, given: ForwardSettings, new_id: NewId) -> Iterator[SettingsError]:
    """All that is wrong with the section ``[forward.<name>]``, once for each setting."""
    found: dict[str, SettingsError] = {}
    for check in _list_checks(name, given, new_id):
        try:
            check()
        except SettingsError as error:
            found.setdefault(error.setting, error)
    yield from found.values()


def _list_checks(name: str, given: ForwardSettings, new_id: NewId) -> Iterator[Callable[[], object]]:
    """What reading the section does, step by step. The last one is reading itself, so that no step is missing."""
    yield partial(Address, given.url, _write(name, "url"))
    yield partial(_make_signer, given, _write(name, "secrets"))
    yield partial(read_hub_pattern, given.hub, _write(name, "hub"))
    if given.category == NEGOTIATE:
        yield from (partial(one, given, name) for one in (_refuse_format, _refuse_event, _check_headers))
        yield from (partial(_refuse_function, given, name, one) for one in _OF_FUNCTIONS)
        yield partial(read_negotiate_rule, name, given)
    else:
        yield from (partial(one, given, name) for one in (_refuse_headers, _read_event))
        if given.format == "functions":
            yield partial(_check_names, given, name)
        else:
            yield from (partial(_refuse_function, given, name, one) for one in _OF_FUNCTIONS)
        yield partial(_make_format, given, Address(_ANY_URL, ""), name, new_id)
        yield partial(read_rule, name, given, new_id)


def _refuse_headers(given: ForwardSettings, name: str) -> None:
    if given.headers:
        raise SettingsError(
            'goes with category = "negotiate" only: remove it, or write that category.', setting=_write(name, "headers")
        )


def _refuse_format(given: ForwardSettings, name: str) -> None:
    if given.format != "json":
        raise SettingsError('category = "negotiate" knows one format: write json.', setting=_write(name, "format"))


def _refuse_event(given: ForwardSettings, name: str) -> None:
    if given.event not in {ANY, NEGOTIATE}:
        raise SettingsError(
            'goes with events only: remove it where category = "negotiate".', setting=_write(name, "event")
        )


def _check_headers(given: ForwardSettings, name: str) -> None:
    if not all(map(_HEADER.fullmatch, given.headers)):
        raise SettingsError(
            'a name is no name of a header: write such as ["cookie", "authorization"].', setting=_write(name, "headers")
        )


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
    _refuse_functions(given, name)
    return JsonFormat(address, cloud=given.format == "cloudevents")


def _refuse_functions(given: ForwardSettings, name: str) -> None:
    for setting in _OF_FUNCTIONS:
        _refuse_function(given, name, setting)


def _refuse_function(given: ForwardSettings, name: str, setting: str) -> None:
    if getattr(given, setting) is not None:
        raise SettingsError(
            'goes with format = "functions" only: remove it, or write that format.', setting=_write(name, setting)
        )


def _make_functions(given: ForwardSettings, address: Address, name: str, new_id: NewId) -> Format:
    if given.function is None or given.function in {"", ".", ".."}:
        raise SettingsError(
            "is missing: write the name of the function that the custom handler is to run.",
            setting=_write(name, "function"),
        )
    _check_names(given, name)
    return FunctionsFormat(address, given.function, given.binding, given.parameter_names, new_id)


def _check_names(given: ForwardSettings, name: str) -> None:
    if given.parameter_names is not None:
        check_names(given.parameter_names, _write(name, "parameter_names"))


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
