from sqlalchemy import Engine

from devices.store.database import writing
from devices.store.quarantine import PREVIEW_BYTES, Filter, find_refused, list_refused
from devices.store.scope import DISTRICT
from tests.api.cast import MINUTE_MS, NOW_MS, a_refusal


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
