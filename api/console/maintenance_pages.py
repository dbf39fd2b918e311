"""The console's page of maintenance windows: those there are, a new one, and their end."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from api import audited, maintenance, paging, shapes
from api.console.form_refusals import NOTHING, REFUSALS, Said, refused
from api.console.naming import compound_name, fault_name
from api.console.pages import Page, PageOf
from api.errors import Moved
from api.identity import Actor, Identity, Reader, Role
from api.instants import when
from api.parts import Known, Parts, PartsOf
from api.words import Language, named, say
from devices.kinds import KINDS
from devices.maintenance import Phase, Window
from devices.registry import Name
from devices.store.database import reading, writing
from devices.store.devices import device_names
from devices.store.maintenance import Filter, list_windows

DEVICES_AT_MOST = 500  # ticked one by one
NAMED = 3  # devices and codes that are named in a list; of more only how many there are

router = APIRouter(include_in_schema=False)

WordOf = Annotated[str, Form(max_length=2000)]


@router.get("/maintenance")
def maintenance_page(parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf) -> Response:
    """All windows, the one that lasts longest first."""
    return _page(parts, who, page, rows)


@router.post("/maintenance")
def make(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    compound: WordOf = "",
    kind: WordOf = "",
    devices: WordOf = "",
    device: Annotated[list[str] | None, Form(max_length=DEVICES_AT_MOST)] = None,
    codes: WordOf = "",
    starts_at: WordOf = "",
    ends_at: WordOf = "",
    reason: WordOf = "",
    owner: WordOf = "",
) -> Response:
    """A new window; what it cannot be is told on the page, with what was written."""
    devices = " ".join([devices, *(device or ())]).strip()
    written = {
        "compound": compound, "kind": kind, "devices": devices, "codes": codes,
        "starts_at": starts_at, "ends_at": ends_at, "reason": reason, "owner": owner,
    }  # fmt: skip
    try:
        body = shapes.faults.NewWindow(
            compound=compound.strip() or None,
            kind=kind.strip() or None,
            devices=_words(devices),
            codes=_words(codes),
            starts_at=starts_at.strip() or None,
            ends_at=ends_at.strip(),
            reason=reason,
            owner=owner,
        )
        with writing(parts.deps.engine) as connection:
            made = maintenance.make(connection, parts, who, body, parts.now_ms()).id
            audited.about(made)
    except REFUSALS as error:
        return _page(parts, who, page, rows, said=refused(page, error), written=written)
    return RedirectResponse(f"/maintenance/{made}", 303)


@router.post("/maintenance/{window}/end")
def end(parts: PartsOf, who: Actor, page: PageOf, rows: paging.PageOf, window: str) -> Response:
    """It ends now."""
    try:
        maintenance.end(parts, who, window)
    except Moved:
        return _page(parts, who, page, rows, said=Said(409, page.say("moved_on"), is_wrong=True))
    return RedirectResponse(f"/maintenance/{window}", 303)


@dataclass(frozen=True, slots=True)
class WindowLine:
    """A window in the list, in words."""

    id: str
    phase: str
    phase_word: str
    scope: tuple[str, ...]
    starts: str
    ends: str
    reason: str
    owner: str
    by: str
    is_over: bool
    holds_safety: bool


def _page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    said: Said = NOTHING,
    written: dict[str, str] | None = None,
) -> Response:
    now_ms = parts.now_ms()
    blank = dict.fromkeys(shapes.faults.NewWindow.model_fields, "")
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = list_windows(
            connection, who.scope, Filter(), now_ms=now_ms, before=rows.behind, limit=rows.limit + 1
        )
        shown, cursor = rows.split(found, lambda window: [window.ends_at_ms, window.id])
        ids = {device for window in shown for device in window.devices[:NAMED]}
        names = {device: name for device, (name, _, _) in
                 device_names(connection, who.scope, ids).items()}  # fmt: skip
    return page.render(
        "maintenance.html",
        said.status,
        who=who,
        windows=[window_line(known, names, page.language, window, now_ms) for window in shown],
        older="" if cursor is None else page.address(cursor=cursor),
        may_act=who.role in (Role.OPERATOR, Role.FIRM),
        compounds=[
            (entry.id, named(page.language, entry.name))
            for entry in known.directory.visible(who.scope)
        ],
        kinds=[(name, named(page.language, Name(of.zh, of.en))) for name, of in KINDS.items()],
        written=blank | (written or {}),
        said=said,
    )


def window_line(
    known: Known, names: dict[str, str], language: Language, window: Window, now_ms: int
) -> WindowLine:
    """names: of devices, by id; those that are not there are called by their ids."""
    phase = window.phase(now_ms)
    scope = [
        say(language, "whole_district")
        if window.compound is None
        else compound_name(language, known.directory.compounds, window.compound)
    ]
    if window.kind is not None:
        kind = KINDS.get(window.kind)
        scope.append(window.kind if kind is None else named(language, Name(kind.zh, kind.en)))
    if window.devices:
        scope.append(_several(language, [names.get(one, one) for one in window.devices]))
    if window.codes:
        scope.append(_several(language, [fault_name(language, code) for code in window.codes]))
    return WindowLine(
        id=window.id,
        phase=phase.value,
        phase_word=say(language, f"m_{phase}"),
        scope=tuple(scope),
        starts=when(window.starts_at_ms, now_ms),
        ends=when(window.over_at_ms, now_ms),
        reason=window.reason,
        owner=window.owner,
        by=window.created_by,
        is_over=phase is Phase.OVER,
        holds_safety=window.holds_safety,
    )


def _several(language: Language, words: list[str]) -> str:
    where = say(language, "list_comma").join(words[:NAMED])
    return where if len(words) <= NAMED else say(language, "n_of_them", where=where, n=len(words))


def _words(text: str) -> list[str]:
    """What is written between blanks, commas and line ends."""
    return text.replace(",", " ").replace("，", " ").replace("、", " ").split()
