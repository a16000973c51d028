"""Handlers over HTTP, in any language: `[forward.<name>]`."""
