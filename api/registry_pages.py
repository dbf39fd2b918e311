"""The console's pages of the registry: firms, compounds and devices, looked for and changed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import audited, compounds, paging, senders
from api.compounds import check_firm
from api.devices import check_kind
from api.errors import BadParameter, Moved, NotFound
from api.identity import Actor, Identity, Reader, Role, operators_only
from api.instants import print_instant, when
from api.pages import Page, PageOf
from api.parts import Known, Parts, PartsOf
from api.registry import DEVICES_OWN, FIRMS_OWN, ONLY, check_own
from api.registry_imports import flaw_text
from api.words import Language, grouped, named
from devices.columns import COMPOUNDS, DEVICES, heading
from devices.inventory import (
    ATTRIBUTES,
    PROTOCOLS,
    BadRegistry,
    cell_text,
    cell_value,
    contacts_of,
    contacts_text,
)
from devices.kinds import KINDS
from devices.registry import Compound, Device, Firm, Name
from devices.store import registry_edits as edits
from devices.store.database import reading, writing
from devices.store.registry_edits import (
    IN_SERVICE,
    SERVICES,
    ChangedMeanwhile,
    Listed,
    NotThere,
    Wanted,
    seal_of,
)

router = APIRouter(prefix="/administration", include_in_schema=False)

WordOf = Annotated[str, Form(max_length=300)]
LongOf = Annotated[str, Form(max_length=4000)]
AskedOf = Annotated[str, Query(max_length=100)]
DoneOf = Annotated[str, Query(max_length=40)]

DONE = ("saved", "added", "moved", "retired", "restored")
# What the form of a device writes, besides its attributes; a firm's own people only the first.
PLACE = ("name", "building", "unit")
SETTINGS = ("protocol", "external_id", "vendor", "model", "interval_s", "commissioned_at")
OF_FIRMS = ("name_zh", "name_en", "contacts")
OF_COMPOUNDS = (*OF_FIRMS, "firm", "households", "latitude", "longitude")
FIELD_AT_MOST = 4000
KIND_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "gate": ("form",),
    "shed": ("ports",),
    "port": ("port_no",),
    "lamp": ("granularity", "lamp_count", "nominal_power_w", "supply"),
}


async def sent(request: Request) -> Mapping[str, str]:
    """The fields of a form that were sent, also the empty ones: those are taken away, while what
    the form does not have stays. (FastAPI takes an empty field for one that is not there.)"""
    form = await request.form(max_files=0, max_fields=50)
    fields = {name: text for name, text in form.items() if isinstance(text, str)}
    for name, text in fields.items():
        if len(text) > FIELD_AT_MOST:
            raise BadParameter(name[:80], f"at most {FIELD_AT_MOST} characters")
    return fields


SentOf = Annotated[Mapping[str, str], Depends(sent)]


@router.get("")
def administration(_: Reader) -> Response:
    """Where administration begins."""
    return RedirectResponse("/administration/devices", 303)


# Devices


@router.get("/devices")
def devices_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    q: AskedOf = "",
    compound: AskedOf = "",
    kind: AskedOf = "",
    firm: AskedOf = "",
    parent: AskedOf = "",
    service: Annotated[str, Query(pattern=f"^({'|'.join(SERVICES)})$")] = IN_SERVICE,
    done: DoneOf = "",
) -> Response:
    """What there is, looked for by words, place and kind."""
    check_kind(kind or None)
    now_ms = parts.now_ms()
    wanted = Wanted(
        tuple(q.split()), compound or None, kind or None, firm or None, None, parent or None,
        service,
    )  # fmt: skip
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm or None)
        if compound:
            compounds.find(known, who, compound)
        after = rows.position[0] if rows.position else None
        found = edits.list_devices(
            connection, who.scope, wanted, now_ms, after=after, limit=rows.limit + 1
        )
        count = edits.count_devices(connection, who.scope, wanted, now_ms)
    shown, cursor = rows.split(found, lambda row: [row.device.id])
    return page.render(
        "registry_devices.html",
        who=who,
        devices=[_device_line(known, page, row, now_ms) for row in shown],
        count=grouped(count),
        older="" if cursor is None else page.address(cursor=cursor),
        written={
            "q": q,
            "compound": compound,
            "kind": kind,
            "firm": firm,
            "parent": parent,
            "service": service,
        },
        compounds=_compounds(known, page.language, who),
        firms=_firms(known, page.language, who),
        kinds=kind_names(page.language),
        services=[(one, page.say(f"rg_service_{one}")) for one in SERVICES],
        done=_done(page, done),
        may_add=who.role is Role.OPERATOR,
    )


@router.get("/new-device")
def new_device_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    id_: Annotated[str, Query(alias="id", max_length=63)] = "",
    kind: AskedOf = "",
    compound: AskedOf = "",
    protocol: AskedOf = "",
    external_id: Annotated[str, Query(max_length=200)] = "",
    sender: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """An empty form; or one that has what an unknown sender said of itself. sender: its name."""
    operators_only(who, ONLY)
    written = {
        "id": id_, "kind": kind, "compound": compound, "protocol": protocol,
        "external_id": external_id, "sender": sender,
    }  # fmt: skip
    return _new_device(parts, who, page, written)


@router.post("/devices")
def add_device(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    id_: Annotated[str, Form(alias="id", max_length=80)] = "",
    kind: WordOf = "",
    compound: WordOf = "",
    parent: WordOf = "",
    circuit: WordOf = "",
    name: WordOf = "",
    building: WordOf = "",
    unit: WordOf = "",
    protocol: WordOf = "",
    external_id: WordOf = "",
    vendor: WordOf = "",
    model: WordOf = "",
    interval_s: WordOf = "",
    attributes: LongOf = "",
    sender: WordOf = "",
    replay: WordOf = "",
) -> Response:
    """A new device; with `replay`, what it sent before is judged again."""
    operators_only(who, ONLY)
    written = {
        "id": id_, "kind": kind, "compound": compound, "parent": parent, "circuit": circuit,
        "name": name, "building": building, "unit": unit, "protocol": protocol,
        "external_id": external_id, "vendor": vendor, "model": model, "interval_s": interval_s,
    }  # fmt: skip
    now_ms = parts.now_ms()
    entry = {field: _entered(field, text) for field, text in written.items()}
    entry["attributes"] = _read_attributes(attributes)
    again = written | {"attributes": attributes, "sender": sender}
    try:
        with writing(parts.deps.engine) as connection:
            device = edits.add_device(connection, entry, now_ms)
            audited.about(device.id, compound=device.compound, kind=device.kind)
            if sender and replay:
                named_as = device.id if device.protocol == "native" else device.external_id
                if named_as == sender:
                    ids = senders.ask(connection, who, device.protocol, sender, now_ms)
                    audited.about(device.id, replayed=len(ids))
    except BadRegistry as error:
        return _new_device(parts, who, page, again, status=422, flaws=_told(page, DEVICES, error))
    finally:
        parts.registry.look_again()
    return RedirectResponse(f"/administration/devices/{device.id}?done=added", 303)


@router.get("/devices/{device}")
def device_page(
    parts: PartsOf, who: Reader, page: PageOf, device: str, done: DoneOf = ""
) -> Response:
    """One device: what the registry says of it."""
    return _device(parts, who, page, device, done=done)


@router.post("/devices/{device}")
def change_device(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    device: str,
    form: SentOf,
) -> Response:
    """Name, place and settings; fields that the form does not have stay as they are."""
    written = {field: form[field] for field in (*PLACE, *SETTINGS) if field in form}
    changes = {field: _entered(field, text) for field, text in written.items()}
    if "attributes" in form:
        changes["attributes"] = _read_attributes(form["attributes"])
        written["attributes"] = form["attributes"]
    return _change_device(
        parts,
        who,
        page,
        device,
        lambda c, now_ms: edits.change_device(
            c, device, changes, now_ms, seen=form.get("seen", "")
        ),
        "saved",
        own=(changes, DEVICES_OWN),
        written=written,
    )


@router.post("/devices/{device}/move")
def move_device(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    device: str,
    compound: WordOf = "",
    parent: WordOf = "",
    circuit: WordOf = "",
    along: WordOf = "",
    sure: WordOf = "",
) -> Response:
    """To another compound, parent or circuit."""
    return _change_device(
        parts,
        who,
        page,
        device,
        lambda c, now_ms: edits.move_device(
            c,
            device,
            compound,
            parent.strip() or None,
            circuit.strip() or None,
            now_ms,
            along=along == "yes",
        ),
        "moved",
        sure=sure,
        written={"compound": compound, "parent": parent, "circuit": circuit, "along": along},
    )


@router.post("/devices/{device}/retire")
def retire_device(
    parts: PartsOf, who: Actor, page: PageOf, device: str, sure: WordOf = ""
) -> Response:
    """Out of service from now on."""
    return _change_device(
        parts,
        who,
        page,
        device,
        lambda c, now_ms: edits.retire_device(c, device, now_ms),
        "retired",
        sure=sure,
    )


@router.post("/devices/{device}/restore")
def restore_device(parts: PartsOf, who: Actor, page: PageOf, device: str) -> Response:
    """In service again."""
    return _change_device(
        parts,
        who,
        page,
        device,
        lambda c, now_ms: edits.restore_device(c, device, now_ms),
        "restored",
    )


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
    try:
        with writing(parts.deps.engine) as connection:
            made = edits.add_compound(
                connection, {"id": id_.strip(), **_compound_changes(written)}, parts.now_ms()
            )
            audited.about(made.id, firm=made.firm)
    except BadRegistry as error:
        flaws = _told(page, COMPOUNDS, error)
        return _compounds_page(parts, who, page, rows, status=422, flaws=flaws, written=written)
    finally:
        parts.registry.look_again()
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
    try:
        with writing(parts.deps.engine) as connection:
            edits.change_compound(
                connection, compound, changes, parts.now_ms(), seen=form.get("seen", "")
            )
            audited.about(compound, firm=changes.get("firm"))
    except ChangedMeanwhile:
        notice = page.say("moved_on")
        return _compound(parts, who, page, compound, status=409, notice=notice)
    except BadRegistry as error:
        flaws = _told(page, COMPOUNDS, error)
        return _compound(parts, who, page, compound, status=422, flaws=flaws, written=written)
    finally:
        parts.registry.look_again()
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
    try:
        with writing(parts.deps.engine) as connection:
            entry = {"id": id_.strip(), **_compound_changes(written)}
            audited.about(edits.add_firm(connection, entry, parts.now_ms()).id)
    except BadRegistry as error:
        flaws = _told(page, COMPOUNDS, error)
        return _firms_page(parts, who, page, rows, status=422, flaws=flaws, written=written)
    finally:
        parts.registry.look_again()
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
    try:
        with writing(parts.deps.engine) as connection:
            edits.change_firm(connection, firm, changes, parts.now_ms(), seen=form.get("seen", ""))
    except ChangedMeanwhile:
        return _firm(parts, who, page, firm, status=409, notice=page.say("moved_on"))
    except BadRegistry as error:
        flaws = _told(page, COMPOUNDS, error)
        return _firm(parts, who, page, firm, status=422, flaws=flaws, written=written)
    finally:
        parts.registry.look_again()
    return RedirectResponse(f"/administration/firms/{firm}?done=saved", 303)


# What pages are made of


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device in the list, in words."""

    id: str
    name: str
    kind: str
    compound: str
    compound_name: str
    place: str
    parent: str
    known_as: str
    state: str
    retired: str


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody to call. number: as a phone dials it."""

    name: str
    phone: str
    number: str
    role: str


def kind_names(language: Language) -> list[tuple[str, str]]:
    """Kinds to choose from: id and name."""
    return [(name, named(language, Name(kind.zh, kind.en))) for name, kind in KINDS.items()]


def called(thing: Firm | Compound) -> list[Called]:
    """Whom to call there."""
    return [
        Called(one.name, one.phone, "".join(c for c in one.phone if c.isdigit() or c in "+*#"),
               one.role)
        for one in thing.contacts
    ]  # fmt: skip


def _told(page: Page, table: str, error: BadRegistry) -> list[str]:
    """What is wrong with what was written, a line for each."""
    lines = []
    for problem in error.problems[:20]:
        field = problem.where.rpartition(".")[2] if "." in problem.where else problem.where
        field = {"zh": "name_zh", "en": "name_en"}.get(field, field)
        label = heading(table, field, page.language)
        lines.append(f"{label}: {flaw_text(page.language, table, problem)}")
    return lines


def _done(page: Page, done: str) -> str:
    return page.say(f"rg_done_{done}") if done in DONE else ""


def _compounds(known: Known, language: Language, who: Identity) -> list[tuple[str, str]]:
    return [(one.id, named(language, one.name)) for one in known.directory.visible(who.scope)]


def _firms(known: Known, language: Language, who: Identity) -> list[tuple[str, str]]:
    return [
        (id_, named(language, name))
        for id_, name in known.directory.firms.items()
        if who.scope.firm in (None, id_)
    ]


def _entered(field: str, text: str) -> object:
    """A form's text as the value that a registry file would have there; None: nothing."""
    text = text.strip()
    if not text:
        return None
    return cell_value(text) if field == "interval_s" else text


def _read_attributes(text: str) -> dict[str, object]:
    """`name = value`, one a line."""
    found: dict[str, object] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name.strip():
            found[name.strip()] = cell_value(value.strip()) if value.strip() else None
    return found


def _attributes_text(device: Device) -> str:
    return "\n".join(f"{name} = {cell_text(value)}" for name, value in device.attributes.items())


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


def _device_line(known: Known, page: Page, row: Listed, now_ms: int) -> DeviceLine:
    device = row.device
    kind = KINDS.get(device.kind)
    entry = known.directory.compounds.get(device.compound)
    retired_ms = device.decommissioned_at_ms
    place = [page.say("rg_building", n=device.building)] if device.building else []
    place += [page.say("rg_unit", n=device.unit)] if device.unit else []
    known_as = "" if device.protocol == "native" else f"{device.protocol} {device.external_id}"
    return DeviceLine(
        id=device.id,
        name=device.name,
        kind=device.kind if kind is None else named(page.language, Name(kind.zh, kind.en)),
        compound=device.compound,
        compound_name=device.compound if entry is None else named(page.language, entry.name),
        place=" ".join(place),
        parent=device.parent or "",
        known_as=known_as.strip(),
        state=row.state,
        retired=when(retired_ms, now_ms) if retired_ms is not None else "",
    )


def _new_device(
    parts: Parts,
    who: Identity,
    page: Page,
    written: Mapping[str, str],
    *,
    status: int = 200,
    flaws: Sequence[str] = (),
) -> Response:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    blank = dict.fromkeys(
        ("id", "kind", "compound", "parent", "circuit", *PLACE, *SETTINGS, "attributes", "sender"),
        "",
    )
    return page.render(
        "registry_new_device.html",
        status,
        who=who,
        written=blank | dict(written),
        flaws=flaws,
        compounds=_compounds(known, page.language, who),
        kinds=kind_names(page.language),
        protocols=PROTOCOLS,
        heads=_heads(page.language),
        hints=_hints(page.language),
    )


def _device(
    parts: Parts,
    who: Identity,
    page: Page,
    device: str,
    *,
    status: int = 200,
    notice: str = "",
    flaws: Sequence[str] = (),
    written: Mapping[str, str] | None = None,
    done: str = "",
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = edits.find_device(connection, who.scope, device)
        if found is None:
            raise NotFound
        behind = edits.count_devices(
            connection, who.scope, Wanted(parent=device, service="all"), now_ms
        )
    retired_ms = found.decommissioned_at_ms
    kind = KINDS.get(found.kind)
    blank = {
        **{field: str(getattr(found, field)) for field in (*PLACE, *SETTINGS[:-1])},
        "commissioned_at": _instant_text(found.commissioned_at_ms),
        "attributes": _attributes_text(found),
        "compound": found.compound,
        "parent": found.parent or "",
        "circuit": found.circuit or "",
        "along": "",
    }
    return page.render(
        "registry_device.html",
        status,
        who=who,
        device=found,
        line=_device_line(known, page, Listed(found, "", None), now_ms),
        seen=seal_of(found),
        written=blank | dict(written or {}),
        notice=notice,
        flaws=flaws,
        done=_done(page, done),
        behind=behind,
        behind_address=f"/administration/devices?{urlencode({'parent': device, 'service': 'all'})}",
        is_retired=retired_ms is not None and retired_ms <= now_ms,
        compounds=_compounds(known, page.language, who),
        protocols=PROTOCOLS,
        heads=_heads(page.language),
        hint=_hints(page.language).get(found.kind, ""),
        kind_word=found.kind if kind is None else named(page.language, Name(kind.zh, kind.en)),
        may_place=who.role in (Role.OPERATOR, Role.FIRM),
        may_all=who.role is Role.OPERATOR,
    )


def _instant_text(at_ms: int | None) -> str:
    return "" if at_ms is None else print_instant(at_ms)


def _heads(language: Language) -> dict[str, str]:
    return {
        name: heading(DEVICES, name, language)
        for name in ("id", "kind", "compound", "parent", "circuit", *PLACE, *SETTINGS)
    }


def _hints(language: Language) -> dict[str, str]:
    """Kind -> what may be set of it, as it is written: `lamp_count (灯数)`."""
    return {
        kind: ", ".join(f"{name} ({heading(DEVICES, name, language)})" for name in names)
        for kind, names in KIND_ATTRIBUTES.items()
        if set(names) <= set(ATTRIBUTES)
    }


def _change_device(
    parts: Parts,
    who: Identity,
    page: Page,
    device: str,
    action: Callable[[Connection, int], object],
    done: str,
    *,
    own: tuple[Mapping[str, object], Iterable[str]] | None = None,
    sure: str = "yes",
    written: Mapping[str, str] | None = None,
) -> Response:
    """own: what is changed, and what of it a firm's people may change; None: operators only."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        if edits.find_device(connection, who.scope, device) is None:
            raise NotFound
    if own is None:
        operators_only(who, ONLY)
    else:
        check_own(who, own[0], frozenset(own[1]))
    if sure != "yes":
        notice = page.say("us_not_sure")
        return _device(parts, who, page, device, status=422, notice=notice, written=written)
    try:
        with writing(parts.deps.engine) as connection:
            action(connection, now_ms)
    except (ChangedMeanwhile, Moved):
        return _device(parts, who, page, device, status=409, notice=page.say("moved_on"))
    except NotThere as error:
        raise NotFound from error
    except BadRegistry as error:
        flaws = _told(page, DEVICES, error)
        return _device(parts, who, page, device, status=422, flaws=flaws, written=written)
    finally:
        parts.registry.look_again()
    return RedirectResponse(f"/administration/devices/{device}?done={done}", 303)


def _compounds_page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    q: str = "",
    firm: str = "",
    status: int = 200,
    flaws: Sequence[str] = (),
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
    firms = dict(_firms(known, page.language, who))
    blank = dict.fromkeys(
        ("id", "name_zh", "name_en", "firm", "households", "latitude", "longitude", "contacts"), ""
    )
    return page.render(
        "registry_compounds.html",
        status,
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
        written=blank | dict(written or {}),
        flaws=flaws,
        done=_done(page, done),
        may_add=who.role is Role.OPERATOR,
    )


def _compound(
    parts: Parts,
    who: Identity,
    page: Page,
    compound: str,
    *,
    status: int = 200,
    notice: str = "",
    flaws: Sequence[str] = (),
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
    firms = _firms(known, page.language, who)
    return page.render(
        "registry_compound.html",
        status,
        who=who,
        compound=found,
        name=named(page.language, found.name),
        firm_name=dict(firms).get(found.firm, found.firm),
        seen=seal_of(found),
        called=called(found),
        firms=firms,
        written=blank | dict(written or {}),
        notice=notice,
        flaws=flaws,
        done=_done(page, done),
        may_contacts=who.role in (Role.OPERATOR, Role.FIRM),
        may_all=who.role is Role.OPERATOR,
    )


def _firms_page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    status: int = 200,
    flaws: Sequence[str] = (),
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
        status,
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
        written=blank | dict(written or {}),
        flaws=flaws,
        done=_done(page, done),
        may_add=who.role is Role.OPERATOR,
    )


def _firm(
    parts: Parts,
    who: Identity,
    page: Page,
    firm: str,
    *,
    status: int = 200,
    notice: str = "",
    flaws: Sequence[str] = (),
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
        status,
        who=who,
        firm=found,
        name=named(page.language, found.name),
        seen=seal_of(found),
        called=called(found),
        written=blank | dict(written or {}),
        notice=notice,
        flaws=flaws,
        done=_done(page, done),
        may_contacts=who.role in (Role.OPERATOR, Role.FIRM),
        may_all=who.role is Role.OPERATOR,
    )
