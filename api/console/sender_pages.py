"""The console's inbox of senders that are in no registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from starlette.responses import RedirectResponse, Response

from api import audited, paging
from api.console.pages import Page, PageOf
from api.console.registry_forms import kind_names
from api.errors import Moved
from api.identity import Actor, Reader, Role, operators_only
from api.instants import when
from api.parts import Known, PartsOf
from api.senders import ONLY, ask, district_only, payload_texts, pick, standing
from api.words import grouped, named
from devices.ids import is_id
from devices.store import senders
from devices.store.database import reading, writing
from devices.store.senders import Unknown, read_inbox

router = APIRouter(prefix="/administration", include_in_schema=False)

PAYLOAD_SHOWN = 160  # characters
SHOWS = ("new", "registered", "ignored")

WordOf = Annotated[str, Form(max_length=200)]
ShowOf = Annotated[str, Query(pattern="^(new|registered|ignored)$")]


@router.get("/unknown")
def unknown_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    show: ShowOf = "new",
    done: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Who sends and was in no registry; the last heard first."""
    district_only(who)
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        inbox = read_inbox(connection, now_ms)
        shown, cursor = pick(inbox, show, rows)
        texts = payload_texts(connection, who, shown)
    kinds = dict(kind_names(page.language))
    lines = [_line(page, known, kinds, one, texts.get(one.newest), now_ms) for one in shown]
    counts = {one: sum(standing(each) == one for each in inbox.unknown) for one in SHOWS}
    return page.render(
        "registry_unknown.html",
        who=who,
        senders=lines,
        show=show,
        shows=[(one, page.say(f"un_{one}"), grouped(counts[one])) for one in SHOWS],
        older="" if cursor is None else page.address(cursor=cursor),
        since="" if inbox.since_ms is None else when(inbox.since_ms, now_ms),
        done=_done(page, done),
        may_act=who.role is Role.OPERATOR,
    )


@router.post("/unknown/ignore")
def ignore(parts: PartsOf, who: Actor, protocol: WordOf = "", name: WordOf = "") -> Response:
    """Not among the new ones any more, until somebody wants it back."""
    operators_only(who, ONLY)
    with writing(parts.deps.engine) as connection:
        senders.ignore(connection, protocol, name, who.name, parts.now_ms())
        audited.about(name, protocol=protocol)
    return RedirectResponse("/administration/unknown?done=ignored", 303)


@router.post("/unknown/heed")
def heed(parts: PartsOf, who: Actor, protocol: WordOf = "", name: WordOf = "") -> Response:
    """The way back."""
    operators_only(who, ONLY)
    with writing(parts.deps.engine) as connection:
        senders.heed(connection, protocol, name)
        audited.about(name, protocol=protocol)
    return RedirectResponse("/administration/unknown?done=heeded", 303)


@router.post("/unknown/replay")
def replay(parts: PartsOf, who: Actor, protocol: WordOf = "", name: WordOf = "") -> Response:
    """Have what it sent before it was registered judged again."""
    operators_only(who, ONLY)
    done = "replayed"
    try:
        with writing(parts.deps.engine) as connection:
            ids = ask(connection, who, protocol, name, parts.now_ms())
            audited.about(name, protocol=protocol, messages=len(ids))
    except Moved:
        done = "no_device"
    return RedirectResponse(f"/administration/unknown?show=registered&done={done}", 303)


@dataclass(frozen=True, slots=True)
class SenderLine:
    """A sender, in words. register: the address of the form that is filled in with what it says."""

    protocol: str
    name: str
    says: str
    topic: str
    payload: str
    first: str
    last: str
    count: str
    device: str
    is_retired: bool
    register: str


def _line(
    page: Page,
    known: Known,
    kinds: Mapping[str, str],
    one: Unknown,
    payload: str | None,
    now_ms: int,
) -> SenderLine:
    sender = one.sender
    entry = known.directory.compounds.get(sender.compound)
    says = [kinds.get(sender.kind, sender.kind)]
    says.append(sender.compound if entry is None else named(page.language, entry.name))
    filled = {
        "id": sender.name if sender.protocol == "native" or is_id(sender.name) else "",
        "kind": sender.kind if sender.kind in kinds else "",
        "compound": "" if entry is None else entry.id,
        "protocol": sender.protocol,
        "external_id": "" if sender.protocol == "native" else sender.name,
        "sender": sender.name,
    }
    registered = one.registered
    return SenderLine(
        protocol=sender.protocol,
        name=sender.name,
        says=" · ".join(word for word in says if word),
        topic=one.topic,
        payload=page.say("i_not_kept") if payload is None else _short(payload),
        first=when(one.first_ms, now_ms),
        last=when(one.last_ms, now_ms),
        count=grouped(one.count),
        device="" if registered is None else registered.id,
        is_retired=registered is not None and registered.is_retired,
        register=f"/administration/new-device?{urlencode(filled)}",
    )


def _short(payload: str) -> str:
    return payload if len(payload) <= PAYLOAD_SHOWN else f"{payload[:PAYLOAD_SHOWN]}…"


def _done(page: Page, done: str) -> str:
    known = ("ignored", "heeded", "replayed", "no_device")
    return page.say(f"un_done_{done}") if done in known else ""
