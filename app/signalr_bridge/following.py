"""ASSEMBLY while running: upstream, forwards and callers follow the settings, as `fleet` does with the endpoints."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from signalr_bridge.endpoints.fleet import Fleet
from signalr_bridge.fleet import Endpoints
from signalr_bridge.settings import Settings
from signalr_bridge.settings.live import LiveSettings
from signalr_bridge.upstream.dispatch import ANY
from signalr_bridge.upstream.forward.forward import Forward
from signalr_bridge.upstream.receiver import Receiver
from signalr_bridge.upstream.trust import AnyVoucher, VouchersOf, build_trusts, write_vouchers
from signalr_bridge.upstream.trust.entra_tokens import EntraTokens
from signalr_bridge.web.callers import Callers
from signalr_bridge.web.callers.key_ring import read_keys


def vouchers_now(fleet: Fleet, live: LiveSettings) -> VouchersOf:
    """The vouchers of a hub as they are when somebody asks."""
    return lambda hub: find_vouchers(fleet, live.current, hub)


def find_vouchers(fleet: Fleet, settings: Settings, hub: str) -> list[AnyVoucher]:
    """The keys of all endpoints of the hub; those of all hubs for ``*``."""
    keys: dict[str, list[str]] = {}
    for endpoint in fleet.endpoints if hub == ANY else fleet.find(hub).endpoints:
        keys.setdefault(endpoint.name, []).extend(endpoint.credential.verifying_keys)
    named = {one.name: one.upstream_app_id for one in settings.all_endpoints() if one.upstream_app_id is not None}
    return write_vouchers(keys, named)


def follow_upstream(
    live: LiveSettings,
    endpoints: Endpoints,
    receiver: Receiver,
    tokens: EntraTokens | None,
    hub_tokens: Mapping[str, EntraTokens | None],
) -> None:
    """Codes and keys; a change that leaves a handler without anybody to vouch for its calls is refused."""

    def prepare(settings: Settings) -> Callable[[], None]:
        then = partial(find_vouchers, endpoints.preview(settings), settings)
        receiver.check(build_trusts(settings, then, tokens, hub_tokens))
        trust = build_trusts(settings, vouchers_now(endpoints.fleet, live), tokens, hub_tokens)
        return lambda: receiver.rely_on(trust)

    live.follow(prepare)


def follow_forwards(live: LiveSettings, forwards: Sequence[Forward]) -> None:
    """The secrets that sign."""

    def prepare(settings: Settings) -> Callable[[], None]:
        named = {f"forward.{name}": one for name, one in settings.forward.items()}
        commits = [one.prepare(named[one.source]) for one in forwards]
        return partial(_do_all, commits)

    live.follow(prepare)


def _do_all(commits: Sequence[Callable[[], None]]) -> None:
    for commit in commits:
        commit()


def follow_callers(live: LiveSettings, callers: Callers) -> None:
    """Their keys."""
    live.follow(lambda settings: partial(callers.use, read_keys(settings.callers.keys)))
