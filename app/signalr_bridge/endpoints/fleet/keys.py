"""What opens each instance, and what opened it before: kept for a while, because a rotation takes its time."""

from collections.abc import Callable, Iterable, Sequence

from signalr_bridge.endpoints.endpoint import Credential, Endpoint

KEPT_SECONDS = 600.0
"""How long a former credential is still tried, when a newer one is refused."""


class Keys:
    """Credentials by the URL of their instance. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._current: dict[str, list[Credential]] = {}
        self._former: dict[str, list[tuple[Credential, float]]] = {}

    def use(self, endpoints: Iterable[Endpoint]) -> None:
        """These from now on. Of an instance that has gone nothing is kept."""
        before, self._current = self._current, _by_url(endpoints)
        self.forget()
        ends = self._clock() + KEPT_SECONDS
        former = {url: [*self._former.get(url, []), *((one, ends) for one in before.get(url, []))] for url in before}
        self._former = {
            url: kept
            for url, now in self._current.items()
            if (kept := [(one, end) for one, end in former.get(url, []) if one not in now])
        }

    def known(self, url: str) -> Sequence[Credential]:
        """The current ones, then those that were current within the last minutes."""
        self.forget()
        return [*self._current.get(url, []), *(one for one, _ in reversed(self._former.get(url, [])))]

    def forget(self) -> None:
        """Lets go of what was replaced too long ago."""
        now = self._clock()
        fresh = {url: [(one, end) for one, end in kept if now < end] for url, kept in self._former.items()}
        self._former = {url: kept for url, kept in fresh.items() if kept}


def _by_url(endpoints: Iterable[Endpoint]) -> dict[str, list[Credential]]:
    found: dict[str, list[Credential]] = {}
    for one in endpoints:
        held = found.setdefault(one.url, [])
        if one.credential not in held:
            held.append(one.credential)
    return found
