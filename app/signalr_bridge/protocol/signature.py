"""``X-ASRS-Signature``: the service proves that it knows an access key by signing the connection id.

Nothing else is signed: neither body nor time. Source: ``spec/functions-bindings.md`` 1.4.
"""

import hmac
from collections.abc import Iterable, Sequence

from signalr_bridge.errors import BadSignature

MOST_SIGNATURES = 16
"""How many signatures of one request are looked at; the service sends one for each of its two keys."""


def sign(connection_id: str, key: str) -> str:
    """``sha256=`` and the lower-case hex HMAC-SHA256 of the connection id; the key is used as text, never decoded."""
    _refuse_empty(key)
    return "sha256=" + hmac.digest(key.encode(), connection_id.encode("utf-8", "surrogatepass"), "sha256").hex()


def write_signatures(connection_id: str, keys: Sequence[str]) -> str:
    """The header's value, one signature for each key, joined by a bare comma (the Functions host does not trim)."""
    return ",".join(sign(connection_id, key) for key in keys)


def find_signer(lines: Iterable[str], connection_id: str, keys: Sequence[str]) -> int:
    """The position in ``keys`` of a key that made one of the signatures; ``BadSignature`` when none did.

    ``lines`` are the header's lines. Hex case and blanks after the commas do not matter. Every key is compared with
    every signature in constant time.
    """
    given = [piece.strip().lower() for line in lines for piece in line.split(",")]
    given = [piece for piece in given if piece][:MOST_SIGNATURES]
    signer = -1
    for index, key in enumerate(keys):
        expected = sign(connection_id, key).encode()
        for piece in given:
            if hmac.compare_digest(expected, piece.encode("utf-8", "surrogatepass")) and signer < 0:
                signer = index
    if signer < 0:
        raise BadSignature("No signature of this request was made with an access key of the hub's endpoints.")
    return signer


def _refuse_empty(key: str) -> None:
    # An empty key would let anybody sign.
    if not key:
        raise ValueError("an access key is empty")
