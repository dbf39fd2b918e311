"""WeCom group robots (企业微信群机器人, since 2025 消息推送): markdown.

Sources: developer.work.weixin.qq.com/document/path/99110 (消息推送配置说明, 2025-08-07) and the
global table of error codes there. The key in the address is all the security there is: nothing is
signed.
Its markdown knows `<@userid>`, so `<` of devices and people never gets there.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from alerts.channel import Limits, Receipt
from alerts.channels.answers import Code, chat, deliver, json_bytes, query_value
from alerts.message import Message, Notice
from alerts.outgoing import Outgoing
from alerts.texts import (
    Digest,
    Telling,
    Tone,
    cut,
    cut_digest,
    footer,
    mentioned,
    merged,
    number_row,
    tell,
    tell_digest,
    tell_summary,
    tell_test,
)
from devices.alerts import Target
from devices.words import say

# 20 a minute a robot; the content of markdown has 4,096 bytes, that of text 2,048.
LIMITS = Limits(per_minute=20, max_bytes=4096)
WAIT_S = 60.0  # 45009: its window is a minute

_KEY = (
    "机器人地址无效或已被删除：在群里重新复制 Webhook 地址",
    "the robot's address is not valid, or the robot was deleted: copy the webhook address again",
)

CODES: Sequence[Code] = (
    Code(45009, wait_s=WAIT_S),
    Code(45033, wait_s=WAIT_S),  # too many calls at once
    Code(93000, mend=_KEY),
    Code(
        93008,
        mend=(
            "机器人不在群里：在群里重新添加",
            "the robot is not in the group: add it again",
        ),
    ),
)

_COLOURS = {Tone.CRITICAL: "warning", Tone.MAJOR: "warning", Tone.GOOD: "info"}


class WeCom:
    """target.url: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…; without secrets."""

    limits = LIMITS

    def check(self, target: Target) -> None:
        if not urlsplit(target.url).path.endswith("/webhook/send") or not query_value(
            target.url, "key"
        ):
            raise ValueError(
                "url: expected the webhook address of a WeCom robot, "
                "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…"
            )
        if target.secrets:
            raise ValueError("secret: a WeCom robot has none, its address is the secret")

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        content, count = payload(message)
        body = json_bytes({"msgtype": "markdown", "markdown": {"content": content}})
        requests = [(target.url, body)]
        return Receipt(deliver(target, outgoing, requests, CODES, message.at_ms), count)


def payload(message: Message) -> tuple[str, int]:
    """The markdown, and how many of the notices are in it."""
    limit = LIMITS.max_bytes or 0

    def fits(content: str) -> bool:
        return len(content.encode()) <= limit

    if message.summary is not None:
        digest = cut_digest(
            tell_summary(message), lambda shorter: fits(_digest(shorter)), message.language
        )
        return _digest(digest), 0
    told = merged(message.notices)
    if len(told) > 1:

        def written(notices: Sequence[Notice]) -> str:
            return _digest(tell_digest(message, notices))

        count = mentioned(message.notices, lambda some: fits(written(some)))
        return written(message.notices[:count]), count
    telling = tell_test(message) if message.is_test else tell(message, told[0])
    telling = cut(telling, lambda shorter: fits(_single(shorter)))
    return _single(telling), len(message.notices)


def _coloured(tone: Tone, text: str) -> str:
    colour = _COLOURS.get(tone)
    return text if colour is None else f'<font color="{colour}">{text}</font>'


def _single(telling: Telling) -> str:
    colon = say(telling.language, "colon")
    rows = [*telling.all_rows(), number_row(telling)]
    lines = [f"**{_coloured(telling.tone, chat(telling.headline))}**"]
    lines += [f">{label}{colon}{chat(text)}" for label, text in rows]
    if telling.link is not None:
        lines.append(f"[{telling.button}]({telling.link})")
    return "\n".join([*lines, footer(telling.language)])


def _digest(digest: Digest) -> str:
    lines = [f"**{_coloured(digest.tone, chat(digest.headline))}**"]
    for group in digest.groups:
        lines.append(f"**{chat(group.title)}**")
        lines += [
            f">{chat(one.text)} "
            + (f"[{chat(one.number)}]({one.link})" if one.link else chat(one.number))
            for one in group.lines
        ]
    return "\n".join([*lines, digest.footer])
