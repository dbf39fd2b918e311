"""What an import would do, line by line, before it does anything.

A plan is made of rows and of the registry that they meet. The same rows over another registry may
be another plan, with another digest: what was shown to somebody is what is applied, or nothing is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from hashlib import sha256

from devices.columns import COMPOUNDS, DEVICES, FIRMS
from devices.inventory import (
    ATTRIBUTES,
    COMPOUND_COLUMNS,
    FIELDS,
    FIRM_COLUMNS,
    Problem,
    RowsRead,
    cell_text,
    compound_entry,
    contacts_text,
    device_entry,
    firm_entry,
    read_compound_rows,
    read_firm_rows,
    read_rows,
    with_compounds,
    with_firms,
)
from devices.registry import Compound, Device, Firm, Registry

Rows = Sequence[tuple[int, Mapping[str, str]]]
Thing = Firm | Compound | Device

_AT_LINE = re.compile(r"line (\d+)(?:, (.+))?")
_SHOWN = 120  # characters of a value


class Outcome(StrEnum):
    """What becomes of a line."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Change:
    """A field and its texts, "" where there is nothing."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong in a line. column: "" where it is about the whole line; value: as written.

    word, values: as of `devices.inventory.Problem`.
    """

    column: str
    value: str
    what: str
    word: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table: what it names, and what becomes of that.

    line: 0 for what is wrong beside the lines. ports: of a shed, so many of its ports are added or
    changed along with it.
    """

    table: str
    line: int
    id: str
    outcome: Outcome
    changes: tuple[Change, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    ports: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What is written: everything as it becomes, and what of it was there, as it was.

    What stands in `after` and has nothing under its id in `before` is new.
    """

    firms_before: tuple[Firm, ...] = ()
    firms_after: tuple[Firm, ...] = ()
    compounds_before: tuple[Compound, ...] = ()
    compounds_after: tuple[Compound, ...] = ()
    devices_before: tuple[Device, ...] = ()
    devices_after: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """lines: those of firms first, then of compounds. step: empty while a line is wrong."""

    lines: tuple[Line, ...]
    step: Step

    def count(self, outcome: Outcome) -> int:
        return sum(line.outcome is outcome for line in self.lines)

    @property
    def digest(self) -> str:
        """The same for plans that show and do the same."""
        return sha256(repr((self.lines, _plain(self.step))).encode()).hexdigest()


def plan(tables: Mapping[str, Rows], known: Registry) -> Plan:
    """What these rows would do to `known`. tables: rows by table, see `devices.columns`."""
    firm_rows, compound_rows = tables.get(FIRMS, ()), tables.get(COMPOUNDS, ())
    device_rows = tables.get(DEVICES, ())
    firms = read_firm_rows(firm_rows, known)
    managed = with_firms(known, firms.things.values())
    compounds = read_compound_rows(compound_rows, managed)
    devices = read_rows(device_rows, with_compounds(known, compounds.things.values()))
    ports = _ports(devices, known)
    lines = [
        *_lines(FIRMS, firm_rows, firms, known.firms, {}),
        *_lines(COMPOUNDS, compound_rows, compounds, known.compounds, {}),
        *_lines(DEVICES, device_rows, devices, known.devices, ports),
    ]
    if firms.problems or compounds.problems or devices.problems:
        return Plan(tuple(lines), Step())
    named = [firms.things[one] for one in firms.touched]
    placed = [compounds.things[one] for one in compounds.touched]
    made = [devices.things[one] for one in devices.touched]
    named = [one for one in named if known.firms.get(one.id) != one]
    placed = [one for one in placed if known.compounds.get(one.id) != one]
    made = [one for one in made if not is_same(known.devices.get(one.id), one)]
    return Plan(
        tuple(lines),
        Step(
            tuple(known.firms[one.id] for one in named if one.id in known.firms),
            tuple(named),
            tuple(known.compounds[one.id] for one in placed if one.id in known.compounds),
            tuple(placed),
            tuple(known.devices[one.id] for one in made if one.id in known.devices),
            tuple(made),
        ),
    )


def is_same(one: Device | None, other: Device | None) -> bool:
    """Whether two devices say the same: they are compared by identity otherwise."""
    if one is None or other is None:
        return one is other
    return all(_field(one, each.name) == _field(other, each.name) for each in fields(Device))


def _field(device: Device, name: str) -> object:
    value = getattr(device, name)
    return dict(value) if name == "attributes" else value


def _plain(step: Step) -> list[object]:
    """A step as text can tell it: devices say nothing of themselves."""
    return [
        step.firms_before,
        step.firms_after,
        step.compounds_before,
        step.compounds_after,
        [device_entry(device) for device in step.devices_before],
        [device_entry(device) for device in step.devices_after],
    ]


def _lines(
    table: str,
    rows: Rows,
    read: RowsRead[Firm] | RowsRead[Compound] | RowsRead[Device],
    before: Mapping[str, Firm] | Mapping[str, Compound] | Mapping[str, Device],
    ports: Mapping[str, int],
) -> list[Line]:
    flaws = _flaws(rows, read)
    lines = [Line(table, 0, "", Outcome.WRONG, flaws=tuple(flaws[0]))] if 0 in flaws else []
    for line, identifier in read.lines.items():
        if line in flaws:
            lines.append(Line(table, line, identifier, Outcome.WRONG, flaws=tuple(flaws[line])))
            continue
        was, becomes = before.get(identifier), read.things[identifier]
        changes = () if was is None else _changes(was, becomes)
        moved = ports.get(identifier, 0)
        outcome = (
            Outcome.ADDED
            if was is None
            else Outcome.CHANGED
            if changes or moved
            else Outcome.UNCHANGED
        )
        lines.append(Line(table, line, identifier, outcome, changes, ports=moved))
    return lines


def _flaws(
    rows: Rows, read: RowsRead[Firm] | RowsRead[Compound] | RowsRead[Device]
) -> dict[int, list[Flaw]]:
    """What is wrong, by line; 0 for what no line can be blamed for."""
    written = dict(rows)
    line_of = {identifier: line for line, identifier in read.lines.items() if identifier}
    found: dict[int, list[Flaw]] = {}
    for problem in read.problems:
        at = _AT_LINE.fullmatch(problem.where)
        if at is not None:
            line, column = int(at[1]), at[2] or ""
        else:  # about a device that is there already, and does not fit any more
            line, column = line_of.get(str(problem.values.get("parent", "")), 0), ""
        column = _COLUMN.get(column, column.split("[")[0])
        value = written.get(line, {}).get(column, "")
        found.setdefault(line, []).append(_flaw(problem, column, value, is_there=at is None))
    return found


_COLUMN = {"name.zh": "name_zh", "name.en": "name_en"}
# What is no id there is a name that nothing has.
_NO_SUCH = {"compound": "no_compound", "firm": "no_firm", "parent": "no_parent"}


def _flaw(problem: Problem, column: str, value: str, *, is_there: bool) -> Flaw:
    word = problem.word
    if is_there and word == "parent_elsewhere":
        word = "child_elsewhere"
    elif word == "no_id":
        word = _NO_SUCH.get(column, word)
    return Flaw(
        column,
        value[:_SHOWN],
        f"{problem.where}: {problem.what}" if is_there else problem.what,
        word,
        {name: str(text)[:_SHOWN] for name, text in problem.values.items()}
        | ({"child": problem.where.split(".")[0]} if is_there else {}),
    )


def _ports(read: RowsRead[Device], known: Registry) -> dict[str, int]:
    """Shed -> how many of its ports are added or changed, that have no line of their own."""
    own = set(read.lines.values())
    counts: dict[str, int] = {}
    for identifier in read.touched:
        port = read.things[identifier]
        if identifier in own or port.parent is None or is_same(known.devices.get(port.id), port):
            continue
        counts[port.parent] = counts.get(port.parent, 0) + 1
    return counts


def _changes(was: Thing, becomes: Thing) -> tuple[Change, ...]:
    before, after = _texts(was), _texts(becomes)
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        Change(name, before.get(name, ""), after.get(name, ""))
        for name in names
        if before.get(name, "") != after.get(name, "")
    )


def _texts(thing: Thing) -> dict[str, str]:
    """Its fields as they stand in the cells of a row."""
    if not isinstance(thing, Device):
        named = {
            "name_zh": thing.name.zh,
            "name_en": thing.name.en,
            "contacts": contacts_text(thing.contacts),
        }
        if isinstance(thing, Firm):
            entry = firm_entry(thing) | named
            return {name: str(entry[name]) for name in FIRM_COLUMNS}
        entry = compound_entry(thing) | named | {"synthetic": "true" if thing.synthetic else ""}
        return {name: str(entry[name]) for name in COMPOUND_COLUMNS}
    entry = device_entry(thing)
    texts = {name: str(entry.get(name) or "") for name in FIELDS}
    for name, value in thing.attributes.items():
        texts[name if name in ATTRIBUTES else f"attributes.{name}"] = cell_text(value)
    return texts
