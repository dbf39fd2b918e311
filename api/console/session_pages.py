"""The page of a charging session: when, how much, why it stopped, and what its power did."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from api.console import curves
from api.console.device_pages import FromOf, ToOf
from api.console.device_readings import curve_view, picked_range, range_text, read, stretch_of
from api.console.naming import compound_name
from api.console.pages import Page, PageOf
from api.console.usage_views import stop_class
from api.errors import NotFound
from api.identity import Reader
from api.instants import print_instant, when, zone_of
from api.parts import PartsOf
from api.reports.words import UNKNOWN, number, share, value_name
from api.telemetry import MOST_DAYS
from api.words import Language, duration, named, say
from devices.catalogue import RULES
from devices.days import DAY_MS
from devices.reconciliation import STATUS_WORDS, WORDS, Status
from devices.rules import Stopped
from devices.sessions import EndedBy, Session, SessionState, reconciled
from devices.stop_reasons import StopClass
from devices.store.database import reading
from devices.store.devices import find_device
from devices.store.sessions import find_session, silent_ports

CURVE = "power_w"
AFTER_MS = 120_000  # of the end that is drawn too: the fall shows that it is over

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class EnergyLine:
    """One of the three ways to tell the energy, in words."""

    name: str
    value: str
    note: str


@router.get("/sessions/{session}")
def session_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    session: str,
    start: FromOf = "",
    end: ToOf = "",
) -> Response:
    """One charging session. start, end: what its curve shows, where that is not all of it."""
    now_ms = parts.now_ms()
    language = page.language
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = find_session(connection, who.scope, session)
        entry = None if found is None else known.directory.compounds.get(found.compound)
        if found is None or entry is None:
            raise NotFound
        port = find_device(connection, who.scope, found.port, blind=False)
        shed = find_device(connection, who.scope, found.shed, blind=False)
        is_open = found.state is SessionState.OPEN
        is_silent = is_open and bool(silent_ports(connection, [found.port], now_ms))
    curve, zoom, shown = None, "", ""
    interval_s = 60 if port is None else port.interval_s
    if found.started_at_ms is not None:
        ends_ms = now_ms if found.ended_at_ms is None else found.ended_at_ms + AFTER_MS
        zone = zone_of(entry.timezone)
        from_ms, to_ms = found.started_at_ms, min(ends_ms, now_ms)
        if start or end:
            from_ms, to_ms = picked_range(start, end, zone, now_ms)
        of = stretch_of(from_ms, to_ms, now_ms, "port", interval_s, CURVE)
        buckets = read(parts, "port", found.port, CURVE, of)
        if buckets is not None:
            sizes = (("wide", curves.WIDE), ("narrow", curves.NARROW))
            curve = curve_view(language, "port", CURVE, buckets, of, zone, sizes, "")
        shown = range_text(of, zone)
        begins, ends = print_instant(of.from_ms), print_instant(of.to_ms)
        zoom = f"/devices/{found.port}?quantity={CURVE}&from={begins}&to={ends}#readings"
    lasted_s = found.duration_s
    if lasted_s is None and is_open and found.started_at_ms is not None:
        lasted_s = (now_ms - found.started_at_ms) // 1000
    held = reconciled(found)
    return page.render(
        "session.html",
        who=who,
        session=found,
        port=found.port if port is None else port.name,
        shed=found.shed if shed is None else shed.name,
        compound=compound_name(language, known.directory.compounds, found.compound),
        started=UNKNOWN if found.started_at_ms is None else when(found.started_at_ms, now_ms),
        ended=UNKNOWN if found.ended_at_ms is None else when(found.ended_at_ms, now_ms),
        lasted=UNKNOWN if lasted_s is None else duration(language, lasted_s),
        energy=number(found.energy_kwh, 2),
        fee=UNKNOWN
        if found.fee_fen is None
        else page.say("se_yuan", n=number(found.fee_fen, 2, 0.01)),
        state=page.say("se_silent" if is_silent else f"se_{found.state}"),
        ended_by="" if found.ended_by is None else page.say(f"se_by_{found.ended_by}"),
        is_inferred=found.ended_by is EndedBy.PLATFORM,
        why=""
        if found.stop_reason is None
        else value_name(language, "stop_reasons", found.stop_reason),
        who_answers="" if found.stop_reason is None else who_answers(language, found.stop_reason),
        is_fault=stop_class(found.stop_reason) is StopClass.FAULT,
        ways=_ways(page, found),
        verdict=named(language, STATUS_WORDS[held.status]),
        verdict_why=named(language, WORDS[held.why]),
        is_apart=held.status is Status.APART,
        compared=[
            page.say(
                "se_compare",
                one=page.say(f"se_{one}"),
                other=page.say(f"se_{other}"),
                apart=f"{apart:.1f}",
            )
            for one, other, apart in held.apart_pct
        ],
        curve=curve,
        zoom=zoom,
        shown=shown,
        most_ms=MOST_DAYS * DAY_MS,
        as_of=when(now_ms, now_ms),
    )


def who_answers(language: Language, stop_reason: str) -> str:
    """Who is to do something about a session that stopped for this, in a sentence."""
    match stop_class(stop_reason):
        case StopClass.NORMAL:
            return say(language, "se_normal")
        case StopClass.RESIDENT:
            return say(language, "se_resident")
        case StopClass.FAULT:
            for rule in RULES.values():
                for sign in rule.signs:
                    detector = sign.detector
                    if isinstance(detector, Stopped) and stop_reason in detector.reasons:
                        party = say(language, f"party_{rule.party}")
                        return say(language, "se_fault", party=party)
            return say(language, "se_fault_unknown")
    return say(language, "se_none")


def _ways(page: Page, session: Session) -> Sequence[EnergyLine]:
    """The energy as the board said it, as its register and as its power tell it."""
    is_reported = session.ended_by is not EndedBy.PLATFORM
    measured = session.measured

    def kwh(value: float | None) -> str:
        return UNKNOWN if value is None else f"{value:.3f} kWh"

    lines = [
        EnergyLine(
            page.say("se_reported" if is_reported else "se_read"),
            kwh(session.energy_kwh),
            page.say("se_reported_means") if is_reported else page.say("se_by_platform"),
        )
    ]
    if measured is not None:
        lines += [
            EnergyLine(
                page.say("se_register"),
                kwh(measured.register_kwh),
                page.say("se_register_means", share=share(measured.register_known)),
            ),
            EnergyLine(
                page.say("se_power"),
                kwh(measured.power_kwh),
                page.say("se_power_means", share=share(measured.power_known)),
            ),
        ]
    return lines
