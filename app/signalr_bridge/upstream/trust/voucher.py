"""What can vouch for an upstream call: an endpoint's access key or, where it has none, the token of its identity."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from signalr_bridge.errors import BadToken


@dataclass(frozen=True, slots=True)
class Voucher:
    """A key that vouches for a call, and the endpoint it speaks for; None when it does not tell."""

    endpoint: str | None
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenVoucher:
    """An endpoint whose calls carry a token of Entra. ``application`` is the id in it; None when that is not known."""

    endpoint: str
    application: str | None = None


AnyVoucher: TypeAlias = Voucher | TokenVoucher


def write_vouchers(
    keys: Mapping[str, Iterable[str]], applications: Mapping[str, str] | None = None
) -> list[AnyVoucher]:
    """From each endpoint's keys and, by endpoint, the applications that the settings name.

    A key that several endpoints share does not tell which of them called. An endpoint without any key is vouched for by
    tokens alone, which opens nothing to the callers of the others.
    """
    named = applications or {}
    owners: dict[str, set[str]] = {}
    tokens: list[AnyVoucher] = []
    for endpoint, its_keys in keys.items():
        held = list(its_keys)
        for key in held:
            owners.setdefault(key, set()).add(endpoint)
        if not held or endpoint in named:
            tokens.append(TokenVoucher(endpoint, named.get(endpoint)))
    return [*(Voucher(next(iter(its)) if len(its) == 1 else None, key) for key, its in owners.items()), *tokens]


def find_endpoint(vouchers: Sequence[TokenVoucher], application: str) -> str | None:
    """The one endpoint whose tokens name ``application``; None when the token does not tell.

    ``BadToken`` when every endpoint's application is known, and this is none of them.
    """
    named = {one.endpoint for one in vouchers if (one.application or "").lower() == application.lower()}
    if not named and all(one.application for one in vouchers):
        raise BadToken("the token's application is that of no endpoint of the hub")
    return next(iter(named)) if len(named) == 1 else None
