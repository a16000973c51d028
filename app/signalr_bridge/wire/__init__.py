"""Sockets and HTTP with limits, used by the bridge and by the emulator: servers that listen, and outgoing calls."""
