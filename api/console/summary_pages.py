"""The console's page of daily summaries: what each target was told of its days, and the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import paging
from api.console.pages import Page, PageOf
from api.identity import Reader
from api.instants import when
from api.parts import PartsOf
from api.words import named, say
from devices.alerts import TARGETS_AT_MOST
from devices.store.database import reading
from devices.store.summaries import Told, list_summaries
from devices.store.targets import list_targets
from devices.summaries import Counts, Lamps, Worst

SHOWN = 20  # each with what was in it
COMPOUNDS_SHOWN, LAMPS_SHOWN = 30, 20  # of the hundreds that one may have

router = APIRouter(include_in_schema=False)

TargetOf = Annotated[str, Query(max_length=64, description="Only what this target was told.")]


@dataclass(frozen=True, slots=True)
class Line:
    """One summary in words. span: what it is of. more_*: so many were told and are not shown."""

    day: str
    whose: str
    span: str
    target: str
    target_id: str
    channel: str
    counts: Counts
    state: str
    state_word: str
    at: str
    tries: str
    answer: str
    worst: Sequence[tuple[Worst, str, str, str]]  # and what, where and since when, in words
    compounds: Sequence[tuple[str, Counts]]
    more_compounds: int
    lamps: Sequence[tuple[str, str]]  # where; how many of what
    more_lamps: int


@router.get("/alerts/summaries")
def summaries_page(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, target: TargetOf = ""
) -> Response:
    """Those of the last 35 days, the newest first."""
    now_ms = parts.now_ms()
    most = min(rows.limit, SHOWN)
    with reading(parts.deps.engine) as connection:
        targets = list_targets(connection, who.scope, limit=TARGETS_AT_MOST)
        found = list_summaries(
            connection,
            who.scope,
            target=target or None,
            behind=rows.behind,
            limit=most + 1,
        )
    shown = found[:most]
    older = ""
    if len(found) > most:
        older = page.address(cursor=rows.cursor([shown[-1].created_at_ms, shown[-1].target]))
    return page.render(
        "alert_summaries.html",
        who=who,
        lines=[_line(page, one, now_ms) for one in shown],
        targets=[(one.id, one.name) for one in targets],
        asked=target,
        older=older,
    )


def _line(page: Page, told: Told, now_ms: int) -> Line:
    language, summary = page.language, told.summary
    at_ms = told.done_at_ms or told.attempted_at_ms or told.created_at_ms
    whose = say(language, "sm_district")
    if summary.firm_name is not None:
        whose = named(language, summary.firm_name)
    return Line(
        day=summary.day,
        whose=whose,
        span=page.say("sm_span", start=when(summary.from_ms, None), end=when(summary.to_ms, None)),
        target=told.target_name,
        target_id=told.target,
        channel=page.say(f"ch_{told.channel.value}"),
        counts=summary.counts,
        state=told.state.value,
        state_word=page.say(f"ds_{told.state}"),
        at=when(at_ms, now_ms),
        tries=page.say("al_attempts", n=told.attempts) if told.attempts > 1 else "",
        answer=told.answer or "",
        worst=[
            (one, named(language, one.name), _where(page, one), when(one.since_ms, now_ms))
            for one in summary.worst
        ],
        compounds=[
            (named(language, one.name), one.counts) for one in summary.compounds[:COMPOUNDS_SHOWN]
        ],
        more_compounds=max(0, len(summary.compounds) - COMPOUNDS_SHOWN),
        lamps=[_lamps(page, one) for one in summary.lamps[:LAMPS_SHOWN]],
        more_lamps=max(0, len(summary.lamps) - LAMPS_SHOWN),
    )


def _where(page: Page, one: Worst) -> str:
    compound = "" if one.compound is None else named(page.language, one.compound)
    place = "" if one.where and one.where in one.device else one.where
    return " · ".join(part for part in (compound, place, one.device) if part)


def _lamps(page: Page, one: Lamps) -> tuple[str, str]:
    parts = (named(page.language, one.compound), one.building, one.unit)
    names = (page.say("sm_times", name=named(page.language, name), n=n) for name, n in one.names)
    return " ".join(part for part in parts if part), page.say("sep").join(names)
