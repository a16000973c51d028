"""Refusals by handlers of ``connected``: a client that was refused negotiates in vain for a while.

The service's close lets a client come back at once, and Microsoft's clients do so hundreds of times a second. A refused
negotiation makes them wait as long as they do after any failure.
"""

import base64
import math
from collections import OrderedDict
from collections.abc import Collection
from hashlib import blake2s

import msgspec

from signalr_bridge.errors import Forbidden
from signalr_bridge.protocol.problem import LONGEST_DETAIL
from signalr_bridge.runtime import Clock, NewId

FIRST_SECONDS, LONGEST_SECONDS = 5.0, 60.0
"""How long the first refusal counts, and the most that one does. Each counts twice as long as the one before."""
FORGOTTEN_SECONDS = 600.0
"""So long after a refusal has ended, the next one is a first one again."""
SHARED_SECONDS = 600.0
"""So long after a client without user and cookie was let in, others that look the same are not held up."""
MOST_REFUSED = 10_000
"""How many refusals are kept. Each takes a connection, and the oldest are forgotten."""

_MARK_BYTES, _OWN_LETTERS = 12, 8
_EVERY, _SHARED = "*", "."
_LONGEST_MARK = 32
_GENERAL = "A handler refused this client a moment ago."


class _Refusal(msgspec.Struct):
    """Why and how long a mark is refused, and until when it is not refused at all. Times are monotonic seconds."""

    reason: str = ""
    seconds: float = 0.0
    ends: float = 0.0
    shared_until: float = 0.0


class Refusals:
    """Remembers refused negotiations by their marks. What is known here, other replicas do not know.

    A mark stands in the client's token, and names its hub, user (or claims), query, cookies and address. It is made
    with a secret of this process (keyed BLAKE2, RFC 7693), so nobody can make one for somebody else.

    Clients without user and cookie behind one address look the same. One of them must not shut the others out: as soon
    as one is let in, a refusal of what they share holds nobody up. So their marks have a part of their own as well. It
    is the same again when the client negotiates with its old token, as the official JavaScript client does.

    Args:
        clock: Gives monotonic seconds.
        new_id: Gives the secret that makes the marks, and the parts of their own.
    """

    def __init__(self, clock: Clock, new_id: NewId) -> None:
        self._clock, self._new_id, self._secret = clock, new_id, new_id().encode()
        self._hubs: Collection[str] = ()
        self._refused: OrderedDict[str, _Refusal] = OrderedDict()

    def watch(self, hubs: Collection[str]) -> None:
        """From now on handlers of these hubs may refuse connections. What others have refused is forgotten.

        Names are in lower case. ``*`` stands for all hubs.
        """
        self._hubs = hubs
        self._refused.clear()

    def may_refuse(self, hub: str) -> bool:
        """Whether handlers may refuse connections of the hub, whose name is in lower case."""
        return hub in self._hubs or _EVERY in self._hubs

    def mark(
        self,
        hub: str,
        user_id: str | None,
        query: str,
        cookies: bytes,
        address: str,
        *,
        claims: str = "",
        before: str = "",
    ) -> str:
        """The mark of a client's negotiation.

        Args:
            hub: The hub, in lower case.
            user_id: The user. None for an anonymous client.
            query: The query without tokens.
            cookies: The lines of the header ``Cookie``.
            address: The client's address.
            claims: The claims and groups of a client without user. Handlers may judge by them.
            before: The mark in the client's old token. Empty without one.
        """
        user = claims if user_id is None else f"={user_id}"
        said = "\0".join((hub, user, query, address, "")).encode("utf-8", "replace") + cookies
        digest = blake2s(said, key=self._secret, digest_size=_MARK_BYTES).digest()
        mark = base64.urlsafe_b64encode(digest).decode()
        if user_id is not None or cookies:
            return mark
        shared, _, own = before.partition(_SHARED)
        is_again = shared == mark and len(own) == _OWN_LETTERS
        return f"{mark}{_SHARED}{own if is_again else self._new_id()[:_OWN_LETTERS]}"

    def refuse(self, mark: str, reason: str) -> None:
        """A handler has refused the connection that was negotiated under this mark. An empty mark is nobody's."""
        if 0 < len(mark) <= _LONGEST_MARK:
            for one in _parts_of(mark):
                self._note(one, reason)

    def _note(self, mark: str, reason: str) -> None:
        now, known = self._clock(), self._refused.pop(mark, None) or _Refusal()
        self._refused[mark] = known
        if len(self._refused) > MOST_REFUSED:
            self._refused.popitem(last=False)
        if now < known.shared_until:
            return
        if now >= known.ends:  # several connections that are refused together are one refusal
            is_first = now >= known.ends + FORGOTTEN_SECONDS
            known.seconds = FIRST_SECONDS if is_first else min(max(2 * known.seconds, FIRST_SECONDS), LONGEST_SECONDS)
            known.ends = now + known.seconds
        known.reason = reason[:LONGEST_DETAIL]

    def admit(self, mark: str) -> None:
        """A connection that was negotiated under this mark was let in. That shows whether the mark is shared."""
        shared, separator, _ = mark.partition(_SHARED)
        if separator and (known := self._refused.get(shared)) is not None:
            known.ends = known.seconds = 0.0
            known.shared_until = self._clock() + SHARED_SECONDS

    def check(self, mark: str) -> None:
        """Raise ``Forbidden``, with the text of the refusal, for a mark that was refused a moment ago."""
        if not self._refused:
            return
        refused = [known for one in _parts_of(mark) if (known := self._refused.get(one)) is not None]
        longest = max(refused, key=lambda known: known.ends, default=None)
        if longest is not None and (seconds := longest.ends - self._clock()) > 0:
            text = longest.reason.encode("utf-8", "replace").decode()
            raise Forbidden(text if text.strip() else _GENERAL, headers={"Retry-After": str(math.ceil(seconds))})

    @property
    def is_empty(self) -> bool:
        """Whether there is no refusal to remember."""
        return not self._refused


def _parts_of(mark: str) -> list[str]:
    """What is refused when this mark is: the whole, and what clients that look the same share of it."""
    shared, separator, _ = mark.partition(_SHARED)
    return [mark, shared] if separator else [mark]
