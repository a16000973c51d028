"""A forwarded event as an HTTP request: URL, body and headers in the formats json and cloudevents, and the signature.

Source: the signature is that of the Standard Webhooks scheme (https://www.standardwebhooks.com), version v1. The
headers of ``cloudevents`` are those of the CloudEvents HTTP binding 1.0.2, binary mode (3.1.3).
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol, TypeAlias
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec
from standardwebhooks import Webhook

from signalr_bridge.errors import MalformedJson, Rejected, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.json_text import DuplicateMember
from signalr_bridge.protocol.names import escape_segment
from signalr_bridge.protocol.problem import LONGEST_DETAIL, MEDIA_TYPE
from signalr_bridge.protocol.upstream_event import CONNECTIONS, JSON
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import OutsideFailure, failure_text

_NO_INPUTS: Mapping[str, object] = MappingProxyType({})
_REFUSALS = frozenset({400, 403, 409, 422})


class BackendFailed(OutsideFailure):
    """The backend gave no answer, or one that means a failure. The text says which, without what was sent."""


class NotSent(BackendFailed):
    """The backend certainly never got the request. It is ``wire.client.NotSent``, as a kind of ``BackendFailed``."""


class NoConnection(NotSent):
    """No connection was free in time, or too many requests waited for one. It says nothing about the backend."""


class NoResponse(BackendFailed):
    """The backend may have got the request, and did not answer: ``wire.client.NoResponse``, or the time was over."""


class CircuitOpen(BackendFailed):
    """The backend was not called, because it did not answer several times in a row."""


class BackendUnavailable(BackendFailed):
    """The backend answered 429 or 5xx: it cannot do it just now. ``retry_after`` is in seconds."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP. The media type is in lower case and without parameters.

    ``retry_after`` is how many seconds the backend asks to wait.
    """

    status: int
    media_type: str = ""
    body: bytes = b""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class BackendVerdict:
    """What a backend that succeeded wants.

    Attributes:
        result: The result for the client.
        outputs: A JSON array of items, which are sent before the client gets its result. It is empty without items.
        logs: Lines for our log.
        named: What is for outputs with a binding of their own, as JSON text by their names.
        left_alone: The names of outputs that nobody here takes.
    """

    result: Payload = None
    outputs: bytes = b""
    logs: tuple[str, ...] = ()
    named: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    left_alone: tuple[str, ...] = ()


def read_reply(reply: Reply, event: str) -> BackendVerdict:
    """What an answer in the formats ``json`` and ``cloudevents`` means.

    Args:
        reply: The backend's answer.
        event: The name of the event, for the text of a refusal without one.

    Raises:
        Rejected: The backend refused the event. The text is meant for the client.
        BackendFailed: The answer means a failure.
    """
    if reply.status == 204 or (reply.status == 200 and not reply.body):
        return BackendVerdict()
    if reply.status != 200:
        raise read_failure(reply, event)
    members = read_members(reply)
    outputs = members.get("outputs", b"null")
    if json_text.first_character(outputs) != b"[" and outputs != b"null":
        raise BackendFailed("The backend's outputs are no array.")
    return BackendVerdict(
        read_result(members.get("result")), join_outputs(json_text.elements(outputs)) if outputs != b"null" else b""
    )


def read_failure(reply: Reply, event: str) -> Rejected | BackendFailed:
    """What an answer other than success means: a refusal, or one of the failures."""
    if reply.status == 429 or reply.status >= 500:
        return BackendUnavailable(f"The backend answered {reply.status}.", reply.retry_after)
    if reply.status not in _REFUSALS or reply.media_type != MEDIA_TYPE:
        return BackendFailed(f"The backend answered {reply.status}.")
    detail = _read_detail(reply)
    return BackendFailed(_no_object(reply)) if detail is None else Rejected(detail or failure_text(event))


def read_members(reply: Reply) -> dict[str, bytes]:
    """The members of the answer's JSON object as JSON text, by their names in lower case. Raises ``BackendFailed``."""
    members: dict[str, bytes] = {}
    try:
        for name, value in json_text.members(reply.body).items():
            if members.setdefault(name.lower(), value) is not value:
                raise DuplicateMember(name)
    except (MalformedJson, DuplicateMember):
        raise BackendFailed(_no_object(reply)) from None
    return members


def read_result(text: bytes | None) -> Payload:
    """The result of an answer, which is passed on as it is written."""
    return None if text is None else msgspec.Raw(text)


def join_outputs(items: Iterable[bytes]) -> bytes:
    """A JSON array of the items, or an empty text when there are none."""
    joined = b",".join(items)
    return b"[" + joined + b"]" if joined else b""


def read_refusal_detail(reply: Reply) -> str:
    """The text for the client in a refusal. It is empty where the answer has none."""
    return (_read_detail(reply) or "") if reply.media_type == MEDIA_TYPE else ""


def _read_detail(reply: Reply) -> str | None:
    try:
        problem = json_text.decode(reply.body)
    except MalformedJson:
        return None
    if not isinstance(problem, dict):
        return None
    detail = problem.get("detail")
    return detail[:LONGEST_DETAIL] if isinstance(detail, str) else ""


def _no_object(reply: Reply) -> str:
    return f"The backend answered {reply.status} with a body that is no JSON object."


LONGEST_URL = 8_000
"""In bytes. Common servers do not take more."""

_MOST_KEPT = 128
_SECRET_PREFIX = "whsec_"
# All but the printable ASCII characters, and also the space, the double quote and the percent sign.
_UNFIT_FOR_HEADERS = re.compile(r'[^\x21-\x7e]|["%]')


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event, ready to be posted, perhaps several times with the same id."""

    id: str
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Format(Protocol):
    """How an event is written for a backend, and how the answer is read."""

    def write(self, context: Context, id: str, moment: datetime, inputs: Mapping[str, object] = ...) -> Envelope:
        """The request for an event.

        Args:
            context: The event.
            id: The id of the request. It stays the same in further attempts.
            moment: When the event came, in UTC.
            inputs: The values of input bindings, where the format knows such.

        Raises:
            Rejected, BackendFailed: The event cannot be written.
        """
        ...

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means.

        Args:
            reply: The backend's reply.
            event: The name of the event, for the text of a refusal without one.

        Raises:
            Rejected: The backend refused the event. The text is meant for the client.
            BackendFailed: The reply means a failure.
        """
        ...


class JsonFormat:
    """The format ``json``. With ``cloud`` it is ``cloudevents``, which has the same body and more headers."""

    def __init__(self, address: "Address", *, cloud: bool = False) -> None:
        self._address, self._cloud = address, cloud

    def write(self, context: Context, id: str, moment: datetime, inputs: Mapping[str, object] = _NO_INPUTS) -> Envelope:
        """The request for an event, as ``Format`` says."""
        headers = write_cloud_headers(context, id, moment) if self._cloud else {}
        url = self._address.write(context.hub, context.event)
        return Envelope(id, url, write_body(context, id, moment), {"Content-Type": JSON} | headers)

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means, as ``Format`` says."""
        return read_reply(reply, event)


class Address:
    """A backend's URL, in which ``{hub}`` and ``{event}`` stand as whole path segments. Raises ``SettingsError``.

    Args:
        template: The URL.
        setting: The name of the setting, for errors.
        more: One more path segment, such as the name of a function.
    """

    def __init__(self, template: str, setting: str, more: str = "") -> None:
        parts = _split(template, setting)
        fixed = [one for one in parts.path.split("/") if one not in {"{hub}", "{event}"}]
        if any(brace in text for text in (*fixed, *parts._replace(path="")) for brace in "{}"):
            raise SettingsError(
                "{hub} and {event} stand only as whole path segments, and no other name: "
                "write such as http://backend:9000/signalr/{hub}/{event}.",
                setting=setting,
            )
        self.origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
        self._parts = parts._replace(path=f"{parts.path.rstrip('/')}/{escape_segment(more)}") if more else parts
        self.path = self._parts.path
        """The path as the setting has it, with ``{hub}`` and ``{event}``."""
        self._write_and_keep = lru_cache(_MOST_KEPT)(self._write)

    def write(self, hub: str, event: str) -> str:
        """The URL of one event. Raises ``BackendFailed`` when it is too long.

        It is completely escaped, because a client chooses the event's name. URLs that are asked for often are kept.
        """
        return self._write_and_keep(hub, event)

    def _write(self, hub: str, event: str) -> str:
        names = {"{hub}": escape_segment(hub), "{event}": escape_segment(event)}
        path = "/".join(names.get(segment, segment) for segment in self._parts.path.split("/"))
        url = urlunsplit(self._parts._replace(path=path))
        if len(url) > LONGEST_URL:
            raise BackendFailed(f"The event's URL would be longer than {LONGEST_URL:,} bytes.")
        return url


def _split(template: str, setting: str) -> SplitResult:
    try:
        parts = urlsplit(template)
        well_formed = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
        parts = SplitResult("", "", "", "", "")
    if not well_formed or not template.isascii() or not template.isprintable() or " " in template:
        raise SettingsError(
            "is no http or https URL in plain, escaped characters: write such as http://backend:9000/signalr.",
            setting=setting,
        )
    return parts


def write_body(context: Context, id: str, moment: datetime) -> bytes:
    """The event as JSON text. ``moment`` is in UTC."""
    return json_text.encode(
        {
            "id": id,
            "hub": context.hub,
            "category": context.category,
            "event": context.event,
            "connectionId": context.connection_id,
            "userId": context.user_id,
            "invocationId": context.invocation_id,
            "arguments": context.sent_arguments,
            "error": context.error,
            "claims": context.claims,
            "query": context.query,
            "endpoint": context.endpoint,
            "time": write_time(moment),
        }
    )


def write_time(moment: datetime) -> str:
    """A moment in UTC as RFC 3339, in whole seconds."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def write_cloud_headers(context: Context, id: str, moment: datetime) -> dict[str, str]:
    """The event's attributes and extensions as headers. Those that it does not have are left out."""
    hub, connection = escape_segment(context.hub), escape_segment(context.connection_id)
    attributes = {
        "specversion": "1.0",
        "id": id,
        "source": f"/hubs/{hub}/connections/{connection}",
        "type": f"signalr.{context.event.lower() if context.category == CONNECTIONS else 'message'}",
        "time": write_time(moment),
        "hub": context.hub,
        "event": context.event,
        "connectionid": context.connection_id,
        "userid": context.user_id,
        "invocationid": context.invocation_id,
    }
    return {f"ce-{name}": escape_header(value) for name, value in attributes.items() if value}


def escape_header(value: str) -> str:
    """The value, percent-encoded as the binding says. Each unfit character becomes the bytes of its UTF-8."""
    return _UNFIT_FOR_HEADERS.sub(lambda found: "".join(f"%{one:02X}" for one in found[0].encode()), value)


FEWEST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64
"""The sizes of a secret, as the scheme has them."""


class WebhookSigner:
    """Signs requests with each of the secrets, so that a backend needs to know only one of them.

    Raises ``SettingsError`` for a secret that is not ``whsec_`` and the base64 of 24 to 64 bytes.
    """

    def __init__(self, secrets: Iterable[str], setting: str) -> None:
        self._webhooks = [Webhook(_read_secret(secret, setting)) for secret in secrets]

    def sign(self, id: str, moment: datetime, body: bytes) -> dict[str, str]:
        """The headers of the scheme. ``moment`` is in UTC."""
        headers = {"webhook-id": id, "webhook-timestamp": str(int(moment.timestamp()))}
        if self._webhooks:
            text = body.decode()
            headers["webhook-signature"] = " ".join(one.sign(id, moment, text) for one in self._webhooks)
        return headers


def _read_secret(secret: str, setting: str) -> bytes:
    text = secret.removeprefix(_SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_SECRET_PREFIX) or not FEWEST_SECRET_BYTES <= len(key) <= MOST_SECRET_BYTES:
        raise SettingsError(
            f"a secret is {_SECRET_PREFIX} and the base64 of {FEWEST_SECRET_BYTES} to {MOST_SECRET_BYTES} bytes: "
            "write what printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\" prints.",
            setting=setting,
        )
    return key


Signers: TypeAlias = Callable[[], Mapping[str, WebhookSigner]]
"""Gives what signs at this moment, by the source of the rule."""
