"""How fast messages came in, and how far behind the followers of the journal were, lately.

Stretches of five minutes of the last day. One that is not there was seen by nobody: ingest did not
run, and whether a message came in nobody knows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from devices.journal import Record

STRETCH_MS = 300_000
KEPT_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Pace:
    """A stretch that begins at `at_ms`.

    watched_ms: how long somebody looked; received: the messages of that time. judge_lag_ms,
    forward_lag_ms: the most that the oldest message waited for each; None: never known.
    """

    at_ms: int
    watched_ms: int = 0
    received: int = 0
    judge_lag_ms: int | None = None
    forward_lag_ms: int | None = None

    @property
    def rate_per_s(self) -> float | None:
        """Messages a second while somebody looked; None for a look that took no time."""
        return self.received * 1000 / self.watched_ms if self.watched_ms else None

    def seen(
        self, watched_ms: int, received: int, judge_ms: int | None, forward_ms: int | None
    ) -> "Pace":
        """This stretch with one more look at it."""
        return Pace(
            self.at_ms,
            self.watched_ms + watched_ms,
            self.received + received,
            _most(self.judge_lag_ms, judge_ms),
            _most(self.forward_lag_ms, forward_ms),
        )


def stretch_of(at_ms: int) -> int:
    """When the stretch with this moment in it began."""
    return at_ms - at_ms % STRETCH_MS


def newest(stretches: Iterable[Pace], now_ms: int) -> list[Pace]:
    """Those of the last day, in order; what a clock that was set back left behind is not."""
    ends_ms = now_ms + STRETCH_MS
    kept = {one.at_ms: one for one in stretches if ends_ms - KEPT_MS - STRETCH_MS <= one.at_ms}
    return [kept[at_ms] for at_ms in sorted(kept) if at_ms < ends_ms]


def received_ms(record: Record, now_ms: int) -> int:
    """When a record was received; now, for one that does not say."""
    if record.messages:
        return record.messages[0].received_ms
    return now_ms if record.control is None else int(record.control.get("at_ms", 0)) or now_ms


def _most(known: int | None, seen: int | None) -> int | None:
    if known is None or seen is None:
        return seen if known is None else known
    return max(known, seen)
