"""Several faults at once: each for itself, and of what was not done it is told why."""

import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from devices.store.database import reading
from devices.store.schema import fault_events, faults
from tests.api.cast import HOUR_MS, LIANXIN, NOW_MS, STRANGE_GATE, Cast, a_fault, a_fault_event
from tests.api.console.test_login import OURS, logged_in
from tests.api.test_console import EN, ZH, with_trouble, words


def act(
    client: TestClient, action: str, picked: list[str], language: dict[str, str] = ZH, **more: str
) -> tuple[int, str]:
    """The status, and where it leads, or what it says."""
    answer = client.post(
        f"/faults/{action}", data={"fault": picked, **more}, headers={**OURS, **language}
    )
    return answer.status_code, answer.headers.get("Location") or words(answer.text)


def kept(cast: Cast, *columns: str) -> dict[str, tuple[object, ...]]:
    """Columns of all faults, by their ids."""
    with reading(cast.engine) as connection:
        wanted = [faults.c[column] for column in columns]
        rows = connection.execute(select(faults.c.id, *wanted))
        return {row[0]: tuple(row[1:]) for row in rows}


def test_what_was_done_leads_back_to_the_list_as_it_was_asked_for(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "operator")
    back = "severity=P2&text=%E8%BF%9E%E5%BF%83"
    assert act(client, "acknowledge", ["hot", "off"], back=f"{back}&evil=//x") == (
        303,
        "/faults?text=%E8%BF%9E%E5%BF%83&severity=P2&did=acknowledge&done=2",
    )
    assert {kept(cast, "state")[fault] for fault in ("hot", "off")} == {("acknowledged",)}
    text = words(client.get("/faults?did=acknowledge&done=2", headers=ZH).text)
    assert "已确认 2 处" in text


def test_of_what_was_not_done_it_is_told_who_was_faster_when_and_with_what(cast: Cast) -> None:
    with_trouble(cast)
    with cast.write() as connection:
        a_fault_event(
            connection, "off", was="open", becomes="acknowledged", reason="acknowledged",
            actor="zhao-min", at_ms=NOW_MS - 12_000,
        )  # fmt: skip
        connection.execute(faults.update().where(faults.c.id == "off").values(state="acknowledged"))
    client = logged_in(cast, "operator")
    status, text = act(client, "acknowledge", ["hot", "off", "held", "nobody"])
    assert status == 200
    assert "已确认 1 处；3 处没有执行" in text
    assert "门禁离线 连心胡同 · 西门 12 秒前已由 zhao-min 确认" in text
    assert "门未关 祥云里 · 东门 5 分前已恢复" in text
    assert "nobody 没有这处故障，或不归你管" in text
    assert kept(cast, "state")["hot"] == ("acknowledged",)


def test_where_nothing_was_done_it_is_a_conflict(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "operator")
    act(client, "acknowledge", ["off"])
    cast.now_ms += 60_000
    status, text = act(client, "acknowledge", ["off"], EN)
    assert status == 409
    assert "1 not done" in text
    assert "Acknowledged by li-min 1 min ago" in text


def test_a_firm_does_nothing_to_a_strangers_fault_and_learns_nothing_of_it(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "yaxin")
    for action in ("acknowledge", "assign", "comment"):
        status, text = act(client, action, ["off"], note="x")
        assert status == 409, action
        assert "西门" not in text
    assert kept(cast, "state", "assignee")["off"] == ("open", None)


def test_shelving_takes_a_reason_and_an_end_and_leaves_safety_faults_where_they_are(
    cast: Cast,
) -> None:
    with_trouble(cast)
    client = logged_in(cast, "operator")
    status, text = act(client, "shelve", ["hot", "off"], hours="1")
    assert status == 422
    assert "搁置要写理由" in text
    assert "门禁离线" in text  # they are still picked
    status, text = act(client, "shelve", ["off"], reason="等备件", until="2026-11-20T08:00")
    assert (status, "今后 31 天" in text) == (422, True)
    assert kept(cast, "shelved_until_ms")["off"] == (None,)
    status, text = act(client, "shelve", ["hot", "off"], hours="1", reason="等备件")
    assert status == 200
    assert "已搁置 1 处；1 处没有执行" in text
    assert "安全类故障不能搁置" in text
    assert kept(cast, "shelved_until_ms")["hot"] == (None,)
    assert kept(cast, "shelved_until_ms")["off"] == (NOW_MS + HOUR_MS,)
    assert act(client, "shelve", ["off"], reason="到早上", until="2026-11-24T08:00")[0] == 303
    (until_ms,) = kept(cast, "shelved_until_ms")["off"]
    assert until_ms == 1_795_478_400_000  # 08:00 in Zhengzhou


def test_what_is_assigned_goes_to_whoever_is_named_else_to_oneself(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "operator")
    assert act(client, "assign", ["hot", "off"], assignee=" 王建国 ")[0] == 303
    assert {kept(cast, "assignee")[fault] for fault in ("hot", "off")} == {("王建国",)}
    assert act(client, "assign", ["off"])[1] == "/faults?did=assign&done=1"
    assert kept(cast, "assignee")["off"] == ("li-min",)


def test_a_comment_stands_at_each_of_them_and_takes_words(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "operator")
    assert act(client, "comment", ["hot", "off"], note="  ")[0] == 422
    assert act(client, "comment", ["hot", "off"], note="已报供电")[0] == 303
    with reading(cast.engine) as connection:
        event = fault_events.c
        query = select(event.fault).where(event.note == "已报供电").order_by(event.fault)
        assert connection.execute(query).scalars().all() == ["hot", "off"]


def test_whoever_only_looks_acts_on_nothing(cast: Cast) -> None:
    with_trouble(cast)
    assert act(logged_in(cast, "viewer"), "acknowledge", ["off"])[0] == 403
    html = cast.client("viewer").get("/faults", headers=ZH).text
    assert 'type="checkbox" name="fault"' not in html
    assert "bulk-bar" not in html


@pytest.mark.parametrize("action", ["acknowledge", "assign", "comment", "shelve"])
def test_hostile_words_are_text_also_where_something_was_refused(cast: Cast, action: str) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    with cast.write() as connection:
        a_fault(connection, "f", code=hostile[:40], state="closed", device=STRANGE_GATE,
                compound=LIANXIN)  # fmt: skip
        a_fault_event(connection, "f", reason="closed", actor=hostile, becomes="closed")
    client = logged_in(cast, "operator")
    answer = client.post(
        f"/faults/{action}",
        data={"fault": ["f", hostile], "reason": hostile, "note": hostile, "assignee": hostile},
        headers=OURS,
    )
    assert "<img" not in answer.text
    if action != "comment":  # a closed fault may be commented on; the other one is not there
        assert re.search(r"&lt;img src=x", answer.text)
