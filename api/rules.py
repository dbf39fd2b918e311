"""The fault catalogue, what is changed of it, and what a change would have done.

Only operators see and change what is changed: it concerns compounds of every firm.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from api import audited, compounds, shapes
from api.devices import check_kind
from api.errors import Away, Forbidden, Moved, NotFound, Problem
from api.identity import Actor, Identity, Reader, Role
from api.instants import DISTRICT_ZONE, parse_range, print_instant
from api.paging import PageOf
from api.parts import DryRun, DryRuns, Parts, PartsOf
from devices.catalogue import ANY, COMPOUND, RULES
from devices.overrides import (
    SIGN_FIGURES,
    Overrides,
    RuleSet,
    Scope,
    differences,
    figure,
    named_signs,
)
from devices.registry import Registry
from devices.rule_files import BadRules, read, read_what_fits
from devices.rules import Rule
from devices.store import rule_sets
from devices.store.database import reading, writing
from devices.store.registry import load

MOST_RANGE_MS = 48 * 3_600_000
OPERATORS = "Only operators see and change the figures of rules: ask one of them."

router = APIRouter(prefix="/v1", tags=["rules"], responses=shapes.refusals.PROBLEMS)


class BadRuleFile(Problem):
    """A rule file with errors: each with its line and what would be right."""

    status, slug, title = 422, "bad-rule-file", "Bad rule file"

    def __init__(self, error: BadRules) -> None:
        errors = [{"line": one.line, "detail": one.what} for one in error.problems]
        super().__init__(f"Nothing was changed. {error}", {"errors": errors})


@router.get("/rules")
def list_all(
    parts: PartsOf,
    who: Reader,  # noqa: ARG001 - the catalogue is the same for all who are known
    page: PageOf,
    kind: Annotated[str | None, Query(description="Rules of this kind of device alone.")] = None,
) -> shapes.rules.Rules:
    """The rules of all faults, by code, with the figures that hold where nothing else is said."""
    if kind is not None:
        check_kind(kind)
    with reading(parts.deps.engine) as connection:
        overrides, _ = _in_force(connection)
    rules = [
        RULES[code]
        for code in sorted(RULES)
        if kind in (None, RULES[code].kind) and (page.position is None or code > page.position[0])
    ]
    shown, cursor = page.split(rules[: page.limit + 1], lambda rule: [rule.code])
    return shapes.rules.Rules(items=[_shape(rule, overrides) for rule in shown], next_cursor=cursor)


@router.get("/rules/overrides", responses=shapes.refusals.OPERATORS_ONLY)
def get_overrides(parts: PartsOf, who: Reader) -> shapes.rules.RuleSet:
    """The rule file in force, and what it changes; `number` 0 where there never was one."""
    _check_operator(who)
    with reading(parts.deps.engine) as connection:
        return _told(rule_sets.newest(connection), [])


@router.put("/rules/overrides", responses=shapes.refusals.OPERATORS_ONLY)
def put_overrides(parts: PartsOf, who: Actor, body: shapes.rules.NewRules) -> shapes.rules.RuleSet:
    """Put a rule file in the place of the one before: all of it, or nothing.

    `differences` says what that changes. The judge takes it up within 5 s. An empty file takes
    every change back. What is wrong with it is in `errors`, each with its line.
    """
    _check_operator(who)
    with writing(parts.deps.engine) as connection:
        after = _read(body.body, load(connection))
        before, _ = _in_force(connection)
        saved = rule_sets.save(connection, body.body, who.name, parts.now_ms())
        audited.about(f"rule set {saved.number}")
    return _told(saved, list(differences(before, after)))


@router.post("/rules/dry-run", status_code=202, responses=shapes.refusals.DRY_RUN_REFUSED)
def start_dry_run(parts: PartsOf, who: Actor, body: shapes.rules.NewDryRun) -> shapes.rules.DryRun:
    """Judge a range of the journal by a rule file, beside the rules of today; see the GET.

    At most 48 hours, one run at a time; nothing is written anywhere.
    """
    _check_operator(who)
    runs = _runs(parts)
    with reading(parts.deps.engine) as connection:
        if body.compound is not None:
            compounds.find(parts.registry.get(connection), who, body.compound)
        _read(body.body, load(connection))
    now_ms = parts.now_ms()
    asked = parse_range(body.start, body.end, DISTRICT_ZONE, now_ms)
    to_ms = asked.to_ms or now_ms
    from_ms = asked.from_ms if asked.from_ms is not None else to_ms - MOST_RANGE_MS
    run = DryRun(
        now_ms,
        max(from_ms, to_ms - MOST_RANGE_MS),
        to_ms,
        body.compound,
        body_sha256=sha256_of(body.body),
    )

    def start() -> shapes.rules.DryRun:
        if not runs.start(run, body.body):
            more = {}
            if (present := runs.newest()) is not None:
                more["dry_run"] = _run(present).model_dump(mode="json")
            detail = "A dry run is under way; ask again when it is done. Nothing was started."
            raise Moved(detail, more)
        return _run(run)

    with writing(parts.deps.engine) as connection:
        return who.once.do(connection, now_ms, shapes.rules.DryRun, start)


@router.get("/rules/dry-run", responses=shapes.refusals.OPERATORS_ONLY)
def get_dry_run(parts: PartsOf, who: Reader) -> shapes.rules.DryRun:
    """The newest dry run of this API process: how far it is, and what came of it."""
    _check_operator(who)
    run = _runs(parts).newest()
    if run is None:
        raise NotFound  # none since this API was started
    return _run(run)


def sha256_of(body: str) -> str:
    """By which a dry run is known to be of this rule file."""
    return sha256(body.encode(errors="replace")).hexdigest()


def _check_operator(who: Identity) -> None:
    if who.role is not Role.OPERATOR:
        raise Forbidden(OPERATORS)


def _runs(parts: Parts) -> DryRuns:
    if parts.deps.dry_runs is None:
        raise Away("Dry runs need the journal, which is not where this API runs.")
    return parts.deps.dry_runs


def _read(text: str, registry: Registry) -> Overrides:
    try:
        return read(text, registry)
    except BadRules as error:
        raise BadRuleFile(error) from error


def _in_force(connection: Connection) -> tuple[Overrides, list[str]]:
    known = rule_sets.newest(connection)
    overrides, problems = read_what_fits(known.body, number=known.number)
    return overrides, [str(problem) for problem in problems]


def _told(rule_set: RuleSet, told: Sequence[str]) -> shapes.rules.RuleSet:
    overrides, problems = read_what_fits(rule_set.body, number=rule_set.number)
    return shapes.rules.RuleSet(
        number=rule_set.number,
        body=rule_set.body,
        created_by=rule_set.created_by or None,
        created_at=print_instant(rule_set.created_at_ms) if rule_set.number else None,
        changes=[
            shapes.rules.RuleChange(
                scope={
                    name: value
                    for name in ("device", "model", "vendor", "compound", "kind")
                    if (value := getattr(change.scope, name)) is not None
                },
                code=change.code,
                sign=change.sign,
                figure=change.figure,
                value=change.value,
                line=change.line,
            )
            for change in overrides.changes
        ],
        problems=[str(problem) for problem in problems],
        differences=list(told),
    )


def _run(run: DryRun) -> shapes.rules.DryRun:
    return shapes.rules.DryRun.model_validate(
        {
            "state": run.state,
            "percent": run.percent,
            "detail": run.detail,
            "started_at": print_instant(run.started_at_ms),
            "from": print_instant(run.from_ms),
            "to": print_instant(run.to_ms),
            "compound": run.compound,
            "result": run.result,
        }
    )


def _shape(rule: Rule, overrides: Overrides) -> shapes.rules.Rule:
    """A rule with the figures that hold everywhere, or for all of its kind."""

    def holds(scope: Scope) -> bool:
        return scope == Scope() if rule.kind in (ANY, COMPOUND) else scope.holds_all(rule.kind)

    now = overrides.applied(rule, holds)
    effective = now or rule
    return shapes.rules.Rule(
        code=rule.code,
        kind=rule.kind,
        name=shapes.basics.Words(zh=rule.zh, en=rule.en),
        enabled=now is not None,
        severity=effective.severity.value,
        safety=rule.safety,
        suspected=rule.suspected,
        acknowledge=rule.acknowledge,
        responsible=rule.party.value,
        advice=shapes.basics.Words(zh=rule.advice_zh, en=rule.advice_en),
        clear_delay_s=effective.clear_delay_s,
        repeated=_repeated(effective),
        signs=[
            shapes.rules.Sign(
                name=name,
                safety=rule.safety or sign.safety,
                figures={
                    what: value
                    for what in SIGN_FIGURES
                    if (value := figure(sign, what)) is not None
                },
            )
            for name, sign in zip(named_signs(rule), effective.signs, strict=True)
        ],
    )


def _repeated(rule: Rule) -> shapes.rules.Repeated | None:
    often = rule.repeated
    if often is None:
        return None
    return shapes.rules.Repeated(
        times=often.times, within_s=often.within_s, severity=often.severity.value
    )
