"""Negotiation, the input binding over HTTP: a client learns where to connect, and with which token."""
