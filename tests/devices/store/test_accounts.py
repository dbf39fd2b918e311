import msgspec
from sqlalchemy import Engine, insert

from devices.store.accounts import FORWARD, JUDGE, follower, forwarded, read_account
from devices.store.database import writing
from devices.store.schema import accounts
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import HOUR_MS, JOURNAL, LIANXIN, XIANGYUNLI, a_district, a_judge

ROWS = (
    ("live", XIANGYUNLI, 0, "stored", "", 10),
    ("live", XIANGYUNLI, HOUR_MS, "stored", "", 5),
    ("live", XIANGYUNLI, HOUR_MS, "duplicate", "", 1),
    ("live", XIANGYUNLI, HOUR_MS, "quarantined", "clock", 2),
    ("live", XIANGYUNLI, HOUR_MS, "late", "", 3),
    ("live", XIANGYUNLI, HOUR_MS, "part", "bad_number", 4),
    ("live", LIANXIN, HOUR_MS, "quarantined", "clock", 6),
    ("history-1", XIANGYUNLI, HOUR_MS, "stored", "", 1000),
)


def test_accounts_add_up_by_place_and_hour_and_only_of_the_live_stream(
    any_database: Engine,
) -> None:
    names = ("stream", "compound", "hour_ms", "outcome", "reason", "count")
    with writing(any_database) as connection:
        a_district(connection)
        connection.execute(insert(accounts), [dict(zip(names, row, strict=True)) for row in ROWS])
        whole = read_account(connection, DISTRICT)
        assert (whole.stored, whole.duplicate, whole.quarantined) == (15, 1, {"clock": 8})
        assert (whole.marks, whole.parts, whole.sum) == ({"late": 3}, {"bad_number": 4}, 24)
        assert read_account(connection, DISTRICT, compound=LIANXIN).sum == 6
        assert read_account(connection, DISTRICT, to_ms=HOUR_MS).sum == 10
        assert read_account(connection, DISTRICT, from_ms=HOUR_MS).sum == 14
        assert read_account(connection, Scope("kangqiao")).sum == 6


def test_where_the_followers_stand(any_database: Engine) -> None:
    with writing(any_database) as connection:
        assert follower(connection, JUDGE) is None
        assert forwarded(connection) is None
        a_judge(connection, position=7, jseq=70)
        a_judge(
            connection, name=FORWARD, memory=msgspec.msgpack.encode({"confirmed": 5, "dead": 1})
        )
        judge = follower(connection, JUDGE)
        assert judge is not None
        assert (judge.journal_id, judge.position, judge.jseq) == (JOURNAL, 7, 70)
        answered = forwarded(connection)
        assert answered is not None
        assert (answered.confirmed, answered.dead) == (5, 1)
