"""Handlers over HTTP, in any language: events are forwarded by the rules `[forward.<name>]`."""
