"""Cuts debug symbols off the libraries below a folder: they make up a quarter of what the wheels bring.

Usage: ``python strip.py FOLDER``. Slim bases have no ``strip``. A library is loaded by its program headers, so it may
end where the last part that is loaded ends. What follows (symbols for debuggers, the table of sections) is left out.
"""

import struct
import sys
from pathlib import Path

_FILE = struct.Struct("<4sBB10x2HI3QI6H")
"""ELF, 64 bits, little-endian: what both of our platforms use."""
_PART = struct.Struct("<2I6Q")


def cut(data: bytes) -> bytes:
    """The library without what is never loaded. Bytes that are no such library are returned as they are."""
    if len(data) < _FILE.size:
        return data
    magic, bits, order, *rest = _FILE.unpack_from(data)
    if (magic, bits, order) != (b"\x7fELF", 2, 1):
        return data
    kind, machine, version, entry, parts_at, _, flags, size, part_size, parts, section_size, _, _ = rest
    ends = [_FILE.size, parts_at + parts * part_size]
    for at in range(parts_at, parts_at + parts * part_size, part_size):
        _, _, offset, _, _, length, _, _ = _PART.unpack_from(data, at)
        ends.append(offset + length)
    cut_off = bytearray(data[: max(ends)])
    header = (kind, machine, version, entry, parts_at, 0, flags, size, part_size, parts, section_size, 0, 0)
    struct.pack_into("<2HI3QI6H", cut_off, 16, *header)
    return bytes(cut_off)


def main(folder: Path) -> None:
    for path in folder.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if len(shorter := cut(data)) < len(data):
                path.write_bytes(shorter)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
