"""The page of daily summaries: whose, what was in them, whether they arrived."""

import re

import msgspec
from sqlalchemy import Connection

from devices.registry import Name
from devices.rules import Severity
from devices.summaries import Counts, Lamps, OfCompound, Summary, Worst
from tests.api.cast import DAY_MS, NOW_MS, XIANGYUNLI, Cast, a_summary, a_target

PATH = "/alerts/summaries"
COURT = Name("祥云里", "Xiangyunli")


def page(cast: Cast, path: str = PATH, who: str = "operator") -> str:
    answer = cast.client(who).get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def a_full_summary(connection: Connection, target: str, compounds: int = 1) -> None:
    day = Summary(
        "2026-11-23",
        NOW_MS - DAY_MS,
        NOW_MS,
        "Asia/Shanghai",
        firm="yaxin",
        firm_name=Name("亚新", "Yaxin"),
        counts=Counts(open=4, new=3, cleared=2, overdue=1),
        compounds=tuple(
            OfCompound(XIANGYUNLI, Name(f"祥云里{n}", f"Xiangyunli {n}"), Counts(open=1))
            for n in range(compounds)
        ),
        worst=(
            Worst(
                "smoke",
                Name("烟雾报警", "Smoke"),
                Severity.P1,
                True,
                NOW_MS,
                COURT,
                "2 号棚",
                "3 号楼",
            ),
        ),
        lamps=(Lamps(COURT, "5 号楼", "二单元", 3, ((Name("灯具不亮", "Lamp out"), 3),)),),
    )
    a_summary(connection, target, body=msgspec.to_builtins(day))


def test_without_any_it_says_how_to_get_them(cast: Cast) -> None:
    assert "没有每日汇总" in page(cast)
    assert "No daily summaries" in page(cast, f"{PATH}?lang=en")


def test_a_summary_with_all_that_was_in_it(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "own", name="值班群")
        a_full_summary(connection, "own")
    text = page(cast, who="yaxin")
    for word in ("2026-11-23 · 亚新", "值班群", "未关闭 <b>4</b>", "超时 <b>1</b>", "疑似"):
        assert (word in text) is (word != "疑似"), word
    assert '<a href="/faults/smoke">烟雾报警</a> 祥云里 · 3 号楼 · 2 号棚' in text
    assert "祥云里 5 号楼 二单元：灯具不亮 3" in text
    assert 'data-state="delivered"' in text
    english = page(cast, f"{PATH}?lang=en", "yaxin")
    assert "Smoke" in english
    assert "Overdue <b>1</b>" in english


def test_one_that_failed_says_what_was_answered(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "own")
        a_summary(connection, "own", state="failed", answer="<b>500</b>", attempts=9)
    text = page(cast)
    assert 'data-state="failed"' in text
    assert "&lt;b&gt;500&lt;/b&gt;" in text
    assert "一切正常" not in text


def test_of_a_day_without_trouble_it_says_so(cast: Cast) -> None:
    calm = Summary("2026-11-23", NOW_MS - DAY_MS, NOW_MS, "Asia/Shanghai")
    with cast.write() as connection:
        a_target(connection, "own")
        a_summary(connection, "own", body=msgspec.to_builtins(calm))
    assert "一切正常" in page(cast)


def test_a_firm_sees_those_to_its_targets_and_can_ask_for_one(cast: Cast) -> None:
    with cast.write() as connection:
        for name, firm in (("own", "yaxin"), ("other", "yaxin"), ("strange", "kangqiao")):
            a_target(connection, name, name=f"{name}-robot", firm=firm)
            a_summary(connection, name)
    shown = page(cast, who="yaxin")
    assert "own-robot" in shown
    assert "strange-robot" not in shown
    rows = re.findall(r'<a href="/alerts/targets/(\w+)">', page(cast, f"{PATH}?target=own"))
    assert rows == ["own"]
    assert not re.findall('<a href="/alerts/targets/', page(cast, f"{PATH}?target=own", "kangqiao"))


def test_older_ones_are_on_the_next_page(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "own")
        for n in range(25):
            a_summary(connection, "own", day=f"2026-10-{n + 1:02}", created_at_ms=NOW_MS - n)
    first = page(cast)
    assert first.count('<a href="/alerts/targets/own">') == 20
    (older,) = re.findall(r'href="(/alerts/summaries\?cursor=[^"]+)"', first)
    assert page(cast, older).count('<a href="/alerts/targets/own">') == 5


def test_of_many_compounds_the_first_are_shown_and_the_others_counted(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "own")
        a_full_summary(connection, "own", compounds=40)
    text = page(cast)
    assert "祥云里29" in text
    assert "祥云里30" not in text
    assert "另有 10 处" in text


def test_every_page_of_alerts_leads_here(cast: Cast) -> None:
    for path in ("/alerts", "/alerts/routes", "/alerts/duty", PATH):
        assert f'href="{PATH}"' in page(cast, path)
    assert 'aria-current="page">每日汇总' in page(cast)
