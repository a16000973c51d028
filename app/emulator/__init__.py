"""The service, pretended: an Azure SignalR Service in serverless mode, for official clients on a developer's machine.

``async with Emulator(upstream="http://localhost:8080/upstream") as emulator: emulator.connection_string``.
"""

from app.emulator.clients import Limits
from app.emulator.server import Emulator
from app.emulator.tokens.entra import Role
from app.emulator.upstream_templates import UpstreamTemplate, read_upstream_settings

__all__ = ["Emulator", "Limits", "Role", "UpstreamTemplate", "read_upstream_settings"]
