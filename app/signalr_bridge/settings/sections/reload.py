"""How often settings are asked for anew."""

from pydantic import Field

from signalr_bridge.settings.sections.fields import Section


class ReloadSettings(Section):
    stores_seconds: float = Field(
        default=60, gt=0, le=86_400, description="how often Key Vault and App Configuration are asked"
    )
