"""What channels share: sending JSON, reading what was answered, and text that is only text.

An answer of the other side is shown to people and stored: address and secrets are taken out of it
first, for some robots repeat what they were sent.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

from alerts.channel import DeliveryFailed
from alerts.outgoing import Answer, Outgoing, Refused, Unreachable
from alerts.texts import line
from devices.alerts import Language, Target

ANSWER_SHOWN = 200
WAIT_AT_MOST_S = 3600.0
TOO_FAST_S = 60.0

# Chat markup has no escaping that all clients know, so what could begin some is written with its
# full-width twin. That also holds for entities (`&lt;at id=all&gt;`), which some decode.
_TWINS = str.maketrans("<>[]*`~#|\\@_&{}", "＜＞［］＊｀～＃｜＼＠＿＆｛｝")
_SCHEME = re.compile(r":(?=//)")
_SLASHES = re.compile(r"//+")
_DOMAIN = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2,})")


def chat(text: str) -> str:
    """Text of devices and people for a chat's markup: no mention, link, image or format in it.

    A domain loses its dot too, for clients make links of `example.org` by themselves.
    """
    shown = _SCHEME.sub("：", text.translate(_TWINS))
    shown = _SLASHES.sub(lambda found: "／" * len(found[0]), shown)
    return _DOMAIN.sub("．", shown)


def json_bytes(payload: object) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def in_language(target: Target, words: tuple[str, str]) -> str:
    return words[0 if target.language is Language.ZH else 1]


def redacted(target: Target, text: str) -> str:
    """`text` of the other side on one line, without the target's address and secrets."""
    parts = urlsplit(target.url)
    hidden = {target.url, parts.netloc, *parts.path.split("/")}
    hidden |= {value for _, value in parse_qsl(parts.query)}
    hidden = {part for part in hidden if len(part) >= 8}  # a token, not a word like `send`
    hidden |= {secret.removeprefix("whsec_") for secret in target.secrets}
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, "…")
    return line(text, ANSWER_SHOWN)


ADDRESS_REFUSED = (
    "地址不允许发送（{why}）；改正地址，或由管理员放行",
    "nothing may be sent to this address ({why}); correct it, or have it allowed",
)
MOVED = (
    "HTTP {status}：地址已永久迁移，不跟随跳转；填入新的地址",
    "HTTP {status}: it has moved for good, and redirects are not followed; enter the new address",
)


def post(
    target: Target, outgoing: Outgoing, url: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    """The answer, whatever its status. Raises DeliveryFailed."""
    try:
        return outgoing.post(url, body, headers)
    except Refused as error:
        said = in_language(target, ADDRESS_REFUSED).format(why=error)
        raise DeliveryFailed(said, permanent=True) from None
    except Unreachable as error:
        raise DeliveryFailed(str(error)) from None


def check_status(target: Target, answer: Answer, at_ms: int) -> None:
    """Raise DeliveryFailed for an answer that is no 2xx. at_ms: now, for a Retry-After."""
    if 200 <= answer.status < 300:
        return
    if answer.status in (301, 308):
        said = in_language(target, MOVED).format(status=answer.status)
        raise DeliveryFailed(said, permanent=True)
    wait_s = None
    if answer.status in (429, 503):
        wait_s = retry_after_s(answer.headers.get("retry-after", ""), at_ms)
    if wait_s is None and answer.status == 429:
        wait_s = TOO_FAST_S
    said = redacted(target, answer.body[:2000].decode("utf-8", "replace"))
    raise DeliveryFailed(f"HTTP {answer.status} {said}".strip(), wait_s=wait_s)


def retry_after_s(value: str, at_ms: int) -> float | None:
    """What a Retry-After header asks for, from 1 s to an hour; None for none."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        wait_s = float(value)
    else:
        try:
            until = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        wait_s = (until - datetime.fromtimestamp(at_ms / 1000, UTC)).total_seconds()
    return min(max(wait_s, 1.0), WAIT_AT_MOST_S)


@dataclass(frozen=True, slots=True)
class Code:
    """What an error code of a robot means; neither: try again.

    wait_s: it wants less. mend: what a person must do, in both languages. only: it means that when
    the robot's own words have one of these in them. is_signature: another secret may be right.
    """

    number: int
    wait_s: float | None = None
    mend: tuple[str, str] | None = None
    only: tuple[str, ...] = ()
    is_signature: bool = False


class _BadSignature(DeliveryFailed):
    pass


def deliver(
    target: Target,
    outgoing: Outgoing,
    requests: Iterable[tuple[str, bytes]],
    codes: Iterable[Code],
    at_ms: int,
) -> str:
    """What a robot said to the first request whose signature it took: one request a secret.

    Raises DeliveryFailed.
    """
    failed = DeliveryFailed("nothing was sent")
    for url, body in requests:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answer = post(target, outgoing, url, body, headers)
        try:
            return _robot_says(target, answer, codes, at_ms)
        except _BadSignature as error:
            failed = error
    raise failed


def _robot_says(target: Target, answer: Answer, codes: Iterable[Code], at_ms: int) -> str:
    """Success is in the body: HTTP 200 with a code that is not 0 is a failure."""
    number, said = _read(answer)
    if number is None:
        check_status(target, answer, at_ms)
        raise DeliveryFailed(f"HTTP {answer.status}, {redacted(target, said)}")
    told = f"{number} {redacted(target, said)}".strip()
    if number == 0:
        check_status(target, answer, at_ms)
        return told
    for code in codes:
        if code.number != number:
            continue
        if code.only and not any(word in said.lower() for word in code.only):
            continue
        kind = _BadSignature if code.is_signature else DeliveryFailed
        if code.mend is not None:
            colon = in_language(target, ("：", ": "))
            raise kind(f"{told}{colon}{in_language(target, code.mend)}", permanent=True)
        raise kind(told, wait_s=code.wait_s)
    raise DeliveryFailed(told)


def _read(answer: Answer) -> tuple[int | None, str]:
    """The robot's code and words; no code where it is not the robot that answers."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None, answer.body[:2000].decode("utf-8", "replace")
    if not isinstance(body, dict):
        return None, answer.body[:2000].decode("utf-8", "replace")
    named = [("errcode", "errmsg"), ("code", "msg"), ("StatusCode", "StatusMessage")]
    if "punish" in body:  # DingTalk's gateway, which names no errcode
        named.append(("status", "punish"))
    for code, words in named:
        number = body.get(code)
        if isinstance(number, int) and not isinstance(number, bool):
            return number, str(body.get(words, ""))
    return None, answer.body[:2000].decode("utf-8", "replace")


def check_secrets(target: Target, expected: str, pattern: str) -> None:
    """Raise ValueError for a secret that is not of this form; never shows it."""
    for secret in target.secrets:
        if not re.fullmatch(pattern, secret):
            raise ValueError(f"secret: expected {expected}")


def query_value(url: str, name: str) -> str:
    """The value of `name` in the query of `url`, or nothing."""
    return dict(parse_qsl(urlsplit(url).query)).get(name, "")
