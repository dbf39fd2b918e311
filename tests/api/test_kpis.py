"""Service figures at the API: over which time, whose, what is null, and what is refused."""

import csv
import io

import pytest
from sqlalchemy import Connection, insert, update

from api import kpis, shapes
from devices.store.schema import LIVE, accounts, compounds
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_fault_event,
    a_judge,
    a_state,
    a_window,
)

URL = f"/v1/compounds/{XIANGYUNLI}/availability"
YESTERDAY = "?from=2026-11-22&to=2026-11-23"
MIDNIGHT_MS = NOW_MS - 19 * HOUR_MS - 42 * MINUTE_MS - 10_000  # of the 23rd, local
DAY_S = 86_400.0


def yesterday(hour: float) -> int:
    return MIDNIGHT_MS - DAY_MS + round(hour * HOUR_MS)


def with_ears(cast: Cast, *, since_ms: int = NOW_MS - 400 * DAY_MS) -> None:
    """Everybody was heard since then, and is."""
    with cast.write() as connection:
        for compound in (XIANGYUNLI, LIANXIN):
            connection.execute(
                insert(accounts).values(
                    stream=LIVE,
                    compound=compound,
                    hour_ms=since_ms - since_ms % HOUR_MS,
                    outcome="stored",
                    reason="",
                    count=1,
                )
            )
        for device, state in (
            (GATE, "online"),
            (SHED, "online"),
            (LAMP, "online"),
            (f"{XIANGYUNLI}-gw", "online"),
            (f"{XIANGYUNLI}-cam-1", "online"),
            (STRANGE_GATE, "online"),
            (f"{LIANXIN}-gw", "online"),
        ):
            a_state(connection, device, state)
        for port in (PORT, f"{SHED}-p02"):
            a_state(connection, port, "online", latest={"port_status": ("idle", NOW_MS)})


def a_silence(
    connection: Connection, fault: str, start: float, end: float | None, **more: object
) -> None:
    """The gate was offline between these hours of yesterday."""
    ended_ms = None if end is None else yesterday(end)
    a_fault(
        connection,
        fault,
        since_ms=yesterday(start),
        opened_at_ms=yesterday(start) + 2 * MINUTE_MS,
        state="open" if ended_ms is None else "closed",
        cleared_at_ms=ended_ms,
        closed_at_ms=ended_ms,
        **more,
    )


def a_cut(connection: Connection, fault: str, start: float, end: float) -> None:
    whole = {"device": None, "subject": XIANGYUNLI, "kind": "compound"}
    a_silence(connection, fault, start, end, code="COMPOUND_POWER_CUT", severity="P2", **whole)


# Availability of a compound


def test_the_local_day_so_far_unless_asked_otherwise(cast: Cast) -> None:
    with_ears(cast)
    body = cast.client("yaxin").get(URL).json()
    assert body["compound"] == XIANGYUNLI
    assert (body["from"], body["to"]) == ("2026-11-22T16:00:00.000Z", "2026-11-23T11:42:10.000Z")
    assert (body["timezone"], body["as_of"]) == ("Asia/Shanghai", "2026-11-23T11:42:10.000Z")
    so_far_s = (NOW_MS - MIDNIGHT_MS) / 1000
    assert body["kinds"]["gate"]["period_s"] == body["kinds"]["gate"]["known_s"] == so_far_s
    assert set(body["kinds"]) == {"gateway", "gate", "shed", "port", "lamp", "camera"}
    assert (body["unheard_s"], body["unheard"]) == (0, [])


def test_availability_is_told_with_and_without_upstream_outages(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_cut(connection, "cut", 6, 9)
        a_silence(connection, "dark", 6, 9, suppressed_by="cut")
        a_silence(connection, "own", 12, 13)
    gate = cast.client("yaxin").get(URL + YESTERDAY).json()["kinds"]["gate"]
    assert gate == {
        "devices": 1,
        "availability": 1 - 4 / 24,
        "without_upstream": 1 - 1 / 21,
        "period_s": DAY_S,
        "planned_s": 0,
        "unknown_s": 0,
        "known_s": DAY_S,
        "out_s": 4 * 3600,
        "upstream_s": 3 * 3600,
    }


def test_a_silence_that_began_long_before_the_range_is_in_it(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_silence(connection, "stands", -24 * 9, None)
        a_silence(connection, "lasted", -24 * 9, 6, device=SHED, kind="shed", code="SHED_OFFLINE")
    kinds = cast.client("yaxin").get(URL + YESTERDAY).json()["kinds"]
    assert (kinds["gate"]["out_s"], kinds["gate"]["availability"]) == (DAY_S, 0)
    assert (kinds["shed"]["out_s"], kinds["port"]["out_s"]) == (6 * 3600, 12 * 3600)


def test_a_fault_raised_after_midnight_may_have_begun_before_it(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_silence(connection, "late", 23.99, 25)
    gate = cast.client("yaxin").get(URL + YESTERDAY).json()["kinds"]["gate"]
    assert gate["out_s"] == pytest.approx(36)


def test_planned_work_is_left_out_and_shown_also_the_districts(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        for window, compound, start, end in (("mine", XIANGYUNLI, 6, 8), ("all", None, 8, 9)):
            times = {"starts_at_ms": yesterday(start), "ends_at_ms": yesterday(end)}
            a_window(connection, window, compound=compound, kind="gate", **times)
        a_silence(connection, "during", 6, 9)
    kinds = cast.client("yaxin").get(URL + YESTERDAY).json()["kinds"]
    assert (kinds["gate"]["planned_s"], kinds["gate"]["out_s"]) == (3 * 3600, 0)
    assert kinds["gate"]["known_s"] == DAY_S - 3 * 3600
    assert kinds["camera"]["planned_s"] == 0


@pytest.mark.parametrize("person", ["operator", "yaxin"])
def test_our_own_outages_are_unknown_and_shown_to_everybody(cast: Cast, person: str) -> None:
    with_ears(cast)
    ours = {"device": None, "compound": None, "kind": "platform", "subject": "platform"}
    with cast.write() as connection:
        a_fault(
            connection,
            "deaf",
            code="SYS_PROBE_LOST",
            state="closed",
            opened_at_ms=yesterday(10),
            closed_at_ms=yesterday(10),
            evidence={"deaf_since_ms": yesterday(8), "deaf_until_ms": yesterday(10)},
            **ours,
        )
        a_fault_event(
            connection, "deaf", at_ms=yesterday(10), was="open", becomes="closed", reason="over"
        )
        a_silence(connection, "seen-after", 9, 11)
    body = cast.client(person).get(URL + YESTERDAY).json()
    gate = body["kinds"]["gate"]
    assert (gate["unknown_s"], gate["known_s"]) == (2 * 3600, 22 * 3600)
    assert gate["out_s"] == 3600
    assert body["unheard_s"] == 2 * 3600
    assert body["unheard"] == [
        {"from": "2026-11-22T00:00:00.000Z", "to": "2026-11-22T02:00:00.000Z"}
    ]


def test_what_the_judge_has_not_reached_is_unknown(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - HOUR_MS)
    body = cast.client("yaxin").get(URL).json()
    assert body["kinds"]["gate"]["unknown_s"] == 3600
    assert body["unheard"] == [
        {"from": "2026-11-23T10:42:10.000Z", "to": "2026-11-23T11:42:10.000Z"}
    ]
    assert body["sockets"]["now"]["unknown"] == 2


def test_before_the_first_message_nothing_is_known(cast: Cast) -> None:
    with_ears(cast, since_ms=yesterday(18))
    gate = cast.client("yaxin").get(URL + YESTERDAY).json()["kinds"]["gate"]
    assert (gate["unknown_s"], gate["availability"]) == (18 * 3600, 1)


def test_where_nothing_was_ever_heard_there_is_no_availability(cast: Cast) -> None:
    body = cast.client("yaxin").get(URL + YESTERDAY).json()
    gate = body["kinds"]["gate"]
    assert gate["availability"] is None
    assert gate["without_upstream"] is None
    assert (gate["unknown_s"], gate["known_s"]) == (DAY_S, 0)
    assert body["sockets"]["availability"] is None
    assert body["sockets"]["now"]["availability"] is None


def test_a_device_that_was_never_heard_is_unknown_beside_those_that_were(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_state(connection, f"{XIANGYUNLI}-cam-1", "never_seen")
    kinds = cast.client("yaxin").get(URL + YESTERDAY).json()["kinds"]
    assert (kinds["camera"]["unknown_s"], kinds["gate"]["unknown_s"]) == (DAY_S, 0)


def test_a_switched_lamp_counts_while_lamps_are_to_burn(cast: Cast) -> None:
    with_ears(cast)
    lamp = cast.client("yaxin").get(URL + YESTERDAY).json()["kinds"]["lamp"]
    assert lamp["period_s"] == pytest.approx(13 * 3600, abs=1200)  # civil dusk to dawn, November


def test_sockets_are_usable_or_not_over_time_and_now(cast: Cast) -> None:
    with_ears(cast)
    fuse = {"device": PORT, "kind": "port", "code": "PORT_FUSE_BLOWN"}
    shed = {"device": SHED, "kind": "shed"}
    with cast.write() as connection:
        a_silence(connection, "fuse", 6, 12, **fuse)
        a_silence(connection, "cut", 10, 13, code="SHED_POWER_CUT", **shed)
        a_silence(connection, "silent", 10, 13, code="SHED_OFFLINE", suppressed_by="cut", **shed)
        disabled = {"port_status": ("disabled", NOW_MS)}
        a_state(connection, f"{SHED}-p02", "online", latest=disabled)
    sockets = cast.client("yaxin").get(URL + YESTERDAY).json()["sockets"]
    assert (sockets["devices"], sockets["period_s"]) == (2, 2 * DAY_S)
    assert (sockets["out_s"], sockets["upstream_s"]) == (10 * 3600, 6 * 3600)
    assert sockets["availability"] == 1 - 10 / 48
    assert sockets["without_upstream"] == 1 - 4 / 42
    assert sockets["now"] == {
        "total": 2,
        "usable": 1,
        "fault": 0,
        "disabled": 1,
        "offline": 0,
        "unknown": 0,
        "availability": 0.5,
    }


def test_without_a_shed_sockets_are_null(cast: Cast) -> None:
    with_ears(cast)
    body = cast.client("operator").get(f"/v1/compounds/{LIANXIN}/availability").json()
    assert body["sockets"] is None
    assert set(body["kinds"]) == {"gateway", "gate"}


def test_two_days_add_up_to_both(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_cut(connection, "cut", -2, 3)
        a_silence(connection, "dark", -2, 5)
    client = cast.client("yaxin")
    one, other, both = (
        client.get(URL + query).json()["kinds"]["gate"]
        for query in ("?from=2026-11-21&to=2026-11-22", YESTERDAY, "?from=2026-11-21&to=2026-11-23")
    )
    for name in ("period_s", "known_s", "out_s", "upstream_s"):
        assert one[name] + other[name] == both[name]
    assert both["upstream_s"] == 5 * 3600


# Figures of groups


def with_a_day(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_silence(connection, "quick", 6, 7, acknowledged_at_ms=yesterday(6.5))
        a_silence(connection, "slow", 8, 12, acknowledged_at_ms=yesterday(9), repeat_of="quick")
        a_silence(connection, "none", 13, 14, code="GATE_FORCED", resolution="false_alarm")
        a_silence(connection, "dark", 15, 16, suppressed_by="cut")
        a_cut(connection, "cut", 15, 16)
        guess = {"code": "GATE_NO_PASSAGE", "suspected": True, "severity": "P4"}
        a_silence(connection, "guess", 17, 18, **guess)
        lamp = {"device": LAMP, "kind": "lamp", "code": "LAMP_OUT"}
        a_silence(connection, "lamp", 20, None, evidence={"lamps_dark": 1.9}, **lamp)
        strange = {"device": STRANGE_GATE, "compound": LIANXIN}
        a_silence(connection, "strange", 6, None, **strange)


def test_faults_are_counted_in_the_range_in_which_they_were_raised(cast: Cast) -> None:
    with_a_day(cast)
    body = cast.client("yaxin").get("/v1/kpis" + YESTERDAY).json()
    figures = body["all"]
    assert figures["faults"] == {
        "detected": 7,
        "suppressed": 1,
        "suspected": 1,
        "raised": 5,
        "repeats": 1,
        "closed": 5,
        "false_alarms": 1,
    }
    assert figures["repeat_rate"] == 1 / 5
    assert figures["false_alarm_rate"] == 1 / 5
    assert figures["suppressed_share"] == 1 / 7
    assert figures["mtta"] == {"count": 2, "median_s": 28 * 60, "p90_s": 58 * 60}
    assert figures["mttr"] == {"count": 3, "median_s": 58 * 60, "p90_s": 238 * 60}
    assert figures["lamps"] == {
        "lamps": 8,
        "faults": 1,
        "faults_per_1000": 125,
        "intact": 6,
        "intact_rate": 0.75,
    }
    assert figures["sockets"]["now"]["total"] == 2


def test_what_stands_and_is_overdue_is_of_now(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_silence(connection, "old", -40, None)  # P3: two working hours, 24 h
        a_silence(connection, "seen", 0, None, code="GATE_FORCED", acknowledged_at_ms=NOW_MS)
    for query in ("", "?from=2026-11-01&to=2026-11-02"):
        body = cast.client("yaxin").get("/v1/kpis" + query).json()
        assert body["as_of"] == "2026-11-23T11:42:10.000Z"
        assert body["all"]["overdue"] == {"total": 2, "acknowledge": 1, "repair": 2}
        assert body["all"]["standing_24h"] == 2


def test_a_power_cut_before_the_range_moves_the_limits_of_what_it_left(cast: Cast) -> None:
    with_ears(cast)
    client = cast.client("yaxin")
    with cast.write() as connection:
        a_silence(connection, "left", -5, None)  # P3: 24 h, and now it is two days later
    assert client.get("/v1/kpis").json()["all"]["overdue"]["repair"] == 1
    with cast.write() as connection:
        a_cut(connection, "cut", -5, 20)  # less than 24 h ago
    assert client.get("/v1/kpis").json()["all"]["overdue"]["repair"] == 0


def test_where_nothing_happened_no_rate_is_told(cast: Cast) -> None:
    with_ears(cast)
    figures = cast.client("operator").get(f"/v1/kpis?compound={LIANXIN}").json()["all"]
    assert figures["faults"]["detected"] == 0
    for name in ("repeat_rate", "false_alarm_rate", "suppressed_share", "sockets", "lamps"):
        assert figures[name] is None, name
    for name in ("mtta", "mttr"):
        assert figures[name] == {"count": 0, "median_s": None, "p90_s": None}
    assert figures["availability"]["gate"]["availability"] == 1


def test_groups_are_compounds_firms_or_kinds_and_add_up(cast: Cast) -> None:
    with_a_day(cast)
    client = cast.client("operator")
    found = {
        by: client.get(f"/v1/kpis{YESTERDAY}&group_by={by}").json()
        for by in ("compound", "firm", "kind")
    }
    assert [item["id"] for item in found["compound"]["items"]] == [LIANXIN, XIANGYUNLI]
    assert [item["id"] for item in found["firm"]["items"]] == ["kangqiao", "yaxin"]
    kinds = [item["id"] for item in found["kind"]["items"]]
    assert kinds == ["camera", "compound", "gate", "gateway", "lamp", "port", "shed"]
    assert found["firm"]["items"][1]["name"] == {"zh": "亚新", "en": "Yaxin"}
    assert found["kind"]["items"][1]["name"] == {"zh": "小区", "en": "Compound"}
    assert found["compound"]["all"] == found["firm"]["all"] == found["kind"]["all"]
    for by, body in found.items():
        assert body["group_by"] == by
        for name in ("detected", "raised", "closed"):
            each = [item["faults"][name] for item in body["items"]]
            assert sum(each) == body["all"]["faults"][name]
        gates = [item["availability"].get("gate") for item in body["items"]]
        out_s = sum(gate["out_s"] for gate in gates if gate is not None)
        assert out_s == body["all"]["availability"]["gate"]["out_s"]
    gate = found["kind"]["items"][2]
    assert set(gate["availability"]) == {"gate"}
    assert (gate["sockets"], gate["lamps"]) == (None, None)
    assert found["kind"]["items"][5]["sockets"]["devices"] == 2


def test_the_answer_is_in_the_shape_that_the_document_promises(cast: Cast) -> None:
    with_a_day(cast)
    for by in ("compound", "firm", "kind"):
        answer = cast.client("operator").get(f"/v1/kpis{YESTERDAY}&group_by={by}")
        shaped = shapes.service.ServiceFigures.model_validate_json(answer.content, strict=True)
        assert shaped.model_dump() == answer.json()


def test_a_firm_sees_its_own_alone(cast: Cast) -> None:
    with_a_day(cast)
    body = cast.client("kangqiao").get("/v1/kpis" + YESTERDAY).json()
    assert [item["id"] for item in body["items"]] == [LIANXIN]
    assert body["all"]["faults"]["detected"] == 1
    client = cast.client("kangqiao")
    for strange in (f"compound={XIANGYUNLI}", "firm=yaxin", "compound=atlantis", "firm=atlantis"):
        assert client.get(f"/v1/kpis?{strange}").status_code == 404, strange
    assert client.get(URL).status_code == 404


def test_one_firm_or_one_compound_can_be_asked_for(cast: Cast) -> None:
    with_a_day(cast)
    client = cast.client("operator")
    firm = client.get(f"/v1/kpis{YESTERDAY}&firm=kangqiao").json()
    assert [item["id"] for item in firm["items"]] == [LIANXIN]
    one = client.get(f"/v1/kpis{YESTERDAY}&compound={XIANGYUNLI}&group_by=firm").json()
    assert [item["id"] for item in one["items"]] == ["yaxin"]
    assert one["timezone"] == "Asia/Shanghai"
    assert one["all"] == cast.client("yaxin").get("/v1/kpis" + YESTERDAY).json()["all"]


def test_days_are_those_of_the_compound(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(
            update(compounds).where(compounds.c.id == XIANGYUNLI).values(timezone="Asia/Urumqi")
        )
    body = cast.client("operator").get(f"/v1/kpis?compound={XIANGYUNLI}&from=2026-11-22").json()
    assert (body["from"], body["timezone"]) == ("2026-11-21T18:00:00.000Z", "Asia/Urumqi")


# What is refused


@pytest.mark.parametrize(
    ("address", "parameter", "bound"),
    [
        (f"{URL}?from=2025-11-01", "from", "366 days"),
        ("/v1/kpis?from=2026-08-01", "from", "92 days"),
        (f"{URL}?from=2026-12-01", "from", "future"),
        (f"{URL}?from=2026-11-22&to=2026-11-21", "to", "not after"),
        ("/v1/kpis?from=2026-11-22&to=2026-11-21", "to", "not after"),
        ("/v1/kpis?from=yesterday", "from", "RFC 3339"),
        ("/v1/kpis?group_by=street", "group_by", "'kind'"),
        ("/v1/kpis?grouped=firm", "grouped", "no parameter"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named_with_its_bound(
    cast: Cast, address: str, parameter: str, bound: str
) -> None:
    answer = cast.client("operator").get(address)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["parameter"] == parameter
    assert bound in error["detail"]


def test_more_faults_than_fit_are_refused_by_name(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_day(cast)
    monkeypatch.setattr(kpis, "MOST_FAULTS", 3)
    answer = cast.client("operator").get("/v1/kpis" + YESTERDAY)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("from: more than 3 faults")


def test_a_range_into_the_future_is_cut_to_now(cast: Cast) -> None:
    body = cast.client("operator").get(URL + "?from=2026-11-23&to=2027-01-01").json()
    assert body["to"] == "2026-11-23T11:42:10.000Z"


# As CSV


def lines(cast: Cast, url: str, who: str = "operator") -> list[dict[str, str]]:
    answer = cast.client(who).get(url, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert answer.text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_the_availability_of_a_kind_is_a_line_of_csv(cast: Cast) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_silence(connection, "own", 12, 18)
    found = {line["kind"]: line for line in lines(cast, URL + YESTERDAY, "yaxin")}
    body = cast.client("yaxin").get(URL + YESTERDAY).json()
    assert set(found) == {*body["kinds"], "sockets"}
    assert found["gate"]["availability"] == "0.75"
    assert found["gate"]["from"] == body["from"]
    for name, value in body["kinds"]["gate"].items():
        assert float(found["gate"][name]) == value
    assert found["gate"]["now_usable"] == ""
    assert int(found["sockets"]["now_usable"]) == body["sockets"]["now"]["usable"]
    answer = cast.client("yaxin").get(URL + YESTERDAY, headers={"Accept": "text/csv"})
    assert "availability-xiangyunli-2026-11-22.csv" in answer.headers["content-disposition"]
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("group_by", ["compound", "firm", "kind"])
def test_service_figures_of_a_group_are_a_line_of_csv(cast: Cast, group_by: str) -> None:
    with_ears(cast)
    with cast.write() as connection:
        a_silence(connection, "own", 12, 13)
    url = f"/v1/kpis{YESTERDAY}&group_by={group_by}"
    items = cast.client("operator").get(url).json()["items"]
    found = lines(cast, url)
    assert [line["id"] for line in found] == [item["id"] for item in items]
    for line, item in zip(found, items, strict=True):
        assert (line["name_zh"], line["name_en"]) == (item["name"]["zh"], item["name"]["en"])
        assert int(line["faults_raised"]) == item["faults"]["raised"]
        assert line["mttr_median_s"] == str(item["mttr"]["median_s"] or "")
        for kind, part in item["availability"].items():
            assert float(line[f"availability_{kind}_known_s"]) == part["known_s"]
        if item["lamps"] is None:
            assert line["lamps_intact"] == ""


def test_a_firm_has_no_line_of_anothers_and_no_name_is_a_formula(cast: Cast) -> None:
    with cast.write() as connection:
        named = update(compounds).where(compounds.c.id == XIANGYUNLI)
        connection.execute(named.values(name_zh='=HYPERLINK("http://x")'))
    (line,) = lines(cast, f"/v1/kpis{YESTERDAY}", "yaxin")
    assert line["id"] == XIANGYUNLI
    assert line["name_zh"] == '\'=HYPERLINK("http://x")'
