"""Posts events to the upstream, and makes of its answer the completion for a client that waits.

Source: ``docs/protocol/service-emulation.md`` 3.2 and 3.5.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.emulator.codecs import ClientCodec, Frame
from signalr_bridge.errors import MalformedJson, MalformedMessage, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Completion
from signalr_bridge.protocol.names import escape_segment
from signalr_bridge.protocol.upstream_event import EventHeaders, write_event_headers, write_signatures
from signalr_bridge.tracing import Called
from signalr_bridge.wire.client import (
    CallFailed,
    Client,
    ClientOptions,
    ResponseTooLarge,
    TimedOut,
)

LONGEST_ANSWER = 16 * 1024 * 1024
"""The most bytes of an answer that are read."""

_LOG = logging.getLogger(__name__)
_EXPECTED = frozenset({200, 204})
_OPTIONS = ClientOptions(idle_seconds=1.5)  # less than the 2 s of gunicorn, which does not say how long it waits
_TOKEN = re.compile(r"\{(hub|category|event)\}")
_FIELDS = {
    "urltemplate": "url",
    "hubpattern": "hub_pattern",
    "categorypattern": "category_pattern",
    "eventpattern": "event_pattern",
}


@dataclass(frozen=True, slots=True)
class UpstreamTemplate:
    """One template. A pattern is ``*``, a name, or names joined by commas. Names are compared exactly."""

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
        """Whether the event is posted by this template."""
        return (
            _matches(self.hub_pattern, event.hub)
            and _matches(self.category_pattern, event.category)
            and _matches(self.event_pattern, event.event)
        )

    def url_for(self, event: EventHeaders) -> str:
        """The URL with ``{hub}``, ``{category}`` and ``{event}`` filled in, percent-escaped."""
        return _TOKEN.sub(lambda token: escape_segment(getattr(event, token[1])), self.url)


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """What the upstream answered. ``failure`` says for the client what went wrong while the body was read."""

    status: int
    body: bytes = b""
    failure: str | None = None


UNREACHABLE = UpstreamReply(500)
"""No answer at all. The service treats it as the status 500."""


def _matches(pattern: str, value: str) -> bool:
    return any(part.strip() in {"*", value} for part in pattern.split(","))


def find_template(templates: Sequence[UpstreamTemplate], event: EventHeaders) -> UpstreamTemplate | None:
    """The first template that matches. None when no template does. Then the event is not posted."""
    return next((template for template in templates if template.matches(event)), None)


def to_templates(upstream: str | Sequence[UpstreamTemplate]) -> tuple[UpstreamTemplate, ...]:
    """Templates as they are. A URL becomes a template that matches every event."""
    return (UpstreamTemplate(upstream),) if isinstance(upstream, str) else tuple(upstream)


def read_upstream_settings(text: bytes) -> list[UpstreamTemplate]:
    """The templates under ``UpstreamSettings.Templates``, with names in any case. Raises ``SettingsError``."""
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


class UpstreamCaller:
    """Calls the upstream. ``templates`` may be replaced at any time, and hold for the next event.

    Args:
        keys: Access keys, which sign each call. The sequence may change.
        templates: Which event is posted to which URL.
        timeout: Seconds that a call may take.
        token: Gives a token of the service's managed identity. It is asked at each call.
    """

    def __init__(
        self,
        keys: Sequence[str],
        templates: Sequence[UpstreamTemplate],
        timeout: float,
        token: Callable[[], str] | None = None,
    ) -> None:
        self.templates = tuple(templates)
        self._keys = keys  # they may be replaced
        self._timeout = timeout
        self._token = token
        self._client = Client(_OPTIONS)

    async def start(self) -> None:
        """Opens the HTTP client."""
        self._client.open()

    async def stop(self) -> None:
        """Closes the HTTP client. Later calls count as unreachable."""
        await self._client.close()

    async def call(self, event: EventHeaders, content_type: str, body: bytes) -> UpstreamReply | None:
        """The answer to an event, with any status. None when no template matches."""
        template = find_template(self.templates, event)
        if template is None:
            return None
        called = Called(urlsplit(template.url).path, "upstream", {"signalr.category": event.category})
        answer = await self._post(template.url_for(event), self._headers(event, content_type), body, called)
        if answer.status not in _EXPECTED:
            _LOG.warning(
                "The upstream answered %d to %s/%s of hub %s.", answer.status, event.category, event.event, event.hub
            )
        return answer

    def _headers(self, event: EventHeaders, content_type: str) -> dict[str, str]:
        headers = write_event_headers(event) | {"Content-Type": content_type}
        if self._keys:
            headers["X-ASRS-Signature"] = write_signatures(event.connection_id, self._keys)
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token()}"
        return headers

    async def _post(self, url: str, headers: dict[str, str], body: bytes, called: Called) -> UpstreamReply:
        if not self._client.is_open:
            return UNREACHABLE
        try:
            response = await self._client.request(
                "POST", url, headers=headers, body=body, seconds=self._timeout, largest=LONGEST_ANSWER, called=called
            )
            return UpstreamReply(response.status, response.body)
        except (CallFailed, ValueError) as exc:
            # ValueError: a header that HTTP cannot carry. It and the URL are not logged, because they may hold a key.
            if isinstance(exc, CallFailed) and exc.response is not None:
                return UpstreamReply(exc.response.status, failure=_describe(exc))
            why = exc if isinstance(exc, CallFailed) else type(exc).__name__
            _LOG.warning("The upstream could not be called: %s.", why)
            return UNREACHABLE


def _describe(failure: CallFailed) -> str:
    """Why the body of an answer could not be read. Source: ``docs/protocol/service-emulation.md`` 3.5."""
    match failure:
        case ResponseTooLarge():
            return "response too large"
        case TimedOut():
            return "response cancelled"
    return "error: Error while copying content to a stream."


def interpret(answer: UpstreamReply | None, invocation_id: str, codec: ClientCodec) -> Frame:
    """The frame for a client that waits for the answer to ``invocation_id``."""
    match answer:
        case None:
            error = "no upstream template matches the event."
        case UpstreamReply(status=204) | UpstreamReply(status=200, body=b"", failure=None):
            return codec.write(Completion(invocation_id))
        case UpstreamReply(status=200, failure=None):
            return _pass_on(answer.body, invocation_id, codec)
        case UpstreamReply(status=200):
            error = f"{answer.failure}."
        case _:
            error = f"status code {answer.status}"
    return codec.write(Completion(invocation_id, error=f"Invocation failed, {error}"))


def _pass_on(body: bytes, invocation_id: str, codec: ClientCodec) -> Frame:
    try:
        return codec.frame_answer(body)
    except MalformedMessage:
        error = "Invocation failed, the answer of the upstream is no message of the hub protocol."
        return codec.write(Completion(invocation_id, error=error))
