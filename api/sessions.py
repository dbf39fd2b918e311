"""Charging sessions of a compound."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import compounds, shapes, tables
from api.identity import Reader
from api.instants import print_known, zone_of
from api.paging import PageOf
from api.parts import PartsOf
from api.periods import parse_period
from devices.reconciliation import APART_PCT, STATUS_WORDS, WORDS
from devices.sessions import EndedBy, Session, SessionState, reconciled
from devices.store.database import reading
from devices.store.sessions import Filter, list_sessions, silent_ports

router = APIRouter(prefix="/v1", tags=["sessions"], responses=shapes.refusals.PROBLEMS)


CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "content": tables.CONTENT,
        "description": "JSON, or the same page as CSV for `Accept: text/csv`, with the next one in"
        ' `Link: <…>; rel="next"`',
    }
}
COLUMNS = (
    *("id", "compound", "shed", "port", "order", "state", "started_at", "ended_at", "duration_s"),
    *("energy_kwh", "fee_fen", "stop_reason", "native_reason", "ended_by", "provisional"),
    *("reported_kwh", "register_kwh", "register_known", "power_kwh", "power_known"),
    *("reconciliation", "reconciliation_why"),
)


@router.get("/compounds/{compound}/sessions", response_model=shapes.usage.Sessions, responses=CSV)
def list_of_compound(
    request: Request,
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    port: str | None = None,
    shed: str | None = None,
    state: Literal["open", "closed"] | None = None,
    start: Annotated[
        str | None,
        Query(
            alias="from",
            description="Started at or after: as for the usage, also a duration (P7D) or an"
            " interval; without zone the compound's time.",
        ),
    ] = None,
    end: Annotated[str | None, Query(alias="to", description="Started before this time.")] = None,
) -> shapes.usage.Sessions | Response:
    """Charging sessions, the newest start first; those whose start is unknown come last."""
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        zone = zone_of(entry.timezone)
        asked = parse_period(start, end, zone, parts.now_ms())
        rows = list_sessions(
            connection,
            who.scope,
            Filter(compound, port, shed, state, asked.from_ms, asked.to_ms),
            before=page.behind,
            limit=page.limit + 1,
        )
        running = (row.port for row in rows if row.state is SessionState.OPEN)
        silent = silent_ports(connection, running, parts.now_ms())
    shown, cursor = page.split(rows, lambda session: [session.started_at_ms, session.id])
    items = [shape(session, is_silent=session.port in silent) for session in shown]
    if tables.wants_csv(request):
        answer = tables.answer(
            f"sessions-{entry.id}", COLUMNS, [_cells(one, zone) for one in items]
        )
        if cursor is not None:
            later = request.url.include_query_params(cursor=cursor)
            answer.headers["Link"] = f'<{later.path}?{later.query}>; rel="next"'
        return answer
    return shapes.usage.Sessions(items=items, next_cursor=cursor)


def _cells(one: shapes.usage.Session, zone: tzinfo) -> Sequence[tables.Cell]:
    """The session as a line of a table, times local with their distance to UTC."""
    held = one.reconciliation
    return [
        *(one.id, one.compound, one.shed, one.port, one.order, one.state),
        *(_local(one.started_at, zone), _local(one.ended_at, zone), one.duration_s),
        *(one.energy_kwh, one.fee_fen, one.stop_reason, one.native_reason, one.ended_by),
        *("true" if one.provisional else "false", held.reported_kwh, held.register_kwh),
        *(held.register_known, held.power_kwh, held.power_known, held.status, held.why),
    ]


def _local(instant: str | None, zone: tzinfo) -> str | None:
    if instant is None:
        return None
    return datetime.fromisoformat(instant).astimezone(zone).isoformat(timespec="seconds")


def shape(session: Session, *, is_silent: bool) -> shapes.usage.Session:
    """is_silent: nothing was heard of its port for three intervals, so nobody knows."""
    is_open = session.state is SessionState.OPEN
    return shapes.usage.Session(
        id=session.id,
        compound=session.compound,
        shed=session.shed,
        port=session.port,
        order=session.order,
        state="unknown" if is_open and is_silent else session.state.value,
        started_at=print_known(session.started_at_ms),
        ended_at=print_known(session.ended_at_ms),
        duration_s=session.duration_s,
        energy_kwh=session.energy_kwh,
        fee_fen=session.fee_fen,
        stop_reason=session.stop_reason,
        native_reason=session.native_reason,
        ended_by=None if session.ended_by is None else session.ended_by.value,
        provisional=session.provisional,
        reconciliation=_reconciliation(session),
    )


def _reconciliation(session: Session) -> shapes.usage.Reconciliation:
    found, measured = reconciled(session), session.measured
    is_reported = session.ended_by is EndedBy.DEVICE
    status, why = STATUS_WORDS[found.status], WORDS[found.why]
    return shapes.usage.Reconciliation(
        status=found.status.value,
        why=found.why.value,
        status_text=shapes.basics.Words(zh=status.zh, en=status.en),
        why_text=shapes.basics.Words(zh=why.zh, en=why.en),
        reported_kwh=session.energy_kwh if is_reported else None,
        register_kwh=None if measured is None else measured.register_kwh,
        register_known=None if measured is None else measured.register_known,
        power_kwh=None if measured is None else measured.power_kwh,
        power_known=None if measured is None else measured.power_known,
        compared=[
            shapes.usage.Compared.model_validate(
                {"one": one, "other": other, "apart_pct": apart, "agree": apart <= APART_PCT}
            )
            for one, other, apart in found.apart_pct
        ],
    )
