"""How users stand in the log: by the first characters of an HMAC of their id, so that lines of one user are found."""

import hmac
from collections.abc import Callable
from functools import lru_cache
from secrets import token_bytes
from typing import TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from signalr_bridge.settings.model import Settings

NameUser: TypeAlias = Callable[[str], str]
"""Makes of a user id what stands for it in a line."""

CHARACTERS = 12
"""How many hexadecimal digits of the HMAC stand in a line."""

_INFO = b"signalr-bridge log users"
_KEY_BYTES = 32
_MOST_KEPT = 4096
_MOST_CHARACTERS = 256
"""Of a user id in the clear."""


def derive_key(secret: bytes) -> bytes:
    """The key of the log, from a secret that is used for something else, too.

    Source: RFC 5869, HKDF with SHA-256, without a salt.
    """
    return HKDF(SHA256(), _KEY_BYTES, None, _INFO).derive(secret)


def abbreviate_users(secret: bytes | None) -> NameUser:
    """Names users by 12 hexadecimal digits of the HMAC-SHA256 of their id. Without a secret the key is a random one."""
    key = derive_key(token_bytes(_KEY_BYTES) if secret is None else secret)

    @lru_cache(_MOST_KEPT)
    def name(user_id: str) -> str:
        return hmac.digest(key, user_id.encode("utf-8", "surrogatepass"), "sha256").hex()[:CHARACTERS]

    return name


def make_name_user(settings: Settings) -> NameUser:
    """Names users as the settings say.

    The secret is that of the setting, else the SHA-256 of the first caller key, which is known of every key. So all
    replicas with the same settings give a user the same name.
    """
    if settings.log_users:
        return _cut
    if settings.log_users_key is not None:
        return abbreviate_users(settings.log_users_key.get_secret_value().encode())
    keys = settings.callers.keys
    return abbreviate_users(keys[0].digest if keys else None)


def _cut(user_id: str) -> str:
    return user_id[:_MOST_CHARACTERS]
