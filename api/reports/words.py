"""The texts of reports, in both languages, and which figures they show. Terms: domain.md §6."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from api.reports.model import Corrected, PartName, Report
from api.words import Language, duration, grouped, named
from devices.registry import Name
from devices.stop_reasons import StopReason

__all__ = ["Language", "duration", "grouped", "named"]

UNKNOWN = "—"  # where a figure is not known: never 0
LONGEST_NAME = 60  # characters of a name that are shown

_TEXTS: Mapping[str, tuple[str, str]] = {
    "product": ("楼院 Courtyard", "Courtyard 楼院"),
    "title_compound": ("小区运行月报", "Monthly report of a compound"),
    "title_firm": ("物业公司运行月报", "Monthly report of a property firm"),
    "firm_name": ("{name}物业", "{name}"),
    "month": ("{year} 年 {number} 月", "{month_name} {year}"),
    "made_at": ("生成于 {at}", "Made {at}"),
    "final": ("已定稿", "Final"),
    "provisional": ("暂定", "Provisional"),
    "provisional_means": (
        "暂定：当日结束 48 小时内，迟到的数据还会改变用量；标 * 的日期同此。",
        "Provisional: for 48 hours after a day, late data may still change its usage; its date has "
        "a *.",
    ),
    "month_runs": (
        "本月尚未结束：数据截至 {at}。",
        "The month is not over: figures up to {at}.",
    ),
    "no_data": (
        "本月没有收到任何数据：用量未知，不是零。",
        "No data was received in this month: usage is unknown, not zero.",
    ),
    "no_compounds": ("该公司没有登记的小区。", "No compound of this firm is registered."),
    "part_no_data": ("本月没有数据", "No data in this month"),
    "coverage_is": (
        "用量来自 {share} 的应收数据。",
        "Usage from {share} of the expected data.",
    ),
    "coverage_none": ("本月没有应收的数据。", "No data was expected in this month."),
    "synthetic": ("含模拟数据", "With simulated data"),
    "firm": ("物业公司", "Property firm"),
    "households": ("户数", "Households"),
    "compounds": ("小区", "Compounds"),
    "compound": ("小区", "Compound"),
    "month_label": ("月份", "Month"),
    "status": ("状态", "Status"),
    "coverage": ("数据完整率", "Coverage"),
    "coverage_of": ("{part}\n完整率", "{part}\ncoverage"),
    "usage": ("用量", "Usage"),
    "figure": ("指标", "Figure"),
    "value": ("数值", "Value"),
    "unit": ("单位", "Unit"),
    "gates": ("门禁", "Gates"),
    "charging": ("充电", "Charging"),
    "lighting": ("照明", "Lighting"),
    "none_here": ("没有此类设备", "No such devices"),
    "given": ("可用率与响应", "Availability and response"),
    "days": ("逐日", "By day"),
    "date": ("日期", "Date"),
    "faults": ("故障", "Faults"),
    "faults_none": ("本月没有新发生的故障。", "No faults were raised in this month."),
    "faults_note": (
        "按本月发生计；历时计至恢复，未恢复的计至生成时。另有已归并 {suppressed} 处、"
        "疑似 {suspected} 处、误报 {refuted} 处，不计入。",
        "Raised in the month; lasting until over, or until this was made. Not counted: "
        "{suppressed} suppressed, {suspected} suspected, {refuted} false alarms.",
    ),
    "severity": ("级别", "Level"),
    "fault": ("故障", "Fault"),
    "code": ("代码", "Code"),
    "count": ("次数", "Count"),
    "standing": ("未恢复", "Standing"),
    "total_time": ("累计历时", "Time in all"),
    "mean_time": ("平均历时", "Mean time"),
    "longest_time": ("最长历时", "Longest"),
    "longest": ("历时最长的 10 处", "The ten longest"),
    "place": ("位置", "Place"),
    "since": ("起", "Since"),
    "until": ("止", "Until"),
    "lasted": ("历时", "Lasted"),
    "still": ("未恢复", "standing"),
    "breakdown": ("构成", "Breakdown"),
    "what": ("项目", "What"),
    "by_method": ("通行方式", "By method"),
    "by_direction": ("方向", "By direction"),
    "deny_reasons": ("拒绝原因", "Refused for"),
    "stop_reasons": ("停止原因", "Stopped for"),
    "p1": ("危急", "Critical"),
    "p2": ("重要", "Major"),
    "p3": ("一般", "Minor"),
    "p4": ("提示", "Notice"),
    "corrections": ("定稿后的更正", "Corrections after the figures were final"),
    "corrections_more": (
        "另有 {more} 条，见电子表格。",
        "{more} more are in the spreadsheet.",
    ),
    "corrections_left_out": (
        "另有 {more} 条未列出，见 API。",
        "{more} more are not listed here; the API has them.",
    ),
    "corrected_recount": ("按读数重算", "recount"),
    "corrected_reports": ("补入迟到的上报", "reports that came late"),
    "added": ("更正内容", "What was added"),
    "reason": ("原因", "Reason"),
    "by": ("更正人", "By"),
    "at": ("时间", "At"),
    "revision": ("版次", "Revision"),
    "c_session_h": ("充电时长", "Session time"),
    "c_in_use_h": ("占用时长", "Time in use"),
    "c_unavailable_h": ("不可用时长", "Time out of use"),
    "notes": ("说明", "Notes"),
    "note_unknown": (
        "“—”表示未知：没有收到数据，不是零。",
        "“—” is unknown: no data arrived; it is not zero.",
    ),
    "note_coverage": (
        "数据完整率＝收到的报告数 / 按登记的上报间隔应收的报告数。",
        "Coverage: reports that arrived / reports that the registered intervals promise.",
    ),
    "note_rate": (
        "亮灯率＝亮 /（亮＋灭＋未知），按应亮时段的灯时计；未知不算亮。",
        "Lamp-on rate: lit / (lit + dark + unknown) in lamp-hours while lamps are to be on; "
        "unknown never counts as lit.",
    ),
    "note_sessions": (
        "充电次数按结束时间计，不含未检测到充电器和电量不超过 0.01 kWh 的；"
        "利用率与翻台率只按有数据的插座小时计。",
        "Sessions count by their end, without those that found no charger or drew at most "
        "0.01 kWh; utilisation and turnover rest on the socket-hours of which there are data.",
    ),
    "note_people": (
        "活跃户数＝刷过的不同凭证数（只存加密散列），少于 5 个不显示；门未关按超过 1 分钟"
        "（道闸 3 分钟）的部分计；同时充电峰值在公司月报中取各小区的最大值。",
        "Active households: different credentials that passed, kept as keyed hashes; fewer than 5 "
        "are not shown. Held open: beyond 1 minute, 3 at a barrier. Most sockets at once: of a "
        "firm, those of the compound that had most.",
    ),
    "note_lamps": (
        "额定电量＝亮灯时间×额定功率×调光；与之相比的是同一时间的实测电量。平均熄灯时长"
        "＝确认的熄灯故障在应亮时段内的时间 / 故障数。白天指应亮时段之外。",
        "Nominal energy: time lit × nominal power × dim level, against what was metered meanwhile. "
        "Mean dark time: of confirmed lamps out, within lighting hours. By day: outside them.",
    ),
    "note_hollow": (
        "图中浅色柱为暂定，短横为没有数据。",
        "Pale bars are provisional, dashes are days without data.",
    ),
    "k_gate": ("门禁", "Gates"),
    "k_shed": ("充电棚", "Sheds"),
    "k_port": ("插座", "Sockets"),
    "k_lamp": ("灯", "Lamps"),
    "k_camera": ("监控", "CCTV points"),
    "k_lift": ("电梯", "Lifts"),
    "k_gateway": ("网关", "Gateways"),
    "sheet_summary": ("概要", "Summary"),
    "sheet_charts": ("图表", "Charts"),
    "sheet_days": ("逐日", "Days"),
    "sheet_breakdown": ("构成", "Breakdown"),
    "sheet_hours": ("通行时段", "Passages by hour"),
    "passages_by_hour": ("各时段通行次数 (次)", "Passages by hour of the day (n)"),
    "hour_from": ("时段起", "From"),
    "sheet_compounds": ("小区", "Compounds"),
    "sheet_compound_days": ("小区逐日", "Compounds by day"),
    "sheet_faults": ("故障", "Faults"),
    "sheet_corrections": ("更正", "Corrections"),
    "sheet_longest": ("历时最长", "Longest"),
    # methods of passing a gate, directions, why it stayed shut
    "v_card": ("刷卡", "Card"),
    "v_face": ("人脸", "Face"),
    "v_qr": ("二维码", "QR code"),
    "v_fingerprint": ("指纹", "Fingerprint"),
    "v_password": ("密码", "Password"),
    "v_remote": ("远程", "Remote"),
    "v_button": ("按钮", "Button"),
    "v_health_code": ("健康码", "Health code"),
    "v_plate": ("车牌", "Plate"),
    "v_in": ("进", "In"),
    "v_out": ("出", "Out"),
    "v_unknown": ("未知", "Unknown"),
    "v_no_permission": ("无权限", "No permission"),
    "v_invalid_period": ("不在时段", "Outside its hours"),
    "v_expired": ("已过期", "Expired"),
    "v_unknown_credential": ("凭证未登记", "Unknown credential"),
    "v_anti_passback": ("反潜回", "Anti-passback"),
    "v_face_mismatch": ("人脸不符", "Face does not match"),
    "v_liveness_failed": ("活体检测未通过", "Not a live face"),
    "v_blocklisted": ("黑名单", "Blocklisted"),
    "v_not_registered": ("未注册", "Not registered"),
    "v_other": ("其他", "Other"),
}

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of a part, as it is shown: times `scale`, with so many digits, in `unit`."""

    key: str
    name: Name
    unit: Name
    scale: float = 1.0
    digits: int = 0


def _row(key: str, zh: str, en: str, unit: str, scale: float = 1.0, digits: int = 0) -> Row:
    unit_zh, _, unit_en = unit.partition("|")
    return Row(key, Name(zh, en), Name(unit_zh, unit_en or unit_zh), scale, digits)


# A figure that `devices.usage` gives and that is to be shown is one line here.
ROWS: Mapping[PartName, tuple[Row, ...]] = {
    "gates": (
        _row("passages", "通行次数", "Passages", "次|n"),
        _row("denied", "拒绝次数", "Refused", "次|n"),
        _row("denial_rate", "拒绝率", "Denial rate", "%", 100, 1),
        _row("remote_openings", "远程开门次数", "Remote openings", "次|n"),
        _row("held_open_min", "门未关时长", "Held open", "分钟|min"),
        _row("active_households", "活跃户数", "Active households", "个|n"),
    ),
    "charging": (
        _row("sessions", "充电次数", "Charging sessions", "次|n"),
        _row("energy_kwh", "充电量", "Energy charged", "kWh", 1, 1),
        _row("fee_fen", "充电金额", "Fee", "元|CNY", 0.01, 2),
        _row("utilisation", "利用率", "Utilisation", "%", 100, 1),
        _row("turnover", "翻台率", "Turnover", "次/日|1/d", 1, 2),
        _row("mean_energy_kwh", "次均电量", "Mean energy", "kWh", 1, 2),
        _row("mean_duration_h", "次均时长", "Mean duration", "小时|h", 1, 1),
        _row("peak_ports", "同时充电峰值", "Most sockets at once", "个|n"),
        _row("full_not_removed_min", "充满未拔时长", "Full, not removed", "小时|h", 1 / 60, 1),
        _row("kwh_per_port_day", "插座日均电量", "Energy per socket and day", "kWh", 1, 2),
        _row("safety_stops_per_1000", "安全停机率", "Safety stops", "‰", 1, 2),
    ),
    "lighting": (
        _row("lamp_on_rate", "亮灯率", "Lamp-on rate", "%", 100, 1),
        _row("lit", "亮", "Lit", "灯时|lamp h"),
        _row("dark", "灭", "Dark", "灯时|lamp h"),
        _row("unknown", "未知", "Unknown", "灯时|lamp h"),
        _row("burn_hours", "亮灯时数", "Burn hours", "小时|h"),
        _row("energy_kwh", "照明电量", "Lighting energy", "kWh", 1, 1),
        _row("nominal_kwh", "额定电量", "Nominal energy", "kWh", 1, 1),
        _row("energy_of_nominal", "电量/额定", "Energy of nominal", "%", 100, 1),
        _row("mean_dark_h", "平均熄灯时长", "Mean dark time", "小时|h", 1, 1),
        _row("dark_faults", "熄灯故障", "Lamps out", "处|n"),
        _row("day_burn_hours", "白天亮灯", "Lit by day", "灯时|lamp h"),
        _row("day_burn_kwh", "白天亮灯电量", "Energy by day", "kWh", 1, 1),
    ),
}
# What a chart shows of a part by day, and what the tables by day and by compound show.
CHARTED: Mapping[PartName, str] = {
    "gates": "passages",
    "charging": "energy_kwh",
    "lighting": "lamp_on_rate",
}
IN_TABLES: tuple[tuple[PartName, str], ...] = (
    ("gates", "passages"),
    ("gates", "denial_rate"),
    ("charging", "sessions"),
    ("charging", "energy_kwh"),
    ("charging", "fee_fen"),
    ("lighting", "lamp_on_rate"),
    ("lighting", "energy_kwh"),
)
BREAKDOWNS: Mapping[PartName, tuple[str, ...]] = {
    "gates": ("by_method", "by_direction", "deny_reasons"),
    "charging": ("stop_reasons",),
    "lighting": (),
}
KINDS = ("gate", "shed", "port", "lamp", "camera", "lift", "gateway")


def say(language: Language, word: str, **values: object) -> str:
    """The text for `word`; KeyError for one that is not in the list."""
    text = _TEXTS[word][0 if language == "zh" else 1]
    return text.format(**values) if values else text


def row_of(part: PartName, key: str) -> Row:
    return next(row for row in ROWS[part] if row.key == key)


def value_name(language: Language, of: str, value: str) -> str:
    """A method, a direction or a reason in words; as it came where there are none for it."""
    if of == "stop_reasons":
        try:
            reason = StopReason(value)
        except ValueError:
            return clean(value)
        return reason.zh if language == "zh" else reason.en
    word = f"v_{value}"
    return say(language, word) if word in _TEXTS else clean(value)


_PART_OF: Mapping[str, PartName] = {"gate": "gates", "port": "charging", "lamp": "lighting"}


def corrected_figure(language: Language, kind: str, name: str, by: float) -> str:
    """What a correction adds to a figure: 充电量 −1.5 kWh."""
    figure, _, of = name.partition(".")
    rows = {row.key: row for row in ROWS[_PART_OF[kind]]}
    row = rows.get(figure)
    if of:
        text, unit, amount, digits = value_name(language, figure, of), "", by, 0
    elif row is None:
        text, unit = say(language, f"c_{figure}"), "小时" if language == "zh" else "h"
        amount, digits = by, 2
    else:
        text, unit = named(language, row.name), named(language, row.unit)
        amount, digits = by * row.scale, max(row.digits, 0 if by == int(by) else 2)
    return f"{text} {amount:+,.{digits}f} {unit}".rstrip()


def corrected_figures(language: Language, correction: Corrected) -> str:
    """All that a correction adds, in words."""
    texts = [
        f"{correction.place or say(language, f'k_{kind}')}: "
        + ", ".join(corrected_figure(language, kind, name, by) for name, by in added.items())
        for kind, added in correction.added.items()
        if added
    ]
    return "; ".join(texts) or say(language, "corrected_reports")


def number(value: float | None, digits: int = 0, scale: float = 1.0) -> str:
    """1,234.5; a dash for unknown."""
    return UNKNOWN if value is None else f"{value * scale:,.{digits}f}"


def share(value: float | None, digits: int = 1) -> str:
    """A share as a percentage; never rounded up to a whole that it is not."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    text = f"{percent:.{digits}f}"
    if percent < 100 <= float(text):
        text = f"{100 - 10**-digits:.{digits}f}"
    return f"{text} %"


def subject_name(language: Language, report: Report) -> str:
    """Whose report it is; a firm is named by its short name, which alone says little."""
    name = clean(named(language, report.name))
    return say(language, "firm_name", name=name) if report.subject == "firm" else name


def month_name(language: Language, year: int, month: int) -> str:
    return say(language, "month", year=year, number=month, month_name=_MONTHS[month - 1])


def instant(at_ms: int, zone: tzinfo) -> str:
    """2026-11-23 19:42, local."""
    return f"{datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d %H:%M}"


# What would turn the text around it, and what no font has a picture of.
_DIRECTING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BLANKS = re.compile(r"\s+")


def clean(text: str, most: int = LONGEST_NAME) -> str:
    """A text of somebody's as one line, without controls, cut where it is longer than `most`."""
    kept = _DIRECTING.sub("", text[: 4 * most])
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in kept)
    kept = _BLANKS.sub(" ", kept).strip()
    return kept if len(kept) <= most and len(text) <= 4 * most else f"{kept[: most - 1]}…"
