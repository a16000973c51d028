"""The protocol, SANS-IO: bytes and text in, values out; both directions of every codec stand side by side.

No clock, no randomness, no network and no framework: what these need is an argument.
"""
