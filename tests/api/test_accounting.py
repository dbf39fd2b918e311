"""received = stored + duplicate + quarantined + pending: the journal counts one side of it."""

from dataclasses import replace

import msgspec
from sqlalchemy import Connection, delete, insert

from api.parts import Parts
from devices.journal import MESSAGES, TICK, Counted, Head, Raw, Record
from devices.store import progress
from devices.store.accounts import keep_before
from devices.store.schema import LIVE, accounts, cursors
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    LIANXIN,
    NOW_MS,
    XIANGYUNLI,
    Cast,
    FakeJournal,
    a_cast,
    a_judge,
)

HOUR = NOW_MS - NOW_MS % HOUR_MS


def account(connection: Connection, compound: str, hour_ms: int, **counts: int) -> None:
    """counts: an outcome, or `outcome__reason`."""
    for name, count in counts.items():
        outcome, _, reason = name.partition("__")
        connection.execute(
            insert(accounts).values(
                stream=LIVE,
                compound=compound,
                hour_ms=hour_ms,
                outcome=outcome,
                reason=reason,
                count=count,
            )
        )


def batch(record_id: int, first_jseq: int, *origins: str) -> Record:
    messages = tuple(Raw(b"t", b"{}", 0, HOUR + 1000 * n, o) for n, o in enumerate(origins))
    return Record(record_id, MESSAGES, first_jseq, len(messages), 1, messages)


def with_accounts(cast: Cast) -> None:
    """130 messages received: 127 accounted for up to record 9, three wait in 10 and 12."""
    with cast.write() as connection:
        account(
            connection,
            XIANGYUNLI,
            HOUR,
            stored=90,
            duplicate=5,
            quarantined__not_json=2,
            quarantined__clock=1,
            late=4,
            partial=3,
            clock=2,
            unknown=6,
            part__bad_number=3,
        )
        account(connection, XIANGYUNLI, HOUR - DAY_MS, stored=10)
        account(connection, LIANXIN, HOUR, stored=18)
        account(connection, "unassigned", HOUR, quarantined__unknown_device=1)
        a_judge(connection, position=9, jseq=127)
    cast.journal.counts = {
        (XIANGYUNLI, HOUR): 100,
        (XIANGYUNLI, HOUR - DAY_MS): 10,
        (LIANXIN, HOUR): 19,
        ("unassigned", HOUR): 1,
    }
    cast.journal.records = [
        batch(9, 126, XIANGYUNLI, XIANGYUNLI),
        batch(10, 128, XIANGYUNLI, LIANXIN),
        Record(11, TICK, 130, 0, 1, control={"at_ms": NOW_MS}),
        batch(12, 130, XIANGYUNLI),
    ]


def test_the_whole_adds_up_to_what_the_journal_counted(cast: Cast) -> None:
    with_accounts(cast)
    body = cast.client("operator").get("/v1/accounting").json()
    assert body == {
        "received": 130,
        "stored": 118,
        "duplicate": 5,
        "quarantined": {"not_json": 2, "clock": 1, "unknown_device": 1},
        "pending": 3,
        "unattributed": 0,
        "balance": 0,
        "late": 4,
        "late_after_final": 0,
        "partial": 3,
        "retained": 0,
        "clock": 2,
        "unknown": 6,
        "parts": {"bad_number": 3},
        "telemetry": {"confirmed": None, "dead": None, "pending": 130},
        "missing": None,
    }


def test_a_lost_row_shows_as_a_balance(cast: Cast) -> None:
    with_accounts(cast)
    with cast.write() as connection:
        connection.execute(delete(accounts).where(accounts.c.outcome == "duplicate"))
    client = cast.client("operator")
    assert client.get("/v1/accounting").json()["balance"] == 5
    assert client.get(f"/v1/accounting?compound={XIANGYUNLI}").json()["balance"] == 5
    assert client.get(f"/v1/accounting?compound={LIANXIN}").json()["balance"] == 0


def test_a_compound_has_accounts_of_its_own_that_add_up(cast: Cast) -> None:
    with_accounts(cast)
    client = cast.client("operator")
    for compound, received, pending in (
        (XIANGYUNLI, 110, 2),
        (LIANXIN, 19, 1),
        ("unassigned", 1, 0),
    ):
        body = client.get(f"/v1/accounting?compound={compound}").json()
        assert (body["received"], body["pending"], body["balance"]) == (received, pending, 0)
        assert body["telemetry"] == {"confirmed": None, "dead": None, "pending": None}


def test_a_firm_gets_the_sum_of_its_compounds(cast: Cast) -> None:
    with_accounts(cast)
    body = cast.client("yaxin").get("/v1/accounting").json()
    assert (body["received"], body["stored"], body["pending"], body["balance"]) == (110, 100, 2, 0)
    assert "unknown_device" not in body["quarantined"]
    assert body["telemetry"]["pending"] is None


def test_a_range_is_by_hour_of_receive_time(cast: Cast) -> None:
    with_accounts(cast)
    client = cast.client("operator")
    today = client.get("/v1/accounting?from=2026-11-23").json()
    assert (today["received"], today["stored"], today["pending"], today["balance"]) == (
        120,
        108,
        3,
        0,
    )
    yesterday = client.get("/v1/accounting?to=2026-11-23").json()
    assert (yesterday["received"], yesterday["pending"], yesterday["balance"]) == (10, 0, 0)
    both = client.get(
        f"/v1/accounting?compound={XIANGYUNLI}&from=2026-11-23T19:05&to=2026-11-23T19:06"
    )
    assert (both.json()["received"], both.json()["balance"]) == (100, 0)


def test_what_the_telemetry_store_answered_is_shown(cast: Cast) -> None:
    with_accounts(cast)
    with cast.write() as connection:
        a_judge(
            connection,
            name="forward",
            position=8,
            jseq=125,
            memory=msgspec.msgpack.encode({"confirmed": 400, "dead": 2}),
        )
    body = cast.client("operator").get("/v1/accounting").json()
    assert body["telemetry"] == {"confirmed": 400, "dead": 2, "pending": 5}


def test_a_journal_that_cannot_be_read_leaves_unknowns_not_zeros(cast: Cast) -> None:
    with_accounts(cast)
    cast.journal.away = True
    body = cast.client("operator").get("/v1/accounting").json()
    assert (body["received"], body["pending"], body["balance"]) == (None, None, None)
    assert body["stored"] == 118


def test_a_journal_on_another_machine_leaves_unknowns(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(delete(cursors))
    elsewhere = a_cast(cast.engine, journal=False)
    body = elsewhere.client("viewer").get("/v1/accounting").json()
    assert (body["received"], body["pending"], body["balance"]) == (None, None, None)


def test_another_journal_than_the_one_accounted_for_is_unknown(cast: Cast) -> None:
    with_accounts(cast)
    cast.journal.journal_id = "j2"
    assert cast.client("operator").get("/v1/accounting").json()["received"] is None


def test_the_accounts_go_on_over_a_new_journal(cast: Cast) -> None:
    """The journal was lost: a new one counts from 0, and what was booked before stays booked."""
    with_accounts(cast)
    with cast.write() as connection:
        keep_before(connection, "j2", NOW_MS)
        a_judge(connection, journal_id="j2", position=0, jseq=0)
    cast.journal.journal_id = "j2"
    cast.journal.records = [batch(1, 1, XIANGYUNLI, LIANXIN)]
    cast.journal.counts = {(XIANGYUNLI, HOUR): 1, (LIANXIN, HOUR): 1}
    client = cast.client("operator")
    for query, received, pending in (
        ("", 129, 2),
        (f"?compound={XIANGYUNLI}", 109, 1),
        (f"?compound={LIANXIN}", 19, 1),
    ):
        body = client.get(f"/v1/accounting{query}").json()
        assert (body["received"], body["pending"], body["balance"]) == (received, pending, 0)


def a_restore(connection: Connection, **more: object) -> None:
    """What `courtyard restore` put down an hour ago, of a backup that was made an hour before."""
    body = {
        "journal": "other",
        "was_journal_id": "j1",
        "was_jseq": 127,
        "missing_messages": None,
        "missing_from_ms": NOW_MS - 2 * HOUR_MS,
        "missing_until_ms": None,
    } | more
    progress.report(connection, progress.RESTORE, 1, 1, body, NOW_MS - HOUR_MS)


def test_what_a_restore_could_not_bring_back_is_told(cast: Cast) -> None:
    client = cast.client("operator")
    assert client.get("/v1/accounting").json()["missing"] is None
    with cast.write() as connection:
        a_restore(connection)
    since = "2026-11-23T09:42:10.000Z"
    missing = {"since": since, "until": None, "messages": None}
    assert client.get("/v1/accounting").json()["missing"] == missing
    with cast.write() as connection:
        keep_before(connection, "j2", NOW_MS - HOUR_MS)
        a_judge(connection, journal_id="j2", position=0, jseq=0)
    until = "2026-11-23T10:42:10.000Z"
    assert client.get("/v1/accounting").json()["missing"] == missing | {"until": until}
    for query, is_told in (
        ("?from=2026-11-23T10:00:00Z", True),
        ("?from=2026-11-23T11:00:00Z", False),
        ("?to=2026-11-23T09:00:00Z", False),
        ("?to=2026-11-23T10:00:00Z", True),
        (f"?compound={XIANGYUNLI}", True),
    ):
        told = client.get(f"/v1/accounting{query}").json()["missing"]
        assert told == (missing | {"until": until} if is_told else None), query


def test_how_many_are_missing_is_told_of_the_whole_alone(cast: Cast) -> None:
    with cast.write() as connection:
        a_restore(connection, journal="same", missing_messages=17, missing_until_ms=NOW_MS)
    whole = cast.client("operator").get("/v1/accounting").json()["missing"]
    assert whole["messages"] == 17
    assert cast.client("yaxin").get("/v1/accounting").json()["missing"] == whole | {
        "messages": None
    }


def test_a_restore_with_all_of_the_journal_misses_nothing(cast: Cast) -> None:
    with cast.write() as connection:
        a_restore(connection, journal="same", missing_messages=0, missing_from_ms=None)
    assert cast.client("operator").get("/v1/accounting").json()["missing"] is None


def test_messages_of_a_damaged_record_are_nobodys_and_no_imbalance(cast: Cast) -> None:
    """Five of 祥云里 and one of 连心: the journal counted them, and can no longer read them."""
    with_accounts(cast)
    with cast.write() as connection:
        account(connection, "unassigned", 0, quarantined__journal_corrupt=6)
        a_judge(connection, position=9, jseq=133)
    cast.journal.counts[XIANGYUNLI, HOUR] += 5
    cast.journal.counts[LIANXIN, HOUR] += 1
    client = cast.client("operator")
    for query, unattributed in (
        ("", 0),
        (f"?compound={XIANGYUNLI}", 5),
        (f"?compound={LIANXIN}", 1),
        ("?compound=unassigned", -6),
        ("?from=2026-11-23T00:00:00Z", 6),
    ):
        body = client.get(f"/v1/accounting{query}").json()
        assert (body["unattributed"], body["balance"]) == (unattributed, 0), query
    cast.journal.counts[XIANGYUNLI, HOUR] += 10
    body = client.get(f"/v1/accounting?compound={XIANGYUNLI}").json()
    assert (body["unattributed"], body["balance"]) == (6, 9), "no more than there are"


def test_before_the_first_message_all_is_zero(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(delete(cursors))
    body = cast.client("operator").get("/v1/accounting").json()
    assert (body["received"], body["pending"], body["balance"]) == (0, 0, 0)


class RestlessJournal(FakeJournal):
    """Receives one more message of 祥云里 whenever its head is looked at."""

    def head(self) -> Head:
        last = self.records[-1]
        self.records.append(batch(last.id + 1, last.first_jseq + last.count, XIANGYUNLI))
        self.counts[XIANGYUNLI, HOUR] += 1
        return super().head()


def test_the_balance_holds_while_messages_arrive(cast: Cast) -> None:
    with_accounts(cast)
    restless = RestlessJournal(records=cast.journal.records, counts=cast.journal.counts)
    read_instead(cast, restless)
    client = cast.client("operator")
    for query in ("", f"?compound={XIANGYUNLI}", "?from=2026-11-23", f"?compound={LIANXIN}"):
        body = client.get(f"/v1/accounting{query}").json()
        assert body["balance"] == 0, (query, body)
        assert body["pending"] >= 1


def read_instead(cast: Cast, journal: FakeJournal) -> None:
    """Give the running application another journal."""
    parts: Parts = cast.app.state.parts
    cast.app.state.parts = replace(parts, deps=replace(parts.deps, journal=journal))


def test_a_lost_row_shows_also_while_messages_arrive(cast: Cast) -> None:
    with_accounts(cast)
    with cast.write() as connection:
        connection.execute(delete(accounts).where(accounts.c.outcome == "duplicate"))
    restless = RestlessJournal(records=cast.journal.records, counts=cast.journal.counts)
    read_instead(cast, restless)
    balance = cast.client("operator").get(f"/v1/accounting?compound={XIANGYUNLI}").json()["balance"]
    assert balance != 0


class CountedJournal(FakeJournal):
    """Says that it holds more than can be told apart."""

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        assert most < 200_000
        return Counted(self.head(), {(XIANGYUNLI, 0): 200_000}, None)


def test_too_many_waiting_messages_are_not_told_apart_by_compound(cast: Cast) -> None:
    with_accounts(cast)
    counted = CountedJournal(records=cast.journal.records, counts=cast.journal.counts)
    read_instead(cast, counted)
    body = cast.client("operator").get(f"/v1/accounting?compound={XIANGYUNLI}").json()
    assert (body["pending"], body["balance"]) == (None, None)
