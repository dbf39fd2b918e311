"""Exports: asked for, watched, downloaded, called off. They are made elsewhere (`work`)."""

import secrets
from datetime import tzinfo
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header
from sqlalchemy import Connection
from starlette.responses import FileResponse, Response

from api import compounds, shapes
from api.errors import Away, BadParameter, NotFound, Problem
from api.exports import model
from api.exports.files import Folder
from api.exports.model import FORMATS, MEDIA_TYPES, Export, State, Wanted, may_see, packed, read_all
from api.identity import Actor, Identity, Reader, Role
from api.instants import print_instant, print_known
from api.once import TooMany
from api.paging import PageOf
from api.parts import Exports, Known, Parts, PartsOf
from api.periods import parse_period
from api.reports.model import BadMonth, Month
from api.usage import MOST_BUCKETS, MOST_DAYS, USUAL_DAYS
from devices.days import DAY_MS, DISTRICT_ZONE, midnight_of, zone_of
from devices.store import exports
from devices.store.database import reading, writing
from devices.usage import HOUR_MS, hour_of

MOST_UNFINISHED = 10  # of one token
MOST_KEPT = 50  # of one token; the oldest that are finished give way
MOST_IN_ALL = 800
AGAIN_S = 30

router = APIRouter(prefix="/v1", tags=["exports"], responses=shapes.refusals.PROBLEMS)

_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "It is made in the background; `Location` says where it stands.",
        "headers": {"Location": {"schema": {"type": "string"}}},
    },
    429: {"description": "Too many of yours are unfinished."},
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file; 206 with `Range`, 304 with a known `If-None-Match`.",
        "content": {
            media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for media_type in MEDIA_TYPES.values()
        },
    },
    409: {"description": "There is no file: it is not done, or failed."},
}


class NoFile(Problem):
    """It is not made, or could not be."""

    status, slug, title = 409, "no-file", "There is no file"


@router.post("/exports", status_code=202, responses=_ACCEPTED)
def make_export(
    response: Response, parts: PartsOf, who: Actor, body: Annotated[shapes.usage.NewExport, Body()]
) -> shapes.usage.Export:
    """Ask for a file that takes long. It is kept for seven days after it was finished.

    Whatever ends our processes meanwhile, it goes on where it was.
    """
    now_ms = parts.now_ms()
    makers = exports_of(parts)
    place = Folder(makers.folder).place()
    with writing(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        answer = who.once.do(
            connection,
            now_ms,
            shapes.usage.Export,
            lambda: shape(begin(connection, known, who, place, body, now_ms)),
        )
    makers.wake()
    response.headers["Location"] = f"/v1/exports/{answer.id}"
    return answer


@router.get("/exports")
def list_exports(parts: PartsOf, who: Reader, page: PageOf) -> shapes.usage.Exports:
    """Yours, the newest first; operators see everybody's."""
    rows = visible(parts, who)
    if page.position is not None:
        after = tuple(page.position)
        rows = [one for one in rows if (one.body.made_at_ms, one.id) < after]
    shown, cursor = page.split(
        rows[: page.limit + 1], lambda export: [export.body.made_at_ms, export.id]
    )
    return shapes.usage.Exports(items=[shape(export) for export in shown], next_cursor=cursor)


@router.get("/exports/{export}")
def get_export(parts: PartsOf, who: Reader, export: str) -> shapes.usage.Export:
    """How it stands."""
    return shape(find(parts, who, export))


@router.get("/exports/{export}/file", response_class=Response, responses=_FILE)
def get_file(
    parts: PartsOf,
    who: Reader,
    export: str,
    known: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """The file. A broken download goes on: `Range` with `If-Range`, as `curl -C -` does."""
    found = find(parts, who, export)
    body = found.body
    if body.state is not State.DONE:
        words = model.told(body)
        detail = "It is not done yet: ask for its state." if words is None else words.en
        raise NoFile(detail, {"state": body.state.value})
    folder = Folder(exports_of(parts).folder)
    if body.place != folder.place():
        raise Away("This file is on another machine than this API.")
    path = folder.file(found.id)
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise NoFile("The file is gone from the disk: ask for it again.") from None
    etag = _etag(found)
    # private: whoever asks again is asked who they are again
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if known is not None and etag in (tag.strip() for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path,
        headers=headers,
        media_type=MEDIA_TYPES[body.wanted.format],
        filename=found.file_name,
        stat_result=stat,
    )


@router.delete("/exports/{export}", status_code=204)
def delete_export(parts: PartsOf, who: Actor, export: str) -> Response:
    """Call it off, or throw its file away."""
    throw_away(parts, who, export)
    return Response(status_code=204)


# What the pages use too


def exports_of(parts: Parts) -> Exports:
    if parts.deps.exports is None:
        raise Away("Nobody makes exports on this machine.")
    return parts.deps.exports


def visible(parts: Parts, who: Identity) -> list[Export]:
    """What they may see, the newest first."""
    with reading(parts.deps.engine) as connection:
        directory = parts.registry.get(connection).directory
        rows = read_all(connection, parts.now_ms())
    return [one for one in rows if may_see(who, one, directory)]


def find(parts: Parts, who: Identity, export: str) -> Export:
    """Raises NotFound."""
    with reading(parts.deps.engine) as connection:
        directory = parts.registry.get(connection).directory
        row = exports.find(connection, export[:40])
    found = None if row is None else model.of_row(export, row)
    if found is None or found.expires_at_ms <= parts.now_ms():
        raise NotFound
    if not may_see(who, found, directory):
        raise NotFound
    return found


def throw_away(parts: Parts, who: Identity, export: str) -> None:
    """Raises NotFound. What is being made is called off at its next step."""
    found = find(parts, who, export)
    with writing(parts.deps.engine) as connection:
        exports.remove(connection, found.id)
    folder = Folder(exports_of(parts).folder)
    if found.body.place == folder.place() and not found.is_unfinished:
        folder.remove(found.id)


def begin(
    connection: Connection,
    known: Known,
    who: Identity,
    place: str,
    asked: shapes.usage.NewExport,
    now_ms: int,
) -> Export:
    """A new one, checked. Raises BadParameter, NotFound, TooMany."""
    wanted = _wanted(known, who, asked, now_ms)
    everybodys = read_all(connection, now_ms)
    mine = [one for one in everybodys if one.body.token == who.token]
    if sum(one.is_unfinished for one in mine) >= MOST_UNFINISHED:
        detail = f"{MOST_UNFINISHED} of your exports are unfinished: wait, or call one off."
        raise TooMany(detail, headers={"Retry-After": str(AGAIN_S)})
    finished = [one for one in mine if not one.is_unfinished]
    for one in finished[max(0, MOST_KEPT - 1 - (len(mine) - len(finished))) :]:
        exports.remove(connection, one.id)
    if len(everybodys) >= MOST_IN_ALL:
        detail = f"{MOST_IN_ALL} exports are kept: delete some that nobody needs."
        raise TooMany(detail, headers={"Retry-After": str(AGAIN_S)})
    body = model.Body(
        token=who.token,
        made_by=who.name,
        scope_firm=who.scope.firm,
        wanted=wanted,
        made_at_ms=now_ms,
        place=place,
    )
    made = Export(secrets.token_hex(10), 0, 1, now_ms, body)
    exports.add(connection, made.id, made.total, packed(body), now_ms)
    return made


def shape(export: Export) -> shapes.usage.Export:
    body, wanted = export.body, export.body.wanted
    is_report = wanted.what == "report"
    error = model.told(body)
    return shapes.usage.Export(
        id=export.id,
        what=wanted.what,
        format=wanted.format,
        language=wanted.language,
        compound=wanted.compound,
        firm=wanted.firm,
        month=wanted.month,
        start=None if is_report else print_instant(wanted.from_ms),
        end=None if is_report else print_instant(wanted.to_ms),
        bucket=wanted.bucket if wanted.what == "usage" else None,
        state=body.state.value,
        done=export.done,
        total=export.total,
        made_by=body.made_by,
        made_at=print_instant(body.made_at_ms),
        as_of=print_known(body.began_at_ms),
        updated_at=print_instant(export.updated_at_ms),
        finished_at=print_known(body.finished_at_ms),
        expires_at=print_instant(export.expires_at_ms),
        error=None if error is None else shapes.basics.Words(zh=error.zh, en=error.en),
        file=None
        if body.state is not State.DONE
        else shapes.usage.ExportFile(
            name=export.file_name,
            url=f"/v1/exports/{export.id}/file",
            size_bytes=body.size_bytes or 0,
            etag=_etag(export),
        ),
    )


def _etag(export: Export) -> str:
    return f'"{export.body.sha256}"'


def _wanted(known: Known, who: Identity, asked: shapes.usage.NewExport, now_ms: int) -> Wanted:
    """What is asked for, as it can be made. Raises BadParameter, NotFound."""
    if asked.format not in FORMATS[asked.what]:
        ways = " or ".join(FORMATS[asked.what])
        raise BadParameter("format", f"{asked.what} can be had as {ways}")
    if asked.compound is not None and asked.firm is not None:
        raise BadParameter("firm", "either a compound or a firm")
    zone: tzinfo = DISTRICT_ZONE
    if asked.compound is not None:
        zone = zone_of(compounds.find(known, who, asked.compound).timezone)
    compounds.check_firm(known.directory, who, asked.firm)
    common = (asked.what, asked.format, asked.language, asked.compound, asked.firm)
    if asked.what == "report":
        for name, value in (("from", asked.start), ("to", asked.end), ("bucket", asked.bucket)):
            if value is not None:
                raise BadParameter(name, "a report is of a month")
        if asked.compound is None and asked.firm is None:
            raise BadParameter("compound", "a report is of one compound or one firm: name it")
        return Wanted(*common, month=_month(asked.month, zone, now_ms))
    if asked.month is not None:
        raise BadParameter("month", "only a report is of a month: give from and to")
    if asked.what == "sessions" and asked.bucket is not None:
        raise BadParameter("bucket", "sessions have a line each")
    period = parse_period(asked.start, asked.end, zone, now_ms)
    to_ms = now_ms if period.to_ms is None else period.to_ms
    from_ms = period.from_ms
    if from_ms is None:
        from_ms = midnight_of(to_ms - 1, zone) - (USUAL_DAYS - 1) * DAY_MS
    bucket = asked.bucket or "day"
    if asked.what == "usage":
        from_ms = hour_of(from_ms)
        to_ms = min(now_ms, hour_of(to_ms - 1) + HOUR_MS)
        if bucket == "hour" and to_ms - from_ms > MOST_BUCKETS * HOUR_MS:
            raise BadParameter("bucket", f"at most {MOST_BUCKETS} hours: ask for days")
    if to_ms - from_ms > MOST_DAYS * DAY_MS:
        raise BadParameter("from", f"a range is at most {MOST_DAYS} days")
    return Wanted(*common, from_ms=from_ms, to_ms=to_ms, bucket=bucket)


def _month(text: str | None, zone: tzinfo, now_ms: int) -> str:
    if text is None:
        raise BadParameter("month", "missing; like 2026-10")
    try:
        month = Month.parse(text)
    except BadMonth as error:
        raise BadParameter("month", str(error)) from error
    if month.range_ms(zone)[0] >= now_ms:
        raise BadParameter("month", f"{month} has not begun: the bound is now")
    return str(month)


def may_make(who: Identity) -> bool:
    """Whether they may ask for exports; others get reports and tables directly."""
    return who.role in (Role.OPERATOR, Role.FIRM)
