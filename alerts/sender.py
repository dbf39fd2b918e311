"""Sends what waits for a target, one message after the other, in the order of each fault.

    1. lease the target, so that nobody else sends there
    2. choose the next message, and fix what is in it and its key
    3. send it, and read what was answered
    4. write down that it was accepted, or when to try again

Killed between 3 and 4, the message is sent once more, with the same in it and under the same key.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event

import structlog
from sqlalchemy import Connection, Engine, select

from alerts.budget import MINUTE_MS, Budget
from alerts.channel import Channel, DeliveryFailed
from alerts.choose import Choice, choose
from alerts.links import Links
from alerts.message import Message
from alerts.notices import notices
from alerts.outgoing import Outgoing
from alerts.ports import Clock
from devices.alerts import ChannelName, Language, Target
from devices.faults import RETOLD
from devices.store import deliveries, summaries
from devices.store.database import answering, reading, writing
from devices.store.deliveries import Pending, Tried
from devices.store.failpoints import failpoint
from devices.store.links import make_key, newest_key, people_reached
from devices.store.rosters import language_of
from devices.store.schema import compounds, faults
from devices.store.scope import DISTRICT
from devices.store.targets import UnknownTarget, find_target

LEASE_MS = 30_000  # longer than any channel takes to send
WAITING_AT_ONCE = 1_000
READ_AGAIN_MS = 500  # what has come meanwhile may be of the safety tier
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 600.0  # of one delivery
LONGEST_REST_S = 60.0  # of a target that fails
GIVEN_UP_AFTER_MS = 24 * 3_600_000

log = structlog.get_logger()


class Sender:
    """me: under which it leases targets; the same after a restart, so that it takes its own back at
    once. told: is given the channel, the outcome and, of what was delivered, the seconds it took.
    console: for links; None: no links. Raises DatabaseAway.
    """

    def __init__(
        self,
        engine: Engine,
        channels: Mapping[ChannelName, Channel],
        outgoing: Outgoing,
        clock: Clock,
        *,
        me: str,
        console: str | None = None,
        told: Callable[[ChannelName, str, float], None] = lambda *_: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._outgoing = outgoing
        self._clock = clock
        self._me = me
        self._console = console
        self._has_key = console is None
        self._told = told
        self._jitter = jitter

    def ready(self) -> dict[str, int]:
        """Targets for which something waits, and the newest delivery of each; 0: only a summary."""
        now_ms = self._clock()
        with answering(), reading(self._engine) as connection:
            waiting = dict.fromkeys(summaries.waiting(connection, now_ms), 0)
            free = deliveries.free_targets(connection, waiting, self._me, now_ms)
            return dict.fromkeys(free, 0) | deliveries.ready_targets(connection, self._me, now_ms)

    def sweep(self) -> None:
        """End what has waited for too long, and what waits for a target that is gone."""
        now_ms = self._clock()
        with answering(), writing(self._engine) as connection:
            deliveries.cancel_deleted(connection, now_ms)
            summaries.give_up(connection, now_ms)
            given_up = deliveries.give_up(connection, now_ms - GIVEN_UP_AFTER_MS, now_ms)
        if given_up:
            log.error("deliveries_given_up", count=given_up, after_h=24)

    def serve(self, target: str, stop: Event) -> int:
        """Send what may be sent there now; from when on there may be more to send, if nothing new
        comes. A target that is gone is served."""
        now_ms = self._clock()
        try:
            with answering(), reading(self._engine) as connection:
                limits = self._channels[find_target(connection, DISTRICT, target).channel].limits
                lately = deliveries.sent_lately(connection, target, now_ms - MINUTE_MS)
                lately += summaries.sent_lately(connection, target, now_ms - MINUTE_MS)
                of_the_day = summaries.next_for(connection, target, now_ms)
            queue = _Queue(target, Budget(limits, lately))
            found = self._next(queue)
            if not isinstance(found, Choice) and of_the_day is None:
                return found or now_ms  # so a target that has used up its minute costs no lease
            if not self._hold(queue, now_ms):
                return now_ms
            try:
                while isinstance(found, Choice) and not stop.is_set():
                    if not self._try(queue, found):
                        return now_ms
                    found = self._next(queue)
                if of_the_day is not None and not isinstance(found, Choice):
                    found = self._tell_of_the_day(queue) or found
            finally:
                with answering(), writing(self._engine) as connection:
                    deliveries.release(connection, target, self._me)
        except UnknownTarget:
            log.info("target_was_deleted", target=target)
            return now_ms
        return found if isinstance(found, int) else now_ms

    def _tell_of_the_day(self, queue: "_Queue") -> int | None:
        """Send its summary, if one waits; when to ask again, where it has to wait."""
        now_ms = self._clock()
        free_ms = queue.budget.from_ms(now_ms, safety=False)
        if free_ms > now_ms:
            return free_ms
        if not self._hold(queue, now_ms):
            return now_ms
        with answering(), reading(self._engine) as connection:
            told = summaries.next_for(connection, queue.target, now_ms)
            target = find_target(connection, DISTRICT, queue.target)
        if told is None:
            return None
        queue.budget.spend(now_ms)
        message = Message(
            told.key, target.language, now_ms, summary=told.summary, console=self._console
        )
        failed = receipt = None
        try:
            receipt = self._channels[target.channel].send(target, message, self._outgoing)
        except DeliveryFailed as error:
            failed = error
        except Exception as error:
            log.exception("channel_broke", channel=target.channel, message=message.key)
            failed = DeliveryFailed(f"{type(error).__name__} in the channel")
        failpoint("A8")
        done_ms = self._clock()
        if receipt is not None:
            with answering(), writing(self._engine) as connection:
                summaries.tried(connection, told, now_ms, receipt.answer, done_at_ms=done_ms)
                deliveries.hears_again(connection, queue.target)
            self._told(target.channel, "delivered", (done_ms - told.created_at_ms) / 1000)
        elif failed is not None:
            with answering(), writing(self._engine) as connection:
                again_ms = self._again_ms(told.attempts + 1, done_ms)
                summaries.tried(connection, told, now_ms, failed.answer, next_at_ms=again_ms)
                self._rest(connection, target, failed, done_ms)
            self._tell_of_failure(target, failed, told.key, told.attempts + 1)
        return None

    def _next(self, queue: "_Queue") -> Choice | int | None:
        now_ms = self._clock()
        if not queue.waiting or not 0 <= now_ms - queue.read_ms < READ_AGAIN_MS:
            with answering(), reading(self._engine) as connection:
                waiting = deliveries.pending(connection, queue.target, WAITING_AT_ONCE)
            queue.waiting, queue.read_ms = {one.id: one for one in waiting}, now_ms
        return choose(queue.target, list(queue.waiting.values()), queue.budget, now_ms)

    def _hold(self, queue: "_Queue", now_ms: int) -> bool:
        """Whether the target is ours for as long as a message may take; the lease is renewed."""
        if now_ms + LEASE_MS // 2 < queue.leased_until_ms:
            return True
        until_ms = now_ms + LEASE_MS
        with answering(), writing(self._engine) as connection:
            if not deliveries.lease(connection, queue.target, self._me, until_ms, now_ms):
                return False
        queue.leased_until_ms = until_ms
        return True

    def _try(self, queue: "_Queue", choice: Choice) -> bool:
        """Send this message; False: it failed, or the target is no longer ours."""
        now_ms = self._clock()
        if not self._hold(queue, now_ms):
            return False
        begun = self._begin(queue, choice, now_ms)
        if begun is None:
            queue.waiting = {}  # somebody changed what waits: look again
            return True
        target, message = begun
        queue.budget.spend(now_ms)
        told = self._send(target, choice, message)
        for one in told:
            del queue.waiting[one.id]
        if len(told) < len(choice.deliveries):
            queue.waiting = {}
        return bool(told)

    def _begin(self, queue: "_Queue", choice: Choice, now_ms: int) -> tuple[Target, Message] | None:
        """What is to be sent. Its members and key are fixed before its first try: killed after it
        was sent, it must come again as it was, and not within a digest of more."""
        ids = [one.id for one in choice.deliveries]
        if not self._has_key:
            with answering(), writing(self._engine) as connection:
                if newest_key(connection) is None:
                    make_key(connection, now_ms)
            self._has_key = True
        with answering(), reading(self._engine) as connection:
            target = find_target(connection, DISTRICT, queue.target)
            strangers = _strangers(connection, target, choice)
            moot = _moot(connection, choice)
            unheard = {one.fault for one in choice.deliveries if one.id in moot}
            if not strangers and not moot:
                if not deliveries.still_pending(connection, ids):
                    return None
                links = None
                if self._console is not None:
                    reached = people_reached(connection, ids)
                    links = Links(self._console, target.id, newest_key(connection), reached)
                told = notices(connection, choice.deliveries, choice.over, links)
        if strangers or moot:
            with answering(), writing(self._engine) as connection:
                deliveries.cancel(connection, strangers, "other_firm", now_ms)
                deliveries.drop(connection, moot, "answered", now_ms)
                if unheard:
                    deliveries.drop_ends_of_unheard(connection, target.id, unheard, now_ms)
            return None
        if any(one.message != choice.key for one in choice.deliveries):
            with answering(), writing(self._engine) as connection:
                if not deliveries.put_together(connection, ids, choice.key):
                    return None
        language = self._language(target, ids)
        return target, Message(choice.key, language, now_ms, tuple(told), choice.is_overnight)

    def _language(self, target: Target, ids: list[int]) -> Language:
        """That of the people who are reached by it, if all have the same; else the target's."""
        with answering(), reading(self._engine) as connection:
            return language_of(connection, target.id, ids) or target.language

    def _send(self, target: Target, choice: Choice, message: Message) -> list[Pending]:
        """Which of its events have arrived; none: it failed."""
        ids = [one.id for one in choice.deliveries]
        failpoint("A2", DeliveryFailedHere)
        try:
            receipt = self._channels[target.channel].send(target, message, self._outgoing)
        except DeliveryFailed as failed:
            self._failed(target, choice, failed, message.at_ms)
            return []
        except Exception as error:
            # One message that a channel cannot put together may not hold up all others for ever.
            log.exception("channel_broke", channel=target.channel, message=message.key)
            broke = DeliveryFailed(f"{type(error).__name__} in the channel")
            self._failed(target, choice, broke, message.at_ms)
            return []
        failpoint("A4", DeliveryFailedHere)
        now_ms = self._clock()
        tried = Tried(choice.key, message.at_ms, receipt.answer)
        told = choice.told(receipt.mentioned)
        arrived = [one.id for one in told]
        with answering(), writing(self._engine) as connection:
            deliveries.delivered(connection, arrived, tried, now_ms)
            if len(arrived) < len(ids):
                left = set(ids) - set(arrived)
                deliveries.put_back(connection, [one for one in ids if one in left])
        for one in told:
            self._told(target.channel, "delivered", (now_ms - one.created_at_ms) / 1000)
        return told

    def _failed(
        self, target: Target, choice: Choice, failed: DeliveryFailed, tried_ms: int
    ) -> None:
        """Try again later; or, if that changes nothing, wait for a person."""
        now_ms = self._clock()
        ids = [one.id for one in choice.deliveries]
        attempts = max(one.attempts for one in choice.deliveries) + 1
        tried = Tried(choice.key, tried_ms, failed.answer)
        again_ms = now_ms if failed.permanent else self._again_ms(attempts, now_ms)
        with answering(), writing(self._engine) as connection:
            deliveries.later(connection, ids, tried, again_ms)
            self._rest(connection, target, failed, now_ms)
        self._tell_of_failure(target, failed, choice.key, attempts)

    def _again_ms(self, attempts: int, now_ms: int) -> int:
        wait_s = FIRST_WAIT_S * 2.0 ** min(attempts - 1, 10)
        return now_ms + self._wait_ms(wait_s, LONGEST_WAIT_S)

    def _rest(
        self, connection: Connection, target: Target, failed: DeliveryFailed, now_ms: int
    ) -> None:
        """Leave the target alone: for a while, or until a person has mended it."""
        if failed.permanent:
            deliveries.break_target(connection, target.id, failed.answer, now_ms)
            return
        failures = deliveries.count_failure(connection, target.id)
        rest_ms = self._wait_ms(2.0 ** min(failures - 1, 10), LONGEST_REST_S)
        if failed.wait_s is not None:
            rest_ms = int(failed.wait_s * 1000)
        deliveries.rest(connection, target.id, now_ms + rest_ms)

    def _tell_of_failure(
        self, target: Target, failed: DeliveryFailed, key: str, attempts: int
    ) -> None:
        self._told(target.channel, "refused" if failed.permanent else "failed", 0.0)
        log.warning(
            "delivery_failed",
            target=target.id,
            channel=target.channel,
            message=key,
            answer=failed.answer,
            permanent=failed.permanent,
            attempts=attempts,
        )

    def _wait_ms(self, wait_s: float, longest_s: float) -> int:
        return int(min(wait_s, longest_s) * (0.8 + 0.4 * self._jitter()) * 1000)


@dataclass(slots=True)
class _Queue:
    """What waits for a target, as it was read, and until when the target is ours."""

    target: str
    budget: Budget
    waiting: dict[int, Pending] = field(default_factory=dict)
    read_ms: int = 0
    leased_until_ms: int = 0


class DeliveryFailedHere(DeliveryFailed):
    """What an armed crash point raises."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


def _strangers(connection: Connection, target: Target, choice: Choice) -> list[int]:
    """Deliveries about compounds that the target's firm no longer manages."""
    if target.firm is None:
        return []
    managed = dict(
        connection.execute(
            select(faults.c.id, compounds.c.firm)
            .join(compounds, compounds.c.id == faults.c.compound, isouter=True)
            .where(faults.c.id.in_({one.fault for one in choice.deliveries}))
        ).all()
    )
    return [one.id for one in choice.deliveries if managed[one.fault] != target.firm]


def _moot(connection: Connection, choice: Choice) -> list[int]:
    """Deliveries that press for an answer which has come meanwhile; not of a message that was tried
    already, for it comes again as it was."""
    pressing = [
        one for one in choice.deliveries if one.reason in RETOLD and one.message != choice.key
    ]
    if not pressing:
        return []
    answered = deliveries.answered(connection, {one.fault for one in pressing})
    return [one.id for one in pressing if one.fault in answered]
