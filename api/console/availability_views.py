"""Availability by kind in words, for the page of a compound: the figures of `/v1/kpis`.

A share stands beside the part of the time that is known; what nobody knows is a dash, never 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from api.console.pages import Page
from api.kpis import Reach
from api.reports.words import UNKNOWN, number, share
from api.reports.words import say as say_of_reports
from api.usage import status
from api.words import duration, grouped
from devices.days import zone_of
from devices.kpis import Availability
from devices.spans import length_ms
from devices.usage import HOUR_MS

# As reports have them, and sockets: these are out with their shed.
KINDS = ("gate", "shed", "port", "lamp", "camera", "lift", "gateway")


@dataclass(frozen=True, slots=True)
class KindLine:
    """Devices of a kind. own: without outages of power and network; known: of the time in service
    but planned work; out, upstream, planned: device-hours."""

    name: str
    devices: str
    share: str
    own: str
    known: str
    out: str
    upstream: str
    planned: str


@dataclass(frozen=True, slots=True)
class AvailabilityView:
    """notes: what the figures are, and what is left out of them."""

    lines: Sequence[KindLine]
    is_final: bool
    notes: Sequence[str]
    csv: str


def view(page: Page, reach: Reach, csv: str) -> AvailabilityView:
    """csv: where it can be had as a file."""
    zone = zone_of(reach.entry.timezone)
    return AvailabilityView(
        lines=list(_lines(page, reach)),
        is_final=status(reach.to_ms, zone, reach.now_ms) == "final",
        notes=list(_notes(page, reach)),
        csv=csv,
    )


def _lines(page: Page, reach: Reach) -> Iterator[KindLine]:
    for kind in KINDS:
        part = reach.kinds.get(kind)
        if part is None or not part.devices:
            continue
        yield _line(say_of_reports(page.language, f"k_{kind}"), part)
        if kind == "port":
            yield _line(page.say("av_usable"), reach.usable)


def _notes(page: Page, reach: Reach) -> Iterator[str]:
    yield page.say("av_means")
    for kind in ("lamp", "port"):
        if kind in reach.kinds:
            yield page.say(f"av_means_{kind}")
    unheard_ms = length_ms(reach.unheard)
    if unheard_ms:
        yield page.say("av_unheard", time=duration(page.language, unheard_ms / 1000))


def _line(name: str, part: Availability) -> KindLine:
    wanted_ms = part.known_ms + part.unknown_ms
    return KindLine(
        name=name,
        devices=grouped(part.devices),
        share=share(part.share, 2),
        own=share(part.own_share, 2),
        known=share(part.known_ms / wanted_ms if wanted_ms else None),
        out=_hours(part.out_ms) if part.known_ms else UNKNOWN,
        upstream=_hours(part.upstream_ms) if part.known_ms else UNKNOWN,
        planned=_hours(part.planned_ms),
    )


def _hours(time_ms: int) -> str:
    return number(time_ms / HOUR_MS, 1)
