"""What people changed, for operators: as JSON and as a page."""

from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from api import shapes
from api.console.pages import PageOf
from api.errors import BadParameter
from api.identity import Reader, operators_only
from api.instants import DISTRICT_ZONE, parse_range, print_instant, when
from api.paging import Page as Rows
from api.paging import PageOf as RowsOf
from api.parts import PartsOf
from devices.audit import Row
from devices.store.audit_log import Filter, list_rows
from devices.store.database import reading

ONLY = "see who changed what"

router = APIRouter(responses=shapes.refusals.PROBLEMS)

TextOf = Annotated[str | None, Query(max_length=200)]


@router.get("/v1/audit", tags=["administration"], responses=shapes.refusals.OPERATORS_SEE)
def audit_log(
    parts: PartsOf,
    who: Reader,
    page: RowsOf,
    actor: Annotated[str | None, Query(max_length=200, description="Who did it.")] = None,
    subject: Annotated[
        str | None, Query(max_length=200, description="What it was about: the id, exactly.")
    ] = None,
    resource: Annotated[
        str | None, Query(max_length=200, description="What the address begins with.")
    ] = None,
    start: Annotated[str | None, Query(alias="from")] = None,
    end: Annotated[str | None, Query(alias="to")] = None,
) -> shapes.access.AuditLog:
    """What people changed, the newest first. Each row's hash covers it and the row before.

    `courtyard audit verify` holds all of them against their hashes.
    """
    operators_only(who, ONLY)
    within = parse_range(start, end, DISTRICT_ZONE, parts.now_ms())
    wanted = Filter(actor, subject, resource, within.from_ms, within.to_ms)
    with reading(parts.deps.engine) as connection:
        shown, cursor = _rows(connection, wanted, page)
    return shapes.access.AuditLog(items=[shape(row) for row in shown], next_cursor=cursor)


@router.get("/audit", include_in_schema=False)
def audit_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: RowsOf,
    actor: TextOf = None,
    subject: TextOf = None,
    start: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    end: Annotated[str | None, Query(alias="to", max_length=40)] = None,
) -> Response:
    """The same for people."""
    operators_only(who, ONLY)
    now_ms = parts.now_ms()
    through = _through(end)
    written = {"actor": actor or "", "subject": subject or "", "from": start or "", "to": end or ""}
    notice, status = "", 200
    try:
        within = parse_range(start or None, through, DISTRICT_ZONE, now_ms)
        wanted = Filter(actor or None, subject or None, None, within.from_ms, within.to_ms)
    except BadParameter as error:
        notice, status, wanted = error.detail, error.status, Filter()
    with reading(parts.deps.engine) as connection:
        shown, cursor = _rows(connection, wanted, rows)
    return page.render(
        "audit.html",
        status,
        who=who,
        rows=[
            (row, when(row.at_ms, now_ms), page.say(f"au_{row.origin}"), _told(row))
            for row in shown
        ],
        older="" if cursor is None else page.address(cursor=cursor),
        written=written,
        notice=notice,
    )


def shape(row: Row) -> shapes.access.AuditRow:
    return shapes.access.AuditRow(
        number=row.number,
        at=print_instant(row.at_ms),
        actor=row.actor,
        role=row.role,
        token=row.token,
        origin=row.origin,
        address=row.address,
        method=row.method,
        resource=row.resource,
        subject=row.subject,
        outcome=row.outcome,
        detail=_detail(row),
        before=row.before,
        sha256=row.sha256,
    )


def _rows(connection: Connection, wanted: Filter, page: Rows) -> tuple[list[Row], str | None]:
    below = page.position[0] if page.position else None
    found = list_rows(connection, wanted, below=below, limit=page.limit + 1)
    shown, cursor = page.split(found, lambda row: [row.number])
    return list(shown), cursor


def _through(end: str | None) -> str | None:
    """A range in a form ends with its last day; the API's ends where the next one begins."""
    if not end:
        return None
    try:
        return str(date.fromordinal(date.fromisoformat(end).toordinal() + 1))
    except (ValueError, OverflowError):
        return end


def _detail(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(row.detail)
    return found


def _told(row: Row) -> str:
    return ", ".join(
        f"{name}={value}" for name, value in _detail(row).items() if value not in (None, "")
    )
