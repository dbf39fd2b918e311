"""The audit log on the command line: what commands change is in it, and it can be verified."""

from collections.abc import Iterator
from contextlib import contextmanager

from courtyard.clock import now_ms
from courtyard.errors import DONE, FAILED, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.audit import Entry, Origin
from devices.store.audit_log import FirstWrite, Verdict, hash_of, verify
from devices.store.database import reading, recorded


@contextmanager
def by_command(by: str, command: str, subject: str = "", **detail: object) -> Iterator[None]:
    """What is written within is recorded as done by this command, in the same transaction.

    by: who runs it. detail: what it does; never a secret. A command of several transactions has its
    row in the first.
    """

    def entry() -> Entry:
        return Entry(
            at_ms=now_ms(),
            actor=by,
            role="command",
            token=None,
            origin=Origin.COMMAND,
            address="",
            method="RUN",
            resource=f"courtyard {command}",
            subject=subject,
            detail=detail,
        )

    with recorded(FirstWrite(entry)):
        yield


def verify_log(settings: Settings, expected: str | None) -> tuple[int, str]:
    """Looks at every row; the exit code, and what there is to say.

    expected: number and hash of a row, like 812:9f…, as they were noted before. Raises UsageError.
    """
    known = None if expected is None else _noted(expected)
    engine = open_operational(settings)
    try:
        verdict = verify(engine)
        if known is not None and verdict.broken is None:
            number, sha256 = known
            with reading(engine) as connection:
                found = hash_of(connection, number)
            if found != sha256:
                why = "is missing" if found is None else f"has the hash {found}"
                return FAILED, (
                    f"row {number} {why}, and not the one that was noted: the log was written anew"
                )
    finally:
        engine.dispose()
    return (DONE if verdict.broken is None else FAILED), told(verdict)


def told(verdict: Verdict) -> str:
    """What was found, in one line."""
    if verdict.broken is not None:
        return (
            f"the chain is broken: row {verdict.broken.number} {verdict.broken.why};"
            f" the {verdict.rows} before it are whole"
        )
    if verdict.rows == 0:
        return "whole: nothing was recorded yet"
    return f"whole: {verdict.rows} rows, the last is {verdict.rows}:{verdict.sha256}"


def _noted(text: str) -> tuple[int, str]:
    number, _, sha256 = text.strip().partition(":")
    if not (number.isascii() and number.isdigit() and len(sha256) == 64):
        raise UsageError(f"--expect: {text[:80]!r} is not like 812:9f86d0…, a number and its hash")
    return int(number), sha256.lower()
