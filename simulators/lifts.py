"""Lifts: where the car is, and whether it runs."""

from random import Random

from devices.registry import Device
from simulators.native import Values
from simulators.nodes import Link, Node
from simulators.profiles import PASSAGES_WEEK, week_hour

FLOORS = 6
TRIPS_A_DAY = 140.0


class Lift(Node):
    __slots__ = ("door_state", "floor", "in_service", "trapped")

    def __init__(self, device: Device, link: Link) -> None:
        super().__init__(device, link)
        self.text_time = True
        self.floor = 1
        self.door_state = "closed"
        self.in_service = True
        self.trapped = False


def heartbeat(lift: Lift, now_ms: int, rng: Random) -> Values:
    """Where it stands at the minute; between two of these it may have been anywhere."""
    trips = TRIPS_A_DAY * PASSAGES_WEEK[week_hour(now_ms)] * lift.interval_ms / 3_600_000
    if lift.in_service and rng.random() < trips:
        lift.floor = 1 if rng.random() < 0.5 else 2 + int(rng.random() * (FLOORS - 1))
        lift.door_state = "open" if rng.random() < 0.2 else "closed"
    elif not lift.trapped:
        lift.door_state = "closed"
    return {
        "floor": lift.floor,
        "door_state": lift.door_state,
        "in_service": lift.in_service,
        "uptime_s": (now_ms - lift.booted_ms) // 1000,
    }
