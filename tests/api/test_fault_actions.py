"""What people do about a fault is one table: the API and the console's forms do the same."""

import pytest
from sqlalchemy import select

from api.fault_actions import ACTIONS
from devices.store.database import reading
from devices.store.schema import fault_events, faults
from tests.api.cast import HOUR_MS, NOW_MS, XIANGYUNLI, Cast, a_fault
from tests.api.console.test_login import OURS, logged_in

BODIES = {
    "comment": {"note": "on my way"},
    "assign": {"assignee": "wang", "note": "on my way"},
    "shelve": {"until": "2026-11-23T15:42:10Z", "note": "on my way"},
}
OF_API = [name for name, action in ACTIONS.items() if action.read is not None]


def ready_for_all(cast: Cast, *ids: str) -> None:
    """Faults that anything can be done about: guesses, open, and shelved for now."""
    with cast.write() as connection:
        for n, fault in enumerate(ids):
            a_fault(
                connection,
                fault,
                code=("GATE_NO_PASSAGE", "DEV_VALUE_FROZEN")[n],
                suspected=True,
                shelved_until_ms=NOW_MS + HOUR_MS,
            )


def last_step(cast: Cast, fault: str) -> tuple[object, ...]:
    """What was done last to a fault, and what it is now."""
    event, row = fault_events.c, faults.c
    with reading(cast.engine) as connection:
        done = connection.execute(
            select(event.reason, event.actor, event.note)
            .where(event.fault == fault)
            .order_by(event.id.desc())
            .limit(1)
        ).one()
        now = connection.execute(
            select(
                row.state, row.suspected, row.assignee, row.shelved_until_ms, row.resolution
            ).where(row.id == fault)
        ).one()
    return (*done, *now)


@pytest.mark.parametrize("name", OF_API)
def test_a_form_does_what_the_api_does(cast: Cast, name: str) -> None:
    ready_for_all(cast, "by-api", "by-form")
    body = BODIES.get(name, {"note": "on my way"})
    told = cast.client("operator").post(f"/v1/faults/by-api/{name}", json=body)
    assert told.status_code == 200
    form = {"note": "on my way", "assignee": "wang", "hours": "4"}
    client = logged_in(cast, "operator")
    answer = client.post(f"/faults/by-form/{name}", data=form, headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/faults/by-form")
    assert last_step(cast, "by-form") == last_step(cast, "by-api")
    assert last_step(cast, "by-form")[2] == "on my way"


def test_what_only_a_form_has_is_a_close_with_a_resolution_at_the_api(cast: Cast) -> None:
    ready_for_all(cast, "by-api", "by-form")
    client = cast.client("operator")
    assert client.post("/v1/faults/by-api/refute").status_code in (404, 405)
    client.post("/v1/faults/by-api/close", json={"resolution": "false_alarm"})
    logged_in(cast, "operator").post("/faults/by-form/refute", headers=OURS)
    assert last_step(cast, "by-form") == last_step(cast, "by-api")


def test_every_action_of_the_table_is_documented_by_its_text(cast: Cast) -> None:
    paths = cast.client("operator").get("/openapi.json").json()["paths"]
    told = {
        path.removeprefix("/v1/faults/{fault}/"): of["post"]["description"]
        for path, of in paths.items()
        if path.startswith("/v1/faults/{fault}/") and "post" in of
    }
    assert told == {name: ACTIONS[name].text for name in OF_API}


def test_an_action_that_is_not_in_the_table_is_404(cast: Cast) -> None:
    ready_for_all(cast, "f")
    client = cast.client("operator")
    assert logged_in(cast, "operator").post("/faults/f/explode", headers=OURS).status_code == 404
    assert client.post("/v1/faults/f/explode").status_code in (404, 405)
    assert client.get(f"/v1/compounds/{XIANGYUNLI}/faults").json()["items"][0]["state"] == "open"


def test_a_form_that_takes_a_note_is_sent_back_without_one(cast: Cast) -> None:
    ready_for_all(cast, "f")
    client = logged_in(cast, "operator")
    answer = client.post("/faults/f/comment", data={"note": "  "}, headers=OURS)
    assert answer.status_code == 422
    assert last_step(cast, "f")[0] == "raised"
