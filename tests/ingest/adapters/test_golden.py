"""Payloads from documents and captures, with what they say written down by hand.

`tests/payloads/<format>/<name>.<hex|json|txt>` is the payload, `<name>.expect.json` beside it its
source, its topic and its reading.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from devices.messages import Decoded, Item
from tests.ingest.cast import a_decoder, a_publish

PAYLOADS = Path(__file__).parents[2] / "payloads"
CASES = sorted(PAYLOADS.glob("*/*.expect.json"))


def payload_of(case: Path) -> bytes:
    name = case.name.removesuffix(".expect.json")
    (path,) = (p for p in case.parent.glob(f"{name}.*") if p != case)
    content = path.read_bytes()
    match path.suffix:
        case ".hex":
            return bytes.fromhex(content.decode())
        case ".json":
            return content.rstrip(b"\n")
        case ".txt":
            return content
    raise AssertionError(f"{path} is neither .hex, .json nor .txt")


def reading(decoded: Decoded) -> dict[str, Any]:
    return {
        "reason": decoded.reason,
        "rejected": [[r.reason, r.device, r.quantity] for r in decoded.rejected],
        "unknown": decoded.unknown,
        "array": decoded.array,
        "items": [item_reading(item) for item in decoded.items],
    }


def item_reading(item: Item) -> dict[str, Any]:
    return {
        "at_ms": item.at_ms,
        "boot": item.boot,
        "seq": item.seq,
        "status": item.status,
        "values": {report.device.id: report.values for report in item.reports},
        "events": [
            {
                "device": event.device.id,
                "type": event.type,
                "event_id": event.event_id,
                "attributes": dict(event.attributes),
            }
            for event in item.events
        ],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.parent.name}/{c.name.split('.')[0]}")
def test_a_documented_payload_says_what_is_written_beside_it(case: Path) -> None:
    expected = json.loads(case.read_text())
    assert expected.pop("source")
    raw = a_publish(expected.pop("topic"), payload_of(case))
    decoder = a_decoder()

    # the second time from the caches, by the fast form
    for _ in range(2):
        found = reading(decoder.decode(raw))
        assert found == expected
        # True == 1 == 1.0: the types must be right as well
        assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_every_format_has_documented_payloads() -> None:
    assert {case.parent.name for case in CASES} >= {"native", "juy", "tasmota"}
