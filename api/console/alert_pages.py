"""The console's pages of alerts: targets with how they do, routes, and what became of each notice.

They do what the API does, through its functions, so that both hold to the same rules. An address
or a secret that is stored is on none of them: an empty field keeps it.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import compounds, deliveries, hours, paging, shapes, targets
from api.console.form_refusals import NOTHING, REFUSALS, Said, refused, say_done
from api.console.naming import compound_name, fault_name
from api.console.overview import SEVERITIES
from api.console.overview_pages import Line, fault_lines
from api.console.pages import Page, PageOf
from api.console.told import Receipt, receipt
from api.errors import Away, Moved, NotFound
from api.identity import Actor, Identity, Reader, Role
from api.instants import when
from api.namesakes import firm_name, told_apart
from api.parts import Known, Parts, PartsOf
from api.words import Language, named, say
from devices.alerts import TARGETS_AT_MOST, ChannelName, DeliveryState, Route, Target
from devices.calendars import Day, hours_text
from devices.catalogue import COMPOUND, PLATFORM, RULES
from devices.hours import TargetHours
from devices.kinds import KINDS
from devices.registry import Name
from devices.rosters import PEOPLE_AT_MOST, ROSTERS_AT_MOST
from devices.store.database import reading
from devices.store.deliveries import Delivery, list_deliveries
from devices.store.hours import hours_of
from devices.store.rosters import list_people, list_rosters
from devices.store.target_states import TargetState, faults_of, target_states
from devices.store.targets import (
    UnknownRoute,
    find_route,
    list_routes,
    list_targets,
)

router = APIRouter(include_in_schema=False)

LED_TO = ("target", "roster", "person")
ROUTES_SHOWN = 50  # of one target
SECRET_BYTES = 32
SIGNED = frozenset({ChannelName.DINGTALK, ChannelName.FEISHU, ChannelName.WEBHOOK})

DONE = "made|saved|hours|route_made|route_gone|target_gone|retried"
DoneOf = Annotated[str, Query(pattern=f"^({DONE})?$")]
ChannelOf = Annotated[str, Query(pattern=f"^({'|'.join(ChannelName)})$")]
StateOf = Annotated[str, Query(pattern=f"^({'|'.join(DeliveryState)})?$")]
WordOf = Annotated[str, Form(max_length=2000)]
BoxOf = Annotated[str, Form(pattern="^(on)?$")]
SeveritiesOf = Annotated[list[str], Form(max_length=4)]
DaysOf = Annotated[list[str], Form(max_length=10)]
Names = Mapping[tuple[str, str], str]  # of what routes lead to: (target, person or roster; its id)


@router.get("/alerts")
def targets_page(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, done: DoneOf = ""
) -> Response:
    """Targets by name, and how each does."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = list_targets(connection, who.scope, behind=rows.behind, limit=rows.limit + 1)
        shown, cursor = rows.split(found, lambda target: [target.name, target.id])
        states = target_states(connection, [target.id for target in shown])
    return page.render(
        "alert_targets.html",
        who=who,
        targets=[_target(page.language, known, one, states[one.id], now_ms) for one in shown],
        channels=[one.value for one in ChannelName],
        older="" if cursor is None else page.address(cursor=cursor, done=""),
        may_act=may_act(who),
        said=_done(page, done),
    )


@router.get("/alerts/new")
def new_target_page(parts: PartsOf, who: Reader, page: PageOf, channel: ChannelOf) -> Response:
    """The form of a new target, with what its channel wants explained."""
    return _new_page(parts, who, page, ChannelName(channel))


@router.post("/alerts/new")
def make_target(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    channel: ChannelOf,
    name: WordOf = "",
    url: WordOf = "",
    secret: WordOf = "",
    firm: WordOf = "",
    language: WordOf = "zh",
    routed: BoxOf = "",
) -> Response:
    """What it cannot be is told on the page, with what was written but for the secret."""
    try:
        made = targets.make_target(
            parts,
            who,
            shapes.alerts.NewTarget(
                name=name,
                channel=channel,
                url=_address(ChannelName(channel), url),
                secret=secret.strip() or None,
                firm=firm.strip() or None,
                language=language,
                routed=routed == "on",
            ),
        )
    except REFUSALS as error:
        written = {"name": name, "url": url, "firm": firm, "language": language, "routed": routed}
        if channel == ChannelName.WEBHOOK:
            written["secret"] = secret  # they may have given it to the receiver already
        return _new_page(
            parts, who, page, ChannelName(channel), said=refused(page, error), written=written
        )
    return RedirectResponse(f"/alerts/targets/{made.id}?done=made", 303)


@router.get("/alerts/targets/{target}/test")  # where one stays who changes the language after it
@router.get("/alerts/targets/{target}")
def target_page(
    parts: PartsOf, who: Reader, page: PageOf, target: str, done: DoneOf = ""
) -> Response:
    """One target: how it does, which routes lead there, and its settings."""
    return _target_page(parts, who, page, target, said=_done(page, done))


@router.post("/alerts/targets/{target}")
def change_target(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    target: str,
    name: WordOf = "",
    url: WordOf = "",
    secret: WordOf = "",
    language: WordOf = "",
    keep_before: BoxOf = "",
    drop_secret: BoxOf = "",
) -> Response:
    """Empty fields stay as they are."""
    with reading(parts.deps.engine) as connection:
        found = targets.target_of(connection, who, target)
    newest, before = (*found.secrets[:2], None, None)[:2]
    if secret.strip():
        newest, before = secret.strip(), newest if keep_before else None
    elif drop_secret:
        newest, before = None, None
    try:
        body = shapes.alerts.TargetSettings(
            name=name.strip() or found.name,
            url=_address(found.channel, url) if url.strip() else found.url,
            secret=newest,
            secret_before=before,
            language=language or found.language.value,
        )
        targets.replace_target(parts, who, target, body)
    except REFUSALS as error:
        written = {"name": name, "url": url, "language": language}
        return _target_page(parts, who, page, target, said=refused(page, error), written=written)
    return RedirectResponse(f"/alerts/targets/{target}?done=saved", 303)


@router.post("/alerts/targets/{target}/test")
def test_target(parts: PartsOf, who: Actor, page: PageOf, target: str) -> Response:
    """Send a test; what was answered is on the page."""
    try:
        tested = targets.send_test(parts, who, target)
    except Away as error:
        return _target_page(parts, who, page, target, said=refused(page, error))
    word = "al_test_ok" if tested.accepted else "al_test_bad"
    told = Said(200, page.say(word, answer=tested.answer), is_wrong=not tested.accepted)
    return _target_page(parts, who, page, target, said=told)


@router.get("/alerts/targets/{target}/hours")  # where one stays whose hours were refused
def hours_page(parts: PartsOf, who: Reader, page: PageOf, target: str) -> Response:
    """The same page."""
    return _target_page(parts, who, page, target)


@router.post("/alerts/targets/{target}/hours")
def change_hours(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    target: str,
    quiet_from: WordOf = "",
    quiet_to: WordOf = "",
    summary_at: WordOf = "",
) -> Response:
    """When it is left alone, and when it is told of the day; empty is never."""
    was = hours.get_hours(parts, who, target)
    try:
        body = shapes.alerts.Hours(
            timezone=was.timezone,
            quiet_from=quiet_from.strip() or None,
            quiet_to=quiet_to.strip() or None,
            daily_summary_at=summary_at.strip() or None,
        )
        hours.replace_hours(parts, who, target, body)
    except REFUSALS as error:
        asked = {"quiet_from": quiet_from, "quiet_to": quiet_to, "daily_summary_at": summary_at}
        asked["timezone"] = was.timezone
        return _target_page(parts, who, page, target, said=refused(page, error), asked=asked)
    return RedirectResponse(f"/alerts/targets/{target}?done=hours", 303)


@router.get("/alerts/targets/{target}/delete")
def ask_delete_target(parts: PartsOf, who: Reader, page: PageOf, target: str) -> Response:
    """Whether it is really to be deleted."""
    with reading(parts.deps.engine) as connection:
        found = targets.target_of(connection, who, target)
    return ask(
        page,
        who,
        page.say("al_delete_target", name=found.name),
        page.say("al_delete_target_means"),
        f"/alerts/targets/{target}/delete",
        back=f"/alerts/targets/{target}",
    )


@router.post("/alerts/targets/{target}/delete")
def delete_target(parts: PartsOf, who: Actor, target: str) -> Response:
    """Nothing is sent there any more."""
    targets.remove_target(parts, who, target)
    return RedirectResponse("/alerts?done=target_gone", 303)


@router.get("/alerts/routes")
def routes_page(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, done: DoneOf = ""
) -> Response:
    """Routes in the order in which they were made, and a new one."""
    return _routes_page(parts, who, page, rows, said=_done(page, done))


@router.post("/alerts/routes")
def make_route(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    whom: WordOf = "",
    firm: WordOf = "",
    compound: WordOf = "",
    kind: WordOf = "",
    code: WordOf = "",
    severity: SeveritiesOf = [],  # noqa: B006 - FastAPI copies it
    days: DaysOf = [],  # noqa: B006
    hours_from: WordOf = "",
    hours_to: WordOf = "",
    outside: BoxOf = "",
) -> Response:
    """What it cannot be is told on the page, with what was written."""
    written = {"whom": whom, "firm": firm, "compound": compound, "kind": kind, "code": code}
    written |= {"hours_from": hours_from, "hours_to": hours_to, "outside": outside}
    try:
        what, _, name = whom.partition(":")
        body = shapes.duty.NewRoute(
            target=name if what == "target" else None,
            person=name if what == "person" else None,
            roster=name if what == "roster" else None,
            when=_when(days, hours_from, hours_to, outside == "on"),
            firm=firm.strip() or None,
            compound=compound.strip() or None,
            kind=kind.strip() or None,
            code=code.strip() or None,
            severity=severity,
        )
        targets.make_route(parts, who, body)
    except REFUSALS as error:
        return _routes_page(
            parts,
            who,
            page,
            rows,
            said=refused(page, error),
            written=written,
            picked=(*severity, *days),
        )
    return RedirectResponse("/alerts/routes?done=route_made", 303)


@router.get("/alerts/routes/{route}/delete")
def ask_delete_route(parts: PartsOf, who: Reader, page: PageOf, route: str) -> Response:
    """Whether it is really to be deleted."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        try:
            found = find_route(connection, who.scope, route)
        except UnknownRoute as error:
            raise NotFound from error
        names = led_to(connection, page.language, known, who, parts.now_ms())
    what = say(page.language, "sep").join(_leads(page.language, known, found))
    target = whom_of(page.language, found, names)[1]
    return ask(
        page,
        who,
        page.say("al_delete_route"),
        page.say("al_delete_route_means", what=what, target=target),
        f"/alerts/routes/{route}/delete",
        back="/alerts/routes",
    )


@router.post("/alerts/routes/{route}/delete")
def delete_route(parts: PartsOf, who: Actor, route: str) -> Response:
    """It leads nowhere any more."""
    targets.remove_route(parts, who, route)
    return RedirectResponse("/alerts/routes?done=route_gone", 303)


@router.get("/alerts/deliveries")
def deliveries_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    fault: str = "",
    target: str = "",
    compound: str = "",
    state: StateOf = "",
    done: DoneOf = "",
) -> Response:
    """To whom each event went, the newest first; or why to nobody."""
    asked = {"fault": fault.strip(), "target": target, "compound": compound, "state": state}
    return _deliveries_page(parts, who, page, rows, asked, said=_done(page, done))


@router.post("/alerts/deliveries/{delivery}/retry")
def retry(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    delivery: deliveries.DeliveryOf,
) -> Response:
    """Try one again that was given up."""
    try:
        deliveries.retry(parts, who, delivery)
    except Moved:
        asked = dict.fromkeys(("fault", "target", "compound", "state"), "")
        moved = Said(409, page.say("moved_on"), is_wrong=True)
        return _deliveries_page(parts, who, page, rows, asked, said=moved)
    return RedirectResponse("/alerts/deliveries?done=retried", 303)


@dataclass(frozen=True, slots=True)
class TargetLine:
    """A target in words. state: works, new, failing or broken; means: what that says."""

    id: str
    name: str
    channel: str
    channel_word: str
    language_word: str
    firm: str
    host: str
    signed: bool
    state: str
    state_word: str
    means: Sequence[str]
    delivered: str


@dataclass(frozen=True, slots=True)
class RouteLine:
    """A route in words. whom: what it leads to, and its page."""

    id: str
    what: Sequence[str]
    whom: str
    page: str
    made: str


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A receipt, and the fault that it is of."""

    receipt: Receipt
    fault: Line


def _new_page(
    parts: Parts,
    who: Identity,
    page: Page,
    channel: ChannelName,
    *,
    said: Said = NOTHING,
    written: dict[str, str] | None = None,
) -> Response:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    blank = {"name": "", "url": "", "firm": "", "language": page.language, "routed": "on"}
    blank["secret"] = _new_secret() if channel is ChannelName.WEBHOOK else ""
    return page.render(
        "alert_new.html",
        said.status,
        who=who,
        channel=channel.value,
        has_secret=channel in SIGNED,
        firms=firms_of(page.language, who, known),
        written=blank | (written or {}),
        may_act=may_act(who),
        said=said,
    )


def _target_page(
    parts: Parts,
    who: Identity,
    page: Page,
    target: str,
    *,
    said: Said = NOTHING,
    written: Mapping[str, str] | None = None,
    asked: Mapping[str, str] | None = None,
) -> Response:
    """written, asked: what stays in the forms of its settings, and of its hours."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = targets.target_of(connection, who, target)
        state = target_states(connection, [target]).get(target, TargetState())
        leading = list_routes(connection, who.scope, target=target, limit=ROUTES_SHOWN)
        names = {("target", target): found.name}
        rows = list_deliveries(connection, who.scope, target=target, limit=10)
        newest = _deliveries(connection, page.language, who, known, rows, now_ms)
        own_hours = hours_of(connection, [target]).get(target, TargetHours())
    return page.render(
        "alert_target.html",
        said.status,
        who=who,
        target=_target(page.language, known, found, state, now_ms),
        written={
            "name": found.name,
            "url": "",
            "language": found.language.value,
            **(written or {}),
        },
        has_secret=found.channel in SIGNED,
        routes=[_route(page.language, known, one, names, now_ms) for one in leading],
        deliveries=newest,
        hours=asked or hours.shape(own_hours),
        takes_summaries=found.channel is not ChannelName.ALERTMANAGER,
        made=page.say("al_made_by", who=found.created_by, at=when(found.created_at_ms, now_ms)),
        may_act=may_act(who),
        said=said,
    )


def _routes_page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    said: Said = NOTHING,
    written: dict[str, str] | None = None,
    picked: Sequence[str] = (),
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = list_routes(connection, who.scope, behind=rows.behind, limit=rows.limit + 1)
        shown, cursor = rows.split(found, lambda route: [route.created_at_ms, route.id])
        names = led_to(connection, page.language, known, who, now_ms)
    fields = ("whom", "firm", "compound", "kind", "code", "hours_from", "hours_to", "outside")
    blank = dict.fromkeys(fields, "")
    kinds = [(name, named(page.language, Name(of.zh, of.en))) for name, of in KINDS.items()]
    kinds += [(one, say(page.language, f"al_kind_{one}")) for one in (COMPOUND, PLATFORM)]
    return page.render(
        "alert_routes.html",
        said.status,
        who=who,
        routes=[_route(page.language, known, one, names, now_ms) for one in shown],
        older="" if cursor is None else page.address(cursor=cursor, done=""),
        choices=[
            (what, [(f"{of}:{id_}", name) for (of, id_), name in names.items() if of == what])
            for what in LED_TO
        ],
        days=[(day, say(page.language, f"al_day_{day}")) for day in Day],
        firms=firms_of(page.language, who, known),
        compounds=compounds_of(page.language, who, known),
        kinds=kinds,
        codes=[(code, fault_name(page.language, code)) for code in RULES],
        severities=[(one, say(page.language, one.lower())) for one in SEVERITIES],
        written=blank | (written or {}),
        picked=picked,
        may_act=may_act(who),
        said=said,
    )


def _deliveries_page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    asked: dict[str, str],
    *,
    said: Said = NOTHING,
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        if asked["compound"]:
            compounds.find(known, who, asked["compound"])
        found = list_deliveries(
            connection,
            who.scope,
            fault=asked["fault"] or None,
            target=asked["target"] or None,
            compound=asked["compound"] or None,
            state=asked["state"] or None,
            before=rows.position[0] if rows.position else None,
            limit=rows.limit + 1,
        )
        shown, cursor = rows.split(found, lambda delivery: [delivery.id])
        lines = _deliveries(connection, page.language, who, known, shown, now_ms)
        choices = choices_of(connection, who)
    return page.render(
        "alert_deliveries.html",
        said.status,
        who=who,
        deliveries=lines,
        targets=choices,
        compounds=compounds_of(page.language, who, known),
        states=[(one.value, say(page.language, f"ds_{one}")) for one in DeliveryState],
        asked=asked,
        older="" if cursor is None else page.address(cursor=cursor, done=""),
        may_act=may_act(who),
        said=said,
    )


def _deliveries(
    connection: Connection,
    language: Language,
    who: Identity,
    known: Known,
    rows: Sequence[Delivery],
    now_ms: int,
) -> list[DeliveryLine]:
    found = faults_of(connection, {row.fault for row in rows})
    lines = fault_lines(connection, who, known, language, list(found.values()), now_ms)
    by_id = {line.fault: line for line in lines}
    return [
        DeliveryLine(receipt(language, row, now_ms, may_act=may_act(who)), by_id[row.fault])
        for row in rows
    ]


def _target(
    language: Language, known: Known, target: Target, state: TargetState, now_ms: int
) -> TargetLine:
    kind, means = _state(language, target, state, now_ms)
    shape = targets.shape_target(target)
    delivered_ms = state.delivered_at_ms
    return TargetLine(
        id=target.id,
        name=target.name,
        channel=target.channel.value,
        channel_word=say(language, f"ch_{target.channel}"),
        language_word=say(language, f"al_{target.language}"),
        firm=firm_name(language, known, target.firm),
        host=shape.host,
        signed=shape.signed,
        state=kind,
        state_word=say(language, "al_new_state" if kind == "new" else f"al_{kind}"),
        means=means,
        delivered="" if delivered_ms is None else when(delivered_ms, now_ms),
    )


def _state(
    language: Language, target: Target, state: TargetState, now_ms: int
) -> tuple[str, list[str]]:
    """Works, new, failing or broken; and what there is to say about it."""
    waits = []
    if state.waiting and state.waiting_since_ms is not None:
        since = when(state.waiting_since_ms, now_ms)
        waits = [say(language, "al_waiting_n", n=state.waiting, at=since)]
    if target.broken is not None:
        since = when(target.broken_at_ms or now_ms, now_ms)
        return "broken", [target.broken, say(language, "al_broken_since", at=since), *waits]
    if state.failures:
        again = when(max(state.not_before_ms, now_ms), now_ms)
        told = say(language, "al_failing_n", n=state.failures, at=again)
        return "failing", [state.answer or "", told, *waits]
    if state.delivered_at_ms is None:
        return "new", [say(language, "al_new_means"), *waits]
    return "works", waits


def _route(language: Language, known: Known, route: Route, names: Names, now_ms: int) -> RouteLine:
    made = say(language, "al_made_by", who=route.created_by, at=when(route.created_at_ms, now_ms))
    address, whom = whom_of(language, route, names)
    return RouteLine(route.id, _leads(language, known, route), whom, address, made)


def whom_of(language: Language, route: Route, names: Names) -> tuple[str, str]:
    """The page of what a route leads to, and its name."""
    ids = {"target": route.target, "person": route.person, "roster": route.roster}
    what, id_ = next((what, id_) for what, id_ in ids.items() if id_ is not None)
    name = names.get((what, id_), id_)
    if what == "target":
        return f"/alerts/targets/{id_}", name
    address = "/alerts/people" if what == "person" else "/alerts/rosters"
    return f"{address}/{id_}", say(language, f"al_to_{what}", name=name)


def led_to(
    connection: Connection, language: Language, known: Known, who: Identity, now_ms: int
) -> Names:
    """Names of all that routes may lead to, each with what it is."""
    scope = who.scope
    people = list_people(connection, scope, limit=PEOPLE_AT_MOST)
    rosters = list_rosters(connection, scope, at_ms=now_ms, limit=ROSTERS_AT_MOST)
    return {
        **{("target", id_): name for id_, name in choices_of(connection, who)},
        **{("roster", one.id): one.name for one in rosters},
        **{
            ("person", id_): name
            for id_, name in told_apart(language, known, people, sees_phones=may_act(who)).items()
        },
    }


def _leads(language: Language, known: Known, route: Route) -> list[str]:
    """Which faults it is for."""
    words = []
    if route.severities:
        comma = say(language, "list_comma")
        words.append(comma.join(say(language, one.lower()) for one in route.severities))
    if route.firm is not None:
        words.append(firm_name(language, known, route.firm))
    if route.compound is not None:
        words.append(compound_name(language, known.directory.compounds, route.compound))
    if route.kind is not None:
        kind = KINDS.get(route.kind)
        word = f"al_kind_{route.kind}"
        words.append(
            say(language, word) if kind is None else named(language, Name(kind.zh, kind.en))
        )
    if route.code is not None:
        words.append(fault_name(language, route.code))
    if route.hours is not None:
        words.append(hours_text(language, route.hours))
    return words or [say(language, "al_any_fault")]


def _when(days: Sequence[str], start: str, to: str, outside: bool) -> shapes.duty.When | None:
    """The hours as they were written; None: always."""
    if not days and not start.strip() and not to.strip():
        return None
    hours = {"from": start.strip() or "00:00", "to": to.strip() or "24:00"}
    return shapes.duty.When.model_validate({"days": list(days), "outside": outside, **hours})


def choices_of(connection: Connection, who: Identity) -> list[tuple[str, str]]:
    found = list_targets(connection, who.scope, limit=TARGETS_AT_MOST)
    return [(target.id, target.name) for target in found]


def firms_of(language: Language, who: Identity, known: Known) -> list[tuple[str, str]]:
    if not who.scope.is_district:
        return []
    return [(firm, named(language, name)) for firm, name in known.directory.firms.items()]


def compounds_of(language: Language, who: Identity, known: Known) -> list[tuple[str, str]]:
    return [(entry.id, named(language, entry.name)) for entry in known.directory.visible(who.scope)]


def _address(channel: ChannelName, url: str) -> str:
    """As it was written; of e-mail plain addresses do, too."""
    url = url.strip()
    if channel is ChannelName.EMAIL and url and not url.lower().startswith("mailto:"):
        parts = url.replace("，", ",").replace(";", ",").replace(" ", ",").split(",")
        return "mailto:" + ",".join(filter(None, parts))
    return url


def _new_secret() -> str:
    """For a receiver: as Standard Webhooks writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def ask(
    page: Page,
    who: Identity,
    question: str,
    means: str,
    action: str,
    *,
    back: str,
    verb: str = "al_delete",
) -> Response:
    """Whether it is really to be done. action: where yes is sent; back: where no leads."""
    return page.render(
        "alert_confirm.html",
        who=who,
        question=question,
        means=means,
        action=action,
        back=back,
        verb=page.say(verb),
        may_act=may_act(who),
    )


def _done(page: Page, word: str) -> Said:
    return say_done(page, "al_hours_saved" if word == "hours" else word and f"al_{word}")


def may_act(who: Identity) -> bool:
    return who.role in (Role.OPERATOR, Role.FIRM)
