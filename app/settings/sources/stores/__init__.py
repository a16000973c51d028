"""Azure's stores of settings: Key Vault and App Configuration, asked by their own client libraries."""

from app.settings.sources.stores.stores import Stores

__all__ = ["Stores"]
