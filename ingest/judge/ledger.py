"""What became of every message: accounts by compound and hour, and the quarantine."""

from collections.abc import Callable
from hashlib import sha256

from devices import journal
from devices.journal import UNASSIGNED, Raw, Record
from devices.judgement import Effects, Refused
from devices.messages import Decoded, Outcome, Reason
from devices.usage import HOUR_MS

KEPT_PAYLOADS = 100  # whole payloads per origin or device, reason and hour (reliability.md §3.7)
KEPT_ROWS = 1000  # and rows without one; beyond that a message is only counted

KEPT_UNKNOWN = 3  # messages with unknown names, per device and hour: the names tend to repeat

# Marks on stored messages, and a count of the parts of them that were refused.
LATE, CLOCK, RETAINED, PARTIAL, PART = "late", "clock", "retained", "partial", "part"
UNKNOWN = "unknown"
LATE_AFTER_FINAL = "late_final"  # late, and of a day whose figures of usage are final


class Ledger:
    """Books each message once under stored, duplicate or quarantined, by its hour of receipt."""

    def __init__(self, effects: Callable[[], Effects]) -> None:
        self._effects = effects
        self._kept: dict[tuple[str, str], int] = {}
        self._kept_hour = 0

    def stored(self, origin: str, received_ms: int, count: int = 1) -> None:
        self._count(origin, received_ms, Outcome.STORED, "", count)

    def duplicate(self, raw: Raw) -> None:
        self._count(raw.origin, raw.received_ms, Outcome.DUPLICATE)

    def mark(self, raw: Raw, mark: str) -> None:
        """Mark a stored message."""
        self._count(raw.origin, raw.received_ms, mark)

    def quarantined(self, jseq: int, raw: Raw, said: Decoded, reason: Reason, detail: str) -> None:
        """Nothing in the message was usable."""
        self._count(raw.origin, raw.received_ms, Outcome.QUARANTINED, reason)
        self._keep(jseq, raw, said, reason, detail, partial=False)

    def partial(self, jseq: int, raw: Raw, said: Decoded) -> None:
        """A stored message of which parts were refused."""
        self.mark(raw, PARTIAL)
        for rejected in said.rejected:
            self._count(raw.origin, raw.received_ms, PART, rejected.reason)
        first = said.rejected[0]
        detail = first.detail
        if said.unknown:  # a message has one row
            detail = f"{detail[:300]}; {_unknown_in(said)}"
        self._keep(jseq, raw, said, first.reason, detail, partial=True)

    def unknown(self, jseq: int, raw: Raw, said: Decoded) -> None:
        """A stored message with names that its kind does not have: these are not stored."""
        self.mark(raw, UNKNOWN)
        if not said.rejected:
            self._keep(
                jseq,
                raw,
                said,
                Reason.UNSUPPORTED,
                _unknown_in(said),
                partial=True,
                budget=UNKNOWN,
                most=KEPT_UNKNOWN,
            )

    def corrupt(self, record: Record) -> None:
        """A record of which only the number of its messages can still be read."""
        self._count(UNASSIGNED, 0, Outcome.QUARANTINED, Reason.JOURNAL_CORRUPT, record.count)

    def again(
        self, raw: Raw, said: Decoded, was: Reason, outcome: Outcome, reason: Reason | None
    ) -> None:
        """A message of the quarantine was judged again: its account moves, in its old hour.

        Its row is there, so no other is kept of it. reason: for which it stays there.
        """
        self._count(raw.origin, raw.received_ms, Outcome.QUARANTINED, was, -1)
        self._count(raw.origin, raw.received_ms, outcome, reason or "")
        if outcome is not Outcome.STORED:
            return
        if said.unknown:
            self.mark(raw, UNKNOWN)
        if said.rejected:
            self.mark(raw, PARTIAL)
            for rejected in said.rejected:
                self._count(raw.origin, raw.received_ms, PART, rejected.reason)

    def _count(
        self, origin: str, received_ms: int, outcome: str, reason: str = "", count: int = 1
    ) -> None:
        accounts = self._effects().accounts
        key = (origin, received_ms - received_ms % HOUR_MS, str(outcome), str(reason))
        accounts[key] = accounts.get(key, 0) + count

    def _keep(
        self,
        jseq: int,
        raw: Raw,
        said: Decoded,
        reason: Reason,
        detail: str,
        *,
        partial: bool,
        budget: str = "",
        most: int = KEPT_ROWS,
    ) -> None:
        """Keep the message itself, up to `most` of a device and hour on this budget, or reason."""
        hour = raw.received_ms // HOUR_MS
        if hour != self._kept_hour:
            self._kept_hour = hour
            self._kept = {}
        device = said.device.id if said.device is not None else None
        key = (device or raw.origin, budget or reason)
        kept = self._kept.get(key, 0)
        if kept >= most:
            return
        self._kept[key] = kept + 1
        sent = journal.true_payload(raw)
        size_bytes, digest = sent or (len(raw.payload), sha256(raw.payload).hexdigest())
        self._effects().refused.append(
            Refused(
                jseq,
                raw.received_ms,
                raw.origin,
                device,
                raw.topic.decode("utf-8", "replace")[:512],
                reason,
                detail[:500],
                raw.payload if kept < KEPT_PAYLOADS else None,
                digest,
                size_bytes,
                partial,
                raw.flags,
            )
        )


def _unknown_in(said: Decoded) -> str:
    return f"unknown: {', '.join(dict.fromkeys(said.unknown))}"
