"""Azure's stores of settings: Key Vault and App Configuration, asked by their own client libraries."""

from signalr_bridge.settings.sources.stores.stores import Stores

__all__ = ["Stores"]
