"""Prometheus Alertmanager, and what speaks its API: POST /api/v2/alerts.

Source: prometheus.io/docs/alerting/latest/alerts_api, and api/v2/openapi.yaml of Alertmanager.

Labels identify an alert there, and receivers route by `severity`, so it is one of them. A fault may
have had another severity before: with each event the same fault at the others is ended, which is
nothing to a server that does not know it. Nobody sends a standing alert again and again, so its end
is far away instead of where `resolve_timeout` would put it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

from alerts.channel import Limits, Receipt
from alerts.channels.answers import check_status, json_bytes, post, redacted
from alerts.message import Message, Notice
from alerts.outgoing import Outgoing
from alerts.texts import plain, tell, tell_summary, tell_test
from devices.alerts import Target
from devices.faults import Why
from devices.rules import Severity

LIMITS = Limits()
PATH = "/api/v2/alerts"
STANDS_MS = 30 * 86_400_000  # an alert that nobody ends is over after a month
TEST_MS = 60_000

_ENDED = frozenset({Why.OVER, Why.CLOSED, Why.RETIRED, Why.RECLASSIFIED, Why.HISTORY_ENDS})


class Alertmanager:
    """target.url: of the server, with or without /api/v2/alerts; without secrets."""

    limits = LIMITS

    def check(self, target: Target) -> None:
        parts = urlsplit(target.url)
        if parts.query or parts.fragment:
            raise ValueError(
                "url: expected the address of an Alertmanager, https://alerts.example.org"
            )
        if target.secrets:
            raise ValueError("secret: an Alertmanager has none; let only us reach it")

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        headers = {"Content-Type": "application/json"}
        answer = post(target, outgoing, address(target.url), payload(message), headers)
        check_status(target, answer, message.at_ms)
        said = redacted(target, answer.body[:2000].decode("utf-8", "replace"))
        return Receipt(f"HTTP {answer.status} {said}".strip(), len(message.notices))


def address(url: str) -> str:
    """Where to post: behind a path prefix too, as Alertmanager has with --web.route-prefix."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if not path.endswith(PATH):
        path += PATH
    return urlunsplit(parts._replace(path=path))


def payload(message: Message) -> bytes:
    """All notices of a message; each as often as there are severities."""
    if message.is_test:
        return json_bytes([_passing("CourtyardTest", tell_test(message).headline, message)])
    if message.summary is not None:
        return json_bytes([_passing("CourtyardSummary", tell_summary(message).headline, message)])
    return json_bytes([one for notice in message.notices for one in _alerts(message, notice)])


def _passing(name: str, headline: str, message: Message) -> Mapping[str, object]:
    """What is no fault: it ends by itself."""
    return {
        "labels": {"alertname": name, "severity": "none"},
        "annotations": {"summary": headline, "description": plain(message)},
        "startsAt": _instant(message.at_ms),
        "endsAt": _instant(message.at_ms + TEST_MS),
    }


def _alerts(message: Message, notice: Notice) -> list[Mapping[str, object]]:
    is_ended = notice.is_over or notice.reason in _ENDED
    single = Message(message.key, message.language, message.at_ms, (notice,))
    alerts: list[Mapping[str, object]] = []
    for severity in Severity:
        stands = severity is notice.severity and not is_ended
        ends_ms = notice.at_ms + (STANDS_MS if stands else 0)
        alert: dict[str, object] = {
            "labels": _labels(notice, severity),
            "annotations": {},
            "startsAt": _instant(min(notice.since_ms, ends_ms)),
            "endsAt": _instant(ends_ms),
        }
        if severity is notice.severity:
            alert["annotations"] = {
                "summary": tell(message, notice).headline,
                "description": plain(single),
            }
            if notice.link is not None:
                alert["generatorURL"] = notice.link
        alerts.append(alert)
    return alerts


def _labels(notice: Notice, severity: Severity) -> dict[str, str]:
    """What never changes while a fault stands, but for the severity; nothing empty."""
    labels = {
        "alertname": notice.code,
        "severity": severity.value,
        "fault": notice.fault,
        "kind": notice.kind,
        "compound": notice.compound or "",
        "device": notice.device or "",
        "firm": notice.firm or "",
    }
    return {name: value for name, value in labels.items() if value}


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
