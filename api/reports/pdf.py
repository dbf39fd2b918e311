"""A report as PDF: `report.typ` sets it, and reads what it shows as JSON.

Nothing of a report is ever spliced into the markup: what typst gets from us is the template as it
is shipped, and strings that it shows as strings.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from api.reports import setter
from api.reports.model import PARTS, Compound, Part, PartName, Period, Report, Status
from api.reports.words import (
    BREAKDOWNS,
    CHARTED,
    IN_TABLES,
    KINDS,
    ROWS,
    UNKNOWN,
    Language,
    Row,
    clean,
    corrected_figures,
    duration,
    instant,
    month_name,
    named,
    number,
    row_of,
    say,
    share,
    subject_name,
    value_name,
)
from devices.corrections import LONGEST_REASON

SHORT_NAME = 24  # characters of a name at the foot of a page
MOST_CORRECTIONS = 40  # the others are in the spreadsheet
LONGEST_ADDED = 200  # characters of what one adds
MOST_VALUES = 8  # of a breakdown; the rest is in the spreadsheet

Cells = Sequence[str]
_UNBROKEN = re.compile("([^\\s\u2e80-\uffff]{14})(?=[^\\s\u2e80-\uffff])")


def render(report: Report, language: Language, fonts: Path | None = None) -> bytes:
    """The PDF. fonts: a directory with a Chinese font, else the system's.

    Raises ReportsUnusable when typst or a font is missing. Waits for another process, about a
    second for a large firm.
    """
    (made,) = setter.run(_job(report, language, fonts, "pdf"))
    return made


def pictures(
    report: Report, language: Language, fonts: Path | None = None, ppi: float = 110
) -> list[bytes]:
    """Every page as PNG."""
    return setter.run(replace(_job(report, language, fonts, "png"), ppi=ppi))


def _job(
    report: Report, language: Language, fonts: Path | None, what: Literal["pdf", "png"]
) -> setter.Job:
    data = msgspec.json.encode(document(report, language)).decode()
    folder = None if fonts is None else str(fonts)
    return setter.Job(data, what, report.made_at_ms // 1000, folder)


def document(report: Report, language: Language) -> dict[str, Any]:
    """All that the template shows, in the order in which it does, as strings and heights."""

    def words(word: str, **values: object) -> str:
        return say(language, word, **values)

    return {
        "lang": language,
        "product": words("product"),
        "title": words(f"title_{report.subject}"),
        "name": _broken(subject_name(language, report)),
        "short_name": _broken(clean(subject_name(language, report), SHORT_NAME)),
        "month": month_name(language, report.month.year, report.month.number),
        "made_at": words("made_at", at=instant(report.made_at_ms, report.zone)),
        "marks": _marks(report, language),
        "facts": _facts(report, language),
        "banners": _banners(report, language),
        "usage": words("usage"),
        "coverage": words("coverage"),
        "parts": [
            _part(report, name, part, language) for name, part in _parts(report.total).items()
        ],
        "given": _given(report, language),
        "compounds": _compounds(report, language),
        "faults": _faults(report, language),
        "longest": _longest(report, language),
        "corrections": _corrections(report, language),
        "days": _days(report, language),
        "notes_title": words("notes"),
        "notes": [
            words(note)
            for note in (
                "note_unknown",
                "note_coverage",
                "note_rate",
                "note_sessions",
                "note_people",
                "note_lamps",
                "note_hollow",
                "provisional_means",
            )
        ],
    }


def _shown(text: str) -> str:
    """A text of somebody's."""
    return _broken(clean(text))


def _broken(text: str) -> str:
    """With places where a line may break in what has none."""
    return _UNBROKEN.sub("\\1\u200b", text)


def _parts(period: Period) -> dict[PartName, Part]:
    return {name: period.parts[name] for name in PARTS if name in period.parts}


def _marks(report: Report, language: Language) -> list[dict[str, str]]:
    status = report.total.status
    marks = [{"text": say(language, status.value), "kind": status.value}]
    if report.synthetic:
        marks.append({"text": say(language, "synthetic"), "kind": "synthetic"})
    return marks


def _facts(report: Report, language: Language) -> list[list[str]]:
    facts: list[list[str]] = []
    if report.subject == "compound":
        facts.append([say(language, "firm"), _shown(named(language, report.firm))])
    else:
        facts.append([say(language, "compounds"), number(len(report.compounds))])
    facts.append([say(language, "households"), number(report.households)])
    for kind in KINDS:
        count = report.lamps if kind == "lamp" else report.devices.get(kind, 0)
        if count:
            facts.append([say(language, f"k_{kind}"), number(count)])
    return facts


def _banners(report: Report, language: Language) -> list[dict[str, str]]:
    """What has to be known before any figure is read."""
    banners = []
    if report.subject == "firm" and not report.compounds:
        banners.append({"text": say(language, "no_compounds"), "kind": "alarm"})
    elif not report.total.is_known:
        banners.append({"text": say(language, "no_data"), "kind": "alarm"})
    coverage = report.total.coverage
    if coverage is None:
        banners.append({"text": say(language, "coverage_none"), "kind": "plain"})
    else:
        text = say(language, "coverage_is", share=share(coverage))
        banners.append({"text": text, "kind": "plain"})
    if not report.month_over:
        at = instant(report.made_at_ms, report.zone)
        banners.append({"text": say(language, "month_runs", at=at), "kind": "provisional"})
    if report.total.status is Status.PROVISIONAL:
        banners.append({"text": say(language, "provisional_means"), "kind": "provisional"})
    return banners


def _part(report: Report, name: PartName, part: Part, language: Language) -> dict[str, Any]:
    charted = row_of(name, CHARTED[name])
    return {
        "title": say(language, name),
        "coverage": share(part.coverage),
        "no_data": "" if part.is_known else say(language, "part_no_data"),
        "figures": [
            [named(language, row.name), _cell(part, row), named(language, row.unit)]
            for row in ROWS[name]
            if row.key in part.figures
        ],
        "chart": _chart(report.days, name, charted, language),
        "hours": _hours(report, language) if name == "gates" and part.is_known else None,
        "breakdowns": _breakdowns(name, part, language),
    }


def _cell(part: Part | None, row: Row) -> str:
    if part is None or not part.is_known:
        return UNKNOWN
    return number(part.figures.get(row.key), row.digits, row.scale)


def _chart(days: Sequence[Period], name: PartName, row: Row, language: Language) -> dict[str, Any]:
    """Bars by day; a share's reach from 0 to 100 %, others' to the largest of them."""
    values = [_value(day, name, row) for day in days]
    known = [value for value in values if value is not None]
    top = 100.0 if row.unit.en == "%" else max(known, default=0.0)
    return {
        "title": f"{named(language, row.name)} ({named(language, row.unit)})",
        "top": number(top, 0 if top >= 10 else row.digits),
        "bars": [
            {
                "label": str(day.first.day),
                "height": None if value is None else (value / top if top else 0.0),
                "provisional": day.status is Status.PROVISIONAL,
            }
            for day, value in zip(days, values, strict=True)
        ],
    }


def _hours(report: Report, language: Language) -> dict[str, Any] | None:
    """Bars by hour of the day, of the whole month; None where they are not in the report."""
    if not report.by_hour:
        return None
    top = max(passed for passed, _ in report.by_hour)
    is_provisional = report.total.status is Status.PROVISIONAL
    return {
        "title": say(language, "passages_by_hour"),
        "top": number(top),
        "bars": [
            {
                "label": str(hour),
                "height": passed / top if top else 0.0,
                "provisional": is_provisional,
            }
            for hour, (passed, _) in enumerate(report.by_hour)
        ],
    }


def _value(day: Period, name: PartName, row: Row) -> float | None:
    part = day.parts.get(name)
    if part is None or not part.is_known:
        return None
    value = part.figures.get(row.key)
    return None if value is None else float(value) * row.scale


def _breakdowns(name: PartName, part: Part, language: Language) -> list[list[str]]:
    found = []
    for of in BREAKDOWNS[name]:
        counts: Mapping[str, int] = part.figures.get(of) or {}
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]
        if most:
            texts = [f"{value_name(language, of, value)} {number(n)}" for value, n in most]
            found.append([say(language, of), " · ".join(texts)])
    return found


def _given(report: Report, language: Language) -> dict[str, Any] | None:
    if not report.given:
        return None
    return {
        "title": say(language, "given"),
        "head": [say(language, word) for word in ("figure", "value", "coverage")],
        "rows": [
            [
                _shown(named(language, figure.name)),
                UNKNOWN
                if figure.value is None
                else f"{number(figure.value, 2 if figure.unit == 'h' else 1)} {figure.unit}",
                share(figure.coverage),
            ]
            for figure in report.given.values()
        ],
    }


def _table_head(language: Language, shown: Iterable[tuple[PartName, str]]) -> list[str]:
    rows = [row_of(part, key) for part, key in shown]
    return [f"{named(language, row.name)}\n{named(language, row.unit)}" for row in rows]


def _table_cells(period: Period, shown: Iterable[tuple[PartName, str]]) -> list[str]:
    return [
        # of a kind that is not there nothing is unknown: the place stays empty
        "" if part not in period.parts else _cell(period.parts[part], row_of(part, key))
        for part, key in shown
    ]


def _coverage_head(language: Language, total: Period) -> list[str]:
    """The coverage by part, which says more than that of all of them; of none, that of all."""
    heads = [say(language, "coverage_of", part=say(language, part)) for part in _parts(total)]
    return heads or [say(language, "coverage")]


def _coverage_cells(period: Period, total: Period) -> list[str]:
    shown = [
        share(period.parts[part].coverage) if part in period.parts else "" for part in _parts(total)
    ]
    return shown or [share(period.coverage)]


def _columns(period: Period) -> list[tuple[PartName, str]]:
    return [(part, key) for part, key in IN_TABLES if part in period.parts]


def _compounds(report: Report, language: Language) -> dict[str, Any] | None:
    if not report.compounds:
        return None
    shown = _columns(report.total)
    return {
        "title": say(language, "compounds"),
        "head": [
            say(language, "compound"),
            say(language, "households"),
            *_coverage_head(language, report.total),
            *_table_head(language, shown),
            say(language, "faults"),
        ],
        "rows": [
            _compound_cells(compound, report.total, shown, language)
            for compound in report.compounds
        ],
    }


def _compound_cells(
    compound: Compound, total: Period, shown: Sequence[tuple[PartName, str]], language: Language
) -> Cells:
    return [
        _shown(named(language, compound.name)),
        number(compound.households),
        *_coverage_cells(compound.month, total),
        *_table_cells(compound.month, shown),
        number(compound.faults),
    ]


def _faults(report: Report, language: Language) -> dict[str, Any]:
    faults = report.faults
    note = say(
        language,
        "faults_note",
        suppressed=number(faults.suppressed),
        suspected=number(faults.suspected),
        refuted=number(faults.refuted),
    )
    head = ("severity", "fault", "count", "standing", "total_time", "mean_time", "longest_time")
    return {
        "title": say(language, "faults"),
        "head": [say(language, word) for word in head],
        "rows": [
            [
                say(language, line.severity.value.lower()),
                named(language, line.name),
                number(line.count),
                number(line.standing),
                duration(language, line.total_s),
                duration(language, line.total_s / line.count),
                duration(language, line.longest_s),
            ]
            for line in faults.counts
        ],
        "severities": [line.severity.value for line in faults.counts],
        "none": say(language, "faults_none"),
        "note": note,
    }


def _longest(report: Report, language: Language) -> dict[str, Any] | None:
    if not report.faults.longest:
        return None
    head = ("severity", "fault", "compound", "place", "since", "until", "lasted")
    wanted = [word for word in head if word != "compound" or report.subject == "firm"]
    rows = []
    for fault in report.faults.longest:
        cells = {
            "severity": say(language, fault.severity.value.lower()),
            "fault": named(language, fault.name),
            "compound": _shown(named(language, fault.compound)),
            "place": _shown(fault.place),
            "since": instant(fault.since_ms, report.zone),
            "until": say(language, "still")
            if fault.ended_at_ms is None
            else instant(fault.ended_at_ms, report.zone),
            "lasted": duration(language, fault.duration_s),
        }
        rows.append([cells[word] for word in wanted])
    return {
        "title": say(language, "longest"),
        "head": [say(language, word) for word in wanted],
        "rows": rows,
        "severities": [fault.severity.value for fault in report.faults.longest],
    }


def _corrections(report: Report, language: Language) -> dict[str, Any] | None:
    if not report.corrections:
        return None
    head = ("date", "compound", "added", "reason", "by")
    wanted = [word for word in head if word != "compound" or report.subject == "firm"]
    rows = []
    for one in report.corrections[:MOST_CORRECTIONS]:
        added = clean(corrected_figures(language, one), LONGEST_ADDED)
        if one.is_recount:
            added = f"{say(language, 'corrected_recount')}: {added}"
        cells = {
            "date": f"{one.day:%m-%d}",
            "compound": _shown(named(language, one.compound)),
            "added": _broken(added),
            "reason": _broken(clean(one.reason, LONGEST_REASON)),
            "by": f"{_shown(one.by)}, {instant(one.at_ms, report.zone)}",
        }
        rows.append([cells[word] for word in wanted])
    more = report.corrections_total - len(rows)
    return {
        "title": say(language, "corrections"),
        "head": [say(language, word) for word in wanted],
        "rows": rows,
        "note": say(language, "corrections_more", more=number(more)) if more else "",
    }


def _days(report: Report, language: Language) -> dict[str, Any]:
    shown = _columns(report.total)
    return {
        "title": say(language, "days"),
        "head": [
            say(language, "date"),
            *_coverage_head(language, report.total),
            *_table_head(language, shown),
        ],
        "rows": [
            [
                f"{day.first:%m-%d}{'*' if day.status is Status.PROVISIONAL else ''}",
                *_coverage_cells(day, report.total),
                *_table_cells(day, shown),
            ]
            for day in report.days
        ],
    }
