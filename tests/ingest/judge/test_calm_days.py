"""A simulated day, judged: nothing is suspected of what works, and what does not is found."""

from collections.abc import Callable, Sequence
from functools import partial

from devices.baselines import WEEK_H, Week
from devices.faults import Fault
from devices.journal import Record
from devices.sun import lighting_hours
from ingest.decode import Decoder
from ingest.judge.judge import Judge
from ingest.judge.plan import calm_range
from simulators.fleet import Fleet
from simulators.gates import Gate
from simulators.history import Draft, write_history
from simulators.lamps import Lamp
from simulators.profiles import PASSAGES_WEEK
from tests.fakes import FakeJudgeStore
from tests.ingest.judge.district import PLANS
from tests.simulators.fleets import HOUR_MS, MINUTE_MS, a_district, at

CODES = ("GATE_NO_PASSAGE", "PORT_IDLE_SUSPECT", "DEV_VALUE_FROZEN", "SHED_METER_JUMP")
START_MS = at("2026-11-25T08:00")  # a Wednesday
BROKEN_MS = START_MS + 90 * MINUTE_MS


class Day:
    """Compounds in which it is known how often their gates are passed."""

    def __init__(self, seed: int) -> None:
        self.registry = a_district(2)
        self.fleet = Fleet(self.registry, seed, START_MS)
        self.store = FakeJudgeStore(self.registry)
        for node in self.fleet.nodes.values():
            if isinstance(node, Gate):
                week = Week()
                for hour in range(WEEK_H):
                    for _ in range(3):
                        week.learn(hour, int(node.per_day * PASSAGES_WEEK[hour]))
                self.store.rows.baselines[node.device.id] = week.pack()
        self.judge = Judge(
            self.registry, PLANS, stream="live", seen_before=self.store.knows,
            recall=self.store.session, lighting=lighting_hours,
        )  # fmt: skip
        self.judge.load(self.store.load(), START_MS)
        self._decoder = Decoder(self.registry, calm=partial(calm_range, PLANS))
        self._records = self._messages = 0
        self._probe = 1

    def commit(self, drafts: Sequence[Draft]) -> None:
        """As a sink: judge it at once."""
        for draft in drafts:
            self._records += 1
            count = len(draft.messages)
            record = Record(
                self._records, draft.kind, self._messages + 1, count, 1, tuple(draft.messages),
                draft.control,
            )  # fmt: skip
            self._messages += count
            self.judge.judge(record, [self._decoder.read(raw) for raw in record.messages])

    def until(self, end_ms: int) -> None:
        written = write_history(
            self.fleet, self.fleet.now_ms, end_ms, self, first_probe=self._probe,
            opens=self._probe == 1, closes=False,
        )  # fmt: skip
        self._probe = written.next_probe

    def found(self) -> list[Fault]:
        return [
            fault
            for memory in self.judge.memories.values()
            for fault in memory.faults.values()
            if fault.code in CODES
        ]


def jams(node: Gate) -> None:
    node.per_day = 0.0  # whoever was on the way still comes


def freezes(quantity: str, value: float) -> Callable[[Gate | Lamp], None]:
    def freeze(node: Gate | Lamp) -> None:
        node.overlay = {quantity: value}

    return freeze


def test_nothing_is_suspected_of_what_works() -> None:
    day = Day(seed=11)
    day.until(START_MS + 6 * HOUR_MS)
    assert day.found() == []


def test_what_does_not_work_is_found_within_its_delay_and_ten_seconds() -> None:
    day = Day(seed=2)
    day.until(BROKEN_MS)
    gates = [node for node in day.fleet.nodes.values() if isinstance(node, Gate)]
    jams(gates[0])
    freezes("board_temp_c", 31.7)(gates[-1])
    day.until(BROKEN_MS + 2 * HOUR_MS + 15 * MINUTE_MS)
    faults = {fault.code: fault for fault in day.found()}
    assert len(day.found()) == 2
    jammed, frozen = faults["GATE_NO_PASSAGE"], faults["DEV_VALUE_FROZEN"]
    assert jammed.device == gates[0].device.id
    assert 0 <= jammed.opened_at_ms - jammed.since_ms - 2 * HOUR_MS <= 10_000
    assert frozen.device == gates[-1].device.id
    assert BROKEN_MS <= frozen.since_ms <= BROKEN_MS + 31_000  # its next heartbeat
    assert 0 <= frozen.opened_at_ms - frozen.since_ms - 2 * HOUR_MS <= 31_000
