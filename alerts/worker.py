"""The work of `courtyard alerts`: decides on fault events, and sends to each target."""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from functools import partial
from threading import Event
from typing import Protocol

import structlog

from alerts.ports import Clock
from alerts.router import Router
from alerts.sender import Sender
from alerts.slots import Slots
from alerts.unheard import Unheard
from devices.store.database import DatabaseAway

EVERY_S = 0.2
SWEEP_EVERY_MS = 5_000
SLOTS = 32  # targets that are sent to at the same time: a slow one holds up no other
ENDS_WITHIN_S = 6.5  # longer than a request takes; what is still being sent then comes again

log = structlog.get_logger()


class Timely(Protocol):
    """What is due by the clock."""

    def step(self) -> int:
        """Do some of it; how much there was. Raises DatabaseAway."""
        ...


class Worker:
    """rounds: counts what was gone through, so that a watchdog sees progress."""

    def __init__(
        self,
        router: Router,
        sender: Sender,
        unheard: Unheard,
        clock: Clock,
        timely: Sequence[Timely] = (),
    ) -> None:
        self._router = router
        self._timely = timely
        self._sender = sender
        self._unheard = unheard
        self._clock = clock
        self._swept_ms = 0
        self._resting: dict[str, tuple[int, int]] = {}  # until when, and its newest delivery then
        self.rounds = 0

    def run(self, stop: Event, *, ends_within_s: float = ENDS_WITHIN_S) -> None:
        """Until `stop`, and so much longer for what is being sent; what is to be told waits while
        the database is away."""
        away = False
        busy: dict[str, Future[None]] = {}
        slots = Slots(SLOTS, "send")
        while not stop.is_set():
            try:
                self._round(stop, slots, busy)
            except DatabaseAway as error:
                if not away:
                    log.warning("alerts_wait", error=str(error))
                away = True
            else:
                away = False
            self.rounds += 1
            stop.wait(EVERY_S)
        slots.close()
        sending = [one for one in busy.values() if not one.cancel()]
        unfinished = wait(sending, ends_within_s).not_done
        if unfinished:
            log.warning("left_while_sending", targets=len(unfinished), after_s=ends_within_s)

    def _round(self, stop: Event, slots: Slots, busy: dict[str, Future[None]]) -> None:
        while not stop.is_set() and self._router.step():
            pass
        for one in self._timely:
            one.step()  # some of it: what happens now is routed before all that was missed
        for name in [name for name, sending in busy.items() if sending.done()]:
            busy.pop(name).result()
        now_ms = self._clock()
        for target, newest in self._sender.ready().items():
            until_ms, known = self._resting.get(target, (0, 0))
            if target not in busy and (newest != known or now_ms >= until_ms):
                busy[target] = slots.submit(partial(self._serve, target, newest, stop))
        if not 0 <= now_ms - self._swept_ms < SWEEP_EVERY_MS:
            self._sender.sweep()
            self._unheard.look(now_ms)
            self._swept_ms = now_ms

    def _serve(self, target: str, newest: int, stop: Event) -> None:
        try:
            self._resting[target] = (self._sender.serve(target, stop), newest)
        except DatabaseAway as error:
            log.warning("target_waits", target=target, error=str(error))
