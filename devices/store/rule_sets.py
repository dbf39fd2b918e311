"""What was changed of the rules: whole files, numbered; the newest is the one that counts.

A new one is a line in the log of what people decide, so that the judge takes it up at a border.
"""

from sqlalchemy import Connection, func, insert, select

from devices.overrides import RuleSet
from devices.store.registry import add_revision, add_revisions
from devices.store.schema import rule_sets

RULES = "rules"  # what of a revision


def newest(connection: Connection) -> RuleSet:
    """The one that counts."""
    query = select(rule_sets).order_by(rule_sets.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        return RuleSet()
    return RuleSet(row.id, row.body, row.created_by, row.created_at_ms)


def newest_after(connection: Connection, number: int) -> RuleSet | None:
    """The one that counts, if it is not this one."""
    query = select(func.max(rule_sets.c.id))
    return newest(connection) if (connection.execute(query).scalar() or 0) != number else None


def find_set(connection: Connection, number: int) -> RuleSet | None:
    """One that was in force once, or is; None for a number that there is not."""
    row = connection.execute(select(rule_sets).where(rule_sets.c.id == number)).one_or_none()
    return None if row is None else RuleSet(row.id, row.body, row.created_by, row.created_at_ms)


def list_sets(
    connection: Connection, *, below: int | None = None, limit: int = 20
) -> list[RuleSet]:
    """The newest first, beginning below this number."""
    query = select(rule_sets).order_by(rule_sets.c.id.desc()).limit(limit)
    if below is not None:
        query = query.where(rule_sets.c.id < below)
    return [
        RuleSet(row.id, row.body, row.created_by, row.created_at_ms)
        for row in connection.execute(query)
    ]


def save(connection: Connection, body: str, created_by: str, now_ms: int) -> RuleSet:
    """Put down a new one, which was checked; the same text as the newest makes none."""
    add_revisions(connection, RULES, (), {}, now_ms)  # none, but who is second waits here
    known = newest(connection)
    if body == known.body:
        return known
    row = {"body": body, "created_by": created_by, "created_at_ms": now_ms}
    number = connection.execute(
        insert(rule_sets).values(row).returning(rule_sets.c.id)
    ).scalar_one()
    add_revision(connection, RULES, str(number), {"by": created_by}, now_ms)
    return RuleSet(number, body, created_by, now_ms)
