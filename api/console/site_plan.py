"""A schematic plan of a compound, laid out from the registry: no survey, but always the same.

Buildings stand in rows in the order of their numbers, lamps along the roads below them, sheds with
their sockets after them, security points along the fence, and gates on that side of it that their
name says. Drawn for each width at which it is shown, so that its text stays 12 px.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from api.console.places import Place, Seen, lamps_text, sockets_text, told, trouble_name
from api.words import Language, say

WIDE, NARROW = 640.0, 340.0  # px
EDGE = 24.0  # from the rim to the fence
INSIDE = 14.0  # from the fence to what stands inside
GAP = 12.0
BUILDING_H, ROAD_H, SHED_TOP_H = 66.0, 24.0, 20.0
MOST_BUILDING_W = 190.0
LAMP, SOCKET, POINT = 15.0, 17.0, 22.0  # room for one
TEXT_PX = 12.0
SIDES = (("北", "top"), ("南", "bottom"), ("西", "left"), ("东", "right"))
PERIMETER = ("camera",)


@dataclass(frozen=True, slots=True)
class Mark:
    """A device. shape: lamp, port, gate, camera, gateway or lift; (x, y) is its middle.

    label: beside it, at its `side` (right, left). is_stop: the keyboard stops there; healthy lamps
    and sockets are in the list below the plan.
    """

    x: str
    y: str
    shape: str
    look: str
    device: str
    told: str
    label: str = ""
    side: str = "right"
    is_stop: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """A building. look: p1 to p3, unknown, or ok; lines: (text, y) below its name; ticks: where its
    units meet. key: of its place in the list."""

    x: str
    y: str
    width: str
    height: str
    look: str
    key: str
    name: str
    lines: Sequence[tuple[str, str]]
    icon: str
    ticks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Caption:
    """The name of a shed over its sockets."""

    x: str
    y: str
    text: str
    device: str
    look: str


@dataclass(slots=True)
class Plan:
    """What is drawn at one width. look: wide or narrow; yard: the fence, as (x, y, width, height);
    roads: (x, y, width)."""

    look: str
    width: str
    height: str = "0"
    yard: tuple[str, str, str, str] = ("0", "0", "0", "0")
    roads: list[tuple[str, str, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PlanView:
    """plans: one for each width. told: all of it in words."""

    plans: Sequence[Plan]
    told: str
    has_lamps: bool
    has_sockets: bool


def plan_view(language: Language, places: Sequence[Place]) -> PlanView:
    """The plan of a compound with these places, in one language."""
    every = [one for place in places for one in place.devices]
    return PlanView(
        [_draw(language, places, "wide", WIDE, 3), _draw(language, places, "narrow", NARROW, 2)],
        _told(language, places, every),
        any(one.kind == "lamp" for one in every),
        any(one.kind == "port" for one in every),
    )


def _told(language: Language, places: Sequence[Place], every: Sequence[Seen]) -> str:
    parts = []
    buildings = sum(place.is_building for place in places)
    if buildings:
        parts.append(say(language, "sp_buildings", n=buildings))
    for kind in ("gate", "shed", "camera"):
        count = sum(one.kind == kind for one in every)
        if count:
            parts.append(say(language, f"sp_{kind}", n=count))
    lamps = [one for one in every if one.kind == "lamp"]
    if lamps:
        parts.append(lamps_text(language, lamps))
    sockets = [one for one in every if one.kind == "port"]
    if sockets:
        parts.append(sockets_text(language, sockets))
    wrong = [told(language, one) for one in every if one.is_trouble or one.look == "offline"]
    text = say(language, "sp_told", parts=say(language, "comma").join(parts))
    if wrong:
        text += say(language, "sp_wrong", parts=say(language, "semicolon").join(wrong))
    return text


def _draw(
    language: Language, places: Sequence[Place], look: str, width: float, most_columns: int
) -> Plan:
    plan = Plan(look, f"{width:.0f}")
    left, right = EDGE + INSIDE, width - EDGE - INSIDE
    buildings = [place for place in places if place.is_building]
    outside = {place.key: place for place in places if not place.is_building}
    gates = outside["gates"].devices if "gates" in outside else ()
    at_side: dict[str, list[Seen]] = {"top": [], "bottom": [], "left": [], "right": []}
    for gate in gates:
        at_side[_side(gate.standing.name)].append(gate)
    guards = list(outside["security"].devices) if "security" in outside else []
    links = list(outside["links"].devices) if "links" in outside else []
    # Half of the security points along the upper fence, the rest and the links along the lower one.
    upper = (len(guards) + 1) // 2
    y = EDGE + INSIDE
    y = _along(plan, language, guards[:upper], left, right, y)
    lamps = list(outside["lamps"].devices) if "lamps" in outside else []
    rows = [buildings[n : n + most_columns] for n in range(0, len(buildings), most_columns)] or [[]]
    share = -(-len(lamps) // len(rows))
    roads: list[float] = []
    for n, row in enumerate(rows):
        if row:
            _row(plan, language, row, most_columns, left, right, y)
            y += BUILDING_H + 4
        y = _road(plan, language, lamps[n * share : (n + 1) * share], left, right, y, roads)
        y += GAP
    if "sheds" in outside:
        y = _sheds(plan, language, outside["sheds"], left, right, y, 2 if look == "wide" else 1)
    y = _along(plan, language, [*guards[upper:], *links], left, right, y)
    y += INSIDE - GAP / 2
    plan.yard = (f"{EDGE:.1f}", f"{EDGE:.1f}", f"{width - 2 * EDGE:.1f}", f"{y - EDGE:.1f}")
    plan.height = f"{y + EDGE:.0f}"
    _gates(plan, language, at_side, width, y, roads)
    return plan


def _side(name: str) -> str:
    """Of the fence: as the name of a gate says, else below."""
    for word, side in SIDES:
        if word in name:
            return side
    return "bottom"


def _row(
    plan: Plan,
    language: Language,
    row: Sequence[Place],
    columns: int,
    left: float,
    right: float,
    y: float,
) -> None:
    room = (right - left - (columns - 1) * GAP) / columns
    width = min(MOST_BUILDING_W, room)
    for n, place in enumerate(row):
        x = left + n * (room + GAP) + (room - width) / 2
        plan.blocks.append(_block(language, place, x, y, width))
        inside = [one for one in place.devices if one.kind not in ("lamp", "port")]
        most = int((width - 60) // POINT)
        for m, one in enumerate(inside[:most]):
            plan.marks.append(_mark(language, one, x + width - 14 - m * POINT, y + 13))


def _block(language: Language, place: Place, x: float, y: float, width: float) -> Block:
    worst = place.worst
    lamps = place.of("lamp")
    icon = ""
    if worst is not None:
        look, icon = worst.look, worst.look
        text = trouble_name(language, worst)
    elif place.devices and all(one.look == "unknown" for one in place.devices):
        look, text = "unknown", say(language, "d_unknown")
    else:
        look = "ok"
        icon = "bulb" if lamps else ""
        online = sum(one.is_known for one in place.devices)
        text = (
            lamps_text(language, lamps)
            if lamps
            else say(language, "pl_online", n=online, of=len(place.devices))
        )
    lines = wrapped(text, width - (30 if icon else 14))
    units = len(place.units)
    return Block(
        f"{x:.1f}",
        f"{y:.1f}",
        f"{width:.1f}",
        f"{BUILDING_H:.1f}",
        look,
        place.key,
        wrapped(place.key, width - 60)[0],
        [
            (line, f"{y + BUILDING_H - 8 - (len(lines) - 1 - n) * 15:.1f}")
            for n, line in enumerate(lines)
        ],
        icon,
        [f"{x + width * n / units:.1f}" for n in range(1, units)],
    )


def wrapped(text: str, room: float) -> list[str]:
    """The text in at most two lines of `room` px; what does not fit is cut, and marked so."""
    if text_width(text) <= room:
        return [text]
    first = _fitting(text, room)
    cut = text.rfind(" ", 0, first + 1)
    if cut <= 0:  # no word ends there, as in Chinese
        cut = first
    rest = text[cut:].strip()
    if text_width(rest) > room:
        rest = rest[: _fitting(rest, room - TEXT_PX)] + "…"
    return [text[:cut].strip(), rest]


def text_width(text: str) -> float:
    """About how wide it is at 12 px: ideographs are square, other letters narrower."""
    return sum(TEXT_PX if ord(letter) > 0x2E80 else TEXT_PX * 0.56 for letter in text)


def _fitting(text: str, room: float) -> int:
    """How many letters of it fit, at least one."""
    width = 0.0
    for n, letter in enumerate(text):
        width += text_width(letter)
        if width > room:
            return max(1, n)
    return len(text)


def _road(
    plan: Plan,
    language: Language,
    lamps: Sequence[Seen],
    left: float,
    right: float,
    y: float,
    roads: list[float],
) -> float:
    """A road with its lamps, in as many lines as they need; where the next thing begins."""
    margin = 52.0  # gates to the left and right have their names there
    per_line = int((right - left - 2 * margin) // LAMP)
    lines = max(1, -(-len(lamps) // per_line))
    roads.append(y + ROAD_H / 2)
    plan.roads.append((f"{EDGE:.1f}", f"{y:.1f}", f"{right - left + 2 * INSIDE:.1f}"))
    for n in range(lines):
        some = lamps[n * per_line : (n + 1) * per_line]
        step = (right - left - 2 * margin) / max(1, len(some))
        for m, lamp in enumerate(some):
            x = left + margin + (m + 0.5) * step
            plan.marks.append(_mark(language, lamp, x, y + ROAD_H / 2 + n * LAMP))
    return y + ROAD_H + (lines - 1) * LAMP


def _sheds(
    plan: Plan,
    language: Language,
    place: Place,
    left: float,
    right: float,
    y: float,
    columns: int,
) -> float:
    sheds = [one for one in place.devices if one.kind == "shed"]
    width = (right - left - (columns - 1) * GAP) / columns
    per_line = int(width // SOCKET)
    for n in range(0, len(sheds), columns):
        row = sheds[n : n + columns]
        height = SHED_TOP_H
        for m, shed in enumerate(row):
            x = left + m * (width + GAP)
            sockets = [one for one in place.devices if one.standing.parent == shed.standing.id]
            caption = f"{shed.standing.name} {sockets_text(language, sockets)}"
            if shed.is_trouble:
                caption = f"{shed.standing.name} {trouble_name(language, shed)}"
            elif shed.look in ("offline", "unknown"):
                caption = f"{shed.standing.name} {say(language, f'd_{shed.look}')}"
            line = wrapped(caption, width)
            plan.captions.append(
                Caption(
                    f"{x:.1f}",
                    f"{y + 12:.1f}",
                    line[0] + ("…" if len(line) > 1 else ""),
                    shed.standing.id,
                    shed.look,
                )
            )
            for k, one in enumerate(sockets):
                line_no, place_no = divmod(k, per_line)
                at_y = y + SHED_TOP_H + SOCKET / 2 + line_no * SOCKET
                at_x = x + SOCKET / 2 + place_no * SOCKET
                plan.marks.append(_mark(language, one, at_x, at_y))
            lines = -(-len(sockets) // per_line)
            height = max(height, SHED_TOP_H + lines * SOCKET)
        y += height + GAP
    return y


def _along(
    plan: Plan,
    language: Language,
    devices: Sequence[Seen],
    left: float,
    right: float,
    y: float,
) -> float:
    """A line of points along the fence, from end to end; where the next thing begins."""
    if not devices:
        return y
    per_line = int((right - left) // POINT)
    for n in range(0, len(devices), per_line):
        some = devices[n : n + per_line]
        step = (right - left - POINT) / max(1, len(some) - 1)
        for m, one in enumerate(some):
            plan.marks.append(_mark(language, one, left + POINT / 2 + m * step, y + POINT / 2))
        y += POINT + 4
    return y + 2


def _gates(
    plan: Plan,
    language: Language,
    at_side: dict[str, list[Seen]],
    width: float,
    base: float,
    roads: Sequence[float],
) -> None:
    for side in ("top", "bottom"):
        gates = at_side[side]
        y = EDGE if side == "top" else base
        for n, gate in enumerate(gates):
            x = EDGE + (width - 2 * EDGE) * (n + 1) / (len(gates) + 1)
            plan.marks.append(_mark(language, gate, x, y, _short(gate), side))
    for side in ("left", "right"):
        gates = at_side[side]
        x = EDGE if side == "left" else width - EDGE
        for n, gate, y in _spread(gates, roads):
            at_y = y + (n // max(1, len(roads))) * POINT
            beside = "right" if side == "left" else "left"
            plan.marks.append(_mark(language, gate, x, at_y, _short(gate), beside))


def _spread(gates: Sequence[Seen], roads: Sequence[float]) -> Iterator[tuple[int, Seen, float]]:
    for n, gate in enumerate(gates):
        yield n, gate, roads[n % len(roads)]


def _short(gate: Seen) -> str:
    """Its name without what it is: the shape says that."""
    return gate.standing.name.split(" ")[-1]


def _mark(
    language: Language, one: Seen, x: float, y: float, label: str = "", side: str = "right"
) -> Mark:
    is_stop = one.kind not in ("lamp", "port") or one.look not in ("on", "off", "asleep")
    return Mark(
        f"{x:.1f}",
        f"{y:.1f}",
        one.kind,
        one.look,
        one.standing.id,
        told(language, one),
        label,
        side,
        is_stop,
    )
