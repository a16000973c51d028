"""Where events go: templates of upstream URLs with patterns, read from the reference emulator's ``settings.json``.

Source: ``spec/service-emulation.md`` 3.1.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.errors import MalformedJson, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import escape_segment
from signalr_bridge.protocol.upstream_event import EventHeaders

_TOKEN = re.compile(r"\{(hub|category|event)\}")
_FIELDS = {
    "urltemplate": "url",
    "hubpattern": "hub_pattern",
    "categorypattern": "category_pattern",
    "eventpattern": "event_pattern",
}


@dataclass(frozen=True, slots=True)
class UpstreamTemplate:
    """One template. A pattern is ``*``, a name, or names joined by commas; names are compared exactly."""

    url: str
    hub_pattern: str = "*"
    category_pattern: str = "*"
    event_pattern: str = "*"

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(_TOKEN.sub("x", self.url))
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise SettingsError("An upstream URL is not an absolute http or https URL.")

    def matches(self, event: EventHeaders) -> bool:
        return (
            _matches(self.hub_pattern, event.hub)
            and _matches(self.category_pattern, event.category)
            and _matches(self.event_pattern, event.event)
        )

    def url_for(self, event: EventHeaders) -> str:
        """The URL with ``{hub}``, ``{category}`` and ``{event}`` filled in, percent-escaped."""
        return _TOKEN.sub(lambda token: escape_segment(getattr(event, token[1])), self.url)


def _matches(pattern: str, value: str) -> bool:
    return any(part.strip() in {"*", value} for part in pattern.split(","))


def find_template(templates: Sequence[UpstreamTemplate], event: EventHeaders) -> UpstreamTemplate | None:
    """The first template that matches, or None: then the event goes nowhere."""
    return next((template for template in templates if template.matches(event)), None)


def to_templates(upstream: str | Sequence[UpstreamTemplate]) -> tuple[UpstreamTemplate, ...]:
    """Templates as they are, or one for a URL that takes every event."""
    return (UpstreamTemplate(upstream),) if isinstance(upstream, str) else tuple(upstream)


# --- settings.json


def read_upstream_settings(text: bytes) -> list[UpstreamTemplate]:
    """The templates under ``UpstreamSettings.Templates``, names in any case. Raises ``SettingsError``."""
    try:
        settings = json_text.decode(text.removeprefix(b"\xef\xbb\xbf"))
    except MalformedJson:
        raise SettingsError("The upstream settings are not well-formed JSON in UTF-8.") from None
    upstream = _members(settings, "The upstream settings").get("upstreamsettings")
    templates = _members({} if upstream is None else upstream, "UpstreamSettings").get("templates")
    if templates is None:
        raise SettingsError("The upstream settings have no UpstreamSettings.Templates.")
    if not isinstance(templates, list):
        raise SettingsError("UpstreamSettings.Templates is not an array.")
    return [_read_template(template, f"UpstreamSettings.Templates[{at}]") for at, template in enumerate(templates)]


def _read_template(value: Any, where: str) -> UpstreamTemplate:
    members = _members(value, where)
    _refuse_identity(members.get("auth"), where)
    texts = {_FIELDS[name]: text for name, text in members.items() if name in _FIELDS and text is not None}
    if not texts.get("url"):
        raise SettingsError(f"{where} has no UrlTemplate.")
    if not all(isinstance(text, str) for text in texts.values()):
        raise SettingsError(f"{where} has a UrlTemplate or pattern that is not a text.")
    try:
        return UpstreamTemplate(**texts)
    except SettingsError:
        raise SettingsError(f"{where}: UrlTemplate is not an absolute http or https URL.") from None


def _refuse_identity(auth: Any, where: str) -> None:
    kind = _members(auth, f"{where}.Auth").get("type") if auth is not None else None
    if kind not in {None, "None"}:
        raise SettingsError(f"{where}.Auth: the emulator knows no managed identity; remove it or use the type None.")


def _members(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where} is not a JSON object.")
    return {name.lower(): member for name, member in value.items()}
