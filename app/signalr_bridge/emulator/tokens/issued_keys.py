"""Signing keys that the service issues to identities: a new one every hour, each good for an hour and a half.

Source: ``spec/rest-and-management.md`` 4.1.
"""

from collections.abc import Callable

from signalr_bridge.protocol.issued_key import IssuedKey

NEW_AFTER_SECONDS = 3600.0
GOOD_SECONDS = 5400.0


class IssuedKeys:
    """``clock`` gives seconds since 1970, ``new_text`` a text that nobody can guess."""

    def __init__(self, clock: Callable[[], float], new_text: Callable[[], str]) -> None:
        self._clock, self._new_text = clock, new_text
        self._issued: list[tuple[float, IssuedKey]] = []

    def issue(self) -> IssuedKey:
        """The present key: the same for all who ask within an hour."""
        now = self._clock()
        if not self._issued or now >= self._issued[-1][0] + NEW_AFTER_SECONDS:
            self._issued.append((now, IssuedKey(self._new_text(), self._new_text())))
        return self._issued[-1][1]

    def find(self, key_id: str) -> list[str]:
        """The key that a token names; none when it is not, or no longer, good."""
        now = self._clock()
        self._issued = [(since, one) for since, one in self._issued if now < since + GOOD_SECONDS]
        return [one.key for _, one in self._issued if one.key_id == key_id]
