"""The emulator: an Azure SignalR Service in serverless mode, for official clients on a developer's machine.

``async with Emulator(upstream="http://localhost:8080/upstream") as emulator: emulator.connection_string``.
"""

from signalr_bridge.emulator.clients import Limits
from signalr_bridge.emulator.entra import Role
from signalr_bridge.emulator.guard import check_origins
from signalr_bridge.emulator.server import Emulator
from signalr_bridge.emulator.upstream import UpstreamTemplate, read_upstream_settings

__all__ = ["Emulator", "Limits", "Role", "UpstreamTemplate", "check_origins", "read_upstream_settings"]
