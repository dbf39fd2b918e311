"""What became of the messages, for operators: one equation, its balance, and what was refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import compounds, shapes
from api.accounting import FOREVER_MS, account_for
from api.console import evidence_lines, fault_lines
from api.errors import NotFound
from api.identity import Reader
from api.instants import DISTRICT_ZONE, when
from api.overview import compound_name
from api.pages import Page, PageOf
from api.parts import PartsOf
from api.words import grouped, knows, named
from devices.journal import UNASSIGNED
from devices.store.accounts import FORWARD, JUDGE, follower, forwarded
from devices.store.compounds import Entry
from devices.store.database import reading
from devices.store.faults import Filter, list_faults
from devices.store.quarantine import Filter as RefusedFilter
from devices.store.quarantine import Refused, list_refused
from devices.usage import hour_of

REFUSED_SHOWN = 20
PAYLOAD_SHOWN = 160  # bytes
FAULTS_SHOWN = 20
WIDTH = 1340.0  # of the picture, in its own units

router = APIRouter(include_in_schema=False)


@router.get("/ingestion")
def ingestion_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    show: Annotated[str, Query(pattern="^(today|all)$")] = "today",
    compound: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """Did we lose anything? For whoever sees the whole district."""
    if not who.scope.is_district:
        raise NotFound
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        if compound not in ("", UNASSIGNED):
            compounds.find(known, who, compound)
        judge, forward = follower(connection, JUDGE), follower(connection, FORWARD)
        answered = forwarded(connection)
        ours = list_faults(
            connection, who.scope, Filter(kind="platform", is_open=True), limit=FAULTS_SHOWN
        )
        ours.sort(key=lambda fault: fault.severity)  # the worst first
        alarms = [
            (line, evidence_lines(page.language, fault))
            for line, fault in zip(
                fault_lines(connection, who, known, page.language, ours, now_ms), ours, strict=True
            )
        ]
        refused = list_refused(
            connection,
            who.scope,
            RefusedFilter(compound=compound or None),
            limit=REFUSED_SHOWN,
        )
    midnight = datetime.combine(
        datetime.fromtimestamp(now_ms / 1000, DISTRICT_ZONE).date(), time(), DISTRICT_ZONE
    )
    hours = (hour_of(int(midnight.timestamp() * 1000)), FOREVER_MS) if show == "today" else None
    account = account_for(parts, who, compound or None, hours)
    places = known.directory.compounds
    behind = None
    if judge is not None:
        behind = max(0, judge.jseq - (forward.jseq if forward is not None else 0))
    return page.render(
        "ingestion.html",
        who=who,
        show=show,
        compound=compound,
        compounds=[(entry.id, named(page.language, entry.name)) for entry in places.values()],
        unassigned=UNASSIGNED,
        equation=equation(page, account),
        picture=picture(account),
        account=account,
        reasons=[
            (_reason(page, reason), reason, grouped(count))
            for reason, count in sorted(account.quarantined.items(), key=lambda item: -item[1])
        ],
        telemetry=(
            [
                (page.say("i_confirmed"), grouped(answered.confirmed)),
                (page.say("i_dead"), grouped(answered.dead)),
            ]
            if answered is not None
            else []
        )
        + ([(page.say("i_behind"), grouped(behind))] if behind is not None else []),
        alarms=alarms,
        refused=[_line(page, row, places, now_ms) for row in refused],
        as_of=when(now_ms, now_ms),
        grouped=grouped,
    )


@dataclass(frozen=True, slots=True)
class Term:
    """One figure of the equation. sign: what stands before it."""

    label: str
    value: str
    sign: str = ""


def equation(page: Page, account: shapes.accounting.Accounting) -> list[Term]:
    """received = stored + duplicate + quarantined + pending; what is not known is a dash."""

    def shown(count: int | None) -> str:
        return "—" if count is None else grouped(count)

    return [
        Term(page.say("i_received"), shown(account.received)),
        Term(page.say("i_stored"), shown(account.stored), "="),
        Term(page.say("i_duplicate"), shown(account.duplicate), "+"),
        Term(page.say("i_quarantined"), shown(sum(account.quarantined.values())), "+"),
        Term(page.say("i_pending"), shown(account.pending), "+"),
    ]


@dataclass(frozen=True, slots=True)
class Picture:
    """The four destinations, drawn to scale, and the small ones once more, magnified.

    stored, rest: widths of the upper bar. parts: (class, x, width) of the lower one, if there is
    anything in it. stored_pct is never rounded up to 100.
    """

    stored: float
    rest: float
    stored_pct: str
    rest_count: int
    parts: tuple[tuple[str, float, float], ...]


def picture(account: shapes.accounting.Accounting) -> Picture | None:
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
    width = max(rest / whole * WIDTH, 3.0) if rest else 0.0
    parts = []
    x = 0.0
    for name, count in small:
        if count:
            share = count / rest * WIDTH
            parts.append((name, round(x, 1), round(max(share - 1, 2.0), 1)))
            x += share
    share_pct = f"{int(account.stored / whole * 10_000) / 100:.2f}"
    return Picture(round(WIDTH - width, 1), round(width, 1), share_pct, rest, tuple(parts))


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A refused message in a list, in words."""

    at: str
    reason: str
    code: str
    place: str
    compound: str | None
    device: str
    topic: str
    detail: str
    payload: str
    is_part: bool


def _line(page: Page, row: Refused, places: Mapping[str, Entry], now_ms: int) -> RefusedLine:
    is_placed = row.compound != UNASSIGNED
    return RefusedLine(
        at=when(row.received_at_ms, now_ms),
        reason=_reason(page, row.reason),
        code=row.reason,
        place=compound_name(page.language, places, row.compound)
        if is_placed
        else page.say("i_unassigned"),
        compound=row.compound if is_placed else None,
        device=row.device or "",
        topic=row.topic,
        detail=row.detail,
        payload=page.say("i_not_kept")
        if row.payload is None
        else row.payload[:PAYLOAD_SHOWN].decode("utf-8", "replace"),
        is_part=row.partial,
    )


def _reason(page: Page, reason: str) -> str:
    word = f"q_{reason}"
    return page.say(word) if knows(word) else reason
