"""JUY 5AA5 charging boards (TCP/MQTT protocol V1.2), binary over MQTT, uplink only.

Topic `JUY/D2S/{IMEI}/{CMD}/DEV`; the shed is found by its IMEI. A payload is one frame, or several
back to back, all numbers little-endian:

    5A A5 | LEN u16 (counts CMD…SUM) | CMD u8 | RESULT u8 | DATA | SUM u8 = Σ(LEN…DATA) & 0xFF

The CMD of the frame decides, not that of the topic: the frame has a checksum, and the document does
not show how the topic spells it. RESULT says nothing on the way up. An IMEI between RESULT and DATA
is sent on TCP only.

| CMD | theirs | ours | unit, factor |
|---|---|---|---|
| 0x81 | ports, signal | shed `ports_total`, `csq` | signal from 0x64 up is a protocol version |
| | IMEI, hw, sw, CCID, reason | event `login` | reason 0 `power_on`, 1 `restart` |
| 0x82 | signal, temperature | shed `csq`, `board_temp_c` | °C as it is, no offset |
| | n, status × n | `ports_total`, `ports_in_use`; each port's `port_status` | `JUY_STATUS` |
| 0x85 | end of charging | event `session_end` of the port | s; kWh; 分; W |
| | order | `order`, and the event's id: ends repeat up to 3 times | |
| | reason | `stop_reason` (`from_juy`), `native_reason` | |
| 0x86 | local start | event `session_start` of the port, its id `{order}/start` | |
| | mode 1, 2, 3 | `pay` card, coin, free_button | |
| 0x88 | voltage, temperature | shed `voltage_v` × 0.1, `board_temp_c` | V; °C |
| | per port | `tier`, `power_w`, `session_s` | W; s |
| | | `session_fee_fen`, `session_energy_kwh`, `port_temp_c` | 分; kWh; °C |
| 0x8B | meter | shed `meter_energy_kwh` × 0.01 | kWh |

Energy of a session is in steps of 0.01 kWh, of 0.001 after V1.1 firmware: the device's attribute
`energy_step_kwh` says which. Everything else is refused as unsupported: results of commands (0x83,
0x84), whose layout the document does not give; power with tariff periods (0x8F), whose layout is
ambiguous; records. Boards carry no clock, so the receive time counts. Smoke is seen only as a stop
reason, and only while an order runs: an idle board cannot report it. Missing power frames mean an
idle board, not a dead one.

Personal data: card numbers (0x85, 0x86; also the balance of a card). They are not taken out of the
frame, so the journal holds them until it is trimmed; nothing behind this adapter does, and what the
quarantine keeps has 0 in their place.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from devices.messages import BadMessage, Decoded, Event, Item, Reason, Report
from devices.registry import Device, Registry
from devices.stop_reasons import JUY_STATUS, PortStatus, from_juy
from ingest.adapters.adapter import Place, Refused, refuse, shown

MAGIC = b"\x5a\xa5"

_LOGIN = struct.Struct("<15sB16s16s20sBB")
_HEARTBEAT = struct.Struct("<BBB")
_END = struct.Struct("<BIIIIBHIB")
_START = struct.Struct("<BIBIII")
_POWER = struct.Struct("<BHB")
_POWER_PORT = struct.Struct("<BBHHIHIB")
_METER = struct.Struct("<I")
_CARD_AT = {0x85: 20, 0x86: 14}  # where in the DATA of an end and a start the card's number is

_PROTOCOL_VERSION = 0x64  # a login's signal from here on is one, and no signal
_LOGIN_REASONS = {0: "power_on", 1: "restart"}
_PAY = {1: "card", 2: "coin", 3: "free_button"}
_IN_USE = 1

_RECORD_ONLY = {
    0x83: "result of a start command",
    0x84: "result of a stop command",
    0x87: "card query",
    0x89: "settings",
    0x8A: "server address",
    0x8C: "tariff",
    0x8D: "tariff",
    0x8E: "tariff",
    0x8F: "power with tariff periods",
    0xC0: "IMEI beacon",
    0xF5: "upgrade",
}


class Juy:
    """Charging boards with a 4G modem of their own; the device is the shed."""

    protocol = "juy"
    filters: tuple[str, ...] = ("JUY/D2S/+/+/DEV",)
    garbled = Reason.BAD_FRAME

    def place(self, topic: str, registry: Registry) -> Place:
        imei = topic.split("/")[2]
        shed = registry.external(self.protocol, imei)
        if shed is None:
            raise BadMessage(Reason.UNKNOWN_DEVICE, f"no JUY board with IMEI {imei[:40]!r}")
        return Place(shed, registry)

    def read(self, payload: bytes, place: Place) -> Decoded:
        decoded = Decoded(place.device, [])
        for found in _frames(payload):
            if isinstance(found, Refused):
                refuse(decoded, found, place.device.id)
                continue
            command, data = found
            reader = _READERS.get(command)
            if reader is None:
                what = _RECORD_ONLY.get(command, "unknown")
                why = Refused(Reason.UNSUPPORTED, f"frame 0x{command:02X}: {what}")
                refuse(decoded, why, place.device.id)
                continue
            try:
                decoded.items.append(reader(data, place, decoded))
            except struct.error:
                detail = f"frame 0x{command:02X} with {len(data)} bytes of data"
                refuse(decoded, Refused(Reason.BAD_FRAME, detail), place.device.id)
        return decoded


def without_cards(payload: bytes) -> bytes:
    """The frames with 0 for the card numbers in them; a checksum is right after it if it was."""
    clean = bytearray(payload)
    at = payload.find(MAGIC)
    while at >= 0:
        card_at = _CARD_AT.get(payload[at + 4] if at + 4 < len(payload) else 0)
        length = int.from_bytes(payload[at + 2 : at + 4], "little")
        sum_at = at + 3 + length
        if card_at is not None:
            card = payload[at + 6 + card_at : min(at + 6 + card_at + 4, len(payload))]
            clean[at + 6 + card_at : at + 6 + card_at + len(card)] = bytes(len(card))
            if length >= 3 and sum_at < len(clean):
                clean[sum_at] = (clean[sum_at] - sum(card)) & 0xFF
        at = payload.find(MAGIC, at + 2)
    return bytes(clean)


def checksum(frame: bytes) -> int:
    """Sum of the bytes from LEN to the end of DATA; `frame` is all of it but SUM."""
    return sum(frame[len(MAGIC) :]) & 0xFF


def _frames(payload: bytes) -> Iterator[tuple[int, bytes] | Refused]:
    """CMD and DATA of each frame. After a wrong LEN nothing is read: no border can be trusted."""
    start = 0
    while start < len(payload) or start == 0:
        head = payload[start : start + 4]
        if len(head) < 4 or not head.startswith(MAGIC):
            detail = f"no frame at byte {start}: {payload[start : start + 8].hex(' ')!r}"
            yield Refused(Reason.BAD_FRAME, detail)
            return
        length = int.from_bytes(head[2:], "little")
        end = start + 4 + length
        if length < 3 or end > len(payload):
            detail = f"LEN {length} in the frame at byte {start} of {len(payload)}"
            yield Refused(Reason.BAD_FRAME, detail)
            return
        if end < len(payload) and not payload.startswith(MAGIC, end):
            detail = f"LEN {length} at byte {start} does not lead to the next frame"
            yield Refused(Reason.BAD_FRAME, detail)
            return
        frame = payload[start : end - 1]
        sent, computed = payload[end - 1], checksum(frame)
        if sent != computed:
            detail = f"SUM {sent:02X} of frame 0x{frame[4]:02X}, computed {computed:02X}"
            yield Refused(Reason.BAD_CHECKSUM, detail)
        else:
            yield frame[4], frame[6:]
        start = end


def _login(data: bytes, place: Place, decoded: Decoded) -> Item:
    imei, ports, hardware, software, ccid, signal, reason = _LOGIN.unpack(data)
    shed = place.device
    item = Item(None)
    if _ascii(imei) != shed.external_id:
        detail = f"login of IMEI {_ascii(imei)!r} on the topic of {shed.external_id!r}"
        refuse(decoded, Refused(Reason.IDENTITY, detail), shed.id)
        return item
    values: dict[str, Any] = {"ports_total": ports}
    if signal < _PROTOCOL_VERSION:
        values["csq"] = signal
    attributes = values | {
        "imei": _ascii(imei),
        "hw": _ascii(hardware),
        "sw": _ascii(software),
        "ccid": _ascii(ccid),
        "reason": _LOGIN_REASONS.get(reason, reason),
    }
    item.reports.append(Report(shed, values))
    item.events.append(Event(shed, "login", attributes))
    return item


def _heartbeat(data: bytes, place: Place, decoded: Decoded) -> Item:
    signal, board_temp_c, count = _HEARTBEAT.unpack_from(data)
    statuses = data[_HEARTBEAT.size :]
    if len(statuses) != count:
        raise struct.error
    values = {
        "csq": signal,
        "board_temp_c": board_temp_c,
        "ports_total": count,
        "ports_in_use": statuses.count(_IN_USE),
    }
    item = Item(None, reports=[Report(place.device, values)])
    for port_no, status in enumerate(statuses, start=1):
        port = _port(port_no, place, decoded)
        if port is not None:
            canonical = JUY_STATUS.get(status, PortStatus.UNKNOWN)
            item.reports.append(Report(port, {"port_status": canonical.value}))
    return item


def _end(data: bytes, place: Place, decoded: Decoded) -> Item:
    port_no, order, session_s, energy, fee_fen, code, stop_power_w, _card, tiers = _END.unpack_from(
        data
    )
    if len(data) != _END.size + 4 * tiers + 8:
        raise struct.error
    item = Item(None)
    port = _port(port_no, place, decoded)
    if port is not None:
        energy_kwh = _kwh(energy, place.device)
        attributes = {
            "port_no": port_no,
            "order": str(order),
            "session_s": session_s,
            "session_energy_kwh": energy_kwh,
            "session_fee_fen": fee_fen,
            "stop_reason": from_juy(code, session_s, energy_kwh).value,
            "native_reason": str(code),
            "stop_power_w": stop_power_w,
        }
        item.events.append(Event(port, "session_end", attributes, str(order)))
    return item


def _start(data: bytes, place: Place, decoded: Decoded) -> Item:
    port_no, order, mode, _paid_fen, _balance_fen, _card = _START.unpack(data)
    item = Item(None)
    port = _port(port_no, place, decoded)
    if port is not None:
        attributes = {"port_no": port_no, "order": str(order), "pay": _PAY.get(mode, mode)}
        item.events.append(Event(port, "session_start", attributes, f"{order}/start"))
    return item


def _power(data: bytes, place: Place, decoded: Decoded) -> Item:
    count, decivolts, board_temp_c = _POWER.unpack_from(data)
    ports = data[_POWER.size :]
    if len(ports) != count * _POWER_PORT.size:
        raise struct.error
    values = {"voltage_v": decivolts / 10, "board_temp_c": board_temp_c}
    item = Item(None, reports=[Report(place.device, values)])
    for fields in _POWER_PORT.iter_unpack(ports):
        port_no, tier, _price, power_w, session_s, fee_fen, energy, port_temp_c = fields
        port = _port(port_no, place, decoded)
        if port is not None:
            measured = {
                "tier": tier,
                "power_w": power_w,
                "session_s": session_s,
                "session_fee_fen": fee_fen,
                "session_energy_kwh": _kwh(energy, place.device),
                "port_temp_c": port_temp_c,
            }
            item.reports.append(Report(port, measured))
    return item


def _meter(data: bytes, place: Place, _decoded: Decoded) -> Item:
    (reading,) = _METER.unpack(data)
    values = {"meter_energy_kwh": reading / 100}
    return Item(None, reports=[Report(place.device, values)])


def _port(port_no: int, place: Place, decoded: Decoded) -> Device | None:
    shed = place.device.id
    port = place.registry.port(shed, port_no)
    if port is None:
        refuse(decoded, Refused(Reason.UNKNOWN_DEVICE, f"{shed} has no port {port_no}"), shed)
    return port


def _kwh(steps: int, shed: Device) -> float:
    step_kwh = float(shed.attributes.get("energy_step_kwh", 0.01))
    return round(steps * step_kwh, 3)


def _ascii(field: bytes) -> str:
    return shown(field.decode("ascii", "replace").strip("\0 "))


_READERS: Mapping[int, Callable[[bytes, Place, Decoded], Item]] = {
    0x81: _login,
    0x82: _heartbeat,
    0x85: _end,
    0x86: _start,
    0x88: _power,
    0x8B: _meter,
}
