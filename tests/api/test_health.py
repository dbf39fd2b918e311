import re

import msgspec
import pytest
from sqlalchemy import delete

from devices.journal import PROBE, TICK, Record
from devices.store import progress
from devices.store.accounts import Forwarded
from devices.store.schema import cursors
from devices.telemetry import Retry
from tests.api.cast import GATE, NOW_MS, XIANGYUNLI, Cast, a_fault, a_judge, a_target
from tests.api.test_errors import database_away


def test_it_lives_also_while_the_database_does_not(cast: Cast) -> None:
    with database_away(cast):
        answer = cast.client(None).get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


@pytest.mark.parametrize(
    ("age_ms", "status", "probe", "judge"),
    [
        (0, 200, True, True),
        (15_000, 200, True, True),
        (15_001, 503, False, True),
        (59_999, 503, False, True),
        (60_000, 503, False, False),
    ],
)
def test_ready_while_a_probe_came_back_within_15_seconds(
    cast: Cast, age_ms: int, status: int, probe: bool, judge: bool
) -> None:
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - age_ms)
    answer = cast.client(None).get("/readyz")
    assert answer.status_code == status
    checks = answer.json()["checks"]
    assert (checks["probe"]["ok"], checks["judge"]["ok"]) == (probe, judge)


def a_probe(record: int, age_ms: int) -> Record:
    control = {"n": 1, "sent_ms": NOW_MS - age_ms - 40, "at_ms": NOW_MS - age_ms}
    return Record(record, PROBE, 1, 0, 1, control=control)


def ticks(first: int, last: int) -> list[Record]:
    return [Record(n, TICK, 1, 0, 1, control={"at_ms": NOW_MS}) for n in range(first, last + 1)]


@pytest.mark.parametrize(
    ("probe_age_ms", "judge_age_ms", "status", "probe", "judge"),
    [
        (15_000, 59_999, 200, True, True),  # the judge is behind, the broker is well
        (15_001, 2_000, 503, False, True),
        (1_000, 60_000, 503, True, False),
    ],
)
def test_whether_a_probe_came_back_is_told_by_the_journal_not_by_the_judge(
    cast: Cast, probe_age_ms: int, judge_age_ms: int, status: int, probe: bool, judge: bool
) -> None:
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - judge_age_ms)
    cast.journal.records = [
        a_probe(1, 90_000),
        a_probe(2, probe_age_ms),
        *ticks(3, 200),
    ]
    answer = cast.client(None).get("/readyz")
    assert answer.status_code == status
    checks = answer.json()["checks"]
    assert (checks["probe"]["ok"], checks["judge"]["ok"]) == (probe, judge)


@pytest.mark.parametrize("away", [True, False])
def test_where_the_journal_cannot_tell_the_judge_does(cast: Cast, away: bool) -> None:
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - 2000)
    # one that lies further back than we look; or no journal on this machine
    cast.journal.records = [a_probe(1, 90_000), *ticks(2, 2000)]
    cast.journal.away = away
    answer = cast.client(None).get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["probe"]["ok"]) == (200, True)


def test_not_ready_before_anything_was_judged(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(delete(cursors))
    answer = cast.client(None).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not_ready"
    assert answer.json()["checks"]["judge"]["detail"] == "has judged nothing yet"


def test_a_telemetry_store_that_lags_only_degrades(cast: Cast) -> None:
    with cast.write() as connection:
        a_judge(connection, position=900)
        a_judge(connection, name="forward", position=100, updated_at_ms=NOW_MS - 61_000)
    answer = cast.client(None).get("/readyz")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["degraded"]) == ("degraded", ["telemetry"])


@pytest.mark.parametrize(
    ("paused", "said"),
    [(Retry.LATER, "does not answer"), (Retry.AFTER_REPAIR, "refuses us: repair token")],
)
def test_a_paused_telemetry_store_degrades_at_once_and_says_why(
    cast: Cast, paused: Retry, said: str
) -> None:
    memory = msgspec.msgpack.encode(Forwarded(5, 0, paused))
    with cast.write() as connection:
        a_judge(connection, position=900)
        a_judge(
            connection, name="forward", position=899, updated_at_ms=NOW_MS - 1000, memory=memory
        )
    answer = cast.client(None).get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (200, ["telemetry"])
    assert said in answer.json()["checks"]["telemetry"]["detail"]


def test_a_telemetry_store_that_is_catching_up_is_fine(cast: Cast) -> None:
    with cast.write() as connection:
        a_judge(connection, position=900)
        a_judge(connection, name="forward", position=100, updated_at_ms=NOW_MS - 1000)
    assert cast.client(None).get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize(("done", "seen"), [(42, True), (168, False)])
def test_the_body_says_how_far_a_history_has_come_until_it_is_complete(
    demo: Cast, done: int, seen: bool
) -> None:
    with demo.write() as connection:
        a_judge(connection)
        progress.report(connection, progress.HISTORY, done, 168, {}, NOW_MS)
    body = demo.client(None).get("/readyz").json()
    assert body.get("history") == ({"done": 42, "total": 168, "unit": "hours"} if seen else None)
    strip = demo.neighbour().get("/", headers={"Accept-Language": "en"}).text
    assert ("25 % filled in" in strip) is seen


def test_not_ready_while_the_database_is_away_and_says_so(cast: Cast) -> None:
    with database_away(cast):
        answer = cast.client(None).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": {"ok": False, "detail": "does not answer"}}


def value(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, f"{name} is not in\n{text}"
    return float(found[1])


def test_open_faults_are_a_metric_by_severity(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "a", severity="P2")
        a_fault(connection, "b", code="GATE_TAMPER", severity="P2")
        a_fault(connection, "c", code="GATE_PANIC", severity="P1", state="closed")
    text = cast.client(None).get("/metrics").text
    assert value(text, 'courtyard_faults_open{severity="P2"}') == 2
    assert value(text, 'courtyard_faults_open{severity="P1"}') == 0


def test_open_faults_are_unknown_while_the_database_is_away(cast: Cast) -> None:
    cast.client(None).get("/metrics")
    with database_away(cast):
        answer = cast.client(None).get("/metrics")
    assert answer.status_code == 200
    assert "courtyard_faults_open{" not in answer.text


def test_requests_are_counted_by_route_without_any_id(cast: Cast) -> None:
    client = cast.client("operator")
    client.get(f"/v1/devices/{GATE}")
    client.get("/v1/devices/nobody")
    client.get(f"/v1/{XIANGYUNLI}")
    text = client.get("/metrics").text
    route = 'courtyard_api_requests_total{method="GET",route="/v1/devices/{device}"'
    assert value(text, f'{route},status="200"}}') == 1
    assert value(text, f'{route},status="404"}}') == 1
    assert value(text, 'courtyard_api_requests_total{method="GET",route="none",status="404"}') == 1
    assert GATE not in text
    assert XIANGYUNLI not in text


def test_two_applications_count_apart(cast: Cast, demo: Cast) -> None:
    cast.client("operator").get("/v1/compounds")
    assert "/v1/compounds" not in demo.client(None).get("/metrics").text


def test_an_alarm_of_our_own_degrades_it_and_is_named(cast: Cast) -> None:
    with cast.write() as connection:
        for state in ("open", "closed"):
            a_fault(
                connection,
                f"ours-{state}",
                subject="platform",
                device=None,
                compound=None,
                kind="platform",
                code="SYS_SESSION_LOST" if state == "open" else "SYS_DISK",
                severity="P2",
                state=state,
            )
    answer = cast.client(None).get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (200, ["alarms"])
    assert answer.json()["checks"]["alarms"]["detail"] == "SYS_SESSION_LOST"


def alerts_said_so(cast: Cast, age_ms: int) -> None:
    with cast.write() as connection:
        progress.report(connection, progress.ALERTS, 9, 0, {}, NOW_MS - age_ms)


def test_alerts_that_never_ran_degrade_as_soon_as_somebody_is_to_be_told(cast: Cast) -> None:
    client = cast.client(None)
    assert client.get("/readyz").json()["status"] == "ready"
    with cast.write() as connection:
        a_target(connection, "duty")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (200, ["alerts"])
    assert "has not run yet" in answer.json()["checks"]["alerts"]["detail"]


@pytest.mark.parametrize(("age_ms", "degraded"), [(30_000, []), (30_001, ["alerts"])])
def test_alerts_that_are_stuck_degrade(cast: Cast, age_ms: int, degraded: list[str]) -> None:
    alerts_said_so(cast, age_ms)
    answer = cast.client(None).get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (200, degraded)


def test_what_waits_to_be_decided_on_is_told_as_behind_not_by_when_it_happened(cast: Cast) -> None:
    alerts_said_so(cast, 4_000)
    with cast.write() as connection:
        a_fault(connection, "late", opened_at_ms=NOW_MS - 86_400_000)
    checks = cast.client(None).get("/readyz").json()["checks"]
    assert checks["alerts"] == {"ok": True, "detail": "4.0 s behind; there is no target"}


def test_a_broken_target_degrades(cast: Cast) -> None:
    alerts_said_so(cast, 0)
    with cast.write() as connection:
        a_target(connection, "duty", broken="310000: wrong secret")
        a_target(connection, "desk")
    answer = cast.client(None).get("/readyz")
    assert answer.json()["degraded"] == ["alerts"]
    assert "1 of 2 targets broken" in answer.json()["checks"]["alerts"]["detail"]
    assert "310000" not in answer.text
