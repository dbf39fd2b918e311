"""Progress of long work, seen from another process."""

from sqlalchemy import Engine

from devices.store.database import reading, writing
from devices.store.progress import Progress, read, report


def test_the_newest_report_stands(any_database: Engine) -> None:
    with reading(any_database) as connection:
        assert read(connection, "history") is None
    for done in (1, 2):
        with writing(any_database) as connection:
            report(connection, "history", done, 7, {"day": f"2026-11-2{done}"}, 1000 + done)
            report(connection, "other", 5, 5, {}, 5)
    with reading(any_database) as connection:
        assert read(connection, "history") == Progress(2, 7, {"day": "2026-11-22"}, 1002)
        assert read(connection, "other") == Progress(5, 5, {}, 5)
