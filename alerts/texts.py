"""A message in words: what, where, since when, who is to act, what to do. Raw, without markup.

Each channel escapes for its own; `cut` and `mentioned` keep the limit of a channel by shortening
lists, never characters. Text of devices and people comes in clean: without control characters,
without changes of writing direction, and not longer than a line.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from hashlib import sha256
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts.message import Message, Notice
from devices.alerts import ENDS, Language
from devices.faults import RETOLD, SYSTEM, Why
from devices.kinds import KINDS
from devices.registry import Contact, Name
from devices.rules import Severity
from devices.summaries import Counts, Lamps, Worst
from devices.telling import basis_line, evidence_lines, impact_line
from devices.words import duration, knows, named, say

EVIDENCE_AT_MOST = 12
LINK_AT_MOST = 600

_TEXTS: dict[str, tuple[str, str]] = {
    "headline": ("【{marks}】{what}", "{marks}: {what}"),
    "mark_sep": ("·", ", "),
    "what": ("{name}，{where}", "{name}, {where}"),
    "digest": ("汇总", "Digest"),
    "overnight": ("夜间汇总", "Overnight digest"),
    "n_new": ("{n} 条告警：{parts}", "{n} alerts: {parts}"),
    "n_over": ("{n} 条恢复", "{n} over"),
    "n_mark": ("{mark} {n}", "{n} {mark}"),
    "group": ("{compound}（{n}）", "{compound} ({n})"),
    # a day
    "summary": ("日报", "Daily summary"),
    "of_firm": ("{name} {day}", "{name}, {day}"),
    "district": ("全区", "the district"),
    "all_counts": ("{where}：{parts}", "{where}: {parts}"),
    "c_open": ("未恢复 {n}", "{n} open"),
    "c_overdue": ("超时 {n}", "{n} overdue"),
    "c_new": ("新增 {n}", "{n} new"),
    "c_cleared": ("恢复 {n}", "{n} cleared"),
    "c_suspected": ("疑似 {n}", "{n} suspected"),
    "worst": ("最严重的（{n}）", "The worst ({n})"),
    "by_compound": ("各小区（{n}）", "By compound ({n})"),
    "lamps": ("路灯与楼道灯（{n}）", "Lamps ({n})"),
    "lamps_of": ("{where}：{parts}", "{where}: {parts}"),
    "named_n": ("{name} {n}", "{name} {n}"),
    "all_well": ("没有故障", "Nothing is wrong"),
    "all_well_line": ("没有未恢复的故障，也没有新增", "No fault stands, and none was new"),
    "more": ("另有 {n} 项", "and {n} more"),
    "is_acknowledged": ("已确认", "acknowledged"),
    "test": ("测试", "Test"),
    "test_what": ("告警能送到这里", "alerts arrive here"),
    "test_note": (
        "这是测试消息，没有故障，不用处理",
        "this is a test: nothing is wrong, and nothing is to be done",
    ),
    "product": ("楼院", "Courtyard"),
    # rows
    "where": ("地点", "Place"),
    "device": ("设备", "Device"),
    "since": ("发生", "Began"),
    "lasts": ("已持续", "For"),
    "lasted": ("共持续", "Lasted"),
    "at": ("时间", "Time"),
    "attention": ("注意", "Attention"),
    "impact": ("影响", "Impact"),
    "evidence": ("依据", "Evidence"),
    "advice": ("处理", "Do"),
    "responsible": ("责任", "Responsible"),
    "contacts": ("联系人", "Contacts"),
    "by": ("处理人", "By"),
    "note": ("说明", "Note"),
    "number": ("编号", "Number"),
    "open": ("查看并处理", "Open and answer"),
    "contact": ("{name}（{role}）{phone}", "{name} ({role}) {phone}"),
    "contact_plain": ("{name} {phone}", "{name} {phone}"),
    # what to mind
    "is_safety": ("安全类故障，须人工确认", "a safety fault, which a person must acknowledge"),
    "safety_over": ("已恢复，仍须人工确认", "it is over, and must still be acknowledged"),
    "is_suspected": (
        "疑似故障，由数据推断，须现场核实",
        "suspected, inferred from data: verify it on site",
    ),
    "is_late": (
        "补传数据，事情发生在上述时间，数据刚刚送达",
        "late data: it happened at the time above, and was heard of only now",
    ),
    "unanswered": (
        "通知后 {lasted} 无人确认，请立即确认",
        "nobody has acknowledged it for {lasted} since it was told",
    ),
    # what happened to the fault
    "w_reopened": ("再次发生", "came back"),
    "w_worsened": ("加重", "got worse"),
    "w_eased": ("减轻", "eased"),
    "w_confirmed": ("核实属实", "confirmed"),
    "w_shelf_ended": ("搁置到期，仍未恢复", "shelf ended, still standing"),
    "w_maintenance_ended": ("维护结束，仍未恢复", "maintenance ended, still standing"),
    "w_released": ("上级已恢复，此处仍未恢复", "its root cause is over, this still stands"),
    "w_escalated": ("无人确认，升级第 {level} 级", "unanswered, escalated to level {level}"),
    "w_reminded": ("仍无人确认", "still unanswered"),
    "w_over": ("已恢复", "over"),
    "w_closed": ("已关闭", "closed"),
    "w_retired": ("设备变更，已关闭", "device changed, closed"),
    "w_reclassified": ("改判为其他原因，已关闭", "another cause, closed"),
}

_GOOD = ENDS | {Why.EASED}


class Tone(StrEnum):
    """How it looks where a channel has colours."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    GOOD = "good"
    NEUTRAL = "neutral"


Row = tuple[str, str]  # label, text


@dataclass(frozen=True, slots=True)
class Telling:
    """One notice in words. rows: what is always told; the lists come behind them.

    advice: what to do. link: of the fault, safe in any markup. button: what it is called.
    """

    headline: str
    tone: Tone
    rows: tuple[Row, ...]
    evidence: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    tail: tuple[Row, ...] = ()
    number: str = ""
    link: str | None = None
    button: str = ""
    language: str = "zh"

    def all_rows(self) -> list[Row]:
        """Label and text of each line, in order."""
        sep = say(self.language, "semicolon")
        listed = [
            (_say(self.language, name), sep.join(items))
            for name, items in (("evidence", self.evidence), ("contacts", self.contacts))
            if items
        ]
        return [*self.rows, *listed, *self.tail]


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One notice in a digest, on one line but for its number, which is the link's text."""

    text: str
    number: str
    link: str | None
    tone: Tone


@dataclass(frozen=True, slots=True)
class DigestGroup:
    """What is told of one compound."""

    title: str
    lines: tuple[DigestLine, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """Several notices in words; safety first, by compound."""

    headline: str
    tone: Tone
    groups: tuple[DigestGroup, ...]
    footer: str


def merged(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """One for each fault, in the order of their first: several events of one are one story.

    notices: in the order of the events of each fault.
    """
    stories: dict[str, list[Notice]] = {}
    for notice in notices:
        stories.setdefault(notice.fault, []).append(notice)
    return tuple(_story(told) for told in stories.values())


def tell(message: Message, notice: Notice) -> Telling:
    """`notice` in the words of the message's language."""
    language = message.language.value
    zone = _zone(notice.timezone)
    good = _is_good(notice)
    ended_ms = notice.at_ms if good else message.at_ms
    rows: list[Row] = [(_say(language, "where"), _where(language, notice))]
    if notice.device is not None:
        rows.append((_say(language, "device"), _device(language, notice)))
    rows.append((_say(language, "since"), _time(language, notice.since_ms, message.at_ms, zone)))
    if not (good and notice.reason in RETOLD):  # then it is long over, and at_ms is of today
        lasted = max(0, ended_ms - notice.since_ms) / 1000
        rows.append((_say(language, "lasted" if good else "lasts"), duration(language, lasted)))
    rows += [(_say(language, "attention"), text) for text in _attention(language, notice)]
    impact = impact_line(language, notice.impact)
    if impact and not good:
        rows.append((_say(language, "impact"), impact))
    advice = named(language, notice.advice)
    if advice and not good:
        rows.append((_say(language, "advice"), line(advice, 120)))
    if notice.responsible and not good:
        rows.append((_say(language, "responsible"), _responsible(language, notice.responsible)))
    tail: list[Row] = []
    if notice.actor not in ("", SYSTEM):
        tail.append((_say(language, "by"), line(notice.actor, 40)))
    if notice.note:
        tail.append((_say(language, "note"), line(notice.note, 200)))
    return Telling(
        headline=_headline(language, notice),
        tone=_tone(notice),
        rows=tuple(rows),
        evidence=() if good else _evidence(language, notice, zone),
        contacts=() if good else tuple(_contact(language, one) for one in notice.contacts),
        tail=tuple(tail),
        number=line(notice.number, 20),
        link=safe_link(notice.link),
        button=_say(language, "open"),
        language=language,
    )


def tell_test(message: Message) -> Telling:
    """What is sent to see whether a target can be reached."""
    language = message.language.value
    zone = _zone("Asia/Shanghai")
    what = _say(language, "test_what")
    return Telling(
        headline=_say(language, "headline", marks=_say(language, "test"), what=what),
        tone=Tone.NEUTRAL,
        rows=(
            (_say(language, "at"), _time(language, message.at_ms, message.at_ms, zone)),
            (_say(language, "attention"), _say(language, "test_note")),
        ),
        number=sha256(message.key.encode()).hexdigest()[:6].upper(),
        language=language,
    )


def tell_digest(message: Message, notices: Sequence[Notice]) -> Digest:
    """These of the message's notices as a digest; it says nothing of the others."""
    language = message.language.value
    notices = merged(notices)
    groups: dict[str, list[Notice]] = {}
    for notice in sorted(notices, key=_urgency):
        groups.setdefault(notice.compound or "", []).append(notice)
    told = tuple(
        DigestGroup(
            _say(language, "group", compound=_compound(language, of[0]), n=len(of)),
            tuple(_digest_line(message, notice) for notice in of),
        )
        for of in groups.values()
    )
    tones = [tone for tone in Tone if any(_tone(notice) is tone for notice in notices)]
    marks = _say(language, "overnight" if message.is_overnight else "digest")
    headline = _say(language, "headline", marks=marks, what=_counts(language, notices))
    return Digest(headline, tones[0] if tones else Tone.NEUTRAL, told, _say(language, "product"))


def tell_summary(message: Message) -> Digest:
    """The message's summary, as a digest."""
    language, summary = message.language.value, message.summary
    if summary is None:
        raise ValueError(f"message {message.key} has no summary")
    name = named(language, summary.firm_name) if summary.firm_name else _say(language, "district")
    where = _say(language, "of_firm", name=line(name, 40), day=summary.day[5:])
    parts = _count_words(language, summary.counts, all_of_them=True)
    what = _say(language, "all_counts", where=where, parts=parts)
    headline = _say(language, "headline", marks=_say(language, "summary"), what=what)
    zone = _zone(summary.timezone)
    groups = [
        _summary_group(
            language, "worst", [_worst_line(message, one, zone) for one in summary.worst]
        ),
        _summary_group(
            language,
            "by_compound",
            [
                _plain_line(
                    _say(
                        language,
                        "all_counts",
                        where=line(named(language, one.name), 40),
                        parts=_count_words(language, one.counts),
                    ),
                    Tone.MAJOR if one.counts.overdue else Tone.NEUTRAL,
                )
                for one in summary.compounds
            ],
        ),
        _summary_group(language, "lamps", [_lamps_line(language, one) for one in summary.lamps]),
    ]
    told = tuple(group for group in groups if group.lines)
    if not told:
        well = _plain_line(_say(language, "all_well_line"), Tone.GOOD)
        told = (DigestGroup(_say(language, "all_well"), (well,)),)
    tone = Tone.MAJOR if summary.counts.overdue else Tone.NEUTRAL
    tone = tone if summary.counts.open or summary.counts.new else Tone.GOOD
    return Digest(headline, tone, told, _say(language, "product"))


def cut_digest(digest: Digest, fits: Callable[[Digest], bool], language: Language | str) -> Digest:
    """The longest form that fits: of each group as many lines as there is room for, the first ones,
    and how many the others are. Raises ValueError if not even the titles fit."""
    longest = max((len(group.lines) for group in digest.groups), default=0)
    fit, not_fit = -1, longest + 1
    while not_fit - fit > 1:
        middle = (fit + not_fit) // 2
        if fits(_first_lines(digest, middle, language)):
            fit = middle
        else:
            not_fit = middle
    if fit < 0:
        raise ValueError("the limit of the channel is too small for any summary")
    return _first_lines(digest, fit, language)


def number_row(telling: Telling) -> Row:
    return _say(telling.language, "number"), telling.number


def footer(language: Language | str) -> str:
    """What stands at the end of each message: a robot's keyword may be this word."""
    return _say(language, "product")


def plain(message: Message) -> str:
    """All of it as plain text, for channels without markup."""
    if message.summary is not None:
        return plain_digest(tell_summary(message))
    told = merged(message.notices)
    if len(told) > 1:
        return plain_digest(tell_digest(message, told))
    telling = tell_test(message) if message.is_test else tell(message, told[0])
    colon = say(telling.language, "colon")
    rows = [*telling.all_rows(), number_row(telling)]
    lines = [telling.headline, *(f"{label}{colon}{text}" for label, text in rows)]
    if telling.link is not None:
        lines.append(telling.link)
    return "\n".join([*lines, footer(telling.language)])


def plain_digest(digest: Digest) -> str:
    lines = [digest.headline]
    for group in digest.groups:
        lines += ["", group.title]
        lines += [f"- {one.text} {one.number} {one.link or ''}".rstrip() for one in group.lines]
    return "\n".join([*lines, "", digest.footer])


def cut(telling: Telling, fits: Callable[[Telling], bool]) -> Telling:
    """The longest form that fits: less evidence, then fewer contacts, then shorter lines.

    What, where, and the number always stay. Raises ValueError if not even they fit.
    """
    for shorter in _shorter(telling):
        if fits(shorter):
            return shorter
    raise ValueError("the limit of the channel is too small for any message")


def mentioned(notices: Sequence[Notice], fits: Callable[[Sequence[Notice]], bool]) -> int:
    """How many notices, from the first on, fit into one digest; at least 1."""
    fit, not_fit = 1, len(notices) + 1
    while not_fit - fit > 1:
        middle = (fit + not_fit) // 2
        if fits(notices[:middle]):
            fit = middle
        else:
            not_fit = middle
    return fit


def line(text: str, at_most: int) -> str:
    """Text of devices and people as one line: no control characters, none that change the
    direction of writing or cannot be encoded, and not cut in the middle of a character."""
    text = text[: 8 * at_most]  # what is behind that is not shown, whatever it is
    if not (text.isascii() and text.isprintable()):
        kinds = [(letter, unicodedata.category(letter)) for letter in text]
        text = "".join(
            " " if kind in ("Cc", "Zl", "Zp", "Zs") else letter
            for letter, kind in kinds
            if kind not in ("Cf", "Cs", "Co", "Cn")
        )
    shown = " ".join(text.split())
    if len(shown) <= at_most:
        return shown
    end = at_most - 1
    while end > 0 and unicodedata.category(shown[end]) in ("Mn", "Me", "Mc"):
        end -= 1
    return shown[:end].rstrip() + "…"


def safe_link(link: str | None) -> str | None:
    """`link` with what would end it in some markup percent-encoded; None where it is none."""
    if link is None or not link.startswith(("https://", "http://")):
        return None
    safe = quote(link, safe="%/:?#&=+@;,~-._$")
    return safe if len(safe) <= LINK_AT_MOST else None


def _say(language: Language | str, word: str, **values: object) -> str:
    text = _TEXTS[word][0 if language == "zh" else 1]
    return text.format(**values) if values else text


def _shorter(telling: Telling) -> Iterator[Telling]:
    yield telling
    for count in range(len(telling.evidence) - 1, -1, -1):
        telling = replace(telling, evidence=telling.evidence[:count])
        yield telling
    for count in range(len(telling.contacts) - 1, -1, -1):
        telling = replace(telling, contacts=telling.contacts[:count])
        yield telling
    for most in (60, 30, 15, 8):
        telling = replace(
            telling,
            headline=line(telling.headline, most * 2),
            rows=tuple((label, line(text, most)) for label, text in telling.rows),
            tail=tuple((label, line(text, most)) for label, text in telling.tail),
        )
        yield telling
    yield replace(telling, tail=(), link=None)
    yield replace(telling, tail=(), link=None, rows=telling.rows[:1])


def _story(told: Sequence[Notice]) -> Notice:
    first, last = told[0], told[-1]
    if len(told) > 1 and last.reason in ENDS and first.reason not in ENDS:
        return replace(last, is_over=True, number=first.number)
    return last


def _is_good(notice: Notice) -> bool:
    return notice.is_over or notice.reason in _GOOD


def _tone(notice: Notice) -> Tone:
    if _is_good(notice):
        return Tone.GOOD
    if notice.suspected:
        return Tone.MINOR
    return {Severity.P1: Tone.CRITICAL, Severity.P2: Tone.MAJOR}.get(notice.severity, Tone.MINOR)


def _urgency(notice: Notice) -> tuple[bool, bool, bool, Severity, int]:
    """Safety first, and what stands before what is over."""
    return (
        not notice.safety,
        _is_good(notice),
        notice.suspected,
        notice.severity,
        notice.since_ms,
    )


def _marks(language: str, notice: Notice) -> str:
    """Severity, and what happened: 危急·再次发生."""
    word = say(language, "suspected" if notice.suspected else notice.severity.lower())
    marks = [word]
    if f"w_{notice.reason}" in _TEXTS:
        marks.append(_say(language, f"w_{notice.reason}", level=notice.level))
    elif notice.reason is not Why.RAISED:
        marks.append(_lower(language, say(language, f"h_{notice.reason}")))
    if notice.is_over and notice.reason not in ENDS:
        marks.append(_say(language, "w_over"))
    return _say(language, "mark_sep").join(marks)


def _headline(language: str, notice: Notice) -> str:
    name = line(named(language, notice.name), 60)
    what = _say(language, "what", name=name, where=_compound(language, notice))
    return _say(language, "headline", marks=_marks(language, notice), what=what)


def _compound(language: str, notice: Notice) -> str:
    if notice.compound is None:
        return say(language, "our_system")
    name = notice.compound_name or Name(notice.compound, notice.compound)
    return line(named(language, name), 40)


def _where(language: str, notice: Notice) -> str:
    parts = [_compound(language, notice)]
    if notice.where:
        parts.append(line(notice.where, 60))
    elif notice.compound is not None and notice.device is None:
        parts.append(say(language, "whole_compound"))
    return " ".join(parts)


def _device(language: str, notice: Notice) -> str:
    name = line(notice.device_name or notice.device or "", 60)
    kind = KINDS.get(notice.kind)
    if kind is None:
        return name
    return say(language, "sep").join([name, named(language, Name(kind.zh, kind.en))])


def _attention(language: str, notice: Notice) -> list[str]:
    words: list[str] = []
    if notice.unanswered_s is not None:
        lasted = duration(language, notice.unanswered_s)
        words.append(_say(language, "unanswered", lasted=lasted))
    if notice.safety and notice.reason not in (Why.CLOSED, Why.RETIRED, Why.RECLASSIFIED):
        words.append(_say(language, "safety_over" if _is_good(notice) else "is_safety"))
    if notice.suspected:
        words.append(_say(language, "is_suspected"))
    if notice.late:
        words.append(_say(language, "is_late"))
    return words


def _responsible(language: str, responsible: str) -> str:
    party = f"party_{responsible}"
    return say(language, party) if knows(party) else line(responsible, 60)


def _contact(language: str, contact: Contact) -> str:
    name, phone = line(contact.name, 30), line(contact.phone, 30)
    if not contact.role:
        return _say(language, "contact_plain", name=name, phone=phone)
    return _say(language, "contact", name=name, role=line(contact.role, 30), phone=phone)


def _evidence(language: str, notice: Notice, zone: tzinfo) -> tuple[str, ...]:
    basis = basis_line(language, notice.code, notice.kind, notice.evidence)
    if basis:
        return (line(basis, 200),)
    found = evidence_lines(language, notice.kind, notice.evidence, zone)
    return tuple(f"{line(name, 40)} {line(value, 80)}" for name, value in found[:EVIDENCE_AT_MOST])


def _digest_line(message: Message, notice: Notice) -> DigestLine:
    language = message.language.value
    name = line(named(language, notice.name), 60)
    parts = [_say(language, "headline", marks=_marks(language, notice), what=name)]
    if notice.device is not None:
        parts.append(line(notice.device_name or notice.device, 60))
    if notice.where:
        parts.append(line(notice.where, 60))
    zone = _zone(notice.timezone)
    parts.append(_time(language, notice.since_ms, message.at_ms, zone, is_short=True))
    text = say(language, "sep").join(parts)
    return DigestLine(text, line(notice.number, 20), safe_link(notice.link), _tone(notice))


def _counts(language: str, notices: Sequence[Notice]) -> str:
    """3 条告警：危急 1 · 重要 2；1 条恢复."""
    standing = [notice for notice in notices if not _is_good(notice)]
    words: list[str] = []
    if standing:
        kinds = ["suspected" if one.suspected else one.severity.lower() for one in standing]
        parts = [
            _say(
                language, "n_mark", mark=_lower(language, say(language, kind)), n=kinds.count(kind)
            )
            for kind in ("p1", "p2", "p3", "p4", "suspected")
            if kind in kinds
        ]
        told = say(language, "sep").join(parts)
        words.append(_say(language, "n_new", n=len(standing), parts=told))
    if len(standing) < len(notices):
        words.append(_say(language, "n_over", n=len(notices) - len(standing)))
    return say(language, "semicolon").join(words)


def _count_words(language: str, counts: Counts, *, all_of_them: bool = False) -> str:
    """未恢复 3 · 新增 1; without what there is none of, unless all are asked for."""
    told = [
        _say(language, f"c_{name}", n=n)
        for name, n in (
            ("open", counts.open),
            ("overdue", counts.overdue),
            ("new", counts.new),
            ("cleared", counts.cleared),
            ("suspected", counts.suspected),
        )
        if n or all_of_them
    ]
    return say(language, "sep").join(told)


def _summary_group(language: str, title: str, lines: Sequence[DigestLine]) -> DigestGroup:
    return DigestGroup(_say(language, title, n=len(lines)), tuple(lines))


def _plain_line(text: str, tone: Tone = Tone.NEUTRAL) -> DigestLine:
    return DigestLine(text, "", None, tone)


def _worst_line(message: Message, one: Worst, zone: tzinfo) -> DigestLine:
    language = message.language.value
    what = line(named(language, one.name), 60)
    mark = say(language, one.severity.lower())
    parts = [_say(language, "headline", marks=mark, what=what)]
    place = say(language, "our_system") if one.compound is None else named(language, one.compound)
    parts += [line(text, 60) for text in (place, one.device, one.where) if text]
    parts.append(_time(language, one.since_ms, message.at_ms, zone, is_short=True))
    if one.acknowledged:
        parts.append(_say(language, "is_acknowledged"))
    link = safe_link(f"{message.console}/faults/{one.fault}") if message.console else None
    tone = {Severity.P1: Tone.CRITICAL, Severity.P2: Tone.MAJOR}.get(one.severity, Tone.MINOR)
    return DigestLine(say(language, "sep").join(parts), line(one.fault[:4], 20), link, tone)


def _lamps_line(language: str, one: Lamps) -> DigestLine:
    where = " ".join(
        line(text, 40) for text in (named(language, one.compound), one.building, one.unit) if text
    )
    told = [
        _say(language, "named_n", name=line(named(language, name), 60), n=n)
        for name, n in one.names
    ]
    parts = say(language, "sep").join(told)
    return _plain_line(_say(language, "lamps_of", where=where, parts=parts))


def _first_lines(digest: Digest, most: int, language: Language | str) -> Digest:
    groups = []
    for group in digest.groups:
        lines = group.lines[:most]
        left = len(group.lines) - len(lines)
        if left:
            lines = (*lines, _plain_line(_say(language, "more", n=left)))
        groups.append(DigestGroup(group.title, lines))
    return replace(digest, groups=tuple(groups))


def _lower(language: str, word: str) -> str:
    return word if language == "zh" else word.lower()


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC  # the alert is worth more than its local time, and says which time it is


def _time(language: str, at_ms: int, now_ms: int, zone: tzinfo, *, is_short: bool = False) -> str:
    """Local time; with its offset where a reader might take it for another. is_short: today's
    without a date."""
    at = datetime.fromtimestamp(at_ms / 1000, zone)
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    day = "" if at.year == now.year else f"{at:%Y}-"
    day = "" if is_short and at.date() == now.date() else f"{day}{at:%m-%d} "
    offset = at.utcoffset()
    hours = 0.0 if offset is None else offset.total_seconds() / 3600
    shown = f"{day}{at:%H:%M:%S}"
    return shown if language == "zh" and hours == 8 else f"{shown} UTC{hours:+g}"
