"""Something to say about a setting: a mistake, a name that means nothing, or a warning. It never holds a value."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from signalr_bridge.errors import SettingsError


class Level(StrEnum):
    """``MISTAKE`` stops everything; ``UNKNOWN`` fails `check` alone; ``WARNING`` is said and no more."""

    MISTAKE = "mistake"
    UNKNOWN = "unknown"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """``setting`` is the name as it was written, where there is one; ``text`` is what to do about it."""

    level: Level
    setting: str
    text: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.text}" if self.setting else self.text


def mistake(setting: str, text: str) -> Finding:
    return Finding(Level.MISTAKE, setting, text)


def warning(setting: str, text: str) -> Finding:
    return Finding(Level.WARNING, setting, text)


def refuse_mistakes(findings: Iterable[Finding]) -> None:
    """Raises ``SettingsError`` with a line for each mistake, if there is one."""
    lines = dict.fromkeys(str(one) for one in findings if one.level is Level.MISTAKE)
    if lines:
        raise SettingsError("\n".join(lines))
