"""The trigger: the service calls us, and handlers answer, in Python or over HTTP.

What authors of handlers need is exported here; the rest is wired by the assembly.
"""

from app.errors import HubError, Rejected
from app.upstream.context import Context
from app.upstream.python.hub import Hub, event

__all__ = ["Context", "Hub", "HubError", "Rejected", "event"]
