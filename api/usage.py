"""How gates, sockets and lamps were used, and how much of it we know: of a compound, of many.

Figures of one compound are by whole hours, so a range is widened to them, and the answer says to
which. Those of many compounds are of whole local days that are over. What was expected and never
came lowers the coverage; nothing is expected after now.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, Any, Literal, get_origin

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api import compounds, shapes, tables
from api.corrected import UNCORRECTED, Marked, marked
from api.errors import Away, BadParameter
from api.identity import Identity, Reader
from api.instants import print_instant
from api.parts import Parts, PartsOf
from api.periods import parse_period
from devices.apart import Apart
from devices.coverage import KINDS, Sum
from devices.days import (
    DAY_MS,
    DISTRICT_TIMEZONE,
    began,
    local_date,
    midnight_of,
    month_after,
    next_midnight,
    next_monday,
    next_month,
    zone_of,
)
from devices.registry import Name
from devices.store.compounds import Directory, Entry
from devices.store.database import reading
from devices.store.hour_sums import HourSums
from devices.store.usage_apart import apart_of_compound, apart_of_many
from devices.store.usage_days import (
    SETTLED_AFTER_MS,
    TooMuch,
    sums_of_compound,
    sums_of_many,
)
from devices.usage import HOUR_MS, hour_of, is_final

router = APIRouter(prefix="/v1", tags=["usage"], responses=shapes.refusals.PROBLEMS)

Bucket = Literal["hour", "day", "week", "month"]
DayBucket = Literal["day", "week", "month"]
GroupBy = Literal["compound", "firm", "kind"]

MOST_DAYS = 366
MOST_BUCKETS = 24 * 62
MOST_DAYS_BY_DAY = 62  # of many compounds
MOST_LINES = 6_000  # groups times buckets
USUAL_DAYS = 30
# Of many compounds: days that are added up from their hours (25 ms each), and days before anything
# came, of which only is worked out what was expected (0.3 ms each).
MOST_FROM_HOURS = 40
MOST_EMPTY = 8_000  # 30 days of a new district, which is what is asked for without a range
SUMMED_UP_AFTER_S = 30.0

KIND_NAMES = {
    "gate": Name("门禁", "Gates"),
    "port": Name("充电插座", "Sockets"),
    "lamp": Name("照明", "Lighting"),
}
UNITS = {
    "burn_hours": "burn_h",
    "day_burn_hours": "day_burn_h",
    "lit": "lit_h",
    "dark": "dark_h",
    "unknown": "unknown_h",
    "turnover": "turnover_per_day",
}

From = Annotated[
    str | None,
    Query(
        alias="from",
        description="RFC 3339, a date, a duration before `to` (P7D), or an interval"
        " (P7D/2026-12-01); without zone the compound's time. The local day so far unless given.",
    ),
]
To = Annotated[
    str | None,
    Query(alias="to", description="The same, or a duration from `from` on. Now unless given."),
]
CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": tables.CONTENT, "description": "JSON, or CSV for `Accept: text/csv`"}
}


@router.get("/compounds/{compound}/usage", response_model=shapes.usage.Usage, responses=CSV)
def get_usage(
    request: Request,
    parts: PartsOf,
    who: Reader,
    compound: str,
    start: From = None,
    end: To = None,
    bucket: Annotated[Bucket, Query(description="In the compound's local time.")] = "hour",
    compare: Annotated[
        Literal["previous"] | None, Query(description="With the same length before.")
    ] = None,
) -> shapes.usage.Usage | Response:
    """Usage over the whole hours of [from, to), in all and by bucket."""
    now_ms = parts.now_ms()
    engine = parts.deps.engine
    with reading(engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
    zone = zone_of(entry.timezone)
    as_csv = tables.wants_csv(request)
    if as_csv and compare is not None:
        raise BadParameter("compare", "CSV has one line a bucket: ask for the range before itself")
    asked = parse_period(start, end, zone, now_ms)
    to_ms = now_ms if asked.to_ms is None else asked.to_ms
    from_ms = midnight_of(to_ms - 1, zone) if asked.from_ms is None else asked.from_ms
    from_ms = hour_of(from_ms)
    to_ms = min(now_ms, hour_of(to_ms - 1) + HOUR_MS)
    if to_ms - from_ms > MOST_DAYS * DAY_MS:
        raise BadParameter("from", f"a range is at most {MOST_DAYS} days")
    if bucket == "hour" and to_ms - from_ms > MOST_BUCKETS * HOUR_MS:
        raise BadParameter("bucket", f"at most {MOST_BUCKETS} hours: ask for days")
    starts = list(bucket_starts(from_ms, to_ms, zone, bucket))
    if as_csv:
        return compound_csv(parts, who, entry, starts, to_ms)
    kept: HourSums = request.app.state.hour_sums
    sums = sums_of_compound(engine, who.scope, entry, starts, to_ms, kept)
    parts_apart, apart = apart_of_compound(engine, who.scope, entry, starts, to_ms, now_ms)
    corrected = marked(engine, who.scope, [entry.id], from_ms, to_ms)
    kinds = [kind for kind in KINDS if entry.devices.get(kind)]
    previous = None
    if compare is not None:
        before_ms = _before(from_ms, to_ms, zone)
        (before,) = sums_of_compound(engine, who.scope, entry, [before_ms], from_ms, kept)
        _, apart_before = apart_of_compound(engine, who.scope, entry, [before_ms], from_ms, now_ms)
        previous = {
            "from": print_instant(before_ms),
            "to": print_instant(from_ms),
            "status": status(from_ms, zone, now_ms),
            **marked(engine, who.scope, [entry.id], before_ms, from_ms).shape(before_ms, from_ms),
            **before.shape(kinds, apart_before),
        }
    return shapes.usage.Usage.model_validate(
        {
            "compound": compound,
            "from": print_instant(from_ms),
            "to": print_instant(to_ms),
            "bucket": bucket,
            "timezone": entry.timezone,
            "status": status(to_ms, zone, now_ms),
            **corrected.shape(from_ms, to_ms),
            **_total(sums).shape(kinds, apart),
            "previous": previous,
            "buckets": _buckets(starts, to_ms, sums, parts_apart, kinds, zone, now_ms, corrected),
        }
    )


def compound_csv(
    parts: Parts, who: Identity, entry: Entry, starts: Sequence[int], to_ms: int
) -> Response:
    """A line for each bucket of a compound, as CSV."""
    engine, now_ms, zone = parts.deps.engine, parts.now_ms(), zone_of(entry.timezone)
    sums = sums_of_compound(engine, who.scope, entry, starts, to_ms)
    parts_apart, _ = apart_of_compound(engine, who.scope, entry, starts, to_ms, now_ms)
    corrected = marked(engine, who.scope, [entry.id], starts[0], to_ms)
    table = Table((), _total(sums), [kind for kind in KINDS if entry.devices.get(kind)])
    return table.answer(
        f"usage-{entry.id}-{local_date(starts[0], zone)}",
        table.lines((), sums, parts_apart, starts, to_ms, zone, now_ms, corrected),
    )


@router.get("/usage", response_model=shapes.usage.UsageTogether, responses=CSV)
def get_usage_together(
    request: Request,
    parts: PartsOf,
    who: Reader,
    start: Annotated[
        str | None,
        Query(
            alias="from",
            description="As for one compound, widened to whole days. 30 days unless given.",
        ),
    ] = None,
    end: Annotated[
        str | None, Query(alias="to", description="The end of yesterday unless given, at most.")
    ] = None,
    bucket: Annotated[DayBucket, Query(description="In the compounds' local time.")] = "month",
    group_by: Annotated[GroupBy | None, Query(description="In all alone unless given.")] = None,
    firm: Annotated[str | None, Query(description="Only this property firm's.")] = None,
) -> Response:
    """Usage of all compounds in your scope over whole local days that are over."""
    now_ms = parts.now_ms()
    engine = parts.deps.engine
    with reading(engine) as connection:
        directory = parts.registry.get(connection).directory
    compounds.check_firm(directory, who, firm)
    entries = [entry for entry in directory.visible(who.scope) if firm in (None, entry.firm)]
    asked = _asked(start, end, bucket, group_by, entries, now_ms)
    groups = {entry.id: _group_of(group_by, entry) for entry in entries}
    borders = {entry.id: asked.borders[entry.timezone] for entry in entries}
    try:
        together = sums_of_many(
            engine, who.scope, entries, borders, groups, MOST_FROM_HOURS, MOST_EMPTY
        )
    except TooMuch as much:
        raise _refusal(much) from much
    apart = apart_of_many(engine, who.scope, entries, borders, groups, asked.newest_ms, now_ms)
    found = _grouped(group_by, entries, directory, together.sums, apart, len(asked.starts))
    names = [entry.id for entry in entries]
    _mark(marked(engine, who.scope, names, asked.starts[0], asked.to_ms), *found, group_by, entries)
    firm = firm or who.scope.firm
    if tables.wants_csv(request):
        return _as_csv(asked, *found, f"usage-{firm or 'all'}-{asked.first}", now_ms)
    total, some = found
    body = {
        "firm": firm,
        "from": print_instant(asked.starts[0]),
        "to": print_instant(asked.to_ms),
        "bucket": bucket,
        "timezone": asked.timezone,
        "group_by": group_by,
        "compounds": len(entries),
        "pending_days": together.pending,
        **_shown(asked, total, now_ms),
        "groups": [
            {
                "id": group.id,
                "name": {"zh": group.name.zh, "en": group.name.en},
                "compounds": group.compounds,
                **_shown(asked, group, now_ms),
            }
            for group in some
        ],
    }
    # Encoded here: to check some thousand buckets against their shape costs more than to make them.
    return Response(msgspec.json.encode(body), media_type="application/json")


@dataclass(frozen=True, slots=True)
class Asked:
    """What of many compounds is asked for: buckets by local days, in each compound's time.

    borders: by time zone, where buckets begin and the last one ends. timezone: whose borders are
    shown. newest_ms: when the newest day ends that can be asked for.
    """

    first: date
    timezone: str
    borders: Mapping[str, Sequence[int]]
    newest_ms: int

    @property
    def zone(self) -> tzinfo:
        return zone_of(self.timezone)

    @property
    def starts(self) -> Sequence[int]:
        return self.borders[self.timezone][:-1]

    @property
    def to_ms(self) -> int:
        return self.borders[self.timezone][-1]


def _asked(
    start: str | None,
    end: str | None,
    bucket: DayBucket,
    group_by: GroupBy | None,
    entries: Sequence[Entry],
    now_ms: int,
) -> Asked:
    """Raises BadParameter for what cannot be answered, or would be too long an answer."""
    zones = {entry.timezone for entry in entries}
    timezone = next(iter(zones)) if len(zones) == 1 else DISTRICT_TIMEZONE
    zone = zone_of(timezone)
    dates = list(_bucket_dates(*_whole_days(start, end, zone, now_ms), bucket))
    if bucket == "day" and len(dates) - 1 > MOST_DAYS_BY_DAY:
        raise BadParameter("bucket", f"at most {MOST_DAYS_BY_DAY} days: ask for weeks or months")
    lines = (len(dates) - 1) * (len(entries) if group_by == "compound" else 1)
    if lines > MOST_LINES:
        raise BadParameter("bucket", f"{lines:,} groups times buckets: the bound is {MOST_LINES:,}")
    borders = {name: [began(day, zone_of(name)) for day in dates] for name in zones | {timezone}}
    return Asked(dates[0], timezone, borders, began(_newest_day(zone, now_ms), zone))


def _shown(asked: Asked, group: "Group", now_ms: int) -> dict[str, object]:
    return {
        "status": status(asked.to_ms, asked.zone, now_ms),
        **group.corrected.shape(asked.starts[0], asked.to_ms),
        **group.sum().shape(group.kinds, group.apart),
        "buckets": _buckets(
            asked.starts,
            asked.to_ms,
            group.sums,
            group.parts,
            group.kinds,
            asked.zone,
            now_ms,
            group.corrected,
        ),
    }


def _as_csv(
    asked: Asked, total: "Group", groups: Sequence["Group"], name: str, now_ms: int
) -> Response:
    table = Table(("id", "name_zh", "name_en") if groups else (), total.sum(), total.kinds)
    return table.answer(
        name,
        (
            line
            for group in groups or [total]
            for line in table.lines(
                (group.id, group.name.zh, group.name.en) if groups else (),
                group.sums,
                group.parts,
                asked.starts,
                asked.to_ms,
                asked.zone,
                now_ms,
                group.corrected,
                kinds=group.kinds,
            )
        ),
    )


# Ranges


def bucket_starts(from_ms: int, to_ms: int, zone: tzinfo, bucket: Bucket) -> Iterator[int]:
    """Where buckets begin: at `from_ms`, then at hours, midnights, Mondays, firsts of a month."""
    start = from_ms
    while start < to_ms:
        yield start
        start = hour_of(start) + HOUR_MS if bucket == "hour" else _NEXT[bucket](start, zone)


_NEXT: Mapping[str, Callable[[int, tzinfo], int]] = {
    "day": next_midnight,
    "week": next_monday,
    "month": next_month,
}


def status(to_ms: int, zone: tzinfo, now_ms: int) -> str:
    """Of a range that ends then: that of its last local day."""
    return "final" if is_final(next_midnight(to_ms - 1, zone), now_ms) else "provisional"


def _before(from_ms: int, to_ms: int, zone: tzinfo) -> int:
    """Where the same length before begins: as many local days, or else as many hours."""
    if from_ms == midnight_of(from_ms, zone) and to_ms == midnight_of(to_ms, zone):
        first = local_date(from_ms, zone)
        return began(first - (local_date(to_ms, zone) - first), zone)
    hours = -(-(to_ms - from_ms) // HOUR_MS)
    return from_ms - hours * HOUR_MS


def _newest_day(zone: tzinfo, now_ms: int) -> date:
    """The day behind the newest that is over and summed up."""
    return local_date(now_ms - SETTLED_AFTER_MS, zone)


def _whole_days(start: str | None, end: str | None, zone: tzinfo, now_ms: int) -> tuple[date, date]:
    """The local days [first, last) that are asked for and are over; raises BadParameter."""
    newest = _newest_day(zone, now_ms)
    asked = parse_period(start, end, zone, now_ms)
    last = newest
    if asked.to_ms is not None:
        last = min(newest, local_date(asked.to_ms - 1, zone) + timedelta(days=1))
    if asked.from_ms is None:
        return last - timedelta(days=USUAL_DAYS), last
    first = local_date(asked.from_ms, zone)
    if first >= last:
        raise BadParameter(
            "from",
            f"usage of many compounds is of whole days that are over: the bound is the"
            f" beginning of {newest - timedelta(days=1)}, the newest one",
        )
    if (last - first).days > MOST_DAYS:
        raise BadParameter("from", f"a range is at most {MOST_DAYS} days")
    return first, last


def _bucket_dates(first: date, last: date, bucket: DayBucket) -> Iterator[date]:
    """Where buckets begin, and at last where they end."""
    day = first
    while day < last:
        yield day
        if bucket == "month":
            day = month_after(day)
        else:
            day += timedelta(days=1 if bucket == "day" else 7 - day.weekday())
    yield last


def _refusal(much: TooMuch) -> Exception:
    if much.from_ms is None:
        return Away(
            f"The usage of {much.days} compound-days is still being summed up, and the bound of"
            f" what is added up for an answer is {MOST_FROM_HOURS}; try again.",
            SUMMED_UP_AFTER_S,
        )
    bound = f"the bound is {MOST_EMPTY} compound-days before anything came"
    if much.from_ms:
        bound += f", and nothing did before {print_instant(much.from_ms)}"
    return BadParameter("from", f"{bound}: ask for less, or by month")


# Groups


@dataclass(slots=True)
class Group:
    """Figures by bucket of what belongs together. parts, apart: those that do not add up.

    corrected: what of them was corrected after it was final.
    """

    id: str
    name: Name
    sums: list[Sum]
    parts: list[Apart]
    apart: Apart
    kinds: set[str] = field(default_factory=set)
    compounds: int = 0
    corrected: Marked = UNCORRECTED

    def add(self, sums: Iterable[Sum], parts: Iterable[Apart], apart: Apart) -> None:
        for into, other in zip(self.sums, sums, strict=True):
            into.add(other)
        for part, other_part in zip(self.parts, parts, strict=True):
            part.join(other_part)
        self.apart.join(apart)

    def sum(self) -> Sum:
        return _total(self.sums)


def _group_of(group_by: GroupBy | None, entry: Entry) -> str:
    """What a compound is added up under; kinds are taken apart afterwards."""
    return {"compound": entry.id, "firm": entry.firm}.get(group_by or "", "")


def _grouped(
    group_by: GroupBy | None,
    entries: Sequence[Entry],
    directory: Directory,
    sums: Mapping[str, list[Sum]],
    apart: Mapping[str, tuple[list[Apart], Apart]],
    buckets: int,
) -> tuple[Group, list[Group]]:
    """All together, and the groups in order of id."""
    nothing = [Apart() for _ in range(buckets)]
    total = Group("", Name("", ""), [Sum() for _ in range(buckets)], nothing, Apart())
    groups: dict[str, Group] = {}
    for entry in entries:
        kinds = {kind for kind in KINDS if entry.devices.get(kind)}
        total.kinds |= kinds
        total.compounds += 1
        if group_by not in ("compound", "firm"):
            continue
        id_ = _group_of(group_by, entry)
        if id_ not in groups:
            name = entry.name if group_by == "compound" else directory.firms[id_]
            groups[id_] = Group(id_, name, sums[id_], *apart[id_])
        groups[id_].kinds |= kinds
        groups[id_].compounds += 1
    for id_, some in sums.items():
        total.add(some, *apart[id_])
    if group_by == "kind":
        for kind in sorted(total.kinds):
            of_kind = [one.only(kind) for one in total.sums]
            count = sum(1 for entry in entries if entry.devices.get(kind))
            name = KIND_NAMES[kind]
            groups[kind] = Group(kind, name, of_kind, total.parts, total.apart, {kind}, count)
    return total, [groups[name] for name in sorted(groups)]


def _mark(
    corrected: Marked,
    total: Group,
    groups: Sequence[Group],
    group_by: GroupBy | None,
    entries: Sequence[Entry],
) -> None:
    """Tell the groups which corrections are in their figures."""
    total.corrected = corrected
    for group in groups:
        if group_by == "kind":
            group.corrected = corrected.of_kind(group.id)
        else:
            home = {entry.id for entry in entries if _group_of(group_by, entry) == group.id}
            group.corrected = corrected.of_compounds(home)


def _total(sums: Iterable[Sum]) -> Sum:
    total = Sum()
    for part in sums:
        total.add(part)
    return total


def _buckets(
    starts: Sequence[int],
    to_ms: int,
    sums: Sequence[Sum],
    parts: Sequence[Apart],
    kinds: Iterable[str],
    zone: tzinfo,
    now_ms: int,
    corrected: Marked,
) -> list[dict[str, object]]:
    kinds = tuple(kinds)
    return [
        {
            "start": print_instant(start),
            "status": status(end, zone, now_ms),
            **corrected.shape(start, end),
            **summed.shape(kinds, apart),
        }
        for start, end, summed, apart in zip(starts, [*starts[1:], to_ms], sums, parts, strict=True)
    ]


# CSV

_MEMBERS: Mapping[str, type[BaseModel]] = {
    "gates": shapes.usage.Gates,
    "charging": shapes.usage.Charging,
    "lighting": shapes.usage.Lighting,
}


class Table:
    """One line a bucket. first: columns before the usual ones. total: tells which counts there are.

    A count by names (methods, reasons) is a column for each name that occurs, behind the others.
    """

    def __init__(self, first: Sequence[str], total: Sum, kinds: Iterable[str]) -> None:
        self._kinds = tuple(kinds)
        shaped = total.shape(self._kinds)
        self._numbers: list[tuple[str, str]] = []
        self._counts: list[tuple[str, str, str]] = []
        for member, model in _MEMBERS.items():
            for name, its in model.model_fields.items():
                if get_origin(its.annotation) is not dict:
                    self._numbers.append((member, name))
                    continue
                part = shaped[member]
                for key in sorted(part[name]) if isinstance(part, Mapping) else ():
                    self._counts.append((member, name, key))
        self._header = [
            *first, "start", "end", "status", "corrections", "coverage",
            *(f"{member}_{UNITS.get(name, name)}" for member, name in self._numbers),
            *(f"{member}_{name}_{key}" for member, name, key in self._counts),
        ]  # fmt: skip

    @property
    def header(self) -> list[str]:
        return self._header

    def lines(
        self,
        first: Sequence[tables.Cell],
        sums: Sequence[Sum],
        parts: Sequence[Apart],
        starts: Sequence[int],
        to_ms: int,
        zone: tzinfo,
        now_ms: int,
        corrected: Marked,
        kinds: Iterable[str] | None = None,
    ) -> Iterator[list[tables.Cell]]:
        """Instants are local, with their distance to UTC. kinds: where they are not all."""
        shown = self._kinds if kinds is None else tuple(kinds)
        ends = [*starts[1:], to_ms]
        for start, end, one, apart in zip(starts, ends, sums, parts, strict=True):
            shaped = one.shape(shown, apart)
            line: list[tables.Cell] = [
                *first, _local(start, zone), _local(end, zone), status(end, zone, now_ms)
            ]  # fmt: skip
            line += [corrected.of(start, end)[0], one.coverage]
            line += [_cell(shaped[member], name) for member, name in self._numbers]
            line += [_cell(shaped[member], name, key) for member, name, key in self._counts]
            yield line

    def answer(self, name: str, lines: Iterable[Sequence[tables.Cell]]) -> Response:
        return tables.answer(name, self._header, lines)


def _cell(part: object, name: str, key: str | None = None) -> tables.Cell:
    """A number of a shaped part; None where the part or the number is unknown, 0 for no count."""
    if not isinstance(part, Mapping):
        return None
    value = part[name]
    if key is not None:
        return int(value.get(key, 0))
    return None if value is None else float(value) if isinstance(value, float) else int(value)


def _local(at_ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(timespec="seconds")
