"""What the journal may forget: what all who need it have passed, once it is old enough.

A backup is one of them: without the records behind it, a restored database could not be brought
forward. But one that fails to come must not fill the disk: it is waited for three days.
"""

from devices.store.backup import Covered

BACKUP_AWAITED_MS = 72 * 3_600_000


def may_go(
    passed_id: int, journal_id: str, covered: Covered | None, retention_ms: int, now_ms: int
) -> list[tuple[int, int]]:
    """Bounds of what may be trimmed, as (stamped before, up to this record).

    passed_id: the newest record that judge and forward are both done with; nothing behind it goes.
    covered: by the newest finished backup; None where none was ever made, and none is waited for.
    """
    before_ms = now_ms - retention_ms
    if covered is None:
        return [(before_ms, passed_id)]
    covered_id = covered.position if covered.journal_id == journal_id else 0
    waited_ms = now_ms - max(retention_ms, BACKUP_AWAITED_MS)
    return [(before_ms, min(passed_id, covered_id)), (waited_ms, passed_id)]
