"""The places where settings stand: command line, environment, secrets directory, stores, file; first match wins."""

from app.settings.sources.sources import Sources
from app.settings.sources.value import Value, Values, first_of

__all__ = ["Sources", "Value", "Values", "first_of"]
