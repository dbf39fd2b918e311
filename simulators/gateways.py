"""Gateways: the way of gates, lamps, cameras and lifts to the broker, with a battery of its own."""

from random import Random

from devices.registry import Device
from simulators.native import Values
from simulators.nodes import Link, Node


class Gateway(Node):
    __slots__ = ("battery_pct", "children", "csq", "mains_ok")

    def __init__(self, device: Device, link: Link) -> None:
        super().__init__(device, link)
        self.children: list[Node] = []
        self.csq = 24
        self.mains_ok = True
        self.battery_pct = 100.0


def heartbeat(gateway: Gateway, now_ms: int, rng: Random) -> Values:
    online = 0
    for child in gateway.children:
        online += child.dead_until_ms <= now_ms
    return {
        "csq": gateway.csq + int(rng.random() * 3) - 1,
        "uptime_s": (now_ms - gateway.booted_ms) // 1000,
        "mains_ok": gateway.mains_ok,
        "battery_pct": round(gateway.battery_pct - rng.random() * 0.5, 1),
        "children_total": len(gateway.children),
        "children_online": online,
        "queue_depth": gateway.link.buffered,
    }
