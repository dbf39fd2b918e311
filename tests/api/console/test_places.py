"""A compound's devices by place, and the plan that is drawn of them."""

import re

import pytest

from api.console.places import Seen, charging, in_order, lit, places, seen
from api.console.site_plan import WIDE, plan_view, text_width, wrapped
from devices.faults import Fault, State
from devices.rules import Severity
from devices.store.devices import Standing
from tests.api.cast import (
    DAY_MS,
    DEVICES,
    GATE,
    HOUR_MS,
    LAMP,
    NOW_MS,
    PORT,
    SHED,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_state,
    an_hour,
)


def a_standing(device: str, kind: str, **more: object) -> Standing:
    """A device that is online and has said nothing yet."""
    row: dict[str, object] = {
        "no": 1,
        "id": device,
        "kind": kind,
        "compound": XIANGYUNLI,
        "parent": None,
        "circuit": None,
        "name": device,
        "building": "",
        "unit": "",
        "protocol": "native",
        "external_id": "",
        "vendor": "",
        "model": "",
        "interval_s": 900,
        "attributes": {},
        "commissioned_at_ms": None,
        "decommissioned_at_ms": None,
        "state": "online",
        "reason": None,
        "since_ms": NOW_MS,
        "last_seen_ms": NOW_MS,
        "device_at_ms": NOW_MS,
        "latest": {},
        "open_faults": 0,
    } | more
    return Standing(**row)  # type: ignore[arg-type]


def an_open(device: str, severity: Severity, **more: object) -> Fault:
    return Fault(
        id=f"of-{device}",
        subject=device,
        code="GATE_OFFLINE",
        kind="gate",
        severity=severity,
        safety=False,
        state=State.OPEN,
        since_ms=NOW_MS,
        opened_at_ms=NOW_MS,
        device=device,
        **more,  # type: ignore[arg-type]
    )


def looks(*standings: Standing, faults: tuple[Fault, ...] = ()) -> list[str]:
    return [one.look for one in seen(standings, faults, NOW_MS)]


def a_lamp(device: str, watts: float | None, **more: object) -> Standing:
    latest = {} if watts is None else {"power_w": (watts, NOW_MS)}
    attributes = {"lamp_count": 8, "nominal_power_w": 10}
    return a_standing(device, "lamp", latest=latest, attributes=attributes, **more)


def test_a_device_looks_as_it_stands_and_unknown_is_neither_on_nor_off() -> None:
    assert looks(
        a_lamp("lit", 80.0),
        a_lamp("dark", 0.0),
        a_lamp("silent", None),
        a_lamp("away", 80.0, state="offline", reason="lwt"),
        a_lamp("by-day", 80.0, state="unknown", reason="asleep"),
        a_standing("used", "port", latest={"port_status": ("in_use", NOW_MS)}),
        a_standing("free", "port", latest={"port_status": ("idle", NOW_MS)}),
        a_standing("nobody-knows", "port"),
        a_standing("gate", "gate"),
    ) == ["on", "off", "unknown", "offline", "asleep", "on", "off", "unknown", "ok"]


def test_the_worst_fault_shows_but_no_notice_no_suspicion_and_nothing_explained() -> None:
    gates = [a_standing(name, "gate") for name in ("bad", "noticed", "guessed", "explained")]
    faults = (
        an_open("bad", Severity.P3),
        an_open("bad", Severity.P1),
        an_open("noticed", Severity.P4),
        an_open("guessed", Severity.P2, suspected=True),
        an_open("explained", Severity.P2, suppressed_by="of-bad"),
    )
    found = seen(gates, faults, NOW_MS)
    assert [one.look for one in found] == ["p1", "ok", "ok", "ok"]
    assert found[1].fault is not None  # it is named where the device is listed


def test_lamps_and_sockets_are_counted_with_their_whole_and_the_unknown() -> None:
    lamps = seen(
        [
            a_lamp("a", 80.0),
            a_lamp("b", 35.0),
            a_lamp("c", None),
            a_lamp("d", 80.0, state="unknown", reason="asleep"),
        ],
        (),
        NOW_MS,
    )
    assert lit(lamps) == (12, 32, 8, 8)  # 3.5 of 8 by power is 4
    sockets = [
        a_standing("used", "port", latest={"port_status": ("in_use", NOW_MS)}),
        a_standing("off", "port", state="offline", latest={"port_status": ("in_use", NOW_MS)}),
    ]
    assert charging(seen(sockets, [an_open("used", Severity.P2)], NOW_MS)) == (1, 2, 1, 0)


def test_buildings_come_by_their_numbers_and_what_is_outside_after_them() -> None:
    devices = seen(
        [
            a_standing("gate", "gate"),
            a_standing("x", "lamp", building="10号楼", unit="2单元"),
            a_standing("y", "lamp", building="2号楼", unit="1单元"),
            a_standing("z", "camera", building="10号楼", unit="1单元"),
        ],
        (),
        NOW_MS,
    )
    found = places(devices)
    assert [place.key for place in found] == ["2号楼", "10号楼", "gates"]
    assert found[1].units == ["1单元", "2单元"]
    assert [one.standing.id for one in found[1].devices] == ["z", "x"]
    assert sorted(["A10", "A2", "A"], key=in_order) == ["A", "A2", "A10"]


def a_yard(
    lamps: int = 30, sockets: int = 20, gates: tuple[str, ...] = ("门禁 东门",)
) -> list[Seen]:
    buildings = [
        a_standing(f"stair-{n}", "lamp", building=f"{n}号楼", unit="1单元") for n in range(1, 8)
    ]
    shed = a_standing("shed", "shed", name="1号充电棚")
    ports = [a_standing(f"p{n}", "port", parent="shed") for n in range(sockets)]
    street = [a_standing(f"lamp-{n}", "lamp") for n in range(lamps)]
    ways = [a_standing(f"gate-{n}", "gate", name=name) for n, name in enumerate(gates)]
    guards = [a_standing(f"cam-{n}", "camera") for n in range(9)]
    return seen([*buildings, shed, *ports, *street, *ways, *guards], (), NOW_MS)


@pytest.mark.parametrize("look", [0, 1])
def test_everything_has_its_own_place_inside_the_fence(look: int) -> None:
    plan = plan_view("zh", places(a_yard())).plans[look]
    x, y, width, height = (float(number) for number in plan.yard)
    spots = [(float(mark.x), float(mark.y)) for mark in plan.marks]
    assert len(spots) == len(set(spots)) == 20 + 30 + 1 + 9
    assert all(x <= at_x <= x + width and y <= at_y <= y + height for at_x, at_y in spots)
    lamps = [(float(m.x), float(m.y)) for m in plan.marks if m.shape in ("lamp", "port")]
    for block in plan.blocks:
        left, top = float(block.x), float(block.y)
        right, base = left + float(block.width), top + float(block.height)
        assert right <= x + width
        assert not any(left < at_x < right and top < at_y < base for at_x, at_y in lamps)
    assert len(plan.blocks) == 7
    assert plan.captions[0].text.startswith("1号充电棚")


def test_the_same_registry_gives_the_same_plan() -> None:
    devices = a_yard()
    assert plan_view("zh", places(devices)) == plan_view("zh", places(devices[::-1]))


def test_gates_stand_on_the_side_that_their_name_says() -> None:
    gates = ("门禁 东门", "车辆道闸 西门", "门禁 北门", "南门", "后门")
    plan = plan_view("zh", places(a_yard(gates=gates))).plans[0]
    at = {mark.label: (float(mark.x), float(mark.y)) for mark in plan.marks if mark.label}
    x, y, width, height = (float(number) for number in plan.yard)
    assert at["东门"][0] == x + width
    assert at["西门"][0] == x
    assert at["北门"][1] == y
    assert at["南门"][1] == at["后门"][1] == pytest.approx(y + height, abs=0.1)
    assert at["南门"][0] != at["后门"][0]


def test_a_compound_without_buildings_or_with_nothing_at_all_has_a_plan() -> None:
    alone = seen([a_standing("lamp", "lamp")], (), NOW_MS)
    assert len(plan_view("en", places(alone)).plans[0].marks) == 1
    assert plan_view("en", places([])).plans[0].marks == []
    assert float(plan_view("en", places([])).plans[0].width) == WIDE


def test_a_long_text_breaks_between_words_and_what_is_cut_says_so() -> None:
    assert wrapped("回路失电", 100) == ["回路失电"]
    assert wrapped("Circuit without power", 90) == ["Circuit", "without power"]
    lines = wrapped("一" * 40, 100)
    assert lines[1].endswith("…")
    assert all(text_width(line) <= 112 for line in lines)


def test_the_page_draws_trouble_with_shape_word_and_link(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, PORT, "online", latest={"port_status": ("in_use", NOW_MS)})
        a_state(connection, LAMP, "online", latest={"power_w": (80.0, NOW_MS)})
        a_fault(connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", severity="P1")
    html = cast.client("yaxin").get(f"/compounds/{XIANGYUNLI}").text
    plan = html[html.index('data-live="plan"') : html.index('data-live="open"')]
    spot = re.search(rf'<a class="spot" href="/devices/{PORT}"[^>]*>.*?</a>', plan, re.DOTALL)
    assert spot is not None
    assert 'data-look="p1"' in spot[0]
    assert 'href="#i-p1"' in spot[0]
    assert "危急 端口过温" in spot[0]
    assert re.search('aria-label="示意图：[^"]*1 座充电棚[^"]*有故障或离线：[^"]*端口过温', plan)
    linked = set(re.findall('href="/devices/([^"]+)"', plan))
    assert linked == {one.id for one in DEVICES if one.compound == XIANGYUNLI}
    assert f'href="/devices/{SHED}"' in plan


def test_the_head_has_figures_with_their_whole_and_todays_passages(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online")
        a_state(connection, PORT, "online", latest={"port_status": ("in_use", NOW_MS)})
        a_fault(connection, "open", severity="P3")
        a_fault(connection, "symptom", code="GATE_MAINS_LOST", suppressed_by="open")
        an_hour(connection, GATE, NOW_MS - NOW_MS % HOUR_MS, 60, granted=12.0)
        an_hour(connection, GATE, NOW_MS - NOW_MS % HOUR_MS - 20 * HOUR_MS, 60, granted=7.0)
    html = cast.client("yaxin").get(f"/compounds/{XIANGYUNLI}").text
    head = html[html.index('data-live="figures"') : html.index('data-live="plan"')]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", head))
    for figure in (
        "未关闭故障 1 一般 1",
        "联网设备在线 1 /4 · 未知 3",
        "充电中 1 /2 · 未知 1",
        "亮灯 — /8 · 未知 8",
        "最近消息 5 秒前",
        "今日通行 12 次",  # not yesterday's
    ):
        assert figure in text


def test_what_was_mended_lately_stands_below_what_is_open(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "open")
        closed = {"state": "closed", "opened_at_ms": NOW_MS - 2 * HOUR_MS}
        a_fault(connection, "over", code="GATE_HELD_OPEN", closed_at_ms=NOW_MS - HOUR_MS, **closed)
        closed["opened_at_ms"] = NOW_MS - 31 * DAY_MS
        a_fault(connection, "long-ago", code="GATE_FORCED", **closed)
    html = cast.client("yaxin").get(f"/compounds/{XIANGYUNLI}").text
    faults = html[html.index('data-live="open"') : html.index('data-live="places"')]
    assert re.findall(r'href="/faults/([^"]+)"', faults) == ["open", "over"]
    assert "持续 1 小时" in faults


def test_when_our_judge_stands_still_the_plan_says_that_nothing_is_known(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, LAMP, "online", latest={"power_w": (80.0, NOW_MS)})
    cast.now_ms += 3 * 60_000
    html = cast.client("yaxin").get(f"/compounds/{XIANGYUNLI}").text
    assert "本系统判定停滞：此刻谁在线、灯亮不亮都未知。" in html
    plan = html[html.index('class="site-plan') :]
    assert re.search(rf'href="/devices/{LAMP}"[^>]*data-look="unknown"', plan)
