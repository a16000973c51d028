"""When timers are due: NCRONTAB expressions and time spans, in the time zone that the app names.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.ncrontab import Crontab, read_crontab

_SPAN = re.compile(
    r"(?:(?P<days>\d{1,5})(?:\.|:(?=\d+:\d+:)))?(?P<hours>\d{1,5}):(?P<minutes>\d{1,2})"
    r"(?::(?P<seconds>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?",
    re.ASCII,
)
_DAYS = re.compile(r"\d{1,5}", re.ASCII)
_DAY_HOURS = 24


class Schedule(Protocol):
    """When a timer is due."""

    @property
    def zone(self) -> tzinfo:
        """The time zone that it tells moments in."""
        ...

    @property
    def follows_clock(self) -> bool:
        """Whether it goes by the clock on the wall, and so with daylight saving time."""
        ...

    def next_after(self, moment: datetime) -> datetime | None:
        """When it is due next, after ``moment``. None when it is never due again. Both have a time zone."""
        ...


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Due where the clock on the wall shows what an NCRONTAB expression says.

    When clocks are put forward, what falls into the hour that is left out is due an hour later by the clock. When they
    are put back, single times of a day count once, at their first occurrence, and intervals go on through both hours.
    The Functions host does so, too.
    """

    crontab: Crontab
    zone: tzinfo

    @property
    def follows_clock(self) -> bool:
        """True."""
        return True

    def next_after(self, moment: datetime) -> datetime | None:
        """When it is due next, after ``moment``, in the schedule's time zone. None when it is never due again."""
        moment = moment.astimezone(self.zone)
        wall = self.crontab.next_after(moment.replace(tzinfo=None, fold=0))
        second_pass = self._find_second_pass(moment) if self.crontab.is_interval else None
        if second_pass is not None and (wall is None or self._place(wall) >= second_pass):
            wall = self.crontab.next_after(second_pass.replace(tzinfo=None, fold=0) - timedelta(seconds=1))
        while wall is not None:
            for fold in (0, 1) if self.crontab.is_interval else (0,):
                due = self._place(wall, fold)
                if due > moment.astimezone(UTC):
                    return due.astimezone(self.zone)
            wall = self.crontab.next_after(wall)
        return None

    def _place(self, wall: datetime, fold: int = 0) -> datetime:
        """The moment, in UTC, at which the clock shows this for the first or the second time.

        A time that is left out, when clocks are put forward, is counted on from before.
        """
        return wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)

    def _find_second_pass(self, moment: datetime) -> datetime | None:
        """When clocks will be put back, while what they show now comes a second time. None at all other times."""
        offset = moment.utcoffset()
        later = moment.replace(fold=1).utcoffset()
        if offset is None or later is None or later >= offset:
            return None
        start = moment.astimezone(UTC).replace(microsecond=0)

        def is_back(seconds: int) -> bool:
            return (start + timedelta(seconds=seconds)).astimezone(self.zone).utcoffset() != offset

        seconds = bisect_left(range(int((offset - later).total_seconds()) + 1), True, key=is_back)
        return (start + timedelta(seconds=seconds)).astimezone(self.zone)


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """Due every so often, whatever the clock on the wall shows."""

    interval: timedelta
    zone: tzinfo

    @property
    def follows_clock(self) -> bool:
        """False."""
        return False

    def next_after(self, moment: datetime) -> datetime:
        """One interval after ``moment``."""
        return (moment.astimezone(UTC) + self.interval).astimezone(self.zone)


def read_schedule(text: str, zone: tzinfo) -> Schedule:
    """Read the schedule of a timer: an NCRONTAB expression, or a time span such as ``00:05:00``.

    Raises ``SettingsError`` with what to write. It does not repeat the text, which may come from a setting.

    Args:
        text: The schedule, without ``%...%``.
        zone: The time zone of its clock.
    """
    span = _read_span(text.strip())
    if span is None:
        return CronSchedule(read_crontab(text), zone)
    if span <= timedelta(0):
        raise SettingsError("write a time span that is longer than nothing, such as '00:05:00' for five minutes.")
    return IntervalSchedule(span, zone)


def _read_span(text: str) -> timedelta | None:
    """The ``TimeSpan`` that .NET reads: ``hh:mm[:ss]``, days before it, or days alone. None for all other texts.

    Hours beyond 23 are days: ``25:00:00`` is 25 days. So says the Functions documentation.
    """
    if _DAYS.fullmatch(text):
        return timedelta(days=int(text))
    match = _SPAN.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(match[name] or 0) for name in ("days", "hours", "minutes", "seconds"))
    if hours >= _DAY_HOURS and match["days"] is None and match["seconds"] is not None and not match["fraction"]:
        days, hours, minutes, seconds = hours, minutes, seconds, 0
    if hours >= _DAY_HOURS or minutes > 59 or seconds > 59:
        raise SettingsError("write a time span as hh:mm:ss, such as '00:05:00', or with days as d.hh:mm:ss.")
    microseconds = int((match["fraction"] or "").ljust(7, "0")) // 10
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
