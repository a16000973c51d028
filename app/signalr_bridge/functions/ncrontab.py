"""NCRONTAB expressions: the six fields of a timer's schedule, and which time of a calendar comes next.

The Functions host reads them with the NCrontab library, and so does this: names may be cut short, a range that is
written backwards is turned around, and the day of the month and the day of the week must both fit.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
Source: https://github.com/atifaziz/NCrontab/wiki/Crontab-Expression
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from signalr_bridge.errors import SettingsError

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_ELEMENT = re.compile(r"(?:(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<gap>\d{1,9}))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_MOST_YEARS = 41
"""A 29 February on a given day of the week may be 40 years away."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A field: its name for people, its smallest and largest value, and the names of its values."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_SECOND = _Kind("second", 0, 59)
_FIVE = (
    _Kind("minute", 0, 59),
    _Kind("hour", 0, 23),
    _Kind("day", 1, 31),
    _Kind("month", 1, 12, _MONTHS),
    _Kind("day-of-week", 0, 6, _WEEKDAYS),
)
_FIELDS = "{second} {minute} {hour} {day} {month} {day-of-week}"


@dataclass(frozen=True, slots=True)
class Crontab:
    """When something is due, by the clock on the wall. The values of each field are sorted."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @property
    def is_interval(self) -> bool:
        """Whether it stands for every so often, and not for single times of a day.

        The host takes it for one where two values follow one another in the field of seconds, minutes or hours. At the
        end of daylight saving time such a timer goes on through the hour that comes twice.
        """
        return any(late - early == 1 for field in self._times for early, late in pairwise(field))

    @property
    def _times(self) -> tuple[tuple[int, ...], ...]:
        return self.hours, self.minutes, self.seconds

    def next_after(self, wall: datetime) -> datetime | None:
        """The first time after ``wall`` that fits. Both are without a time zone.

        It is None where no such day comes: the 31st of February is written for timers that never run.
        """
        start = wall.replace(microsecond=0) + timedelta(seconds=1)
        found = self._find_time(start.time()) if self._fits(start.date()) else None
        if found is not None:
            return datetime.combine(start.date(), found)
        day = self._find_day(start.date() + timedelta(days=1))
        return None if day is None else datetime.combine(day, time(self.hours[0], self.minutes[0], self.seconds[0]))

    def _find_day(self, day: date) -> date | None:
        end = day.replace(day=1, year=day.year + _MOST_YEARS)
        while day < end and not self._fits(day):
            day += timedelta(days=1)
        return day if day < end else None

    def _fits(self, day: date) -> bool:
        return day.day in self.days and day.month in self.months and day.isoweekday() % 7 in self.weekdays

    def _find_time(self, start: time) -> time | None:
        """The first time of a day that is not before ``start``."""
        for hour in (one for one in self.hours if one >= start.hour):
            if hour > start.hour:
                return time(hour, self.minutes[0], self.seconds[0])
            for minute in (one for one in self.minutes if one >= start.minute):
                if minute > start.minute:
                    return time(hour, minute, self.seconds[0])
                second = next((one for one in self.seconds if one >= start.second), None)
                if second is not None:
                    return time(hour, minute, second)
        return None


def read_crontab(text: str) -> Crontab:
    """Read an expression of six fields, or of five, which begin with the minute.

    Raises ``SettingsError`` with what to write. It does not repeat the text, which may come from a setting.
    """
    fields = text.split()
    if len(fields) not in (5, 6):
        raise SettingsError(f"write six fields, {_FIELDS}, such as '0 */5 * * * *' for every five minutes.")
    kinds = (_SECOND, *_FIVE)
    return Crontab(*map(_read_field, fields if len(fields) == 6 else ["0", *fields], kinds))


def _read_field(text: str, kind: _Kind) -> tuple[int, ...]:
    return tuple(sorted({value for one in text.split(",") for value in _read_element(one, kind)}))


def _read_element(text: str, kind: _Kind) -> range:
    """The values of one piece between commas, such as ``*/5``, ``1-5``, ``mon-fri`` or ``8/2``."""
    match = _ELEMENT.fullmatch(text)
    if match is None:
        raise _refuse(kind)
    gap = max(1, int(match["gap"] or 1))
    if match["all"]:
        return range(kind.least, kind.most + 1, gap)
    first = _read_value(match["first"], kind)
    last = _read_value(match["last"], kind) if match["last"] else kind.most if match["gap"] else first
    return range(min(first, last), max(first, last) + 1, gap)


def _read_value(text: str, kind: _Kind) -> int:
    if _NUMBER.fullmatch(text):
        value = int(text)
    else:
        named = (at for at, name in enumerate(kind.names, kind.least) if name.startswith(text.lower()))
        value = next(named, -1)
    if not kind.least <= value <= kind.most:
        raise _refuse(kind)
    return value


def _refuse(kind: _Kind) -> SettingsError:
    named = f" or names ({kind.names[0][:3].upper()} to {kind.names[-1][:3].upper()})" if kind.names else ""
    return SettingsError(
        f"its field {{{kind.name}}} is wrong. Write *, numbers from {kind.least} to {kind.most}{named}, "
        "ranges (1-5), steps (*/5) or a list of them. The fields are " + _FIELDS + "."
    )
