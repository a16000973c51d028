"""The time zone that a function app's timers go by: ``WEBSITE_TIME_ZONE``, as Linux or as Windows names it.

Source: https://learn.microsoft.com/azure/azure-functions/functions-app-settings#website_time_zone
"""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.windows_zones import ZONES

SETTING = "WEBSITE_TIME_ZONE"


def read_zone(app_settings: AppSettings) -> tzinfo:
    """The time zone of an app's timers. UTC where the app names none.

    Raises ``SettingsError`` for a name that neither the time zone database nor Windows has.
    """
    name = app_settings.find(SETTING)
    if not name:
        return UTC
    try:
        return ZoneInfo(ZONES.get(name.casefold(), name))
    except (KeyError, ValueError, OSError):
        text = "write a name of the time zone database, such as Europe/Berlin, or one that Windows has, such as"
        raise SettingsError(f"{text} Eastern Standard Time.", setting=SETTING) from None
