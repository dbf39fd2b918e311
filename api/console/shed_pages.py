"""The live board of charging: every shed and socket as it is now, trouble first, then the fullest.

It works without scripts. What changes of it is sent to all who look at the same (`ShedParts`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api import paging
from api.compounds import check_firm, judge_is_blind
from api.console.device_readings import is_stale, word_of
from api.console.live import Live, Rendered, Shown, frame, slot
from api.console.looks import Looks
from api.console.naming import compound_name, fault_name
from api.console.ourselves import OurCopy, Ourselves
from api.console.pages import PageOf, our_parts, rendered
from api.identity import Reader
from api.instants import when
from api.parts import Known, Parts, PartsOf
from api.words import Language, duration, grouped, knows, named, say
from devices.stop_reasons import PortStatus
from devices.store.database import reading
from devices.store.scope import Scope
from devices.store.sheds import Latest, Shed, Socket, read_sheds
from devices.telling import unit_of, value_text

SHOWN = 30  # sheds on a page
KEPT_SHEDS = 2_000  # of 134: what they were a moment ago, in both languages
FULL_LOAD_W = 250.0  # the highest tier of the usual boards: such a socket is drawn full
SAFETY = ("voltage_v", "board_temp_c", "csq")  # on the line of a shed, besides smoke
MARKED = ("P1", "P2", "P3")  # a notice is no trouble

_LOOKS = {
    PortStatus.IN_USE: "in_use",
    PortStatus.FULL: "full",
    PortStatus.IDLE: "idle",
    PortStatus.CONNECTED: "idle",
    PortStatus.RESERVED: "idle",
    PortStatus.DISABLED: "disabled",
    PortStatus.OFFLINE: "unknown",
    PortStatus.UNKNOWN: "unknown",
}  # all others are faults that the socket tells of itself

router = APIRouter(include_in_schema=False)

Wanted = Literal["all", "trouble", "full", "free"]


@dataclass(frozen=True, slots=True)
class SocketView:
    """look: in_use, full, idle, fault, p1, disabled, unknown. load: tenths. told: in words."""

    id: str
    number: str
    look: str
    load: int
    told: str


@dataclass(frozen=True, slots=True)
class ShedView:
    """A shed on the board. severity: of its worst trouble, p1 to p3, or "". line: (text, loud)."""

    id: str
    name: str
    compound: str
    compound_name: str
    severity: str
    in_use: str
    total: int
    power: str
    sockets: tuple[SocketView, ...]
    line: tuple[tuple[str, bool], ...]
    fault: str


@dataclass(frozen=True, slots=True)
class _Counted:
    """A shed as it is sorted and counted. looks: of its sockets; power_w: None where unknown."""

    shed: Shed
    looks: Sequence[str]
    power_w: float | None
    severity: str

    @property
    def in_use(self) -> int:
        return self.looks.count("in_use")

    @property
    def is_full(self) -> bool:
        return bool(self.looks) and not {"idle", "unknown"} & set(self.looks)

    @property
    def is_free(self) -> bool:
        return "idle" in self.looks


@dataclass(frozen=True, slots=True)
class Board:
    """All sheds of a scope at one moment. is_blind: our own side stands still."""

    known: Known
    counted: Sequence[_Counted]
    is_blind: bool
    now_ms: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a board is asked for, beside the firm."""

    show: Wanted
    find: str
    rows: paging.Page
    filters: paging.Filters

    def address(self, show: str) -> str:
        """This board with other sheds, from the first one on."""
        given = {**dict(self.filters), "show": "" if show == "all" else show}
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/sheds?{query}" if query else "/sheds"

    def page(self, first: int) -> str:
        """This board from its shed number `first` on."""
        return f"/sheds?{urlencode([*self.filters, ('cursor', self.rows.cursor([first]))])}"


class ShedParts:
    """The parts of each view of the board; a shed is rendered anew when it has changed."""

    def __init__(self, parts: Parts, ours: OurCopy) -> None:
        self._parts = parts
        self._ours = ours
        self._boards: Looks[Board] = Looks()
        self._made: Looks[Rendered] = Looks()
        self._turn: int | None = None

    def render(self, shown: Shown, turn: int | None = None) -> Rendered:
        """In a turn, or for who asks alone."""
        if turn is not None:
            self._turn = turn
            return self._render(shown, turn)
        # never from before what was sent last
        return self._made.get((shown, self._turn), lambda: self._render(shown, None))

    def _render(self, shown: Shown, turn: int | None) -> Rendered:
        board = self._boards.get(shown.scope, lambda: self._read(shown.scope), turn)
        ours = Ourselves(self._ours.get(shown.scope), shown.language)
        return _rendered(shown, board, ours)

    def _read(self, scope: Scope) -> Board:
        now_ms = self._parts.now_ms()
        with reading(self._parts.deps.engine) as connection:
            known = self._parts.registry.get(connection)
            blind = judge_is_blind(connection, now_ms)
            sheds = read_sheds(connection, scope, blind=blind, now_ms=now_ms)
        return Board(known, [_counted(shed, now_ms) for shed in sheds], blind, now_ms)


def _shown(
    request: Request,
    who: Reader,
    page: PageOf,
    parts: PartsOf,
    rows: paging.PageOf,
    show: Annotated[Wanted, Query(description="Which of them.")] = "all",
    firm: str = "",
    find: Annotated[str, Query(max_length=60, description="Part of a name.")] = "",
) -> Shown:
    """Raises NotFound for a firm that is not theirs."""
    with reading(parts.deps.engine) as connection:
        check_firm(parts.registry.get(connection).directory, who, firm or None)
    asked = Asked(show, find.strip(), rows, paging.filters_of(request))
    return Shown("sheds", who.scope, page.language, firm or None, show, asked)


ShownOf = Annotated[Shown, Depends(_shown)]


@router.get("/sheds")
def sheds_page(
    request: Request, parts: PartsOf, who: Reader, page: PageOf, shown: ShownOf
) -> Response:
    """All sheds with their sockets, those with trouble first, then the fullest."""
    view: ShedParts = request.app.state.shed_parts
    with reading(parts.deps.engine) as connection:
        firms = parts.registry.get(connection).directory.firms
    return page.render(
        "sheds.html",
        who=who,
        asked=shown.asked,
        firm=shown.firm,
        firms=[
            (id_, named(page.language, name))
            for id_, name in firms.items()
            if who.scope.firm in (None, id_)
        ],
        live=view.render(shown),
    )


@router.get("/parts/sheds")
def sheds_parts(request: Request, shown: ShownOf) -> Response:
    """What of the board changes, for the script that keeps it up to date."""
    view: ShedParts = request.app.state.shed_parts
    return HTMLResponse(view.render(shown).whole(), headers={"Vary": "Accept-Language, Cookie"})


@router.get("/parts/sheds/live")
def sheds_live(request: Request, parts: PartsOf, who: Reader, shown: ShownOf) -> Response:
    """The same, as it changes: server-sent events as `api.console.live` has them."""
    live: Live = request.app.state.live
    render = partial(request.app.state.shed_parts.render, shown)
    return live.answer(request, parts, who, shown, render)


def _rendered(shown: Shown, board: Board, ours: Ourselves) -> Rendered:
    asked = shown.asked
    assert isinstance(asked, Asked)
    language, known, now_ms = shown.language, board.known, board.now_ms
    find = asked.find.lower()
    counted = [one for one in board.counted if _is_asked_for(known, one.shed, shown.firm, find)]
    every = {
        "all": counted,
        "trouble": [one for one in counted if one.severity],
        "full": [one for one in counted if one.is_full],
        "free": [one for one in counted if one.is_free],
    }
    wanted = sorted(every[asked.show], key=_rank)
    rows = asked.rows
    first = min(int(rows.position[0]), len(wanted)) if rows.position else 0
    most = min(rows.limit, SHOWN)
    on_page = wanted[first : first + most]
    parts = {f"shed-{one.shed.id}": _shed(language, _view(language, known, one, now_ms))
             for one in on_page}  # fmt: skip

    values = {
        "figures": _figures(language, counted),
        "count": len(counted),
        "choices": [
            (
                say(language, f"bd_{name}", n=len(found)),
                asked.address(name),
                name == asked.show,
            )
            for name, found in every.items()
        ],
        "has_any": bool(board.counted),
        "sheds": list(parts),
        "told": say(language, "bd_page", first=first + 1, last=first + len(on_page), n=len(wanted))
        if on_page
        else "",
        "before": asked.page(max(0, first - most)) if first else "",
        "older": asked.page(first + most) if first + most < len(wanted) else "",
        "is_blind": board.is_blind,
        "as_of": when(now_ms, now_ms),
    }
    for name in ("clock", "head", "blind", "count", "choices", "as-of"):
        parts[name] = rendered(language, "sheds_parts.html", name=name, **values)
    html = rendered(language, "sheds_frame.html", slot=slot, **values)
    return Rendered(parts | our_parts(language, ours), {"sheds": frame(html)})


def _figures(language: Language, counted: Sequence[_Counted]) -> list[tuple[str, str, str]]:
    """(name, value, what it is of) of what is shown."""
    looks = [look for one in counted for look in one.looks]
    powers = [one.power_w for one in counted if one.power_w is not None]
    return [
        (say(language, "bd_charging"), grouped(looks.count("in_use")), f"/{grouped(len(looks))}"),
        (say(language, "bd_idle"), grouped(looks.count("idle")), ""),
        (say(language, "bd_full_n"), grouped(looks.count("full")), ""),
        (say(language, "bd_fault"), grouped(looks.count("fault") + looks.count("p1")), ""),
        (say(language, "bd_disabled"), grouped(looks.count("disabled")), ""),
        (say(language, "bd_unknown"), grouped(looks.count("unknown")), ""),
        (
            say(language, "bd_power"),
            f"{sum(powers) / 1000:.1f}" if powers else "—",
            " kW" if powers else "",
        ),
    ]


@lru_cache(maxsize=KEPT_SHEDS)
def _shed(language: Language, view: ShedView) -> str:
    return rendered(language, "shed.html", shed=view)


def look_of(socket: Socket) -> str:
    """What a socket looks like on the board. What is not known is never drawn as free."""
    worst = socket.worst.severity if socket.worst is not None else ""
    if worst == "P1":
        return "p1"
    if socket.state != "online":
        return "unknown"
    if worst in MARKED:
        return "fault"
    status = socket.latest.get("port_status")
    if status is None:
        return "unknown"
    try:
        return _LOOKS.get(PortStatus(str(status[0])), "fault")
    except ValueError:
        return "unknown"


def _is_asked_for(known: Known, shed: Shed, firm: str | None, find: str) -> bool:
    entry = known.directory.compounds.get(shed.compound)
    if entry is None or firm not in (None, entry.firm):
        return False
    names = (entry.name.zh, entry.name.en, shed.name, shed.id)
    return not find or any(find in name.lower() for name in names)


def _counted(shed: Shed, now_ms: int) -> _Counted:
    looks = [look_of(socket) for socket in shed.sockets]
    drawn_w = [_power_w(socket, now_ms) for socket in shed.sockets if _is_charging(socket)]
    is_dark = bool(looks) and set(looks) == {"unknown"}
    known_w = [one_w for one_w in drawn_w if one_w is not None]
    # A sum that leaves out what nobody knows would be too small.
    power_w = None if is_dark or len(known_w) < len(drawn_w) else sum(known_w)
    severities = [
        one.severity
        for one in (shed.worst, *(socket.worst for socket in shed.sockets))
        if one is not None and one.severity in MARKED
    ]
    return _Counted(shed, looks, power_w, min(severities, default="").lower())


def _rank(one: _Counted) -> tuple[str, float, str]:
    """Trouble first, the worst of it; then by how full it is; then in a fixed order."""
    share = one.in_use / len(one.looks) if one.looks else 0.0
    return one.severity or "p9", -share, one.shed.id


def _is_charging(socket: Socket) -> bool:
    """Also of a socket with a fault: it may draw power all the same."""
    status = socket.latest.get("port_status")
    return socket.state == "online" and status is not None and status[0] == PortStatus.IN_USE


def _power_w(socket: Socket, now_ms: int) -> float | None:
    power = socket.latest.get("power_w")
    if power is None or is_stale("port", socket.interval_s, "power_w", power[1], now_ms):
        return None
    return float(power[0])


def _view(language: Language, known: Known, one: _Counted, now_ms: int) -> ShedView:
    shed = one.shed
    line, fault = _line(language, one, now_ms)
    is_known = any(look != "unknown" for look in one.looks)
    return ShedView(
        id=shed.id,
        name=shed.name,
        compound=shed.compound,
        compound_name=compound_name(language, known.directory.compounds, shed.compound),
        severity=one.severity,
        in_use=str(one.in_use) if is_known else "—",
        total=len(one.looks),
        power="" if one.power_w is None else f"{one.power_w / 1000:.2f} kW",
        sockets=tuple(
            _socket(language, socket, look, now_ms)
            for socket, look in zip(shed.sockets, one.looks, strict=True)
        ),
        line=tuple(line),
        fault=fault,
    )


def _socket(language: Language, socket: Socket, look: str, now_ms: int) -> SocketView:
    told = [_state_text(language, socket, look)]
    load = 0
    if look == "in_use":
        power_w = _power_w(socket, now_ms)
        if power_w is not None:
            told.append(value_text(language, round(power_w), "W"))
            load = min(10, max(1, round(10 * power_w / FULL_LOAD_W)))
        lasted = socket.latest.get("session_s")
        if lasted is not None and not is_stale(
            "port", socket.interval_s, "session_s", lasted[1], now_ms
        ):
            told.append(say(language, "bd_for", lasted=duration(language, float(lasted[0]))))
    return SocketView(
        id=socket.id,
        number=str(socket.port_no or "·"),
        look=look,
        load=load,
        told=_numbered(language, socket, say(language, "comma").join(told)),
    )


def _numbered(language: Language, socket: Socket, what: str) -> str:
    return say(language, "bd_socket", n=f"{socket.port_no:02d}", what=what)


def _state_text(language: Language, socket: Socket, look: str) -> str:
    if look in ("fault", "p1") and socket.worst is not None:
        return fault_name(language, socket.worst.code)
    if look == "unknown":
        return say(language, "bd_unknown")
    return word_of(language, "port_status", socket.latest["port_status"][0])


def _line(language: Language, one: _Counted, now_ms: int) -> tuple[list[tuple[str, bool]], str]:
    """What stands under the sockets of a shed, and the fault that is told there, if any."""
    shed = one.shed
    line: list[tuple[str, bool]] = []
    fault = ""
    troubles = [
        (found.severity, found.since_ms, found, socket)
        for socket in (None, *shed.sockets)
        if (found := shed.worst if socket is None else socket.worst) is not None
        and found.severity in MARKED
    ]
    if troubles:
        _, _, worst, socket = min(troubles, key=lambda trouble: trouble[:2])
        fault = worst.id
        name = fault_name(language, worst.code)
        if socket is not None:
            name = _numbered(language, socket, name)
        line.append((f"{say(language, worst.severity.lower())} {name}", True))
    if shed.state != "online":
        told = say(language, f"d_{shed.state}")
        reason = f"r_{shed.reason}"
        if shed.reason != shed.state and knows(reason):
            told += f" {say(language, reason)}"
        if shed.since_ms is not None:
            lasted = duration(language, (now_ms - shed.since_ms) / 1000)
            told += f" {say(language, 'dv_for', lasted=lasted)}"
        line.append((told, False))
        return line, fault
    for name in SAFETY:
        text = _fresh(language, shed, name, now_ms)
        if text:
            line.append((f"CSQ {text}" if name == "csq" else text, False))
    line.append((say(language, _smoke(shed.latest)), bool(_flag(shed.latest, "smoke"))))
    return line, fault


def _fresh(language: Language, shed: Shed, name: str, now_ms: int) -> str:
    found = shed.latest.get(name)
    if found is None or is_stale("shed", shed.interval_s, name, found[1], now_ms):
        return ""
    return value_text(language, found[0], unit_of("shed", name))


def _smoke(latest: Latest) -> str:
    """A sensor that is off, or of which nothing was heard, is not called normal."""
    if _flag(latest, "smoke"):
        return "bd_smoke"
    if _flag(latest, "smoke_enabled") is False:
        return "bd_smoke_off"
    return "bd_smoke_unknown" if _flag(latest, "smoke") is None else "bd_smoke_ok"


def _flag(latest: Latest, name: str) -> bool | None:
    found = latest.get(name)
    return found[0] if found is not None and isinstance(found[0], bool) else None
