"""Idempotency-Key: an action that is sent again is done once, and answered as the first time."""

import pytest
from sqlalchemy import func, select

from api.once import MOST_CHARACTERS
from devices.faults import Why
from devices.store import idempotency
from devices.store.database import reading
from devices.store.idempotency import KEPT_MS
from devices.store.schema import fault_events, idempotency_keys, revisions
from tests.api.cast import XIANGYUNLI, Cast, a_fault, a_refusal

COMMENT = "/v1/faults/one/comment"


def with_key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def a_cast_with_a_fault(cast: Cast) -> Cast:
    with cast.write() as connection:
        a_fault(connection, "one")
    return cast


def comments(cast: Cast) -> int:
    with reading(cast.engine) as connection:
        query = select(func.count()).where(fault_events.c.reason == Why.COMMENTED)
        return connection.scalar(query) or 0


def test_a_comment_that_is_sent_again_is_there_once(cast: Cast) -> None:
    client = a_cast_with_a_fault(cast).client("operator")
    first, again = (
        client.post(COMMENT, json={"note": "on site"}, headers=with_key("k1")) for _ in range(2)
    )
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert comments(cast) == 1


def test_without_a_key_it_is_done_each_time(cast: Cast) -> None:
    client = a_cast_with_a_fault(cast).client("operator")
    for _ in range(2):
        assert client.post(COMMENT, json={"note": "on site"}).status_code == 200
    assert comments(cast) == 2


def test_the_first_answer_comes_also_when_the_state_has_moved_on(cast: Cast) -> None:
    client = a_cast_with_a_fault(cast).client("operator")
    first = client.post("/v1/faults/one/acknowledge", headers=with_key("k1"))
    client.post("/v1/faults/one/close", headers=with_key("k2"))
    again = client.post("/v1/faults/one/acknowledge", headers=with_key("k1"))
    assert again.status_code == 200
    assert again.content == first.content
    assert client.post("/v1/faults/one/acknowledge").status_code == 409


@pytest.mark.parametrize(
    ("path", "body"),
    [(COMMENT, {"note": "another"}), ("/v1/faults/one/acknowledge", {"note": "on site"})],
)
def test_another_body_or_address_under_the_same_key_is_refused(
    cast: Cast, path: str, body: dict[str, str]
) -> None:
    client = a_cast_with_a_fault(cast).client("operator")
    client.post(COMMENT, json={"note": "on site"}, headers=with_key("k1"))
    refused = client.post(path, json=body, headers=with_key("k1"))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert comments(cast) == 1


def test_a_key_is_a_tokens_own(cast: Cast) -> None:
    a_cast_with_a_fault(cast)
    for name in ("operator", "yaxin"):
        said = cast.client(name).post(COMMENT, json={"note": name}, headers=with_key("k1"))
        assert said.status_code == 200
    assert comments(cast) == 2


def test_after_a_day_it_is_a_new_request(cast: Cast) -> None:
    client = a_cast_with_a_fault(cast).client("operator")
    for _ in range(2):
        client.post(COMMENT, json={"note": "on site"}, headers=with_key("k1"))
        cast.now_ms += KEPT_MS
    assert comments(cast) == 2


def test_what_was_refused_is_judged_anew_and_leaves_no_key(cast: Cast) -> None:
    client = cast.client("operator")
    path = "/v1/faults/one/acknowledge"
    assert client.post(path, headers=with_key("k1")).status_code == 404
    a_cast_with_a_fault(cast)
    assert client.post(path, headers=with_key("k1")).status_code == 200
    with reading(cast.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(idempotency_keys)) == 1


@pytest.mark.parametrize("key", ["", "k" * (MOST_CHARACTERS + 1), "a\x7fb", "ü"])
def test_a_key_that_cannot_be_one_is_refused(cast: Cast, key: str) -> None:
    client = a_cast_with_a_fault(cast).client("operator")
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    assert client.post(COMMENT, json={"note": "on site"}, headers=headers).status_code == 422
    assert comments(cast) == 0


def test_too_many_keys_are_refused_until_the_old_ones_are_gone(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "KEPT_AT_MOST", 1)
    client = a_cast_with_a_fault(cast).client("operator")
    client.post(COMMENT, json={"note": "on site"}, headers=with_key("k1"))
    refused = client.post(COMMENT, json={"note": "on site"}, headers=with_key("k2"))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert comments(cast) == 1


def test_a_replay_is_asked_for_once(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
    client = cast.client("operator")
    for path in ("/v1/quarantine/1/replay", f"/v1/quarantine/replay?compound={XIANGYUNLI}"):
        first, again = (client.post(path, headers=with_key(path)) for _ in range(2))
        assert first.status_code == again.status_code == 202
        assert first.content == again.content
    with reading(cast.engine) as connection:
        query = select(func.count()).where(revisions.c.what == "replay")
        assert connection.scalar(query) == 2


def test_a_window_is_made_once_and_ended_once(cast: Cast) -> None:
    client = cast.client("operator")
    window = {
        "compound": XIANGYUNLI,
        "ends_at": "2026-11-23T23:00:00+08:00",
        "reason": "new locks",
        "owner": "li-min",
    }
    made = [client.post("/v1/maintenance", json=window, headers=with_key("m")) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].content == made[1].content
    assert len(client.get("/v1/maintenance").json()["items"]) == 1
    path = f"/v1/maintenance/{made[0].json()['id']}/end"
    ended = [client.post(path, headers=with_key("e")) for _ in range(2)]
    assert [answer.status_code for answer in ended] == [200, 200]
    assert ended[0].content == ended[1].content
