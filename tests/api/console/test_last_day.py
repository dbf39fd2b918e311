"""The last 24 hours on the overview: what is summed up, and what nobody knows."""

import asyncio
import re
import threading

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from api.console.charts import stacks
from api.console.last_day import BEFORE_MS, HOURS, Hour, LastDay, together
from api.console.last_day_views import day_view
from devices.store.schema import accounts
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    GATE,
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_judge,
    a_state,
    an_hour,
)

THIS_HOUR_MS = NOW_MS - NOW_MS % HOUR_MS  # 19:00; it is 19:42:10
YAXIN = Scope("yaxin")


def received(cast: Cast, compound: str, hour_ms: int, count: int, outcome: str = "stored") -> None:
    row = {"stream": "live", "compound": compound, "hour_ms": hour_ms, "outcome": outcome}
    with cast.write() as connection:
        connection.execute(insert(accounts).values(**row, reason="", count=count))


def the_day(cast: Cast) -> LastDay:
    day: LastDay = cast.app.state.last_day
    return day


def test_an_hour_is_the_sum_of_its_compounds_and_each_sees_their_own(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, THIS_HOUR_MS - HOUR_MS, 120, granted=30.0, denied=2.0)
        an_hour(connection, STRANGE_GATE, THIS_HOUR_MS - HOUR_MS, 60, granted=12.0)
        an_hour(connection, PORT, THIS_HOUR_MS - HOUR_MS, 60, energy_kwh=0.4)
        an_hour(connection, GATE, THIS_HOUR_MS - HOUR_MS - BEFORE_MS, 120, granted=7.0)
    received(cast, XIANGYUNLI, THIS_HOUR_MS - HOUR_MS, 100)
    received(cast, XIANGYUNLI, THIS_HOUR_MS - HOUR_MS, 3, "duplicate")
    received(cast, "unassigned", THIS_HOUR_MS - HOUR_MS, 5)
    day = the_day(cast).day(DISTRICT)
    assert len(day.hours) == len(day.before) == HOURS
    hour, before = day.hours[-2], day.before[-2]
    assert (hour.messages, hour.passages, hour.energy_kwh) == (108, 42.0, 0.4)
    assert before.passages == 7.0
    assert day.hours[-3] == Hour(expected=day.hours[-3].expected)  # nothing came: unknown, not 0
    own = the_day(cast).day(YAXIN).hours[-2]
    assert (own.messages, own.passages) == (103, 30.0)
    theirs = the_day(cast).day(DISTRICT, "kangqiao").hours[-2]
    assert (theirs.messages, theirs.passages, theirs.energy_kwh) == (None, 12.0, None)


def test_unknown_is_no_zero_in_a_sum() -> None:
    assert together([None, Hour(), None]) == Hour()
    assert together([Hour(passages=2.0), Hour()]).passages == 2.0


def test_faults_count_in_the_hour_they_were_raised_without_symptoms_and_guesses(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "now", severity="P1", opened_at_ms=NOW_MS - MINUTE_MS)
        more = {"severity": "P3", "opened_at_ms": THIS_HOUR_MS - 1}
        a_fault(connection, "before", code="GATE_HELD_OPEN", **more)
        a_fault(connection, "theirs", device=STRANGE_GATE, compound=LIANXIN, **more)
        a_fault(connection, "symptom", code="GATE_MAINS_LOST", suppressed_by="now", **more)
        a_fault(connection, "guess", code="GATE_FORCED", suspected=True, **more)
        long_ago = THIS_HOUR_MS - 24 * HOUR_MS - 1
        a_fault(connection, "old", code="GATE_CLOCK", opened_at_ms=long_ago)
    day = the_day(cast).day(DISTRICT)
    assert list(day.opened[-2:]) == [{"P3": 2}, {"P1": 1}]
    assert sum(sum(counts.values()) for counts in day.opened) == 3
    assert the_day(cast).day(YAXIN).opened[-2] == {"P3": 1}


def test_what_is_read_again_replaces_the_newest_hours_and_forgets_the_oldest(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, THIS_HOUR_MS - HOUR_MS, 120, granted=30.0)
    day = the_day(cast)
    assert day.day(DISTRICT).hours[-1].passages is None
    with cast.write() as connection:
        an_hour(connection, GATE, THIS_HOUR_MS, 60, granted=4.0)
        an_hour(connection, GATE, THIS_HOUR_MS + HOUR_MS, 20, granted=1.0)
    cast.now_ms += HOUR_MS
    day.look_again()
    assert [hour.passages for hour in day.day(DISTRICT).hours[-3:]] == [30.0, 4.0, 1.0]
    entry = cast.app.state.parts.registry
    with cast.write() as connection:
        known = entry.get(connection).directory.compounds[XIANGYUNLI]
    since = day.since(known, THIS_HOUR_MS)
    assert since is not None
    assert [hour.passages for hour in since] == [4.0, 1.0]


def test_while_it_is_kept_new_no_page_waits_and_the_chart_says_what_is_missing(cast: Cast) -> None:
    day = the_day(cast)
    day.is_kept_new = True  # as when its task has just begun
    assert not day.day(DISTRICT).is_read
    html = cast.client("operator").get("/").text
    assert "刚启动，正在汇总近 24 小时" in html
    assert day.read_some() is False  # three compounds are read in one go
    entries = the_day(cast).day(YAXIN)  # nobody asked for these sums before
    assert entries.is_read
    assert "刚启动" not in cast.client("yaxin").get("/").text


def test_the_charts_say_what_they_show_and_hatch_what_nobody_knows(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, THIS_HOUR_MS - HOUR_MS, 120, granted=30.0)
        an_hour(connection, PORT, THIS_HOUR_MS - HOUR_MS, 60, energy_kwh=2.0)
        an_hour(connection, PORT, THIS_HOUR_MS, 42, energy_kwh=1.2)
    received(cast, XIANGYUNLI, THIS_HOUR_MS - HOUR_MS, 1200)
    day = day_view("zh", the_day(cast).day(DISTRICT))
    told = {chart.title: chart for chart in day.charts}
    power = told["充电功率，每小时平均"]
    assert (power.value, power.unit) == ("2", "kW")  # of the last whole hour
    assert power.told.endswith("；18时 最高，2；23 个时段未知")
    looks = [bar.look for bar in power.drawn.bars]
    assert looks == ["missing"] * 23 + ["bar", "provisional"]
    running, over = (float(bar.height) for bar in power.drawn.bars[:-3:-1])
    assert running / over == pytest.approx(1.2 / 0.7028 / 2, abs=0.02)  # kWh of 42 minutes
    hour, running = (text.split("\n") for _, _, text in power.drawn.places[-2:])
    assert hour == ["11-23 18:00 – 19:00", "2 kW", "数据完整 50.0 %"]  # 60 of 2 sockets' 120
    assert running[:2] == ["11-23 19:00 – 20:00", "1.7 kW"]
    assert running[2].startswith("本小时，未满")
    assert power.drawn.places[0][2].split("\n")[1] == "无数据，未知"
    assert told["收到消息"].value == "1,200"
    assert told["新增故障"].told.endswith("24 个时段未知")
    theirs = day_view("en", the_day(cast).day(DISTRICT, "kangqiao"))  # they have no sockets
    assert [chart.title for chart in theirs.charts] == [
        "Passages",
        "New faults",
        "Messages received",
    ]


def test_a_stack_ends_where_its_sum_does() -> None:
    chart = stacks([[(1.0, "p4"), (3.0, "p2"), (0.0, "p1")], None], ["0", ""])
    first, second, missing = chart.bars
    assert (first.look, second.look, missing.look) == ("p4", "p2", "missing")
    assert float(second.y) + float(second.height) == pytest.approx(float(first.y), abs=0.2)
    assert float(second.height) == pytest.approx(3 * float(first.height), abs=0.2)


@pytest.mark.parametrize(("sort", "first"), [("", "lianxin-hutong"), ("trouble", XIANGYUNLI)])
def test_the_worst_compound_comes_first_only_where_that_is_asked_for(
    cast: Cast, sort: str, first: str
) -> None:
    with cast.write() as connection:
        a_fault(connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", severity="P1")
    html = cast.client("operator").get(f"/?sort={sort}" if sort else "/").text
    tiles = re.findall(r'<li class="tile.*?href="/compounds/([^"]+)"', html)
    assert tiles[0] == first
    assert len(tiles) == 2
    assert cast.client("operator").get("/?sort=colour").status_code == 422


def test_a_compound_that_was_not_heard_says_since_when(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online", last_seen_ms=NOW_MS - 11 * MINUTE_MS - 30_000)
        a_state(connection, STRANGE_GATE, "online")
    html = cast.client("operator").get("/").text
    tiles = dict(re.findall(r'href="/compounds/([^"]+)" title="([^"]+)"', html))
    assert "最近消息 11 分前" in tiles[XIANGYUNLI]
    assert "最近消息" not in tiles[LIANXIN]
    assert '<span class="stale">11 分前</span>' in html
    with cast.write() as connection:  # while we hear nobody, it is not their silence
        a_judge(connection, watermark_ms=NOW_MS - 3 * MINUTE_MS)
    cast.app.state.overview.look_again()
    assert 'class="stale"' not in cast.client("operator").get("/").text


def test_a_database_that_is_away_is_told_of_and_asked_again(cast: Cast) -> None:
    day = the_day(cast)
    fails = iter([True])

    def read_some() -> bool:
        if next(fails, False):
            raise OperationalError("SELECT", {}, Exception("away"))
        read.set()
        return True

    async def play() -> None:
        task = asyncio.create_task(day.run())
        async with asyncio.timeout(10):
            while not read.is_set():
                await asyncio.sleep(0.01)
        task.cancel()

    read = threading.Event()
    day.read_some = read_some  # type: ignore[method-assign]
    with capture_logs() as logs:
        asyncio.run(play())
    assert [line["event"] for line in logs] == ["last_day_stands_still", "last_day_goes_on"]
