"""What every simulated device has: its number of messages, its connection, what ails it."""

from collections.abc import Callable
from typing import Any

from devices.registry import Device
from simulators import native


class Link:
    """A connection to the broker: a gateway's, or a shed's own modem.

    buffer: what could not be sent while the connection is down, by topic, or None when the device
    keeps nothing (no power, or a board without memory). repeats: the share of messages that its
    modem sends twice. closes: how often it went down, so that a late last will knows its own.
    replay: what was kept, on its way out since it is up again.
    """

    __slots__ = ("buffer", "buffered", "closes", "id", "native", "node", "repeats", "replay", "up")

    def __init__(self, name: str, *, native: bool) -> None:
        self.id = name
        self.native = native  # a JUY board has neither birth nor last will
        self.node: Node
        self.up = False
        self.buffer: dict[str, list[bytes]] | None = None
        self.buffered = 0
        self.replay: list[tuple[str, bytes]] = []
        self.closes = 0
        self.repeats = 0.0


class Node:
    """One device that sends messages of its own. Sockets do not: they ride with their shed.

    boot, seq: the device's own numbers; `boot` is seconds since 2020, so it never comes again.
    booted_ms: since when it runs. skew_ms: how far its clock is ahead. dead_until_ms: it has no
    power or no network of its own until then. anomaly: what befell it, at most one thing at a time.
    overlay: values that replace what it measures, for damaged ones. full_left: heartbeats until it
    tells all its states again. fresh: it has not reported yet. text_time: it writes RFC 3339.
    """

    __slots__ = (
        "anomaly",
        "boot",
        "booted_ms",
        "dead_until_ms",
        "device",
        "event_topic",
        "fresh",
        "full_left",
        "id",
        "interval_ms",
        "link",
        "overlay",
        "rssi_dbm",
        "seq",
        "skew_ms",
        "telemetry_topic",
        "text_time",
    )

    def __init__(self, device: Device, link: Link) -> None:
        self.device = device
        self.id = device.id
        self.link = link
        where = (device.compound, device.kind, device.id)
        self.telemetry_topic = native.topic(*where, "telemetry")
        self.event_topic = native.topic(*where, "event")
        self.interval_ms = device.interval_s * 1000
        self.boot = 0
        self.booted_ms = 0
        self.seq = 0
        self.skew_ms = 0
        self.dead_until_ms = 0
        self.anomaly: str | None = None
        self.overlay: native.Values | None = None
        self.full_left = 0
        self.rssi_dbm = -65
        self.text_time = False
        self.fresh = True


Step = Callable[[Any, Any, int], int]
"""(fleet, state, now_ms) → when to come again, or 0 for never."""
