"""The console's pages of thresholds: what a rule says where, a change of it, and its history.

A change is a draft first. It stands in the address, so that it can be looked at, tried on what the
journal has and shown to somebody; nothing is written before it is put in force. For operators.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Form, Path, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, compounds, paging
from api.console.pages import Page, PageOf
from api.console.rule_words import delay, level, sign_words, unit_of_sign
from api.errors import NotFound
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import when
from api.parts import DryRun, Known, Parts, PartsOf
from api.rules import MOST_RANGE_MS, sha256_of
from api.words import grouped, knows, named
from devices.catalogue import ANY, COMPOUND, PLATFORM, RULES
from devices.kinds import KINDS
from devices.messages import Value
from devices.overrides import (
    RULE_FIGURES,
    SIGN_FIGURES,
    Change,
    Overrides,
    RuleSet,
    Scope,
    changed,
    counting_changes,
    figure,
    named_signs,
    rule_figure,
)
from devices.registry import Device, Name, Registry
from devices.rule_files import BadRules, read, read_what_fits
from devices.rule_text import edited, rewritten
from devices.rules import Rule, Severity, Sign
from devices.store import rule_sets
from devices.store.database import reading, writing
from devices.store.registry import list_makes, load

ONLY = "see and change the figures of rules"
SETS_SHOWN = 10
FAULTS_SHOWN = 20
DRAFT_CHARACTERS = 6_000
FIGURES_AT_MOST = 60  # of the form of one rule
DISTRICT_RANGE_MS = 24 * 3_600_000  # the whole district of two days takes a quarter of an hour

router = APIRouter(include_in_schema=False)

CompoundOf = Annotated[str, Query(max_length=63)]
DeviceOf = Annotated[str, Query(max_length=63)]
MakeOf = Annotated[str, Query(max_length=120)]
WordOf = Annotated[str, Form(max_length=200)]
DraftOf = Annotated[str, Form(max_length=DRAFT_CHARACTERS)]
WordsOf = Annotated[list[str], Form(max_length=FIGURES_AT_MOST)]
NumberOf = Annotated[int, Path(ge=0, le=2**31 - 1)]

Key = tuple[str | None, str]  # sign and figure
Holds = Callable[[Scope], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """For what a rule is looked at: a device, a compound, a vendor, a model, or everything."""

    compound: str = ""
    device: str = ""
    vendor: str = ""
    model: str = ""

    @property
    def scope(self) -> Scope:
        """A device is one already; else all that is given must hold."""
        if self.device:
            return Scope(device=self.device)
        return Scope(
            compound=self.compound or None, vendor=self.vendor or None, model=self.model or None
        )

    @property
    def fields(self) -> list[tuple[str, str]]:
        if self.device:
            return [("device", self.device)]
        every = (("compound", self.compound), ("vendor", self.vendor), ("model", self.model))
        return [(name, value) for name, value in every if value]

    @property
    def is_of_make(self) -> bool:
        """Whether it is of a vendor or a model."""
        return not self.device and bool(self.vendor or self.model)


def asked_place(
    compound: CompoundOf = "", device: DeviceOf = "", vendor: MakeOf = "", model: MakeOf = ""
) -> Place:
    """The place in an address."""
    return Place(compound, device, vendor, model)


def written_place(
    compound: WordOf = "", device: WordOf = "", vendor: WordOf = "", model: WordOf = ""
) -> Place:
    """The place that a form carries along."""
    return Place(compound, device, vendor, model)


PlaceAsked = Annotated[Place, Depends(asked_place)]
PlaceWritten = Annotated[Place, Depends(written_place)]


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in the list, in words. signs: each with how long it must last; raw: as in a file."""

    code: str
    name: str
    severity: str
    word: str
    signs: Sequence[tuple[str, str]]
    raw: Sequence[str]
    places: int
    is_off: bool
    is_safety: bool


@router.get("/rules")
def rules_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    find: Annotated[str, Query(max_length=60)] = "",
    show: Annotated[str, Query(pattern="^(all|changed)$")] = "all",
) -> Response:
    """All rules that have figures, by what they befall."""
    operators_only(who, ONLY)
    with reading(parts.deps.engine) as connection:
        known = rule_sets.newest(connection)
    overrides, problems = read_what_fits(known.body, number=known.number)
    wanted = find.strip().casefold()
    groups: dict[str, list[RuleLine]] = {}
    for rule in RULES.values():
        places = len({change.scope for change in overrides.of(rule.code)})
        if rule.kind == PLATFORM or (show == "changed" and not places):
            continue
        if wanted in f"{rule.code} {rule.zh} {rule.en}".casefold():
            line = _rule_line(page, rule, overrides, places)
            groups.setdefault(_kind_name(page, rule.kind), []).append(line)
    return page.render(
        "rules.html",
        who=who,
        groups=groups,
        find=find,
        shows=[
            (page.say(word), page.address(show=one), one == show)
            for one, word in (("all", "ru_all"), ("changed", "ru_changed_only"))
        ],
        in_force=_in_force(page, known, parts.now_ms()),
        problems=[str(problem) for problem in problems],
    )


@router.get("/rules/history")
def history_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
) -> Response:
    """All sets there were, the newest first, with what each changed."""
    operators_only(who, ONLY)
    return _history(parts, who, page, rows)


@router.post("/rules/history/{rule_set}/restore")
def restore(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    rule_set: NumberOf,
    sure: WordOf = "",
) -> Response:
    """Put an earlier set in force again; 0 is the catalogue as it is."""
    operators_only(who, ONLY)
    if sure != "yes":
        return _history(parts, who, page, rows, notice=page.say("ru_not_sure"))
    with writing(parts.deps.engine) as connection:
        found = rule_sets.find_set(connection, rule_set) if rule_set else RuleSet()
        if found is None:
            raise NotFound
        saved = rule_sets.save(connection, found.body, who.name, parts.now_ms())
        audited.about(f"rule set {saved.number}", restored=rule_set)
    return RedirectResponse("/rules/history", 303)


@router.get("/rules/{code}")
def rule_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    code: str,
    place: PlaceAsked,
    draft: Annotated[str, Query(max_length=DRAFT_CHARACTERS)] = "",
) -> Response:
    """One rule at one place: its figures, where they come from, and a draft of others."""
    operators_only(who, ONLY)
    return _rule(parts, who, page, _known_rule(code), place, draft)


@router.post("/rules/{code}/draft")
def make_draft(
    parts: PartsOf,
    who: Actor,
    code: str,
    figures: Annotated[list[str], Form(alias="figure", max_length=FIGURES_AT_MOST)],
    values: Annotated[list[str], Form(alias="value", max_length=FIGURES_AT_MOST)],
    place: PlaceWritten,
) -> Response:
    """What a form says, as a draft in an address."""
    operators_only(who, ONLY)
    rule = _known_rule(code)
    with reading(parts.deps.engine) as connection:
        here = _here(_read(rule_sets.newest(connection)), rule, place)
    allowed = {_name(key): key for key, _ in _all_figures(rule)}
    wanted: dict[Key, Value | None] = {}
    for name, value in zip(figures, values, strict=False):
        if name in allowed:
            key = allowed[name]
            meant = _value(key[1], value.strip()[:60])
            if meant != here.get(key):
                wanted[key] = meant
    audited.about(code)
    return RedirectResponse(_address(rule, place, _packed(wanted)), 303)


@router.post("/rules/{code}/dry-run")
def try_draft(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    code: str,
    place: PlaceWritten,
    draft: DraftOf = "",
) -> Response:
    """Try a draft on what the journal has; its page follows that."""
    operators_only(who, ONLY)
    rule = _known_rule(code)
    audited.about(code)
    with reading(parts.deps.engine) as connection:
        look = _look(connection, parts, who, page, rule, place, draft)
    notice = look.wrong
    if not notice and parts.deps.dry_runs is None:
        notice = page.say("ru_try_away")
    if notice or parts.deps.dry_runs is None:
        return _rule(parts, who, page, rule, place, draft, status=422, notice=notice)
    now_ms = parts.now_ms()
    where = place.compound if look.device is None else look.device.compound
    range_ms = MOST_RANGE_MS if where else DISTRICT_RANGE_MS
    run = DryRun(now_ms, now_ms - range_ms, now_ms, where or None, body_sha256=sha256_of(look.body))
    if not parts.deps.dry_runs.start(run, look.body):
        busy = page.say("ru_busy")
        return _rule(parts, who, page, rule, place, draft, status=409, notice=busy)
    return RedirectResponse(_address(rule, place, draft) + "#tried", 303)


@router.post("/rules/{code}")
def put_in_force(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    code: str,
    place: PlaceWritten,
    draft: DraftOf = "",
    number: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
    sure: WordOf = "",
) -> Response:
    """A draft becomes what holds. number: of the set that it was compared with."""
    operators_only(who, ONLY)
    rule = _known_rule(code)
    notice, status = page.say("ru_not_sure"), 422
    if sure == "yes":
        with writing(parts.deps.engine) as connection:
            look = _look(connection, parts, who, page, rule, place, draft)
            if look.known.number != number:
                notice, status = page.say("ru_moved", n=look.known.number), 409
            elif look.wrong or not look.told:
                notice = look.wrong or page.say("ru_draft_none")
            else:
                saved = rule_sets.save(connection, look.body, who.name, parts.now_ms())
                audited.about(f"rule set {saved.number}", code=code, changes=list(look.told))
                notice = ""
    if notice:
        return _rule(parts, who, page, rule, place, draft, status=status, notice=notice)
    return RedirectResponse("/rules/history", 303)


# What is looked at


@dataclass(frozen=True, slots=True)
class Look:
    """A rule at a place, with a draft of it. body: the rule file that the draft would be.

    here: what is said in just this scope. told: what the draft changes. wrong: why it cannot be.
    makes: vendors and models that the rule can be of.
    """

    known: RuleSet
    before: Overrides
    after: Overrides
    body: str
    device: Device | None
    here: Mapping[Key, Value]
    told: Sequence[str]
    wrong: str
    makes: Sequence[tuple[str, str]]


def _look(
    connection: Connection,
    parts: Parts,
    who: Identity,
    page: Page,
    rule: Rule,
    place: Place,
    draft: str,
) -> Look:
    """Raises NotFound for a compound that there is not, or a draft that is none."""
    if place.compound:
        compounds.find(parts.registry.get(connection), who, place.compound)
    registry = load(connection) if place.device or draft else None
    found = None
    wrong = ""
    if place.device and registry is not None:
        found = registry.devices.get(place.device)
        if found is None:
            wrong = page.say("ru_wrong_device", id=place.device)
        elif rule.kind not in (ANY, found.kind):
            wrong = page.say("ru_wrong_kind", id=place.device)
    if place.is_of_make and rule.kind == COMPOUND:
        wrong = page.say("ru_no_makes")
    known = rule_sets.newest(connection)
    before, _ = read_what_fits(known.body, number=known.number)
    here = _here(before, rule, place)
    wanted = {key: value for key, value in _unpacked(draft).items() if here.get(key) != value}
    after, body = before, known.body
    if wanted and registry is not None and not wrong:
        after = edited(before, rule, place.scope, wanted)
        body = rewritten(known.body, after)
        wrong = _flaws(body, registry)
    told = [] if wrong else told_in_words(page, parts.registry.get(connection), before, after)
    makes = [] if rule.kind == COMPOUND else list_makes(connection, _only_kind(rule))
    return Look(known, before, after, body, found, here, told, wrong, makes)


def _only_kind(rule: Rule) -> str | None:
    return None if rule.kind == ANY else rule.kind


def told_in_words(page: Page, known: Known, before: Overrides, after: Overrides) -> list[str]:
    """What another file changes, figure by figure: where, of which fault, from what to what."""

    def by_key(overrides: Overrides) -> dict[tuple[Scope, str, str | None, str], Value]:
        return {(one.scope, one.code, one.sign, one.figure): one.value for one in overrides.changes}

    was, becomes = by_key(before), by_key(after)
    lines = []
    for key in dict.fromkeys([*was, *becomes]):
        old, new = was.get(key), becomes.get(key)
        if old == new:
            continue
        scope, code, sign, name = key
        rule = RULES.get(code)
        of = None if rule is None or sign is None else named_signs(rule).get(sign)
        old_word, new_word = (
            page.say("ru_unsaid") if value is None else _shown(page, value, name, rule, of)
            for value in (old, new)
        )
        seen = sign if rule is None or of is None else sign_words(page.language, rule, of)
        lines.append(
            page.say(
                "ru_told",
                where=scope_words(page, known, scope),
                fault=_fault_name(page, code),
                figure=" · ".join(filter(None, (seen, _figure_word(page, name)))),
                old=old_word,
                new=new_word,
            )
        )
    return lines


def _here(overrides: Overrides, rule: Rule, place: Place) -> dict[Key, Value]:
    """What is said for just this place."""
    places = (place.scope, replace(place.scope, kind=rule.kind))
    return {
        (one.sign, one.figure): one.value for one in overrides.of(rule.code) if one.scope in places
    }


def _flaws(body: str, registry: Registry) -> str:
    try:
        read(body, registry)
    except BadRules as error:
        return "; ".join(problem.what for problem in error.problems[:5])
    return ""


@dataclass(frozen=True, slots=True)
class FigureLine:
    """A figure in the table and in the form. options: what can be picked; none: it is written."""

    key: str
    word: str
    default: str
    now: str
    origin: str
    is_changed: bool
    placeholder: str
    new: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SignGroup:
    """A sign's figures. raw: its name in a rule file; "" for the rule's own figures."""

    number: int
    raw: str
    name: str
    lines: Sequence[FigureLine]


def _rule(
    parts: Parts,
    who: Identity,
    page: Page,
    rule: Rule,
    place: Place,
    draft: str,
    *,
    status: int = 200,
    notice: str = "",
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        look = _look(connection, parts, who, page, rule, place, draft)
    drafted = _unpacked(draft)
    counting = counting_changes(rule, look.before, _holds(rule, place, look.device))
    effective = changed(rule, counting.values())
    groups = [
        SignGroup(
            number,
            sign or "",
            "" if sign is None else sign_words(page.language, rule, named_signs(rule)[sign]),
            [
                _figure_line(page, known, rule, key, default, effective, counting, drafted, look)
                for key, default in _all_figures(rule)
                if key[0] == sign
            ],
        )
        for number, sign in enumerate((None, *named_signs(rule)))
    ]
    dry_runs = parts.deps.dry_runs
    run = None if dry_runs is None else dry_runs.newest()
    if run is not None and run.body_sha256 != sha256_of(look.body):
        run = None
    where = place.compound or (look.device.compound if look.device is not None else "")
    hours = (MOST_RANGE_MS if where else DISTRICT_RANGE_MS) // 3_600_000
    party = f"party_{rule.party.lower()}"
    return page.render(
        "rule.html",
        status,
        who=who,
        rule=rule,
        name=rule.zh if page.language == "zh" else rule.en,
        lead=page.say(
            "ru_rule_lead",
            kind=_kind_name(page, rule.kind),
            party=page.say(party) if knows(party) else str(rule.party),
        ),
        place=place,
        may_device=rule.kind != COMPOUND,
        here=place.fields,
        at_place=_address(rule, place, ""),
        compounds=[
            (entry.id, named(page.language, entry.name))
            for entry in known.directory.visible(who.scope)
        ],
        groups=[group for group in groups if group.lines],
        draft=draft,
        number=look.known.number,
        told=[] if not draft else look.told,
        wrong=look.wrong,
        makes=look.makes,
        places=_places(page, known, rule, look.before),
        can_try=dry_runs is not None,
        hours=hours,
        run=None if run is None or not draft else _run_view(page, known, run, now_ms),
        in_force=_in_force(page, look.known, now_ms),
        notice=notice,
        as_of=when(now_ms, now_ms),
    )


def _figure_line(
    page: Page,
    known: Known,
    rule: Rule,
    key: Key,
    default: Value,
    effective: Rule | None,
    counting: Mapping[Key, Change],
    drafted: Mapping[Key, Value | None],
    look: Look,
) -> FigureLine:
    sign, name = key
    now: Value = default
    if name == "enabled":
        now = effective is not None
    elif effective is not None:
        now = (
            rule_figure(effective, name)
            if sign is None
            else figure(_sign_of(rule, effective, sign), name)
        )
    change = counting.get(key)
    new = drafted[key] if key in drafted else look.here.get(key)
    options: list[tuple[str, str]] = []
    if name == "enabled":
        words = (("true", "ru_yes"), ("false", "ru_no"))
        options = [("", page.say("ru_as_is")), *((value, page.say(word)) for value, word in words)]
    elif name.endswith("severity"):
        options = [
            ("", page.say("ru_as_is")),
            *((str(one), page.say(one.lower())) for one in Severity),
        ]
    return FigureLine(
        key=_name(key),
        word=page.say(f"ru_f_{name}"),
        default=_shown(page, default, name, rule, named_signs(rule).get(sign or "")),
        now=_shown(page, now, name, rule, named_signs(rule).get(sign or "")),
        placeholder=_written(now),
        origin=page.say("ru_from_catalogue")
        if change is None
        else scope_words(page, known, change.scope),
        is_changed=change is not None,
        new="" if new is None else _written(new),
        options=options,
    )


def scope_words(page: Page, known: Known, scope: Scope) -> str:
    """For what a change holds, in words."""
    words = []
    if scope.compound is not None:
        entry = known.directory.compounds.get(scope.compound)
        words.append(scope.compound if entry is None else named(page.language, entry.name))
    if scope.vendor is not None:
        words.append(f"{page.say('ru_vendor')} {scope.vendor}")
    if scope.model is not None:
        words.append(f"{page.say('ru_model')} {scope.model}")
    if scope.device is not None:
        words.append(scope.device)
    if scope.kind is not None and not words:
        words.append(f"{page.say('ru_everywhere')} {_kind_name(page, scope.kind)}")
    return " · ".join(words) or page.say("ru_everywhere")


@dataclass(frozen=True, slots=True)
class RunView:
    """A dry run in words."""

    state: str
    percent: int
    detail: str
    title: str
    is_empty: bool
    counts: Sequence[tuple[str, str, str, str]]
    only_draft: Sequence[tuple[str, str, str]]
    only_today: Sequence[tuple[str, str, str]]
    is_same: bool


def _run_view(page: Page, known: Known, run: DryRun, now_ms: int) -> RunView:
    result = run.result or {}
    span = {"start": when(run.from_ms, now_ms), "end": when(run.to_ms, now_ms)}
    codes = [one for one in _rows(result.get("codes")) if one["today"] or one["changed"]]
    counts = []
    for one in codes:
        today, draft = int(str(one["today"])), int(str(one["changed"]))
        difference = f"{draft - today:+d}" if draft != today else "0"
        counts.append((_fault_name(page, str(one["code"])), str(today), str(draft), difference))
    sides = [
        [
            (
                _fault_name(page, str(one["code"])),
                _subject(page, known, one),
                str(one["since"])[:19].replace("T", " "),
            )
            for one in _rows(result.get(side))[:FAULTS_SHOWN]
        ]
        for side in ("only_changed", "only_today")
    ]
    return RunView(
        state=run.state,
        percent=run.percent,
        detail=run.detail,
        title=page.say("ru_tried", n=grouped(int(str(result.get("messages", 0)))), **span),
        is_empty=result.get("judged_from") is None,
        counts=counts,
        only_draft=sides[0],
        only_today=sides[1],
        is_same=not sides[0] and not sides[1],
    )


def _rows(value: object) -> list[Mapping[str, object]]:
    return list(value) if isinstance(value, list) else []


def _subject(page: Page, known: Known, fault: Mapping[str, object]) -> str:
    entry = known.directory.compounds.get(str(fault.get("compound")))
    place = "" if entry is None else named(page.language, entry.name)
    subject = str(fault["subject"])
    return f"{place} {subject}".strip() if subject != fault.get("compound") else place


# The history


@dataclass(frozen=True, slots=True)
class SetLine:
    """A set of rules in the history, in words."""

    number: int
    by: str
    told: Sequence[str]
    body: str
    is_current: bool


def _history(
    parts: Parts, who: Identity, page: Page, rows: paging.Page, *, notice: str = ""
) -> Response:
    now_ms = parts.now_ms()
    limit = min(rows.limit, SETS_SHOWN)
    below = rows.position[0] if rows.position else None
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        current = rule_sets.newest(connection).number
        found = rule_sets.list_sets(connection, below=below, limit=limit + 1)
    shown = found[:limit]
    befores: Iterable[RuleSet] = [*found[1:], RuleSet()]
    lines = [
        SetLine(
            number=one.number,
            by=page.say("ru_by", who=one.created_by, at=when(one.created_at_ms, now_ms)),
            told=told_in_words(page, known, _read(before), _read(one)),
            body=one.body,
            is_current=one.number == current,
        )
        for one, before in zip(shown, befores, strict=False)
    ]
    older = "" if len(found) <= limit else page.address(cursor=rows.cursor([shown[-1].number]))
    return page.render(
        "rule_history.html",
        422 if notice else 200,
        who=who,
        lines=lines,
        older=older,
        is_first=below is None,
        current=current,
        notice=notice,
    )


# Small things


def _known_rule(code: str) -> Rule:
    rule = RULES.get(code)
    if rule is None or rule.kind == PLATFORM:
        raise NotFound
    return rule


def _all_figures(rule: Rule) -> list[tuple[Key, Value]]:
    """Everything of a rule that a file can change, with what the catalogue says."""
    found: list[tuple[Key, Value]] = []
    if not rule.safety:
        found.append(((None, "enabled"), True))
    if not rule.signs:
        found.append(((None, "severity"), str(rule.severity)))
    for name in RULE_FIGURES:
        value = rule_figure(rule, name)
        if value is not None:
            found.append(((None, name), value))
    for sign_name, sign in named_signs(rule).items():
        for name in SIGN_FIGURES:
            value = figure(sign, name)
            if value is not None:
                found.append(((sign_name, name), value))
    return found


def _holds(rule: Rule, place: Place, device: Device | None) -> Holds:
    if device is not None:
        return lambda scope: scope.holds(device)
    if place.device:  # there is no such device: what holds for everybody
        return lambda scope: scope == Scope()
    if place.scope != Scope():
        kind = None if rule.kind in (ANY, COMPOUND) else rule.kind
        wider = set(replace(place.scope, kind=kind).wider())
        return lambda scope: scope in wider
    if rule.kind in (ANY, COMPOUND):
        return lambda scope: scope == Scope()
    return lambda scope: scope.holds_all(rule.kind)


def _sign_of(rule: Rule, effective: Rule, name: str) -> Sign:
    """A sign by the name that it has in the catalogue, as it is now."""
    return effective.signs[list(named_signs(rule)).index(name)]


def _rule_line(page: Page, rule: Rule, overrides: Overrides, places: int) -> RuleLine:
    effective = overrides.applied(rule, _holds(rule, Place(), None))
    shown = effective or rule
    severity = shown.severity.lower()
    return RuleLine(
        code=rule.code,
        name=rule.zh if page.language == "zh" else rule.en,
        severity="suspected" if rule.suspected else severity,
        word=page.say(severity),
        signs=[_sign_line(page, shown, sign) for sign in shown.signs],
        raw=list(named_signs(shown)),
        places=places,
        is_off=effective is None,
        is_safety=rule.safety,
    )


def _sign_line(page: Page, rule: Rule, sign: Sign) -> tuple[str, str]:
    lasts = ""
    if figure(sign, "delay_s") is not None:
        lasts = delay(page.language, sign.delay_s)
        lasts = page.say("ru_waits", span=lasts) if sign.delay_s else lasts
    return sign_words(page.language, rule, sign), lasts


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """Where a rule is changed. address: of its page there. back: of a draft without the change."""

    words: str
    count: int
    address: str
    back: str


def _places(page: Page, known: Known, rule: Rule, overrides: Overrides) -> list[PlaceLine]:
    """All scopes that change a rule, the widest first; those of a kind are the district's own."""
    by_place: dict[Place, dict[Key, Value | None]] = {}
    scopes: dict[Place, Scope] = {}
    for one in overrides.of(rule.code):
        scope = one.scope
        if scope.kind not in (None, rule.kind) or (scope.device and scope.compound):
            continue  # written by hand, more precise than the page can ask for
        place = Place(
            scope.compound or "", scope.device or "", scope.vendor or "", scope.model or ""
        )
        by_place.setdefault(place, {})[(one.sign, one.figure)] = None
        scopes.setdefault(place, scope)
    return [
        PlaceLine(
            scope_words(page, known, scopes[place]),
            len(figures),
            _address(rule, place, ""),
            _address(rule, place, _packed(figures)),
        )
        for place, figures in by_place.items()
    ]


def _in_force(page: Page, known: RuleSet, now_ms: int) -> str:
    if not known.number:
        return page.say("ru_untouched")
    at = when(known.created_at_ms, now_ms)
    return page.say("ru_in_force", n=known.number, who=known.created_by, at=at)


def _read(rule_set: RuleSet) -> Overrides:
    return read_what_fits(rule_set.body, number=rule_set.number)[0]


def _fault_name(page: Page, code: str) -> str:
    rule = RULES.get(code)
    return code if rule is None else (rule.zh if page.language == "zh" else rule.en)


def _kind_name(page: Page, kind: str) -> str:
    known = KINDS.get(kind)
    if known is None:
        return page.say(f"hp_kind_{kind}")
    return named(page.language, Name(known.zh, known.en))


def _figure_word(page: Page, name: str) -> str:
    """A figure beside a value that has its unit."""
    return page.say(f"ru_f_{name}").removesuffix("（秒）").removesuffix(" (s)")


def _name(key: Key) -> str:
    """A figure in a form."""
    return f"{key[0] or ''}|{key[1]}"


def _value(figure_name: str, text: str) -> Value | None:
    """What was written, as the file has it; what is no number stays text, and is refused there."""
    if not text:
        return None
    if figure_name == "enabled":
        return {"true": True, "false": False}.get(text, text)
    if figure_name in ("raises", "clears") or figure_name.endswith("severity"):
        return text.replace("≥", ">=").replace("≤", "<=").replace(" ", "")
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shown(
    page: Page, value: Value, name: str = "", rule: Rule | None = None, sign: Sign | None = None
) -> str:
    """A figure as people read it: times in a unit that fits, limits with theirs."""
    if isinstance(value, bool):
        return page.say("ru_yes" if value else "ru_no")
    if name.endswith("_s") and not isinstance(value, str):
        return delay(page.language, value)
    if name in ("raises", "clears") and rule is not None and sign is not None:
        return level(page.language, str(value), unit_of_sign(rule.kind, sign))
    if name.endswith("severity") and knows(str(value).lower()):
        return page.say(str(value).lower())
    return _written(value)


def _packed(wanted: Mapping[Key, Value | None]) -> str:
    body = msgspec.json.encode([[*key, value] for key, value in wanted.items()])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


_decode = msgspec.json.Decoder(list[tuple[str | None, str, str | int | float | bool | None]]).decode


def _unpacked(draft: str) -> dict[Key, Value | None]:
    """Raises NotFound for what is no draft."""
    if not draft:
        return {}
    try:
        body = base64.b64decode(draft + "=" * (-len(draft) % 4), altchars=b"-_", validate=True)
        found = _decode(body)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise NotFound from error
    return {(sign, name): value for sign, name, value in found[:FIGURES_AT_MOST]}


def _address(rule: Rule, place: Place, draft: str) -> str:
    query = urlencode([*place.fields, *([("draft", draft)] if draft else [])])
    return f"/rules/{rule.code}" + (f"?{query}" if query else "")
