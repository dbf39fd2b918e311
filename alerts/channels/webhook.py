"""A webhook of somebody's own: CloudEvents 1.0 in JSON, signed as Standard Webhooks says.

Sources: cloudevents.io, spec 1.0.2 and its JSON format; standardwebhooks.com, specification 1.0.0.
What is signed is `id.timestamp.body`; each secret signs, so that a receiver may change to the new
one when it likes. Only the HTTP status counts.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

from alerts.channel import DeliveryFailed, Limits, Receipt
from alerts.channels.answers import check_status, in_language, json_bytes, post, redacted
from alerts.message import Message, Notice
from alerts.outgoing import Outgoing
from alerts.texts import mentioned, plain, tell, tell_summary, tell_test
from devices.alerts import Target
from devices.summaries import Summary

LIMITS = Limits(max_bytes=256 * 1024)  # ours: CloudEvents asks for 64 KiB at least
PREFIX = "whsec_"
TYPES = "courtyard.fault."
SUMMARY_TYPE = "courtyard.summary"

_GONE = (
    "HTTP 410：接收方不再需要；确认后重新启用或删除",
    "HTTP 410: the receiver wants no more; ask it, then enable or delete this target",
)


def new_secret() -> str:
    """A secret for a receiver: `whsec_` and 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key that a secret spells: 24 to 64 bytes. Raises ValueError, which does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"secret: expected {PREFIX} and 24 to 64 bytes in base64")
    return key


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The v1 signature of one request."""
    signed = hmac.new(
        key_of(secret), f"{message_id}.{timestamp_s}.".encode() + body, hashlib.sha256
    )
    return f"v1,{base64.b64encode(signed.digest()).decode()}"


class Webhook:
    """target.url: of the receiver; secrets: `whsec_…`, at least one."""

    limits = LIMITS

    def check(self, target: Target) -> None:
        if not target.secrets:
            raise ValueError(f"secret: expected {PREFIX} and 24 to 64 random bytes in base64")
        for secret in target.secrets:
            key_of(secret)

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        body, count = payload(message)
        timestamp_s = message.at_ms // 1000
        key = message_id(message.key)
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": key,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": " ".join(
                sign(secret, key, timestamp_s, body) for secret in target.secrets
            ),
        }
        answer = post(target, outgoing, target.url, body, headers)
        if answer.status == 410:
            raise DeliveryFailed(in_language(target, _GONE), permanent=True)
        check_status(target, answer, message.at_ms)
        said = redacted(target, answer.body[:2000].decode("utf-8", "replace"))
        return Receipt(f"HTTP {answer.status} {said}".strip(), count)


def message_id(key: str) -> str:
    """`key` as a header can carry it, and without the dots that the signature is made with."""
    if key.isascii() and key.isprintable() and not set(key) & set(". "):
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def payload(message: Message) -> tuple[bytes, int]:
    """The event, and how many of the notices are in it."""
    if message.summary is not None:
        return _summary(message, message.summary), 0
    if not message.is_digest:
        return json_bytes(_event(message, message.notices)), len(message.notices)
    limit = LIMITS.max_bytes or 0
    count = mentioned(message.notices, lambda some: len(json_bytes(_event(message, some))) <= limit)
    return json_bytes(_event(message, message.notices[:count])), count


def _head(message: Message) -> Mapping[str, object]:
    return {
        "specversion": "1.0",
        "id": message_id(message.key),
        "source": "/courtyard",
        "time": _instant(message.at_ms),
        "datacontenttype": "application/json",
    }


def _event(message: Message, notices: Sequence[Notice]) -> Mapping[str, object]:
    event = _head(message)
    if message.is_test:
        test = tell_test(message)
        return {
            **event,
            "type": f"{TYPES}test",
            "data": {"headline": test.headline, "text": plain(message)},
        }
    if message.is_digest:
        of_these = replace(message, notices=tuple(notices))
        return {
            **event,
            "type": f"{TYPES}digest",
            "data": {
                "headline": plain(of_these).partition("\n")[0],
                "text": plain(of_these),
                "faults": [_fault(message, notice) for notice in notices],
            },
        }
    notice = notices[0]
    data = {**_fault(message, notice), "text": plain(message)}
    return {**event, "type": f"{TYPES}{notice.reason}", "subject": notice.fault, "data": data}


def _summary(message: Message, summary: Summary) -> bytes:
    """The event of a day, with as many of its compounds and lamps as there is room for."""
    most = max(len(summary.compounds), len(summary.lamps))
    while True:
        compounds, lamps = summary.compounds[:most], summary.lamps[:most]
        shorter = replace(summary, compounds=compounds, lamps=lamps)
        left_out = len(summary.compounds) - len(compounds) + len(summary.lamps) - len(lamps)
        body = json_bytes(_day(replace(message, summary=shorter), shorter, left_out))
        if len(body) <= (LIMITS.max_bytes or 0) or most == 0:
            return body
        most //= 2


def _day(message: Message, summary: Summary, left_out: int) -> Mapping[str, object]:
    event = _head(message)
    data = {
        "headline": tell_summary(message).headline,
        "text": plain(message),
        "left_out": left_out,
        **_figures(summary),
    }
    return {**event, "type": SUMMARY_TYPE, "data": data}


def _figures(summary: Summary) -> Mapping[str, object]:
    """A summary as data; names as in the HTTP API."""
    return {
        "day": summary.day,
        "from": _instant(summary.from_ms),
        "to": _instant(summary.to_ms),
        "firm": summary.firm,
        **asdict(summary.counts),
        "compounds": [
            {"id": one.compound, "name": asdict(one.name), **asdict(one.counts)}
            for one in summary.compounds
        ],
        "worst": [
            {
                "id": one.fault,
                "name": asdict(one.name),
                "severity": one.severity,
                "safety": one.safety,
                "since": _instant(one.since_ms),
                "compound": None if one.compound is None else asdict(one.compound),
                "device": one.device,
                "place": one.where,
                "acknowledged": one.acknowledged,
            }
            for one in summary.worst
        ],
        "lamps": [
            {
                "compound": asdict(one.compound),
                "building": one.building,
                "unit": one.unit,
                "count": one.count,
                "faults": [{"name": asdict(name), "count": n} for name, n in one.names],
            }
            for one in summary.lamps
        ],
    }


def _fault(message: Message, notice: Notice) -> Mapping[str, object]:
    """A notice as data; names as in the HTTP API."""
    compound = None
    if notice.compound is not None:
        name = notice.compound_name
        compound = {
            "id": notice.compound,
            "name": None if name is None else {"zh": name.zh, "en": name.en},
        }
    device = None
    if notice.device is not None:
        device = {
            "id": notice.device,
            "name": notice.device_name,
            "kind": notice.kind,
            "place": notice.where,
        }
    return {
        "number": notice.number,
        "id": notice.fault,
        "headline": tell(message, notice).headline,
        "event": notice.reason,
        "at": _instant(notice.at_ms),
        "since": _instant(notice.since_ms),
        "code": notice.code,
        "name": {"zh": notice.name.zh, "en": notice.name.en},
        "severity": notice.severity,
        "safety": notice.safety,
        "suspected": notice.suspected,
        "late": notice.late,
        "is_over": notice.is_over,
        "firm": notice.firm,
        "compound": compound,
        "device": device,
        "responsible": notice.responsible,
        "advice": {"zh": notice.advice.zh, "en": notice.advice.en},
        "contacts": [
            {"name": one.name, "phone": one.phone, "role": one.role} for one in notice.contacts
        ],
        "evidence": dict(notice.evidence),
        "impact": None if notice.impact is None else dict(notice.impact),
        "actor": notice.actor or None,
        "note": notice.note,
        "level": notice.level or None,
        "unanswered_s": notice.unanswered_s,
        "link": notice.link,
    }


def _instant(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
