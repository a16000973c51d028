"""Sockets and HTTP with bounds, for whoever listens or calls: the bridge and the emulator alike."""
