"""Frames of a JUY 5AA5 charging board, as the vendor's document (TCP/MQTT V1.2) lays them out.

`5A A5 | LEN u16 LE (counts CMD…SUM) | CMD u8 | RESULT u8 | DATA | SUM u8 = Σ(LEN…DATA) & 0xFF`,
little-endian throughout. RESULT carries 0 on the way up, as in the document's samples.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LOGIN, HEARTBEAT, END, START, POWER = 0x81, 0x82, 0x85, 0x86, 0x88

# Port states as the board numbers them.
STATUS = {"idle": 0, "in_use": 1, "fuse_blown": 2, "relay_stuck": 3, "disabled": 4}
# Reasons of the end of an order as the board numbers them; it knows no others.
REASONS = {
    "full": 0,
    "time_up": 1,
    "money_up": 2,
    "manual_stop": 3,
    "energy_up": 4,
    "over_power": 5,
    "unplugged": 6,
    "no_load_at_start": 6,
    "over_temp": 7,
    "smoke": 8,
}
CARD, COIN, FREE_BUTTON = 1, 2, 3


class PortPower(NamedTuple):
    """One working port in a power frame. fen: what the order has cost so far."""

    port_no: int
    tier: int
    price: int
    power_w: float
    seconds: int
    fen: int
    energy_kwh: float
    temp_c: float


def topic(imei: str, command: int) -> str:
    return f"JUY/D2S/{imei}/{command:02X}/DEV"


def frame(command: int, data: bytes) -> bytes:
    body = struct.pack("<HBB", len(data) + 3, command, 0) + data
    return b"\x5a\xa5" + body + bytes((sum(body) & 0xFF,))


def login(
    imei: str, ports: int, hardware: str, software: str, ccid: str, csq: int, *, powered_on: bool
) -> bytes:
    texts = f"{imei:<15.15}", f"{hardware:<16.16}", f"{software:<16.16}", f"{ccid:<20.20}"
    imei_raw, hardware_raw, software_raw, ccid_raw = (text.encode("ascii") for text in texts)
    data = imei_raw + bytes((ports,)) + hardware_raw + software_raw + ccid_raw
    return frame(LOGIN, data + bytes((csq, 0 if powered_on else 1)))


def heartbeat(csq: int, board_temp_c: float, states: Sequence[str]) -> bytes:
    """A board has no number for states outside STATUS: those are sent as 5, unknown."""
    head = bytes((csq, _byte(board_temp_c), len(states)))
    return frame(HEARTBEAT, head + bytes(STATUS.get(state, 5) for state in states))


def power(voltage_v: float, board_temp_c: float, ports: Iterable[PortPower]) -> bytes:
    rows = [
        struct.pack(
            "<BBHHIHIB",
            port.port_no,
            port.tier,
            port.price,
            round(port.power_w),
            port.seconds,
            port.fen,
            int(port.energy_kwh * 100 + 1e-9),  # a register: it shows whole steps of 0.01 only
            _byte(port.temp_c),
        )
        for port in ports
    ]
    head = struct.pack("<BHB", len(rows), round(voltage_v * 10), _byte(board_temp_c))
    return frame(POWER, head + b"".join(rows))


def start(port_no: int, order: int, mode: int, fen: int, balance: int, card: int) -> bytes:
    return frame(START, struct.pack("<BIBIII", port_no, order, mode, fen, balance, card))


def end(
    port_no: int,
    order: int,
    seconds: int,
    energy_kwh: float,
    fen: int,
    reason: str,
    stop_power_w: float,
    card: int,
    tiers: Sequence[tuple[int, int]],
) -> bytes:
    """tiers: (seconds, price) spent in each power tier."""
    data = struct.pack(
        "<BIIIIBHI",
        port_no,
        order,
        seconds,
        int(energy_kwh * 100 + 1e-9),
        fen,
        REASONS[reason],
        round(stop_power_w),
        card,
    )
    data += bytes((len(tiers),))
    data += b"".join(struct.pack("<H", seconds) for seconds, _ in tiers)
    data += b"".join(struct.pack("<H", price) for _, price in tiers)
    return frame(END, data + bytes(8))


def _byte(value: float) -> int:
    return min(255, max(0, round(value)))
