"""Late readings change the figures of their hours, and in the end they are as if none were late."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any

import pytest

from devices.journal import Raw
from devices.judgement import Effects
from devices.registers import Exclusion
from devices.registry import Registry
from devices.sessions import Session, SessionState
from devices.store.usage_again import Mark, Worked
from devices.sun import lighting_hours
from devices.telemetry import Point, Sample, TelemetryAway
from devices.usage import FROM_REPORTS, HOUR_MS, Figures, hour_of, whole
from ingest.forward import add_points
from ingest.judge.plan import plans
from ingest.recount import Recounter
from tests.ingest.judge.district import District, a_gate, a_lamp, a_shed

HOUR_S = 3600.0
NIGHT_S = 12 * HOUR_S  # 21:10 local: lamps are to be on
PORTS = ("shed-p01", "shed-p02")
METERED = ("gate", "lamp", "circuit", *PORTS)


@dataclass
class Marked:
    """What a district's judge has marked, and what became of it."""

    district: District
    marks: dict[tuple[str, int], Mark] = field(default_factory=dict)
    metered: dict[tuple[str, int], Figures] = field(default_factory=dict)
    later: dict[tuple[str, int], Mark] = field(default_factory=dict)

    def commit(self) -> Effects:
        effects = self.district.commit()
        for device, hour_ms in effects.again:
            mark = Mark(device, hour_ms, "journal-1", effects.position, 0)
            self.marks[device, hour_ms] = mark
        return effects

    def due(self, now_ms: int, limit: int) -> list[Mark]:
        return sorted(self.marks.values())[:limit]

    def heard_to_ms(self) -> int | None:
        return self.district.judge.hearing.watermark_ms

    def registry_revision(self) -> int:
        return 1

    def registry(self) -> Registry:
        return self.district.registry

    def sessions(self, port: str, from_ms: int, to_ms: int) -> list[Session]:
        return [
            session
            for session in self.district.store.rows.sessions.values()
            if session.port == port
            and (session.started_at_ms or 0) < to_ms
            and (
                session.ended_at_ms is None
                or session.ended_at_ms >= from_ms
                or (session.provisional and (session.started_at_ms or 0) >= from_ms - 86_400_000)
            )
        ]

    def write(self, some: Sequence[Worked]) -> None:
        for worked in some:
            self._write(worked)

    def _write(self, worked: Worked) -> None:
        rows, device = self.district.store.rows, worked.device
        for hour_ms, figures in worked.hours.items():
            self.metered[device.id, hour_ms] = figures
        for key in [key for key in rows.exclusions if key[0] == device.id]:
            if hour_of(key[1]) in worked.hours:
                del rows.exclusions[key]
        rows.exclusions |= {(one.device, one.at_ms): one for one in worked.exclusions}
        for session in worked.measured:
            known = rows.sessions[session.id]
            assert (known.ended_by, known.started_at_ms) == (
                session.ended_by,
                session.started_at_ms,
            )
            rows.sessions[session.id] = session
        for mark in worked.done:
            del self.marks[mark.device, mark.hour_ms]
        for hour_ms in worked.later:
            self.later[device.id, hour_ms] = Mark(device.id, hour_ms, "journal-1", 0, 0)

    def figures(self) -> dict[tuple[str, int], dict[str, Any]]:
        """What is shown of each hour, rounded as far as sums of fractions agree."""
        rows = self.district.store.rows.figures
        shown = {
            key: whole(dict(rows.get(key, {})), self.metered.get(key))
            for key in rows.keys() | self.metered.keys()
        }
        rounded = {
            key: {name: _rounded(amount) for name, amount in figures.items() if _rounded(amount)}
            for key, figures in shown.items()
            if key[0] in METERED
        }
        return {key: figures for key, figures in rounded.items() if figures}


def _rounded(amount: Any) -> Any:
    if isinstance(amount, Mapping):
        return {of: part for of, part in amount.items() if part}
    return round(amount, 6)


class Stored:
    """The telemetry store as forward would have filled it from a district's journal."""

    def __init__(self, district: District) -> None:
        self._district = district

    @cached_property
    def _series(self) -> dict[tuple[str, str], dict[int, dict[str, Any]]]:
        points: list[Point] = []
        for record in self._district.records:
            said = [self._district.decoder.read(raw) for raw in record.messages]
            add_points(points, record, said)
        series: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
        for point in points:
            at = series.setdefault((point.measurement, point.device), {})
            at.setdefault(point.at_ms, {}).update(point.fields)
        return series

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        found = self._series.get((measurement, device), {})
        times = sorted(at_ms for at_ms in found if from_ms <= at_ms < to_ms)
        return [Point(measurement, "", device, at, found[at]) for at in times[:limit]]

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]:
        found: dict[str, Sample] = {}
        for at, fields in sorted(self._series.get((measurement, device), {}).items()):
            if at < at_ms:
                found |= {name: Sample(at, fields[name]) for name in quantities if name in fields}
        return found


def a_district() -> District:
    circuit = a_lamp("circuit", granularity="circuit", lamp_count=8, nominal_power_w=9)
    district = District(a_gate(), *a_shed(), a_lamp(), circuit)
    district.now_s = NIGHT_S
    district.probe()
    return district


def recounted(marked: Marked) -> int:
    """All that is marked is worked out; how many steps that took."""
    now_ms = marked.district.now_ms
    recounter = Recounter(marked, Stored(marked.district), plans(), lighting_hours, lambda: now_ms)
    steps = 0
    while recounter.step(threading.Event()):
        steps += 1
        assert steps < 100
    return steps


def an_evening(rng: Random, hours: float) -> list[tuple[float, str, dict[str, Any]]]:
    """(device time, device, object): what two lamps and two sockets say, in order."""
    said: list[tuple[float, str, dict[str, Any]]] = []
    end_s = NIGHT_S + hours * HOUR_S
    for lamp, interval_s in (("lamp", 300.0), ("circuit", 300.0)):
        at_s, energy_kwh = NIGHT_S + 10, 100.0
        while at_s < end_s:
            power_w = rng.choice((0.0, 30.0, 36.0, 72.0))
            energy_kwh = round(energy_kwh + rng.random() / 10, 3)
            values: dict[str, Any] = {
                "switch_state": rng.choice(("on", "on", "on", "off")),
                "power_w": power_w,
                "energy_kwh": energy_kwh,
            }
            said.append((at_s, lamp, {"values": values}))
            at_s += interval_s + rng.randrange(-20, 20) + (rng.random() < 0.1) * 1500
    order = 0
    for port in (1, 2):
        at_s = NIGHT_S + rng.randrange(60)
        while at_s < end_s:
            order += 1
            said.append(
                (at_s, "shed", {"event": "session_start", "port_no": port, "order": str(order)})
            )
            energy_kwh = 0.0
            for _ in range(rng.randrange(3, 90)):
                at_s += 60
                energy_kwh = round(energy_kwh + rng.random() / 200, 4)
                values = {
                    "port_status": "in_use",
                    "power_w": rng.choice((120.0, 120.0, 9.0)),
                    "session_energy_kwh": energy_kwh,
                }
                said.append((at_s, "shed", {"ports": {str(port): values}}))
            at_s += 7
            end: dict[str, Any] = {"event": "session_end", "port_no": port, "order": str(order)}
            end |= {"stop_reason": "full", "session_energy_kwh": round(energy_kwh + 0.01, 4)}
            said.append((at_s, "shed", end))
            status = rng.choice(("idle", "output_fault", "full"))
            said.append((at_s + 1, "shed", {"ports": {str(port): {"port_status": status}}}))
            at_s += rng.randrange(60, 900)
    at_s, door, mode = NIGHT_S + 3.3, "closed", "normal"
    while at_s < end_s:
        if rng.random() < 0.3:
            door = rng.choice(("open", "closed"))
        if rng.random() < 0.05:  # by an event, and never as a value
            mode = "normally_open" if mode == "normal" else "normal"
            event: dict[str, Any] = {"event": "normally_open", "active": mode != "normal"}
            said.append((at_s + 0.4, "gate", event))
        said.append((at_s, "gate", {"values": {"door_state": door}}))
        at_s += 25 + rng.random() * 15 + (rng.random() < 0.03) * 400
    return sorted((one for one in said if one[0] < end_s), key=lambda one: one[0])


def say(district: District, at_s: float, device: str, sent: dict[str, Any]) -> Raw:
    channel = "event" if "event" in sent else "telemetry"
    return district.arrives(device, {"ts": district.at_ms(at_s), **sent}, channel=channel)


def numbered(said: Sequence[tuple[float, str, dict[str, Any]]]) -> list[Any]:
    seqs: dict[str, int] = {}
    found = []
    for at_s, device, sent in said:
        seqs[device] = seqs.get(device, 0) + 1
        found.append((at_s, device, {"boot": 1, "seq": seqs[device], **sent}))
    return found


def lived(said: Sequence[Any], arrivals: Sequence[float], hours: float) -> Marked:
    """Messages arrive at these times, with our probes and commits between them."""
    marked = Marked(a_district())
    district = marked.district
    due = sorted(zip(arrivals, range(len(said)), strict=True))
    for at_s, n in due:
        while district.now_s + 60 < at_s:
            district.now_s += 60
            district.probe()
            marked.commit()
        district.now_s = max(district.now_s, at_s)
        say(district, *said[n])
    while district.now_s < NIGHT_S + hours * HOUR_S:
        district.now_s += 60
        district.probe()
        marked.commit()
    return marked


@pytest.mark.parametrize("seed", range(12))
def test_late_readings_come_to_the_same_figures_as_prompt_ones(seed: int) -> None:
    rng = Random(seed)
    said = numbered(an_evening(rng, hours=4))
    prompt = lived(said, [at_s + 0.5 for at_s, _, _ in said], hours=9)
    assert not prompt.marks

    def delay_s(at_s: float) -> float:
        """Mostly none; some are minutes late, and for a while the shed keeps all for an hour."""
        if rng.random() < 0.1:
            return rng.choice((3.0, 200.0, 2000.0, 9000.0))
        away_s = NIGHT_S + 1.4 * HOUR_S
        return max(0.0, away_s + HOUR_S - at_s) if away_s < at_s < away_s + HOUR_S else 0.5

    arrivals = [at_s + delay_s(at_s) for at_s, _, _ in said]
    late = lived(said, arrivals, hours=9)
    assert late.marks
    assert late.figures() != prompt.figures()
    recounted(late)
    assert not late.marks
    assert not late.later
    assert late.figures() == prompt.figures()
    assert late.district.store.rows.sessions == prompt.district.store.rows.sessions


def an_odd_evening(rng: Random, hours: float) -> list[tuple[float, str, dict[str, Any]]]:
    """The same with all that goes wrong: starts and ends that are never told, registers that jump,
    are reset or are full, reports without power or without a register, ends that tell no energy.
    """
    begun: dict[str, float] = {}
    offsets: dict[str, float] = {"lamp": 99_898.0, "circuit": 0.0}  # the lamp's is soon full
    said = []
    for at_s, device, sent in an_evening(rng, hours):
        if sent.get("event") == "session_start":
            order = sent["order"]
            begun[order] = at_s
            offsets[f"port {sent['port_no']}"] = 0.0
            if rng.random() < 0.2:
                continue
        elif sent.get("event") == "session_end":
            if rng.random() < 0.15:
                continue
            lasted_s = int(at_s - begun.get(sent["order"], at_s))
            sent = {**sent, "session_s": lasted_s}
            if int(sent["order"]) % 2:  # the board has restarted, and knows of nothing
                sent["session_energy_kwh"] = 0.0
        elif "ports" in sent:
            ((port, values),) = sent["ports"].items()
            values = dict(values)
            if "power_w" in values:
                values["power_w"] = round(60 + 120 * rng.random(), 1)
                if rng.random() < 0.01:
                    offsets[f"port {port}"] += rng.choice((5.0, -0.15))
                energy_kwh = values["session_energy_kwh"] + offsets.get(f"port {port}", 0.0)
                values["session_energy_kwh"] = max(0.0, round(energy_kwh, 4))
                for name in ("power_w", "session_energy_kwh"):
                    if rng.random() < 0.1:
                        del values[name]
            sent = {"ports": {port: values}}
        elif "energy_kwh" in sent.get("values", {}):
            values = dict(sent["values"])
            if rng.random() < 0.02 or (device == "circuit" and not offsets[device]):
                offsets[device] += rng.choice((500.0, 40.0, -values["energy_kwh"]))
            energy_kwh = (values["energy_kwh"] + offsets[device]) % 100_000
            values["energy_kwh"] = round(energy_kwh, 3)
            sent = {"values": values}
        said.append((at_s, device, sent))
    return said


def brought_up(marked: Marked) -> Marked:
    recounted(marked)
    assert not marked.marks
    assert not marked.later
    return marked


def told(marked: Marked) -> tuple[Any, ...]:
    rows = marked.district.store.rows
    exclusions = {key: _left_out(one) for key, one in rows.exclusions.items()}
    return marked.figures(), rows.sessions, exclusions


def _left_out(one: Exclusion) -> Exclusion:
    return replace(one, excluded_kwh=round(one.excluded_kwh, 6))


@pytest.mark.parametrize("seed", range(10))
def test_the_same_messages_in_any_order_and_number_give_the_same_figures(seed: int) -> None:
    rng = Random(seed)
    said = numbered(an_odd_evening(rng, hours=4))
    prompt = brought_up(lived(said, [at_s + 0.5 for at_s, _, _ in said], hours=9))
    figures, sessions, exclusions = told(prompt)
    assert exclusions
    assert any("unreported_sessions" in hour for hour in figures.values())
    assert any(session.measured and session.measured.power_kwh for session in sessions.values())
    ended = [one for one in sessions.values() if one.state is SessionState.CLOSED]
    assert all(session.measured is not None for session in ended)

    most_s = rng.choice((30.0, 600.0, 2400.0))
    again = [one for one in said if rng.random() < 0.2]
    told_s = [at_s + 0.5 + most_s * rng.random() for at_s, _, _ in (*said, *again)]
    shuffled = brought_up(lived([*said, *again], told_s, hours=9))
    assert told(shuffled)[0] == figures
    assert told(shuffled)[1] == sessions
    assert told(shuffled)[2] == exclusions


def test_what_came_in_order_comes_to_the_same_when_it_is_worked_out_again() -> None:
    said = numbered(an_evening(Random(7), hours=3))
    marked = lived(said, [at_s + 0.5 for at_s, _, _ in said], hours=8)
    as_judged, sessions = marked.figures(), dict(marked.district.store.rows.sessions)
    assert sum(session.measured is not None for session in sessions.values()) > 3
    for device, hour_ms in as_judged:
        marked.marks[device, hour_ms] = Mark(device, hour_ms, "journal-1", 1, 0)
    recounted(marked)
    assert marked.metered
    assert marked.figures() == as_judged
    assert marked.district.store.rows.sessions == sessions


def test_an_hour_that_the_judge_still_adds_to_is_looked_at_later() -> None:
    marked = Marked(a_district())
    district = marked.district
    next_ms = hour_of(district.at_ms(NIGHT_S)) + HOUR_MS
    start_s = NIGHT_S + (next_ms - district.at_ms(NIGHT_S)) / 1000 - 720  # before the hour ends
    say(district, start_s, "lamp", {"seq": 1, "values": {"energy_kwh": 1.0}})
    district.now_s = start_s + 700
    say(district, start_s + 700, "lamp", {"seq": 3, "values": {"energy_kwh": 3.0}})
    district.probe()
    say(district, start_s + 600, "lamp", {"seq": 2, "values": {"energy_kwh": 2.9}})
    marked.commit()
    district.now_s = start_s + 1000  # in the next hour
    say(district, start_s + 1000, "lamp", {"seq": 4, "values": {"energy_kwh": 4.0}})
    marked.commit()
    recounted(marked)
    assert [key[1] - hour_of(district.now_ms) for key in marked.later] == [0]
    assert {key[1] - hour_of(district.now_ms) for key in marked.metered} == {-HOUR_MS}


def test_nothing_is_marked_of_a_day_whose_figures_are_final() -> None:
    marked = Marked(a_district())
    district = marked.district
    say(district, NIGHT_S, "lamp", {"seq": 1, "values": {"energy_kwh": 1.0}})
    marked.commit()
    before = marked.figures()
    district.now_s += 4 * 24 * HOUR_S
    say(district, district.now_s, "lamp", {"seq": 3, "values": {"energy_kwh": 3.0}})
    district.probe()
    marked.commit()
    say(district, NIGHT_S + 600, "lamp", {"seq": 2, "values": {"energy_kwh": 2.0}})
    effects = marked.commit()
    assert not effects.again
    assert district.account()["late_final"] == 1
    old = hour_of(district.at_ms(NIGHT_S))
    assert marked.figures().get(("lamp", old)) == before.get(("lamp", old))


def test_marks_stay_while_the_telemetry_store_is_away() -> None:
    marked = Marked(a_district())
    marked.marks["lamp", 0] = Mark("lamp", 0, "journal-1", 1, 0)

    class Away(Stored):
        def last_before(self, *_: Any) -> dict[str, Sample]:
            raise TelemetryAway("no answer")

    recounter = Recounter(marked, Away(marked.district), plans(), lighting_hours, lambda: 0)
    with pytest.raises(TelemetryAway):
        recounter.step(threading.Event())
    assert marked.marks


def test_an_hour_that_cannot_be_worked_out_stays_as_it_was_counted() -> None:
    said = numbered(an_evening(Random(7), hours=1))
    marked = lived(said, [at_s + 0.5 for at_s, _, _ in said], hours=3)
    as_judged = marked.figures()
    for device, hour_ms in as_judged:
        marked.marks[device, hour_ms] = Mark(device, hour_ms, "journal-1", 1, 0)

    class Broken(Stored):
        def points(self, measurement: str, device: str, *span: int) -> list[Point]:
            if device == "lamp":
                raise KeyError("a bug")
            return super().points(measurement, device, *span)

    recounter = Recounter(
        marked, Broken(marked.district), plans(), lighting_hours, lambda: marked.district.now_ms
    )
    assert recounter.step(threading.Event())
    assert not marked.marks
    assert "lamp" not in {device for device, _ in marked.metered}
    assert "circuit" in {device for device, _ in marked.metered}
    assert marked.figures() == as_judged


def test_what_the_database_refuses_of_one_device_is_written_of_all_others() -> None:
    said = numbered(an_evening(Random(7), hours=1))
    lived_through = lived(said, [at_s + 0.5 for at_s, _, _ in said], hours=3)
    as_judged = lived_through.figures()

    writes: list[int] = []

    class Refusing(Marked):
        def write(self, some: Sequence[Worked]) -> None:
            writes.append(len(some))
            if any(worked.device.id == "lamp" and worked.hours for worked in some):
                raise ValueError("refused")
            super().write(some)

    marked = Refusing(lived_through.district)
    for device, hour_ms in as_judged:
        marked.marks[device, hour_ms] = Mark(device, hour_ms, "journal-1", 1, 0)
    recounted(marked)
    assert writes == [5, 1, 1, 1, 1, 1, 1]  # together; each alone; the lamp's marks only
    assert {device for device, _ in marked.metered} == {*METERED} - {"lamp"}
    assert marked.figures() == as_judged


def test_what_was_worked_out_is_written_although_the_telemetry_store_goes_away() -> None:
    said = numbered(an_evening(Random(7), hours=1))
    marked = lived(said, [at_s + 0.5 for at_s, _, _ in said], hours=3)
    for device, hour_ms in marked.figures():
        marked.marks[device, hour_ms] = Mark(device, hour_ms, "journal-1", 1, 0)

    class Going(Stored):
        def last_before(self, measurement: str, device: str, *more: Any) -> dict[str, Sample]:
            if device == "shed-p02":
                raise TelemetryAway("no answer")
            return super().last_before(measurement, device, *more)

    recounter = Recounter(marked, Going(marked.district), plans(), lighting_hours, lambda: 0)
    with pytest.raises(TelemetryAway):
        recounter.step(threading.Event())
    assert {device for device, _ in marked.marks} == {"shed-p02"}


def test_a_device_that_meters_nothing_is_never_marked() -> None:
    marked = Marked(a_district())
    district = marked.district
    say(district, NIGHT_S, "shed", {"seq": 2, "values": {"csq": 20}})
    say(district, NIGHT_S - 60, "shed", {"seq": 1, "values": {"csq": 20}})
    assert not marked.commit().again


def test_only_what_reports_add_up_to_is_replaced() -> None:
    figures: Figures = {"sessions": 2, "energy_kwh": 1.0, "stop_reasons": {"full": 2}}
    assert whole(figures, {"energy_kwh": 1.5, "in_use_s": 60.0}) == {
        "sessions": 2,
        "stop_reasons": {"full": 2},
        "energy_kwh": 1.5,
        "in_use_s": 60.0,
    }
    assert whole(figures, {}) == {"sessions": 2, "stop_reasons": {"full": 2}}
    assert FROM_REPORTS.isdisjoint({"sessions", "session_s", "fee_fen", "stop_reasons"})
