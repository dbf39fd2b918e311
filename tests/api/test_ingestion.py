"""The page on which operators see that nothing was lost, or what was."""

import pytest
from sqlalchemy import Engine, delete, update

from api import shapes
from api.ingestion import picture
from devices.messages import Reason
from devices.store.schema import accounts, cursors, quarantine
from tests.api.cast import NOW_MS, XIANGYUNLI, Cast, a_cast, a_fault, a_refusal
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


def test_refused_messages_stand_there_with_their_reason(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
        a_refusal(connection, 2, reason="bad_number", partial=True, payload=None)
        a_refusal(
            connection,
            3,
            compound="unassigned",
            device=None,
            reason="unknown_device",
            topic="<script>alert(1)</script>",
            payload=b"\xff<b>",
        )
    html = cast.client("operator").get("/ingestion", headers=ZH).text
    text = words(html)
    assert "不是 JSON not_json" in text
    assert "{oops" in text
    assert "数值无法解析 bad_number 其余已存入" in text
    assert "（不留内容）" in text
    assert "归属未知" in text
    assert "<script>alert" not in html
    assert "\N{REPLACEMENT CHARACTER}&lt;b&gt;" in html


@pytest.mark.parametrize("language", [ZH, EN])
def test_every_reason_has_words(cast: Cast, language: dict[str, str]) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
    client = cast.client("operator")
    for reason in Reason:
        with cast.write() as connection:
            connection.execute(update(quarantine).values(reason=reason))
        html = client.get("/ingestion", headers=language).text
        assert f'<th scope="row">{reason}<code' not in html, reason


def test_it_is_the_districts_alone(cast: Cast) -> None:
    assert cast.client("yaxin").get("/ingestion").status_code == 404
    assert 'href="/ingestion"' not in cast.client("yaxin").get("/").text
    assert 'href="/ingestion"' in cast.client("operator").get("/").text
    assert cast.client("viewer").get("/ingestion").status_code == 200
    assert cast.client(None).get("/ingestion").status_code in (303, 401)


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
