"""Alertmanager: what identifies an alert, when it ends."""

import json
from typing import Any

import pytest

from alerts.channel import DeliveryFailed
from alerts.channels.alertmanager import Alertmanager, address, payload
from devices.faults import Why
from devices.rules import Severity
from simulators.robots import Plan, Robots
from tests.alerts.cast import NOW_MS, a_message, a_notice, a_target, a_test, many, to_here


def alerts(*changes: Any) -> dict[str, Any]:
    """By severity."""
    found = json.loads(payload(a_message(*changes)))
    return {one["labels"]["severity"]: one for one in found}


def test_a_fault_fires_with_labels_to_route_by() -> None:
    found = alerts()
    assert found["P1"]["labels"] == {
        "alertname": "SHED_SMOKE",
        "severity": "P1",
        "fault": "3f9a1c",
        "kind": "shed",
        "compound": "lvyun-xiaoqu",
        "device": "lvyun-shed-2",
        "firm": "yaxin",
    }
    assert found["P1"]["startsAt"] == "2026-11-23T02:00:00.000+00:00"
    assert found["P1"]["endsAt"] > "2026-12-20"
    assert found["P1"]["annotations"]["summary"] == "【危急】烟雾报警，绿云小区"
    assert found["P1"]["generatorURL"] == "https://courtyard.example.org/faults/3f9a1c"


def test_the_same_fault_at_other_severities_is_ended() -> None:
    before = alerts(a_notice(severity=Severity.P2))["P2"]
    worse = alerts(a_notice(severity=Severity.P1, reason=Why.WORSENED))
    assert worse["P2"]["labels"] == before["labels"]
    assert worse["P2"]["endsAt"] <= "2026-11-23T02:03:00.000+00:00"
    assert worse["P1"]["endsAt"] > "2026-12-20"


@pytest.mark.parametrize("reason", [Why.OVER, Why.CLOSED, Why.RETIRED, Why.RECLASSIFIED])
def test_what_is_over_ends_at_all_severities(reason: Why) -> None:
    over = alerts(a_notice(reason=reason, at_ms=NOW_MS))
    assert len(over) == 4
    assert {one["endsAt"] for one in over.values()} == {"2026-11-23T02:03:00.000+00:00"}
    assert over["P1"]["labels"] == alerts()["P1"]["labels"]


def test_no_alert_ends_before_it_starts() -> None:
    for one in alerts(a_notice(reason=Why.OVER, at_ms=1, since_ms=2)).values():
        assert one["startsAt"] <= one["endsAt"]


def test_labels_are_never_empty_and_always_text() -> None:
    found = alerts(a_notice(compound=None, device=None, firm=None, kind="platform"))
    assert set(found["P1"]["labels"]) == {"alertname", "severity", "fault", "kind"}


def test_it_is_accepted_over_a_real_socket(robots: Robots) -> None:
    target = a_target("alertmanager", robots.alertmanager("集团告警"))
    receipt = Alertmanager().send(target, a_message(*many(7)), to_here())
    assert (receipt.answer, receipt.mentioned) == ("HTTP 200", 7)
    assert Alertmanager().send(target, a_test(), to_here()).answer == "HTTP 200"
    digest, test = robots.messages
    assert len(digest.payload) == 28  # type: ignore[arg-type]
    assert test.title == "【测试】告警能送到这里"


def test_what_it_refuses_is_a_failure(robots: Robots) -> None:
    target = a_target("alertmanager", robots.alertmanager("集团告警"))
    robots.plan(target.url, Plan(status=400, body=b'{"message":"bad"}'), Plan(status=503))
    for status in (400, 503):
        with pytest.raises(DeliveryFailed, match=f"HTTP {status}"):
            Alertmanager().send(target, a_message(), to_here())


@pytest.mark.parametrize(
    ("url", "posted"),
    [
        ("https://a.example.org", "https://a.example.org/api/v2/alerts"),
        ("https://a.example.org/", "https://a.example.org/api/v2/alerts"),
        ("https://a.example.org/am/", "https://a.example.org/am/api/v2/alerts"),
        ("https://a.example.org:9093/api/v2/alerts", "https://a.example.org:9093/api/v2/alerts"),
    ],
)
def test_the_address_may_be_that_of_the_server(url: str, posted: str) -> None:
    assert address(url) == posted


def test_a_query_or_a_secret_cannot_be_right() -> None:
    with pytest.raises(ValueError, match="url: expected"):
        Alertmanager().check(a_target("alertmanager", "https://a.example.org/?x=y"))
    with pytest.raises(ValueError, match="secret"):
        Alertmanager().check(a_target("alertmanager", "https://a.example.org", "s"))
    Alertmanager().check(a_target("alertmanager", "https://a.example.org"))
