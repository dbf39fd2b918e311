"""The devices that decoding tests speak of, and a PUBLISH by hand."""

import json
from typing import Any

from devices.credentials import Seal
from devices.journal import UNASSIGNED, Raw
from devices.registry import Compound, Device, Firm, Name, Registry
from ingest.decode import Decoder

NOW_MS = 1_795_399_200_123  # 2026-11-23T02:00:00.123Z
COMPOUND = "jiaogong-xiaoqu"
IMEI = "861197062934387"


def a_shed(device: str, ports: int, **more: Any) -> list[Device]:
    protocol = more.get("protocol", "native")
    return [
        Device(device, "shed", COMPOUND, "充电棚", 60, **more),
        *(
            Device(
                f"{device}-p{n:02d}",
                "port",
                COMPOUND,
                f"{n}号插座",
                60,
                parent=device,
                protocol=protocol,
                attributes={"port_no": n},
            )
            for n in range(1, ports + 1)
        ),
    ]


DEVICES = (
    Device("gate-1", "gate", COMPOUND, "南门", 30),
    Device("lamp-1", "lamp", COMPOUND, "1号路灯", 900),
    Device("lamp-abroad", "lamp", "berlin", "路灯", 900),
    Device("gateway-1", "gateway", COMPOUND, "网关", 60),
    Device("gate-old", "gate", COMPOUND, "旧门", 30, decommissioned_at_ms=NOW_MS - 1),
    *a_shed("shed-1", 12),
    *a_shed("shed-juy", 10, protocol="juy", external_id=IMEI),
    *a_shed(
        "shed-juy-fine",
        10,
        protocol="juy",
        external_id="861197062934388",
        attributes={"energy_step_kwh": 0.001},
    ),
    Device("lamp-tasmota", "lamp", COMPOUND, "回路", 300, protocol="tasmota", external_id="pow1"),
)

REGISTRY = Registry(
    [Firm("yaxin", Name("亚新", "Yaxin"))],
    [
        Compound(COMPOUND, Name("教工小区", "Jiaogong Compound"), "yaxin", 294),
        Compound("berlin", Name("柏林", "Berlin"), "yaxin", 24, timezone="Europe/Berlin"),
    ],
    DEVICES,
)


SEAL = Seal(b"a secret of the tests only")


def a_decoder() -> Decoder:
    return Decoder(REGISTRY, seal=SEAL)


def a_publish(
    topic: str | bytes,
    payload: bytes | str | dict[str, Any] | list[Any],
    *,
    flags: int = 0,
    received_ms: int = NOW_MS,
) -> Raw:
    """A PUBLISH; anything but text and bytes is sent as JSON."""
    if isinstance(payload, dict | list):
        payload = json.dumps(payload, ensure_ascii=False)
    if isinstance(payload, str):
        payload = payload.encode()
    topic = topic.encode() if isinstance(topic, str) else topic
    return Raw(topic, payload, flags, received_ms, UNASSIGNED)


def native(device: str, channel: str = "telemetry") -> str:
    """The topic of one of the devices above."""
    found = REGISTRY.devices[device]
    return f"courtyard/v1/{found.compound}/{found.kind}/{found.id}/{channel}"
