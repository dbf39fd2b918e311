"""A registry as plain data: read with everything that is wrong told at once, and written again.

The form is that of `registry import` and `registry export`: one object with `firms`, `compounds`
and `devices`, or rows of devices with the same names as columns. A shed's ports need no entries of
their own: they are made from its `ports`; one that differs (another name, say) may have an entry.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from devices.ids import ID, is_id, port_id
from devices.journal import UNASSIGNED
from devices.kinds import KINDS
from devices.messages import Value
from devices.quantities import MAX_EXACT
from devices.registry import Compound, Contact, Device, Firm, Name, Registry

Thing = TypeVar("Thing")
Named = TypeVar("Named", Firm, Compound)

PROTOCOLS = (
    "native",
    "facesluice",
    "juy",
    "tasmota",
    "jetlinks",
    "zigbee2mqtt",
    "shelly",
    "thingsboard",
    "sparkplug",
)
RESERVED = (UNASSIGNED, "platform")  # subjects of accounts and faults that are no place or device

MAX_PORTS = 64
MAX_INTERVAL_S = 7 * 86_400
MAX_TEXT = 256
MAX_ATTRIBUTES = 64
SHOWN = 50  # problems in the text of an error; the error itself has all of them

FIELDS = (
    "id",
    "kind",
    "compound",
    "parent",
    "circuit",
    "name",
    "protocol",
    "external_id",
    "vendor",
    "model",
    "building",
    "unit",
    "interval_s",
    "commissioned_at",
    "decommissioned_at",
)
# Attributes that have a column of their own name in rows; others are columns `attributes.<name>`.
ATTRIBUTES = ("ports", "port_no", "form", "granularity", "lamp_count", "nominal_power_w", "supply")

# Columns of rows of firms, and of compounds.
FIRM_COLUMNS = ("id", "name_zh", "name_en", "contacts")
COMPOUND_COLUMNS = (
    "id",
    "name_zh",
    "name_en",
    "firm",
    "households",
    "timezone",
    "latitude",
    "longitude",
    "synthetic",
    "contacts",
)

_KIND_NAMES = {kind.zh: name for name, kind in KINDS.items()}
_WHOLE_ATTRIBUTES = {"ports": MAX_PORTS, "port_no": MAX_PORTS, "lamp_count": 1000}
_WORD_ATTRIBUTES = {
    ("gate", "form"): ("pedestrian", "barrier"),
    ("lamp", "granularity"): ("lamp", "circuit"),
}
_ONLY = {"ports": "shed", "port_no": "port"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
# Longer digits, and those after a leading zero, are names: a SIM card's, a building's.
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_SHORTENED = re.compile(r"[0-9][.,]?[0-9]*[eE]\+[0-9]+")  # what a spreadsheet makes of an IMEI


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. where: a JSON path (`devices[3].parent`) or a line (`line 4`).

    word, values: the same as `what`, for whoever says it in another language; "" for what only
    programs get wrong.
    """

    where: str
    what: str
    word: str = ""
    values: Mapping[str, object] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class BadRegistry(ValueError):
    """The registry is refused as a whole; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = [str(problem) for problem in problems[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"… and {len(problems) - SHOWN} more")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)


def parse(data: Mapping[str, object]) -> Registry:
    """The registry that `data` describes; raises BadRegistry with every problem in it."""
    problems: list[Problem] = []
    top = _Object("", data, problems)
    firms = [_firm(entry) for entry in top.objects("firms")]
    compounds = [_compound(entry) for entry in top.objects("compounds")]
    devices = [(entry.where, _device(entry)) for entry in top.objects("devices")]
    top.end()
    firm_ids = _unique([(f"firms[{n}]", firm.id) for n, firm in enumerate(firms)], problems)
    _unique([(f"compounds[{n}]", compound.id) for n, compound in enumerate(compounds)], problems)
    problems += [
        _no_firm(f"compounds[{n}].firm", compound.firm)
        for n, compound in enumerate(compounds)
        if compound.firm and compound.firm not in firm_ids
    ]
    known = Registry(firms, compounds)
    return Registry(firms, compounds, _assembled(devices, known, ".", problems))


def parse_rows(rows: Iterable[tuple[int, Mapping[str, str]]], known: Registry) -> Registry:
    """`known` with the devices of `rows` added to it, or changed.

    rows: (line number, column → text); an empty text is an absent value. Of a device that is known
    what has no column stays as it is. Raises BadRegistry.
    """
    read = read_rows(rows, known)
    if read.problems:
        raise BadRegistry(read.problems)
    devices = read.things.values()
    return Registry(known.firms.values(), known.compounds.values(), devices, known.revision)


@dataclass(frozen=True, slots=True)
class RowsRead(Generic[Thing]):
    """Rows as far as they could be read. lines: line -> what it names, "" without a usable id.

    things: all that was known, and over it what the rows say, also where that is wrong: then it may
    make no registry. touched: the ids of what the rows say, with the ports of their sheds.
    """

    lines: Mapping[int, str]
    things: Mapping[str, Thing]
    touched: Sequence[str]
    problems: Sequence[Problem]


def read_rows(rows: Iterable[tuple[int, Mapping[str, str]]], known: Registry) -> RowsRead[Device]:
    """The same as `parse_rows`, with everything that is wrong beside what is right."""
    problems: list[Problem] = []
    foreign: set[str] = set()
    lines: dict[int, str] = {}
    devices = []
    by_name = _by_name(known)
    for line, row in rows:
        where = f"line {line}"
        raw = _from_row(where, row, foreign, known, by_name, problems)
        device = _device(_Object(where, raw, problems, ", "))
        devices.append((where, device))
        lines[line] = device.id
    touched = _put_together(devices, known, ", ", problems)
    things = known.devices | {device.id: device for device in touched}
    return RowsRead(lines, things, [device.id for device in touched], problems)


def read_firm_rows(
    rows: Iterable[tuple[int, Mapping[str, str]]], known: Registry
) -> RowsRead[Firm]:
    """The same for rows of firms."""

    def entry(row: Mapping[str, str], other: _Other) -> dict[str, object]:
        was = known.firms.get(row.get("id", ""))
        data = {} if was is None else firm_entry(was)
        return _place_entry(row, data, None if was is None else was.name, FIRM_COLUMNS, other)

    return _named_rows(rows, known.firms, entry, _firm)


def read_compound_rows(
    rows: Iterable[tuple[int, Mapping[str, str]]], known: Registry
) -> RowsRead[Compound]:
    """The same for rows of compounds."""
    firms = {name: firm.id for firm in known.firms.values() for name in asdict(firm.name).values()}

    def entry(row: Mapping[str, str], other: _Other) -> dict[str, object]:
        was = known.compounds.get(row.get("id", ""))
        data = {} if was is None else compound_entry(was)
        name = None if was is None else was.name
        data = _place_entry(row, data, name, COMPOUND_COLUMNS, other)
        firm = data.get("firm")
        return data | {"firm": firms.get(firm, firm)} if isinstance(firm, str) else data

    def managed(row: _Object) -> Compound:
        compound = _compound(row)
        if compound.firm and compound.firm not in known.firms:
            row.wrong("firm", f"there is no firm {compound.firm!r}", "no_firm")
        return compound

    return _named_rows(rows, known.compounds, entry, managed)


def with_compounds(known: Registry, compounds: Iterable[Compound]) -> Registry:
    """`known`, with these compounds in place of its own."""
    return Registry(known.firms.values(), compounds, known.devices.values(), known.revision)


def with_firms(known: Registry, firms: Iterable[Firm]) -> Registry:
    """`known`, with these firms in place of its own."""
    places, devices = known.compounds.values(), known.devices.values()
    return Registry(firms, places, devices, known.revision)


def parse_entries(entries: Sequence[Mapping[str, object]], known: Registry) -> Registry:
    """The devices that these entries describe, with the ports of their sheds.

    entries: as a registry file has them. What is wrong is told as `gate-1.building`. Raises
    BadRegistry.
    """
    problems: list[Problem] = []
    devices = []
    for raw in entries:
        where = str(raw.get("id"))
        devices.append((where, _device(_Object(where, raw, problems))))
    made = _assembled(devices, known, ".", problems)
    return Registry(known.firms.values(), known.compounds.values(), made, known.revision)


def parse_firm(raw: Mapping[str, object]) -> Firm:
    """The firm that an entry describes; raises BadRegistry."""
    problems: list[Problem] = []
    firm = _firm(_Object("", raw, problems))
    if problems:
        raise BadRegistry(problems)
    return firm


def parse_compound(raw: Mapping[str, object], known: Registry) -> Compound:
    """The compound that an entry describes; raises BadRegistry."""
    problems: list[Problem] = []
    compound = _compound(_Object("", raw, problems))
    if compound.firm and compound.firm not in known.firms:
        problems.append(_no_firm("firm", compound.firm))
    if problems:
        raise BadRegistry(problems)
    return compound


def dump(registry: Registry) -> dict[str, list[dict[str, object]]]:
    """The inverse of `parse`: values that JSON has, without the ports that `parse` makes."""
    return {
        "firms": [firm_entry(firm) for firm in registry.firms.values()],
        "compounds": [compound_entry(compound) for compound in registry.compounds.values()],
        "devices": [device_entry(device) for device in _with_entry(registry)],
    }


def firm_entry(firm: Firm) -> dict[str, object]:
    return {
        "id": firm.id,
        "name": asdict(firm.name),
        "contacts": [asdict(contact) for contact in firm.contacts],
    }


def compound_entry(compound: Compound) -> dict[str, object]:
    return {
        "id": compound.id,
        "name": asdict(compound.name),
        "firm": compound.firm,
        "synthetic": compound.synthetic,
        "contacts": [asdict(contact) for contact in compound.contacts],
        "households": compound.households,
        "timezone": compound.timezone,
        "latitude": compound.latitude,
        "longitude": compound.longitude,
    }


def dump_rows(registry: Registry) -> tuple[list[str], list[dict[str, str]]]:
    """The inverse of `parse_rows`: the columns in use, and one row a device."""
    rows = []
    for device in _with_entry(registry):
        dumped = device_entry(device)
        attributes = dumped.pop("attributes")
        row = {name: str(value) for name, value in dumped.items() if value not in (None, "")}
        if isinstance(attributes, dict):
            for name, value in attributes.items():
                row[name if name in ATTRIBUTES else f"attributes.{name}"] = cell_text(value)
        rows.append(row)
    used = {name for row in rows for name in row}
    columns = [name for name in (*FIELDS, *ATTRIBUTES) if name in used]
    return columns + sorted(used - set(columns)), rows


class _Object:
    """One object of the data: hands out its fields as checked values, and notes what is wrong.

    A field that is wrong gives a value of the right type, so that reading goes on; the registry is
    refused in the end.
    """

    def __init__(self, where: str, raw: object, problems: list[Problem], joint: str = ".") -> None:
        self.where = where
        self._joint = joint
        self._problems = problems
        self._raw: dict[object, object] = {}
        if isinstance(raw, Mapping):
            self._raw = {key: value for key, value in raw.items() if value is not None}
        else:
            self.wrong("", f"{_shown(raw)} is not an object")

    def at(self, field: str) -> str:
        return f"{self.where}{self._joint}{field}" if self.where and field else self.where or field

    def wrong(self, field: str, what: str, word: str = "", **values: object) -> None:
        self._problems.append(Problem(self.at(field) or "the file", what, word, values))

    def take(self, field: str) -> object:
        """The raw value, None when it is absent; what nobody takes is unknown in the end."""
        return self._raw.pop(field, None)

    def end(self) -> None:
        for name in self._raw:
            self.wrong(str(name)[:80], "there is no such field", "no_field")

    def text(self, field: str, default: str | None = None) -> str:
        text = self._string(field, default)
        flaw = _flaw(text)
        if flaw is not None:
            self.wrong(field, f"{_shown(text)} {flaw}", "bad_text", most=MAX_TEXT)
        return text

    def _string(self, field: str, default: str | None) -> str:
        raw = self.take(field)
        if raw is None or raw == "":
            if default is None:
                self.wrong(field, "is missing", "missing")
            return default or ""
        if not isinstance(raw, str):
            self.wrong(field, f"{_shown(raw)} is not text")
            return ""
        return raw

    def id(self, field: str, default: str | None = None) -> str:
        """An id, or "" when it is missing or wrong."""
        text = self._string(field, default)
        if text and not is_id(text):
            self.wrong(field, f"{_shown(text)} is not an id ({ID.pattern})", "no_id")
            return ""
        return text

    def word(self, field: str, words: Iterable[str], default: str | None = None) -> str:
        text = self._string(field, default)
        known = tuple(words)
        if text and text not in known:
            listed = ", ".join(known)
            self.wrong(field, f"{_shown(text)} is not one of {listed}", "no_word", words=listed)
            return ""
        return text

    def whole(self, field: str, low: int, high: int, default: int | None = None) -> int:
        number = self.number(field, low, high, default)
        if number != int(number):
            self.wrong(field, f"{number} is not a whole number", "no_whole")
        return int(number)

    def number(self, field: str, low: float, high: float, default: float | None = None) -> float:
        raw = self.take(field)
        if raw is None:
            if default is None:
                self.wrong(field, "is missing", "missing")
            return low if default is None else default
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            self.wrong(field, f"{_shown(raw)} is not a number", "no_number")
        elif not low <= raw <= high:  # NaN compares false with everything
            outside = f"{_shown(raw)} is outside {low}…{high}"
            self.wrong(field, outside, "outside", low=low, high=high)
        else:
            return raw
        return low

    def flag(self, field: str) -> bool:
        raw = self.take(field)
        if raw is not None and not isinstance(raw, bool):
            self.wrong(field, f"{_shown(raw)} is not true or false", "no_flag")
        return raw is True

    def instant_ms(self, field: str) -> int | None:
        """RFC 3339 text as UTC epoch milliseconds."""
        text = self.text(field, "")
        if not text:
            return None
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None or not 2000 <= instant.year < 2100:
            self.wrong(field, f"{_shown(text)} is not a time like 2026-11-23T10:00:00Z", "no_time")
            return None
        return (instant - _EPOCH) // timedelta(milliseconds=1)

    def object(self, field: str) -> "_Object":
        raw = self.take(field)
        return _Object(self.at(field), {} if raw is None else raw, self._problems)

    def objects(self, field: str) -> "Iterator[_Object]":
        raw = self.take(field)
        if raw is None:
            return
        if not isinstance(raw, list | tuple):
            self.wrong(field, f"{_shown(raw)} is not a list")
            return
        for number, item in enumerate(raw):
            yield _Object(f"{self.at(field)}[{number}]", item, self._problems)

    def attributes(self, kind: str) -> dict[str, Value]:
        """What only some kinds have: scalars by name, known ones checked."""
        raw = self.take("attributes")
        if raw is None:
            return {}
        if not isinstance(raw, Mapping):
            self.wrong("attributes", f"{_shown(raw)} is not an object")
            return {}
        if len(raw) > MAX_ATTRIBUTES:
            self.wrong("attributes", f"{len(raw)} are too many: at most {MAX_ATTRIBUTES}")
            return {}
        good: dict[str, Value] = {}
        for name, value in raw.items():
            if value is None:
                continue
            if not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name):
                self.wrong("attributes", f"{_shown(name)} is not {_ATTRIBUTE_NAME.pattern}")
                continue
            if not isinstance(value, str | int | float):
                self.wrong(self._attribute(name), f"{_shown(value)} is no text, number or flag")
                continue
            flaw = _attribute_flaw(kind, name, value)
            if flaw is not None:
                self.wrong(self._attribute(name), f"{_shown(value)} {flaw}", "bad_attribute")
                continue
            good[name] = value
        return good

    def _attribute(self, name: str) -> str:
        return f"attributes.{name}" if self._joint == "." else name


def _firm(entry: _Object) -> Firm:
    firm = Firm(entry.id("id"), _name(entry), _contacts(entry))
    entry.end()
    return firm


def _compound(entry: _Object) -> Compound:
    default = Compound("", Name("", ""), "", 0)
    identifier = entry.id("id")
    if identifier in RESERVED:
        entry.wrong("id", f"{identifier!r} is taken by courtyard itself", "reserved")
    zone = entry.text("timezone", default.timezone)
    if not _is_timezone(zone):
        entry.wrong("timezone", f"{_shown(zone)} is not a time zone like Asia/Shanghai", "no_zone")
    compound = Compound(
        id=identifier,
        name=_name(entry),
        firm=entry.id("firm"),
        households=entry.whole("households", 0, 1_000_000),
        timezone=zone,
        latitude=entry.number("latitude", -90, 90, default.latitude),
        longitude=entry.number("longitude", -180, 180, default.longitude),
        synthetic=entry.flag("synthetic"),
        contacts=_contacts(entry),
    )
    entry.end()
    return compound


def _name(entry: _Object) -> Name:
    name = entry.object("name")
    zh = name.text("zh")
    en = name.text("en", zh)
    name.end()
    return Name(zh, en)


def _contacts(entry: _Object) -> tuple[Contact, ...]:
    contacts = []
    for contact in entry.objects("contacts"):
        names = (contact.text("name", ""), contact.text("phone", ""), contact.text("role", ""))
        contacts.append(Contact(*names))
        contact.end()
    return tuple(contacts)


def _device(entry: _Object) -> Device:
    identifier = entry.id("id")
    if identifier in RESERVED:
        entry.wrong("id", f"{identifier!r} is taken by courtyard itself", "reserved")
    kind = entry.word("kind", KINDS)
    protocol = entry.word("protocol", PROTOCOLS, "native")
    external_id = entry.text("external_id", "")
    if _SHORTENED.fullmatch(external_id):
        what = f"{external_id} was shortened by a spreadsheet: write it as text"
        entry.wrong("external_id", what, "shortened")
    retired_ms = entry.instant_ms("decommissioned_at")
    is_named = protocol in {"", "native"} or external_id or kind == "port"
    if not is_named and retired_ms is None:  # out of service, another may have its name
        what = f"is missing: {protocol} knows the device by it"
        entry.wrong("external_id", what, "no_external", protocol=protocol)
    device = Device(
        id=identifier,
        kind=kind,
        compound=entry.id("compound"),
        name=entry.text("name", identifier),
        interval_s=entry.whole(
            "interval_s", 1, MAX_INTERVAL_S, KINDS[kind].interval_s if kind else 1
        ),
        parent=entry.id("parent", "") or None,
        circuit=entry.text("circuit", "") or None,
        protocol=protocol,
        external_id=external_id,
        vendor=entry.text("vendor", ""),
        model=entry.text("model", ""),
        building=entry.text("building", ""),
        unit=entry.text("unit", ""),
        attributes=entry.attributes(kind),
        commissioned_at_ms=entry.instant_ms("commissioned_at"),
        decommissioned_at_ms=retired_ms,
    )
    entry.end()
    return device


def _made_ports(shed: Device) -> list[Device]:
    """The ports of a shed that have no entry of their own: its place, interval and protocol."""
    marks = {name: value for name, value in shed.attributes.items() if name == "synthetic"}
    return [
        Device(
            id=port_id(shed.id, number),
            kind="port",
            compound=shed.compound,
            name=f"{shed.name} {number}号插座",
            interval_s=shed.interval_s,  # ports travel in their shed's message
            parent=shed.id,
            protocol=shed.protocol,
            vendor=shed.vendor,
            model=shed.model,
            building=shed.building,
            unit=shed.unit,
            attributes={"port_no": number, **marks},
            commissioned_at_ms=shed.commissioned_at_ms,
            decommissioned_at_ms=shed.decommissioned_at_ms,
        )
        for number in range(1, int(shed.attributes.get("ports", 0)) + 1)
    ]


def _with_entry(registry: Registry) -> Iterator[Device]:
    """All devices but the ports that are made from their shed."""
    made = {
        port.id: port
        for device in registry.devices.values()
        if device.kind == "shed"
        for port in _made_ports(device)
    }
    for device in registry.devices.values():
        if device.id not in made or not _same(device, made[device.id]):
            yield device


def _same(one: Device, other: Device) -> bool:
    return all(getattr(one, f.name) == getattr(other, f.name) for f in fields(Device))


def _assembled(
    entries: Sequence[tuple[str, Device]], known: Registry, joint: str, problems: list[Problem]
) -> list[Device]:
    """The devices of all entries with the ports of their sheds, checked; raises BadRegistry."""
    devices = _put_together(entries, known, joint, problems)
    if problems:
        raise BadRegistry(problems)
    return devices


def _put_together(
    entries: Sequence[tuple[str, Device]], known: Registry, joint: str, problems: list[Problem]
) -> list[Device]:
    """The devices of all entries with the ports of their sheds; what is wrong joins `problems`.

    entries: (where, device), a wrong or missing id being "".
    """
    _unique([(where, device.id) for where, device in entries], problems)
    places = {device.id: where for where, device in entries if device.id}
    own = {device.id: device for _, device in entries if device.id}
    devices: dict[str, Device] = {}
    for device in own.values():
        devices[device.id] = device
        if device.kind != "shed":
            continue
        made_before = _made_before(device.id, known)
        for port in _made_ports(device):
            was = known.devices.get(port.id)
            if port.id in own:
                devices[port.id] = own[port.id]
            elif was is None or port.id in made_before:
                devices[port.id] = port
                places[port.id] = places[device.id]
            # else its own entry, from an earlier import, goes on
    after = known.devices | devices
    for device in devices.values():
        place = f"{places[device.id]}{joint}"
        if device.compound and device.compound not in known.compounds:
            what = f"there is no compound {device.compound!r}"
            problems.append(Problem(f"{place}compound", what, "no_compound"))
        if not is_id(device.id):  # only made ones: the others were checked
            what = f"{device.parent} is too long an id for a shed with ports"
            problems.append(Problem(f"{place}id", what, "long_id"))
        if device.kind == "port":
            problems += _port_problems(device, after, place)
    for device in after.values():
        if device.parent and (device.id in places or device.parent in places):
            place = f"{places[device.id]}{joint}" if device.id in places else f"{device.id}."
            problems += _parent_problems(device, after, f"{place}parent")
    problems += _cycles(devices, after, places, joint)
    problems += _shared_names(devices, after, places, joint)
    return list(devices.values())


def _made_before(shed: str, known: Registry) -> set[str]:
    """Ports that are as `shed` made them in an earlier import: they follow what it says now."""
    was = known.devices.get(shed)
    if was is None or was.kind != "shed":
        return set()
    made = [(port, known.devices.get(port.id)) for port in _made_ports(was)]
    return {port.id for port, there in made if there is not None and _same(port, there)}


def _port_problems(port: Device, after: Mapping[str, Device], place: str) -> list[Problem]:
    number = port.attributes.get("port_no")
    shed = after.get(port.parent or "")
    if shed is None or shed.kind != "shed":
        what = "a port needs the shed that it belongs to"
        return [Problem(f"{place}parent", what, "no_shed")]
    if number is None:
        return [Problem(f"{place}attributes", "a port needs its port_no", "no_port_no")]
    wanted = port_id(shed.id, int(number))
    if port.id != wanted:
        what = f"port {number} of {shed.id} is {wanted}, not {port.id}"
        return [Problem(f"{place}id", what, "port_id", {"wanted": wanted})]
    return []


def _parent_problems(device: Device, after: Mapping[str, Device], place: str) -> list[Problem]:
    parent = after.get(device.parent or "")
    if parent is None:
        return [Problem(place, f"there is no device {device.parent!r}", "no_parent")]
    if device.compound and parent.compound and parent.compound != device.compound:
        what = f"{parent.id} is in {parent.compound}, and {device.id} in {device.compound}"
        there = {"parent": parent.id, "compound": parent.compound}
        return [Problem(place, what, "parent_elsewhere", there)]
    return []


def _cycles(
    devices: Mapping[str, Device],
    after: Mapping[str, Device],
    places: Mapping[str, str],
    joint: str,
) -> list[Problem]:
    problems = []
    ended: set[str] = set()
    for start in devices:
        way: list[str] = []
        at: str | None = start
        while at is not None and at in after and at not in ended and at not in way:
            way.append(at)
            at = after[at].parent
        if at in way:
            ring = way[way.index(at) :]
            place = next((places[device] for device in ring if device in places), at)
            what = f"its parents lead back to it: {' → '.join([*ring, at])}"
            problems.append(Problem(f"{place}{joint}parent", what, "ring"))
        ended.update(way)
    return problems


def _shared_names(
    devices: Mapping[str, Device],
    after: Mapping[str, Device],
    places: Mapping[str, str],
    joint: str,
) -> list[Problem]:
    """Names in a protocol that two devices have. The one that was there first owns it."""
    stays = {
        (device.protocol, device.external_id): device.id
        for device in after.values()
        if device.external_id and device.id not in devices
    }
    problems = []
    for device in devices.values():
        name = (device.protocol, device.external_id)
        if device.external_id and stays.setdefault(name, device.id) != device.id:
            what = f"{stays[name]} is {device.external_id!r} in {device.protocol} already"
            owner = {"owner": stays[name]}
            place = f"{places[device.id]}{joint}external_id"
            problems.append(Problem(place, what, "shared", owner))
    return problems


def _unique(ids: Iterable[tuple[str, str]], problems: list[Problem]) -> set[str]:
    """All ids; one that comes twice is a problem where it comes again."""
    first: dict[str, str] = {}
    for where, identifier in ids:
        if identifier and first.setdefault(identifier, where) != where:
            problems.append(_twice(where, identifier, first[identifier]))
    return set(first)


def _twice(where: str, identifier: str, first: str) -> Problem:
    return Problem(where, f"{identifier!r} is at {first} already", "twice", {"first": first})


def _no_firm(where: str, firm: str) -> Problem:
    return Problem(where, f"there is no firm {firm!r}", "no_firm")


def device_entry(device: Device) -> dict[str, object]:
    dumped: dict[str, object] = {
        "id": device.id,
        "kind": device.kind,
        "compound": device.compound,
        "parent": device.parent,
        "circuit": device.circuit,
        "name": device.name,
        "protocol": device.protocol,
        "external_id": device.external_id,
        "building": device.building,
        "unit": device.unit,
        "interval_s": device.interval_s,
        "attributes": dict(device.attributes),
    }
    if device.vendor:
        dumped["vendor"] = device.vendor
    if device.model:
        dumped["model"] = device.model
    if device.commissioned_at_ms is not None:
        dumped["commissioned_at"] = rfc3339(device.commissioned_at_ms)
    if device.decommissioned_at_ms is not None:
        dumped["decommissioned_at"] = rfc3339(device.decommissioned_at_ms)
    return dumped


def _from_row(
    where: str,
    row: Mapping[str, str],
    foreign: set[str],
    known: Registry,
    by_name: Mapping[str, str],
    problems: list[Problem],
) -> dict[str, object]:
    """The row as the object that it would be in JSON. foreign: columns already complained about."""
    data: dict[str, object] = {}
    attributes: dict[str, object] = {}
    was = known.devices.get(row.get("id", ""))
    if was is not None:  # what has no column stays
        data = device_entry(was)
        is_same = _KIND_NAMES.get(row.get("kind", ""), row.get("kind")) in (None, was.kind)
        attributes = dict(was.attributes) if is_same else {}
    for column, text in row.items():
        name = column.removeprefix("attributes.")
        if column not in FIELDS and column not in ATTRIBUTES and name == column:
            _no_column(where, column, foreign, problems, f": an attribute is 'attributes.{column}'")
        elif column in FIELDS:
            data[column] = cell_value(text) if column == "interval_s" and text else text or None
        else:
            attributes[name] = cell_value(text) if text else None
    for column, names in (("kind", _KIND_NAMES), ("compound", by_name)):
        written = data.get(column)
        if isinstance(written, str) and not is_id(written):
            data[column] = names.get(written, written)
    return data | {"attributes": attributes}


# Told of a column that there is not, once a file.
_Other = Callable[[str], None]


def _named_rows(
    rows: Iterable[tuple[int, Mapping[str, str]]],
    known: Mapping[str, Named],
    entry: Callable[[Mapping[str, str], _Other], Mapping[str, object]],
    read: Callable[[_Object], Named],
) -> RowsRead[Named]:
    """Rows of firms or compounds. entry: a row as the object that it would be in JSON."""
    problems: list[Problem] = []
    foreign: set[str] = set()
    lines: dict[int, str] = {}
    things: dict[str, Named] = {}
    for line, row in rows:
        where = f"line {line}"
        other = partial(_no_column, where, foreign=foreign, problems=problems, hint="")
        thing = read(_Object(where, entry(row, other), problems, ", "))
        if thing.id and thing.id in things:
            first = next(at for at, identifier in lines.items() if identifier == thing.id)
            problems.append(_twice(where, thing.id, f"line {first}"))
        lines[line] = thing.id
        if thing.id:
            things[thing.id] = thing
    return RowsRead(lines, {**known, **things}, list(things), problems)


def _place_entry(
    row: Mapping[str, str],
    was: Mapping[str, object],
    name: Name | None,
    columns: Sequence[str],
    other: _Other,
) -> dict[str, object]:
    """What was there, and over it what the row has columns for."""
    data = dict(was)
    names: dict[str, object] = {} if name is None else asdict(name)
    for column, text in row.items():
        if column not in columns:
            other(column)
        elif column in ("name_zh", "name_en"):
            names[column.removeprefix("name_")] = text or None
        elif column == "contacts":
            data[column] = contacts_of(text)
        elif column in ("households", "latitude", "longitude", "synthetic"):
            data[column] = cell_value(text) if text else None
        else:
            data[column] = text or None
    return data | {"name": names}


def _no_column(
    where: str, column: str, foreign: set[str], problems: list[Problem], hint: str
) -> None:
    if column not in foreign:
        foreign.add(column)
        what = f"there is no column {column!r}{hint}"
        problems.append(Problem(where, what, "no_column", {"column": column}))


def _by_name(known: Registry) -> dict[str, str]:
    """Compounds by their names, as far as only one has it."""
    ids: dict[str, set[str]] = {}
    for compound in known.compounds.values():
        for name in {compound.name.zh, compound.name.en}:
            ids.setdefault(name, set()).add(compound.id)
    return {name: next(iter(found)) for name, found in ids.items() if len(found) == 1}


def contacts_of(text: str) -> list[dict[str, str]]:
    """Contacts as people write them: `name, phone, role`, one a line or between semicolons."""
    contacts = []
    for line in re.split(r"[;；\n]", text):
        parts = [part.strip() for part in re.split(r"[,，]", line)]
        if any(parts):
            name, phone, role = [*parts, "", ""][:3]
            contacts.append({"name": name, "phone": phone, "role": role})
    return contacts


def contacts_text(contacts: Iterable[Contact], joint: str = "; ") -> str:
    """The inverse of `contacts_of`."""
    return joint.join(
        ", ".join(part for part in (one.name, one.phone, one.role)).rstrip(", ") for one in contacts
    )


def cell_value(text: str) -> Value:
    """A cell of a row as the value that it spells. Text that looks like one is in JSON quotes."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if text.startswith('"'):
        try:
            quoted = json.loads(text)
        except ValueError:
            return text
        return quoted if isinstance(quoted, str) else text
    return text


def cell_text(value: Value) -> str:
    """The cell that `cell_value` reads as this value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if cell_value(value) == value else json.dumps(value, ensure_ascii=False)
    return repr(value)


def _attribute_flaw(kind: str, name: str, value: Value) -> str | None:
    if name in _ONLY and kind and kind != _ONLY[name]:
        return f"is for a {_ONLY[name]} only"
    if name in _WHOLE_ATTRIBUTES:
        high = _WHOLE_ATTRIBUTES[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
            return f"is not a whole number in 1…{high}"
        return None
    if name == "nominal_power_w":
        if isinstance(value, str | bool) or not 0 < value <= 1e6:
            return "is not a power in W, above 0 and at most 1000000"
        return None
    words = _WORD_ATTRIBUTES.get((kind, name))
    if words is not None and value not in words:
        return f"is not one of {', '.join(words)}"
    if isinstance(value, str):
        return _flaw(value)
    if not -MAX_EXACT <= value <= MAX_EXACT:  # NaN compares false with everything
        return "is not a usable number"
    return None


def _flaw(text: str) -> str | None:
    """Why `text` cannot be kept: what people cannot see, they cannot find either."""
    if len(text) > MAX_TEXT:
        return f"is longer than {MAX_TEXT} characters"
    if not text.isprintable() and any(
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text
    ):
        return "has control characters, or is no Unicode"
    if text != text.strip():
        return "begins or ends with a space"
    return None


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, a path, a folder
        return False
    return True


def rfc3339(at_ms: int) -> str:
    """A time as registry files have it."""
    instant = _EPOCH + timedelta(milliseconds=at_ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown(raw: object) -> str:
    """A value in a message: short, and on one line."""
    return repr(raw)[:80]
