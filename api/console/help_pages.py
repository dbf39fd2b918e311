"""Help: what each word, shape and key means, and the catalogue of all faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.console.pages import Page, PageOf
from api.identity import Reader
from api.words import duration, knows, named
from devices.catalogue import RULES
from devices.kinds import KINDS
from devices.messages import Reason
from devices.registry import Name
from devices.rules import Rule

FIND_AT_MOST = 60  # letters

# The terms of the glossary, in the order in which they are read.
TERMS: Mapping[str, tuple[str, ...]] = {
    "tm_faults": (
        "severity",
        "suspected",
        "suppressed",
        "acknowledge",
        "deadline",
        "cleared",
        "shelved",
        "maintenance",
        "impact",
        "responsible",
        "open",
        "overdue",
        "answered",
        "safety",
        "late",
    ),
    "tm_devices": (
        "online",
        "offline",
        "unknown",
        "stale",
        "clocks",
        "evidence",
        "parent",
        "unknown_sender",
        "synthetic",
    ),
    "tm_usage": (
        "lamp_on_rate",
        "coverage",
        "provisional",
        "final",
        "correction",
        "exclusion",
        "availability",
        "session",
        "full_occupied",
        "utilisation",
        "turnover",
        "denial_rate",
    ),
    "tm_alerts": (
        "target",
        "route",
        "roster",
        "stand_in",
        "escalation",
        "receipt",
        "quiet_hours",
        "dry_run",
    ),
    "tm_rules": ("threshold", "raises", "clears", "delay", "role", "token", "audit"),
    "tm_data": (
        "balance",
        "stored",
        "duplicate",
        "quarantine",
        "replay",
        "pending",
        "partial",
        "lag",
        "probe",
        "journal",
    ),
}

router = APIRouter(include_in_schema=False)


@router.get("/help")
def help_page(who: Reader, page: PageOf) -> Response:
    """The glossary."""
    return page.render("help.html", who=who, groups=TERMS, reasons=tuple(Reason))


@dataclass(frozen=True, slots=True)
class FaultLine:
    """A kind of fault in a list, in words."""

    code: str
    name: str
    severity: str
    word: str
    party: str
    delay: str
    advice: str
    is_safety: bool
    is_suspected: bool


@router.get("/help/faults")
def catalogue_page(
    who: Reader,
    page: PageOf,
    find: Annotated[str, Query(max_length=FIND_AT_MOST)] = "",
) -> Response:
    """All faults that there are, by what they befall; some 90, so all on one page."""
    wanted = find.strip().casefold()
    groups: dict[str, list[FaultLine]] = {}
    for rule in RULES.values():
        line = _line(page, rule)
        if wanted in f"{line.code} {rule.zh} {rule.en}".casefold():
            groups.setdefault(_kind(page, rule.kind), []).append(line)
    return page.render(
        "catalogue.html", who=who, groups=groups, find=find, count=len(RULES), most=FIND_AT_MOST
    )


def _kind(page: Page, kind: str) -> str:
    known = KINDS.get(kind)
    return (
        page.say(f"hp_kind_{kind}")
        if known is None
        else named(page.language, Name(known.zh, known.en))
    )


def _line(page: Page, rule: Rule) -> FaultLine:
    in_zh = page.language == "zh"
    delays = {sign.delay_s for sign in rule.signs}
    if not delays:
        delay = page.say("hp_by_rule")
    elif (least := min(delays)) > 0:
        delay = duration(page.language, least)
    else:
        delay = page.say("hp_at_once")
    severity = rule.severity.lower()
    party = f"party_{rule.party.lower()}"
    return FaultLine(
        code=rule.code,
        name=rule.zh if in_zh else rule.en,
        severity="suspected" if rule.suspected else severity,
        word=page.say(severity),
        party=page.say(party) if knows(party) else str(rule.party),
        delay=delay,
        advice=rule.advice_zh if in_zh else rule.advice_en,
        is_safety=rule.safety,
        is_suspected=rule.suspected,
    )
