"""The ordered checks of a caller: the code in the address, then a signature or a token. Every one fails closed.

Source: ``spec/functions-bindings.md`` 1.4 and 1.12. Nothing of the body is read before.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl

from signalr_bridge.errors import BadSignature, BadToken, SettingsError, Unauthenticated
from signalr_bridge.protocol.signature import find_signer
from signalr_bridge.protocol.upstream_event import SIGNATURE_HEADER, EventHeaders, decode_header
from signalr_bridge.settings.model import UpstreamSettings
from signalr_bridge.upstream.trust.entra_tokens import EntraTokens
from signalr_bridge.upstream.trust.voucher import AnyVoucher, TokenVoucher, Voucher, find_endpoint

HeaderLines: TypeAlias = Sequence[tuple[bytes, bytes]]
"""A request's header lines as they came, with lower-case names."""

VouchersOf: TypeAlias = Callable[[str], Sequence[AnyVoucher]]
"""The vouchers of a hub (in lower case); asked at each request, for keys rotate."""

_LOG = logging.getLogger("signalr_bridge.upstream")

_MOST_CODES = 16
_CODE_HEADER = b"x-functions-key"
_SIGNATURE = SIGNATURE_HEADER.encode()
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="signalr-bridge"'}


class Trust:
    """``codes`` open the address, when there are any; ``verify_keys`` only verify signatures; ``tokens`` checks those
    of Entra, which count for the endpoints that a ``TokenVoucher`` stands for, and for no other."""

    def __init__(
        self,
        vouchers_of: VouchersOf,
        codes: Iterable[str] = (),
        verify_keys: Iterable[str] = (),
        allow_unsigned: bool = False,
        tokens: EntraTokens | None = None,
    ) -> None:
        self._vouchers_of = vouchers_of
        self._codes = [_not_empty(code, "code").encode() for code in codes]
        self._verify_only = [Voucher(None, _not_empty(key, "key")) for key in verify_keys]
        self._allow_unsigned = allow_unsigned
        self._tokens = tokens

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """The name of the endpoint that vouched, if that is known. Raises ``Unauthenticated``."""
        if self._codes:
            self._check_code(query, lines)
        try:
            return await self._find_endpoint(lines, headers)
        except (BadSignature, BadToken) as error:
            if self._allow_unsigned:
                return None
            raise _refuse(error) from None

    def check_verifiable(self, hub: str, handler: str) -> None:
        """``SettingsError`` when a hub has a handler and no call of it could ever be verified."""
        keys, identities = self._vouchers(hub)
        if not self._allow_unsigned and not keys and not (identities and self._tokens):
            raise SettingsError(
                f"The hub '{hub}' has a handler ({handler}), but no key verifies the service's calls: "
                "set an access key, BRIDGE_UPSTREAM__KEYS, BRIDGE_UPSTREAM__ENTRA__* for endpoints without a key, "
                "or BRIDGE_UPSTREAM__ALLOW_UNSIGNED."
            )

    def _vouchers(self, hub: str) -> tuple[list[Voucher], list[TokenVoucher]]:
        found = self._vouchers_of(hub.lower())
        keys = [one for one in found if isinstance(one, Voucher)]
        return [*keys, *self._verify_only], [one for one in found if isinstance(one, TokenVoucher)]

    async def _find_endpoint(self, lines: HeaderLines, headers: EventHeaders) -> str | None:
        if not headers.hub or not headers.connection_id:
            raise BadSignature("There is no hub or no connection id to judge by.")
        keys, identities = self._vouchers(headers.hub)
        signatures = [decode_header(value) for name, value in lines if name == _SIGNATURE]
        try:
            return keys[find_signer(signatures, headers.connection_id, [one.key for one in keys])].endpoint
        except BadSignature:
            if self._tokens is None or not identities or not self._tokens.are_among(lines):
                raise
            return find_endpoint(identities, await self._tokens.read_application(lines))

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
            raise Unauthenticated("The upstream address lacks its code, or has another one.", headers=_CHALLENGE)


def _refuse(error: BadSignature | BadToken) -> Unauthenticated:
    """Why a token is refused is for the log: outside all of them look alike."""
    if isinstance(error, BadSignature):
        return Unauthenticated(error.detail, headers=_CHALLENGE)
    _LOG.info("the token of an upstream call was refused", extra={"why": error.detail})
    return Unauthenticated("The token of this call is not believed: see the log.", headers=_CHALLENGE)


def _not_empty(secret: str, kind: str) -> str:
    # Everybody knows the empty text: it would open the door.
    if not secret:
        raise SettingsError(f"An upstream {kind} (BRIDGE_UPSTREAM__CODE, BRIDGE_UPSTREAM__KEYS) is empty.")
    return secret


def build_trust(settings: UpstreamSettings, vouchers_of: VouchersOf, tokens: EntraTokens | None) -> Trust:
    return Trust(
        vouchers_of,
        codes=[one.get_secret_value() for one in settings.code],
        verify_keys=[one.get_secret_value() for one in settings.keys],
        allow_unsigned=settings.allow_unsigned,
        tokens=tokens,
    )
