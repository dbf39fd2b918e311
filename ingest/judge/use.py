"""From values and events to sessions and usage.

An hour that is still in memory (the current one and the one before) is kept as absolute figures;
what belongs to an older hour is handed over to be added to its row, in the same transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from devices import registers, sessions, usage
from devices.credentials import hash_of
from devices.judgement import Effects
from devices.kinds.kind import Implied
from devices.lighting import OFF_BY_MS
from devices.messages import Event, Value
from devices.reconciliation import POWER_LEAST, Measured
from devices.registers import Exclusion, Gauge, Jump, gauge_of
from devices.registry import Device, Registry
from devices.sessions import Session
from devices.usage import HOUR_MS, hour_of
from ingest.judge.drawn import Drawn
from ingest.judge.memory import DeviceMemory, Ended, Hour, Presence
from ingest.judge.patterns import has

HOURS_KEPT = 2
GUESSED_KEPT = 4  # of a port: boards keep an end that nobody answered for hours, not for days
QUARTER_MS = HOUR_MS // 4
WS_PER_KWH = 3_600_000
# Sessions, how long they lasted, and why they stopped: by what their ends say, and by inference
# from readings, which is worked out again with them. Of a board that restarted, whose end says
# (nearly) nothing, the register tells that it charged: that is worked out again likewise.
TOLD = ("sessions", "session_s", "stop_reasons")
INFERRED = ("inferred_sessions", "inferred_session_s", "inferred_stops")
UNREPORTED = ("unreported_sessions", "unreported_session_s")
SHED_METER = "meter_energy_kwh"
# What a device was silent for longer than this is nobody's usage any more: figures are final then,
# and a lamp that was away for a year must not write a row for each of its hours.
LONGEST_MS = 7 * 24 * HOUR_MS
UNAVAILABLE = frozenset(
    {
        "output_fault", "fuse_blown", "relay_stuck", "disabled", "leakage_fault", "ground_fault",
        "over_voltage", "under_voltage", "paused_high_temp", "paused_smoke", "offline",
    }
)  # fmt: skip

# Events that change what the values of reports add up to.
METERED_EVENTS = ("session_start", "session_end", "normally_open", "fire_open", "command")
MEANT_TO_BE_OPEN = ("normally_open", "fire_open")

RegisterMoved = Callable[[DeviceMemory, Exclusion | None, int], None]
LitAt = Callable[[DeviceMemory, int], bool]  # are this device's lamps to be on at this time?


class Passed:
    """Who has passed the gates of a compound on a local day, since we look."""

    __slots__ = ("from_ms", "hashes", "to_ms")

    def __init__(self, from_ms: int, to_ms: int) -> None:
        self.from_ms = from_ms
        self.to_ms = to_ms
        self.hashes: set[bytes] = set()


class UseMeter:
    """Adds up what devices do.

    commanded: whether a lamp is to be lit at a time. open_from: the time before which the figures
    of a device change no more. recall: gives a session that is on record. float_w: the power below
    which the battery at a socket is full. day_of: when the local day began and ended that holds a
    time, where the device is. is_live: what comes in another order is worked out again elsewhere;
    not of a back-filled history. inferred: this is where it is, and these sessions, with their stop
    reasons, have no end of their own. moved: told of each jump of a port's register, and of each
    reading of a shed's meter, whether it is one.
    """

    def __init__(
        self,
        effects: Callable[[], Effects],
        commanded: LitAt,
        open_from: Callable[[DeviceMemory], int],
        recall: Callable[[str], Session | None],
        float_w: Callable[[DeviceMemory], float],
        day_of: Callable[[DeviceMemory, int], tuple[int, int]],
        *,
        is_live: bool = True,
        inferred: Mapping[str, str] | None = None,
        moved: RegisterMoved = lambda _memory, _jump, _at_ms: None,
    ) -> None:
        self._day_of = day_of
        self._passed: dict[str, Passed] = {}
        self._effects = effects
        self._float_w = float_w
        self._commanded = commanded
        self._open_from = open_from
        self._recall = recall
        self._is_live = is_live
        self._inferred = inferred
        self._moved = moved
        self._gauges: dict[str, tuple[Device, Gauge]] = {}

    def report(self, memory: DeviceMemory, values: Mapping[str, Value], at_ms: int) -> None:
        """A report arrived, live or late: it counts for the coverage of its hour."""
        hour = self._hour(memory, hour_of(at_ms))
        beats = memory.plan.beats
        is_change = bool(beats) and beats.isdisjoint(values)
        if hour is None:
            if at_ms < self._open_from(memory):
                return
            received = self._effects().late_received
            key = (memory.device.id, hour_of(at_ms))
            received[key] = received.get(key, 0) + 1
            if is_change:
                usage.add(self._effects().late_hours.setdefault(key, {}), "on_change", 1)
        else:
            hour.received += 1
            hour.moved = True
            if is_change:
                usage.add(hour.figures, "on_change", 1)

    def overtaken(self, memory: DeviceMemory, at_ms: int, *, replayed: bool) -> None:
        """A report came behind newer ones: what its values add up to is worked out again.

        It lies between two others, and what a register grew by is spread over the time between
        them: so all hours that are still in memory are worked out again as well. replayed: it was
        judged again, out of the quarantine.
        """
        if memory.drawn is not None:
            memory.drawn.whole = False
        if memory.device.kind not in usage.METERED or at_ms < self._open_from(memory):
            return
        again = self._effects().again
        for hour in memory.hours.values():
            hour.overtaken = True
        for start in (hour_of(at_ms), *memory.hours):
            key = (memory.device.id, start)
            again[key] = replayed or again.get(key, False)

    def values(self, memory: DeviceMemory, values: dict[str, Value], at_ms: int) -> None:
        """Values newer than all before, not yet in `memory.latest`: account up to `at_ms`."""
        kind = memory.device.kind
        if kind == "port":
            self._port(memory, values, at_ms)
        elif kind == "lamp":
            self._lamp(memory, values, at_ms)
        elif kind == "gate":
            self._gate(memory, values, at_ms)

    def implied(self, memory: DeviceMemory, event: Event, at_ms: int) -> None:
        """An event of a gate tells of a mode, which is not in `memory.latest` yet."""
        told = implied_by(memory.plan.implied.get(event.type, ()), event)
        if told:
            self._gate(memory, told, at_ms)

    def shed_meter(self, memory: DeviceMemory, reads_kwh: Value, at_ms: int) -> None:
        """A live reading of a shed's own meter, which counts for nobody's usage."""
        before = memory.latest.get(SHED_METER)
        if before is None or not isinstance(reads_kwh, int | float):
            return
        before_kwh, from_ms = before
        if not isinstance(before_kwh, int | float):
            return
        device = memory.device
        grown = registers.step(
            float(before_kwh), float(reads_kwh), at_ms - from_ms, self._gauge(device)
        )
        jump = None
        if grown.why is not None:
            jump = Exclusion(
                device.compound,
                device.id,
                SHED_METER,
                from_ms,
                at_ms,
                float(before_kwh),
                float(reads_kwh),
                grown.excluded_kwh,
                grown.why,
            )
        self._moved(memory, jump, at_ms)

    def silent(self, memory: DeviceMemory, to_ms: int) -> None:
        """An hour has passed in which a lamp was offline: nothing is known of it."""
        last_ms = memory.used_to_ms
        if last_ms is None or last_ms >= to_ms:
            return
        memory.used_to_ms = to_ms
        memory.saved_use_ms = 0
        self._unknown(memory, max(last_ms, to_ms - LONGEST_MS), to_ms, lamps_of(memory))

    def access(self, memory: DeviceMemory, event: Event, at_ms: int) -> None:
        """Somebody passed, or was refused, at a gate."""
        attributes = event.attributes
        granted = attributes.get("result") == "granted"
        self._add(memory, at_ms, "granted" if granted else "denied", 1)
        method = str(attributes.get("method", "unknown"))
        if granted:
            self._add(memory, at_ms, "by_method", 1, method)
            self._add(memory, at_ms, "by_direction", 1, str(attributes.get("direction", "unknown")))
            if method == "remote":
                self._add(memory, at_ms, "remote", 1)
            credential = hash_of(attributes.get("credential_hash"))
            if credential is not None:
                self._recognised(memory, credential, at_ms)
        else:
            self._add(memory, at_ms, "deny_reasons", 1, str(attributes.get("deny_reason", "other")))

    def _recognised(self, memory: DeviceMemory, credential: bytes, at_ms: int) -> None:
        """Somebody passed. Who did so before on the newest day is handed over only once."""
        compound = memory.device.compound
        newest = self._passed.get(compound)
        if newest is None or not newest.from_ms <= at_ms < newest.to_ms:
            if at_ms < self._open_from(memory):
                return
            from_ms, to_ms = self._day_of(memory, at_ms)
            day = Passed(from_ms, to_ms)
            if newest is None or from_ms > newest.from_ms:
                self._passed[compound] = day
            newest = day
        if credential not in newest.hashes:
            newest.hashes.add(credential)
            self._effects().credentials.setdefault((compound, newest.from_ms), set()).add(
                credential
            )

    def session_start(self, memory: DeviceMemory, event: Event, at_ms: int) -> None:
        """A session starts, or is told late to have started; one that is still open ends by it."""
        order = str(event.attributes.get("order", ""))
        device = memory.device
        known, ended = memory.session, _ended(memory, order)
        if ended is not None:
            self._started_earlier(memory, ended, at_ms)
            return
        if known is not None and known.order == order:
            return
        session = sessions.begin(device.compound, device.parent or "", device.id, order, at_ms)
        if _is_earlier(memory, at_ms):
            # It did not last until the one that we know of; its own end may still come.
            self._close(memory, sessions.infer_end(session, at_ms, None), 0.0, None)
            return
        self.abandon(memory)
        memory.session = session
        # In an hour that is worked out again so is this session: see `_work_out_again`.
        hour = memory.hours.get(hour_of(at_ms))
        is_read = memory.used_to_ms is not None and memory.used_to_ms > at_ms
        memory.drawn = Drawn(at_ms, whole=not is_read and (hour is None or not hour.overtaken))
        self._effects().sessions[session.id] = session
        if _is_read_after(memory, at_ms):
            memory.metered_kwh = memory.energy_kwh or 0.0  # readings of it came before its start
        else:
            memory.energy_kwh = memory.metered_kwh = 0.0

    def started_unseen(self, memory: DeviceMemory, event: Event, at_ms: int) -> None:
        """The start arrives of a session whose end is on record, and no longer in memory."""
        order = str(event.attributes.get("order", ""))
        session = sessions.session_id(memory.device.parent or "", order)
        effects = self._effects()
        known = effects.sessions.get(session) or self._recall(session)
        begun = None if known is None else sessions.started_late(known, at_ms)
        if known is not None and begun is not None:
            effects.sessions[session] = begun
            self._work_out_again(memory, begun)
            self._count(memory, known, -1, _register_kwh(known.measured))
            self._count(memory, begun, 1, None)

    def may_start_late(
        self, memory: DeviceMemory, event: Event, has_ended: Callable[[], bool]
    ) -> bool:
        """Whether a start that is told late says anything: not of a session that ended long ago.

        has_ended: whether its end is on record.
        """
        return _ended(memory, str(event.attributes["order"])) is not None or not has_ended()

    def session_end(self, memory: DeviceMemory, event: Event, at_ms: int, *, late: bool) -> bool:
        """A session ends; False if it had ended already.

        Boards repeat an end until it is answered, also after the next session began: so only the
        end of the session that we take to be running leaves the port without one.
        """
        device = memory.device
        shed = device.parent or ""
        order = str(event.attributes.get("order", ""))
        known = memory.session if memory.session and memory.session.order == order else None
        ended = _ended(memory, order)
        if ended is not None and not ended.inferred:
            return False
        begun = known
        if ended is not None and ended.started_ms is not None:
            begun = sessions.begin(device.compound, shed, device.id, order, ended.started_ms)
        session = sessions.end(
            begun, device.compound, shed, device.id, order, at_ms, event.attributes
        )
        # Readings are of the session that runs, or, if none is known to, of the one that ends now.
        is_newest = not late or memory.used_to_ms is None or memory.used_to_ms <= at_ms
        is_read = known is not None or (memory.session is None and ended is None and is_newest)
        if ended is not None:
            memory.guessed.pop(order, None)
            self._count(memory, _session_of(memory, ended), -1, ended.register_kwh)
            self._close(memory, session, ended.metered_kwh, ended.ended_ms)
        elif is_read:
            is_whole = known is not None and memory.metered_kwh > 0
            read_to_ms = memory.used_to_ms if is_whole else None
            self._close(memory, session, memory.metered_kwh, read_to_ms)
        else:
            self._close(memory, session, 0.0, None)
        if is_read:
            memory.session = None
            memory.metered_kwh = 0.0
            if not _is_read_after(memory, at_ms):
                # Some boards go on showing the last order's register until the next one.
                memory.energy_kwh = session.energy_kwh or memory.energy_kwh
        return True

    def abandon(
        self, memory: DeviceMemory, stop_reason: str = "unknown", ended_ms: int | None = None
    ) -> None:
        """Close the port's open session then, or else when it was last seen to charge."""
        if memory.session is None:
            return
        if self._inferred is not None:
            stop_reason = self._inferred.get(memory.session.id, stop_reason)
        last_ms = memory.device_at_ms or memory.session.started_at_ms or 0
        drawn = memory.drawn
        if drawn is not None and drawn.began_ms == memory.session.started_at_ms:
            last_ms = drawn.charged_ms or drawn.began_ms
            if drawn.restarted and stop_reason == "unknown":
                stop_reason = "device_restart"
        if ended_ms is not None:
            last_ms = ended_ms
        energy_kwh = memory.energy_kwh or memory.metered_kwh or None
        ended = sessions.infer_end(memory.session, last_ms, energy_kwh, stop_reason)
        self._close(memory, ended, memory.metered_kwh, None)
        if drawn is not None:
            drawn.whole = False  # what it may still draw until its own end is not followed
        memory.session = None
        memory.metered_kwh = 0.0

    def restarted(self, memory: DeviceMemory, at_ms: int, *, power_was_gone: bool) -> None:
        """The board of this port logs in anew, live. What charged before a power cut has ended.

        After a mere restart it may go on: then the port says so, or that it is idle.
        """
        session = memory.session
        if session is None or (session.started_at_ms or 0) >= at_ms:
            return
        if power_was_gone:
            self.abandon(memory, "power_cut")
        elif memory.drawn is not None:
            memory.drawn.restarted = True

    def _started_earlier(self, memory: DeviceMemory, ended: Ended, at_ms: int) -> None:
        """The start of a session arrives after its end, which had it worked out."""
        self._count(memory, _session_of(memory, ended), -1, ended.register_kwh)
        ended.started_ms = at_ms
        if ended.inferred or ended.duration_s is None:  # else the board has told it
            ended.duration_s = max(0, ended.ended_ms - at_ms) // 1000
        ended.register_kwh = None  # not worked out yet: of another time than before
        session = _session_of(memory, ended)
        self._effects().sessions[session.id] = session
        self._work_out_again(memory, session)
        self._count(memory, session, 1, None)

    def _close(
        self, memory: DeviceMemory, session: Session, metered_kwh: float, read_to_ms: int | None
    ) -> None:
        """Account for a closed session, and for its energy beyond what readings had counted.

        read_to_ms: they counted all of it up to then; None: it is not known what they missed.
        """
        ended_ms = session.ended_at_ms or 0
        measured = self._measured(memory, session)
        session = replace(session, measured=measured)
        self._effects().sessions[session.id] = session
        if measured is None:
            self._work_out_again(memory, session)
        rest_kwh = (session.energy_kwh or 0.0) - metered_kwh
        if rest_kwh > 0:
            from_ms = max(session.started_at_ms or ended_ms, read_to_ms or 0)
            drawn = memory.drawn
            if (
                drawn is not None
                and measured is not None
                and measured.power_known >= POWER_LEAST
                and metered_kwh <= 0
            ):
                open_ms = self._open_from(memory)
                for start, share in drawn.shares():
                    at_ms = min(max(start, open_ms), ended_ms)
                    self._spread(memory, "energy_kwh", rest_kwh * share, at_ms, at_ms)
            else:
                self._spread(memory, "energy_kwh", rest_kwh, from_ms, ended_ms)
        register_kwh = _register_kwh(measured)
        self._count(memory, session, 1, register_kwh)
        ended = Ended(
            session.order,
            session.started_at_ms,
            ended_ms,
            session.duration_s,
            session.energy_kwh,
            session.fee_fen,
            session.stop_reason or "unknown",
            session.native_reason,
            session.ended_by is sessions.EndedBy.PLATFORM,
            max(metered_kwh, session.energy_kwh or 0.0),
            register_kwh,
        )
        last = memory.ended
        if last is None or last.order == ended.order:
            memory.ended = ended
        elif ended.ended_ms >= last.ended_ms:
            memory.ended = ended
            _await_end(memory, last)
        else:
            _await_end(memory, ended)

    def _measured(self, memory: DeviceMemory, session: Session) -> Measured | None:
        """What the session drew; None where that must be worked out from all its readings."""
        drawn, started_ms, ended_ms = memory.drawn, session.started_at_ms, session.ended_at_ms
        if started_ms is None or ended_ms is None:
            return Measured()  # over which time nobody knows
        measured = None
        if drawn is not None and drawn.began_ms == started_ms:
            device = memory.device
            measured = drawn.measured(ended_ms, device.interval_s, self._gauge(device))
        awaits = self._is_live and self._inferred is None
        return measured if measured is not None or awaits else Measured()

    def _work_out_again(self, memory: DeviceMemory, session: Session) -> None:
        """The judge has not followed it from its start to its end: mark all of its hours.

        Whatever runs in one of those is worked out with it, from readings that may not be stored
        yet, and so must be worked out once more when it ends.
        """
        ended_ms = session.ended_at_ms
        if session.started_at_ms is None or ended_ms is None:
            return
        if not self._is_live or self._inferred is not None:
            return
        if memory.drawn is not None:
            memory.drawn.whole = False
        again = self._effects().again
        start = hour_of(max(session.started_at_ms, ended_ms - LONGEST_MS))
        while start <= ended_ms:
            hour = memory.hours.get(start)
            if hour is not None:
                hour.overtaken = True
            again.setdefault((memory.device.id, start), False)
            start += HOUR_MS

    def _gauge(self, device: Device) -> Gauge:
        known = self._gauges.get(device.id)
        if known is None or known[0] is not device:
            known = self._gauges[device.id] = (device, gauge_of(device.kind, device.attributes))
        return known[1]

    def _count(
        self, memory: DeviceMemory, session: Session, sign: int, register_kwh: float | None
    ) -> None:
        """Count it where it ended, or take it away. register_kwh: as in `counted_as`."""
        at_ms = session.ended_at_ms or 0
        if session.stop_reason is not None:
            is_guess = session.ended_by is sessions.EndedBy.PLATFORM
            stops = INFERRED[2] if is_guess else TOLD[2]
            self._add(memory, at_ms, stops, sign, session.stop_reason)
        self._add(memory, at_ms, "fee_fen", sign * (session.fee_fen or 0))
        names = counted_as(session, register_kwh)
        if names is not None:
            counts, lasts = names
            self._add(memory, at_ms, counts, sign)
            self._add(memory, at_ms, lasts, sign * (session.duration_s or 0))

    def _gate(self, memory: DeviceMemory, values: Mapping[str, Value], at_ms: int) -> None:
        """How long it stands open beyond its limit; only of one that is open is anything kept.

        What it said before holds until now, for three intervals at most. Whose mode is to be open
        is not held open, and one that was has its limit from the end of that on.
        """
        opened_ms = memory.opened_ms
        if opened_ms is not None:
            if at_ms < (memory.used_to_ms or 0):
                return
            from_ms = self._span(memory, at_ms)
            if from_ms is not None:
                from_ms = max(from_ms, opened_ms + held_open_after_ms(memory))
                self._spread(memory, "held_open_s", (at_ms - from_ms) / 1000, from_ms, at_ms)
        open_ = stands_open(memory, values)
        if open_ is None:
            memory.opened_ms = None
        elif opened_ms is None:
            memory.used_to_ms = at_ms
            memory.opened_ms = at_ms - (0 if open_ == "open" else held_open_after_ms(memory))

    def _port(self, memory: DeviceMemory, values: dict[str, Value], at_ms: int) -> None:
        from_ms = self._span(memory, at_ms)
        if from_ms is not None and (told := memory.told("port_status")) is not None:
            if told[0] == "in_use":
                self._spread(memory, "in_use_s", (at_ms - from_ms) / 1000, from_ms, at_ms)
                if self._floats(memory):
                    self._spread(memory, "full_s", (at_ms - from_ms) / 1000, from_ms, at_ms)
            elif told[0] == "full":
                self._spread(memory, "full_s", (at_ms - from_ms) / 1000, from_ms, at_ms)
            elif told[0] in UNAVAILABLE:
                self._spread(memory, "unavailable_s", (at_ms - from_ms) / 1000, from_ms, at_ms)
        energy = values.get("session_energy_kwh")
        session = memory.session
        begun_ms = (session.started_at_ms or 0) if session is not None else 0
        if isinstance(energy, int | float):
            if energy != memory.energy_kwh:
                self._charged(memory, float(energy), values.get("session_s"), at_ms, begun_ms)
            memory.energy_ms = at_ms
        if session is not None:
            drawn = memory.drawn
            if drawn is None or drawn.began_ms != begun_ms:
                drawn = memory.drawn = Drawn(begun_ms)
            interval_s = memory.device.interval_s
            drawn.take(at_ms, values, interval_s, self._gauge(memory.device))
            if (
                drawn.idle_ms
                and drawn.has_stopped(at_ms, interval_s)
                and (self._inferred is None or session.id in self._inferred)
            ):
                self.abandon(memory)

    def _charged(
        self,
        memory: DeviceMemory,
        energy_kwh: float,
        lasts_s: Value | None,
        at_ms: int,
        begun_ms: int,
    ) -> None:
        counts_ms = int(lasts_s * 1000) if isinstance(lasts_s, int | float) else 0
        register = "session_energy_kwh"
        grown = self._grown(memory, register, energy_kwh, at_ms, begun_ms, counts_ms)
        if grown > 0:
            memory.metered_kwh += grown
            since_ms = _read_ms(memory, register) or at_ms
            since_ms = max(since_ms, at_ms - LONGEST_MS, begun_ms)
            self._spread(memory, "energy_kwh", grown, since_ms, at_ms)

    def _floats(self, memory: DeviceMemory) -> bool:
        """Whether the battery at a socket in use only floats: it drew, and draws hardly any now."""
        power = memory.told("power_w")
        if power is None or (memory.energy_kwh or 0.0) <= usage.LEAST_ENERGY_KWH:
            return False
        if memory.outlook is None:
            limit_w: Value = self._float_w(memory)
        else:  # of most readings it is too much anyway: a third of the time
            known = memory.outlook.known
            limit_w = known.attributes.get("float_power_w") or known.parent.get(
                "float_power_w", usage.FLOAT_POWER_W
            )
        if type(limit_w) is str:
            limit_w = usage.FLOAT_POWER_W
        if power[0] >= limit_w:  # type: ignore[operator]  # both are numbers
            return False
        session = memory.session
        return session is None or power[1] >= (session.started_at_ms or 0)

    def _lamp(self, memory: DeviceMemory, values: dict[str, Value], at_ms: int) -> None:
        last_ms = memory.used_to_ms
        if last_ms is not None:
            last_ms = max(last_ms, at_ms - LONGEST_MS)
        from_ms = self._span(memory, at_ms)
        lamps = lamps_of(memory)
        if memory.state is Presence.OFFLINE:
            from_ms = None  # what it said last held no longer
        lit: int | None = None
        if from_ms is not None and from_ms < at_ms:
            lit = lit_of(memory, lamps)
            commanded = self._commanded(memory, from_ms)
            passed_s = (at_ms - from_ms) / 1000
            if lit:
                by_day = not commanded and not (
                    self._commanded(memory, from_ms - OFF_BY_MS)
                    or self._commanded(memory, from_ms + OFF_BY_MS)
                )
                self._burned(memory, lit, from_ms, at_ms, by_day=by_day)
            if commanded or memory.word("switch_state") in ("on", "low"):
                if lit is None:
                    self._spread(memory, "unknown_s", passed_s * lamps, from_ms, at_ms)
                else:
                    self._spread(memory, "lit_s", passed_s * lit, from_ms, at_ms)
                    self._spread(memory, "dark_s", passed_s * (lamps - lit), from_ms, at_ms)
        elif last_ms is not None and last_ms < at_ms:
            self._unknown(memory, last_ms, at_ms, lamps)
        energy = values.get("energy_kwh")
        if not isinstance(energy, int | float):
            return
        if energy != memory.energy_kwh:
            grown = self._grown(memory, "energy_kwh", float(energy), at_ms, 0)
            if grown > 0:
                since_ms = max(_read_ms(memory, "energy_kwh") or at_ms, at_ms - LONGEST_MS)
                self._spread(memory, "energy_kwh", grown, since_ms, at_ms)
                if lit is None or not isinstance(_nominal_w(memory), int | float):
                    self._spread(memory, "unmatched_kwh", grown, since_ms, at_ms)
        memory.energy_ms = at_ms

    def _burned(
        self, memory: DeviceMemory, lit: int, from_ms: int, to_ms: int, *, by_day: bool
    ) -> None:
        """So many of the lamps burned. by_day: which they should not have done."""
        passed_s = (to_ms - from_ms) / 1000
        self._spread(memory, "burn_s", passed_s * lit, from_ms, to_ms)
        nominal, power_w = _nominal_w(memory), memory.word("power_w")
        nominal_w: float | None = None
        if isinstance(nominal, int | float):
            nominal_w = nominal * lit * _dim_share(memory)
            self._spread(memory, "nominal_kwh", nominal_w * passed_s / WS_PER_KWH, from_ms, to_ms)
        if by_day:
            self._spread(memory, "day_burn_s", passed_s * lit, from_ms, to_ms)
            drawn_w = power_w if isinstance(power_w, int | float) else nominal_w
            if drawn_w is not None:
                drawn_kwh = drawn_w * passed_s / WS_PER_KWH
                self._spread(memory, "day_burn_kwh", drawn_kwh, from_ms, to_ms)

    def _grown(
        self,
        memory: DeviceMemory,
        register: str,
        reads_kwh: float,
        at_ms: int,
        begun_ms: int,
        counts_ms: int = 0,
    ) -> float:
        """What a register that reads something else grew by; a jump is left out, and says so.

        begun_ms: it began at zero then, as far as we know. counts_ms: for how long its board says
        that it has counted.
        """
        before_kwh, memory.energy_kwh = memory.energy_kwh, reads_kwh
        gauge = self._gauge(memory.device)
        if before_kwh is not None and 0 <= reads_kwh - before_kwh <= gauge.slack_kwh:
            return reads_kwh - before_kwh  # nearly always, and so without a step
        read_ms = max(_read_ms(memory, register), begun_ms) or at_ms
        grown = registers.step(before_kwh, reads_kwh, at_ms - read_ms, gauge, counts_ms)
        if grown.why is not None and before_kwh is not None:
            is_old = memory.device.kind == "port" and memory.session is None
            if grown.why is Jump.FORWARDS or not is_old:  # else it shows the last order's again
                self._exclude(
                    Exclusion(
                        memory.device.compound,
                        memory.device.id,
                        register,
                        read_ms,
                        at_ms,
                        before_kwh,
                        reads_kwh,
                        grown.excluded_kwh,
                        grown.why,
                    ),
                    memory,
                )
        return grown.grown_kwh

    def _exclude(self, jump: Exclusion, memory: DeviceMemory) -> None:
        """Count what is left out, in the hour of the reading that shows it."""
        if self._add(memory, jump.at_ms, "excluded_kwh", jump.excluded_kwh):
            self._effects().exclusions.append(jump)
        if memory.device.kind == "port":
            self._moved(memory, jump, jump.at_ms)

    def _unknown(self, memory: DeviceMemory, from_ms: int, to_ms: int, lamps: int) -> None:
        """Silent for more than three intervals: unknown while the lamps were to be on."""
        while from_ms < to_ms:
            next_ms = min(to_ms, from_ms - from_ms % QUARTER_MS + QUARTER_MS)
            if self._commanded(memory, (from_ms + next_ms) // 2):
                self._spread(
                    memory, "unknown_s", (next_ms - from_ms) / 1000 * lamps, from_ms, next_ms
                )
            from_ms = next_ms

    def _span(self, memory: DeviceMemory, at_ms: int) -> int | None:
        """From when the last values hold up to `at_ms`; None after more than three intervals."""
        from_ms, memory.used_to_ms = memory.used_to_ms, at_ms
        if from_ms is None or at_ms - from_ms > 3 * memory.device.interval_s * 1000:
            return None
        return from_ms

    def _spread(
        self, memory: DeviceMemory, name: str, amount: float, from_ms: int, to_ms: int
    ) -> None:
        """Count `amount` over the hours of [from_ms, to_ms), by time.

        What a register grew by is not lost where a part of that time is final: the rest has it.
        """
        if amount <= 0:
            return
        start = from_ms - from_ms % HOUR_MS
        if from_ms < to_ms <= start + HOUR_MS:  # the usual span is within one hour
            hour = memory.hours.get(start)
            if hour is not None:
                hour.moved = True
                figures = hour.figures
                figures[name] = figures.get(name, 0) + amount  # type: ignore[operator]
                return
        if name in usage.REGISTER_KWH:
            from_ms = min(max(from_ms, self._open_from(memory)), to_ms)
        for start, share in usage.spread(amount, from_ms, to_ms):
            self._add(memory, start, name, share)

    def _add(
        self, memory: DeviceMemory, at_ms: int, name: str, amount: float, of: str | None = None
    ) -> bool:
        """Count it in its hour; False if that is final."""
        if not amount:
            return False
        start = hour_of(at_ms)
        hour = self._hour(memory, start)
        is_newest = hour is not None and start == max(memory.hours)
        if not is_newest and at_ms < self._open_from(memory):
            return False
        if hour is None:
            figures = self._effects().late_hours.setdefault((memory.device.id, start), {})
        else:
            hour.moved = True
            figures = hour.figures
        usage.add(figures, name, amount, of)
        return True

    def _hour(self, memory: DeviceMemory, start: int) -> Hour | None:
        """The hour in memory; None when it is older, so that its row must be added to."""
        hours = memory.hours
        hour = hours.get(start)
        if hour is not None:
            return hour
        if hours and start < max(hours):
            oldest = max(hours) - (HOURS_KEPT - 1) * HOUR_MS
            if start < oldest:
                return None
        hour = hours[start] = Hour()
        return hour


def may_begin(memory: DeviceMemory, start: int) -> bool:
    """Whether this hour, which is not in memory, is newer than those that are."""
    return not memory.hours or start > max(memory.hours)


def settled(memory: DeviceMemory) -> list[int]:
    """The hours that memory no longer needs once they are saved."""
    if len(memory.hours) <= HOURS_KEPT:
        return []
    newest = max(memory.hours)
    return [start for start in memory.hours if start <= newest - HOURS_KEPT * HOUR_MS]


def counted_as(session: Session, register_kwh: float | None) -> tuple[str, str] | None:
    """Under which names a session that is over counts, and its time; None: it was no use.

    register_kwh: what its register counted; None while that is not worked out.
    """
    told = usage.counts_as_session(session.stop_reason, session.energy_kwh)
    if not told and not usage.counts_as_session(session.stop_reason, register_kwh):
        return None
    if session.ended_by is sessions.EndedBy.PLATFORM:
        return INFERRED[:2]
    return TOLD[:2] if told else UNREPORTED


def _register_kwh(measured: Measured | None) -> float | None:
    return None if measured is None else measured.register_kwh


def _read_ms(memory: DeviceMemory, register: str) -> int:
    """When the register read what is accounted: what it grew by belongs to the time since; or 0.

    Not when it was read last: a reading that came late is known, and accounted elsewhere.
    """
    if memory.energy_ms is not None:
        return memory.energy_ms
    read = memory.told(register)
    return 0 if read is None else read[1]


def _ended(memory: DeviceMemory, order: str) -> Ended | None:
    """A session of the port that ended, as far as we know it: the last one, or one by guess."""
    last = memory.ended
    return last if last is not None and last.order == order else memory.guessed.get(order)


def _await_end(memory: DeviceMemory, ended: Ended) -> None:
    """A session that is not the last one: if we guessed its end, its own may still come."""
    if ended.inferred:
        memory.guessed[ended.order] = ended
        if len(memory.guessed) > GUESSED_KEPT:
            del memory.guessed[next(iter(memory.guessed))]


def _is_read_after(memory: DeviceMemory, at_ms: int) -> bool:
    """Whether the port's register was read after that."""
    return _read_ms(memory, "session_energy_kwh") > at_ms


def _is_earlier(memory: DeviceMemory, started_ms: int) -> bool:
    """Whether a session that began then is not the newest of its port."""
    known, ended = memory.session, memory.ended
    if known is not None and started_ms < (known.started_at_ms or 0):
        return True
    if ended is None:
        return False
    # An end that we inferred may rest on what the next order drew, whose start this may be.
    over_ms = ended.started_ms if ended.inferred else ended.ended_ms
    return started_ms < (ended.ended_ms if over_ms is None else over_ms)


def _session_of(memory: DeviceMemory, ended: Ended) -> Session:
    device = memory.device
    shed = device.parent or ""
    return Session(
        sessions.session_id(shed, ended.order),
        device.compound,
        shed,
        device.id,
        ended.order,
        sessions.SessionState.CLOSED,
        ended.started_ms,
        ended.ended_ms,
        ended.duration_s,
        ended.energy_kwh,
        ended.fee_fen,
        ended.stop_reason,
        ended.native_reason,
        sessions.EndedBy.PLATFORM if ended.inferred else sessions.EndedBy.DEVICE,
        provisional=ended.inferred,
    )


def lamps_of(memory: DeviceMemory) -> int:
    return int(memory.device.attributes.get("lamp_count", 1))


def lit_of(memory: DeviceMemory, lamps: int) -> int | None:
    """How many lamps burn, by the latest values; None is unknown."""
    state, power = memory.word("switch_state"), memory.word("power_w")
    if state == "off":
        return 0
    nominal = _nominal_w(memory)
    if isinstance(power, int | float) and isinstance(nominal, int | float):
        share = _dim_share(memory)
        return usage.lit_lamps(float(power), float(nominal) * lamps, share, lamps)
    if state in ("on", "low"):
        return lamps
    return None


def _nominal_w(memory: DeviceMemory) -> Value | None:
    """Of one lamp, as the registry has it."""
    return memory.device.attributes.get("nominal_power_w")


def _dim_share(memory: DeviceMemory) -> float:
    dim = memory.word("dim_level_pct")
    return dim / 100 if isinstance(dim, int | float) and dim > 0 else 1.0


def float_w(port: Device, registry: Registry) -> float:
    """The power below which the battery at a socket is full, as set for it or for its shed."""
    shed = registry.devices.get(port.parent or "")
    for device in (port, shed):
        limit = None if device is None else device.attributes.get("float_power_w")
        if isinstance(limit, int | float):
            return float(limit)
    return usage.FLOAT_POWER_W


def held_open_after_ms(memory: DeviceMemory) -> int:
    form = str(memory.device.attributes.get("form", "pedestrian"))
    return usage.HELD_OPEN_AFTER_MS.get(form, usage.HELD_OPEN_AFTER_MS["pedestrian"])


def stands_open(memory: DeviceMemory, values: Mapping[str, Value]) -> str | None:
    """Whether a gate is open that should be closed, by `values` and by what it said before.

    "open"; "too_long" where it tells of no door, only that it is open for too long; else None.
    """

    def told(name: str) -> Value | None:
        return values[name] if name in values else memory.word(name)

    if told("door_mode") in MEANT_TO_BE_OPEN:
        return None
    door = told("door_state")
    if "open" in (door, told("arm_state")):
        return "open"
    # Boards that latch the alarm do not take it back: a door that reads closed is closed.
    if door != "closed" and told("door_alarm") == "open_too_long":
        return "too_long"
    return None


def implied_by(rules: Iterable[Implied], event: Event) -> dict[str, Value]:
    """The states that an event tells of."""
    told: dict[str, Value] = {}
    for implied in rules:
        if has(event, implied.where):
            value = implied.value
            if value is None:
                value = event.attributes.get(implied.quantity)
            if value is not None:
                told[implied.quantity] = value
    return told
