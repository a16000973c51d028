"""An event as a call of a backend: its address, body and signature, and what the backend's answer means.

The signature is that of the Standard Webhooks scheme (standardwebhooks.com), version v1.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec
from standardwebhooks import Webhook

from app.errors import MalformedJson, Rejected, SettingsError
from app.protocol import json_text
from app.protocol.hub_message import Payload
from app.protocol.json_text import DuplicateMember
from app.protocol.names import escape_segment
from app.upstream.context import Context
from app.upstream.dispatch import failure_text

LONGEST_DETAIL = 1024
"""How many characters of a backend's refusal reach the client."""

PROBLEM_JSON = "application/problem+json"
_REFUSALS = frozenset({400, 403, 409, 422})
_SECRET_PREFIX = "whsec_"


class BackendFailed(Exception):
    """The backend gave no answer, or none that means anything; says which, without what was sent."""


# --- there


class Address:
    """A backend's URL, with ``{hub}`` and ``{event}`` as whole path segments only. Raises ``SettingsError``."""

    def __init__(self, template: str, setting: str) -> None:
        self._parts = _split(template, setting)
        fixed = [one for one in self._parts.path.split("/") if one not in {"{hub}", "{event}"}]
        if any(brace in text for text in (*fixed, *self._parts._replace(path="")) for brace in "{}"):
            raise SettingsError(
                f"{setting}: {{hub}} and {{event}} stand only as whole path segments, and no other name."
            )

    def write(self, hub: str, event: str) -> str:
        """The URL of one event, completely escaped: the event is whatever a client typed."""
        names = {"{hub}": escape_segment(hub), "{event}": escape_segment(event)}
        path = "/".join(names.get(segment, segment) for segment in self._parts.path.split("/"))
        return urlunsplit(self._parts._replace(path=path))


def _split(template: str, setting: str) -> SplitResult:
    try:
        parts = urlsplit(template)
        well_formed = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
        parts = SplitResult("", "", "", "", "")
    if not well_formed or not template.isascii() or not template.isprintable() or " " in template:
        raise SettingsError(f"{setting} is no http or https URL in plain, escaped characters.")
    return parts


class Seal:
    """Signs calls with each of the secrets, so that a backend may know only one of them. Raises ``SettingsError``."""

    def __init__(self, secrets: Iterable[str], setting: str) -> None:
        self._webhooks = [Webhook(_read_secret(secret, setting)) for secret in secrets]

    def sign(self, id: str, moment: datetime, body: bytes) -> dict[str, str]:
        """The scheme's headers; ``moment`` is in UTC."""
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
    if not key:
        raise SettingsError(f"{setting}: a secret is not written as whsec_ and base64.")
    return key


def write_body(context: Context, id: str, moment: datetime) -> bytes:
    """The event as JSON; ``moment`` is in UTC."""
    return json_text.encode(
        {
            "id": id,
            "hub": context.hub,
            "category": context.category,
            "event": context.event,
            "connectionId": context.connection_id,
            "userId": context.user_id,
            "invocationId": context.invocation_id,
            "arguments": context.arguments,
            "error": context.error,
            "claims": context.claims,
            "query": context.query,
            "endpoint": context.endpoint,
            "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )


# --- and back


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP; the media type is in lower case and without parameters."""

    status: int
    media_type: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A backend's success: the result for the client, and a JSON array of outputs to send before it."""

    result: Payload = None
    outputs: bytes = b""


def read_reply(reply: Reply, event: str) -> Verdict:
    """Raises ``Rejected``, with the text for the client, and ``BackendFailed``."""
    if reply.status == 204 or (reply.status == 200 and not reply.body):
        return Verdict()
    if reply.status != 200 and not (reply.status in _REFUSALS and reply.media_type == PROBLEM_JSON):
        raise BackendFailed(f"The backend answered {reply.status}.")
    try:
        if reply.status == 200:
            return _read_success(reply.body)
        detail = _read_detail(reply.body)
    except (MalformedJson, DuplicateMember):
        raise BackendFailed(f"The backend answered {reply.status} with a body that is no JSON object.") from None
    raise Rejected(detail or failure_text(event))


def _read_success(body: bytes) -> Verdict:
    members: dict[str, bytes] = {}
    for name, value in json_text.members(body).items():
        if members.setdefault(name.lower(), value) is not value:
            raise DuplicateMember(name)
    outputs = members.get("outputs", b"null")
    if json_text.first_character(outputs) != b"[" and outputs != b"null":
        raise BackendFailed("The backend's outputs are no array.")
    has_outputs = outputs != b"null" and bool(json_text.elements(outputs))
    result = msgspec.Raw(members["result"]) if "result" in members else None
    return Verdict(result, outputs if has_outputs else b"")


def _read_detail(body: bytes) -> str:
    problem = json_text.decode(body)
    if not isinstance(problem, dict):
        raise MalformedJson
    detail = problem.get("detail")
    return detail[:LONGEST_DETAIL] if isinstance(detail, str) else ""
