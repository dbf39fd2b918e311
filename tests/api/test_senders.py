"""The inbox of those who send and are in no registry, by API and console."""

import html
import re

import pytest
from sqlalchemy import event, select
from starlette.testclient import TestClient

from devices.store.schema import revisions
from tests.api.cast import XIANGYUNLI, Cast, a_refusal
from tests.api.console.test_registry_pages import browser_of

TOPIC = f"courtyard/v1/{XIANGYUNLI}/gate/gate-9"
IMEI = "860000000000017"
HOSTILE = b'{"x": "<img src=x onerror=alert(1)>"}'


@pytest.fixture
def li(cast: Cast) -> TestClient:
    with cast.write() as connection:
        for n, topic in ((1, f"{TOPIC}/status"), (2, f"{TOPIC}/telemetry"),
                         (3, f"JUY/D2S/{IMEI}/4G/DEV")):  # fmt: skip
            a_refusal(
                connection, n, compound="unassigned", device=None, reason="unknown_device",
                topic=topic, payload=HOSTILE,
            )  # fmt: skip
    return browser_of(cast, "li", "operator")


def replayed(cast: Cast) -> list[str]:
    with cast.write() as connection:
        asked = select(revisions.c.subject).where(revisions.c.what == "replay")
        return list(connection.scalars(asked.order_by(revisions.c.id)))


def test_who_sends_and_is_unknown_is_there_with_what_it_says(cast: Cast, li: TestClient) -> None:
    page = li.get("/administration/unknown").text
    for text in ("gate-9", IMEI, "祥云里", "待处理 2", "&lt;img"):
        assert text in page
    assert "<img src=x" not in page
    assert '<a class="push-right" href="/administration/unknown">' in li.get("/ingestion").text
    items = cast.client("viewer").get("/v1/registry/unknown").json()["items"]
    assert [(one["name"], one["count"], one["kind"]) for one in items] == [
        (IMEI, 1, "shed"),
        ("gate-9", 2, "gate"),
    ]
    assert items[1]["payload"] == HOSTILE.decode()


def test_registering_fills_the_form_and_judges_again_what_was_sent(
    cast: Cast, li: TestClient
) -> None:
    page = li.get("/administration/unknown").text
    (address,) = [
        html.unescape(one)
        for one in re.findall(r'href="(/administration/new-device\?[^"]+)"', page)
        if "gate-9" in one
    ]
    form = li.get(address).text
    for text in ('value="gate-9"', f'value="{XIANGYUNLI}" selected', 'value="gate" selected'):
        assert text in form
    sent = {"id": "gate-9", "kind": "gate", "compound": XIANGYUNLI, "sender": "gate-9"}
    assert li.post("/administration/devices", data=sent | {"replay": "yes"}).status_code == 303
    assert replayed(cast) == ["1", "2"]
    assert "gate-9" not in li.get("/administration/unknown").text
    assert "gate-9" in li.get("/administration/unknown?show=registered").text


def test_a_vendors_device_is_judged_again_from_the_inbox(cast: Cast, li: TestClient) -> None:
    sent = {"protocol": "juy", "name": IMEI}
    answer = li.post("/administration/unknown/replay", data=sent)
    assert answer.headers["Location"].endswith("done=no_device")
    client = cast.client("operator")
    assert client.post("/v1/registry/unknown/replay", json=sent).status_code == 409
    shed = {"id": "shed-9", "kind": "shed", "compound": XIANGYUNLI, "protocol": "juy"}
    client.post("/v1/registry/devices", json=shed | {"external_id": IMEI})
    assert client.post("/v1/registry/unknown/replay", json=sent).json()["requested"] == 1
    assert replayed(cast) == ["3"]


def test_a_sender_is_ignored_and_comes_back(cast: Cast, li: TestClient) -> None:
    sent = {"protocol": "native", "name": "gate-9"}
    answer = li.post("/administration/unknown/ignore", data=sent)
    assert "gate-9" not in li.get(answer.headers["Location"]).text
    assert "gate-9" in li.get("/administration/unknown?show=ignored").text
    answer = li.post("/administration/unknown/heed", data=sent)
    assert "gate-9" in li.get(answer.headers["Location"]).text
    client = cast.client("operator")
    assert client.post("/v1/registry/unknown/ignore", json=sent).json()["is_ignored"]
    assert len(client.get("/v1/registry/unknown").json()["items"]) == 1
    assert not client.post("/v1/registry/unknown/heed", json=sent).json()["is_ignored"]


def test_a_device_out_of_service_that_sends_is_named(cast: Cast, li: TestClient) -> None:
    sent = {"id": "gate-9", "kind": "gate", "compound": XIANGYUNLI}
    li.post("/administration/devices", data=sent)
    li.post("/administration/devices/gate-9/retire", data={"sure": "yes"})
    page = li.get("/administration/unknown").text
    assert "已停用的设备：" in page
    assert '<a href="/administration/devices/gate-9">' in page


def test_it_is_the_districts_alone(cast: Cast, li: TestClient) -> None:
    firm, viewer = cast.client("yaxin"), cast.client("viewer")
    assert firm.get("/v1/registry/unknown").status_code == 404
    assert viewer.get("/v1/registry/unknown?limit=1").json()["next_cursor"] is not None
    sent = {"protocol": "native", "name": "gate-9"}
    for what in ("ignore", "heed", "replay"):
        for client in (firm, viewer):
            assert client.post(f"/v1/registry/unknown/{what}", json=sent).status_code == 403


def test_a_page_of_many_senders_asks_for_their_messages_no_more_often_than_one_of_two(
    cast: Cast, li: TestClient
) -> None:
    asked: list[str] = []

    def see(_: object, __: object, statement: str, *___: object) -> None:
        if "quarantine" in statement:
            asked.append(statement)

    def statements(path: str) -> int:
        asked.clear()
        assert li.get(path).status_code == 200
        return len(asked)

    paths = ("/administration/unknown", "/v1/registry/unknown")
    event.listen(cast.engine, "before_cursor_execute", see)
    before = [statements(path) for path in paths]
    with cast.write() as connection:
        for n in range(10, 40):
            a_refusal(
                connection, n, compound="unassigned", device=None, reason="unknown_device",
                topic=f"courtyard/v1/{XIANGYUNLI}/gate/gate-{n}/status", payload=HOSTILE,
            )  # fmt: skip
    assert before == [statements(path) for path in paths]
    assert min(before) > 0
