import pytest
from sqlalchemy import select, update

from devices.store.schema import fault_events, faults, revisions
from ingest.judge.identity import Lost
from tests.api.cast import (
    DAY_MS,
    GATE,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_fault_event,
)


def test_a_fault_has_its_names_its_evidence_and_what_happened_to_it(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(
            connection,
            "f",
            device=PORT,
            kind="port",
            code="PORT_OVERTEMP",
            severity="P1",
            safety=True,
            state="acknowledged",
            acknowledged_at_ms=NOW_MS - MINUTE_MS,
            acknowledged_by="li-min",
            evidence={"port_temp_c": 91.5, "last_seen_ms": NOW_MS},
            occurrences=2,
            late=True,
            impact={"sockets": 1, "sockets_left": 11, "sockets_total": 12, "at_hour": 19},
            rank=9123.5,
        )
        a_fault_event(
            connection,
            "f",
            was="open",
            becomes="acknowledged",
            reason="acknowledged",
            actor="li-min",
            note="on my way",
        )
    body = cast.client("operator").get("/v1/faults/f").json()
    events = body.pop("events")
    assert body == {
        "id": "f",
        "compound": XIANGYUNLI,
        "device": PORT,
        "kind": "port",
        "code": "PORT_OVERTEMP",
        "name": {"zh": "端口过温", "en": "Port over-temperature"},
        "severity": "P1",
        "safety": True,
        "suspected": False,
        "state": "acknowledged",
        "since": "2026-11-23T11:31:10.000Z",
        "opened_at": "2026-11-23T11:32:10.000Z",
        "acknowledged_at": "2026-11-23T11:41:10.000Z",
        "acknowledged_by": "li-min",
        "cleared_at": None,
        "closed_at": None,
        "suppressed_by": None,
        "children": 0,
        "shelved_until": None,
        "maintenance": None,
        "assignee": None,
        "onsite_at": None,
        "repaired_at": None,
        "confirmed_at": None,
        "resolution": None,
        "occurrences": 2,
        "flaps": 0,
        "repeat_of": None,
        "late": True,
        "responsible": "property",
        "advice": {"zh": "断电并到场检查插座", "en": "Cut power; inspect the socket"},
        "evidence": {"port_temp_c": 91.5, "last_seen_at": "2026-11-23T11:42:10.000Z"},
        "impact": {"sockets": 1, "sockets_left": 11, "sockets_total": 12, "at_hour": 19},
        "rank": 9123.5,
    }
    assert events[0]["evidence"] == body["evidence"]
    assert [(e["from"], e["to"], e["reason"], e["actor"], e["note"]) for e in events] == [
        (None, "acknowledged", "raised", "system", None),
        ("open", "acknowledged", "acknowledged", "li-min", "on my way"),
    ]
    assert events[1]["at"] == "2026-11-23T11:42:10.000Z"


def test_a_data_gap_tells_how_many_numbers_are_missing_which_and_since_when(cast: Cast) -> None:
    lost = Lost(7, 4, 3, 6, before=2)
    with cast.write() as connection:
        a_fault(
            connection,
            "f",
            device=GATE,
            code="DEV_DATA_GAP",
            severity="P4",
            evidence=lost.evidence(NOW_MS),
        )
    operator = cast.client("operator")
    (fault,) = operator.get("/v1/faults", params={"code": "DEV_DATA_GAP"}).json()["items"]
    assert fault["name"] == {"zh": "数据缺口", "en": "Data gap"}
    assert fault["evidence"] == {
        "boot": 7,
        "missing": 4,
        "from_seq": 3,
        "to_seq": 6,
        "missing_before_boot": 2,
        "since_at": "2026-11-23T11:42:10.000Z",
    }
    shown = operator.get("/faults/f").text
    for label in ("设备启动号", "缺少（条）", "从序号", "至序号", "此前启动另缺（条）", "起于"):
        assert f"<dt>{label}</dt>" in shown


def test_a_code_of_a_newer_version_is_shown_as_it_is(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", code="GATE_HAUNTED")
    body = cast.client("operator").get("/v1/faults/f").json()
    assert body["name"] == {"zh": "GATE_HAUNTED", "en": "GATE_HAUNTED"}
    assert body["responsible"] is None
    assert body["advice"] is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["new", "strange", "root", "old", "past"]),
        (f"compound={XIANGYUNLI}", ["new", "root", "old", "past"]),
        (f"device={PORT}", ["new"]),
        ("state=closed", ["old", "past"]),
        ("severity=P1", ["new"]),
        ("kind=port", ["new"]),
        ("code=GATE_TAMPER", ["strange"]),
        ("firm=kangqiao", ["strange"]),
        ("suppressed=true", ["strange"]),
        ("suppressed=false", ["new", "root", "old", "past"]),
        ("suppressed_by=root", ["strange"]),
        ("suppressed_by=nobody", []),
        ("from=2026-11-23", ["new", "strange", "root"]),  # the district's midnight
        ("from=2026-11-22T16:00:00Z", ["new", "strange", "root"]),
        ("to=2026-11-23", ["old", "past"]),
        ("from=2026-11-23T11:42:09Z&to=2027-01-01", ["new"]),
        ("state=open&severity=P3", ["strange", "root"]),
    ],
)
def test_the_filters_of_the_list(cast: Cast, query: str, ids: list[str]) -> None:
    with cast.write() as connection:
        a_fault(
            connection,
            "new",
            device=PORT,
            kind="port",
            code="PORT_OVERTEMP",
            severity="P1",
            opened_at_ms=NOW_MS - 500,
        )
        a_fault(
            connection,
            "strange",
            device=STRANGE_GATE,
            compound=LIANXIN,
            code="GATE_TAMPER",
            opened_at_ms=NOW_MS - MINUTE_MS,
            suppressed_by="root",
        )
        a_fault(connection, "root", opened_at_ms=NOW_MS - 2 * MINUTE_MS)
        a_fault(connection, "old", state="closed", opened_at_ms=NOW_MS - 2 * DAY_MS)
        a_fault(
            connection,
            "past",
            state="closed",
            stream="history-1",
            opened_at_ms=NOW_MS - 3 * DAY_MS,
        )
    body = cast.client("operator").get(f"/v1/faults?{query}").json()
    assert [item["id"] for item in body["items"]] == ids
    assert not [item for item in body["items"] if "events" in item]


@pytest.mark.parametrize("sort", ["newest", "rank"])
def test_what_stands_now_is_nothing_of_a_past_that_is_being_filled_in(
    cast: Cast, sort: str
) -> None:
    with cast.write() as connection:
        for state in ("open", "acknowledged", "cleared", "closed"):
            a_fault(connection, f"live-{state}", code=f"A_{state}", state=state)
            a_fault(connection, f"past-{state}", code=f"B_{state}", state=state, stream="past")
    client = cast.client("operator")
    for state in ("open", "acknowledged", "cleared"):
        items = client.get(f"/v1/faults?state={state}&sort={sort}").json()["items"]
        assert [item["id"] for item in items] == [f"live-{state}"]
    closed = client.get(f"/v1/faults?state=closed&sort={sort}").json()["items"]
    assert {item["id"] for item in closed} == {"live-closed", "past-closed"}
    assert len(client.get(f"/v1/faults?sort={sort}").json()["items"]) == 8  # all there is
    of_compound = client.get(f"/v1/compounds/{XIANGYUNLI}/faults?state=open").json()["items"]
    assert [item["id"] for item in of_compound] == ["live-open"]


def test_a_root_says_how_many_it_explains_and_they_are_listed_under_it(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "cut", device=None, kind="compound", code="COMPOUND_POWER_CUT")
        for n, state in enumerate(("open", "closed")):
            a_fault(connection, f"gate-{n}", code="GATE_OFFLINE", state=state, suppressed_by="cut")
        a_fault(connection, "alone", code="GATE_TAMPER")
        a_fault(connection, "foreign", compound=LIANXIN, device=STRANGE_GATE, suppressed_by="cut")
    client = cast.client("yaxin")
    items = {item["id"]: item for item in client.get("/v1/faults").json()["items"]}
    assert {name: item["children"] for name, item in items.items()} == {
        "cut": 2,
        "gate-0": 0,
        "gate-1": 0,
        "alone": 0,
    }
    assert client.get("/v1/faults/cut").json()["children"] == 2
    below = client.get("/v1/faults?suppressed_by=cut").json()["items"]
    assert {item["id"] for item in below} == {"gate-0", "gate-1"}
    of_compound = client.get(f"/v1/compounds/{XIANGYUNLI}/faults?suppressed_by=cut&state=open")
    assert [item["id"] for item in of_compound.json()["items"]] == ["gate-0"]


def test_a_compound_has_a_list_of_its_own(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
        a_fault(connection, "g", device=STRANGE_GATE, compound=LIANXIN)
    client = cast.client("operator")
    body = client.get(f"/v1/compounds/{LIANXIN}/faults").json()
    assert [item["id"] for item in body["items"]] == ["g"]
    assert client.get(f"/v1/compounds/{LIANXIN}/faults?severity=P1").json()["items"] == []
    assert client.get(f"/v1/compounds/{LIANXIN}/faults?compound={LIANXIN}").status_code == 422


def test_acknowledging_moves_records_and_tells_the_judge(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    answer = cast.client("yaxin").post("/v1/faults/f/acknowledge", json={"note": "on my way"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["state"] == "acknowledged"
    assert body["acknowledged_by"] == "wang-jianguo"
    assert body["acknowledged_at"] == "2026-11-23T11:42:10.000Z"
    assert body["events"][-1] == {
        "at": "2026-11-23T11:42:10.000Z",
        "from": "open",
        "to": "acknowledged",
        "reason": "acknowledged",
        "actor": "wang-jianguo",
        "note": "on my way",
        "evidence": None,
        "held": None,
    }
    with cast.write() as connection:
        told = connection.execute(select(revisions).where(revisions.c.what == "fault")).one()
        assert told.subject == "f"
        routed = connection.scalars(
            select(fault_events.c.routed_at_ms).where(fault_events.c.fault == "f")
        ).all()
    assert routed == [None, None]  # alerts has not seen them yet


def test_no_body_is_needed_to_acknowledge(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    answer = cast.client("operator").post("/v1/faults/f/acknowledge")
    assert (answer.status_code, answer.json()["state"]) == (200, "acknowledged")


def test_a_cleared_safety_fault_is_closed_by_its_acknowledgement(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", state="cleared", safety=True, cleared_at_ms=NOW_MS - 1000)
    body = cast.client("operator").post("/v1/faults/f/acknowledge").json()
    assert (body["state"], body["closed_at"]) == ("closed", "2026-11-23T11:42:10.000Z")


def test_who_comes_second_is_told_and_nothing_is_done(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    cast.client("yaxin").post("/v1/faults/f/acknowledge")
    answer = cast.client("operator").post("/v1/faults/f/acknowledge", json={"note": "me too"})
    assert answer.status_code == 409
    body = answer.json()
    assert body["fault"]["acknowledged_by"] == "wang-jianguo"
    assert body["fault"]["state"] == "acknowledged"
    assert len(body["fault"]["events"]) == 2
    with cast.write() as connection:
        notes = connection.scalars(select(fault_events.c.note)).all()
    assert "me too" not in notes


def test_a_comment_keeps_the_state_and_may_follow_the_end(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", state="closed", closed_at_ms=NOW_MS - DAY_MS)
    body = cast.client("yaxin").post("/v1/faults/f/comment", json={"note": " 已更换电锁 "}).json()
    assert body["state"] == "closed"
    assert body["closed_at"] == "2026-11-22T11:42:10.000Z"
    assert body["events"][-1]["note"] == "已更换电锁"
    assert body["events"][-1]["reason"] == "commented"


def test_assigning_names_who_will_go(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    client = cast.client("operator")
    body = client.post("/v1/faults/f/assign", json={"assignee": "王建国"}).json()
    assert (body["state"], body["assignee"]) == ("open", "王建国")
    client.post("/v1/faults/f/close")
    assert client.post("/v1/faults/f/assign", json={"assignee": "李敏"}).status_code == 409


def test_closing_keeps_the_resolution_and_happens_once(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    client = cast.client("yaxin")
    body = client.post("/v1/faults/f/close", json={"resolution": "lock replaced"}).json()
    assert (body["state"], body["resolution"]) == ("closed", "lock replaced")
    assert body["acknowledged_by"] == "wang-jianguo"
    again = client.post("/v1/faults/f/close")
    assert again.status_code == 409
    assert again.json()["fault"]["resolution"] == "lock replaced"


def test_an_action_leaves_alone_what_the_judge_writes(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", occurrences=3, evidence={"silent_s": 90})
    cast.client("operator").post("/v1/faults/f/acknowledge")
    with cast.write() as connection:
        row = connection.execute(select(faults)).one()
        assert (row.occurrences, row.evidence, row.device) == (3, {"silent_s": 90}, GATE)
        connection.execute(update(faults).values(severity="P2"))
    body = cast.client("operator").post("/v1/faults/f/comment", json={"note": "still bad"}).json()
    assert body["severity"] == "P2"


def test_a_fault_is_shelved_until_a_time_and_taken_back(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    client = cast.client("yaxin")
    # without a zone it is the compound's time
    body = client.post(
        "/v1/faults/f/shelve", json={"until": "2026-11-24T08:00", "note": "waits for the part"}
    ).json()
    assert (body["state"], body["shelved_until"]) == ("open", "2026-11-24T00:00:00.000Z")
    event = body["events"][-1]
    assert (event["reason"], event["note"]) == ("shelved", "waits for the part")
    assert event["evidence"] == {"until_at": "2026-11-24T00:00:00.000Z"}
    later = client.post("/v1/faults/f/shelve", json={"until": "2026-11-25T00:00:00Z"}).json()
    assert later["shelved_until"] == "2026-11-25T00:00:00.000Z"
    back = client.post("/v1/faults/f/unshelve").json()
    assert (back["shelved_until"], back["events"][-1]["reason"]) == (None, "unshelved")
    again = client.post("/v1/faults/f/unshelve")
    assert again.status_code == 409
    assert "not shelved" in again.json()["detail"]


@pytest.mark.parametrize(
    ("until", "why"),
    [
        ("2026-11-23T11:42:10Z", "within the next 31 days"),  # now
        ("2026-11-22", "within the next 31 days"),
        ("2026-12-25", "within the next 31 days"),
        ("tomorrow", "no RFC 3339 time"),
    ],
)
def test_a_shelf_has_an_end_that_is_to_come_and_not_far_off(
    cast: Cast, until: str, why: str
) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    answer = cast.client("operator").post("/v1/faults/f/shelve", json={"until": until})
    assert answer.status_code == 422
    assert why in answer.json()["detail"]
    assert cast.client("operator").post("/v1/faults/f/shelve", json={}).status_code == 422


def test_a_safety_fault_cannot_be_shelved_and_the_answer_says_why(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "smoke", code="SHED_SMOKE", severity="P1", safety=True)
        a_fault(
            connection, "ours", device=None, compound=None, kind="platform", code="SYS_PROBE_LOST"
        )
    for fault, why in (("smoke", "safety fault"), ("ours", "our own")):
        answer = cast.client("operator").post(
            f"/v1/faults/{fault}/shelve", json={"until": "2026-11-24"}
        )
        assert answer.status_code == 409
        assert why in answer.json()["detail"]
        assert answer.json()["fault"]["shelved_until"] is None


def test_who_is_on_site_has_acknowledged_it_and_who_repaired_it_leaves_the_rest_to_the_device(
    cast: Cast,
) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    client = cast.client("yaxin")
    there = client.post("/v1/faults/f/onsite", json={"note": "at the gate"}).json()
    assert (there["state"], there["acknowledged_by"]) == ("acknowledged", "wang-jianguo")
    assert there["onsite_at"] == "2026-11-23T11:42:10.000Z"
    cast.now_ms += MINUTE_MS
    done = client.post("/v1/faults/f/repaired").json()
    assert (done["state"], done["repaired_at"]) == ("acknowledged", "2026-11-23T11:43:10.000Z")
    assert [event["reason"] for event in done["events"]] == ["raised", "onsite", "repaired"]
    for action in ("onsite", "repaired"):
        assert client.post(f"/v1/faults/f/{action}").status_code == 409
    client.post("/v1/faults/f/close")
    for action in ("onsite", "repaired", "unshelve", "confirm"):
        assert client.post(f"/v1/faults/f/{action}").status_code == 409


def test_what_was_suspected_is_confirmed_or_was_a_false_alarm(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "so", code="GATE_NO_PASSAGE", suspected=True)
        a_fault(connection, "not", code="DEV_VALUE_FROZEN", suspected=True)
    client = cast.client("yaxin")
    body = client.post("/v1/faults/so/confirm", json={"note": "nobody gets in"}).json()
    assert (body["suspected"], body["state"]) == (False, "open")
    assert body["confirmed_at"] == "2026-11-23T11:42:10.000Z"
    event = body["events"][-1]
    assert (event["reason"], event["held"]) == ("confirmed", None)  # now people are told
    again = client.post("/v1/faults/so/confirm")
    assert again.status_code == 409
    assert "not suspected" in again.json()["detail"]
    refuted = client.post("/v1/faults/not/close", json={"resolution": "false_alarm"}).json()
    assert (refuted["state"], refuted["resolution"]) == ("closed", "false_alarm")
    assert refuted["suspected"]


def test_flaps_and_the_fault_before_are_shown(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "first", state="closed")
        a_fault(connection, "second", flaps=17, repeat_of="first", maintenance="m1")
        a_fault_event(connection, "second", reason="reopened", held="flapping")
    body = cast.client("operator").get("/v1/faults/second").json()
    assert (body["flaps"], body["repeat_of"], body["maintenance"]) == (17, "first", "m1")
    assert body["events"][-1]["held"] == "flapping"


RANKS = {"a": 2010.5, "b": 9001.0, "c": 2010.5, "d": 12.0, "e": 2999.1, "f": 2010.5}


def some_ranked(cast: Cast) -> None:
    """Six faults, two of them closed; three have the same rank."""
    with cast.write() as connection:
        for n, (fault, rank) in enumerate(RANKS.items()):
            state = "closed" if fault in "ce" else "open"
            code = ("GATE_TAMPER", "GATE_FORCED", "GATE_PANIC", "GATE_DURESS")[n % 4]
            a_fault(connection, fault, rank=rank, state=state, code=code,
                    subject=f"gate-{n}", opened_at_ms=NOW_MS - n * MINUTE_MS)  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
@pytest.mark.parametrize(
    ("asked", "order"),
    [("", "beacfd"), ("&state=open", "bafd"), ("&state=closed", "ec"), ("&device=" + GATE, None)],
)
def test_by_rank_what_is_to_be_dealt_with_first_comes_first_on_every_page(
    cast: Cast, asked: str, order: str | None, limit: int
) -> None:
    some_ranked(cast)
    order = order or "beacfd"
    client = cast.client("operator")
    found, cursor = "", ""
    while True:
        address = f"/v1/faults?sort=rank&limit={limit}{asked}"
        page = client.get(address + (f"&cursor={cursor}" if cursor else "")).json()
        found += "".join(item["id"] for item in page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == order


def test_a_cursor_of_one_order_is_none_of_the_other(cast: Cast) -> None:
    some_ranked(cast)
    client = cast.client("operator")
    cursor = client.get("/v1/faults?sort=rank&limit=2").json()["next_cursor"]
    assert client.get(f"/v1/faults?limit=2&cursor={cursor}").status_code == 422
    assert client.get(f"/v1/faults?sort=newest&limit=2&cursor={cursor}").status_code == 422
    assert client.get("/v1/faults?sort=worst").status_code == 422


def test_without_an_order_the_newest_still_come_first(cast: Cast) -> None:
    some_ranked(cast)
    page = cast.client("operator").get("/v1/faults").json()
    assert [item["id"] for item in page["items"]] == list("abcdef")


def test_another_firms_faults_have_no_rank_for_us(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "theirs", device=STRANGE_GATE, compound=LIANXIN, rank=9_999.0)
    page = cast.client("yaxin").get("/v1/faults?sort=rank").json()
    assert page["items"] == []
