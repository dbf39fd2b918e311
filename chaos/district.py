"""The messages of a little district, from a seed: the same plan gives the same bytes every time.

A plan says who sends how much and when; publisher, checker and reference run each make its messages
for themselves, so nothing but the plan has to be kept. Devices are gates, sheds and lamps in some
compounds. What they do besides readings: accesses, duress and panic, tampering, smoke that comes
and goes, charging sessions, buffered arrays (also from hours ago), duplicates, and some rubbish.

Only faults without a delay are made: whether one with a delay is raised depends on when a message
reaches us, and so on the outage under test.

In a plan of `troubles` every device has several, which come, end and come back, and says little
else: nothing late, nothing gathered in arrays. Then which faults there must be can be read off its
messages in their order.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

FIRMS = ("yaxin", "zhengmei")
PORTS = 4
HOURS_AGO_MS = 5 * 3_600_000  # what a buffer from long ago says happened then
STRANGERS = 3  # devices whose rubbish comes in a strange name; the quarantine keeps 1,000 an hour

PointKey = tuple[str, str, int]  # measurement, device, at_ms


class Sort(StrEnum):
    """What must become of a message: its first copy. Any further copy is a duplicate."""

    GOOD = "good"  # stored
    RUBBISH = "rubbish"  # quarantined, each copy: nothing in it tells them apart


class Message(NamedTuple):
    """One PUBLISH. due_ms: when it is sent at the earliest; its event times are not later.

    n: its number in the plan; one that repeats another on purpose has its own. origin: the compound
    that it is accounted to. points: what the telemetry store must hold of it.
    """

    n: int
    connection: int
    topic: bytes
    payload: bytes
    due_ms: int
    origin: str
    sort: Sort
    points: tuple[PointKey, ...]

    @property
    def digest(self) -> int:
        return digest(self.topic, self.payload)

    @property
    def device(self) -> str:
        """Whose topic it is on."""
        return self.topic.split(b"/")[4].decode()


def digest(topic: bytes, payload: bytes) -> int:
    """What tells messages apart: each has its device, boot and seq, or a number, in its bytes."""
    of = blake2b(topic, digest_size=8)
    of.update(b"\0")
    of.update(payload)
    return int.from_bytes(of.digest(), "big")


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` messages from `at_ms` on, `rate_per_s` of them a second, all devices in turn.

    buffered: instead, all devices come back within `spread_s` from `at_ms` on, each with so many
    messages of the `outage_s` before, and a live one. Then count and rate say nothing.
    """

    count: int
    rate_per_s: float
    at_ms: int
    buffered: int = 0
    outage_s: float = 0.0
    spread_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides which messages there are."""

    seed: int
    devices: int
    connections: int
    interval_s: int
    segments: tuple[Segment, ...]
    compounds: int = 3
    troubles: bool = False

    @property
    def count(self) -> int:
        return sum(self.size(segment) for segment in self.segments)

    def size(self, segment: Segment) -> int:
        """How many messages a segment has."""
        return self.devices * (segment.buffered + 1) if segment.buffered else segment.count

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        read = json.loads(path.read_text())
        read["segments"] = tuple(Segment(**segment) for segment in read["segments"])
        return cls(**read)


def devices_for(rate_per_s: float) -> int:
    """So many devices that each stays far below the 20 messages a second that one may send."""
    return max(60, int(rate_per_s / 8))


def registry(plan: Plan) -> dict[str, Any]:
    """For `courtyard registry import`."""
    compounds = [f"court-{n}" for n in range(plan.compounds)]
    return {
        "firms": [{"id": firm, "name": {"zh": firm, "en": firm}} for firm in FIRMS],
        "compounds": [
            {
                "id": compound,
                "name": {"zh": compound, "en": compound},
                "firm": FIRMS[n % len(FIRMS)],
                "households": 100,
                "synthetic": True,
            }
            for n, compound in enumerate(compounds)
        ],
        "devices": [one.entry(plan.interval_s) for one in _make_devices(plan)],
    }


def messages(plan: Plan) -> Iterator[Message]:
    """All messages of the plan, in order: that of each device is the order in which it sends."""
    devices = _make_devices(plan)
    turns = -(-plan.count // plan.devices)
    for device in devices:
        device.plan_stories(turns)
    n = 0
    for place, segment in enumerate(plan.segments):
        if segment.buffered:
            for index, due_ms, at_ms in _returns(plan, place, segment):
                yield devices[index].turn(n, at_ms, due_ms)
                n += 1
            continue
        step_ms = 1000 / segment.rate_per_s
        for k in range(segment.count):
            at_ms = segment.at_ms + int(k * step_ms)
            yield devices[n % plan.devices].turn(n, at_ms, at_ms)
            n += 1


def _returns(plan: Plan, place: int, segment: Segment) -> Iterator[tuple[int, int, int]]:
    """(device, when it is sent, when it happened) of a fleet that comes back."""
    rng = random.Random(f"{plan.seed}|returns|{place}")
    back_ms = [
        segment.at_ms + int(rng.uniform(0, segment.spread_s * 1000))
        for _ in range(plan.connections)
    ]
    by_time = sorted(range(plan.devices), key=lambda device: back_ms[device % plan.connections])
    step_ms = int(segment.outage_s * 1000 / (segment.buffered + 1))
    for device in by_time:
        due_ms = back_ms[device % plan.connections]
        for k in range(segment.buffered, 0, -1):
            yield device, due_ms, segment.at_ms - k * step_ms + 1 + device % 7
        yield device, due_ms, due_ms


def _make_devices(plan: Plan) -> list["_Device"]:
    kinds: tuple[type[_Device], ...] = (_Gate, _Shed, _Lamp, _Gate)
    if plan.troubles:
        kinds = (_TroubledGate, _TroubledShed, _TroubledLamp)
    return [kinds[n % len(kinds)](plan, n) for n in range(plan.devices)]


class _Device:
    """One device, that says something each time that it is its turn."""

    kind = ""

    def __init__(self, plan: Plan, index: int) -> None:
        self.index = index
        self.rng = random.Random(f"{plan.seed}|{index}")
        self.id = f"{self.kind}-{index}"
        self.compound = f"court-{index % plan.compounds}"
        self.connection = index % plan.connections
        self.seq = 0
        self.turns = 0
        self._plan = plan
        self._last: Message | None = None
        self._held: list[dict[str, Any]] = []  # what it buffers, to send it as an array
        self._holds = 0
        self._late: list[dict[str, Any]] = []
        # turn -> what happens then, each at most once; that order never depends on luck
        self._stories: dict[int, list[str]] = {}

    def entry(self, interval_s: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "compound": self.compound,
            "interval_s": interval_s,
        }

    def plan_stories(self, turns: int) -> None:
        """Put what happens once into the turns that there will be."""
        for story, chance in self.stories().items():
            if self.rng.random() < chance:
                self._stories.setdefault(self.rng.randrange(max(1, turns - 3)), []).append(story)

    def stories(self) -> dict[str, float]:
        """What may happen to it, and to which share of its kind."""
        return {}

    def values(self) -> dict[str, Any]:
        """A usual reading."""
        raise NotImplementedError

    def act(self, at_ms: int) -> dict[str, Any] | None:
        """An event instead of a reading; None for none."""
        del at_ms
        return None

    def begin(self, story: str) -> None:
        """Something begins, to be seen in what it says from now on."""
        raise NotImplementedError

    def turn(self, n: int, at_ms: int, due_ms: int) -> Message:
        turn, self.turns = self.turns, self.turns + 1
        for story in self._stories.pop(turn, ()):
            self.begin(story)
        made = self._make(n, at_ms, due_ms)
        self._last = made if made.sort is Sort.GOOD else self._last
        return made

    def _make(self, n: int, at_ms: int, due_ms: int) -> Message:
        rng = self.rng
        if self._late:
            items, self._late = self._late, []
            return self._array(n, due_ms, items)
        if self._holds:
            self._holds -= 1
            self._held.append(self._reading(at_ms))
            if self._holds == 0:
                items, self._held = self._held, []
                return self._array(n, due_ms, items)
            return self._again(n, due_ms) or self._one(n, due_ms, self._held.pop())
        chance = rng.random()
        if chance < 0.01:
            return self._again(n, due_ms) or self._one(n, due_ms, self._reading(at_ms))
        if chance < 0.015:
            return self._rubbish(n, due_ms)
        if chance < 0.02:
            self._holds = rng.randrange(2, 5)
        elif chance < 0.03:  # live first, what was buffered after it: late
            old_ms = HOURS_AGO_MS if rng.random() < 0.5 else 0
            self._late = [self._reading(at_ms - old_ms - back_ms) for back_ms in (45, 30, 15)]
        elif chance < 0.035:  # one value of it cannot be used
            said = self._reading(at_ms)
            said["values"]["rssi_dbm"] = float("nan")
            return self._one(n, due_ms, said)
        event = self.act(at_ms - (at_ms % 1000 == 0))  # forward moves events of a whole second
        return self._one(n, due_ms, event or self._reading(at_ms))

    def _numbered(self, at_ms: int, said: dict[str, Any]) -> dict[str, Any]:
        self.seq += 1
        return {"ts": at_ms, "boot": 1, "seq": self.seq, **said}

    def _reading(self, at_ms: int) -> dict[str, Any]:
        return self._numbered(at_ms, self.values())

    def _one(self, n: int, due_ms: int, said: dict[str, Any]) -> Message:
        channel = "event" if "event" in said else "telemetry"
        return self._message(n, due_ms, channel, json.dumps(said), (said,))

    def _array(self, n: int, due_ms: int, items: list[dict[str, Any]]) -> Message:
        return self._message(n, due_ms, "telemetry", json.dumps(items), tuple(items))

    def _message(
        self, n: int, due_ms: int, channel: str, text: str, items: tuple[dict[str, Any], ...]
    ) -> Message:
        topic = f"courtyard/v1/{self.compound}/{self.kind}/{self.id}/{channel}".encode()
        points = tuple(key for item in items for key in self._points(item))
        return Message(
            n, self.connection, topic, text.encode(), due_ms, self.compound, Sort.GOOD, points
        )

    def _points(self, said: dict[str, Any]) -> Iterator[PointKey]:
        at_ms: int = said["ts"]
        if "event" in said:
            port_no = said.get("port_no")
            if port_no is None:
                yield f"{self.kind}_event", self.id, at_ms
            else:
                yield "port_event", f"{self.id}-p{port_no:02d}", at_ms
            return
        yield self.kind, self.id, at_ms
        for number in said.get("ports", {}):
            yield "port", f"{self.id}-p{int(number):02d}", at_ms

    def _again(self, n: int, due_ms: int) -> Message | None:
        """What it sent last, once more."""
        last = self._last
        return None if last is None else last._replace(n=n, due_ms=due_ms)

    def _rubbish(self, n: int, due_ms: int) -> Message:
        origin = self.compound
        device = self.id
        match self.rng.randrange(4):
            case 0:
                payload = f'{{"ts": 1, "seq": {n}, "values": {{'.encode()
            case 1:
                payload = f'{{"value": {{"uptime_s": {n}}}}}'.encode()
            case 2:
                payload = b"[" * 40 + str(n).encode() + b"]" * 40
            case _:
                payload = b"\xff\xfe" + str(n).encode()
        if self.index < STRANGERS:
            origin, device = "unassigned", f"stranger-{n % 9}"
        topic = f"courtyard/v1/{self.compound}/{self.kind}/{device}/telemetry".encode()
        return Message(n, self.connection, topic, payload, due_ms, origin, Sort.RUBBISH, ())


class _Gate(_Device):
    kind = "gate"

    def __init__(self, plan: Plan, index: int) -> None:
        super().__init__(plan, index)
        self._events: list[str] = []
        self._tampered_for = 0

    def stories(self) -> dict[str, float]:
        return {"tamper": 0.3, "duress": 0.15, "panic": 0.15}

    def begin(self, story: str) -> None:
        if story == "tamper":
            self._tampered_for = self.rng.choice((2, 3, 1_000_000_000))
        else:
            self._events.append(story)

    def values(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "uptime_s": 1000 + self.seq,
            "board_temp_c": 30.5 + self.rng.randrange(10),
            "door_state": "closed",
            "mains_ok": True,
        }
        if self._tampered_for:
            self._tampered_for -= 1
            said["tamper"] = self._tampered_for > 0
        return {"values": said}

    def act(self, at_ms: int) -> dict[str, Any] | None:
        if self._events:
            return self._numbered(at_ms, {"event": self._events.pop()})
        if self.rng.random() > 0.2:
            return None
        is_granted = self.rng.random() < 0.9
        said: dict[str, Any] = {
            "event": "access",
            "method": self.rng.choice(("card", "face", "qr", "remote")),
            "direction": self.rng.choice(("in", "out")),
            "result": "granted" if is_granted else "denied",
        }
        if not is_granted:
            said["deny_reason"] = "expired"
        return self._numbered(at_ms, said)


class _Shed(_Device):
    kind = "shed"

    def __init__(self, plan: Plan, index: int) -> None:
        super().__init__(plan, index)
        self._smoke_for = 0
        self._port = 0
        self._order = 0
        self._turns_left = 0
        self._energy_kwh = 0.0

    def entry(self, interval_s: int) -> dict[str, Any]:
        return {**super().entry(interval_s), "attributes": {"ports": PORTS}}

    def stories(self) -> dict[str, float]:
        return {"smoke": 0.4, "leakage": 0.1}

    def begin(self, story: str) -> None:
        if story == "smoke":
            self._smoke_for = self.rng.choice((2, 4, 1_000_000_000))
        else:
            self._leaks = True

    _leaks = False

    def values(self) -> dict[str, Any]:
        said: dict[str, Any] = {"uptime_s": 1000 + self.seq, "voltage_v": 228.5}
        if self._smoke_for:
            self._smoke_for -= 1
            said["smoke"] = self._smoke_for > 0
        if self._leaks:
            said["leakage_state"] = "tripped"
        ports: dict[str, Any] = {}
        if self._port:
            self._energy_kwh = round(self._energy_kwh + 0.05, 3)
            ports[str(self._port)] = {
                "port_status": "in_use",
                "power_w": 180.5 + self.rng.randrange(20),
                "session_energy_kwh": self._energy_kwh,
            }
        else:
            ports["1"] = {"port_status": "idle", "power_w": 0}
        return {"values": said, "ports": ports}

    def act(self, at_ms: int) -> dict[str, Any] | None:
        if self._port:
            self._turns_left -= 1
            if self._turns_left > 0:
                return None
            said = {
                "event": "session_end",
                "port_no": self._port,
                "order": f"{self.index}-{self._order}",
                "session_energy_kwh": self._energy_kwh,
                "session_fee_fen": int(self._energy_kwh * 100),
                "stop_reason": self.rng.choices(
                    ("full", "unplugged", "over_power", "battery_abnormal"), (60, 30, 8, 2)
                )[0],
            }
            self._port = 0
            return self._numbered(at_ms, said)
        if self.rng.random() > 0.1:
            return None
        self._order += 1
        self._port = self.rng.randrange(1, PORTS + 1)
        self._turns_left = self.rng.randrange(2, 8)
        self._energy_kwh = 0.0
        return self._numbered(
            at_ms,
            {
                "event": "session_start",
                "port_no": self._port,
                "order": f"{self.index}-{self._order}",
                "mode": "full",
                "pay": "scan",
            },
        )


class _Lamp(_Device):
    kind = "lamp"

    def __init__(self, plan: Plan, index: int) -> None:
        super().__init__(plan, index)
        self._energy_kwh = 100.0

    def entry(self, interval_s: int) -> dict[str, Any]:
        more = {"granularity": "lamp", "lamp_count": 1, "nominal_power_w": 50}
        return {**super().entry(interval_s), "attributes": more}

    def values(self) -> dict[str, Any]:
        self._energy_kwh = round(self._energy_kwh + 0.01, 2)
        return {
            "values": {
                "uptime_s": 1000 + self.seq,
                "switch_state": "on",
                "power_w": 48.5 + self.rng.randrange(4),
                "energy_kwh": self._energy_kwh,
            }
        }


FOREVER = 1_000_000_000  # turns


class _Troubled(_Device):
    """Conditions of it come for some turns or for ever, and those that ended come back once or not.

    No more often, for from the third time within the hour people are not told each time.
    """

    TROUBLES: tuple[str, ...] = ()
    CHANCE, COMES_BACK = 0.8, 0.4

    def plan_stories(self, turns: int) -> None:
        self._spans = {name: tuple(self._when(turns)) for name in self.TROUBLES}

    _spans: dict[str, tuple[range, ...]]

    def _when(self, turns: int) -> Iterator[range]:
        rng = self.rng
        if rng.random() >= self.CHANCE:
            return
        first = rng.randrange(max(1, turns - 4))
        last = first + rng.choice((1, 2, 4, FOREVER))
        yield range(first, last)
        if last < FOREVER and rng.random() < self.COMES_BACK:
            again = last + rng.randrange(1, 4)
            yield range(again, again + rng.choice((1, 2, FOREVER)))

    def has(self, trouble: str) -> bool:
        """Whether it has this now."""
        return any(self.turns - 1 in span for span in self._spans[trouble])

    def begins(self, trouble: str) -> bool:
        """Whether it has it since this turn."""
        return any(self.turns - 1 == span.start for span in self._spans[trouble])

    def _make(self, n: int, at_ms: int, due_ms: int) -> Message:
        chance = self.rng.random()
        if chance < 0.03:
            return self._again(n, due_ms) or self._one(n, due_ms, self._reading(at_ms))
        if chance < 0.05:
            return self._rubbish(n, due_ms)
        at_ms -= at_ms % 1000 == 0  # forward moves events of a whole second
        return self._one(n, due_ms, self.act(at_ms) or self._reading(at_ms))


class _TroubledGate(_Troubled):
    kind = "gate"
    TROUBLES = ("tamper", "duress", "panic")

    def values(self) -> dict[str, Any]:
        tamper = self.has("tamper")
        return {"values": {"uptime_s": 1000 + self.seq, "door_state": "closed", "tamper": tamper}}

    def act(self, at_ms: int) -> dict[str, Any] | None:
        for event in ("duress", "panic"):
            if self.begins(event):
                return self._numbered(at_ms, {"event": event})
        return None


class _TroubledShed(_Troubled):
    kind = "shed"
    TROUBLES = ("smoke", "leakage", "pried", "fuse")

    def entry(self, interval_s: int) -> dict[str, Any]:
        return {**super().entry(interval_s), "attributes": {"ports": PORTS}}

    def values(self) -> dict[str, Any]:
        said = {
            "uptime_s": 1000 + self.seq,
            "smoke": self.has("smoke"),
            "leakage_state": "tripped" if self.has("leakage") else "ok",
            "cabinet_door": "pried" if self.has("pried") else "closed",
        }
        if self.has("fuse"):  # a status would raise it too, after a while
            return {"values": said}
        return {"values": said, "ports": {"1": {"port_status": "idle", "power_w": 0}}}

    def act(self, at_ms: int) -> dict[str, Any] | None:
        if not self.begins("fuse"):
            return None
        said = {
            "event": "session_end",
            "port_no": 1,
            "order": f"{self.index}-{self.turns}",
            "session_energy_kwh": 0.0,
            "session_fee_fen": 0,
            "stop_reason": "fuse_blown",
        }
        return self._numbered(at_ms, said)


class _TroubledLamp(_Troubled):
    kind = "lamp"
    TROUBLES = ("leakage",)

    def entry(self, interval_s: int) -> dict[str, Any]:
        more = {"granularity": "lamp", "lamp_count": 1, "nominal_power_w": 50}
        return {**super().entry(interval_s), "attributes": more}

    def values(self) -> dict[str, Any]:
        leaks = self.has("leakage")
        return {"values": {"uptime_s": 1000 + self.seq, "leakage_detected": leaks}}
