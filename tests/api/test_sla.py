"""The service ledger through the API: of one fault, of a month, what is overdue, whose limits."""

import csv
import io

from api.instants import DISTRICT_ZONE, print_instant
from devices.faults import FaultEvent
from devices.rules import Severity
from devices.sla import Terms, Work, ledger
from devices.store.database import reading
from devices.store.faults import find_fault, history
from devices.store.scope import DISTRICT
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    STRANGE_GATE,
    Cast,
    a_delivery,
    a_fault,
    a_fault_event,
    a_target,
    a_window,
)

QUICK = {"P2": {"acknowledge": {"amount": 1, "unit": "minutes"}}}


def a_mended_fault(cast: Cast, fault: str, opened_ms: int, **more: object) -> None:
    """A P2 that was told at once, acknowledged after 5 minutes, visited after 20, repaired after
    50, and over after 60."""
    code = str(more.pop("code", "GATE_TAMPER"))
    with cast.write() as connection:
        at = [opened_ms + n * MINUTE_MS for n in (0, 5, 20, 50, 60)]
        a_fault(
            connection,
            fault,
            code=code,
            severity="P2",
            state="closed",
            opened_at_ms=at[0],
            since_ms=at[0],
            acknowledged_at_ms=at[1],
            onsite_at_ms=at[2],
            repaired_at_ms=at[3],
            cleared_at_ms=at[4],
            closed_at_ms=at[4],
            **more,
        )
        for at_ms, reason in zip(
            at[1:], ("acknowledged", "onsite", "repaired", "over"), strict=True
        ):
            actor = "system" if reason == "over" else "wang"
            a_fault_event(connection, fault, at_ms=at_ms, reason=reason, actor=actor)


def test_a_fault_has_its_steps_with_times_and_limits(cast: Cast) -> None:
    opened_ms = NOW_MS - 2 * HOUR_MS
    a_mended_fault(cast, "f", opened_ms)
    with cast.write() as connection:
        a_target(connection, "robot")
        a_delivery(connection, "f", "robot", done_at_ms=opened_ms + 4000)
    told = cast.client("yaxin").get("/v1/faults/f/sla").json()
    assert (told["firm"], told["clock"], told["overdue"], told["rounds"]) == (
        "yaxin",
        "over",
        False,
        1,
    )
    assert [(step["name"], step["by"], step["verdict"]) for step in told["steps"]] == [
        ("detected", None, None),
        ("notified", None, None),
        ("acknowledged", "wang", "met"),
        ("onsite", "wang", None),
        ("repaired", "wang", None),
        ("verified", None, "met"),
    ]
    assert told["steps"][1]["at"] == print_instant(opened_ms + 4000)
    assert told["steps"][2]["due_at"] == print_instant(opened_ms + 15 * MINUTE_MS)
    assert told["steps"][5]["due_at"] == print_instant(opened_ms + 4 * HOUR_MS)


def test_maintenance_is_a_pause_of_what_it_covers(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", severity="P2", code="GATE_TAMPER")
        a_window(connection, "w", starts_at_ms=NOW_MS - 5 * MINUTE_MS)
        a_window(connection, "lamps", kind="lamp", starts_at_ms=NOW_MS - 9 * MINUTE_MS)
        a_window(
            connection,
            "district",
            compound=None,
            starts_at_ms=NOW_MS - 8 * MINUTE_MS,
            ended_at_ms=NOW_MS - 6 * MINUTE_MS,
        )
    told = cast.client("yaxin").get("/v1/faults/f/sla").json()
    assert told["clock"] == "paused"
    assert told["pauses"] == [
        {
            "from": print_instant(NOW_MS - 8 * MINUTE_MS),
            "to": print_instant(NOW_MS - 6 * MINUTE_MS),
            "why": "maintenance",
        },
        {"from": print_instant(NOW_MS - 5 * MINUTE_MS), "to": None, "why": "maintenance"},
    ]
    assert told["steps"][2]["due_at"] == print_instant(NOW_MS + 12 * MINUTE_MS)


def test_the_months_of_a_firm_by_class(cast: Cast) -> None:
    client = cast.client("operator")
    october, november = NOW_MS - 30 * DAY_MS, NOW_MS - 2 * DAY_MS
    a_mended_fault(cast, "a", october)
    a_mended_fault(cast, "b", november)
    a_mended_fault(cast, "strange", november, device=STRANGE_GATE, compound=LIANXIN)
    a_mended_fault(cast, "past", november, stream="history")
    a_mended_fault(cast, "guess", november, suspected=True, code="GATE_NO_PASSAGE")
    a_mended_fault(cast, "explained", november, suppressed_by="b")
    with cast.write() as connection:
        a_fault(connection, "c", severity="P2", code="GATE_FORCED")  # ten minutes ago
        a_fault(connection, "d", code="GATE_OFFLINE", opened_at_ms=NOW_MS - 2 * DAY_MS)
        a_fault(
            connection, "ours", subject="platform", device=None, compound=None, kind="platform",
            code="SYS_DISK", severity="P1",
        )  # fmt: skip
    told = client.get("/v1/sla?from=2026-10-01&firm=yaxin").json()
    assert [(one["month"], one["severity"], one["faults"]) for one in told["items"]] == [
        ("2026-10", "P2", 1),
        ("2026-11", "P2", 2),
        ("2026-11", "P3", 1),
    ]
    p2 = told["items"][1]
    assert p2["acknowledge"] == {
        "met": 1, "late": 0, "overdue": 0, "running": 1, "not_needed": 0, "share": 1.0,
        "median_s": 300.0, "p90_s": 300.0,
    }  # fmt: skip
    assert (p2["mend"]["met"], p2["mend"]["running"], p2["mend"]["median_s"]) == (1, 1, 3600.0)
    assert (p2["verified"], p2["closed_by_hand"], p2["told"]) == (1, 0, 0)
    p3 = told["items"][2]
    assert (p3["acknowledge"]["overdue"], p3["acknowledge"]["share"]) == (1, 0.0)
    assert told["overdue"] == [
        {"firm": "yaxin", "severity": "P3", "total": 1, "acknowledge": 1, "mend": 1}
    ]
    everybody = client.get("/v1/sla").json()["items"]  # this month so far
    assert {one["firm"] for one in everybody} == {"yaxin", "kangqiao"}
    assert {one["month"] for one in everybody} == {"2026-11"}
    own = cast.client("yaxin").get("/v1/sla").json()["items"]
    assert {one["firm"] for one in own} == {"yaxin"}
    of_one = client.get(f"/v1/sla?compound={LIANXIN}").json()["items"]
    assert [(one["firm"], one["faults"]) for one in of_one] == [("kangqiao", 1)]


def test_the_same_as_csv(cast: Cast) -> None:
    a_mended_fault(cast, "b", NOW_MS - 2 * DAY_MS)
    answer = cast.client("operator").get("/v1/sla?firm=yaxin", headers={"Accept": "text/csv"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sla-yaxin-2026-11.csv"'
    (line,) = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert (line["month"], line["firm"], line["severity"], line["faults"]) == (
        "2026-11", "yaxin", "P2", "1",
    )  # fmt: skip
    assert (line["acknowledge_share"], line["mended_median_s"], line["verified"]) == (
        "1.0", "3600.0", "1",
    )  # fmt: skip


def test_what_cannot_be_asked_for_says_so(cast: Cast) -> None:
    client = cast.client("operator")
    for query, status in (
        *(("from=2025-01-01", 422), ("from=2027-01-01", 422)),
        *(("firm=nobody", 404), ("compound=atlantis", 404)),
    ):
        assert client.get(f"/v1/sla?{query}").status_code == status, query


def test_a_firm_has_limits_of_its_own_from_when_they_are_set(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "before", severity="P2", code="GATE_TAMPER")
    operator = cast.client("operator")
    assert cast.client("yaxin").put("/v1/sla/limits/yaxin", json=QUICK).status_code == 403
    assert cast.client("viewer").put("/v1/sla/limits/yaxin", json=QUICK).status_code == 403
    made = operator.put("/v1/sla/limits/yaxin", json=QUICK).json()
    assert (made["firm"], made["by"], made["since"]) == ("yaxin", "li-min", print_instant(NOW_MS))
    assert made["limits"]["P2"] == {
        "acknowledge": {"amount": 1, "unit": "minutes"}, "onsite": None, "mend": None,
    }  # fmt: skip
    with cast.write() as connection:
        for fault, more in (
            ("after", {}),
            ("strange", {"device": STRANGE_GATE, "compound": LIANXIN}),
        ):
            a_fault(
                connection, fault, severity="P2", code="GATE_FORCED", opened_at_ms=NOW_MS, **more
            )
    due = {
        fault: operator.get(f"/v1/faults/{fault}/sla").json()["steps"][2]["due_at"]
        for fault in ("before", "after", "strange")
    }
    assert due == {
        "before": print_instant(NOW_MS + 5 * MINUTE_MS),
        "after": print_instant(NOW_MS + MINUTE_MS),
        "strange": print_instant(NOW_MS + 15 * MINUTE_MS),
    }
    limits = cast.client("yaxin").get("/v1/sla/limits").json()["items"]
    assert [one["firm"] for one in limits] == ["yaxin"]
    assert [one["since"] for one in operator.get("/v1/sla/limits").json()["items"]] == [
        None,
        print_instant(NOW_MS),
    ]


def test_faults_that_are_overdue_are_a_list_of_their_own(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "young", severity="P2", code="GATE_TAMPER", opened_at_ms=NOW_MS)
        a_fault(connection, "late", severity="P2", code="GATE_FORCED", opened_at_ms=NOW_MS - DAY_MS)
        more = {"device": STRANGE_GATE, "compound": LIANXIN}
        a_fault(connection, "strange", severity="P1", code="GATE_DURESS", **more)
        a_fault(connection, "explained", suppressed_by="late", opened_at_ms=NOW_MS - 9 * DAY_MS)
    client = cast.client("operator")

    def listed(path: str) -> list[str]:
        return [one["id"] for one in client.get(path).json()["items"]]

    assert listed("/v1/faults?overdue=true") == ["strange", "late"]
    assert listed("/v1/faults?overdue=true&sort=rank&severity=P2") == ["late"]
    assert listed(f"/v1/compounds/{LIANXIN}/faults?overdue=true") == ["strange"]
    assert listed("/v1/faults?overdue=true&state=closed") == []
    assert len(listed("/v1/faults?overdue=false")) == 4
    own = cast.client("yaxin").get("/v1/faults?overdue=true").json()["items"]
    assert [one["id"] for one in own] == ["late"]


def test_the_page_of_a_fault_shows_its_steps_with_their_limits(cast: Cast) -> None:
    a_mended_fault(cast, "f", NOW_MS - 2 * HOUR_MS)
    with cast.write() as connection:
        a_fault(
            connection, "late", severity="P2", code="GATE_FORCED", opened_at_ms=NOW_MS - HOUR_MS
        )
        a_fault(connection, "visit", severity="P1", code="GATE_DURESS", opened_at_ms=NOW_MS)
    client = cast.client("yaxin")
    zh, en = {"Accept-Language": "zh"}, {"Accept-Language": "en"}
    page = client.get("/faults/f", headers=zh).text
    for text in ("服务时限", "人员称已修复", "设备数据恢复", "时限 17:57:10 之内", "· wang"):
        assert text in page, text
    page = client.get("/faults/late", headers=en).text
    assert "limit 18:57:10, 45 min overdue" in page
    assert 'data-step="over"' in page
    assert "<b>45 min</b> <span>late to acknowledge</span>" in page
    assert "limit 20:12:10, 30:00 left" in client.get("/faults/visit", headers=en).text
    assert "Acknowledge: 5:00 left" in client.get("/faults", headers=en).text


def test_nobody_has_to_answer_what_is_not_urgent_on_a_holiday(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", severity="P4", code="GATE_BATT_LOW", opened_at_ms=NOW_MS)
        a_fault(connection, "g", severity="P4", code="GATE_FORCED", opened_at_ms=NOW_MS)
    operator = cast.client("operator")
    url = "/v1/faults/f/sla"
    assert operator.get(url).json()["steps"][2]["due_at"] == "2026-11-24T10:00:00.000Z"
    free = {"off": [{"name": "休", "first": "2026-11-24", "last": "2026-11-25"}], "work": []}
    assert operator.put("/v1/holidays/2026", json=free).status_code == 200
    assert operator.get(url).json()["steps"][2]["due_at"] == "2026-11-26T10:00:00.000Z"
    cast.now_ms += 2 * DAY_MS
    assert operator.get("/v1/faults?overdue=true").json()["items"] == []
    assert operator.get("/v1/kpis").json()["all"]["overdue"]["total"] == 0


def test_limits_that_cannot_be_are_refused_in_words(cast: Cast) -> None:
    answer = cast.client("operator").put("/v1/sla/limits/yaxin", json={"P2": {"mend": None}})
    assert answer.status_code == 422
    assert "P2: within what it is to be acknowledged" in answer.json()["detail"]


def test_what_is_read_for_figures_makes_the_same_ledger_as_the_whole_history(cast: Cast) -> None:
    """The figures read as little as they can: what they leave out is of no weight."""
    a_mended_fault(cast, "f", NOW_MS - 2 * DAY_MS)
    with cast.write() as connection:
        for n, (reason, actor) in enumerate(
            (
                *(
                    ("reopened", "system"),
                    ("commented", "li"),
                    ("assigned", "li"),
                    ("closed", "li"),
                ),
                *(("reopened", "system"), ("suppressed", "system"), ("released", "system")),
                *(("shelved", "li"), ("unshelved", "li"), ("worsened", "system"), ("onsite", "li")),
            )
        ):
            at_ms = NOW_MS - DAY_MS + n * MINUTE_MS
            a_fault_event(connection, "f", at_ms=at_ms, reason=reason, actor=actor)
    told = cast.client("operator").get("/v1/faults/f/sla").json()
    with reading(cast.engine) as connection:
        fault = find_fault(connection, DISTRICT, "f")
        events: list[FaultEvent] = history(connection, "f")
    whole = ledger(fault, events, Terms(Work(DISTRICT_ZONE)), NOW_MS)
    assert len(events) > 15
    assert whole.severity is Severity.P2
    assert [
        (step.name.value, None if step.at_ms is None else print_instant(step.at_ms), step.by)
        for step in whole.steps
    ] == [(step["name"], step["at"], step["by"]) for step in told["steps"]]
    assert (whole.rounds, whole.reopened) == (told["rounds"], told["reopened"]) == (2, 1)
