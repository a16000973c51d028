"""The endpoints of every hub: those of its connection. They come, go and change while calls are under way."""

from app.endpoints.fleet.fleet import Fleet, Formation, Registries
from app.endpoints.fleet.keys import Keys
from app.endpoints.fleet.rotation import Rotation

__all__ = ["Fleet", "Formation", "Keys", "Registries", "Rotation"]
