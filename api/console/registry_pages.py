"""The console's pages of firms and compounds: looked for and changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, paging
from api.compounds import check_firm
from api.console.pages import Page, PageOf
from api.console.registry_forms import (
    UNTRIED,
    AskedOf,
    DoneOf,
    Flawed,
    LongOf,
    SentOf,
    WordOf,
    done_text,
    firms_of,
    tried,
)
from api.errors import NotFound
from api.identity import Actor, Identity, Reader, Role, operators_only
from api.parts import Parts, PartsOf
from api.registry import FIRMS_OWN, ONLY, check_own
from api.words import grouped, named
from devices.columns import COMPOUNDS, FIRMS
from devices.inventory import cell_value, contacts_of, contacts_text
from devices.registry import Compound, Firm
from devices.store import registry_edits as edits
from devices.store.database import reading
from devices.store.registry_edits import seal_of

router = APIRouter(prefix="/administration", include_in_schema=False)

OF_FIRMS = ("name_zh", "name_en", "contacts")
OF_COMPOUNDS = (*OF_FIRMS, "firm", "households", "latitude", "longitude")


@router.get("")
def administration(_: Reader) -> Response:
    """Where administration begins."""
    return RedirectResponse("/administration/devices", 303)


# Compounds


@router.get("/compounds")
def compounds_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    q: AskedOf = "",
    firm: AskedOf = "",
    done: DoneOf = "",
) -> Response:
    """All of them, and a form for a new one."""
    return _compounds_page(parts, who, page, rows, q=q, firm=firm, done=done)


@router.post("/compounds")
def add_compound(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    id_: Annotated[str, Form(alias="id", max_length=80)] = "",
    name_zh: WordOf = "",
    name_en: WordOf = "",
    firm: WordOf = "",
    households: WordOf = "",
    latitude: WordOf = "",
    longitude: WordOf = "",
    contacts: LongOf = "",
) -> Response:
    """A new compound."""
    operators_only(who, ONLY)
    written = {
        "id": id_, "name_zh": name_zh, "name_en": name_en, "firm": firm, "households": households,
        "latitude": latitude, "longitude": longitude, "contacts": contacts,
    }  # fmt: skip
    entry = {"id": id_.strip(), **_compound_changes(written)}

    def add(connection: Connection, now_ms: int) -> Compound:
        added = edits.add_compound(connection, entry, now_ms)
        audited.about(added.id, firm=added.firm)
        return added

    made = tried(parts, page, COMPOUNDS, add)
    if isinstance(made, Flawed):
        return _compounds_page(parts, who, page, rows, flawed=made, written=written)
    return RedirectResponse(f"/administration/compounds/{made.id}?done=added", 303)


@router.get("/compounds/{compound}")
def compound_page(
    parts: PartsOf, who: Reader, page: PageOf, compound: str, done: DoneOf = ""
) -> Response:
    """One compound: what the registry says of it."""
    return _compound(parts, who, page, compound, done=done)


@router.post("/compounds/{compound}")
def change_compound(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    compound: str,
    form: SentOf,
) -> Response:
    """What it is called, whose it is, where, and whom to call there."""
    written = {field: form[field] for field in OF_COMPOUNDS if field in form}
    with reading(parts.deps.engine) as connection:
        if edits.find_compound(connection, who.scope, compound) is None:
            raise NotFound
    changes = _compound_changes(written)
    check_own(who, changes, FIRMS_OWN)

    def change(connection: Connection, now_ms: int) -> None:
        edits.change_compound(connection, compound, changes, now_ms, seen=form.get("seen", ""))
        audited.about(compound, firm=changes.get("firm"))

    flawed = tried(parts, page, COMPOUNDS, change)
    if flawed is not None:
        return _compound(parts, who, page, compound, flawed=flawed, written=written)
    return RedirectResponse(f"/administration/compounds/{compound}?done=saved", 303)


# Firms


@router.get("/firms")
def firms_page(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, done: DoneOf = ""
) -> Response:
    """All of them, and a form for a new one."""
    return _firms_page(parts, who, page, rows, done=done)


@router.post("/firms")
def add_firm(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    id_: Annotated[str, Form(alias="id", max_length=80)] = "",
    name_zh: WordOf = "",
    name_en: WordOf = "",
    contacts: LongOf = "",
) -> Response:
    """A new property firm."""
    operators_only(who, ONLY)
    written = {"id": id_, "name_zh": name_zh, "name_en": name_en, "contacts": contacts}
    entry = {"id": id_.strip(), **_compound_changes(written)}

    def add(connection: Connection, now_ms: int) -> None:
        audited.about(edits.add_firm(connection, entry, now_ms).id)

    flawed = tried(parts, page, FIRMS, add)
    if flawed is not None:
        return _firms_page(parts, who, page, rows, flawed=flawed, written=written)
    return RedirectResponse("/administration/firms?done=added", 303)


@router.get("/firms/{firm}")
def firm_page(parts: PartsOf, who: Reader, page: PageOf, firm: str, done: DoneOf = "") -> Response:
    """One firm: its names, and whom to call."""
    return _firm(parts, who, page, firm, done=done)


@router.post("/firms/{firm}")
def change_firm(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    firm: str,
    form: SentOf,
) -> Response:
    """Its names, and whom to call."""
    written = {field: form[field] for field in OF_FIRMS if field in form}
    with reading(parts.deps.engine) as connection:
        if edits.find_firm(connection, who.scope, firm) is None:
            raise NotFound
    changes = _compound_changes(written)
    check_own(who, changes, FIRMS_OWN)

    def change(connection: Connection, now_ms: int) -> None:
        edits.change_firm(connection, firm, changes, now_ms, seen=form.get("seen", ""))

    flawed = tried(parts, page, FIRMS, change)
    if flawed is not None:
        return _firm(parts, who, page, firm, flawed=flawed, written=written)
    return RedirectResponse(f"/administration/firms/{firm}?done=saved", 303)


# What pages are made of


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody to call. number: as a phone dials it."""

    name: str
    phone: str
    number: str
    role: str


def called(thing: Firm | Compound) -> list[Called]:
    """Whom to call there."""
    return [
        Called(one.name, one.phone, "".join(c for c in one.phone if c.isdigit() or c in "+*#"),
               one.role)
        for one in thing.contacts
    ]  # fmt: skip


def _compound_changes(written: Mapping[str, str]) -> dict[str, object]:
    """Fields of the form of a compound, or of a firm, as members of its entry."""
    changes: dict[str, object] = {}
    if "name_zh" in written:
        zh = written["name_zh"].strip()
        changes["name"] = {"zh": zh or None, "en": written.get("name_en", "").strip() or None}
    if "contacts" in written:
        changes["contacts"] = contacts_of(written["contacts"])
    for field in ("households", "latitude", "longitude"):
        if field in written:
            text = written[field].strip()
            changes[field] = cell_value(text) if text else None
    if "firm" in written:
        changes["firm"] = written["firm"].strip() or None
    return changes


def _compounds_page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    q: str = "",
    firm: str = "",
    flawed: Flawed = UNTRIED,
    written: Mapping[str, str] | None = None,
    done: str = "",
) -> Response:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm or None)
        found = edits.list_compounds(
            connection,
            who.scope,
            parts.now_ms(),
            words=q.split(),
            firm=firm or None,
            after=rows.position[0] if rows.position else None,
            limit=rows.limit + 1,
        )
    shown, cursor = rows.split(found, lambda row: [row.compound.id])
    firms = dict(firms_of(known, page.language, who))
    blank = dict.fromkeys(
        ("id", "name_zh", "name_en", "firm", "households", "latitude", "longitude", "contacts"), ""
    )
    return page.render(
        "registry_compounds.html",
        flawed.status,
        who=who,
        compounds=[
            (
                row.compound,
                named(page.language, row.compound.name),
                firms.get(row.compound.firm, row.compound.firm),
                grouped(row.devices),
                called(row.compound),
            )
            for row in shown
        ],
        older="" if cursor is None else page.address(cursor=cursor),
        firms=list(firms.items()),
        asked={"q": q, "firm": firm},
        written=blank | dict(flawed.keeps(written or {})),
        flawed=flawed,
        done=done_text(page, done),
        may_add=who.role is Role.OPERATOR,
    )


def _compound(
    parts: Parts,
    who: Identity,
    page: Page,
    compound: str,
    *,
    flawed: Flawed = UNTRIED,
    written: Mapping[str, str] | None = None,
    done: str = "",
) -> Response:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = edits.find_compound(connection, who.scope, compound)
    if found is None:
        raise NotFound
    blank = {
        "name_zh": found.name.zh, "name_en": found.name.en, "firm": found.firm,
        "households": str(found.households), "latitude": str(found.latitude),
        "longitude": str(found.longitude), "contacts": contacts_text(found.contacts, "\n"),
    }  # fmt: skip
    firms = firms_of(known, page.language, who)
    return page.render(
        "registry_compound.html",
        flawed.status,
        who=who,
        compound=found,
        name=named(page.language, found.name),
        firm_name=dict(firms).get(found.firm, found.firm),
        seen=seal_of(found),
        called=called(found),
        firms=firms,
        written=blank | dict(flawed.keeps(written or {})),
        flawed=flawed,
        done=done_text(page, done),
        may_contacts=who.role in (Role.OPERATOR, Role.FIRM),
        may_all=who.role is Role.OPERATOR,
    )


def _firms_page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    flawed: Flawed = UNTRIED,
    written: Mapping[str, str] | None = None,
    done: str = "",
) -> Response:
    with reading(parts.deps.engine) as connection:
        after = rows.position[0] if rows.position else None
        found = edits.list_firms(connection, who.scope, after=after, limit=rows.limit + 1)
    shown, cursor = rows.split(found, lambda row: [row.firm.id])
    blank = dict.fromkeys(("id", "name_zh", "name_en", "contacts"), "")
    return page.render(
        "registry_firms.html",
        flawed.status,
        who=who,
        firms=[
            (
                row.firm,
                named(page.language, row.firm.name),
                grouped(row.compounds),
                grouped(row.devices),
                called(row.firm),
            )
            for row in shown
        ],
        older="" if cursor is None else page.address(cursor=cursor),
        written=blank | dict(flawed.keeps(written or {})),
        flawed=flawed,
        done=done_text(page, done),
        may_add=who.role is Role.OPERATOR,
    )


def _firm(
    parts: Parts,
    who: Identity,
    page: Page,
    firm: str,
    *,
    flawed: Flawed = UNTRIED,
    written: Mapping[str, str] | None = None,
    done: str = "",
) -> Response:
    with reading(parts.deps.engine) as connection:
        found = edits.find_firm(connection, who.scope, firm)
    if found is None:
        raise NotFound
    blank = {
        "name_zh": found.name.zh,
        "name_en": found.name.en,
        "contacts": contacts_text(found.contacts, "\n"),
    }
    return page.render(
        "registry_firm.html",
        flawed.status,
        who=who,
        firm=found,
        name=named(page.language, found.name),
        seen=seal_of(found),
        called=called(found),
        written=blank | dict(flawed.keeps(written or {})),
        flawed=flawed,
        done=done_text(page, done),
        may_contacts=who.role in (Role.OPERATOR, Role.FIRM),
        may_all=who.role is Role.OPERATOR,
    )
