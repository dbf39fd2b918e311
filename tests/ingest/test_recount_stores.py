"""The same over the real stores: journal, judge, forward, and what works hours out again."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from devices.catalogue import rules_for
from devices.corrections import BadCorrection, Recounted, RecountRefused
from devices.journal import LINK, MESSAGES, PROBE, START, Raw
from devices.kinds import KINDS
from devices.registers import Exclusion
from devices.sessions import Session, reconciled
from devices.store.correcting import final_day, find_target, propose, propose_recount, record
from devices.store.cursors import ForwardCursor
from devices.store.database import reading, writing
from devices.store.exclusions import Filter as Excluded
from devices.store.exclusions import list_exclusions
from devices.store.journal import Draft, JournalReader, JournalWriter
from devices.store.judgements import Judgements
from devices.store.readings import KeptReadings
from devices.store.registry import save
from devices.store.schema import usage_again
from devices.store.scope import DISTRICT
from devices.store.sessions import Filter, list_sessions
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.usage import device_hours
from devices.store.usage_again import UsageAgain
from devices.sun import lighting_hours
from devices.usage import HOUR_MS
from ingest.consume import Consumer
from ingest.forward import Forwarder
from ingest.judge.plan import plans
from ingest.recount import Recounter
from ingest.recount_day import DayRecount
from tests.ingest.judge.district import COMPOUND, START_MS, a_lamp, a_registry, a_shed

HOUR = START_MS - START_MS % HOUR_MS + 12 * HOUR_MS  # at night


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    return any_database


class System:
    """One journal with its judge and its forward; `now_ms` is everybody's clock."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.now_ms = HOUR
        self.registry = a_registry(a_lamp(), *a_shed(ports=1))
        with writing(engine) as connection:
            save(connection, self.registry, HOUR)
        self.telemetry = EmbeddedTelemetry(folder / "telemetry.db")
        self.journal = folder / "journal.db"
        self._writer = JournalWriter(self.journal, self._clock)
        self._reader = JournalReader(self.journal)
        self._consumer = Consumer(
            Judgements(engine), plans(rules_for, KINDS), self._clock, stream="live"
        )
        self._forwarder = Forwarder(
            self.telemetry, ForwardCursor(engine), lambda: self.registry, self._clock
        )
        self._seq = 0
        self._commit(Draft(START, 0, control={"at_ms": HOUR}))
        link = {"up": True, "session_present": False, "at_ms": HOUR}
        self._commit(Draft(LINK, 1, control=link))

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        self.telemetry.close()

    def says(self, at_s: int, **values: Any) -> None:
        """The lamp's report of that second of the hour arrives now."""
        self._seq += 1
        self._arrives("lamp", "telemetry", at_s, {"values": values})

    def shed_says(self, at_s: int, **what: Any) -> None:
        """The same of the shed: a report of its socket, or an event."""
        channel = "event" if "event" in what else "telemetry"
        self._arrives("shed", channel, at_s, what)

    def _arrives(self, device: str, channel: str, at_s: int, what: dict[str, Any]) -> None:
        sent = {"ts": HOUR + at_s * 1000, "boot": 1, "seq": at_s, **what}
        topic = f"courtyard/v1/{COMPOUND}/{device}/{device}/{channel}".encode()
        raw = Raw(topic, json.dumps(sent).encode(), 0, self.now_ms, COMPOUND)
        self._commit(Draft(MESSAGES, 1, [raw]))

    def replays(self, kept: dict[int, dict[str, Any]]) -> None:
        """What the lamp kept of these seconds of the hour arrives now, in one message."""
        sent = [
            {"ts": HOUR + at_s * 1000, "boot": 1, "seq": at_s, "values": values}
            for at_s, values in kept.items()
        ]
        topic = f"courtyard/v1/{COMPOUND}/lamp/lamp/telemetry".encode()
        raw = Raw(topic, json.dumps(sent).encode(), 0, self.now_ms, COMPOUND)
        self._commit(Draft(MESSAGES, 1, [raw]))

    def judged(self) -> None:
        control = {"n": 1, "sent_ms": self.now_ms, "at_ms": self.now_ms}
        self._commit(Draft(PROBE, 1, control=control))
        self._consumer.drain(self._reader)

    def forwarded(self) -> None:
        self._forwarder.drain(self._reader, threading.Event())

    def recounted(self) -> int:
        recounter = Recounter(
            UsageAgain(self.engine),
            self.telemetry,
            plans(rules_for, KINDS),
            lighting_hours,
            self._clock,
            KeptReadings(self.engine).from_ms,
        )
        return recounter.step(threading.Event())

    def marks(self) -> int:
        with reading(self.engine) as connection:
            return connection.execute(select(func.count()).select_from(usage_again)).scalar_one()

    def figures(self, hour: int = 0) -> dict[str, Any]:
        """What is shown of that hour after HOUR."""
        from_ms = HOUR + hour * HOUR_MS
        with reading(self.engine) as connection:
            rows = device_hours(connection, DISTRICT, COMPOUND, from_ms, from_ms + HOUR_MS)
        assert len(rows) <= 1
        figures = rows[0].figures.items() if rows else ()
        return {name: round(v, 3) for name, v in figures if isinstance(v, int | float)}

    def session(self, order: str = "7") -> Session:
        with reading(self.engine) as connection:
            found = list_sessions(connection, DISTRICT, Filter(COMPOUND))
        (session,) = [session for session in found if session.order == order]
        return session

    def exclusions(self) -> list[Exclusion]:
        with reading(self.engine) as connection:
            return list_exclusions(connection, DISTRICT, Excluded(COMPOUND))

    def _clock(self) -> int:
        return self.now_ms

    def _commit(self, draft: Draft) -> None:
        self._writer.commit([draft])


@pytest.fixture
def system(engine: Engine, tmp_path: Path) -> Iterator[System]:
    made = System(engine, tmp_path)
    yield made
    made.close()


def an_hour_with_a_gap(system: System) -> None:
    """A lamp burns; its reports of 20 minutes do not come yet."""
    for at_s in (0, 600, 1200, 2400, 3000, 3500):
        system.now_ms = HOUR + at_s * 1000 + 400
        on = at_s not in (2400, 3000)
        system.says(at_s, switch_state="on" if on else "off", power_w=36.0 if on else 0.0)
    system.judged()


def test_a_late_report_is_in_the_figures_once_it_is_stored(system: System) -> None:
    an_hour_with_a_gap(system)
    system.forwarded()
    assert system.marks() == 0
    before = system.figures()
    assert before["lit_s"] == 2400
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    assert system.marks() == 1
    assert system.recounted() == 0, "forward has not passed it"
    assert system.figures() == before
    system.forwarded()
    assert system.recounted() == 1
    assert system.marks() == 0
    assert system.figures()["lit_s"] == 1800
    assert system.recounted() == 0


def test_what_the_judge_adds_meanwhile_is_worked_out_as_well(system: System) -> None:
    an_hour_with_a_gap(system)
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    system.forwarded()
    assert system.recounted() == 1
    system.now_ms = HOUR + 3_599_000
    system.says(3599, switch_state="on", power_w=36.0)
    system.judged()
    system.forwarded()
    system.now_ms = HOUR + 3_660_000  # the minute that usage may be old in its row is over
    system.says(3660, switch_state="on", power_w=36.0)
    system.judged()
    system.forwarded()
    assert system.marks() == 1, "the hour is still worked out elsewhere"
    assert system.recounted() == 1
    assert system.figures()["lit_s"] == 1800 + 100
    assert system.figures(1)["lit_s"] == 60


def test_a_restart_forgets_no_mark(system: System) -> None:
    an_hour_with_a_gap(system)
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    again = Consumer(
        Judgements(system.engine), plans(rules_for, KINDS), lambda: system.now_ms, stream="live"
    )
    system.now_ms = HOUR + 3_599_000
    system.says(3599, switch_state="on", power_w=36.0)
    with JournalReader(system.journal) as reader:
        again.drain(reader)
    system.forwarded()
    assert system.recounted() == 1
    assert system.figures()["lit_s"] == 1800 + 99


def test_what_a_register_grew_by_is_added_to_an_hour_that_was_worked_out(system: System) -> None:
    an_hour_with_a_gap(system)
    system.now_ms = HOUR + 3_550_400
    system.says(3550, energy_kwh=1.0)
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    system.forwarded()
    assert system.recounted() == 1
    lit_s = system.figures()["lit_s"]
    day_burn_kwh = system.figures()["day_burn_kwh"]
    for hour in (3, 4):  # the judge forgets the first one
        system.now_ms = HOUR + hour * HOUR_MS
        system.says(hour * 3600, csq=20)
        system.judged()
    system.forwarded()
    while system.recounted():
        pass
    system.now_ms = HOUR + 5 * HOUR_MS - 1000
    system.says(5 * 3600 - 1, energy_kwh=1.0 + 14_449 / 3600)  # 1 kWh an hour since
    system.judged()
    assert system.figures() == {
        "lit_s": lit_s,
        "burn_s": lit_s,
        **_dark(system),
        "energy_kwh": 0.014,
        "unmatched_kwh": 0.014,
        "day_burn_s": lit_s,
        "day_burn_kwh": day_burn_kwh,
    }


def test_what_readings_told_late_is_not_counted_once_more(system: System) -> None:
    """A lamp is cut off for hours; its readings of them come behind one that is live."""
    system.now_ms = HOUR + 100_000
    system.says(100, switch_state="on", power_w=36.0, energy_kwh=1.0)
    system.now_ms = HOUR + 6 * HOUR_MS
    system.says(6 * 3600, csq=20)
    system.replays({hour * 3600: {"energy_kwh": 1.0 + hour / 10} for hour in range(1, 6)})
    system.judged()
    system.forwarded()
    while system.recounted():
        pass
    assert system.figures(2)["energy_kwh"] == 0.1
    system.now_ms = HOUR + 7 * HOUR_MS
    system.says(7 * 3600, energy_kwh=1.7)  # since the live reading of the beginning: 0.7
    system.judged()
    system.forwarded()
    assert system.recounted() > 0
    while system.recounted():
        pass
    assert system.figures(2)["energy_kwh"] == 0.1


def _dark(system: System) -> dict[str, Any]:
    return {name: value for name, value in system.figures().items() if name.startswith("dark")}


def test_an_hour_whose_readings_are_forgotten_keeps_its_figures(system: System) -> None:
    an_hour_with_a_gap(system)
    system.forwarded()
    before = system.figures()
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    system.forwarded()
    kept = KeptReadings(system.engine)
    # of an hour just outside: the reading before it may be gone
    kept.forget_before(HOUR - 24 * HOUR_MS + 1, system.now_ms)
    assert system.recounted() == 1
    assert system.marks() == 0
    assert system.figures() == before


def test_an_hour_whose_readings_are_just_kept_is_worked_out(system: System) -> None:
    an_hour_with_a_gap(system)
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    system.forwarded()
    KeptReadings(system.engine).forget_before(HOUR - 24 * HOUR_MS, system.now_ms)
    assert system.recounted() == 1
    assert system.figures()["lit_s"] == 1800


# A day that is final, for a person


DAY = HOUR - 16 * HOUR_MS  # its local midnight
DAY_MS = 24 * HOUR_MS


def a_day_that_is_final(system: System) -> None:
    """Four hours of the night, without the reports of 20 minutes; three days later."""
    an_hour_with_a_gap(system)
    for hour in (1, 2, 3):
        for at_s in range(0, 3600, 600):
            system.now_ms = HOUR + hour * HOUR_MS + at_s * 1000 + 400
            system.says(hour * 3600 + at_s, switch_state="off", power_w=0.0)
    system.now_ms = HOUR + 80 * HOUR_MS
    system.says(80 * 3600, csq=20)
    system.judged()
    system.forwarded()


def recounted(system: System) -> Recounted:
    made = DayRecount(
        system.engine,
        system.telemetry,
        plans(rules_for, KINDS),
        lighting_hours,
        lambda: system.now_ms,
    )
    return made.work_out(COMPOUND, DAY, DAY + DAY_MS)


def test_a_day_of_which_everything_came_in_time_has_no_difference(system: System) -> None:
    assert HOUR + 8 * HOUR_MS - DAY == DAY_MS
    a_day_that_is_final(system)
    found = recounted(system)
    assert [line for line in found.lines if line.figures] == []
    assert found.left == {}


def test_what_came_too_late_is_the_difference(system: System) -> None:
    a_day_that_is_final(system)
    before = system.figures()
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    system.forwarded()
    assert system.recounted() == 0
    assert system.figures() == before, "it is final"
    (line,) = (line for line in recounted(system).lines if line.figures)
    assert (line.hour_ms, line.kind, line.received) == (HOUR, "lamp", 1)
    assert (line.figures["lit_s"], line.figures["burn_s"]) == (-600, -600)


def record_it(system: System) -> None:
    found = recounted(system)
    with writing(system.engine) as connection:
        day = final_day(connection, COMPOUND, HOUR, system.now_ms)
        what = propose_recount(connection, DISTRICT, day, found.lines)
        record(connection, DISTRICT, what, reason="补传", by="li-min", now_ms=system.now_ms)


def test_a_recount_is_recorded_once_and_leaves_alone_what_people_stated(system: System) -> None:
    a_day_that_is_final(system)
    system.says(1800, switch_state="off", power_w=0.0)
    system.judged()
    system.forwarded()
    with writing(system.engine) as connection:
        day = final_day(connection, COMPOUND, HOUR, system.now_ms)
        lamp = find_target(connection, DISTRICT, COMPOUND, "lamp", None)
        what = propose(connection, DISTRICT, day, lamp, {"energy_kwh": 7}, HOUR)
        record(connection, DISTRICT, what, reason="换表", by="li-min", now_ms=system.now_ms)
    record_it(system)
    after = system.figures()
    assert (after["lit_s"], after["energy_kwh"]) == (1900, 7)  # on from 3,500 s on
    assert recounted(system).lines == []
    with pytest.raises(BadCorrection, match="there is no difference"):
        record_it(system)


def test_a_recount_of_a_day_outside_retention_is_refused_with_the_reason(system: System) -> None:
    a_day_that_is_final(system)
    kept = KeptReadings(system.engine)
    kept.forget_before(DAY - DAY_MS, system.now_ms)
    recounted(system)
    kept.forget_before(DAY - DAY_MS + 1, system.now_ms)
    with pytest.raises(RecountRefused, match="no longer kept"):
        recounted(system)


def test_hours_of_which_the_store_knows_less_stay_as_they_were_counted(system: System) -> None:
    a_day_that_is_final(system)
    system.telemetry.delete_before(HOUR + HOUR_MS)
    found = recounted(system)
    assert [line.figures for line in found.lines if line.hour_ms == HOUR and line.figures] == []
    assert list(found.left) == ["lamp"]
    system.telemetry.delete_before(HOUR + 79 * HOUR_MS)
    found = recounted(system)
    assert found.lines == []
    assert found.left == {"lamp": "the store holds no reading of it on that day"}


def test_what_a_session_drew_is_worked_out_when_its_late_readings_are_stored(
    system: System,
) -> None:
    """Half an hour at 600 W; ten minutes of it come behind the end."""
    late = range(600, 1200, 60)
    system.now_ms = HOUR + 1_400
    system.shed_says(1, event="session_start", port_no=1, order="7")

    def reports(at_s: int) -> None:
        said = {"port_status": "in_use", "power_w": 600, "session_energy_kwh": at_s / 6000}
        system.shed_says(at_s, ports={"1": said})

    for at_s in range(60, 1800, 60):
        system.now_ms = HOUR + at_s * 1000 + 400
        if at_s not in late:
            reports(at_s)
    system.now_ms = HOUR + 1_801_000
    end = {"session_energy_kwh": 0.3, "session_s": 1800, "stop_reason": "full"}
    system.shed_says(1801, event="session_end", port_no=1, order="7", **end)
    system.judged()
    session = system.session()
    assert session.measured is not None
    assert session.measured.power_known < 0.7
    assert reconciled(session).why == "register"
    for at_s in late:
        reports(at_s)
    system.judged()
    assert system.recounted() == 0, "forward has not passed it"
    system.forwarded()
    while system.recounted():
        pass
    session = system.session()
    assert session.measured is not None
    assert session.measured.power_known == 1
    assert session.measured.power_kwh == pytest.approx(0.3)
    assert reconciled(session).why == "both"


def test_a_jump_that_a_late_reading_explains_is_no_longer_left_out(system: System) -> None:
    system.says(0, switch_state="on", energy_kwh=800.0)
    system.now_ms = HOUR + 1_200_400
    system.says(1200, energy_kwh=10.0)  # a reset, as far as anybody can tell no plausible one
    system.judged()
    (left_out,) = system.exclusions()
    assert (left_out.device, left_out.before_kwh, left_out.after_kwh) == ("lamp", 800.0, 10.0)
    assert system.figures()["excluded_kwh"] == 790.0
    for at_s, kwh in ((300, 801.0), (600, 9.5), (900, 9.7)):
        system.says(at_s, energy_kwh=kwh)
    system.judged()
    system.forwarded()
    while system.recounted():
        pass
    (left_out,) = system.exclusions()
    assert (left_out.before_kwh, left_out.after_kwh, left_out.why) == (801.0, 9.5, "jump_backwards")
    assert left_out.at_ms == HOUR + 600_000
    assert system.figures()["excluded_kwh"] == 791.5
    assert system.figures()["energy_kwh"] == pytest.approx(1.0 + 0.2 + 0.3)


def test_when_a_session_without_an_end_ended_is_worked_out_again_as_well(system: System) -> None:
    """The next order begins before the last readings of it arrive."""
    system.now_ms = HOUR + 1_400
    system.shed_says(1, event="session_start", port_no=1, order="7")

    def reports(at_s: int) -> None:
        said = {"port_status": "in_use", "power_w": 600, "session_energy_kwh": at_s / 6000}
        system.shed_says(at_s, ports={"1": said})

    for at_s in range(60, 660, 60):
        system.now_ms = HOUR + at_s * 1000 + 400
        reports(at_s)
    system.now_ms = HOUR + 1_201_400
    system.shed_says(1201, event="session_start", port_no=1, order="8")
    system.judged()
    first_ms = system.session("7").ended_at_ms
    assert first_ms == HOUR + 600_000
    for at_s in range(660, 1200, 60):
        reports(at_s)
    system.judged()
    system.forwarded()
    while system.recounted():
        pass
    session = system.session("7")
    assert (session.ended_at_ms, session.duration_s) == (HOUR + 1_140_000, 1_139)
    assert session.energy_kwh == pytest.approx(0.19)
    assert session.provisional
    assert session.measured is not None
    assert session.measured.power_known == 1
    figures = system.figures()
    assert (figures["inferred_sessions"], figures["inferred_session_s"]) == (1, 1_139)
    assert figures["energy_kwh"] == 0.19
