"""Every move of a fault from every state: what it becomes, or that it is refused.

The table is the one in docs/faults.md; after a change that is meant,
`.venv/bin/python -m tests.devices.test_moves` writes it there anew.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from devices import faults
from devices.catalogue import RULES
from devices.faults import RETOLD, Fault, FaultMoved, Move, State, Why
from devices.rules import Severity

NOW_MS = 1_795_439_400_000
MINUTE_MS = 60_000
DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- moves: generated -->", "<!-- moves: end -->"
STATES = tuple(State)
NO = None  # refused: FaultMoved

O, A, L, C = State.OPEN, State.ACKNOWLEDGED, State.CLEARED, State.CLOSED  # noqa: E741


def a_fault(state: State, *, safety: bool = False) -> Fault:
    """Begun 20 minutes ago and not shelved, suspected, suppressed or in maintenance."""
    fault, _ = faults.begin(
        RULES["SHED_SMOKE" if safety else "GATE_HELD_OPEN"],
        stream="live",
        subject="thing",
        device="thing",
        compound="jiaogong-xiaoqu",
        severity=Severity.P2,
        safety=safety,
        since_ms=NOW_MS - 20 * MINUTE_MS,
        now_ms=NOW_MS - 20 * MINUTE_MS,
        evidence={},
    )
    return replace(fault, state=state, closed_at_ms=NOW_MS if state is C else None)


@dataclass(frozen=True)
class Row:
    """One move. becomes: from open, acknowledged, cleared, closed; NO where it is refused.

    given: what the fault must be besides, for the move to make sense.
    """

    name: str
    who: str
    move: Callable[[Fault], Move | None]
    why: Why
    becomes: tuple[State | None, State | None, State | None, State | None]
    safety: bool = False
    given: Callable[[Fault], Fault] = lambda fault: fault

    def __str__(self) -> str:
        return f"{self.name}{', safety' if self.safety else ''}"


def shelved(fault: Fault) -> Fault:
    return replace(fault, shelved_until_ms=NOW_MS)


def suspected(fault: Fault) -> Fault:
    return replace(fault, suspected=True)


def maintained(fault: Fault) -> Fault:
    return replace(fault, maintenance="window")


def suppressed(fault: Fault) -> Fault:
    return replace(fault, suppressed_by="root")


def visited(fault: Fault) -> Fault:
    return replace(fault, onsite_at_ms=NOW_MS, repaired_at_ms=NOW_MS)


def comes_back(fault: Fault) -> Move:
    return faults.reopen(fault, Severity.P2, False, NOW_MS, {})


def gets_worse(fault: Fault) -> Move | None:
    return faults.worsen(fault, Severity.P1, False, NOW_MS, {})


def eases(fault: Fault) -> Move:
    return faults.ease(fault, Severity.P3, NOW_MS, {})


def is_over(fault: Fault) -> Move:
    return faults.end(fault, NOW_MS)


def acknowledged(fault: Fault) -> Move:
    return faults.acknowledge(fault, "li-wei", NOW_MS)


def shelve(fault: Fault) -> Move:
    return faults.shelve(fault, NOW_MS + 1, "li-wei", NOW_MS)


def arrive(fault: Fault) -> Move:
    return faults.arrive(fault, "li-wei", NOW_MS)


def repair(fault: Fault) -> Move:
    return faults.repair(fault, "li-wei", NOW_MS)


def retired(fault: Fault) -> Move:
    return faults.retire(fault, NOW_MS, "kind_changed")


def root_found(fault: Fault) -> Move:
    return faults.suppress(fault, "root", "GW_OFFLINE", NOW_MS)


TABLE = [
    Row("its condition comes back", "judge", comes_back, Why.REOPENED, (NO, O, O, O)),
    Row("its condition gets worse", "judge", gets_worse, Why.WORSENED, (O, O, NO, NO)),
    Row("its condition eases", "judge", eases, Why.EASED, (O, A, NO, NO)),
    Row("its condition is over", "judge", is_over, Why.OVER, (C, C, NO, NO)),
    Row("its condition is over", "judge", is_over, Why.OVER, (L, C, NO, NO), safety=True),
    Row(
        "its device is retired, moved, or another kind",
        "judge",
        retired,
        Why.RETIRED,
        (C, C, NO, NO),
    ),
    Row(
        "its device is retired, moved, or another kind",
        "judge",
        retired,
        Why.RETIRED,
        (L, C, NO, NO),
        safety=True,
    ),
    Row(
        "a back-filled history ends",
        "judge",
        lambda f: faults.end_history(f, NOW_MS),
        Why.HISTORY_ENDS,
        (C, C, C, NO),
    ),
    Row("a root cause is found", "judge", root_found, Why.SUPPRESSED, (O, A, L, C)),
    Row(
        "a root cause is found", "judge", root_found, Why.SUPPRESSED, (NO, NO, NO, NO), safety=True
    ),
    Row(
        "its root cause is over",
        "judge",
        lambda f: faults.release(f, NOW_MS),
        Why.RELEASED,
        (O, A, L, NO),
        given=suppressed,
    ),
    Row(
        "its shelf ends",
        "judge",
        lambda f: faults.end_shelf(f, NOW_MS),
        Why.SHELF_ENDED,
        (O, A, L, NO),
        given=shelved,
    ),
    Row(
        "its maintenance ends",
        "judge",
        lambda f: faults.end_maintenance(f, NOW_MS),
        Why.MAINTENANCE_ENDED,
        (O, A, L, NO),
        given=maintained,
    ),
    Row("acknowledge", "person", acknowledged, Why.ACKNOWLEDGED, (A, NO, C, NO)),
    Row(
        "assign",
        "person",
        lambda f: faults.assign(f, "wang", "li-wei", NOW_MS),
        Why.ASSIGNED,
        (O, A, L, NO),
    ),
    Row(
        "comment",
        "person",
        lambda f: faults.comment(f, "li-wei", NOW_MS, "seen"),
        Why.COMMENTED,
        (O, A, L, C),
    ),
    Row("shelve", "person", shelve, Why.SHELVED, (O, A, L, NO)),
    Row("shelve", "person", shelve, Why.SHELVED, (NO, NO, NO, NO), safety=True),
    Row(
        "unshelve",
        "person",
        lambda f: faults.unshelve(f, "li-wei", NOW_MS),
        Why.UNSHELVED,
        (O, A, L, NO),
        given=shelved,
    ),
    Row("on site", "person", arrive, Why.ONSITE, (A, A, L, NO)),
    Row(
        "on site, where somebody is already",
        "person",
        arrive,
        Why.ONSITE,
        (NO, NO, NO, NO),
        given=visited,
    ),
    Row("repaired", "person", repair, Why.REPAIRED, (A, A, L, NO)),
    Row(
        "repaired, which it was already",
        "person",
        repair,
        Why.REPAIRED,
        (NO, NO, NO, NO),
        given=visited,
    ),
    Row(
        "confirm what was suspected",
        "person",
        lambda f: faults.confirm(f, "li-wei", NOW_MS),
        Why.CONFIRMED,
        (O, A, L, NO),
        given=suspected,
    ),
    Row(
        "confirm what is certain",
        "person",
        lambda f: faults.confirm(f, "li-wei", NOW_MS),
        Why.CONFIRMED,
        (NO, NO, NO, NO),
    ),
    Row("close", "person", lambda f: faults.close(f, "li-wei", NOW_MS), Why.CLOSED, (C, C, C, NO)),
]


@pytest.mark.parametrize("was", STATES, ids=str)
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_a_move_leads_where_the_table_says_or_is_refused(row: Row, was: State) -> None:
    becomes = row.becomes[STATES.index(was)]
    fault = a_fault(was, safety=row.safety)
    # what a closed fault was given went with its close
    fault = row.given(fault) if was is not C or row.given not in (shelved, suspected) else fault
    if becomes is NO:
        with pytest.raises(FaultMoved, match=fault.id):
            row.move(fault)
        return
    moved = row.move(fault)
    assert moved is not None
    after, event = moved
    assert (after.id, after.state) == (fault.id, becomes)
    assert (event.fault, event.was, event.becomes) == (fault.id, was, becomes)
    assert event.reason in (row.why, Why.RECLASSIFIED)
    assert event.at_ms == NOW_MS
    assert (event.actor == "li-wei") == (row.who == "person")
    if becomes is C:
        assert after.shelved_until_ms is None
        assert after.closed_at_ms == NOW_MS
    else:
        assert after.closed_at_ms is None


def test_every_move_there_is_has_a_row() -> None:
    moves = {
        name
        for name, function in inspect.getmembers(faults, inspect.isfunction)
        if not name.startswith("_")
        and function.__module__ == faults.__name__
        and inspect.signature(function).return_annotation in (Move, Move | None)
        and next(iter(inspect.signature(function).parameters)) == "fault"
    }
    called = {name for row in TABLE for name in row.move.__code__.co_names}
    assert called >= moves, f"without a row: {sorted(moves - called)}"
    assert {row.why for row in TABLE} >= set(Why) - {Why.RAISED, Why.RECLASSIFIED, *RETOLD}


def made() -> str:
    """The table as Markdown."""
    lines = [
        BEGIN,
        "| move | by | safety | " + " | ".join(STATES) + " |",
        "|---|---|---|" + "---|" * len(STATES),
    ]
    for row in TABLE:
        cells = ["refused" if becomes is NO else becomes.value for becomes in row.becomes]
        tier = "yes" if row.safety else "no" if _differs(row) else "any"
        lines.append(f"| {row.name} | {row.who} | {tier} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, END])


def _differs(row: Row) -> bool:
    return any(other.name == row.name and other.safety for other in TABLE)


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = DOCUMENT.read_text()
    section = text[text.index(BEGIN) : text.index(END) + len(END)]
    assert section == made(), "if that is meant: .venv/bin/python -m tests.devices.test_moves"


if __name__ == "__main__":
    old = DOCUMENT.read_text()
    DOCUMENT.write_text(old[: old.index(BEGIN)] + made() + old[old.index(END) + len(END) :])
