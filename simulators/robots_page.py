"""What arrived at the robots, as chats look: one column a robot, the newest message at the top."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Protocol

SHOWN = 200
_BEIJING = timedelta(hours=8)


class Shown(Protocol):
    """As much of a message as the page shows."""

    @property
    def at_ms(self) -> int: ...
    @property
    def robot(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def accepted(self) -> bool: ...
    @property
    def code(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def tone(self) -> str: ...
    @property
    def links(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def repeats(self) -> int: ...


_WORDS = {
    "title": ("机器人收到的消息", "What the robots received"),
    "lead": (
        "模拟的群机器人：本机运行，消息没有离开这台机器。时间为北京时间。",
        "Simulated group robots on this machine: nothing left it. Times are Beijing time.",
    ),
    "none": ("还没有消息。", "Nothing has arrived yet."),
    "refused": ("已拒收（{code}）", "refused ({code})"),
    "repeats": ("重复 {n} 次，按编号去重", "repeated {n} times, told by its id"),
    "other": ("EN", "中文"),
    "dingtalk": ("钉钉", "DingTalk"),
    "wecom": ("企业微信", "WeCom"),
    "feishu": ("飞书", "Feishu"),
    "webhook": ("Webhook", "Webhook"),
    "alertmanager": ("Alertmanager", "Alertmanager"),
}

_STYLE = """
:root{color-scheme:light dark;--bg:#eef1f5;--card:#fff;--ink:#1d2939;--dim:#667085;--line:#d0d5dd;
--bad:#b42318;--good:#067647;--link:#175cd3}
@media(prefers-color-scheme:dark){:root{--bg:#14181f;--card:#1f2630;--ink:#e4e7ec;--dim:#98a2b3;
--line:#344054;--bad:#f97066;--good:#47cd89;--link:#84adff}}
body{margin:0;padding:16px;background:var(--bg);color:var(--ink);
font:15px/1.55 -apple-system,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
header{display:flex;gap:16px;align-items:baseline;flex-wrap:wrap;margin:0 0 16px}
h1{font-size:20px;margin:0}header p{margin:0;color:var(--dim)}a{color:var(--link)}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,360px),1fr));gap:16px;
align-items:start}
h2{font-size:16px;margin:0 0 8px}h2 small{color:var(--dim);font-weight:400}
article{background:var(--card);border-radius:4px 12px 12px 12px;padding:10px 14px;margin:0 0 12px;
box-shadow:0 1px 2px #0002;overflow-wrap:anywhere}
article.refused{opacity:.7;border:1px dashed var(--bad);background:none}
article h3{font-size:15px;margin:0 0 6px}article p{margin:0 0 4px}
article.red h3,article.orange h3,.warning{color:var(--bad)}article.green h3,.info{color:var(--good)}
time,.mark{color:var(--dim);font-size:13px}.mark{color:var(--bad)}
.button{display:inline-block;margin:6px 8px 4px 0;padding:6px 14px;border:1px solid var(--link);
border-radius:6px;text-decoration:none}
blockquote{margin:0 0 2px;padding-left:8px;border-left:3px solid var(--line)}
"""

_LINK = re.compile(r"\[([^\[\]]*)\]\((https?://[^\s()]+)\)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_FONT = re.compile(r"&lt;font color=&quot;(warning|info|comment)&quot;&gt;(.*?)&lt;/font&gt;")


def page(language: str, attempts: Sequence[Shown]) -> str:
    """The whole page, in zh or en."""
    chats: dict[tuple[str, str], list[Shown]] = {}
    for one in reversed(attempts[-SHOWN:]):
        chats.setdefault((one.kind, one.robot), []).append(one)
    inside = "".join(
        f"<section><h2>{escape(robot or '?')} <small>{_say(language, kind)}</small></h2>"
        + "".join(_bubble(language, one) for one in those)
        + "</section>"
        for (kind, robot), those in sorted(chats.items())
    )
    other = "en" if language == "zh" else "zh"
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}">'
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="refresh" content="5">'
        f"<title>{_say(language, 'title')}</title><style>{_STYLE}</style>"
        f"<header><h1>{_say(language, 'title')}</h1><p>{_say(language, 'lead')}</p>"
        f'<a href="?lang={other}">{_say(language, "other")}</a></header>'
        f"<main>{inside or '<p>' + _say(language, 'none') + '</p>'}</main></html>"
    )


def markup(text: str) -> str:
    """The little markdown that the robots know, as HTML; everything else is only text."""
    return "".join(_block(one) for one in text.split("\n") if one.strip())


def _block(line: str) -> str:
    if line.startswith("#"):
        return f"<h3>{_inline(line.lstrip('# '))}</h3>"
    if line.startswith(">"):
        return f"<blockquote>{_inline(line[1:].strip())}</blockquote>"
    if line.startswith("- "):
        return f"<p>• {_inline(line[2:])}</p>"
    return f"<p>{_inline(line)}</p>"


def _inline(text: str) -> str:
    shown = escape(text)
    shown = _FONT.sub(r'<span class="\1">\2</span>', shown)
    shown = _BOLD.sub(r"<b>\1</b>", shown)
    return _LINK.sub(r'<a href="\2">\1</a>', shown)


def _bubble(language: str, one: Shown) -> str:
    at = (datetime.fromtimestamp(one.at_ms / 1000, UTC) + _BEIJING).strftime("%m-%d %H:%M:%S")
    marks: list[str] = []
    if not one.accepted:
        marks.append(_say(language, "refused", code=one.code))
    if one.repeats:
        marks.append(_say(language, "repeats", n=one.repeats))
    own_title = one.title and f"# {one.title}" not in one.text
    title = f"<h3>{escape(one.title)}</h3>" if own_title else ""
    return (
        f'<article class="{_class(one)}"><time>{at}</time> {_marks(marks)}'
        f"{title}{markup(one.text)}{_buttons(one.links)}</article>"
    )


def _class(one: Shown) -> str:
    tone = one.tone if one.tone.isalpha() else ""
    return " ".join(word for word in (tone, "" if one.accepted else "refused") if word)


def _marks(marks: Iterable[str]) -> str:
    return "".join(f'<span class="mark">{escape(mark)}</span> ' for mark in marks)


def _buttons(links: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f'<a class="button" href="{escape(url)}">{escape(label)}</a>'
        for label, url in links
        if url.startswith(("https://", "http://"))
    )


def _say(language: str, word: str, **values: object) -> str:
    return _WORDS[word][0 if language == "zh" else 1].format(**values)
