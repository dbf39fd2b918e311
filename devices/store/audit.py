"""What the auditor must know to read messages again as they were read the first time."""

from sqlalchemy import Connection, func, select

from devices.messages import Reason
from devices.store.schema import quarantine, revisions


def registry_changed(connection: Connection) -> tuple[int, int]:
    """Number and time (UTC epoch ms) of the newest change of the registry; zeros before it."""
    newest = (
        select(revisions.c.id, revisions.c.at_ms)
        .where(revisions.c.what == "registry")
        .order_by(revisions.c.id.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    return (0, 0) if row is None else (row.id, row.at_ms)


def noisy_devices(connection: Connection, since_ms: int) -> frozenset[str]:
    """Devices of which something was refused since then because it was too much."""
    query = select(func.distinct(quarantine.c.device)).where(
        quarantine.c.reason == Reason.RATE_LIMITED,
        quarantine.c.received_at_ms >= since_ms,
        quarantine.c.device.is_not(None),
    )
    return frozenset(connection.scalars(query))
