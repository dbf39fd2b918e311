"""Feishu and Lark group robots (飞书自定义机器人): interactive cards, signed in the body.

Source: open.feishu.cn, 自定义机器人使用指南 (also open.larkoffice.com/document/
ukTMukTMukTM/ucTM5YjL3ETO24yNxkjN.md), and 消息卡片. The key of the signature is timestamp, newline,
secret; what is signed is nothing: the other way round than DingTalk's.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from alerts.channel import Limits, Receipt
from alerts.channels.answers import Code, chat, check_secrets, deliver, json_bytes
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

# 100 a minute and 5 a second a robot; the request's body at most 20 KB.
LIMITS = Limits(per_minute=100, per_second=5, max_bytes=20_000)
SIGNATURE_BYTES = 120  # timestamp and sign, which come on top of the card
WAIT_S = 60.0

CODES: Sequence[Code] = (
    Code(11232, wait_s=WAIT_S),
    Code(9499, wait_s=WAIT_S, only=("too many", "frequency")),
    Code(
        19021,
        mend=(
            "签名不对：核对签名密钥，并核对本机时间（相差不得超过 1 小时）",
            "the signature is wrong: check the secret, and the clock of this host (within an hour)",
        ),
        is_signature=True,
    ),
    Code(
        19022,
        mend=(
            "本机出口地址不在机器人的 IP 白名单里：加入白名单，或改用签名校验",
            "our address is not on the robot's list of addresses: add it, or use signing",
        ),
    ),
    Code(
        19024,
        mend=(
            "缺少关键词：把机器人的自定义关键词设为“楼院”或“Courtyard”，或改用签名校验",
            "a keyword is missing: make “楼院” or “Courtyard” the robot's keyword, or use signing",
        ),
    ),
    Code(
        19001,
        mend=(
            "机器人地址无效或已被删除：在群里重新复制 Webhook 地址",
            "the robot's address is not valid, or it was deleted: copy the webhook address again",
        ),
    ),
)

_TEMPLATES: Mapping[Tone, str] = {
    Tone.CRITICAL: "red",
    Tone.MAJOR: "orange",
    Tone.MINOR: "yellow",
    Tone.GOOD: "green",
    Tone.NEUTRAL: "blue",
}


def sign(secret: str, timestamp_s: int) -> str:
    """HMAC-SHA256 of nothing, keyed by timestamp, newline, secret; base64."""
    key = f"{timestamp_s}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


class Feishu:
    """target.url: https://open.feishu.cn/open-apis/bot/v2/hook/… (or open.larksuite.com)."""

    limits = LIMITS

    def check(self, target: Target) -> None:
        before, _, token = urlsplit(target.url).path.rpartition("/")
        if not before.endswith("/open-apis/bot/v2/hook") or not token:
            raise ValueError(
                "url: expected the webhook address of a Feishu or Lark robot, "
                "https://open.feishu.cn/open-apis/bot/v2/hook/…"
            )
        check_secrets(target, "the signing secret of the robot", r"[\x21-\x7e]{5,200}")

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        card, count = payload(message)

        def requests() -> Iterator[tuple[str, bytes]]:
            timestamp_s = message.at_ms // 1000
            for secret in target.secrets:
                signed = {"timestamp": str(timestamp_s), "sign": sign(secret, timestamp_s)}
                yield target.url, json_bytes({**signed, **card})
            if not target.secrets:
                yield target.url, json_bytes(card)

        return Receipt(deliver(target, outgoing, requests(), CODES, message.at_ms), count)


def payload(message: Message) -> tuple[Mapping[str, object], int]:
    """The request without its signature, and how many of the notices are in it."""
    limit = (LIMITS.max_bytes or 0) - SIGNATURE_BYTES

    def fits(card: Mapping[str, object]) -> bool:
        return len(json_bytes(card)) <= limit

    if message.summary is not None:
        digest = cut_digest(
            tell_summary(message), lambda shorter: fits(_digest(shorter)), message.language
        )
        return _digest(digest), 0
    told = merged(message.notices)
    if len(told) > 1:

        def made(notices: Sequence[Notice]) -> Mapping[str, object]:
            return _digest(tell_digest(message, notices))

        count = mentioned(message.notices, lambda some: fits(made(some)))
        return made(message.notices[:count]), count
    telling = tell_test(message) if message.is_test else tell(message, told[0])
    telling = cut(telling, lambda shorter: fits(_single(shorter)))
    return _single(telling), len(message.notices)


def _single(telling: Telling) -> Mapping[str, object]:
    colon = say(telling.language, "colon")
    rows = [*telling.all_rows(), number_row(telling)]
    elements = [_markdown("\n".join(f"**{label}**{colon}{chat(text)}" for label, text in rows))]
    if telling.link is not None:
        button = {
            "tag": "button",
            "text": {"tag": "plain_text", "content": telling.button},
            "type": "primary",
            "url": telling.link,
        }
        elements.append({"tag": "action", "actions": [button]})
    return _card(telling.tone, telling.headline, elements, footer(telling.language))


def _digest(digest: Digest) -> Mapping[str, object]:
    elements = [
        _markdown(
            "\n".join(
                [
                    f"**{chat(group.title)}**",
                    *(
                        f"{chat(one.text)} "
                        + (f"[{chat(one.number)}]({one.link})" if one.link else chat(one.number))
                        for one in group.lines
                    ),
                ]
            )
        )
        for group in digest.groups
    ]
    return _card(digest.tone, digest.headline, elements, digest.footer)


def _markdown(content: str) -> dict[str, object]:
    return {"tag": "div", "text": {"tag": "lark_md", "content": content}}


def _card(
    tone: Tone, headline: str, elements: Sequence[Mapping[str, object]], foot: str
) -> Mapping[str, object]:
    note = {"tag": "note", "elements": [{"tag": "plain_text", "content": foot}]}
    return {
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": True},
            "header": {
                "title": {"tag": "plain_text", "content": chat(headline)},
                "template": _TEMPLATES[tone],
            },
            "elements": [*elements, note],
        },
    }
