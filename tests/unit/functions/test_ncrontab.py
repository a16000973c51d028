"""NCRONTAB expressions, against what the NCrontab library's own published tests expect.

Source: https://github.com/atifaziz/NCrontab/blob/master/NCrontab.Tests/CrontabScheduleTests.cs
"""

from datetime import datetime

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.ncrontab import read_crontab

NEXT = [
    # Five fields begin with the minute.
    ("2003-01-01 00:00:00", "* * * * *", "2003-01-01 00:01:00"),
    ("2003-12-31 23:59:00", "* * * * *", "2004-01-01 00:00:00"),
    ("2003-02-28 23:59:00", "* * * * *", "2003-03-01 00:00:00"),
    ("2004-02-28 23:59:00", "* * * * *", "2004-02-29 00:00:00"),
    ("2003-12-20 10:00:00", " * 3/4 * * *", "2003-12-20 11:00:00"),
    ("2003-12-20 01:45:00", "30 3   * * *", "2003-12-20 03:30:00"),
    ("2003-01-01 00:50:00", "2/5 * * * *", "2003-01-01 00:52:00"),
    ("2003-01-01 00:52:00", "2/5 * * * *", "2003-01-01 00:57:00"),
    ("2000-01-01 14:40:00", "40 14/1 * * *", "2000-01-01 15:40:00"),
    # Six begin with the second.
    ("2003-01-01 00:00:00", "45 * * * * *", "2003-01-01 00:00:45"),
    ("2003-01-01 00:00:49", "45-47,48,49 * * * * *", "2003-01-01 00:01:45"),
    ("2003-01-01 00:00:52", "2/5 * * * * *", "2003-01-01 00:00:57"),
    ("2021-02-24 09:50:35", "* 0-1 10 * * *", "2021-02-24 10:00:00"),
    ("2021-02-24 09:50:35", "* 55 * * * *", "2021-02-24 09:55:00"),
    ("2003-01-01 00:45:30", "6 45-47,48,49 * * * *", "2003-01-01 00:46:06"),
    ("2003-01-01 00:57:30", "9 2/5 * * * *", "2003-01-01 01:02:09"),
    # Months are not equally long.
    ("2003-02-01 00:30:00", "30  *  1 * *", "2003-02-01 01:30:00"),
    ("2003-07-10 00:00:00", " *  * 30,31 * *", "2003-07-30 00:00:00"),
    ("2000-02-15 00:00:00", "0 0 15,30,31 * *", "2000-03-15 00:00:00"),
    ("2000-04-30 00:00:00", "0 0 15,30,31 * *", "2000-05-15 00:00:00"),
    ("2000-12-31 00:00:00", "0 0 15,30,31 * *", "2001-01-15 00:00:00"),
    ("2003-12-01 05:00:00", "10 * * 6 *", "2004-06-01 00:10:00"),
    ("2000-02-29 12:01:00", "1 12 29 2 *", "2004-02-29 12:01:00"),
    # Names, long and short, in any case.
    ("2002-07-01 05:00:00", "10 * * February,April-Jun *", "2003-02-01 00:10:00"),
    ("1988-03-11 14:23:00", "20 * * january,FeB,Mar,Augu,SEPT-October,DECEM *", "1988-03-11 15:20:00"),
    ("2003-06-26 10:00:00", "30 6 * * 0", "2003-06-29 06:30:00"),
    ("2003-06-26 10:00:00", "30 6 * * SUNDAY", "2003-06-29 06:30:00"),
    ("2003-06-24 12:01:00", "1 12 * * 2", "2003-07-01 12:01:00"),
    ("2003-06-02 18:15:00", "15 18 * * Mon", "2003-06-09 18:15:00"),
    # The day of the month and the day of the week must both fit.
    ("2003-01-01 12:00:00", "45 16 1 * Mon", "2003-09-01 16:45:00"),
    ("2003-09-01 23:45:00", "45 16 1 * Mon", "2003-12-01 16:45:00"),
    ("2017-01-01 00:00:00", "0 0 29 Feb Mon", "2044-02-29 00:00:00"),
]

SAME = [
    ("* 1-3 * * *", "* 1-2,3 * * *"),
    ("* * * 1,3,5,7,9,11 *", "* * * */2 *"),
    ("10,25,40 * * * *", "10-40/15 * * * *"),
    ("* * * 1,3,8 1-2,5", "* * * Mar,Jan,Aug Fri,Mon-Tue"),
    ("33 10,25,40 * * * *", "33 10-40/15 * * * *"),
    ("0 0 0 * * 1-5", "0 0 0 * * 5-1"),  # a range that is written backwards is turned around
    ("0 * * * * *", "0 */0 * * * *"),  # a step below one is one
]


@pytest.mark.parametrize(("start", "text", "expected"), NEXT)
def test_what_comes_next(start: str, text: str, expected: str) -> None:
    assert str(read_crontab(text).next_after(datetime.fromisoformat(start))) == expected


@pytest.mark.parametrize(("text", "other"), SAME)
def test_two_ways_to_write_the_same(text: str, other: str) -> None:
    assert read_crontab(text) == read_crontab(other)


def test_a_part_of_a_second_is_over() -> None:
    assert read_crontab("* * * * * *").next_after(datetime(2003, 1, 1, 0, 0, 0, 999_999)) == datetime(
        2003, 1, 1, 0, 0, 1
    )


@pytest.mark.parametrize("text", ["0 0 5 31 2 *", "0 0 0 30,31 FEB *"])
def test_a_timer_that_never_runs_may_be_written(text: str) -> None:
    assert read_crontab(text).next_after(datetime(2026, 11, 28)) is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("bad * * * * *", "second"),
        ("* bad * * * *", "minute"),
        ("* * bad * * *", "hour"),
        ("* * * bad * *", "day"),
        ("* * * * bad *", "month"),
        ("* * * * * mon,bad,wed", "day-of-week"),
        ("* * 1,2,3,456,7,8,9 * * *", "hour"),
        ("* * 1,Z,3,4 * * *", "hour"),
        ("* * 1/Z * * *", "hour"),
        ("* * 3-l2 * * *", "hour"),
        ("0 60 * * * *", "minute"),
        ("0 * 24 * * *", "hour"),
        ("0 0 0 0 * *", "day"),
        ("0 0 0 * 13 *", "month"),
        ("0 0 0 * * 7", "day-of-week"),  # NCRONTAB has 0 alone for Sunday
        ("0 0 0 L * *", "day"),
        ("0 0 0 15W * *", "day"),
        ("0 0 0 ? * *", "day"),
        ("0 0 0 * * MON#1", "day-of-week"),
        ("0 1, * * * *", "minute"),
        ("0 */ * * * *", "minute"),
        ("0 -5 * * * *", "minute"),
        ("0 \u0661 * * * *", "minute"),
    ],
)
def test_a_field_that_ncrontab_does_not_have(text: str, field: str) -> None:
    with pytest.raises(SettingsError, match=rf"its field \{{{field}\}} is wrong"):
        read_crontab(text)


@pytest.mark.parametrize("text", ["", "* * * *", "0 0 12 ? * MON 2026", "@hourly", "every minute", "R 5 * * *  * *"])
def test_another_number_of_fields(text: str) -> None:
    with pytest.raises(SettingsError, match=r"write six fields, \{second\} \{minute\}"):
        read_crontab(text)
