"""WebSocket frames as a server writes them: whole messages, not masked, not compressed.

Source: https://www.rfc-editor.org/rfc/rfc6455.html#section-5.2.
"""

_TEXT, _BINARY = 0x81, 0x82
"""The first byte of a message's only frame."""


def write_text(data: bytes) -> bytes:
    """A text frame. Raises ``UnicodeDecodeError`` for bytes that are not UTF-8, which end a client's connection."""
    data.decode()
    return _write(_TEXT, data)


def write_binary(data: bytes) -> bytes:
    """A binary frame."""
    return _write(_BINARY, data)


def _write(first: int, data: bytes) -> bytes:
    length = len(data)
    if length < 126:
        return bytes((first, length)) + data
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2, "big") + data
    return bytes((first, 127)) + length.to_bytes(8, "big") + data
