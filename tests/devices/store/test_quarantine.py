from sqlalchemy import Engine

from devices.registry import Device, Registry
from devices.store import registry
from devices.store.database import reading, writing
from devices.store.quarantine import (
    PREVIEW_BYTES,
    Filter,
    Sender,
    ask_again,
    find_refused,
    find_sender,
    given_up,
    list_refused,
    outcomes,
    payloads_of,
    refused_within,
)
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    COMPOUNDS,
    FIRMS,
    GATE,
    JOURNAL,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    XIANGYUNLI,
    a_refusal,
)


def test_a_list_carries_the_beginning_of_payloads_and_one_item_all_of_it(
    any_database: Engine,
) -> None:
    whole = bytes(range(256)) * 8
    with writing(any_database) as connection:
        a_refusal(connection, 1, payload=whole)
        a_refusal(connection, 2, payload=b"")
        a_refusal(connection, 3, payload=None)
        gone, empty, long = list_refused(connection, DISTRICT, Filter())
        assert long.payload == whole[:PREVIEW_BYTES]
        assert empty.payload == b""
        assert gone.payload is None
        found = find_refused(connection, DISTRICT, long.id)
        assert found is not None
        assert found.payload == whole


def test_payloads_of_a_page_come_together_and_only_within_the_scope(any_database: Engine) -> None:
    long = bytes(range(256)) * 8
    with writing(any_database) as connection:
        registry.save(connection, Registry(FIRMS, COMPOUNDS, []), NOW_MS)
        for n, payload in enumerate((long, b"", None, b"theirs")):
            compound = LIANXIN if payload == b"theirs" else XIANGYUNLI
            a_refusal(connection, n, compound=compound, payload=payload)
        theirs, gone, empty, whole = (
            one.id for one in list_refused(connection, DISTRICT, Filter())
        )
        everything = [theirs, gone, empty, whole]
        ours = {gone: None, empty: b"", whole: long[:PREVIEW_BYTES]}
        assert payloads_of(connection, DISTRICT, everything) == ours | {theirs: b"theirs"}
        assert payloads_of(connection, Scope("yaxin"), everything) == ours
        assert payloads_of(connection, DISTRICT, []) == {}


def test_pages_go_back_in_time(any_database: Engine) -> None:
    with writing(any_database) as connection:
        for n in range(5):
            a_refusal(connection, n, received_at_ms=NOW_MS + n * MINUTE_MS)
        first = list_refused(connection, DISTRICT, Filter(), limit=2)
        then = list_refused(connection, DISTRICT, Filter(), before=first[-1].id, limit=5)
        assert [r.received_at_ms - NOW_MS for r in [*first, *then]] == [
            n * MINUTE_MS for n in (4, 3, 2, 1, 0)
        ]
        within = Filter(from_ms=NOW_MS + MINUTE_MS, to_ms=NOW_MS + 3 * MINUTE_MS)
        assert len(list_refused(connection, DISTRICT, within)) == 2


def test_what_does_not_exist_is_none(any_database: Engine) -> None:
    with writing(any_database) as connection:
        assert find_refused(connection, DISTRICT, 2**62) is None


def test_what_came_before_its_device_was_known_is_found_by_its_topic(any_database: Engine) -> None:
    board = Device("shed-9", "shed", XIANGYUNLI, "", 60, protocol="juy", external_id="8%_!1")
    gate = Device("gate-7", "gate", XIANGYUNLI, "", 30)
    topics = (
        f"courtyard/v1/{XIANGYUNLI}/gate/gate-7/telemetry",
        f"courtyard/v1/{XIANGYUNLI}/gate/gate-77/telemetry",
        f"courtyard/v1/{LIANXIN}/gate-7/x/telemetry",
        "JUY/D2S/8%_!1/82/DEV",
        "JUY/D2S/8x_!1/82/DEV",
    )
    with writing(any_database) as connection:
        registry.save(connection, Registry(FIRMS, COMPOUNDS, [gate, board]), NOW_MS)
        for jseq, topic in enumerate(topics, 1):
            a_refusal(connection, jseq, topic=topic, device=None, compound="unassigned")
        a_refusal(connection, 6, device="gate-7", topic="elsewhere")

        def found(**wanted: object) -> list[int]:
            _, ids = ask_again(connection, DISTRICT, Filter(**wanted), "li-min", NOW_MS)  # type: ignore[arg-type]
            return ids

        assert found(sender=find_sender(connection, DISTRICT, "gate-7")) == [1, 6]
        assert found(sender=find_sender(connection, DISTRICT, "shed-9")) == [4]
        assert found(whole_compound=XIANGYUNLI) == [1, 2, 4, 6]
        assert found(whole_compound=LIANXIN) == [3]
        assert find_sender(connection, DISTRICT, "nobody") is None
        assert find_sender(connection, Scope("kangqiao"), "gate-7") is None
        assert find_sender(connection, DISTRICT, "gate-7") == Sender("gate-7", "native", "")


def test_requests_are_numbered_in_the_order_of_their_messages(any_database: Engine) -> None:
    with writing(any_database) as connection:
        for n in range(1, 8):
            a_refusal(connection, n)
        first, ids = ask_again(connection, DISTRICT, Filter(), "li-min", NOW_MS, limit=3)
        last, rest = ask_again(connection, DISTRICT, Filter(), "li-min", NOW_MS, after=ids[-1])
        assert (ids, rest) == ([1, 2, 3], [4, 5, 6, 7])
        assert last == first + 4
        assert ask_again(connection, DISTRICT, Filter(), "li-min", NOW_MS, after=7) == (0, [])


def test_what_became_of_them_is_counted(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_refusal(connection, 1, outcome="stored", replayed_at_ms=NOW_MS)
        a_refusal(connection, 2, outcome="duplicate", replayed_at_ms=NOW_MS)
        for n in range(3, 1200):
            a_refusal(connection, n)
        assert outcomes(connection, list(range(1, 1200))) == {
            ("stored", ""): 1,
            ("duplicate", ""): 1,
            ("quarantined", "not_json"): 1197,
        }
        assert outcomes(connection, []) == {}


def test_of_a_stretch_of_the_journal_the_messages_that_are_refused_are_told(
    any_database: Engine,
) -> None:
    with writing(any_database) as connection:
        a_refusal(connection, 3)
        a_refusal(connection, 4, partial=True)
        a_refusal(connection, 5, replayed_at_ms=NOW_MS, outcome="stored")
        a_refusal(connection, 6, device=GATE)
        a_refusal(connection, 9)
    with reading(any_database) as connection:
        assert refused_within(connection, JOURNAL, 3, 8) == {3, 6}
        assert refused_within(connection, "another", 3, 8) == set()


def test_messages_that_killed_are_told_until_they_are_taken(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_refusal(connection, 3)
        a_refusal(connection, 4, reason="crashed_decoder")
        a_refusal(connection, 5, reason="crashed_decoder", replayed_at_ms=1, outcome="stored")
        assert given_up(connection, JOURNAL) == {4}
        assert given_up(connection, "another") == set()
