"""The endpoints of every hub: those of its connection. They come, go and change while calls are under way."""

from signalr_bridge.endpoints.fleet.fleet import Fleet, Formation, Registries
from signalr_bridge.endpoints.fleet.keys import Keys
from signalr_bridge.endpoints.fleet.rotation import Rotation

__all__ = ["Fleet", "Formation", "Keys", "Registries", "Rotation"]
