import pytest

from tests.api.cast import (
    HOUR_MS,
    LIANXIN,
    NOW_MS,
    PORT,
    SHED,
    XIANGYUNLI,
    Cast,
    a_session,
)

URL = f"/v1/compounds/{XIANGYUNLI}/sessions"


def test_a_session_is_shown_as_the_shed_reported_it(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "s1")
    body = cast.client("yaxin").get(URL).json()
    assert body["items"] == [
        {
            "id": "s1",
            "compound": XIANGYUNLI,
            "shed": SHED,
            "port": PORT,
            "order": "s1",
            "state": "closed",
            "started_at": "2026-11-23T07:42:10.000Z",
            "ended_at": "2026-11-23T10:42:10.000Z",
            "duration_s": 10800,
            "energy_kwh": 0.54,
            "fee_fen": 60,
            "stop_reason": "full",
            "native_reason": "1",
            "ended_by": "device",
            "provisional": False,
        }
    ]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["running", "morning", "night", "unknown-start"]),
        ("state=open", ["running"]),
        (f"port={PORT}", ["running", "morning", "unknown-start"]),
        ("port=nowhere", []),
        (f"shed={SHED}", ["running", "morning", "night", "unknown-start"]),
        ("from=2026-11-23T15:00", ["running"]),  # local time
        ("to=2026-11-23T07:00:00Z", ["morning", "night"]),
        ("from=2026-11-23&to=2026-11-24", ["running", "morning"]),
        ("limit=1", ["running"]),
    ],
)
def test_sessions_by_port_shed_state_and_start(cast: Cast, query: str, ids: list[str]) -> None:
    with cast.write() as connection:
        a_session(connection, "morning", started_at_ms=NOW_MS - 9 * HOUR_MS)
        a_session(
            connection,
            "night",
            started_at_ms=NOW_MS - 22 * HOUR_MS,
            port=f"{SHED}-p02",
        )
        a_session(
            connection,
            "running",
            state="open",
            started_at_ms=NOW_MS - HOUR_MS,
            ended_at_ms=None,
            duration_s=None,
            energy_kwh=None,
            fee_fen=None,
            stop_reason=None,
            native_reason=None,
            ended_by=None,
        )
        a_session(connection, "unknown-start", started_at_ms=None)
    body = cast.client("operator").get(f"{URL}?{query}").json()
    assert [item["id"] for item in body["items"]] == ids


def test_pages_go_on_into_the_sessions_whose_start_is_unknown(cast: Cast) -> None:
    with cast.write() as connection:
        for n in range(3):
            a_session(connection, f"known-{n}", started_at_ms=NOW_MS - n * HOUR_MS)
            a_session(connection, f"unknown-{n}", started_at_ms=None)
    client = cast.client("operator")
    seen: list[str] = []
    parameters = {"limit": "2"}
    while True:
        body = client.get(URL, params=parameters).json()
        seen += [item["id"] for item in body["items"]]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == ["known-0", "known-1", "known-2", "unknown-2", "unknown-1", "unknown-0"]


def test_no_shed_is_an_empty_list(cast: Cast) -> None:
    answer = cast.client("operator").get(f"/v1/compounds/{LIANXIN}/sessions")
    assert answer.json() == {"items": [], "next_cursor": None}
