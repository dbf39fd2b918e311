"""Rule files at the driver of the judge: taken up at a border, once, whatever is killed."""

import pytest
from structlog.testing import capture_logs

from devices.faults import State
from devices.judgement import LIVE
from devices.store.database import DatabaseAway
from ingest.consume import Consumer
from tests.fakes import FakeJournal, FakeJudgeStore
from tests.ingest.judge.district import COMPOUND, PLANS, District, a_device, a_shed

OFF_HERE = f'[[override]]\ncompound = "{COMPOUND}"\nSHED_OVERTEMP.enabled = false\n'


class Bench:
    """Two hot sheds, their messages in a journal, and a judge that has judged them."""

    def __init__(self) -> None:
        self.district = District(*a_shed(), a_device("far-shed", "shed", compound="lvyun-xiaoqu"))
        self.journal = FakeJournal()
        self.store = FakeJudgeStore(self.district.registry)
        self.consumer = self.a_consumer()
        self.hot()
        self.consumer.drain(self.journal)

    def a_consumer(self) -> Consumer:
        return Consumer(
            self.store, PLANS, lambda: self.district.now_ms, stream=LIVE, monotonic=self._monotonic
        )

    def _monotonic(self) -> float:
        return self.district.now_s

    def hot(self) -> None:
        """Both sheds are too hot for two minutes."""
        for _ in range(4):
            for shed in ("shed", "far-shed"):
                self.district.says(shed, {"board_temp_c": 72.0})
            self.district.passes(30)
        for record in self.district.records[len(self.journal.records) :]:
            self.journal.append(record)

    def states(self) -> dict[str, list[State]]:
        found: dict[str, list[State]] = {}
        for fault in self.store.rows.faults.values():
            found.setdefault(str(fault.device), []).append(fault.state)
        return found


def test_a_file_is_taken_up_at_the_next_border_and_its_number_is_in_the_cursor() -> None:
    bench = Bench()
    assert bench.states() == {"shed": [State.OPEN], "far-shed": [State.OPEN]}
    bench.store.a_rule_file(OFF_HERE)
    bench.hot()
    bench.consumer.drain(bench.journal)
    assert bench.states() == {"shed": [State.CLOSED], "far-shed": [State.OPEN]}
    assert bench.store.rows.cursor is not None
    assert bench.store.rows.cursor.revision == bench.store.decisions[-1].id


def test_a_start_in_between_settles_the_same_once() -> None:
    bench = Bench()
    bench.store.a_rule_file(OFF_HERE)
    bench.hot()
    bench.store.fails_to_commit = DatabaseAway("no answer")
    with pytest.raises(DatabaseAway):
        bench.consumer.drain(bench.journal)
    assert bench.states() == {"shed": [State.OPEN], "far-shed": [State.OPEN]}
    bench.store.fails_to_commit = None
    for _ in range(2):
        bench.a_consumer().drain(bench.journal)
        assert bench.states() == {"shed": [State.CLOSED], "far-shed": [State.OPEN]}
    ends = [event for event in bench.store.rows.events if event.becomes is State.CLOSED]
    assert [event.evidence for event in ends] == [{"reason": "rule_disabled"}]


def test_the_newest_of_several_files_counts() -> None:
    bench = Bench()
    for body in (OFF_HERE, "[[override]]\nSHED_OVERTEMP.enabled = false\n", ""):
        bench.store.a_rule_file(body)
    bench.hot()
    bench.consumer.drain(bench.journal)
    assert bench.states() == {"shed": [State.OPEN], "far-shed": [State.OPEN]}


def test_what_a_newer_version_no_longer_knows_is_said_and_the_rest_counts() -> None:
    bench = Bench()
    bench.store.a_rule_file(OFF_HERE + "SHED_GONE.delay_s = 5\n")
    with capture_logs() as logs:
        bench.a_consumer().drain(bench.journal)
    assert bench.states() == {"shed": [State.CLOSED], "far-shed": [State.OPEN]}
    (told,) = [log for log in logs if log["event"] == "rule_no_longer_fits"]
    assert told["problem"].startswith("line 4: there is no fault 'SHED_GONE'")
