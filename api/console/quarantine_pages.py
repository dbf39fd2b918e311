"""The console's pages of what was refused: a list, one message whole, and another try.

What people are shown is what was kept: personal data was removed before that. A try is asked for
here and made by the judge; its page follows it by the numbers of the requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Path, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, compounds, paging
from api.console.naming import compound_name
from api.console.pages import Page, PageOf
from api.errors import BadParameter, Moved, NotFound
from api.identity import Actor, Identity, Reader, Role
from api.instants import when
from api.parts import Known, Parts, PartsOf
from api.quarantine import REPLAYED_AT_ONCE, ask_for_one, check_operator, text_of
from api.words import grouped, knows, named
from devices.journal import UNASSIGNED
from devices.messages import Outcome, Reason
from devices.store.accounts import JUDGE, follower
from devices.store.compounds import Entry
from devices.store.database import reading, writing
from devices.store.quarantine import (
    Filter,
    Refused,
    Sender,
    ask_again,
    asked_between,
    count_again,
    find_refused,
    find_sender,
    judged_revision,
    list_refused,
    outcomes,
)

SHOWN = 50
PAYLOAD_SHOWN = 300  # bytes of each in a list
HEX_SHOWN = 4096  # bytes of what is no text
STILL_MS = 30_000  # a judge that has committed nothing for so long does not run
LARGEST = 2**63 - 1

router = APIRouter(include_in_schema=False)

ReasonOf = Annotated[str, Query(max_length=24)]
CompoundOf = Annotated[str, Query(max_length=63)]
DeviceOf = Annotated[str, Query(max_length=63)]
NumberOf = Annotated[int, Query(ge=1, le=LARGEST)]
RefusedOf = Annotated[int, Path(ge=1, le=LARGEST)]
WordOf = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A refused message in a list, in words. state: what it is since it was judged again."""

    id: int
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
    state: str


@router.get("/quarantine")
def quarantine_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    reason: ReasonOf = "",
    compound: CompoundOf = "",
    device: DeviceOf = "",
) -> Response:
    """Refused messages, the newest first."""
    now_ms = parts.now_ms()
    limit = min(rows.limit, SHOWN)
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        wanted = _filter(known, who, reason, compound, device)
        found = list_refused(
            connection,
            who.scope,
            wanted,
            before=rows.position[0] if rows.position else None,
            limit=limit + 1,
        )
    shown = found[:limit]
    older = ""
    if len(found) > limit:
        older = page.address(cursor=rows.cursor([shown[-1].id]))
    places = known.directory.compounds
    return page.render(
        "quarantine.html",
        who=who,
        lines=[refused_line(page, row, places, now_ms, PAYLOAD_SHOWN) for row in shown],
        older=older,
        reasons=[(one.value, reason_name(page, one)) for one in Reason],
        reason=reason,
        reason_name=reason_name(page, reason) if reason else "",
        compounds=[
            (entry.id, named(page.language, entry.name))
            for entry in known.directory.visible(who.scope)
        ],
        unassigned=UNASSIGNED if who.scope.is_district else "",
        compound=compound,
        device=device,
        again=_again_address(reason, compound, device) if who.role is Role.OPERATOR else "",
    )


@router.get("/quarantine/replay")
def replay_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    reason: ReasonOf = "",
    compound: CompoundOf = "",
    device: DeviceOf = "",
) -> Response:
    """What another try would be about, before it is asked for."""
    return _ask_page(parts, who, page, reason, compound, device)


@router.post("/quarantine/replay")
def replay_all(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    reason: WordOf = "",
    compound: WordOf = "",
    device: WordOf = "",
    sure: WordOf = "",
) -> Response:
    """Have all that are like this judged again, and go to where it can be followed."""
    check_operator(who)
    if sure != "yes":
        return _ask_page(parts, who, page, reason, compound, device, notice=page.say("rp_tick"))
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        wanted = _again(connection, known, who, reason, compound, device)
        audited.about(" ".join(filter(None, (reason, compound, device))) or "all that is refused")
        last, ids = ask_again(
            connection, who.scope, wanted, who.name, now_ms, limit=REPLAYED_AT_ONCE
        )
    if not ids:
        return _ask_page(parts, who, page, reason, compound, device, notice=page.say("rp_nothing"))
    return RedirectResponse(f"/quarantine/replays?first={last - len(ids) + 1}&last={last}", 303)


@router.get("/quarantine/replays")
def replays_page(
    parts: PartsOf, who: Reader, page: PageOf, first: NumberOf, last: NumberOf
) -> Response:
    """How far the requests with these numbers are, and what came of them."""
    if not who.scope.is_district or last < first:
        raise NotFound
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        asked = asked_between(connection, first, min(last, first + REPLAYED_AT_ONCE - 1))
        revision = judged_revision(connection)
        judge = follower(connection, JUDGE)
        done = [refused for number, refused in asked if number <= revision]
        counts = outcomes(connection, done)
    if not asked:
        raise NotFound
    is_done = len(done) == len(asked)
    still = sorted(
        ((reason, n) for (outcome, reason), n in counts.items() if reason),
        key=lambda one: -one[1],
    )
    return page.render(
        "replays.html",
        who=who,
        total=grouped(len(asked)),
        done=grouped(len(done)),
        percent=100 * len(done) // len(asked),
        is_done=is_done,
        waits=not is_done and (judge is None or now_ms - judge.updated_at_ms > STILL_MS),
        stored=grouped(counts.get((Outcome.STORED.value, ""), 0)),
        duplicate=grouped(counts.get((Outcome.DUPLICATE.value, ""), 0)),
        refused=grouped(sum(n for _, n in still)),
        still=[(reason_name(page, reason), reason, grouped(n)) for reason, n in still],
        as_of=when(now_ms, now_ms),
    )


@router.get("/quarantine/{refused}")
def refused_page(parts: PartsOf, who: Reader, page: PageOf, refused: RefusedOf) -> Response:
    """One of them, whole."""
    return _one_page(parts, who, page, refused)


@router.post("/quarantine/{refused}/replay")
def replay_one(
    parts: PartsOf, who: Actor, page: PageOf, refused: RefusedOf, sure: WordOf = ""
) -> Response:
    """Have it judged again."""
    if sure != "yes":
        with reading(parts.deps.engine) as connection:
            is_there = find_refused(connection, who.scope, refused) is not None
        if not is_there:
            raise NotFound
        check_operator(who)
        return _one_page(parts, who, page, refused, status=422, notice=page.say("rp_tick"))
    try:
        with writing(parts.deps.engine) as connection:
            _, number = ask_for_one(connection, who, refused, parts.now_ms())
    except Moved as error:
        return _one_page(parts, who, page, refused, status=error.status, notice=error.detail)
    return RedirectResponse(f"/quarantine/replays?first={number}&last={number}", 303)


def refused_line(
    page: Page, row: Refused, places: Mapping[str, Entry], now_ms: int, most: int
) -> RefusedLine:
    """most: bytes of the payload that are shown."""
    is_placed = row.compound != UNASSIGNED
    state = ""
    if row.replayed_at_ms is not None:
        word = "qr_stored" if row.outcome == Outcome.STORED else "qr_was_duplicate"
        state = page.say(word, at=when(row.replayed_at_ms, now_ms))
    return RefusedLine(
        id=row.id,
        at=when(row.received_at_ms, now_ms),
        reason=reason_name(page, row.reason),
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
        else row.payload[:most].decode("utf-8", "replace"),
        is_part=row.partial,
        state=state,
    )


def reason_name(page: Page, reason: str) -> str:
    """A reason in words; one that a newer version wrote as it is."""
    word = f"q_{reason}"
    return page.say(word) if knows(word) else reason


def advice(page: Page, reason: str) -> str:
    """What is to be done about a reason, in few words; empty for an unknown one."""
    word = f"qa_{reason}"
    return page.say(word) if knows(word) else ""


def _one_page(
    parts: Parts, who: Identity, page: Page, refused: int, *, status: int = 200, notice: str = ""
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = find_refused(connection, who.scope, refused)
    if found is None:
        raise NotFound
    line = refused_line(page, found, known.directory.compounds, now_ms, 0)
    text = text_of(found.payload)
    is_hex = found.payload is not None and text is None
    if found.payload is not None and text is None:
        text = _hex(found.payload[:HEX_SHOWN])
    return page.render(
        "refused.html",
        status,
        who=who,
        line=line,
        advice=advice(page, found.reason),
        text=text,
        is_hex=is_hex,
        is_cut=is_hex and len(found.payload or b"") > HEX_SHOWN,
        most=grouped(HEX_SHOWN),
        size=page.say("qr_bytes", n=grouped(found.size_bytes)),
        sha256=found.sha256,
        may_replay=not found.partial and found.replayed_at_ms is None,
        is_operator=who.role is Role.OPERATOR,
        notice=notice,
    )


def _ask_page(
    parts: Parts,
    who: Identity,
    page: Page,
    reason: str,
    compound: str,
    device: str,
    *,
    notice: str = "",
) -> Response:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        wanted = _again(connection, known, who, reason, compound, device)
        count = count_again(connection, who.scope, wanted, REPLAYED_AT_ONCE)
    place = device
    if compound:
        place = compound_name(page.language, known.directory.compounds, compound)
    if compound == UNASSIGNED:
        place = page.say("i_unassigned")
    return page.render(
        "replay.html",
        422 if notice else 200,
        who=who,
        count=grouped(min(count, REPLAYED_AT_ONCE)),
        is_any=count > 0,
        is_more=count > REPLAYED_AT_ONCE,
        most=grouped(REPLAYED_AT_ONCE),
        reason=reason,
        reason_name=reason_name(page, reason) if reason else page.say("qr_any_reason"),
        compound=compound,
        device=device,
        place=place or page.say("i_whole"),
        is_operator=who.role is Role.OPERATOR,
        notice=notice,
    )


def _again(
    connection: Connection, known: Known, who: Identity, reason: str, compound: str, device: str
) -> Filter:
    """What is to be judged again: also what came before its device or compound was known."""
    asked = _filter(known, who, reason, compound, device)
    sender: Sender | None = None
    if device:
        sender = find_sender(connection, who.scope, device)
        if sender is None:
            raise NotFound
    if compound == UNASSIGNED:
        return Filter(compound=UNASSIGNED, reason=asked.reason, sender=sender)
    return Filter(reason=asked.reason, sender=sender, whole_compound=asked.compound)


def _filter(known: Known, who: Identity, reason: str, compound: str, device: str) -> Filter:
    """Raises BadParameter for a reason that there is not, NotFound for a stranger's compound."""
    if reason and reason not in set(Reason):
        raise BadParameter("reason", f"{reason!r} is none; there are {', '.join(Reason)}")
    if compound and not (compound == UNASSIGNED and who.scope.is_district):
        compounds.find(known, who, compound)
    return Filter(compound=compound or None, device=device or None, reason=reason or None)


def _again_address(reason: str, compound: str, device: str) -> str:
    filled = (("reason", reason), ("compound", compound), ("device", device))
    query = urlencode([(name, value) for name, value in filled if value])
    return f"/quarantine/replay?{query}" if query else "/quarantine/replay"


def _hex(payload: bytes) -> str:
    """As a hex dump, 16 bytes a line, with what of it is text."""
    lines: list[str] = []
    for start in range(0, len(payload), 16):
        some: Sequence[int] = payload[start : start + 16]
        shown = "".join(chr(one) if 32 <= one < 127 else "." for one in some)
        lines.append(f"{start:04x}  {bytes(some).hex(' '):<47}  {shown}")
    return "\n".join(lines)
