"""From values and events to sessions and usage.

An hour that is still in memory (the current one and the one before) is kept as absolute figures;
what belongs to an older hour is handed over to be added to its row, in the same transaction.
"""

from collections.abc import Callable

from devices import sessions, usage
from devices.judgement import Effects
from devices.messages import Event, Value
from devices.sessions import Session, SessionState
from devices.usage import HOUR_MS, hour_of
from ingest.judge.memory import DeviceMemory, Hour

HOURS_KEPT = 2
UNAVAILABLE = frozenset(
    {
        "output_fault", "fuse_blown", "relay_stuck", "disabled", "leakage_fault", "ground_fault",
        "over_voltage", "under_voltage", "paused_high_temp", "paused_smoke", "offline",
    }
)  # fmt: skip

LitAt = Callable[[DeviceMemory, int], bool]  # are this device's lamps to be on at this time?


class UseMeter:
    """Adds up what devices do. commanded: whether a lamp is to be lit at a time."""

    def __init__(self, effects: Callable[[], Effects], commanded: LitAt) -> None:
        self._effects = effects
        self._commanded = commanded

    def report(self, memory: DeviceMemory, at_ms: int) -> None:
        """A report arrived, live or late: it counts for the coverage of its hour."""
        hour = self._hour(memory, hour_of(at_ms))
        if hour is None:
            received = self._effects().late_received
            key = (memory.device.id, hour_of(at_ms))
            received[key] = received.get(key, 0) + 1
        else:
            hour.received += 1
            hour.moved = True

    def values(self, memory: DeviceMemory, values: dict[str, Value], at_ms: int) -> None:
        """Values newer than all before, not yet in `memory.latest`: account up to `at_ms`."""
        kind = memory.device.kind
        if kind == "port":
            self._port(memory, values, at_ms)
        elif kind == "lamp":
            self._lamp(memory, values, at_ms)

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
        else:
            self._add(memory, at_ms, "deny_reasons", 1, str(attributes.get("deny_reason", "other")))

    def session_start(self, memory: DeviceMemory, event: Event, at_ms: int) -> None:
        """A session starts; one that is still open on this port ends by inference."""
        order = str(event.attributes.get("order", ""))
        known = memory.session
        if known is not None and known.order != order:
            self.abandon(memory)
        session = sessions.begin(
            memory.device.compound, memory.device.parent or "", memory.device.id, order, at_ms
        )
        memory.session = session
        memory.energy_kwh = 0.0
        self._effects().sessions[session.id] = session

    def session_end(self, memory: DeviceMemory, event: Event, at_ms: int, *, late: bool) -> None:
        """A session ends. late: the end of an earlier session, which leaves the port as it is."""
        order = str(event.attributes.get("order", ""))
        known = memory.session if memory.session and memory.session.order == order else None
        session = sessions.end(
            known,
            memory.device.compound,
            memory.device.parent or "",
            memory.device.id,
            order,
            at_ms,
            event.attributes,
        )
        self._effects().sessions[session.id] = session
        counted_kwh = (memory.energy_kwh or 0.0) if known is not None else 0.0
        self._close(memory, session, counted_kwh)
        if not late:
            memory.session = None
            memory.energy_kwh = 0.0

    def abandon(self, memory: DeviceMemory) -> None:
        """Close the port's open session at its last evidence."""
        if memory.session is None:
            return
        energy_kwh = memory.energy_kwh
        ended = sessions.infer_end(
            memory.session, memory.device_at_ms or memory.session.started_at_ms or 0, energy_kwh
        )
        self._effects().sessions[ended.id] = ended
        self._close(memory, ended, energy_kwh or 0.0)
        memory.session = None
        memory.energy_kwh = 0.0

    def _close(self, memory: DeviceMemory, session: Session, counted_kwh: float) -> None:
        """Account for what a closed session adds beyond the readings that came before its end."""
        if session.state is not SessionState.CLOSED or session.ended_at_ms is None:
            return
        ended_ms = session.ended_at_ms
        rest_kwh = (session.energy_kwh or 0.0) - counted_kwh
        if rest_kwh > 0:
            begun_ms = session.started_at_ms or ended_ms
            # readings came up to used_to_ms; without any, the whole session is the span
            from_ms = memory.used_to_ms if counted_kwh and memory.used_to_ms else begun_ms
            for hour, share in usage.spread(rest_kwh, max(from_ms, begun_ms), ended_ms):
                self._add(memory, hour, "energy_kwh", share)
        if session.stop_reason is not None:
            self._add(memory, ended_ms, "stop_reasons", 1, session.stop_reason)
        self._add(memory, ended_ms, "fee_fen", session.fee_fen or 0)
        if usage.counts_as_session(session.stop_reason, session.energy_kwh):
            self._add(memory, ended_ms, "sessions", 1)
            self._add(memory, ended_ms, "session_s", session.duration_s or 0)

    def _port(self, memory: DeviceMemory, values: dict[str, Value], at_ms: int) -> None:
        from_ms = self._span(memory, at_ms)
        status = memory.word("port_status")
        if from_ms is not None:
            if status == "in_use":
                self._spread(memory, "in_use_s", from_ms, at_ms)
            elif status in UNAVAILABLE:
                self._spread(memory, "unavailable_s", from_ms, at_ms)
        energy = values.get("session_energy_kwh")
        if isinstance(energy, int | float):
            grown = usage.register_delta(memory.energy_kwh, float(energy))
            memory.energy_kwh = float(energy)
            if grown > 0:
                for hour, share in usage.spread(grown, from_ms or at_ms, at_ms):
                    self._add(memory, hour, "energy_kwh", share)

    def _lamp(self, memory: DeviceMemory, values: dict[str, Value], at_ms: int) -> None:
        last_ms = memory.used_to_ms
        from_ms = self._span(memory, at_ms)
        lamps = int(memory.device.attributes.get("lamp_count", 1))
        if from_ms is not None:
            lit = _lit(memory, lamps)
            commanded = self._commanded(memory, from_ms) or memory.word("switch_state") in (
                "on",
                "low",
            )
            seconds = (at_ms - from_ms) / 1000
            if lit:
                self._spread(memory, "burn_s", from_ms, at_ms, lit)
            if commanded and seconds > 0:
                if lit is None:
                    self._spread(memory, "unknown_s", from_ms, at_ms, lamps)
                else:
                    self._spread(memory, "lit_s", from_ms, at_ms, lit)
                    self._spread(memory, "dark_s", from_ms, at_ms, lamps - lit)
        elif last_ms is not None and self._commanded(memory, at_ms):
            # Silent for more than three intervals; unknown from when the lamps were to be on.
            start = last_ms
            while start < at_ms and not self._commanded(memory, start):
                start += HOUR_MS // 4
            if start < at_ms:
                self._spread(memory, "unknown_s", start, at_ms, lamps)
        energy = values.get("energy_kwh")
        if isinstance(energy, int | float):
            grown = usage.register_delta(memory.energy_kwh, float(energy))
            memory.energy_kwh = float(energy)
            if grown > 0:
                for hour, share in usage.spread(grown, from_ms or last_ms or at_ms, at_ms):
                    self._add(memory, hour, "energy_kwh", share)

    def _span(self, memory: DeviceMemory, at_ms: int) -> int | None:
        """From when the last values hold up to `at_ms`; None after more than three intervals."""
        from_ms, memory.used_to_ms = memory.used_to_ms, at_ms
        if from_ms is None or at_ms - from_ms > 3 * memory.device.interval_s * 1000:
            return None
        return from_ms

    def _spread(
        self, memory: DeviceMemory, name: str, from_ms: int, to_ms: int, times: float = 1
    ) -> None:
        if not times or to_ms <= from_ms:
            return
        for hour, seconds in usage.spread((to_ms - from_ms) / 1000, from_ms, to_ms):
            self._add(memory, hour, name, seconds * times)

    def _add(
        self, memory: DeviceMemory, at_ms: int, name: str, amount: float, of: str | None = None
    ) -> None:
        if not amount:
            return
        start = hour_of(at_ms)
        hour = self._hour(memory, start)
        if hour is None:
            figures = self._effects().late_hours.setdefault((memory.device.id, start), {})
        else:
            hour.moved = True
            figures = hour.figures
        usage.add(figures, name, amount, of)

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


def settled(memory: DeviceMemory) -> list[int]:
    """The hours that memory no longer needs once they are saved."""
    if len(memory.hours) <= HOURS_KEPT:
        return []
    newest = max(memory.hours)
    return [start for start in memory.hours if start <= newest - HOURS_KEPT * HOUR_MS]


def _lit(memory: DeviceMemory, lamps: int) -> int | None:
    """How many lamps burn, by the latest values; None is unknown."""
    state, power = memory.word("switch_state"), memory.word("power_w")
    if state == "off":
        return 0
    nominal = memory.device.attributes.get("nominal_power_w")
    if isinstance(power, int | float) and isinstance(nominal, int | float):
        dim = memory.word("dim_level_pct")
        share = dim / 100 if isinstance(dim, int | float) and dim > 0 else 1.0
        return usage.lit_lamps(float(power), float(nominal) * lamps, share, lamps)
    if state in ("on", "low"):
        return lamps
    return None
