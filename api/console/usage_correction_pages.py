"""The console's page of corrections of final days: what was corrected, and a new one.

It is looked at before it is recorded: the page shows the day before and after it, and what is
recorded is what was looked at. Works without scripts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from math import isfinite
from typing import Annotated

from fastapi import APIRouter, Form
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import compounds, paging, shapes, usage_corrections
from api.console.pages import Page, PageOf
from api.console.usage_views import KIND_OF
from api.errors import Away, BadParameter, Moved, Problem
from api.identity import Actor, Identity, Reader, Role
from api.instants import parse_instant, zone_of
from api.parts import Parts, PartsOf
from api.reports.words import clean, instant, number, row_of, value_name
from api.reports.words import say as say_of_reports
from api.words import Language, named, say
from devices.corrections import FIGURES, shown
from devices.days import local_date, next_midnight
from devices.store.compounds import Entry
from devices.store.corrections import Correction, list_corrections
from devices.store.database import reading
from devices.store.devices import Filter as DeviceFilter
from devices.store.devices import list_devices
from devices.store.scope import Scope
from devices.store.usage_days import sums_of_compound
from devices.usage import HOUR_MS

SHOWN = 10  # each has the sums of its day beside it
OF_A_DAY = 500  # corrections; more of one day nobody makes
DEVICES_SHOWN = 400  # the largest compound has some 110
FIGURES_AT_ONCE = 4  # a total and its parts are stated together
HOURS_SHOWN = 100

router = APIRouter(include_in_schema=False)

WordOf = Annotated[str, Form(max_length=2000)]
WordsOf = Annotated[list[str], Form(max_length=FIGURES_AT_ONCE)]

_PART_OF = {kind: part for part, kind in KIND_OF.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """What somebody wrote into the form. whose: a device, "" for all of the figures' kind."""

    way: str = "stated"
    day: str = ""
    hour: str = ""
    whose: str = ""
    figures: Sequence[str] = ()
    amounts: Sequence[str] = ()
    reason: str = ""
    corrects: str = ""
    digest: str = ""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Each figure with its amount, and empty ones up to as many as there are places."""
        pairs = list(zip(self.figures, self.amounts, strict=False))[:FIGURES_AT_ONCE]
        return pairs + [("", "")] * (FIGURES_AT_ONCE - len(pairs))

    def proposed(self) -> dict[str, object]:
        """As the API takes it. Raises BadParameter."""
        if self.way == "recount":
            return {"day": self.day.strip(), "recount": True}
        kinds: set[str] = set()
        changes: dict[str, float] = {}
        for figure, amount in self.rows:
            if not figure and not amount.strip():
                continue
            kind, _, called = figure.partition(":")
            if kind not in FIGURES:
                raise BadParameter("changes", f"which figure is it that {amount[:20]!r} is of?")
            kinds.add(kind)
            changes[called] = changes.get(called, 0.0) + _amount(kind, called, amount)
        if len(kinds) > 1:
            raise BadParameter("changes", "figures of one kind of device at a time")
        found: dict[str, object] = {"changes": changes}
        hour = self.hour.strip()
        found |= {"hour": f"{self.day.strip()}T{hour}:00"} if hour else {"day": self.day.strip()}
        if self.whose:
            return found | {"device": self.whose}
        return found | {"kind": kinds.pop() if kinds else None}


@router.get("/compounds/{compound}/corrections")
def corrections_page(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, compound: str
) -> Response:
    """What was corrected of the compound's usage, the newest first."""
    return _page(parts, who, page, rows, compound)


@router.post("/compounds/{compound}/corrections")
def correct(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    compound: str,
    way: WordOf = "stated",
    day: WordOf = "",
    hour: WordOf = "",
    whose: WordOf = "",
    reason: WordOf = "",
    corrects: WordOf = "",
    digest: WordOf = "",
    figure: WordsOf = [],  # noqa: B006 - read, and never changed
    amount: WordsOf = [],  # noqa: B006
) -> Response:
    """Show what it would come to; with the digest of what was shown, record it."""
    written = Written(way, day, hour, whose, figure, amount, reason, corrects, digest)
    looked = None
    try:
        proposed = written.proposed()
        if digest:
            more = {"reason": reason, "digest": digest, "corrects": corrects.strip() or None}
            body = shapes.usage.NewCorrection.model_validate(proposed | more)
            usage_corrections.correct(parts, who, compound, body)
            return RedirectResponse(f"/compounds/{compound}/corrections", 303)
        looked = usage_corrections.preview(
            parts, who, compound, shapes.usage.ProposedCorrection.model_validate(proposed)
        )
    except (ValidationError, BadParameter, Away, Moved) as error:
        return _page(parts, who, page, rows, compound, written=written, refused=error)
    return _page(parts, who, page, rows, compound, written=written, looked=looked)


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A figure of the compound's day, before and after."""

    name: str
    unit: str
    before: str
    added: str
    after: str


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """A correction in the list, in words."""

    day: str
    hours: str
    way: str
    whose: str
    changes: Sequence[ChangeLine]
    reason: str
    by: str
    at: str
    revision: int
    corrects: int | None


def _page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    compound: str,
    *,
    written: Written | None = None,
    looked: shapes.usage.CorrectionPreview | None = None,
    refused: Problem | ValidationError | None = None,
) -> Response:
    now_ms = parts.now_ms()
    language = page.language
    may_act = who.role is Role.OPERATOR
    before = rows.behind
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        found = list_corrections(
            connection, who.scope, compound=compound, before=before, limit=SHOWN + 1
        )
        days = {
            day_ms: list_corrections(
                connection,
                who.scope,
                compound=compound,
                from_ms=day_ms,
                to_ms=day_ms + 1,
                limit=OF_A_DAY,
            )
            for day_ms in {one.day_ms for one in found[:SHOWN]}
        }
        devices = _devices(connection, who.scope, entry, now_ms)
        of_day = _of_day(connection, who.scope, entry, looked)
    zone = zone_of(entry.timezone)
    last = found[SHOWN - 1] if len(found) > SHOWN else None
    sums = {day_ms: _sums(parts, who.scope, entry, day_ms, zone) for day_ms in days}
    lines = [
        _line(language, one, sums[one.day_ms], days[one.day_ms], devices, zone)
        for one in found[:SHOWN]
    ]
    return page.render(
        "corrections.html",
        200 if refused is None else getattr(refused, "status", 422),
        who=who,
        name=named(language, entry.name),
        entry=entry,
        lines=lines,
        older=""
        if last is None
        else page.address(cursor=rows.cursor([last.created_at_ms, last.id])),
        may_act=may_act,
        written=written or Written(),
        looked=looked,
        changes=[] if looked is None else _previewed(language, looked),
        hours=[] if looked is None else _hours(language, looked, devices, zone),
        left=[]
        if looked is None
        else [(devices.get(one, one), why) for one, why in looked.left.items()],
        of_day=of_day,
        devices=sorted(devices.items(), key=lambda one: one[1]),
        figures=_choices(language, entry),
        newest=str(local_date(now_ms - 3 * 24 * HOUR_MS, zone)),
        notice="" if refused is None else _why(refused),
    )


def _why(refused: Problem | ValidationError) -> str:
    if isinstance(refused, Problem):
        return refused.detail
    first = refused.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _devices(connection: Connection, scope: Scope, entry: Entry, now_ms: int) -> dict[str, str]:
    """Names of the compound's devices that have figures."""
    found = list_devices(
        connection,
        scope,
        DeviceFilter(compound=entry.id),
        blind=False,
        now_ms=now_ms,
        limit=DEVICES_SHOWN,
    )
    return {one.id: one.name for one in found if one.kind in FIGURES}


def _of_day(
    connection: Connection,
    scope: Scope,
    entry: Entry,
    looked: shapes.usage.CorrectionPreview | None,
) -> list[tuple[str, str]]:
    """Corrections of the day that is looked at, one of which may have been wrong: (id, words)."""
    if looked is None:
        return []
    zone = zone_of(entry.timezone)
    day_ms = parse_instant("day", looked.day, zone)
    found = list_corrections(
        connection, scope, compound=entry.id, from_ms=day_ms, to_ms=day_ms + 1, limit=OF_A_DAY
    )
    return [(one.id, f"{one.revision} · {clean(one.reason)}") for one in found]


def _sums(
    parts: Parts, scope: Scope, entry: Entry, day_ms: int, zone: tzinfo
) -> Mapping[str, Mapping[str, float]]:
    """By kind what is shown of that day now, with all its corrections."""
    to_ms = next_midnight(day_ms, zone)
    (summed,) = sums_of_compound(parts.deps.engine, scope, entry, [day_ms], to_ms)
    return {kind: shown(kind, part.figures) for kind, part in summed.parts.items()}


def _line(
    language: Language,
    one: Correction,
    now: Mapping[str, Mapping[str, float]],
    of_day: Sequence[Correction],
    devices: Mapping[str, str],
    zone: tzinfo,
) -> CorrectionLine:
    later = [other for other in of_day if other.revision > one.revision]
    changes = []
    for kind, added in one.stated.items():
        for called, by in added.items():
            since = sum(other.stated.get(kind, {}).get(called, 0.0) for other in later)
            after = now.get(kind, {}).get(called, 0.0) - since
            changes.append(_change(language, kind, called, after - by, by))
    whose = say_of_reports(language, f"k_{one.kinds[0]}") if len(one.kinds) == 1 else ""
    if one.device is not None:
        whose = devices.get(one.device, one.device)
    whole = one.from_ms <= one.day_ms and one.to_ms >= next_midnight(one.day_ms, zone)
    begin, end = instant(one.from_ms, zone)[11:], instant(one.to_ms, zone)[11:]
    return CorrectionLine(
        day=str(local_date(one.day_ms, zone)),
        hours="" if whole else f"{begin}–{'24:00' if end == '00:00' else end}",
        way=say(language, f"uc_{one.way}"),
        whose=whose,
        changes=changes,
        reason=clean(one.reason, 500),
        by=one.created_by,
        at=instant(one.created_at_ms, zone),
        revision=one.revision,
        corrects=next((other.revision for other in of_day if other.id == one.corrects), None),
    )


def _previewed(language: Language, looked: shapes.usage.CorrectionPreview) -> list[ChangeLine]:
    return [
        _change(language, kind, called, changed.before, changed.added)
        for kind, changes in looked.changes.items()
        for called, changed in changes.items()
    ]


def _hours(
    language: Language,
    looked: shapes.usage.CorrectionPreview,
    devices: Mapping[str, str],
    zone: tzinfo,
) -> list[tuple[str, str, str]]:
    """(hour, whose, what is added) of the first of them."""
    found = []
    for hour in looked.hours[:HOURS_SHOWN]:
        at_ms = parse_instant("start", hour.start, zone)
        words = [
            f"{label.name} {_signed(by * label.scale, label.digits)} {label.unit}".rstrip()
            for called, by in hour.added.items()
            if (label := _label(language, hour.kind, called))
        ]
        if hour.received:
            words.append(say(language, "uc_received", n=hour.received))
        whose = devices.get(hour.device or "", "") or say_of_reports(language, f"k_{hour.kind}")
        found.append((instant(at_ms, zone)[11:], whose, say(language, "sep").join(words)))
    return found


@dataclass(frozen=True, slots=True)
class Label:
    """How a figure is shown: its amount times `scale`."""

    name: str
    unit: str
    scale: float = 1.0
    digits: int = 0


def _label(language: Language, kind: str, called: str) -> Label:
    figure, _, of = called.partition(".")
    if of:
        name = say_of_reports(language, figure)
        return Label(f"{name}{say(language, 'colon')}{value_name(language, figure, of)}", "")
    if f"c_{figure}" in _ONLY_HERE:
        return Label(say_of_reports(language, f"c_{figure}"), say(language, "uc_h"), 1.0, 2)
    row = row_of(_PART_OF[kind], figure)
    unit = named(language, row.unit)
    digits = row.digits if FIGURES[kind][figure].is_count else max(row.digits, 2)
    return Label(named(language, row.name), "" if unit == "n" else unit, row.scale, digits)


_ONLY_HERE = frozenset({"c_session_h", "c_in_use_h", "c_unavailable_h"})


def _amount(kind: str, called: str, amount: str) -> float:
    """What is written, in the unit that the figure is shown in, in that of the API."""
    try:
        by = float(amount.strip().replace("−", "-").replace(",", ""))
    except ValueError:
        by = float("nan")
    if not isfinite(by):
        raise BadParameter("changes", f"{called[:60]}: {amount[:20]!r} is no number")
    figure = called.partition(".")[0]
    known = FIGURES[kind]
    return round(by / _label("en", kind, called).scale, 6) if figure in known else by


def _change(language: Language, kind: str, called: str, before: float, by: float) -> ChangeLine:
    label = _label(language, kind, called)
    return ChangeLine(
        label.name,
        label.unit,
        number(_plain(before), label.digits, label.scale),
        _signed(by * label.scale, label.digits),
        number(_plain(before + by), label.digits, label.scale),
    )


def _plain(amount: float) -> float:
    """Without the rounding of sums, which would be shown as −0."""
    return 0.0 if abs(amount) < 1e-6 else amount


def _signed(amount: float, digits: int) -> str:
    return f"{amount:+,.{digits}f}".replace("-", "−")


def _choices(language: Language, entry: Entry) -> list[tuple[str, list[tuple[str, str]]]]:
    """By kind the figures that can be corrected: (value, words)."""
    found = []
    for kind, figures in FIGURES.items():
        if not entry.devices.get(kind):
            continue
        names = [
            f"{called}.{of}" if of else called
            for called, figure in figures.items()
            for of in (sorted(figure.parts) or [""])
        ]
        labels = [(f"{kind}:{name}", _label(language, kind, name)) for name in names]
        found.append(
            (
                say_of_reports(language, f"k_{kind}"),
                [(value, f"{one.name} {one.unit}".rstrip()) for value, one in labels],
            )
        )
    return found
