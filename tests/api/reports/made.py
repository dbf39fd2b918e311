"""Reports made by hand, and what can be read in a PDF."""

import io
import re
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from pypdf import PdfReader

from api.reports.model import (
    Compound,
    Corrected,
    FaultCount,
    Faults,
    Figure,
    LongFault,
    Month,
    Part,
    PartName,
    Period,
    Report,
    Status,
)
from devices.registry import Name
from devices.rules import Severity

MADE_AT_MS = 1_795_434_130_000  # 2026-11-23 19:42:10 in Zhengzhou
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOVEMBER = Month(2026, 11)

# What a property firm might write into a name to see what happens.
HOSTILE = (
    '#panic("x") *bold* _it_ $x^2$ <label> @ref [a] `raw`',
    '=HYPERLINK("http://evil.example","x")',
    '#read("/etc/passwd")',
    "\\u{41} \\ // comment /* */ #{ } ]",
    "\u202everkehrt herum\u202c שלום עולם مرحبا",
    "🏠👨‍👩‍👧 e\u0301\u0302 \x00\x07\x1b[31m",
    "长" * 10_000,
    "W" * 10_000,
)


def a_part(**figures: object) -> Part:
    return Part(figures, 0.93, True)


def parts() -> dict[PartName, Part]:
    return {
        "gates": a_part(
            passages=12_345,
            denied=55,
            denial_rate=0.0044,
            remote_openings=7,
            held_open_min=83.5,
            active_households=171,
            by_method={"face": 10_000, "card": 2_345},
            by_direction={"in": 6_000, "out": 6_345},
            deny_reasons={"expired": 40, "not_in_any_list": 15},
        ),
        "charging": a_part(
            sessions=321,
            energy_kwh=456.78,
            fee_fen=98_765,
            utilisation=0.256,
            turnover=None,
            peak_ports=9,
            full_not_removed_min=7_410,
            stop_reasons={"full": 300, "unplugged": 21},
        ),
        "lighting": a_part(
            lamp_on_rate=0.9876,
            lit=987.6,
            dark=10.0,
            unknown=2.4,
            energy_kwh=77.5,
            nominal_kwh=80.2,
            energy_of_nominal=0.966,
            mean_dark_h=None,
            dark_faults=0,
            day_burn_hours=3.25,
            day_burn_kwh=0.41,
        ),
    }


def a_day(number: int, **changes: object) -> Period:
    """Before the 21st it is final."""
    day = date(2026, 11, number)
    status = Status.FINAL if number < 21 else Status.PROVISIONAL
    return replace(Period(day, day, status, 0.9, parts()), **changes)  # type: ignore[arg-type]


def a_report(**changes: object) -> Report:
    """祥云里 in the November of 2026, which is not over."""
    total = Period(date(2026, 11, 1), date(2026, 11, 23), Status.PROVISIONAL, 0.9312, parts())
    report = Report(
        subject="compound",
        id="xiangyunli",
        name=Name("祥云里", "Xiangyunli"),
        firm=Name("亚新", "Yaxin"),
        month=NOVEMBER,
        month_over=False,
        made_at_ms=MADE_AT_MS,
        zone=SHANGHAI,
        households=213,
        devices={"gate": 2, "port": 12, "lamp": 3},
        lamps=24,
        synthetic=False,
        total=total,
        days=[a_day(n) for n in range(1, 24)],
        faults=some_faults(),
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def a_firms_report(names: list[str], **changes: object) -> Report:
    """Yaxin's, whose compounds have these names."""
    days = [a_day(n) for n in range(1, 24)]
    total = Period(date(2026, 11, 1), date(2026, 11, 23), Status.PROVISIONAL, 0.9312, parts())
    compounds = [
        Compound(f"c-{n}", Name(name, name), 100 + n, False, total, days, n)
        for n, name in enumerate(names)
    ]
    of_firm: dict[str, object] = {
        "subject": "firm",
        "id": "yaxin",
        "name": Name("亚新", "Yaxin"),
        "compounds": compounds,
    }
    return a_report(**of_firm | changes)


def some_corrections(reason: str = "电表更换", place: str = "1号棚 02号插座") -> list[Corrected]:
    """One that a person stated, and one of a recount."""
    name = Name("祥云里", "Xiangyunli")
    added = {"port": {"energy_kwh": -1.5, "sessions": 1.0, "stop_reasons.full": 1.0}}
    late = {"gate": {"passages": 12.0}, "port": {"fee_fen": 250.0, "in_use_h": 1.25}}
    day = date(2026, 11, 10)
    return [
        Corrected(name, day, 2, True, "", late, "网关补传", "li-min", MADE_AT_MS),
        Corrected(name, day, 1, False, place, added, reason, "li-min", MADE_AT_MS - 60_000),
    ]


def some_faults(place: str = "1号棚") -> Faults:
    since_ms = MADE_AT_MS - 50 * 3_600_000
    return Faults(
        counts=[
            FaultCount("SHED_SMOKE", Name("烟雾报警", "Smoke"), Severity.P1, 1, 0, 600.0, 600.0),
            FaultCount(
                "GATE_OFFLINE",
                Name("门禁离线", "Gate offline"),
                Severity.P3,
                4,
                1,
                190_000,
                180_000,
            ),
        ],
        longest=[
            LongFault(
                "f-1",
                "GATE_OFFLINE",
                Name("门禁离线", "Gate offline"),
                Severity.P3,
                Name("祥云里", "Xiangyunli"),
                place,
                since_ms,
                None,
                180_000,
            )
        ],
        suppressed=3,
        suspected=2,
        refuted=1,
    )


def an_empty_report(**changes: object) -> Report:
    """A month of which nothing arrived."""
    nothing = {
        name: Part(dict.fromkeys(part.figures, 0), 0.0, False) for name, part in parts().items()
    }
    first = date(2026, 9, 1)
    days = [first + timedelta(days=n) for n in range(30)]
    periods = [Period(day, day, Status.FINAL, 0.0, nothing) for day in days]
    total = Period(first, days[-1], Status.FINAL, 0.0, nothing)
    return a_report(
        month=Month(2026, 9), month_over=True, total=total, days=periods, faults=Faults(), **changes
    )


def given() -> dict[str, Figure]:
    return {
        "gate_availability": Figure(Name("门禁可用率", "Gate availability"), "%", 99.25, 0.98),
        "mttr": Figure(Name("平均修复时间", "MTTR"), "h", None),
    }


def text_of(pdf: bytes) -> str:
    """All that is written in it, without blanks and breaks, which no PDF has as such."""
    return "".join(re.sub(r"[\s\u200b]", "", text) for text in pages_of(pdf))


def pages_of(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
