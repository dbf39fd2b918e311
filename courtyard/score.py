"""`courtyard score`: the faults of the operational database against what really happened."""

import json
from collections import defaultdict
from pathlib import Path

import typer
from sqlalchemy import Connection, Engine, select

from courtyard.errors import DONE, CommandError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.faults import PLATFORM, Held, State, Why
from devices.store import registry as registry_rows
from devices.store.database import reading
from devices.store.schema import fault_events, faults
from simulators import scoring
from simulators.expectations import MEANINGS
from simulators.scoring import Episode, Raised, Score
from simulators.truth import BadTruth, Fact

_BEGINS = (Why.RAISED.value, Why.REOPENED.value)
_OVER = (State.CLEARED.value, State.CLOSED.value)
_MUTES = (Held.MAINTENANCE.value, Held.SHELVED.value)


def run_score(settings: Settings, truth: Path, *, as_json: bool) -> int:
    """Prints the score of what the system raised; gives the exit code."""
    facts = read_truth(truth)
    simulated = span_of(facts, truth)
    engine = open_operational(settings)
    try:
        scored = score_database(engine, facts, simulated)
    finally:
        engine.dispose()
    typer.echo(json.dumps(scoring.as_json(scored)) if as_json else scoring.table(scored))
    return DONE


def read_truth(path: Path) -> list[Fact]:
    """All facts of a truth file. Raises CommandError with the line that is none."""
    facts: list[Fact] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; name the file of `--truth`") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fact = Fact.read(line)
        except BadTruth as error:
            raise CommandError(f"{path}, line {number}: no fact: {error}") from None
        if fact.kind not in scoring.OF_THE_RUN and fact.kind not in MEANINGS:
            raise CommandError(
                f"{path}, line {number}: {fact.kind!r} is no kind of fact that has expectations"
            )
        facts.append(fact)
    return facts


def span_of(facts: list[Fact], path: Path) -> tuple[int, int]:
    """From when to when was simulated, as the truth says itself. Raises CommandError."""
    told = [fact for fact in facts if fact.kind == scoring.SIMULATED]
    if not told:
        raise CommandError(f"{path}: no fact {scoring.SIMULATED!r}, so its time is not known")
    return told[0].start_ms, told[-1].end_ms


def score_database(engine: Engine, facts: list[Fact], span: tuple[int, int]) -> Score:
    """The score of all faults that were raised in `span` (UTC epoch ms)."""
    with reading(engine) as connection:
        registry = registry_rows.load(connection)
        raised = raised_faults(connection, span)
    return scoring.score(facts, raised, registry, *span)


def raised_faults(connection: Connection, span: tuple[int, int]) -> list[Raised]:
    """Every fault that was opened in `span`, with each time that it was."""
    episodes, told, held = _histories(connection, span)
    rows = connection.execute(
        select(faults).where(faults.c.opened_at_ms >= span[0], faults.c.opened_at_ms <= span[1])
    )
    return [
        Raised(
            id=row.id,
            subject=row.subject,
            code=row.code,
            episodes=tuple(episodes.get(row.id, ())),
            suspected=row.suspected,
            safety=row.safety,
            late=row.late,
            child=row.suppressed_by is not None and row.id not in told,
            muted=row.maintenance is not None or row.id in held,
            platform=row.kind == PLATFORM,
        )
        for row in rows
    ]


def _histories(
    connection: Connection, span: tuple[int, int]
) -> tuple[dict[str, list[Episode]], set[str], set[str]]:
    """Fault -> from when to when it stood, oldest first; which people were told of before their
    root was found; and which a window or a shelf held back every time.
    """
    found: dict[str, list[Episode]] = defaultdict(list)
    notice_ms: dict[str, int] = {}
    told: set[str] = set()
    held: set[str] = set()
    heard: set[str] = set()
    rows = connection.execute(
        select(fault_events)
        .where(fault_events.c.at_ms >= span[0], fault_events.c.at_ms <= span[1])
        .order_by(fault_events.c.id)
    )
    for row in rows:
        standing = found[row.fault]
        if row.reason in _BEGINS:
            standing.append(Episode(row.at_ms, None))
            notice_ms[row.fault] = row.notice_at_ms or row.at_ms
            (held if row.held in _MUTES else heard).add(row.fault)
        elif row.reason == Why.SUPPRESSED and row.at_ms > notice_ms.get(row.fault, row.at_ms):
            told.add(row.fault)
        elif row.becomes in _OVER and standing and standing[-1].over_ms is None:
            standing[-1] = Episode(standing[-1].opened_ms, row.at_ms)
    return found, told, held - heard
