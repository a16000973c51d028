"""Negotiate handlers in any language: a signed HTTP call asks a backend about a client, and the answer decides."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from signalr_bridge.errors import MalformedJson, NegotiateFailed, Overloaded, Rejected, Unauthenticated
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.admission import NEGOTIATE, Admission, NegotiateRequest
from signalr_bridge.protocol.upstream_event import JSON
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.model import ForwardSettings
from signalr_bridge.tracing import Called
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.formats import (
    BackendFailed,
    Reply,
    Signers,
    read_members,
    read_refusal_detail,
    write_time,
)
from signalr_bridge.upstream.forward.rule import NegotiateRule, read_negotiate_rule

MOST_AT_ONCE = 64
"""How many clients one backend is asked about at once."""

_FIELDS = {
    "userid": "user_id",
    "claims": "claims",
    "groups": "groups",
    "lifetimeseconds": "lifetime_seconds",
    "endpoint": "endpoint",
    "closeonexpiry": "close_on_expiry",
}


class NegotiateForward:
    """One ``[forward.<name>]`` rule with the category ``negotiate`` as a negotiate handler.

    Args:
        rule: Which hub is asked about, and where.
        signers: Gives what signs. Each call is signed with what is in force by then.
        backends: Posts the calls.
        asked: How many clients each backend is asked about at this moment. All rules share it.
        runtime: The clock and the ids.
    """

    def __init__(
        self, rule: NegotiateRule, signers: Signers, backends: Backends, asked: Counter[str], runtime: Runtime
    ) -> None:
        self.hub, self.source = rule.hub, rule.source
        self._rule, self._signers, self._backends, self._asked = rule, signers, backends, asked
        self._runtime = runtime

    async def admit(self, request: NegotiateRequest) -> Admission | None:
        """What the backend decides. There is one attempt, because the client waits and may try again itself.

        Raises:
            Rejected, Unauthenticated: The backend refuses the client. The text is meant for the client.
            Overloaded: The backend is asked about too many clients.
            NegotiateFailed: The backend gave no answer, or one that means nothing.
        """
        origin = self._rule.address.origin
        if self._asked[origin] >= MOST_AT_ONCE:
            raise Overloaded("Too many clients wait for the backend that admits them.", headers={"Retry-After": "1"})
        self._asked[origin] += 1
        try:
            reply = await self._post(request)
        except BackendFailed as error:
            raise NegotiateFailed(str(error)) from None
        finally:
            self._asked[origin] -= 1
        # An anonymous client has to be named in so many words, because many servers answer anything with {}.
        return read_decision(reply, must_name=request.user_id is None)

    async def _post(self, request: NegotiateRequest) -> Reply:
        id, moment = f"msg_{self._runtime.new_id()}", datetime.fromtimestamp(self._runtime.wall_clock(), UTC)
        body = write_question(request, self._rule.headers, id, moment)
        headers = {"Content-Type": JSON} | self._signers()[self.source].sign(id, moment, body)
        address = self._rule.address
        return await self._backends.post(
            address.origin,
            address.write(request.hub, NEGOTIATE),
            body,
            headers,
            self._rule.seconds,
            called=Called(address.path, "backend", {"signalr.handler": self.source}),
        )


def write_question(request: NegotiateRequest, names: Iterable[str], id: str, moment: datetime) -> bytes:
    """The call's body.

    Args:
        request: What the client brings.
        names: The headers that are sent on, in lower case.
        id: The id of the call.
        moment: When the client asked, in UTC.
    """
    return json_text.encode(
        {
            "id": id,
            "hub": request.hub,
            "category": NEGOTIATE,
            "event": NEGOTIATE,
            "userId": request.user_id,
            "claims": request.claims,
            "query": request.query,
            "headers": {name: request.headers[name] for name in names if name in request.headers},
            "address": request.address,
            "origin": request.origin,
            "time": write_time(moment),
        }
    )


def read_decision(reply: Reply, *, must_name: bool) -> Admission | None:
    """What a backend's answer decides. Its values have not been checked.

    Args:
        reply: The answer.
        must_name: Whether an answer that admits must say who the client is.

    Raises:
        Rejected, Unauthenticated: The backend refuses the client.
        NegotiateFailed: The answer means nothing.
    """
    match reply.status:
        case 200:
            return _read_admission(reply, must_name)
        case 204:
            return None
        case 401:
            raise Unauthenticated(read_refusal_detail(reply))
        case 403:
            raise Rejected(read_refusal_detail(reply))
    raise NegotiateFailed(f"The backend answered {reply.status}.")


def _read_admission(reply: Reply, must_name: bool) -> Admission:
    try:
        members = read_members(reply)
        values = {name: json_text.decode(text) for name, text in members.items()}
    except BackendFailed as error:
        raise NegotiateFailed(str(error)) from None
    except MalformedJson:
        raise NegotiateFailed("The backend answered 200 with a value that cannot be read.") from None
    if not values.keys() <= _FIELDS.keys():
        raise NegotiateFailed("The backend's answer has a member that is not known.")
    if must_name and "userid" not in values:
        raise NegotiateFailed('The backend\'s answer has no member "userId" (null for an anonymous client).')
    given = {_FIELDS[name]: value for name, value in values.items() if value is not None}
    return Admission(**given)


def build_negotiate_forwards(
    rules: Mapping[str, ForwardSettings], signers: Signers, backends: Backends, *, runtime: Runtime
) -> list[NegotiateForward]:
    """A handler for each rule with the category ``negotiate``. Raises ``SettingsError`` for one that cannot work."""
    asked: Counter[str] = Counter()
    return [
        NegotiateForward(read_negotiate_rule(name, rule), signers, backends, asked, runtime)
        for name, rule in rules.items()
        if rule.category == NEGOTIATE
    ]
