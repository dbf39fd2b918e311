"""Windows and shelves made by people while the judge runs, with the real stores."""

from typing import Any

import pytest
from sqlalchemy import Engine

from devices import faults
from devices.catalogue import rules_for
from devices.faults import FaultEvent, Held, Why
from devices.kinds import KINDS
from devices.maintenance import Window
from devices.store.database import reading, writing
from devices.store.faults import Filter, history, list_faults, move_fault
from devices.store.judgements import Judgements
from devices.store.maintenance import add_window, end_window
from devices.store.registry import save
from devices.store.scope import DISTRICT
from ingest.consume import REVISIONS_EVERY_S, Consumer
from ingest.judge.plan import plans
from tests.ingest.cast import COMPOUND, NOW_MS, REGISTRY, a_publish, native
from tests.ingest.test_consume_known_faults import FakeJournal

HOUR_MS = 3_600_000
TAMPER = Filter(code="GATE_TAMPER")


class Scene:
    """One consumer over a journal in memory and a real database; it looks at each turn."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.journal = FakeJournal()
        self.seq = 0
        self.now_s = 0.0
        self.consumer = self._started()

    def _started(self) -> Consumer:
        return Consumer(
            Judgements(self.engine),
            plans(rules_for, KINDS),
            lambda: NOW_MS,
            stream="live",
            monotonic=lambda: self.now_s,
        )

    def restarts(self) -> None:
        self.consumer = self._started()

    def says(self, values: dict[str, Any], after_ms: int) -> None:
        self.seq += 1
        at_ms = NOW_MS + after_ms
        self.journal.add(
            a_publish(
                native("gate-1"),
                {"ts": at_ms, "boot": 1, "seq": self.seq, "values": values},
                received_ms=at_ms,
            )
        )
        self.judged()

    def heard_until(self, after_ms: int) -> None:
        self.journal.add_probe(NOW_MS + after_ms)
        self.judged()

    def judged(self) -> None:
        self.now_s += REVISIONS_EVERY_S  # what people did meanwhile is looked at first
        self.journal.reads_left = 100
        self.consumer.drain(self.journal)

    def events(self) -> list[FaultEvent]:
        with reading(self.engine) as connection:
            (fault,) = list_faults(connection, DISTRICT, TAMPER)
            return history(connection, fault.id)

    def told(self) -> list[tuple[Why, Held | None]]:
        return [(event.reason, event.held) for event in self.events()]


@pytest.fixture
def scene(any_database: Engine) -> Scene:
    with writing(any_database) as connection:
        save(connection, REGISTRY, NOW_MS)
    scene = Scene(any_database)
    scene.says({"door_state": "closed"}, 0)
    return scene


def a_window(engine: Engine) -> None:
    with writing(engine) as connection:
        window = Window(
            "w", COMPOUND, "gate", (), (), NOW_MS, NOW_MS + HOUR_MS, "locks", "wang", "li", NOW_MS
        )
        add_window(connection, window)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_window_made_while_the_judge_runs_holds_from_then_on(
    scene: Scene, restarts: bool
) -> None:
    a_window(scene.engine)
    scene.judged()
    scene.says({"tamper": True}, 1000)
    assert scene.told() == [(Why.RAISED, Held.MAINTENANCE)]
    if restarts:
        scene.restarts()
    scene.heard_until(HOUR_MS - 1)
    assert len(scene.told()) == 1
    scene.heard_until(HOUR_MS)
    assert scene.told()[1:] == [(Why.MAINTENANCE_ENDED, None)]
    assert scene.events()[-1].at_ms == NOW_MS + HOUR_MS


def test_a_window_that_a_person_ends_is_over_at_the_next_border(scene: Scene) -> None:
    a_window(scene.engine)
    scene.judged()
    scene.says({"tamper": True}, 1000)
    with writing(scene.engine) as connection:
        end_window(connection, DISTRICT, "w", "li", NOW_MS + 2000)
    scene.judged()
    assert len(scene.told()) == 1  # not before we have heard what was until then
    scene.heard_until(2000)
    assert scene.told()[1:] == [(Why.MAINTENANCE_ENDED, None)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_shelf_ends_by_the_watermark(scene: Scene, restarts: bool) -> None:
    scene.says({"tamper": True}, 1000)
    with reading(scene.engine) as connection:
        (fault,) = list_faults(connection, DISTRICT, TAMPER)
    with writing(scene.engine) as connection:
        move_fault(
            connection,
            DISTRICT,
            fault.id,
            lambda was: faults.shelve(was, NOW_MS + HOUR_MS, "li", NOW_MS + 2000),
        )
    scene.judged()
    if restarts:
        scene.restarts()
    scene.heard_until(HOUR_MS - 1)
    assert scene.told() == [(Why.RAISED, None), (Why.SHELVED, None)]
    scene.heard_until(HOUR_MS)
    assert scene.told()[2:] == [(Why.SHELF_ENDED, None)]
    with reading(scene.engine) as connection:
        (fault,) = list_faults(connection, DISTRICT, TAMPER)
    assert fault.shelved_until_ms is None


def test_flaps_are_in_the_database_and_survive_a_restart(scene: Scene) -> None:
    for n in range(12):
        scene.says({"tamper": n % 2 == 0}, 1000 * (n + 1))
        if n == 7:
            scene.restarts()
    with reading(scene.engine) as connection:
        (fault,) = list_faults(connection, DISTRICT, TAMPER)
    assert (fault.state, fault.flaps, fault.occurrences) == ("open", 5, 6)
    assert faults.is_flapping(fault)
    assert len(scene.events()) == 5
