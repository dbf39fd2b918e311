"""Runs `courtyard ingest` with a bug planted, to prove that the checker can fail.

    python -m chaos.planted ack-before-commit ingest

The bugs are put into the classes from outside, before the command line runs, so that the product
has no switch for them. Two of them show only when the process dies at one moment; then it does, at
that moment and once: `COURTYARD_TEST_PLANTED_DIES` names a file that is made as it dies.
`slow-disk` is no bug: each commit of messages takes SLOW_S, which makes room for others.
"""

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from devices.journal import MESSAGES, Record
from devices.store import judgements
from devices.store.journal import Draft, JournalWriter
from devices.store.judgements import Judgements
from ingest.intake import GroupCommit, Intake
from ingest.judge.judge import Judge
from ingest.publish_packets import Run
from ingest.receive import Receiver

DIES = "COURTYARD_TEST_PLANTED_DIES"
DIE_AT = 20  # the pass through the gap between the two steps
LOSE_AFTER = 500  # messages
SLOW_S = 3.0
ACKS_OUT_S = 0.1  # the network thread writes acknowledgements within a millisecond


class Gap:
    """The time between two steps that belong together."""

    def __init__(self, before_s: float = 0.0) -> None:
        self._passed = 0
        self._before_s = before_s

    def pass_(self) -> None:
        """Die here, once, when it is well under way."""
        self._passed += 1
        mark = Path(os.environ[DIES]) if DIES in os.environ else None
        if mark is not None and self._passed >= DIE_AT and not mark.exists():
            time.sleep(self._before_s)
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def ack_before_commit() -> None:
    """Acknowledgements leave as soon as a batch is taken, and then it is committed."""
    take, commit = _method(Intake, "take"), _method(GroupCommit, "_commit")
    gap = Gap(ACKS_OUT_S)
    batches: dict[Intake, list[Any]] = {}

    def taking(self: Intake) -> Any:
        batches[self] = take(self)
        return batches[self]

    def committing(self: Any, drafts: list[Draft]) -> Any:
        acknowledged = 0
        for entry in batches[self._intake]:
            if isinstance(entry, Run) and entry.mids:
                self._acknowledge(entry.epoch, list(entry.mids))
                acknowledged += len(entry.messages)
                entry.mids.clear()
        if acknowledged:
            gap.pass_()
        return commit(self, drafts)

    _plant(Intake, "take", taking)
    _plant(GroupCommit, "_commit", committing)


def no_epoch_check() -> None:
    """Acknowledgements leave on whatever connection there is; and the disk is slow."""
    slow_disk()
    send = _method(Receiver, "_send_acks")

    def sending(self: Any) -> None:
        now = self.status()
        if now.connected:
            self._acks = deque((now.epoch, mids) for _, mids in self._acks)
            send(self)

    _plant(Receiver, "_send_acks", sending)


def cursor_outside() -> None:
    """Effects are committed, and then the cursor is, by itself."""
    move, commit = _method(Judgements, "_move_cursor"), _method(Judgements, "commit")
    gap = Gap()

    def committing(self: Any, effects: Any, *rest: Any) -> Any:
        held: list[tuple[Any, ...]] = []
        self._move_cursor = lambda _connection, *where: held.append(where)
        try:
            cursor = commit(self, effects, *rest)
        finally:
            del self._move_cursor
        if effects.accounts:
            gap.pass_()
        with judgements._writing(self._engine) as connection:
            for where in held:
                move(self, connection, *where)
        return cursor

    _plant(Judgements, "commit", committing)


def lost_row() -> None:
    """One message is not judged at all."""
    judge = _method(Judge, "judge")
    seen = 0

    def judging(self: Any, record: Record, decoded: Sequence[Any]) -> None:
        nonlocal seen
        before, seen = seen, seen + len(record.messages)
        if before <= LOSE_AFTER < seen:
            record = replace(record, messages=record.messages[:-1])
            decoded = decoded[:-1]
        judge(self, record, decoded)

    _plant(Judge, "judge", judging)


def slow_disk() -> None:
    """A commit with messages takes SLOW_S."""
    commit = _method(JournalWriter, "commit")

    def committing(self: JournalWriter, drafts: Sequence[Draft]) -> Any:
        if any(draft.kind == MESSAGES for draft in drafts):
            time.sleep(SLOW_S)
        return commit(self, drafts)

    _plant(JournalWriter, "commit", committing)


PLANTED: dict[str, Callable[[], None]] = {
    "ack-before-commit": ack_before_commit,
    "no-epoch-check": no_epoch_check,
    "cursor-outside": cursor_outside,
    "lost-row": lost_row,
    "slow-disk": slow_disk,
}


def _method(of: type, name: str) -> Any:
    """The method as it is; a bug cannot be planted where there is none any more."""
    found = of.__dict__.get(name)
    if found is None:
        raise LookupError(f"{of.__qualname__} has no {name} now: plant this bug elsewhere")
    return found


def _plant(of: type, name: str, bug: Callable[..., Any]) -> None:
    setattr(of, name, bug)


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in PLANTED:
        sys.exit(f"usage: python -m chaos.planted {'|'.join(PLANTED)} ingest …")
    PLANTED[sys.argv.pop(1)]()
    from courtyard.cli import main as courtyard  # the command line of what is patched now

    courtyard()


if __name__ == "__main__":
    main()
