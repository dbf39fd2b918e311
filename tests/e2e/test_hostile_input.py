"""Thousands of hostile messages through a real broker and a real ingest, between good ones.

All good ones are stored, each bad one has its fate, the process stays as large as it was, and
what was refused is shown without breaking JSON or a page. On SQLite and on PostgreSQL, which
takes neither NUL nor half a surrogate pair.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest

from courtyard.clock import now_ms
from devices.ids import is_id
from tests import postgres
from tests.e2e.system import Running, System, a_system
from tests.eventually import eventually
from tests.fuzz.engine import COMPOUND, IMEI, Inputs, a_registry, topic_of
from tests.mqtt_wire import WireClient

pytestmark = [pytest.mark.broker, pytest.mark.long]

HOSTILE = 2_000
GOOD_EVERY = 5  # of the hostile ones: so many good ones in all as HOSTILE / GOOD_EVERY
GOOD = "good-gate"
GOOD_TOPIC = f"courtyard/v1/{COMPOUND}/gate/{GOOD}/telemetry".encode()
MORE_BYTES = 50 * 1024 * 1024  # reliability.md IN3
SETTLED_S = 90.0

MARKUP = b"<script>alert(1)</script>"
BROKEN_MARKUP = b'"><img src=x onerror=alert(1)>'


def registry_file() -> dict[str, Any]:
    """The engine's registry as a file to import, and one gate that behaves."""
    registry = a_registry()
    devices: list[dict[str, Any]] = [{"id": GOOD, "kind": "gate", "compound": COMPOUND}]
    for device in registry.devices.values():
        if device.kind == "port":
            continue
        attributes = dict(device.attributes)
        if device.kind == "shed":
            attributes["ports"] = len(registry.children(device.id))
        row = {"id": device.id, "kind": device.kind, "compound": device.compound}
        row |= {"protocol": device.protocol} if device.protocol != "native" else {}
        row |= {"external_id": device.external_id} if device.external_id else {}
        devices.append({**row, "attributes": attributes})
    return {
        "firms": [{"id": "yaxin", "name": {"zh": "亚新", "en": "Yaxin"}}],
        "compounds": [
            {
                "id": compound.id,
                "name": {"zh": compound.name.zh, "en": compound.name.en},
                "firm": "yaxin",
                "households": compound.households,
                "timezone": compound.timezone,
            }
            for compound in registry.compounds.values()
        ],
        "devices": devices,
    }


class Sender:
    """A publisher that comes back when the broker throws it out for what it sent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wire: WireClient | None = None
        self._names = itertools.count()
        self.taken = 0
        self.thrown_out = 0

    def send(self, topic: bytes, payload: bytes, *, retain: bool = False) -> bool:
        """Whether the broker acknowledged it."""
        if self._wire is None:
            self._wire = WireClient(self._port, f"hostile-{next(self._names)}", clean=True)
        try:
            self._wire.publish(topic, payload, retain=retain)
        except (EOFError, ConnectionError):
            self._wire.close()
            self._wire = None
            self.thrown_out += 1
            return False
        self.taken += 1
        return True

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()


class Elements(HTMLParser):
    """The elements and attributes of a page, as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._script = False
        self.scripts = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts += data

    def handle_endtag(self, tag: str) -> None:
        self._script = False


@pytest.fixture(params=["sqlite", "postgresql"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    url = None
    if request.param == "postgresql":
        cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
        url = cluster.url(cluster.create())
    with a_system(tmp_path, url) as made:
        made.import_registry(registry_file())
        yield made


def rss_bytes(running: Running) -> int:
    size: int = psutil.Process(running.process.pid).memory_info().rss
    return size


def accounts(system: System, token: str) -> dict[str, Any]:
    answer = system.get("/v1/accounting", token)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def settle(system: System, token: str, at_least: int) -> dict[str, Any]:
    """The accounts when everything that was sent has been judged."""

    def look() -> dict[str, Any] | None:
        found = accounts(system, token)
        return found if found["received"] >= at_least and found["pending"] == 0 else None

    return eventually(look, SETTLED_S, f"{at_least} messages judged", every_s=0.3)


def all_quarantined(system: System, token: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        more: dict[str, object] = {"cursor": cursor} if cursor else {}
        answer = system.get("/v1/quarantine", token, limit=500, **more)
        assert answer.status == 200, answer.text
        items += answer.json["items"]
        cursor = answer.json["next_cursor"]
        if cursor is None:
            return items


def send_all(system: System, token: str, sender: Sender, ingest: Running) -> tuple[int, int]:
    """How many good messages were sent between, and how large ingest was after a third."""
    good = 0
    began_ms = now_ms() - 600_000

    def send_good() -> None:
        nonlocal good
        at_ms = began_ms + 500 * good  # a time of its own: two of one read have one time of receipt
        values = {"board_temp_c": good % 50}
        payload = {"ts": at_ms, "boot": 1, "seq": good, "values": values}
        assert sender.send(GOOD_TOPIC, json.dumps(payload).encode())
        good += 1

    inputs = Inputs(20_261_127)
    warm_bytes = 0
    for n, hostile in enumerate(inputs.take(HOSTILE)):
        sender.send(hostile.topic[:65_535], hostile.payload, retain=bool(hostile.flags & 2))
        if n % GOOD_EVERY == 0:
            send_good()
        if n == HOSTILE // 3:
            settle(system, token, sender.taken // 2)
            warm_bytes = rss_bytes(ingest)

    # what the generator has no room for: the largest that a broker takes, and larger
    shed = topic_of(a_registry().devices["shed-1"]).encode()
    assert sender.send(shed, b"x" * 3 * 1024 * 1024)
    sender.send(shed, b"y" * 10 * 1024 * 1024)  # refused, or acknowledged and dropped (3.1.1)
    sender.send(b"courtyard/v1/" + b"t" * 60_000 + b"/gate/x/telemetry", b"{}")
    sender.send(shed, b"")
    sender.send(shed, b'{"values":{"%b":1,"voltage_v":"%b"}}' % (MARKUP, MARKUP))
    sender.send(shed.replace(b"shed-1/", MARKUP.replace(b"/", b"") + b"/"), BROKEN_MARKUP)
    sender.send(f"JUY/D2S/{IMEI}/82/DEV".encode(), MARKUP + b"\0\xff")
    send_good()
    return good, warm_bytes


def test_good_messages_between_thousands_of_hostile_ones(system: System) -> None:
    token = system.token("--role", "operator")
    ingest = system.ingest()
    system.api()
    with closing(Sender(system.broker_port)) as sender:
        good, warm_bytes = send_all(system, token, sender, ingest)

    told = settle(system, token, good)
    assert told["balance"] == 0
    refused = sum(told["quarantined"].values())
    assert told["received"] == told["stored"] + told["duplicate"] + refused
    assert told["stored"] >= good
    assert set(told["quarantined"]) >= {
        *("not_json", "bad_text", "too_deep", "too_large", "bad_type", "bad_number"),
        *("out_of_range", "duplicate_key", "bad_topic", "unknown_device", "bad_checksum"),
        *("bad_frame", "unsupported"),
    }

    series = f"/v1/devices/{GOOD}/telemetry"

    def stored() -> bool:
        answer = system.get(series, token, quantity="board_temp_c", limit=500, every="1h")
        assert answer.status == 200, answer.text
        counts: list[int] = [point["count"] for point in answer.json["points"]]
        return sum(counts) == good

    eventually(stored, SETTLED_S, f"{good} good readings in the telemetry store", every_s=0.3)

    assert ingest.process.poll() is None
    assert rss_bytes(ingest) - warm_bytes < MORE_BYTES
    assert not any("Traceback" in line for line in ingest.lines)
    assert not any("journal_gap" in line or "judge_waits" in line for line in ingest.lines)

    items = all_quarantined(system, token)
    assert {item["reason"] for item in items} >= set(told["quarantined"]) - {"conflict", "clock"}
    assert any(MARKUP.decode() in (item["payload"] or "") for item in items)
    sizes = {item["size_bytes"]: item["reason"] for item in items if item["size_bytes"] > 2**20}
    assert sizes == {3 * 1024 * 1024: "too_large"}
    for item in items:
        whole = system.get(f"/v1/quarantine/{item['id']}", token) if item["payload_kept"] else None
        if whole is not None and item["reason"] in ("bad_text", "bad_topic", "too_large"):
            assert whole.status == 200, whole.text
            assert whole.json["sha256"] == item["sha256"]
        assert item["device"] is None or is_id(item["device"])
    assert accounts(system, token)["balance"] == 0
    check_pages(system, token)


def check_pages(system: System, token: str) -> None:
    """No page has an element that a message made up."""
    faults = system.get("/v1/faults", token, limit=500).json["items"]
    assert faults  # the smoke flags, if nothing else
    pages = ["/", "/parts/overview", "/faults", f"/compounds/{COMPOUND}"]
    pages += [f"/faults/{fault['id']}" for fault in faults[:20]]
    for path in pages:
        answer = system.get(path, token)
        assert answer.status == 200, f"{path}: {answer.text[:300]}"
        seen = Elements(answer.text)
        assert seen.found, path
        assert "alert(1)" not in seen.scripts, path
        for tag, attributes in seen.found:
            assert not any(name.startswith("on") for name in attributes), (path, tag, attributes)
            assert attributes.get("src") != "x", path
