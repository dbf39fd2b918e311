"""The console's pages of the registry's devices: looked for, changed, moved, in service or out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, compounds, paging, senders
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
    compounds_of,
    done_text,
    firms_of,
    kind_names,
    tried,
)
from api.devices import check_kind
from api.errors import NotFound
from api.identity import Actor, Identity, Reader, Role, operators_only
from api.instants import print_instant, when
from api.parts import Known, Parts, PartsOf
from api.registry import DEVICES_OWN, ONLY, check_own
from api.words import Language, grouped, named
from devices.columns import DEVICES, heading
from devices.inventory import ATTRIBUTES, PROTOCOLS, cell_text, cell_value
from devices.kinds import KINDS
from devices.registry import Device, Name
from devices.store import registry_edits as edits
from devices.store.database import reading
from devices.store.registry_edits import (
    IN_SERVICE,
    SERVICES,
    Listed,
    Wanted,
    seal_of,
)

router = APIRouter(prefix="/administration", include_in_schema=False)

# What the form of a device writes, besides its attributes; a firm's own people only the first.
PLACE = ("name", "building", "unit")
SETTINGS = ("protocol", "external_id", "vendor", "model", "interval_s", "commissioned_at")
KIND_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "gate": ("form",),
    "shed": ("ports",),
    "port": ("port_no",),
    "lamp": ("granularity", "lamp_count", "nominal_power_w", "supply"),
}


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
        compounds=compounds_of(known, page.language, who),
        firms=firms_of(known, page.language, who),
        kinds=kind_names(page.language),
        services=[(one, page.say(f"rg_service_{one}")) for one in SERVICES],
        done=done_text(page, done),
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
    entry = {field: _entered(field, text) for field, text in written.items()}
    entry["attributes"] = _read_attributes(attributes)
    again = written | {"attributes": attributes, "sender": sender}

    def add(connection: Connection, now_ms: int) -> Device:
        added = edits.add_device(connection, entry, now_ms)
        audited.about(added.id, compound=added.compound, kind=added.kind)
        named_as = added.id if added.protocol == "native" else added.external_id
        if sender and replay and named_as == sender:
            ids = senders.ask(connection, who, added.protocol, sender, now_ms)
            audited.about(added.id, replayed=len(ids))
        return added

    device = tried(parts, page, DEVICES, add)
    if isinstance(device, Flawed):
        return _new_device(parts, who, page, again, flawed=device)
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
    flawed: Flawed = UNTRIED,
) -> Response:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    blank = dict.fromkeys(
        ("id", "kind", "compound", "parent", "circuit", *PLACE, *SETTINGS, "attributes", "sender"),
        "",
    )
    return page.render(
        "registry_new_device.html",
        flawed.status,
        who=who,
        written=blank | dict(written),
        flawed=flawed,
        compounds=compounds_of(known, page.language, who),
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
    flawed: Flawed = UNTRIED,
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
        flawed.status,
        who=who,
        device=found,
        line=_device_line(known, page, Listed(found, "", None), now_ms),
        seen=seal_of(found),
        written=blank | dict(flawed.keeps(written or {})),
        flawed=flawed,
        done=done_text(page, done),
        behind=behind,
        behind_address=f"/administration/devices?{urlencode({'parent': device, 'service': 'all'})}",
        is_retired=retired_ms is not None and retired_ms <= now_ms,
        compounds=compounds_of(known, page.language, who),
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
    with reading(parts.deps.engine) as connection:
        if edits.find_device(connection, who.scope, device) is None:
            raise NotFound
    if own is None:
        operators_only(who, ONLY)
    else:
        check_own(who, own[0], frozenset(own[1]))
    if sure != "yes":
        unsure = Flawed(422, page.say("us_not_sure"))
        return _device(parts, who, page, device, flawed=unsure, written=written)
    came = tried(parts, page, DEVICES, action)
    if isinstance(came, Flawed):
        return _device(parts, who, page, device, flawed=came, written=written)
    return RedirectResponse(f"/administration/devices/{device}?done={done}", 303)
