"""Availability and response, as `/v1/kpis` and `/v1/sla` have them, as figures of a report.

Only those of the month: what is overdue or stands "now" has no place in it.
"""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Engine

from api.kpis import Figures, figures_of
from api.reports.model import Figure
from api.reports.words import say
from api.sla import tallies
from devices.kpis import Availability, nearest_rank
from devices.registry import Name
from devices.rules import Severity
from devices.sla import Tally
from devices.store.compounds import Directory, Entry
from devices.store.kpis import Filter
from devices.store.scope import Scope

# The order in which a report names them; a port is out with its shed, see `sockets_usable`.
_KINDS = ("gate", "shed", "lamp", "camera", "lift", "gateway")


def service_figures(
    engine: Engine,
    scope: Scope,
    wanted: Filter,
    entries: Sequence[Entry],
    from_ms: int,
    to_ms: int,
    now_ms: int,
) -> dict[str, Figure]:
    """By key. Raises BadParameter for more faults than can be looked at."""
    if not entries:
        return {}
    return shown(figures_of(engine, scope, wanted, entries, from_ms, to_ms, now_ms))


def ledger_figures(
    engine: Engine,
    directory: Directory,
    scope: Scope,
    wanted: Filter,
    from_ms: int,
    to_ms: int,
    now_ms: int,
) -> dict[str, Figure]:
    """How many faults of the range were answered and mended within their limits, as `/v1/sla` has
    it; of all, and of each class that had any. Raises BadParameter for more than can be looked at.
    """
    classes: dict[Severity, Tally] = {}
    everything = Tally()
    for (_, _, severity), found in tallies(
        engine, directory, scope, wanted, from_ms, to_ms, now_ms
    ).items():
        classes.setdefault(severity, Tally()).add(found)
        everything.add(found)
    return dict(_kept("", "", "", everything)) | {
        key: figure
        for severity in sorted(classes)
        for word in [severity.value.lower()]
        for key, figure in _kept(
            f"_{word}", f"（{say('zh', word)}）", f", {say('en', word).lower()}", classes[severity]
        )
    }


def _kept(suffix: str, zh: str, en: str, tally: Tally) -> Iterator[tuple[str, Figure]]:
    for key, kept, name in (
        ("acknowledged", tally.acknowledge, Name("确认及时率", "Acknowledged in time")),
        ("mended", tally.mend, Name("处理及时率", "Mended in time")),
    ):
        share = None if kept.share is None else 100 * kept.share
        yield f"sla_{key}{suffix}", Figure(Name(f"{name.zh}{zh}", f"{name.en}{en}"), "%", share)


def shown(figures: Figures) -> dict[str, Figure]:
    """By key, in the order of the report."""
    return dict(_all(figures))


def _all(figures: Figures) -> Iterator[tuple[str, Figure]]:
    for kind in _KINDS:
        part = figures.availability.get(kind)
        if part is None or not part.devices:
            continue
        zh, en = say("zh", f"k_{kind}"), say("en", f"k_{kind}")
        yield f"availability_{kind}", _share(f"{zh}可用率", f"{en}: availability", part, part.share)
        yield (
            f"own_availability_{kind}",
            _share(
                f"{zh}可用率（不计停电断网）",
                f"{en}: without upstream outages",
                part,
                part.own_share,
            ),
        )
    if figures.sockets is not None:
        usable = figures.usable
        yield "sockets_usable", _share("插座可用率", "Socket availability", usable, usable.share)
    service = figures.service
    for key, zh, en, values_s in (
        ("mtta", "确认时间", "Time to acknowledge", service.answered_s),
        ("mttr", "修复时间", "Time to repair", service.repaired_s),
    ):
        for suffix, share in (("median", 0.5), ("p90", 0.9)):
            found_s = nearest_rank(values_s, share)
            name = Name(f"{zh}（{_RANKS[suffix].zh}）", f"{en}, {_RANKS[suffix].en}")
            yield f"{key}_{suffix}", Figure(name, "h", None if found_s is None else found_s / 3600)
    for key, zh, en, part_n, of in (
        ("repeat_rate", "重复故障率", "Repeat rate", service.repeats, service.raised),
        (
            "false_alarm_rate",
            "误报率",
            "False-alarm rate",
            service.false_alarms,
            service.closed,
        ),
        (
            "suppressed_share",
            "抑制占比",
            "Suppressed share",
            service.suppressed,
            service.detected,
        ),
    ):
        yield key, Figure(Name(zh, en), "%", 100 * part_n / of if of else None)
    lamps = figures.lamps
    if lamps is not None and lamps.lamps:
        per_1000 = lamps.faults * 1000 / lamps.lamps
        yield (
            "lamp_faults_per_1000",
            Figure(Name("千灯故障数", "Faults per 1,000 lamps"), "‰", per_1000),
        )
        intact = 100 * lamps.intact / lamps.lamps
        yield "lamp_intact_rate", Figure(Name("设施完好率", "Facility intact rate"), "%", intact)


_RANKS: Mapping[str, Name] = {"median": Name("中位", "median"), "p90": Name("P90", "P90")}


def _share(zh: str, en: str, part: Availability, share: float | None) -> Figure:
    """Its coverage is the time of which anything is known, planned work left out."""
    asked_ms = part.period_ms - part.planned_ms
    coverage = part.known_ms / asked_ms if asked_ms else None
    return Figure(Name(zh, en), "%", None if share is None else 100 * share, coverage)
