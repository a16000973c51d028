"""The protocol, SANS-IO: bytes and text in, values out. Both directions of every codec stand side by side.

Nothing here uses a clock, randomness, the network or a framework. Its callers pass times and ids as arguments.
"""
