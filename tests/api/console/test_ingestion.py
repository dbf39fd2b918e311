"""The page on which operators see that nothing was lost, or what was."""

import pytest
from sqlalchemy import Engine, delete, update

from api import shapes
from api.console.ingestion import picture
from api.words import duration
from devices.messages import Reason
from devices.pace import STRETCH_MS, Pace
from devices.store.accounts import keep_before
from devices.store.pace import keep_pace
from devices.store.schema import accounts, cursors, quarantine
from tests.api.cast import (
    DAY_MS,
    JOURNAL,
    LIANXIN,
    NOW_MS,
    XIANGYUNLI,
    Cast,
    a_cast,
    a_fault,
    a_refusal,
)
from tests.api.test_accounting import HOUR, with_accounts
from tests.api.test_console import EN, ZH, words


def page(cast: Cast, who: str = "operator", query: str = "", english: bool = False) -> str:
    answer = cast.client(who).get(f"/ingestion{query}", headers=EN if english else ZH)
    assert answer.status_code == 200, answer.text
    return words(answer.text)


def test_the_equation_adds_up_with_its_balance(cast: Cast) -> None:
    with_accounts(cast)
    text = page(cast)
    assert "收到 120 = 存入 108 + 重复 5 + 隔离 4 + 待处理 3" in text
    assert "差额，一条不少 0" in text
    assert "收到 130 = 存入 118" in page(cast, query="?show=all")
    text = page(cast, english=True)
    assert "Balance: none missing 0" in text
    assert "Quarantined 4" in text


def test_a_lost_row_is_said_in_so_many_words(cast: Cast) -> None:
    with_accounts(cast)
    with cast.write() as connection:
        connection.execute(delete(accounts).where(accounts.c.outcome == "duplicate"))
    text = page(cast)
    assert "差额，账目不平 5" in text
    assert "每一条收到的消息都有下落" not in text


def test_a_compound_has_an_account_of_its_own(cast: Cast) -> None:
    with_accounts(cast)
    text = page(cast, query=f"?compound={XIANGYUNLI}&show=all")
    assert "存入 100" in text
    assert "差额，一条不少 0" in text
    assert cast.client("operator").get("/ingestion?compound=nowhere").status_code == 404
    assert "存入 0" in page(cast, query="?compound=unassigned")


def test_what_cannot_be_known_is_a_dash_and_no_zero(cast: Cast) -> None:
    with_accounts(cast)
    cast.journal.away = True
    text = page(cast)
    assert "差额未知：此处读不到日志 —" in text
    assert "待处理 —" in text
    assert "差额，一条不少" not in text


def test_before_the_first_message_it_says_so(sqlite_database: Engine) -> None:
    cast = a_cast(sqlite_database)
    with cast.write() as connection:
        connection.execute(delete(cursors))
    text = page(cast)
    assert "还没有收到消息" in text
    assert "没有被隔离的消息" in text
    assert "没有未关闭的本系统告警" in text


def test_our_own_alarms_stand_there_with_what_showed_them(cast: Cast) -> None:
    with cast.write() as connection:
        for number, (code, severity, evidence) in enumerate(
            (
                ("SYS_SESSION_LOST", "P2", {"away_since_ms": NOW_MS - 60_000, "away_s": 60}),
                (
                    "SYS_ACCOUNTS_IMBALANCE",
                    "P1",
                    {
                        "missing": 5,
                        "where": [
                            {
                                "compound": XIANGYUNLI,
                                "hour_ms": HOUR,
                                "received": 9,
                                "accounted": 4,
                            }
                        ],
                    },
                ),
            )
        ):
            a_fault(
                connection,
                f"ours{number}",
                subject="platform",
                device=None,
                compound=None,
                kind="platform",
                code=code,
                severity=severity,
                evidence=evidence,
            )
    text = page(cast)
    assert "本系统告警 2" in text
    assert text.index("消息账目不平") < text.index("消息服务器会话丢失"), "the worst first"
    assert "缺少（条）: 5" in text
    assert "xiangyunli 11-23 19:00:00 9 4" in text
    assert "断开自: 11-23 19:41:10" in text
    fault = words(cast.client("operator").get("/faults/ours0", headers=EN).text)
    assert "Away since 11-23 19:41:10" in fault
    assert "Operations" in fault


def test_each_reason_stands_there_with_the_newest_message_and_what_to_do(cast: Cast) -> None:
    with_accounts(cast)
    with cast.write() as connection:
        a_refusal(connection, 1)
        a_refusal(connection, 2, payload=b"{later<b>")
        a_refusal(connection, 3, reason="clock", payload=None)
    html = cast.client("operator").get("/ingestion", headers=ZH).text
    text = words(html)
    assert "不是 JSON not_json 2" in text
    assert "{later&lt;b&gt;" in html
    assert "查厂商固件与协议 查看" in text
    assert "（不留内容） 校时" in text
    assert 'href="/quarantine/replay?reason=unknown_device"' in html
    assert 'href="/quarantine/replay?reason=clock"' not in html, "its time cannot be known"
    viewer = cast.client("viewer").get("/ingestion", headers=ZH).text
    assert "/quarantine/replay" not in viewer


def test_the_days_before_have_accounts_of_their_own(cast: Cast) -> None:
    with_accounts(cast)
    text = page(cast)
    assert "11-23 今天 120 108 5 4 3 0 暂计" in text
    assert "11-22 10 10 0 0 0 0 暂计" in text
    assert "11-20 0 0 0 0 0 0 已定" in text
    assert "收到 10 = 存入 10" in page(cast, query="?show=yesterday")
    assert "收到 130 = 存入 118" in page(cast, query="?show=week")


def test_a_day_whose_journal_is_gone_has_no_balance_and_no_wrong_one(cast: Cast) -> None:
    with_accounts(cast)
    with cast.write() as connection:
        keep_before(connection, JOURNAL, NOW_MS)
    del cast.journal.counts[XIANGYUNLI, HOUR - DAY_MS]
    assert "11-22 — 10 0 0 — — 暂计" in page(cast)


def test_rates_and_lags_of_a_day_are_drawn_and_where_nobody_looked_is_a_gap(cast: Cast) -> None:
    assert "还没有记录" in page(cast)
    begins = NOW_MS - NOW_MS % STRETCH_MS
    known = [n for n in range(287, -1, -1) if not 100 <= n < 130]
    with cast.write() as connection:
        paces = [
            Pace(begins - n * STRETCH_MS, 300_000, 3000, 400, 200_000 if n == 50 else 900)
            for n in known
        ]
        keep_pace(connection, paces, NOW_MS)
    html = cast.client("operator").get("/ingestion", headers=ZH).text
    text = words(html)
    assert "最多 10.0 条/秒" in text
    assert "最长 0.4 秒" in text
    assert "最长 3 分 20 秒，15:30" in text
    assert html.count('class="missing"') == 6, "one gap in each of three curves, at both widths"
    assert "速度与滞后" not in page(cast, "yaxin")


def test_a_wait_is_as_long_as_the_oldest_message_stands_there(cast: Cast) -> None:
    with_accounts(cast)
    assert "判定滞后 " in page(cast)
    text = page(cast)
    waited_s = (NOW_MS - HOUR) / 1000
    assert f"判定滞后 {duration('zh', waited_s)}" in text
    cast.journal.away = True
    assert "判定滞后 —" in page(cast)


def test_a_firm_sees_the_accounts_of_its_own_compounds_alone(cast: Cast) -> None:
    with_accounts(cast)
    with cast.write() as connection:
        a_refusal(connection, 1, compound=LIANXIN, device=None, payload=b"strange")
    text = page(cast, "yaxin")
    assert "收到 100 = 存入 90" in text
    assert "1 个小区" in text
    for hidden in ("连心胡同", "归属未知", "strange", "转存遥测库", "本系统告警"):
        assert hidden not in text, hidden
    client = cast.client("yaxin")
    for compound in (LIANXIN, "unassigned", "nowhere"):
        assert client.get(f"/ingestion?compound={compound}").status_code == 404


@pytest.mark.parametrize("language", [ZH, EN])
def test_every_reason_has_words(cast: Cast, language: dict[str, str]) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
    client = cast.client("operator")
    for reason in Reason:
        with cast.write() as connection:
            connection.execute(update(quarantine).values(reason=reason))
        html = client.get("/quarantine", headers=language).text
        assert f'<th scope="row">{reason}<code' not in html, reason
        one = client.get("/quarantine/1", headers=language).text
        assert f"<h1>{reason}</h1>" not in one, reason
        assert "</code> ·" in one, f"nothing says what to do about {reason}"


def an_account(**counts: int) -> shapes.accounting.Accounting:
    quarantined = {"not_json": counts.pop("quarantined", 0)}
    of = {"received": 0, "stored": 0, "duplicate": 0, "pending": 0} | counts
    return shapes.accounting.Accounting.model_validate(
        {
            **of,
            "quarantined": quarantined,
            "unattributed": 0,
            "balance": 0,
            "missing": None,
            **dict.fromkeys(
                ("late", "late_after_final", "partial", "retained", "clock", "unknown"), 0
            ),
            "parts": {},
            "telemetry": {"confirmed": None, "dead": None, "pending": None},
        }
    )


def test_the_picture_is_to_scale_and_never_rounds_up_to_all() -> None:
    drawn = picture(an_account(received=100_000, stored=99_999, duplicate=1))
    assert drawn is not None
    assert drawn.stored_pct == "99.99"
    assert drawn.rest >= 3, "what is there can be seen"
    assert [name for name, _, _ in drawn.parts] == ["duplicate"]
    half = picture(an_account(received=100, stored=50, duplicate=25, quarantined=25))
    assert half is not None
    assert half.stored == pytest.approx(half.rest)
    assert half.parts[0][2] == pytest.approx(half.parts[1][2])


def test_there_is_no_picture_of_nothing() -> None:
    assert picture(an_account()) is None
    assert picture(an_account(received=5, pending=5)) is not None
