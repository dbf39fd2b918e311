from devices.alerts import DeliveryState
from tests.api.cast import NOW_MS, Cast, a_summary, a_target


def test_summaries_are_listed_with_what_was_answered_the_newest_first(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "own", name="值班群")
        a_target(connection, "strange", firm="kangqiao")
        a_summary(connection, "own")
        a_summary(connection, "strange")
        failed = {"state": DeliveryState.FAILED.value, "answer": "500", "done_at_ms": None}
        a_summary(connection, "own", day="2026-11-22", created_at_ms=NOW_MS - 1, **failed)
    client = cast.client("yaxin")
    first = client.get("/v1/summaries?limit=1").json()
    assert first["items"] == [
        {
            "target": "own",
            "target_name": "值班群",
            "channel": "dingtalk",
            "firm": "yaxin",
            "day": "2026-11-23",
            "counts": {"open": 3, "new": 0, "cleared": 0, "overdue": 0, "suspected": 0},
            "state": "delivered",
            "attempts": 1,
            "answer": "ok",
            "created_at": "2026-11-23T11:42:10.000Z",
            "attempted_at": "2026-11-23T11:42:10.000Z",
            "at": "2026-11-23T11:42:10.000Z",
        }
    ]
    second = client.get(f"/v1/summaries?limit=1&cursor={first['next_cursor']}").json()
    assert [(one["state"], one["answer"]) for one in second["items"]] == [("failed", "500")]
    assert second["next_cursor"] is None
    assert len(cast.client("operator").get("/v1/summaries").json()["items"]) == 3
    assert cast.client("kangqiao").get("/v1/summaries?target=own").json()["items"] == []


def test_an_alertmanager_wants_no_summaries(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "t", channel="alertmanager")
    answer = cast.client("yaxin").put("/v1/targets/t/hours", json={"daily_summary_at": "08:00"})
    assert answer.status_code == 422
