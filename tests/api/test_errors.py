"""Every error is a problem detail that says what was wrong, where, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from devices.telemetry import TelemetryAway, TelemetryError, TelemetryRefused
from tests.api.cast import GATE, XIANGYUNLI, Cast, a_fault


def named(body: dict[str, object]) -> str:
    errors = body["errors"]
    assert isinstance(errors, list)
    return str(errors[0]["parameter"])


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/v1/faults?colour=red", "colour"),
        ("/v1/compounds?from=2026-11-23", "from"),
        ("/livez?verbose=1", "verbose"),
        (f"/v1/devices/{GATE}?kind=gate", "kind"),
        ("/v1/faults?limit=0", "limit"),
        ("/v1/faults?limit=501", "limit"),
        ("/v1/faults?limit=many", "limit"),
        ("/v1/faults?limit=1&limit=2", "limit"),
        ("/v1/faults?cursor=nonsense", "cursor"),
        ("/v1/faults?cursor=", "cursor"),
        ("/v1/faults?cursor=%E6%A8%A1", "cursor"),
        ("/v1/faults?from=1795434130123", "from"),
        ("/v1/faults?from=2027-01-01", "from"),
        ("/v1/faults?to=yesterday", "to"),
        ("/v1/faults?from=2026-11-02&to=2026-11-01", "to"),
        ("/v1/faults?state=broken", "state"),
        ("/v1/faults?severity=P5", "severity"),
        ("/v1/faults?severity=p1", "severity"),
        ("/v1/faults?code=GATE_ON_FIRE", "code"),
        ("/v1/faults?kind=fridge", "kind"),
        ("/v1/faults?suppressed=perhaps", "suppressed"),
        ("/v1/devices?kind=fridge", "kind"),
        ("/v1/devices?state=happy", "state"),
        ("/v1/quarantine?reason=ugly", "reason"),
        ("/v1/quarantine/nine", "refused"),
        ("/v1/quarantine/0", "refused"),
        ("/v1/quarantine/99999999999999999999", "refused"),
        (f"/v1/compounds/{XIANGYUNLI}/usage?bucket=year", "bucket"),
        (f"/v1/compounds/{XIANGYUNLI}/usage?from=2020-01-01", "from"),
        (f"/v1/compounds/{XIANGYUNLI}/usage?from=2026-06-01&bucket=hour", "bucket"),
        (f"/v1/compounds/{XIANGYUNLI}/sessions?state=cleared", "state"),
        (f"/v1/devices/{GATE}/telemetry", "quantity"),
        (f"/v1/devices/{GATE}/telemetry?quantity=aura", "quantity"),
        (f"/v1/devices/{GATE}/telemetry?quantity=door_state&every=2w", "every"),
        (f"/v1/devices/{GATE}/telemetry?quantity=door_state&every=0s", "every"),
        (f"/v1/devices/{GATE}/telemetry?quantity=door_state&every=25h", "every"),
        (f"/v1/devices/{GATE}/telemetry?quantity=door_state&from=2020-01-01", "from"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_422_and_named(
    cast: Cast, path: str, parameter: str
) -> None:
    answer = cast.client("operator").get(path)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert named(body) == parameter
    assert body["status"] == 422
    assert parameter in body["detail"]


@pytest.mark.parametrize(
    ("action", "body", "parameter"),
    [
        ("comment", {}, "note"),
        ("comment", {"note": "  "}, "note"),
        ("comment", {"note": "x" * 2001}, "note"),
        ("comment", {"note": "on site", "until": "tomorrow"}, "until"),
        ("assign", {"note": "for you"}, "assignee"),
        ("close", {"resolution": 7}, "resolution"),
        ("acknowledge", {"actor": "somebody-else"}, "actor"),
    ],
)
def test_a_body_that_cannot_be_used_is_422_and_named(
    cast: Cast, action: str, body: dict[str, object], parameter: str
) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    answer = cast.client("operator").post(f"/v1/faults/f/{action}", json=body)
    assert answer.status_code == 422
    assert named(answer.json()) == parameter


def test_a_body_that_is_no_json_is_422(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    answer = cast.client("operator").post(
        "/v1/faults/f/comment", content=b"{oops", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_route_that_does_not_exist_is_a_404_problem(cast: Cast) -> None:
    answer = cast.client("operator").get("/v1/unicorns")
    assert answer.status_code == 404
    assert answer.json() == {
        "type": "urn:courtyard:problem:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this address for you: check the id.",
    }


def test_a_method_that_the_route_does_not_have_is_a_405_that_names_the_others(cast: Cast) -> None:
    answer = cast.client("operator").delete("/v1/compounds")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
    assert answer.json()["detail"] == "This address answers to GET."


@contextmanager
def database_away(cast: Cast) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("disk I/O error"))

    event.listen(cast.engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(cast.engine, "before_cursor_execute", refuse)


def test_a_database_that_is_away_is_503_and_says_when_to_come_back(cast: Cast) -> None:
    with database_away(cast):
        answer = cast.client("operator").get("/v1/compounds")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "disk I/O" not in answer.text


@pytest.mark.parametrize(
    ("error", "after_s"),
    [
        (TelemetryAway("timeout"), 5),
        (TelemetryAway("429", retry_after_s=17), 17),
        (TelemetryRefused("401"), 60),
    ],
)
def test_a_telemetry_store_that_is_away_is_503(
    cast: Cast, error: TelemetryError, after_s: int
) -> None:
    cast.telemetry.fails = [error]
    answer = cast.client("operator").get(f"/v1/devices/{GATE}/telemetry?quantity=door_state")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == str(after_s)


def test_an_error_of_ours_is_a_500_problem_that_tells_nothing_of_the_inside(cast: Cast) -> None:
    cast.telemetry.series = None  # type: ignore[assignment]
    with capture_logs() as logs:
        answer = cast.client("operator").get(f"/v1/devices/{GATE}/telemetry?quantity=door_state")
    assert [line["log_level"] for line in logs] == ["error"]
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "NoneType" not in answer.text


def test_every_answer_tells_browsers_what_they_may_do(cast: Cast) -> None:
    for path in ("/v1/compounds", "/v1/nothing", "/", "/login", "/livez"):
        headers = cast.client("operator").get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
