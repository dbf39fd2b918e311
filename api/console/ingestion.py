"""What became of the messages: one equation, its balance, the pace, and what was refused.

Whoever sees the whole district sees our own alarms, the pace and the telemetry store too; a firm
sees the accounts of its own compounds.
"""

import threading
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api import compounds, shapes
from api.accounting import FOREVER_MS, DayAccount, account_days, account_for
from api.console.ourselves import OurCopy
from api.console.overview_pages import Line, evidence_lines, fault_lines
from api.console.paces import pace_views, waits_ms
from api.console.pages import Page, PageOf
from api.console.quarantine_pages import RefusedLine, advice, reason_name, refused_line
from api.identity import Identity, Reader, Role
from api.instants import DISTRICT_ZONE, when
from api.parts import Known, Parts, PartsOf
from api.words import grouped, named
from devices.days import DAY_MS, local_date
from devices.journal import UNASSIGNED
from devices.store.accounts import FORWARD, JUDGE, Forwarded, follower, forwarded
from devices.store.compounds import Entry
from devices.store.database import reading
from devices.store.faults import Filter, list_faults
from devices.store.pace import read_pace
from devices.store.quarantine import Refused, newest_of_reasons
from devices.store.scope import Scope

PAYLOAD_SHOWN = 160  # bytes
FAULTS_SHOWN = 20
DAYS_SHOWN = 7
FINAL_AFTER_MS = 2 * DAY_MS  # the end of a day: then its accounts do not change any more
DAYS_KEPT_S = 60.0  # earlier days change only when somebody has messages judged again
DAYS_KEPT = 64  # of as many places
# What may be taken once somebody has mended something: the others a device would send again wrong.
MENDED = frozenset(
    {
        *("unknown_device", "wrong_place", "bad_type", "bad_topic", "bad_frame", "unsupported"),
        *("out_of_range", "crashed_decoder", "refused_by_database"),
    }
)

router = APIRouter(include_in_schema=False)


class DaysCopy:
    """The accounts of the days before today, at most DAYS_KEPT_S old."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[Scope, str | None, date], tuple[float, list[DayAccount]]] = {}

    def get(
        self, parts: Parts, who: Identity, compound: str | None, today: date
    ) -> list[DayAccount]:
        """The newest first."""
        key = (who.scope, compound, today)
        with self._lock:
            kept = self._known.get(key)
            if kept is not None and clock.monotonic() - kept[0] < DAYS_KEPT_S:
                return kept[1]
        midnights = [_midnight_ms(today - timedelta(days=n)) for n in range(DAYS_SHOWN - 1, -1, -1)]
        days = account_days(parts, who, compound, midnights)[::-1]
        with self._lock:
            if len(self._known) >= DAYS_KEPT:
                self._known.clear()
            self._known[key] = (clock.monotonic(), days)
        return days


@router.get("/ingestion")
def ingestion_page(
    request: Request,
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    show: Annotated[str, Query(pattern="^(today|yesterday|week|all)$")] = "today",
    compound: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """Did we lose anything?"""
    now_ms = parts.now_ms()
    is_district = who.scope.is_district
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        if compound and not (compound == UNASSIGNED and is_district):
            compounds.find(known, who, compound)
        judge, forward = follower(connection, JUDGE), follower(connection, FORWARD)
        answered = forwarded(connection)
        paces = read_pace(connection) if is_district else []
        alarms = _alarms(connection, who, known, page, now_ms) if is_district else []
    today = local_date(now_ms, DISTRICT_ZONE)
    hours = _hours(show, today)
    account = account_for(parts, who, compound or None, hours)
    with reading(parts.deps.engine) as connection:
        reasons = list(account.quarantined)
        refused = newest_of_reasons(connection, who.scope, reasons, compound or None)
    places = known.directory.compounds
    behind = None
    if judge is not None:
        behind = max(0, judge.jseq - (forward.jseq if forward is not None else 0))
    curves = []
    if is_district:
        ours: OurCopy = request.app.state.ours
        state = ours.get(who.scope)
        journal = parts.deps.journal
        curves = pace_views(
            page,
            paces,
            None if state is None else state.rate,
            waits_ms(journal, judge, now_ms),
            waits_ms(journal, forward, now_ms),
            now_ms,
        )
    days: DaysCopy = request.app.state.account_days
    visible = list(known.directory.visible(who.scope))
    where = page.say("i_n_places", n=grouped(len(visible)))
    if compound:
        where = _place(page, places, compound)
    return page.render(
        "ingestion.html",
        who=who,
        is_district=is_district,
        show=show,
        shows=[
            (page.say(f"i_{one}"), page.address(show=one), one == show)
            for one in ("today", "yesterday", "week", "all")
        ],
        compound=compound,
        compounds=[(entry.id, named(page.language, entry.name)) for entry in visible],
        where=page.say("i_scope", range=_range(page, show, today, now_ms), where=where),
        unassigned=UNASSIGNED,
        equation=equation(page, account),
        pictures=[
            (look, drawn)
            for look, width, height in SIZES
            if (drawn := picture(account, width, height)) is not None
        ],
        account=account,
        reasons=[
            _reason_line(page, reason, count, refused.get(reason), places, who, compound, now_ms)
            for reason, count in sorted(account.quarantined.items(), key=lambda item: -item[1])
        ],
        telemetry=_telemetry(page, answered, behind),
        alarms=alarms,
        curves=curves,
        has_pace=bool(paces),
        days=[
            _today_line(
                page,
                today,
                account_for(parts, who, compound or None, _hours("today", today))
                if show != "today"
                else account,
            ),
            *(_day_line(day, now_ms) for day in days.get(parts, who, compound or None, today)),
        ],
        all_refused="/quarantine" + (f"?compound={compound}" if compound else ""),
        as_of=when(now_ms, now_ms),
        grouped=grouped,
    )


def _alarms(
    connection: Connection, who: Identity, known: Known, page: Page, now_ms: int
) -> list[tuple[Line, list[tuple[str, str]]]]:
    """What is wrong with our own parts, the worst first, each with what showed it."""
    wanted = Filter(kind="platform", is_open=True)
    ours = list_faults(connection, who.scope, wanted, limit=FAULTS_SHOWN)
    ours.sort(key=lambda fault: fault.severity)
    lines = fault_lines(connection, who, known, page.language, ours, now_ms)
    return [
        (line, evidence_lines(page.language, fault))
        for line, fault in zip(lines, ours, strict=True)
    ]


def _telemetry(page: Page, answered: Forwarded | None, behind: int | None) -> list[tuple[str, str]]:
    """What became of what was handed on to the telemetry store: (word, number)."""
    lines = []
    if answered is not None:
        lines.append((page.say("i_confirmed"), grouped(answered.confirmed)))
        lines.append((page.say("i_dead"), grouped(answered.dead)))
    if behind is not None:
        lines.append((page.say("i_behind"), grouped(behind)))
    return lines


@dataclass(frozen=True, slots=True)
class Term:
    """One figure of the equation. sign: what stands before it."""

    label: str
    value: str
    sign: str = ""


def equation(page: Page, account: shapes.accounting.Accounting) -> list[Term]:
    """received = stored + duplicate + quarantined + pending; what is not known is a dash."""
    return [
        Term(page.say("i_received"), _shown(account.received)),
        Term(page.say("i_stored"), _shown(account.stored), "="),
        Term(page.say("i_duplicate"), _shown(account.duplicate), "+"),
        Term(page.say("i_quarantined"), _shown(sum(account.quarantined.values())), "+"),
        Term(page.say("i_pending"), _shown(account.pending), "+"),
    ]


SIZES = (("wide", 1340.0, 52.0), ("narrow", 340.0, 60.0))  # class, width, height of the wedge


@dataclass(frozen=True, slots=True)
class Picture:
    """The four destinations, drawn to scale, and the small ones once more, magnified.

    stored, rest: widths of the upper bar. parts: (class, x, width) of the lower one, if there is
    anything in it. stored_pct is never rounded up to 100.
    """

    width: float
    wedge: float
    stored: float
    rest: float
    stored_pct: str
    rest_pct: str
    rest_count: int
    parts: tuple[tuple[str, float, float], ...]


def picture(
    account: shapes.accounting.Accounting, width: float = 1340.0, wedge: float = 52.0
) -> Picture | None:
    """None while there is nothing to draw, or it is not known."""
    pending = account.pending
    if not account.received or pending is None:
        return None
    small = (
        ("duplicate", account.duplicate),
        ("quarantine", sum(account.quarantined.values())),
        ("pending", pending),
    )
    rest = sum(count for _, count in small)
    whole = account.stored + rest
    if not whole:
        return None
    of_rest = max(rest / whole * width, 3.0) if rest else 0.0
    parts = []
    x = 0.0
    for name, count in small:
        if count:
            share = count / rest * width
            parts.append((name, round(x, 1), round(max(share - 1, 2.0), 1)))
            x += share
    hundredths = int(account.stored / whole * 10_000)
    return Picture(
        width=width,
        wedge=wedge,
        stored=round(width - of_rest, 1),
        rest=round(of_rest, 1),
        stored_pct=f"{hundredths / 100:.2f}",
        rest_pct=f"{(10_000 - hundredths) / 100:.2f}",
        rest_count=rest,
        parts=tuple(parts),
    )


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """A reason for which messages were refused, with the newest of them."""

    name: str
    code: str
    count: str
    advice: str
    newest: RefusedLine | None
    all: str
    again: str


def _reason_line(
    page: Page,
    reason: str,
    count: int,
    newest: Refused | None,
    places: Mapping[str, Entry],
    who: Identity,
    compound: str,
    now_ms: int,
) -> ReasonLine:
    at = f"&compound={compound}" if compound else ""
    may = who.role is Role.OPERATOR and reason in MENDED
    return ReasonLine(
        name=reason_name(page, reason),
        code=reason,
        count=grouped(count),
        advice=advice(page, reason),
        newest=None
        if newest is None
        else refused_line(page, newest, places, now_ms, PAYLOAD_SHOWN),
        all=f"/quarantine?reason={reason}{at}",
        again=f"/quarantine/replay?reason={reason}{at}" if may else "",
    )


@dataclass(frozen=True, slots=True)
class DayLine:
    """A day's account, in words."""

    day: str
    received: str
    stored: str
    duplicate: str
    quarantined: str
    pending: str
    balance: str
    is_balanced: bool
    is_final: bool


def _today_line(page: Page, today: date, account: shapes.accounting.Accounting) -> DayLine:
    return DayLine(
        day=f"{today:%m-%d} {page.say('i_of_today')}",
        received=_shown(account.received),
        stored=grouped(account.stored),
        duplicate=grouped(account.duplicate),
        quarantined=grouped(sum(account.quarantined.values())),
        pending=_shown(account.pending),
        balance=_shown(account.balance),
        is_balanced=not account.balance,
        is_final=False,
    )


def _day_line(day: DayAccount, now_ms: int) -> DayLine:
    of = day.account
    return DayLine(
        day=f"{local_date(day.begins_ms, DISTRICT_ZONE):%m-%d}",
        received=_shown(day.received),
        stored=grouped(of.stored),
        duplicate=grouped(of.duplicate),
        quarantined=grouped(sum(of.quarantined.values())),
        pending=_shown(day.pending),
        balance=_shown(day.balance),
        is_balanced=not day.balance,
        is_final=now_ms >= day.ends_ms + FINAL_AFTER_MS,
    )


def _shown(count: int | None) -> str:
    return "—" if count is None else grouped(count)


def _place(page: Page, places: Mapping[str, Entry], compound: str) -> str:
    entry = places.get(compound)
    return page.say("i_unassigned") if entry is None else named(page.language, entry.name)


def _hours(show: str, today: date) -> tuple[int, int] | None:
    midnight_ms = _midnight_ms(today)
    match show:
        case "today":
            return midnight_ms, FOREVER_MS
        case "yesterday":
            return _midnight_ms(today - timedelta(days=1)), midnight_ms
        case "week":
            return _midnight_ms(today - timedelta(days=DAYS_SHOWN - 1)), FOREVER_MS
        case _:
            return None


def _range(page: Page, show: str, today: date, now_ms: int) -> str:
    word = page.say(f"i_{show}")
    days: Sequence[date] = ()
    if show == "today":
        return f"{word} 0:00–{when(now_ms, now_ms)[:-3]}"
    if show == "yesterday":
        days = (today - timedelta(days=1),)
    elif show == "week":
        days = (today - timedelta(days=DAYS_SHOWN - 1), today)
    return " ".join(filter(None, (word, "–".join(f"{day:%m-%d}" for day in days))))


def _midnight_ms(day: date) -> int:
    return int(datetime.combine(day, time(), DISTRICT_ZONE).timestamp() * 1000)
