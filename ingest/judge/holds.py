"""Whose notices are held for a time: by maintenance windows, and by shelves.

Both end by the watermark, so that what people are told then does not depend on when we look.
"""

import heapq
from collections.abc import Iterable
from dataclasses import replace

from devices import faults
from devices.faults import NOTICED, Fault, FaultEvent, State
from devices.maintenance import Window, covering


class Holds:
    """The windows that are planned or active, and when a hold of a standing fault may end."""

    def __init__(self) -> None:
        self._windows: dict[str, Window] = {}
        self._due: list[tuple[int, str, str]] = []  # when, subject, code; may be there in vain

    def windows_changed(self, windows: Iterable[Window], standing: Iterable[Fault]) -> None:
        """From here on these windows count. standing: all faults that are not closed."""
        self._windows = {window.id: window for window in windows}
        for fault in standing:
            self.watch(fault)

    def step(self, move: faults.Move) -> faults.Move:
        """A step of the judge's, as it is in the time of the windows; its holds are watched."""
        fault, event = move
        if self._windows and event.reason in NOTICED:
            window = covering(self._windows.values(), fault, event.at_ms)
            if window is not None:
                fault, event = faults.hold(move, window.id)
        self.watch(fault)
        return fault, event

    def watch(self, fault: Fault) -> None:
        """Look at this fault again when what holds its notices may be over."""
        if fault.state is State.CLOSED:
            return
        if fault.shelved_until_ms is not None:
            heapq.heappush(self._due, (fault.shelved_until_ms, fault.subject, fault.code))
        if fault.maintenance is not None:
            window = self._windows.get(fault.maintenance)  # None: it was over before we looked
            over_ms = window.over_at_ms if window is not None else 0
            heapq.heappush(self._due, (over_ms, fault.subject, fault.code))

    def due(self, watermark_ms: int) -> list[tuple[str, str]]:
        """Subject and code of the faults to look at now, each once."""
        found: dict[tuple[str, str], None] = {}
        while self._due and self._due[0][0] <= watermark_ms:
            _, subject, code = heapq.heappop(self._due)
            found[subject, code] = None
        return list(found)

    def ended(self, fault: Fault, watermark_ms: int) -> list[tuple[Fault, FaultEvent | None]]:
        """The steps by which what held its notices until now is over, in order.

        Without an event: another window holds them from here on.
        """
        if fault.state is State.CLOSED:
            return []
        steps: list[tuple[Fault, FaultEvent | None]] = []
        if fault.shelved_until_ms is not None and fault.shelved_until_ms <= watermark_ms:
            fault, event = faults.end_shelf(fault, watermark_ms)
            steps.append((fault, event))
        window = self._windows.get(fault.maintenance or "")
        is_over = window is None or window.over_at_ms <= watermark_ms
        if fault.maintenance is not None and is_over:
            other = covering(self._windows.values(), fault, watermark_ms)
            if other is None:
                steps.append(faults.end_maintenance(fault, watermark_ms))
            else:
                steps.append((replace(fault, maintenance=other.id), None))
        return steps
