"""Who may call upstream: a code in the address, and a signature that only the service can make.

Source: ``spec/functions-bindings.md`` 1.4. Every check fails closed, and nothing of the body is read before.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from app.errors import BadSignature, SettingsError, Unauthenticated
from app.protocol.signature import find_signer
from app.protocol.upstream_event import SIGNATURE_HEADER, EventHeaders, decode_header

HeaderLines = Sequence[tuple[bytes, bytes]]
"""A request's header lines as they came, with lower-case names."""

_MOST_CODES = 16
_CODE_HEADER = b"x-functions-key"
_SIGNATURE = SIGNATURE_HEADER.encode()


@dataclass(frozen=True, slots=True)
class Voucher:
    """A key that vouches for a call, and the endpoint it speaks for; None when it does not tell."""

    endpoint: str | None
    key: str = field(repr=False)


def write_vouchers(keys: Mapping[str, Iterable[str]]) -> list[Voucher]:
    """From each endpoint's keys. A key that several endpoints share does not tell which of them called."""
    owners: dict[str, set[str]] = {}
    for endpoint, its_keys in keys.items():
        for key in its_keys:
            owners.setdefault(key, set()).add(endpoint)
    return [Voucher(next(iter(names)) if len(names) == 1 else None, key) for key, names in owners.items()]


class Trust:
    """``keys_of`` gives the vouchers of a hub (in lower case); it is asked at each request, for keys rotate.

    ``codes`` open the address, when there are any; ``verify_keys`` only verify signatures.
    """

    def __init__(
        self,
        keys_of: Callable[[str], Sequence[Voucher]],
        codes: Iterable[str] = (),
        verify_keys: Iterable[str] = (),
        allow_unsigned: bool = False,
    ) -> None:
        self._keys_of = keys_of
        self._codes = [_not_empty(code, "code").encode() for code in codes]
        self._verify_only = [Voucher(None, _not_empty(key, "key")) for key in verify_keys]
        self._allow_unsigned = allow_unsigned

    def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """The name of the endpoint that vouched, if that is known. Raises ``Unauthenticated``."""
        if self._codes:
            self._check_code(query, lines)
        try:
            return self._find_voucher(lines, headers).endpoint
        except BadSignature as error:
            if self._allow_unsigned:
                return None
            raise Unauthenticated(error.detail) from None

    def check_verifiable(self, hub: str, handler: str) -> None:
        """``SettingsError`` when a hub has a handler and no call of it could ever be verified."""
        if not self._allow_unsigned and not self._vouchers(hub):
            raise SettingsError(
                f"The hub '{hub}' has a handler ({handler}), but no key verifies the service's calls: "
                "set an access key, BRIDGE_UPSTREAM__KEYS, or BRIDGE_UPSTREAM__ALLOW_UNSIGNED."
            )

    def _vouchers(self, hub: str) -> list[Voucher]:
        return [*self._keys_of(hub.lower()), *self._verify_only]

    def _find_voucher(self, lines: HeaderLines, headers: EventHeaders) -> Voucher:
        if not headers.hub or not headers.connection_id:
            raise BadSignature("There is no hub or no connection id to judge by.")
        signatures = [decode_header(value) for name, value in lines if name == _SIGNATURE]
        vouchers = self._vouchers(headers.hub)
        return vouchers[find_signer(signatures, headers.connection_id, [one.key for one in vouchers])]

    def _check_code(self, query: bytes, lines: HeaderLines) -> None:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")
        given = [value for name, value in pairs if name.lower() == "code"]
        given += [decode_header(value) for name, value in lines if name == _CODE_HEADER]
        matches = [
            hmac.compare_digest(code, one.encode("utf-8", "replace"))
            for code in self._codes
            for one in given[:_MOST_CODES]
        ]
        if not any(matches):
            raise Unauthenticated("The upstream address lacks its code, or has another one.")


def _not_empty(secret: str, kind: str) -> str:
    # Everybody knows the empty text: it would open the door.
    if not secret:
        raise SettingsError(f"An upstream {kind} (BRIDGE_UPSTREAM__CODE, BRIDGE_UPSTREAM__KEYS) is empty.")
    return secret
