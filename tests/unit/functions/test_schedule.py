"""When timers are due: in a time zone, across its daylight saving time, and by time spans.

What is expected where clocks are put forward or back stands in the published tests of the host's own timers.
Source: https://github.com/Azure/azure-webjobs-sdk-extensions (CronScheduleTests.cs)
"""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.schedule import read_schedule
from signalr_bridge.functions.time_zones import read_zone
from signalr_bridge.functions.windows_zones import ZONES

PACIFIC = ZoneInfo("America/Los_Angeles")


def follow(text: str, start: datetime, count: int, zone: tzinfo = PACIFIC) -> list[str]:
    schedule = read_schedule(text, zone)
    due: list[str] = []
    moment: datetime | None = start
    while moment is not None and len(due) < count:
        moment = schedule.next_after(moment)
        due.append(f"{moment:%m-%d %H:%M%z}" if moment else "never")
    return due


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        # Put forward on 11 March 2018: 02:00 is followed by 03:00.
        (
            "0 30 * * * *",
            "2018-03-11T00:00",
            ["03-11 00:30-0800", "03-11 01:30-0800", "03-11 03:30-0700", "03-11 04:30-0700"],
        ),
        ("0 30 1 * * *", "2018-03-10T00:00", ["03-10 01:30-0800", "03-11 01:30-0800", "03-12 01:30-0700"]),
        ("0 30 2 * * *", "2018-03-10T00:00", ["03-10 02:30-0800", "03-11 03:30-0700", "03-12 02:30-0700"]),
        # Put back on 4 November 2018: 02:00 is 01:00 once more.
        (
            "0 */20 * * * *",
            "2018-11-04T00:30",
            [
                *("11-04 00:40-0700", "11-04 01:00-0700", "11-04 01:20-0700", "11-04 01:40-0700"),
                *("11-04 01:00-0800", "11-04 01:20-0800", "11-04 01:40-0800", "11-04 02:00-0800"),
            ],
        ),
        (
            "0 30 * * * *",
            "2018-11-04T00:00",
            ["11-04 00:30-0700", "11-04 01:30-0700", "11-04 01:30-0800", "11-04 02:30-0800"],
        ),
        ("0 30 1 * * *", "2018-11-03T00:00", ["11-03 01:30-0700", "11-04 01:30-0700", "11-05 01:30-0800"]),
        # A bridge that starts in the second of the two hours: the time of the day was due in the first.
        ("0 30 1 * * *", "2018-11-04T01:29-08:00", ["11-05 01:30-0800"]),
        ("0 30 * * * *", "2018-11-04T01:29-08:00", ["11-04 01:30-0800", "11-04 02:30-0800"]),
        # From one winter to the next autumn.
        ("0 30 1 4 11 *", "2018-01-03T00:00", ["11-04 01:30-0700", "11-04 01:30-0800"]),
        # No later match in the first of the two hours, and none in either.
        ("0 0-29 * * * *", "2018-11-04T01:29", ["11-04 01:00-0800", "11-04 01:01-0800"]),
        ("0 * 0 * * *", "2018-11-04T01:10", ["11-05 00:00-0800"]),
    ],
)
def test_where_clocks_are_put_forward_and_back(text: str, start: str, expected: list[str]) -> None:
    moment = datetime.fromisoformat(start)
    assert follow(text, moment if moment.tzinfo else moment.replace(tzinfo=PACIFIC), len(expected)) == expected


def test_a_schedule_in_utc_and_one_that_never_comes() -> None:
    assert follow("0 0 9 * * MON-FRI", datetime(2026, 11, 27, 10, tzinfo=UTC), 2, UTC) == [
        "11-30 09:00+0000",
        "12-01 09:00+0000",
    ]
    assert follow("0 0 5 31 2 *", datetime(2026, 11, 27, 10, tzinfo=UTC), 2, UTC) == ["never"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("00:00:10", timedelta(seconds=10)),
        ("01:00", timedelta(hours=1)),
        ("23:59:59", timedelta(hours=23, minutes=59, seconds=59)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("1.00:00:00", timedelta(days=1)),
        ("1:02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("2", timedelta(days=2)),
        ("25:00:00", timedelta(days=25)),  # the documentation of timers has this one
    ],
)
def test_a_time_span_does_not_go_by_the_clock_on_the_wall(text: str, expected: timedelta) -> None:
    schedule = read_schedule(f" {text} ", PACIFIC)
    start = datetime(2018, 11, 4, 0, 59, tzinfo=PACIFIC)
    due = schedule.next_after(start)
    assert due is not None
    assert due.astimezone(UTC) - start.astimezone(UTC) == expected
    assert due.tzinfo is PACIFIC
    assert not schedule.follows_clock


@pytest.mark.parametrize("text", ["00:00:00", "0", "00:60:00", "00:00:75", "24:00", "1.24:00:00", "-00:05:00"])
def test_a_time_span_that_cannot_be_used(text: str) -> None:
    with pytest.raises(SettingsError, match=r"write (a time span|six fields)"):
        read_schedule(text, UTC)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Eastern Standard Time", "America/New_York"),
        ("w. europe standard time", "Europe/Berlin"),
        ("Korea Standard Time", "Asia/Seoul"),
        ("UTC", "Etc/UTC"),
    ],
)
def test_the_time_zone_of_an_app(name: str, expected: str) -> None:
    assert str(read_zone(AppSettings({"website_time_zone": name}))) == expected


@pytest.mark.parametrize("name", ["Eastern Time", "../../etc/passwd", "America", "Europe/Atlantis", "UTC+25"])
def test_a_time_zone_that_nobody_has(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^WEBSITE_TIME_ZONE: write a name of the time zone database") as caught:
        read_zone(AppSettings({"WEBSITE_TIME_ZONE": name}))
    assert name not in str(caught.value)


def test_every_zone_of_windows_is_one_of_the_database() -> None:
    assert len(ZONES) > 130
    assert [name for name, zone in ZONES.items() if ZoneInfo(zone).key != zone] == []
