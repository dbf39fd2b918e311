"""The maintenance calendar: what holds on which day, making it by picking, taking an end back."""

from devices.store.database import reading
from devices.store.maintenance import find_window
from devices.store.scope import DISTRICT
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LIANXIN,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_window,
)
from tests.api.test_console import EN, ZH, words

CALENDAR = "/maintenance/calendar"


def days_of(html: str) -> dict[str, str]:
    """What stands in each field, by its day."""
    fields = html.split('<td class="day')[1:]
    found = {}
    for field in fields:
        text = words("<td " + field.partition("</td>")[0])
        number, name, rest = (*text.split(" ", 3)[1:3], text)
        found[name if "-" in name else number] = rest
    return found


def test_a_window_stands_on_every_day_on_which_it_holds(cast: Cast) -> None:
    with cast.write() as connection:
        a_window(
            connection,
            "long",
            starts_at_ms=NOW_MS + DAY_MS,
            ends_at_ms=NOW_MS + 3 * DAY_MS,
            reason="换灯",
        )
        a_window(connection, "off", starts_at_ms=NOW_MS + DAY_MS, ended_at_ms=NOW_MS)
        a_window(connection, "short", starts_at_ms=NOW_MS, ended_at_ms=NOW_MS + HOUR_MS,
                 ends_at_ms=NOW_MS + 2 * DAY_MS)  # fmt: skip
    html = cast.client("operator").get(CALENDAR, headers=ZH).text
    days = days_of(html)
    assert "2026年11月" in html
    assert "19:42–…" in days["11-24"]
    assert "全天" in days["11-25"]
    assert "…–19:42" in days["11-26"]
    assert "祥云里" not in days["11-27"]
    assert "19:42–20:42" in days["11-23"]
    assert html.count('href="/maintenance/long"') == 3
    assert 'href="/maintenance/off"' not in html, "what was called off never held"
    assert 'aria-current="date"' in html


def test_weeks_and_months_lead_from_one_to_the_next(cast: Cast) -> None:
    client = cast.client("operator")
    week = client.get(f"{CALENDAR}?view=week&on=2026-11-23", headers=EN).text
    assert len(days_of(week)) == 7
    assert "11-23 to 11-29" in week
    assert "on=2026-11-16" in week
    assert "on=2026-11-30" in week
    month = client.get(f"{CALENDAR}?on=2026-01-31", headers=EN).text
    assert "on=2025-12-31" in month
    assert "on=2026-02-02" in month
    for wrong in ("on=2026-02-30", "on=nonsense", "on=9999-12-31", "view=year"):
        assert client.get(f"{CALENDAR}?{wrong}").status_code == 422, wrong


def test_more_than_fit_into_a_day_are_counted(cast: Cast) -> None:
    with cast.write() as connection:
        for n in range(6):
            a_window(connection, f"w{n}")
    assert "还有 2 个" in words(cast.client("viewer").get(CALENDAR, headers=ZH).text)


def test_a_firm_sees_its_own_windows_and_a_viewer_makes_none(cast: Cast) -> None:
    with cast.write() as connection:
        a_window(connection, "own")
        a_window(connection, "strange", compound=LIANXIN)
    html = cast.client("yaxin").get(CALENDAR, headers=ZH).text
    assert "/maintenance/own" in html
    assert "strange" not in html
    assert "连心胡同" not in html
    assert "/maintenance/new" in html
    assert cast.client("yaxin").get(f"{CALENDAR}?compound={LIANXIN}").status_code == 404
    assert "/maintenance/new" not in cast.client("viewer").get(CALENDAR).text
    narrowed = cast.client("operator").get(f"{CALENDAR}?compound={LIANXIN}").text
    assert "/maintenance/strange" in narrowed
    assert "/maintenance/own" not in narrowed


def test_a_window_is_made_by_picking_its_devices(cast: Cast) -> None:
    client = cast.client("yaxin")
    asked = f"/maintenance/new?compound={XIANGYUNLI}&kind=gate&on=2026-11-25"
    html = client.get(asked, headers=ZH).text
    assert f'name="device" value="{GATE}"' in html
    assert "shed-1" not in html
    assert 'value="2026-11-25T08:00"' in html
    form = {
        "compound": XIANGYUNLI,
        "kind": "gate",
        "device": [GATE],
        "starts_at": "2026-11-25T08:00",
        "ends_at": "2026-11-25T18:00",
        "reason": "换锁",
        "owner": "王建国",
    }
    made = client.post("/maintenance", data=form)
    assert made.status_code == 303
    text = words(client.get(made.headers["Location"], headers=ZH).text)
    assert "未开始 · 11-25 08:00:00 – 11-25 18:00:00" in text
    assert "东门" in text
    assert "取消" in text
    refused = client.post("/maintenance", data=form | {"device": [STRANGE_GATE]}, headers=EN)
    assert refused.status_code == 422
    assert STRANGE_GATE in refused.text, "what was picked is still there"
    assert client.get(f"/maintenance/new?compound={LIANXIN}").status_code == 404
    assert client.get("/maintenance/new?kind=toaster").status_code == 422


def test_a_form_for_today_begins_with_the_next_hour(cast: Cast) -> None:
    html = cast.client("operator").get("/maintenance/new").text
    assert 'value="2026-11-23T20:00"' in html
    assert 'value="2026-11-24T00:00"' in html


def test_an_early_end_is_taken_back(cast: Cast) -> None:
    with cast.write() as connection:
        a_window(connection, "w", kind="gate", devices=[GATE], reason="换锁")
    client = cast.client("yaxin")
    assert client.post("/maintenance/w/resume").status_code == 409, "it has not ended"
    ended = client.post("/maintenance/w/end")
    assert ended.headers["Location"] == "/maintenance/w"
    text = words(client.get("/maintenance/w", headers=ZH).text)
    assert "已结束" in text
    assert "原定 20:42:10 结束" in text
    assert "撤销：继续到原定结束" in text
    again = client.post("/maintenance/w/resume")
    assert again.status_code == 303
    with reading(cast.engine) as connection:
        made = find_window(connection, DISTRICT, again.headers["Location"].rpartition("/")[2])
    assert (made.devices, made.kind, made.reason) == ((GATE,), "gate", "换锁")
    assert (made.starts_at_ms, made.ends_at_ms) == (NOW_MS, NOW_MS + HOUR_MS)
    cast.now_ms += 2 * HOUR_MS
    late = client.post("/maintenance/w/resume", headers=ZH)
    assert late.status_code == 409
    assert "没有做任何事" in late.text
    assert cast.client("viewer").post("/maintenance/w/resume").status_code == 403
