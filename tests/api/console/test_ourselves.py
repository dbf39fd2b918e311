"""What every page says of ourselves: nobody may take our outage for theirs."""

import re

import pytest
from sqlalchemy import delete

from api.console.ourselves import Ourselves
from devices.store.schema import cursors
from tests.api.cast import GATE, NOW_MS, SHED, Cast, a_fault, a_judge
from tests.api.test_console import EN, ZH, words

PAGES = ("/faults", "/sheds", "/alerts", "/maintenance", "/ingestion", "/help", "/exports")


def shown(cast: Cast, path: str, who: str = "operator", **headers: str) -> str:
    cast.app.state.ours.look_again()
    answer = cast.client(who).get(path, headers={**ZH, **headers})
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize("path", PAGES)
def test_our_outage_is_told_on_every_page_and_so_is_that_all_is_well(cast: Cast, path: str) -> None:
    assert "本系统正常" in words(shown(cast, path))
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - 600_000)
    text = words(shown(cast, path))
    assert "本系统停滞" in text
    assert "设备状态未知：本系统判定停滞 10 分" in text


def test_a_judge_that_never_ran_is_an_outage_too(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(delete(cursors))
    assert "本系统尚未收到探针" in words(shown(cast, "/alerts"))


def test_critical_faults_are_counted_in_the_bar_for_whom_they_concern(cast: Cast) -> None:
    def badge(who: str) -> str | None:
        found = re.search(r'<b class="nav-count">(\d+)<', shown(cast, "/help", who))
        return found[1] if found else None

    assert badge("operator") is None
    with cast.write() as connection:
        a_fault(connection, "smoke", code="SHED_SMOKE", device=SHED, severity="P1")
        a_fault(connection, "guess", severity="P1", suspected=True)
        a_fault(connection, "held", code="GATE_HELD_OPEN", device=GATE, severity="P3")
    assert badge("operator") == "1"
    assert badge("yaxin") == "1"
    assert badge("kangqiao") is None


def test_our_own_alarms_are_for_the_district_alone(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(
            connection, "ours", code="SYS_STORE_AWAY", device=None, compound=None, severity="P2"
        )
    assert "本系统告警" in words(shown(cast, "/help"))
    assert "Our own alarms" in words(shown(cast, "/help", **EN))
    assert "本系统告警" not in words(shown(cast, "/help", "yaxin"))


def test_while_the_database_is_away_this_is_what_is_known(cast: Cast) -> None:
    ours = Ourselves(None, "zh")
    assert ours.is_down
    assert [(link.label, link.value) for link in ours.health] == [("数据库", "无法访问")]


def test_who_is_not_logged_in_is_told_nothing_of_us(cast: Cast) -> None:
    text = cast.browser().get("/login", headers=ZH).text
    assert "system-health" not in text
    assert "top-search" not in text
