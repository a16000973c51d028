"""Azure's own setting names, as a function app has them, and what they mean."""

from signalr_bridge.settings.azure.calls import read_calls
from signalr_bridge.settings.azure.candidate import Candidate
from signalr_bridge.settings.azure.connections import judge_connection, read_named, read_unnamed
from signalr_bridge.settings.azure.unused import find_unused

__all__ = ["Candidate", "find_unused", "judge_connection", "read_calls", "read_named", "read_unnamed"]
