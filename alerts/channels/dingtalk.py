"""DingTalk group robots (钉钉自定义机器人): markdown and action cards, signed in the query.

Sources: open.dingtalk.com, 自定义机器人接入, 自定义机器人安全设置, 消息类型与数据格式, and the
table of error codes; what an unknown token is answered with was measured by others on the real
server. Success is in the body: the status is 200 also when a message is refused.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from urllib.parse import quote_plus, urlsplit

from alerts.channel import Limits, Receipt
from alerts.channels.answers import (
    Code,
    chat,
    check_secrets,
    deliver,
    json_bytes,
    query_value,
)
from alerts.message import Message, Notice
from alerts.outgoing import Outgoing
from alerts.texts import (
    Digest,
    Telling,
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

# 20 a minute, else silence for 10 minutes; "message too long, exceed 20000 bytes".
LIMITS = Limits(per_minute=20, max_bytes=20_000)
BLOCKED_S = 605.0  # the 10 minutes, and some seconds for two clocks

_TOKEN = (
    "机器人地址无效：在群的机器人设置里重新复制 Webhook 地址",
    "the robot's address is not valid: copy the webhook address again from the group's robot",
)
_GONE = (
    "机器人已停用、已删除或群已解散：在群里确认机器人还在",
    "the robot was stopped or deleted, or its group is gone: look for it in the group",
)
_LINK = (
    "钉钉认为链接不安全：楼院的访问地址须是公网可达的 https",
    "DingTalk takes a link for unsafe: courtyard must be reachable under a public https address",
)

CODES: Sequence[Code] = (
    Code(130101, wait_s=BLOCKED_S),
    Code(410100, wait_s=BLOCKED_S),
    Code(1111, wait_s=BLOCKED_S),  # "punish": "deny", from what stands before the robots
    # one code for all security settings: its words, of which there are two generations, tell
    Code(
        310000,
        only=("invalid timestamp", "过期"),
        mend=(
            "时间戳无效或签名过期：校准本机时间",
            "the timestamp is not valid: set the clock of this host",
        ),
    ),
    Code(
        310000,
        only=("sign not match", "签名"),
        mend=(
            "签名不对：核对加签密钥，并核对本机时间",
            "the signature is wrong: check the signing secret, and the clock of this host",
        ),
        is_signature=True,
    ),
    Code(
        310000,
        only=("keyword", "关键词"),
        mend=(
            "缺少关键词：把机器人的自定义关键词设为“楼院”或“Courtyard”，或改用加签",
            "a keyword is missing: make “楼院” or “Courtyard” the robot's keyword, or use signing",
        ),
    ),
    Code(
        310000,
        only=("whitelist", "白名单"),
        mend=(
            "本机出口地址不在机器人的 IP 白名单里：加入白名单，或改用加签",
            "our address is not on the robot's list of addresses: add it, or use signing",
        ),
    ),
    Code(
        310000,
        mend=(
            "安全设置不通过：核对机器人的关键词、加签、IP 三项",
            "the robot's security settings refuse it: check keyword, signing, addresses",
        ),
    ),
    Code(300001, mend=_TOKEN),
    Code(300005, mend=_TOKEN),
    Code(40035, mend=_TOKEN, only=("token",)),
    Code(400101, mend=_TOKEN),
    Code(400013, mend=_GONE),
    Code(400102, mend=_GONE),
    Code(400106, mend=_GONE),
    Code(430101, mend=_LINK),
)


def sign(secret: str, timestamp_ms: int) -> str:
    """HMAC-SHA256 of timestamp, newline, secret, keyed by the secret; base64, percent-encoded."""
    signed = hmac.new(secret.encode(), f"{timestamp_ms}\n{secret}".encode(), hashlib.sha256)
    return quote_plus(base64.b64encode(signed.digest()))


class DingTalk:
    """target.url: https://oapi.dingtalk.com/robot/send?access_token=…; secrets: SEC…, optional."""

    limits = LIMITS

    def check(self, target: Target) -> None:
        if not urlsplit(target.url).path.endswith("/robot/send") or not query_value(
            target.url, "access_token"
        ):
            raise ValueError(
                "url: expected the webhook address of a DingTalk robot, "
                "https://oapi.dingtalk.com/robot/send?access_token=…"
            )
        check_secrets(target, "the signing secret of the robot (SEC…)", r"[\x21-\x7e]{5,200}")

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        body, count = payload(message)

        def requests() -> Iterator[tuple[str, bytes]]:
            for secret in target.secrets:
                signed = sign(secret, message.at_ms)
                yield f"{target.url}&timestamp={message.at_ms}&sign={signed}", body
            if not target.secrets:
                yield target.url, body

        return Receipt(deliver(target, outgoing, requests(), CODES, message.at_ms), count)


def payload(message: Message) -> tuple[bytes, int]:
    """The request's body, and how many of the notices are in it."""
    limit = LIMITS.max_bytes or 0
    if message.summary is not None:
        digest = cut_digest(
            tell_summary(message),
            lambda shorter: len(_markdown(*_digest(shorter))) <= limit,
            message.language,
        )
        return _markdown(*_digest(digest)), 0
    told = merged(message.notices)
    if len(told) > 1:

        def encoded(notices: Sequence[Notice]) -> bytes:
            return _markdown(*_digest(tell_digest(message, notices)))

        count = mentioned(message.notices, lambda some: len(encoded(some)) <= limit)
        return encoded(message.notices[:count]), count
    telling = tell_test(message) if message.is_test else tell(message, told[0])
    telling = cut(telling, lambda shorter: len(_single(shorter)) <= limit)
    return _single(telling), len(message.notices)


def _single(telling: Telling) -> bytes:
    colon = say(telling.language, "colon")
    rows = [*telling.all_rows(), number_row(telling)]
    title = chat(telling.headline)
    lines = [f"### {title}", *(f"**{label}**{colon}{chat(text)}" for label, text in rows)]
    text = "\n\n".join([*lines, footer(telling.language)])
    if telling.link is None:
        return _markdown(title, text)
    return json_bytes(
        {
            "msgtype": "actionCard",
            "actionCard": {
                "title": title,
                "text": text,
                "singleTitle": telling.button,
                "singleURL": telling.link,
            },
        }
    )


def _digest(digest: Digest) -> tuple[str, str]:
    title = chat(digest.headline)
    lines = [f"### {title}"]
    for group in digest.groups:
        lines.append(f"**{chat(group.title)}**")
        lines.append(
            "\n".join(
                f"- {chat(one.text)} "
                + (f"[{chat(one.number)}]({one.link})" if one.link else chat(one.number))
                for one in group.lines
            )
        )
    return title, "\n\n".join([*lines, digest.footer])


def _markdown(title: str, text: str) -> bytes:
    return json_bytes(
        {
            "msgtype": "markdown",
            "markdown": {"title": title, "text": text},
            "at": {"isAtAll": False},
        }
    )
