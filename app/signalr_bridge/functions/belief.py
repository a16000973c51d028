"""What the bindings of functions believe of a request, and which setting allows it."""

import re
from collections.abc import Iterable, Iterator

from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import Expression, Origin, Reference, fault
from signalr_bridge.protocol.platform_headers import is_platform_header
from signalr_bridge.settings.model import ClientSettings, Settings
from signalr_bridge.settings.names import write_name

CLIENT_KINDS = frozenset({Kind.CONNECTION_INFO, Kind.NEGOTIATION})
"""The bindings that make tokens for clients."""

SIGNALR_KINDS = CLIENT_KINDS | {Kind.ENDPOINTS, Kind.SIGNALR}
"""The bindings that have a hub."""

_ROUTE_NAME = re.compile(r"\{\*{0,2}([A-Za-z0-9_]+)")


def believes_platform(settings: Settings, function: FunctionDescription) -> bool:
    """Whether the platform's headers are believed in requests to a function.

    All hubs of its bindings must believe them. A function without such a binding goes by the rules for all hubs.
    """
    return all(rules.platform_identity for _, rules in _list_rules(settings, function))


def _list_rules(settings: Settings, function: FunctionDescription) -> Iterator[tuple[str, ClientSettings]]:
    """The rules for the clients of each hub of a function, and the hub. It is empty where they are for all hubs."""
    hubs = {one.text("hubName").lower() for one in function.bindings if one.kind in SIGNALR_KINDS}
    if not hubs or any("{" in one for one in hubs):
        yield "", settings.negotiate
    if any("{" in one for one in hubs):  # then it may be any hub
        hubs |= set(settings.hubs)
    yield from ((hub, settings.negotiate_of(hub)) for hub in sorted(hubs) if "{" not in hub)


def list_names(trigger: Binding | None) -> frozenset[str]:
    """The names that a trigger gives to what it brings: arguments of a message, or parameters of its route."""
    if trigger is None:
        return frozenset()
    if trigger.kind == Kind.HTTP_TRIGGER:
        return frozenset(one.lower() for one in _ROUTE_NAME.findall(trigger.text("route")))
    return frozenset(one.strip().lower() for one in trigger.texts("parameterNames") or ())


def check_expression(
    settings: Settings, function: FunctionDescription, binding: Binding, property_: str, expression: Expression
) -> None:
    """Raise ``SettingsError`` for an expression that could never work, or that reads what is not to be believed."""
    for one in expression.references:
        sentence = _find_fault(settings, function, binding, property_, one)
        if sentence is not None:
            raise fault(function, binding, property_, f"{{{one.written}}} {sentence}")


def _find_fault(
    settings: Settings, function: FunctionDescription, binding: Binding, property_: str, reference: Reference
) -> str | None:
    if (missing := _find_missing(function, reference)) is not None:
        return missing
    if is_the_platforms(reference):
        distrusting = [hub for hub, rules in _list_rules(settings, function) if not rules.platform_identity]
        return _ask_for_platform(settings, distrusting[0]) if distrusting else None
    hub = binding.text("hubName").lower()
    rules = settings.negotiate_of(hub)
    is_request = function.trigger is not None and function.trigger.kind == Kind.HTTP_TRIGGER
    if reference.origin is Origin.CLAIMS and is_request and property_ == "hubName":
        return "names a user, and no hub: write the hub's name, or a parameter of the route."
    if reference.origin is Origin.CLAIMS and is_request and not rules.jwt and not believes_platform(settings, function):
        jwt, platform = _write_setting(settings, hub, "jwt"), _write_setting(settings, hub, "platform_identity")
        return f"reads a verified claim, and no claim is verified: set {jwt}, or behind App Service {platform}=true."
    names_client = binding.kind in CLIENT_KINDS and property_ in {"userId", "hubName"}
    if names_client and is_written_by_clients(reference) and not rules.trust_client_input:
        allowed = _write_setting(settings, hub, "trust_client_input")
        return f"reads what clients can write: set {allowed}=true to allow it."
    return None


def _find_missing(function: FunctionDescription, reference: Reference) -> str | None:
    """Why the trigger never brings what an expression reads. None where it may."""
    trigger = function.trigger
    kind = "" if trigger is None else trigger.kind
    if reference.origin is Origin.SYSTEM or kind == Kind.HTTP_TRIGGER:
        return None
    if kind == Kind.SIGNALR_TRIGGER and reference.origin is not Origin.NAMED:
        return None
    names = sorted(list_names(trigger))
    if kind == Kind.SIGNALR_TRIGGER and reference.name.partition(".")[0] in names:
        return None
    known = f" (here: {', '.join(names)})" if names else ""
    if kind == Kind.SIGNALR_TRIGGER:
        return f"is none of the trigger's arguments: write one of its parameterNames{known}."
    return "is nothing that this trigger brings: write %Name% with an app setting, {sys.methodname} or {datetime}."


def is_the_platforms(reference: Reference) -> bool:
    """Whether an expression reads a header that the platform writes."""
    return reference.origin is Origin.HEADERS and is_platform_header(reference.name)


def is_written_by_clients(reference: Reference) -> bool:
    """Whether clients can write what an expression reads."""
    return reference.origin in {Origin.HEADERS, Origin.QUERY, Origin.NAMED} and not is_the_platforms(reference)


def check_id_token(settings: Settings, function: FunctionDescription, binding: Binding, expression: Expression) -> None:
    """Raise ``SettingsError`` where nobody verifies the id token that a binding names."""
    hub = binding.text("hubName").lower()
    rules = settings.negotiate_of(hub)
    written = any(map(is_written_by_clients, expression.references))
    if not written and is_from_platform(expression.references):
        return
    jwt, unverified, trust = (
        _write_setting(settings, hub, one) for one in ("jwt", "id_token_unverified", "trust_client_input")
    )
    if not rules.id_token_unverified and not rules.jwt:
        sentence = f"the id token is verified by the issuers in {jwt}: set them, or {unverified}=true."
        raise fault(function, binding, "idToken", sentence)
    if rules.id_token_unverified and written and not rules.trust_client_input:
        sentence = f"the id token is unverified, and clients can write it: set {trust}=true to allow it."
        raise fault(function, binding, "idToken", sentence)


def is_from_platform(references: Iterable[Reference]) -> bool:
    """Whether the platform alone writes what these expressions read, so that it has verified it."""
    found = list(references)
    return bool(found) and all(map(is_the_platforms, found))


def _ask_for_platform(settings: Settings, hub: str) -> str:
    name = _write_setting(settings, hub, "platform_identity")
    return (
        "is a header that App Service, Container Apps or Static Web Apps write, and that clients can write elsewhere: "
        f"set {name}=true where such a platform signs users in, and nobody reaches the bridge but through it."
    )


def _write_setting(settings: Settings, hub: str, name: str) -> str:
    """The name of a setting for the clients of a hub. Without a section of the hub's own it is that for all hubs."""
    own = settings.hubs.get(hub)
    has_own = own is not None and own.negotiate is not None
    return write_name(("hubs", hub, "negotiate", name) if has_own else ("negotiate", name))
