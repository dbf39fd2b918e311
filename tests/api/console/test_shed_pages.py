"""The live board of charging: what is free is free, and what nobody knows is drawn as that."""

import re

import pytest
from sqlalchemy import delete, insert

from api.console.shed_pages import look_of
from devices.stop_reasons import PortStatus
from devices.store.schema import device_state, devices
from devices.store.sheds import OpenFault, Socket
from tests.api.cast import (
    HOUR_MS,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_judge,
    a_state,
)
from tests.api.test_console import EN, ZH, words

SECOND = f"{SHED}-p02"


def board(cast: Cast, query: str = "", who: str = "operator", **more: dict[str, str]) -> str:
    answer = cast.client(who).get(f"/sheds{query}", headers=more.get("headers", ZH))
    assert answer.status_code == 200, answer.text
    return answer.text


def looks(html: str) -> dict[str, str]:
    """Socket -> how it is drawn."""
    return dict(re.findall(r'class="socket" href="/devices/([^"]+)" data-state="(\w+)"', html))


def charging(cast: Cast) -> None:
    """The first socket charges, the second is free, the shed is well."""
    with cast.write() as connection:
        now = NOW_MS - 20_000
        a_state(
            connection,
            SHED,
            "online",
            latest={
                "voltage_v": (228.7, now),
                "board_temp_c": (31.0, now),
                "csq": (22, now),
                "smoke": (False, now),
            },
        )
        a_state(
            connection,
            PORT,
            "online",
            latest={
                "port_status": ("in_use", now),
                "power_w": (182.4, now),
                "session_s": (9000, now),
            },
        )
        a_state(connection, SECOND, "online", latest={"port_status": ("idle", now)})


def test_a_shed_shows_its_sockets_power_time_and_safety(cast: Cast) -> None:
    charging(cast)
    html = board(cast)
    assert looks(html) == {PORT: "in_use", SECOND: "idle"}
    assert 'data-load="7" title="01号 使用中，182 W，已充 2 小时 30 分"' in html
    assert "祥云里 1号棚 1 /2 · 0.18 kW" in words(html)
    assert "228.7 V 31 °C CSQ 22 烟感正常" in words(html)
    assert "充电中 1 /2 空闲 1" in words(html)
    assert f'href="/devices/{SHED}"' in html
    english = words(board(cast, headers=EN))
    assert "Charging 1 /2 Free 1" in english
    assert "smoke sensor normal" in english


def test_trouble_is_told_with_its_socket_and_leads_to_its_fault(cast: Cast) -> None:
    charging(cast)
    with cast.write() as connection:
        hot = {"device": PORT, "kind": "port", "code": "PORT_OVERTEMP", "severity": "P1"}
        a_fault(connection, "hot", **hot)
        blown = {"device": SECOND, "kind": "port", "code": "PORT_FUSE", "severity": "P3"}
        a_fault(connection, "blown", **blown)
        a_fault(connection, "notice", device=SHED, kind="shed", code="X", severity="P4")
        a_fault(
            connection, "guess", device=SHED, kind="shed", code="Y", severity="P2", suspected=True
        )
    html = board(cast)
    assert looks(html) == {PORT: "p1", SECOND: "fault"}
    assert 'class="shed" data-severity="p1"' in html
    assert "危急 01号 端口过温" in words(html)
    assert 'href="/faults/hot"' in html
    assert "0.18 kW" in words(html)  # it may draw power all the same


def test_what_nobody_knows_is_neither_free_nor_without_power(cast: Cast) -> None:
    charging(cast)
    with cast.write() as connection:
        a_state(connection, SHED, "offline", reason="lwt", since_ms=NOW_MS - 9 * MINUTE_MS)
        for port in (PORT, SECOND):
            a_state(
                connection, port, "unknown", reason="parent_down",
                latest={"port_status": ("idle", NOW_MS), "power_w": (0.0, NOW_MS)},
            )  # fmt: skip
    html = board(cast)
    assert looks(html) == {PORT: "unknown", SECOND: "unknown"}
    text = words(html)
    assert "1号棚 — /2" in text
    assert "kW" not in text.partition("1号棚")[2]
    assert "离线 遗嘱 已 9 分" in text
    assert "烟感" not in text.partition("离线 遗嘱")[2]
    assert "未知 2" in text


def test_a_reading_of_long_ago_is_no_power_of_now(cast: Cast) -> None:
    charging(cast)
    old = NOW_MS - HOUR_MS
    with cast.write() as connection:
        a_state(
            connection, PORT, "online",
            latest={"port_status": ("in_use", old), "power_w": (182.4, old), "session_s": (9, old)},
        )  # fmt: skip
    html = board(cast)
    assert 'title="01号 使用中"' in html
    assert "总功率 —" in words(html)


def test_while_our_judge_stands_still_all_is_unknown_and_the_page_says_why(cast: Cast) -> None:
    charging(cast)
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - 5 * MINUTE_MS)
    html = board(cast)
    assert set(looks(html).values()) == {"unknown"}
    assert "本系统判定停滞" in words(html)


@pytest.mark.parametrize("status", PortStatus)
def test_every_status_has_a_look_and_only_some_are_free(status: PortStatus) -> None:
    latest = {"port_status": (status.value, NOW_MS)}
    look = look_of(Socket("p", "p", 1, "online", latest, 60, None))
    assert look in {"in_use", "full", "idle", "disabled", "unknown", "fault"}
    assert (look == "idle") is (status.value in ("idle", "connected", "reserved"))
    assert look_of(Socket("p", "p", 1, "offline", latest, 60, None)) == "unknown"
    worst = OpenFault("f", "C", "P1", NOW_MS)
    assert look_of(Socket("p", "p", 1, "offline", latest, 60, worst)) == "p1"


def test_a_status_that_is_no_word_of_ours_is_unknown() -> None:
    for latest in ({}, {"port_status": ("beautiful", NOW_MS)}):
        assert look_of(Socket("p", "p", 1, "online", latest, 60, None)) == "unknown"


def more_sheds(cast: Cast, count: int) -> None:
    """Each with one socket that nobody heard of."""
    row = {"compound": XIANGYUNLI, "protocol": "native", "interval_s": 60}
    with cast.write() as connection:
        for n in range(2, count + 2):
            shed = f"{XIANGYUNLI}-shed-{n:02d}"
            of_shed: dict[str, object] = {
                "kind": "shed",
                "parent": None,
                "name": f"{n}号棚",
                "attributes": {},
            }
            of_port: dict[str, object] = {
                "kind": "port",
                "parent": shed,
                "name": "插座",
                "attributes": {"port_no": 1},
            }
            connection.execute(
                insert(devices),
                [{**row, **of_shed, "id": shed}, {**row, **of_port, "id": f"{shed}-p01"}],
            )


def test_trouble_comes_first_then_the_fullest_and_pages_hold_thirty(cast: Cast) -> None:
    charging(cast)
    more_sheds(cast, 40)
    worst = f"{XIANGYUNLI}-shed-33"
    with cast.write() as connection:
        a_fault(connection, "f", device=worst, kind="shed", code="SHED_OFFLINE", severity="P2")
    first = board(cast)
    order = re.findall(r'<h3><a href="/devices/([^"]+)"', first)
    assert order[:2] == [worst, SHED]
    assert len(order) == 30
    assert "第 1–30 个，共 41 个" in first
    found = re.search(r'href="([^"]+)" rel="next"', first)
    assert found is not None
    second = cast.client("operator").get(found[1].replace("&amp;", "&"), headers=ZH).text
    order += re.findall(r'<h3><a href="/devices/([^"]+)"', second)
    assert len(order) == len(set(order)) == 41
    assert 'rel="prev"' in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?show=free", True),
        ("?show=full", False),
        ("?show=trouble", False),
        ("?find=祥云", True),
        ("?find=XIANGYUNLI", True),
        ("?find=nowhere", False),
        ("?firm=yaxin", True),
        ("?firm=kangqiao", False),
    ],
)
def test_the_board_is_narrowed_without_scripts(cast: Cast, query: str, shown: bool) -> None:
    charging(cast)
    html = board(cast, query)
    assert (f'href="/devices/{SHED}"' in html) is shown
    assert ("没有符合条件的充电棚" in html) is not shown


def test_a_firm_sees_its_own_sheds_and_is_refused_anothers(cast: Cast) -> None:
    charging(cast)
    assert f'href="/devices/{SHED}"' in board(cast, who="yaxin")
    assert "这里没有充电棚" in board(cast, who="kangqiao")
    assert cast.client("yaxin").get("/sheds?firm=kangqiao").status_code == 404


def test_no_sheds_at_all_says_what_to_do(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(delete(device_state))
        connection.execute(delete(devices).where(devices.c.kind.in_(("shed", "port"))))
    assert '<a href="/administration/devices">登记册</a>' in board(cast)


def test_hostile_names_are_text(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(devices.update().values(name="<img src=x onerror=alert(1)>"))
    assert "<img" not in board(cast)
    assert "<img" not in board(cast, '?find="><img src=x>')
