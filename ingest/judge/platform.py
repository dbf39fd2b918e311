"""Our own troubles that the journal itself tells of: in its control records.

Reads no clock: how long something lasts is counted in ticks, of which receive writes one every five
seconds, so that a step of the host's clock moves nothing. Silence of receive itself writes no tick;
what nobody heard while it was away is told when the next probe is back.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from devices import journal
from devices.faults import PLATFORM, Fault
from devices.judgement import Move
from devices.platform import ACTIVE, CLOCK_STEP, PROBE_LOST, SESSION_LOST, Trouble, advance
from ingest.judge.timing import Gap

DEAF_TICKS = 4  # without a probe, where probes came before: more than the 15 s of reliability §3.5
NEVER_TICKS = 6  # where none ever came, although messages do
STANDS_TICKS = 120  # ten minutes: so long what happened in a moment is shown, then it is over

CODES = (SESSION_LOST, PROBE_LOST, CLOCK_STEP)


class Kept(msgspec.Struct, omit_defaults=True):
    """What must be remembered with the cursor.

    linked: there was a connection in this journal's time, so that a session can be lost. last_ms:
    when the newest control record was written; away_ms: when the connection, or receive, went.
    ticks: since the newest probe, or start. gap: (from, to) in which we heard nothing, to be told
    with the next tick. stepped: the clock has jumped since the newest probe, which explains a gap.
    left: code -> ticks until what happened in a moment is over.
    """

    linked: bool = False
    last_ms: int = 0
    away_ms: int = 0
    probed: bool = False
    heard: bool = False  # a message came
    ticks: int = 0
    gap: tuple[int, int] | None = None
    stepped: bool = False
    left: dict[str, int] = {}


class PlatformWatch:
    """Follows the control records of the live journal. moved: told what becomes of faults."""

    def __init__(self, stream: str, moved: Callable[[Move], None]) -> None:
        self._stream = stream
        self._moved = moved
        self._faults: dict[str, Fault] = {}
        self.kept = Kept()

    def load(self, faults: Iterable[Fault], kept: object) -> None:
        """Go on from committed rows. faults: among them those of the platform, the newest last."""
        self._faults = {
            fault.code: fault
            for fault in faults
            if fault.subject == PLATFORM and fault.code in CODES
        }
        if kept is not None:
            self.kept = msgspec.convert(kept, Kept)

    def person_moved(self, fault: Fault) -> None:
        """A person acted on one of our own faults; one that is still true is raised again."""
        known = self._faults.get(fault.code)
        if fault.code in CODES and known is not None and known.id == fault.id:
            self._faults[fault.code] = fault

    def messages_came(self) -> None:
        self.kept.heard = True

    def control(self, kind: str, control: Mapping[str, int | bool | str], gap: Gap | None) -> None:
        """One control record. gap: that this record, a probe, has ended."""
        kept = self.kept
        at_ms = int(control.get("at_ms", 0)) or kept.last_ms
        match kind:
            case journal.START:
                kept.away_ms = kept.away_ms or kept.last_ms
                kept.ticks = 0
            case journal.LINK:
                self._link(control, at_ms)
            case journal.PROBE:
                self._probe(gap, at_ms)
            case journal.CLOCK:
                self._stepped(int(control.get("step_s", 0)), at_ms)
            case journal.TICK:
                self._tick(at_ms)
        kept.last_ms = at_ms

    def _link(self, control: Mapping[str, int | bool | str], at_ms: int) -> None:
        kept = self.kept
        if not control.get("up"):
            kept.away_ms = at_ms
            return
        if kept.linked and not control.get("session_present"):
            # What queued for us at the broker while we were away is gone; which devices it
            # concerns, the gaps in their numbers tell (DEV_DATA_GAP).
            away_ms = kept.away_ms or kept.last_ms or at_ms
            evidence = {
                "away_since_ms": away_ms,
                "back_ms": at_ms,
                "away_s": max(0, at_ms - away_ms) // 1000,
            }
            self._raise_once(Trouble(SESSION_LOST, at_ms, evidence), at_ms)
        kept.linked = True
        kept.away_ms = 0

    def _probe(self, gap: Gap | None, at_ms: int) -> None:
        kept = self.kept
        was_told = self._is_active(PROBE_LOST)
        self._settle(PROBE_LOST, None, at_ms)
        if gap is not None and not was_told and not kept.stepped:
            kept.gap = (gap.from_ms, gap.to_ms)
        kept.probed, kept.stepped, kept.ticks = True, False, 0

    def _stepped(self, step_s: int, at_ms: int) -> None:
        # The step may stand behind the probe that it made look late.
        self.kept.stepped, self.kept.gap = True, None
        self._raise_once(Trouble(CLOCK_STEP, at_ms, {"step_s": step_s}), at_ms)

    def _tick(self, at_ms: int) -> None:
        kept = self.kept
        if kept.gap is not None:
            from_ms, to_ms = kept.gap
            kept.gap = None
            evidence = {
                "deaf_since_ms": from_ms,
                "deaf_until_ms": to_ms,
                "deaf_s": (to_ms - from_ms) // 1000,
            }
            self._settle(PROBE_LOST, Trouble(PROBE_LOST, from_ms, evidence), at_ms)
            self._settle(PROBE_LOST, None, at_ms)
        kept.ticks += 1
        if kept.ticks >= (DEAF_TICKS if kept.probed else NEVER_TICKS) and (
            kept.probed or kept.heard
        ):
            since_ms = self._faults[PROBE_LOST].since_ms if self._is_active(PROBE_LOST) else at_ms
            evidence = {"ever_returned": kept.probed}
            self._settle(PROBE_LOST, Trouble(PROBE_LOST, since_ms, evidence), at_ms)
        for code, left in list(kept.left.items()):
            if left > 1:
                kept.left[code] = left - 1
            else:
                del kept.left[code]
                self._settle(code, None, at_ms)

    def _raise_once(self, trouble: Trouble, at_ms: int) -> None:
        """What happened in a moment: it stands for a while, and again is one occurrence more."""
        self.kept.left[trouble.code] = STANDS_TICKS
        if self._is_active(trouble.code):
            self._settle(trouble.code, None, at_ms)
        self._settle(trouble.code, trouble, at_ms)

    def _settle(self, code: str, trouble: Trouble | None, at_ms: int) -> None:
        step = advance(self._faults.get(code), trouble, at_ms, self._stream)
        if step is not None:
            fault, event = step
            self._faults[code] = fault
            self._moved(Move(fault, event.was, event))

    def _is_active(self, code: str) -> bool:
        standing = self._faults.get(code)
        return standing is not None and standing.state in ACTIVE
