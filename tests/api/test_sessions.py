import pytest
from sqlalchemy import update

from devices.store.registry import device_numbers
from devices.store.schema import device_state
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
            "reconciliation": {
                "status": "agrees",
                "why": "both",
                "status_text": {"zh": "一致", "en": "agrees"},
                "why_text": {
                    "zh": "上报电量与寄存器、功率积分一致",
                    "en": "the reported energy agrees with the register and the power",
                },
                "reported_kwh": 0.54,
                "register_kwh": 0.5,
                "register_known": 1.0,
                "power_kwh": 0.5,
                "power_known": 0.99,
                "compared": [
                    {"one": "reported", "other": "register", "apart_pct": 0.0, "agree": True},
                    {"one": "reported", "other": "power", "apart_pct": 0.0, "agree": True},
                    {"one": "register", "other": "power", "apart_pct": 0.0, "agree": True},
                ],
            },
        }
    ]


@pytest.mark.parametrize(
    ("more", "status", "why", "apart"),
    [
        ({"power_kwh": 1.0}, "apart", "power_apart", [0.0, 46.0, 50.0]),
        ({"register_kwh": 0.2, "power_kwh": 0.2}, "apart", "both_apart", [170.0, 170.0, 0.0]),
        ({"power_known": 0.5}, "agrees", "register", [0.0]),
        ({"power_known": 0.5, "register_known": 0.4}, "unknown", "gaps", []),
        ({"ended_by": "platform", "provisional": True}, "unknown", "no_end", [0.0]),
        (
            dict.fromkeys(("register_kwh", "register_known", "power_kwh", "power_known")),
            "unknown",
            "awaited",
            [],
        ),
    ],
)
def test_a_session_says_whether_its_energy_is_what_was_measured(
    cast: Cast, more: dict[str, object], status: str, why: str, apart: list[float]
) -> None:
    with cast.write() as connection:
        a_session(connection, "s1", **more)
    (item,) = cast.client("yaxin").get(URL).json()["items"]
    told = item["reconciliation"]
    assert (told["status"], told["why"]) == (status, why)
    assert [round(one["apart_pct"], 1) for one in told["compared"]] == apart
    assert (told["reported_kwh"] is None) is (item["ended_by"] == "platform")
    assert told["why_text"]["zh"]
    assert told["why_text"]["en"]


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


@pytest.mark.parametrize(("heard_s_ago", "state"), [(60, "open"), (181, "unknown")])
def test_an_open_session_of_a_silent_socket_is_unknown_and_not_ended(
    cast: Cast, heard_s_ago: int, state: str
) -> None:
    with cast.write() as connection:
        a_session(connection, "s1", state="open", ended_at_ms=None, ended_by=None)
        number = device_numbers(connection)[PORT]
        connection.execute(
            update(device_state)
            .where(device_state.c.device_no == number)
            .values(device_at_ms=NOW_MS - heard_s_ago * 1000)
        )
    client = cast.client("yaxin")
    for query in ("", "?state=open"):
        (item,) = client.get(URL + query).json()["items"]
        assert item["state"] == state
        assert item["reconciliation"]["why"] == "open"


def test_a_range_may_be_a_duration_or_an_interval(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "today", started_at_ms=NOW_MS - HOUR_MS)
        a_session(connection, "before", started_at_ms=NOW_MS - 72 * HOUR_MS)
    client = cast.client("yaxin")
    for asked, found in (
        ("from=P1D", ["today"]),
        ("from=2026-11-20/P1D", ["before"]),
        ("from=P7D", ["today", "before"]),
    ):
        items = client.get(f"{URL}?{asked}").json()["items"]
        assert [item["id"] for item in items] == found
    refused = client.get(f"{URL}?from=P7D&to=P7D")
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "to")


def test_a_page_of_them_is_a_table_that_leads_to_the_next(cast: Cast) -> None:
    with cast.write() as connection:
        for n in range(3):
            a_session(connection, f"s{n}", started_at_ms=NOW_MS - n * HOUR_MS, order=f"=1+{n}")
    client = cast.client("yaxin")
    csv = {"Accept": "text/csv"}
    first = client.get(f"{URL}?limit=2&from=P1D", headers=csv)
    lines = first.text.removeprefix("\ufeff").splitlines()
    assert lines[0].startswith("id,compound,shed,port,order,state,started_at,ended_at,duration_s,")
    assert lines[1].startswith(
        f"s0,{XIANGYUNLI},{SHED},{PORT},'=1+0,closed,2026-11-23T19:42:10+08:00,"
    )
    assert lines[1].endswith(",device,false,0.54,0.5,1.0,0.5,0.99,agrees,both")
    assert len(lines) == 3
    link = first.headers["Link"]
    assert link.endswith('>; rel="next"')
    second = client.get(link[1 : link.index(">")], headers=csv)
    assert [line.partition(",")[0] for line in second.text.splitlines()[1:]] == ["s2"]
    assert "Link" not in second.headers
