"""The whole fleet in one order of time.

A queue holds, for every device, when it next does something; the earliest is taken, does it, and
says when it comes again. What the devices send on the way is yielded in order. The same registry,
seed, start and rates give the same messages to the byte. A district's day is 2.9 million messages,
so what happens per message is kept to a few calls: measured 8 to 11 µs, half a minute for the day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush, heapreplace
from random import Random
from typing import Any, NamedTuple

from devices.registry import Device, Registry
from simulators import cameras, charging, fate, gates, gateways, juy, lamps, lifts, native
from simulators import tasmota as tasmota_wire
from simulators.anomalies import NONE, Rates
from simulators.anomalies.charging import SAFETY_STOPS
from simulators.anomalies.gates import BARRIER_ANOMALIES, DOOR_ANOMALIES
from simulators.cameras import Camera
from simulators.charging import Port, Shed
from simulators.daylight import Nights
from simulators.diary import Charge, Diary
from simulators.gates import Gate
from simulators.gateways import Gateway
from simulators.lamps import Lamp
from simulators.lifts import Lift
from simulators.native import Values
from simulators.nodes import Link, Node, Step
from simulators.profiles import USUAL, Profile, next_arrival_ms
from simulators.truth import Detail, Fact, Truth, unseen

PUBLISH, BIRTH, WILL = 0, 1, 2

EPOCH_MS = 1_577_836_800_000  # 2020-01-01 UTC: boots and orders count seconds from here
RAMP_MS = 4_000  # in which all connections come up at the start
FIRST_REPORTS_MS = 45_000  # in which every device has spoken once after the start
WARM_UP_MS = 16 * 3_600_000  # how long charging ran before the start: longer than any charge
NOTICED_MS = (60_000, 90_000)  # after a silent loss the broker takes 1 to 1.5 keepalives
BUFFER = 20_000  # messages that one connection keeps while it is down; the oldest go first
REPLAY_EVERY_MS = 150
JUY_REPEATS, JUY_REPEAT_MS = 3, 10_000  # nobody answers it, so it says it again


class Message(NamedTuple):
    """One PUBLISH as it leaves a device, or as the broker sends it in its name.

    connection: the gateway or shed that holds it. act: BIRTH on every connect (retained); WILL when
    the broker has noticed that the connection is lost, which is then the broker's message, not the
    device's; else PUBLISH.
    """

    at_ms: int
    topic: str
    payload: bytes
    retained: bool
    connection: str
    act: int


class Yard:
    """A compound: its gateway, what is behind it, and its sheds."""

    __slots__ = ("anomaly", "children", "gateway", "id", "sheds")

    def __init__(self, name: str) -> None:
        self.id = name
        self.gateway: Gateway | None = None
        self.children: list[Node] = []
        self.sheds: list[Shed] = []
        self.anomaly: str | None = None

    def nodes(self) -> Iterator[Node]:
        if self.gateway is not None:
            yield self.gateway
        yield from self.children
        yield from self.sheds


class Fleet:
    """All devices of a registry from `start_ms` on (UTC epoch ms).

    At the start it looks as it would in mid-run: sockets charge in the evening, lamps are lit at
    night, and what the rates keep broken is broken. seed: changes what happens, never the registry.
    truth: is told every fact when it begins. profile: how people and devices of this run behave.
    injections: what befalls whom besides, at which time. diary: is told what was really used.
    """

    def __init__(
        self,
        registry: Registry,
        seed: int,
        start_ms: int,
        rates: Rates = NONE,
        truth: Truth = unseen,
        profile: Profile = USUAL,
        injections: Sequence[fate.Injection] = (),
        diary: Diary | None = None,
    ) -> None:
        self.registry = registry
        self.diary = diary
        self.start_ms = start_ms
        self.now_ms = start_ms
        self.rates = rates
        self.profile = profile
        self.injections = injections
        self.not_injected: list[fate.Injection] = []  # nobody is found yet that it can befall
        self.rng = Random(f"{seed}/{start_ms}/behaviour")  # noqa: S311 - no secret
        self.fate = Random(f"{seed}/{start_ms}/fate")  # noqa: S311 - no secret
        self.nights = Nights()
        self.links: dict[str, Link] = {}
        self.yards: dict[str, Yard] = {}
        self.nodes: dict[str, Node] = {}
        self._salts: dict[str, int] = {}
        self.sent = 0
        self.lost = 0  # kept by a device for later, and then not kept after all
        self._truth = truth
        self._facts = 0
        self._out: list[Message] = []
        self._heap: list[tuple[int, int, Step, Any]] = []
        self._entries = 0
        self._build()
        self._warm_up()
        self._begin()

    # -- the clockwork

    @property
    def next_ms(self) -> int:
        """When something happens next."""
        return self._heap[0][0]

    def messages(self, until_ms: int) -> Iterator[Message]:
        """Everything sent before `until_ms`, in order; call again for what comes after."""
        heap, out = self._heap, self._out
        while heap:
            at_ms, entry, step, state = heap[0]
            if at_ms >= until_ms:
                break
            self.now_ms = at_ms
            again = step(self, state, at_ms)
            # whatever the step pushed comes later than itself, so it is still at the top
            if again:
                heapreplace(heap, (again, entry, step, state))
            else:
                heappop(heap)
            if out:
                self.sent += len(out)
                yield from out
                out.clear()
        self.now_ms = max(self.now_ms, until_ms)

    def later(self, at_ms: int, step: Step, state: Any) -> None:
        """Have `step` called with `state` at that time, or now if that is past."""
        self._entries += 1
        heappush(self._heap, (max(at_ms, self.now_ms), self._entries, step, state))

    # -- sending

    def report(
        self, node: Node, now_ms: int, values: Values, ports: Mapping[str, Values] | None = None
    ) -> None:
        """Values of a device, in its own numbering; nothing while it is dead."""
        if now_ms < node.dead_until_ms:
            return
        if node.overlay is not None:
            values.update((name, node.overlay[name]) for name in values.keys() & node.overlay)
        node.seq += 1
        at: int | str = now_ms + node.skew_ms
        if node.text_time:
            at = native.rfc3339(now_ms + node.skew_ms)
        if ports is None:
            payload = native.report(at, node.boot, node.seq, values)
        else:
            payload = native.shed_report(at, node.boot, node.seq, values, ports)
        self.publish(node.link, node.telemetry_topic, payload, now_ms)

    def event(
        self, node: Node, now_ms: int, kind: str, fields: Values, at_ms: int | None = None
    ) -> None:
        """Something that happens once; nothing while the device is dead.

        at_ms: when it happened, if the device could not tell at once.
        """
        if now_ms < node.dead_until_ms:
            return
        if self.diary is not None and kind == "access":
            self.diary.tried(node.id, now_ms, granted=fields["result"] == "granted")
        node.seq += 1
        at: int | str = (now_ms if at_ms is None else at_ms) + node.skew_ms
        if node.text_time:
            at = native.rfc3339(now_ms + node.skew_ms)
        payload = native.event(at, node.boot, node.seq, kind, fields)
        self.publish(node.link, node.event_topic, payload, now_ms)

    def publish(
        self, link: Link, topic: str, payload: bytes, now_ms: int, *, retained: bool = False
    ) -> None:
        """Onto the connection, or into its buffer while it is down, or nowhere.

        Only what speaks our own format keeps anything: others have no form for it.
        """
        if link.up:
            message = Message(now_ms, topic, payload, retained, link.id, PUBLISH)
            self._out.append(message)
            if link.repeats and self.rng.random() < link.repeats:
                self._out.append(message)
        elif link.buffer is not None and topic.startswith("courtyard/"):
            link.buffer.setdefault(topic, []).append(payload)
            link.buffered += 1
            if link.buffered > BUFFER:
                self.lost += 1
                link.buffered -= 1
                of, kept = max(link.buffer.items(), key=lambda one: len(one[1]))
                self._forgotten(link, of, kept.pop(0))
        else:
            self._forgotten(link, topic, payload)

    def write_off(self) -> None:
        """The run is over: what devices still keep for later never arrives in it."""
        for link in self.links.values():
            for topic, payloads in (link.buffer or {}).items():
                for payload in payloads:
                    self._forgotten(link, topic, payload)
            for topic, array in link.replay:
                self._forgotten(link, topic, array)

    def never_arrives(self, message: Message) -> None:
        """It left its device, and was lost on its way to us."""
        self._forgotten(self.links[message.connection], message.topic, message.payload)

    def _forgotten(self, link: Link, topic: str, payload: bytes) -> None:
        if self.diary is None:
            return
        compound = link.node.device.compound
        native_form = topic.startswith("courtyard/")
        kind = topic.split("/")[3] if native_form else link.node.device.kind
        if topic.startswith("tele/"):
            kind = "lamp"
        for at_ms in native.times(payload) if native_form else ():
            self.diary.never_arrived(compound, kind, at_ms or self.now_ms)
        if not native_form:
            self.diary.never_arrived(compound, kind, self.now_ms)

    def tell(self, node: Node, now_ms: int) -> None:
        """One report with all that the device knows."""
        rng = self.rng
        match node:
            case Gate():
                values = gates.heartbeat(node, now_ms, rng) | gates.states(node)
                self.report(node, now_ms, values)
            case Shed():
                if node.juy:
                    self.frame(node, now_ms, juy.HEARTBEAT, _juy_heartbeat(node))
                else:
                    values = charging.heartbeat(node, now_ms, rng) | charging.states(node)
                    self.report(node, now_ms, values, charging.port_states(node))
            case Lamp():
                if node.powered and not node.tasmota:
                    values = lamps.report(node, now_ms, rng) | lamps.states(node)
                    self.report(node, now_ms, values)
            case Camera():
                self.report(node, now_ms, cameras.report(node, rng) | cameras.states(node))
            case Lift():
                self.report(node, now_ms, lifts.heartbeat(node, now_ms, rng))
            case Gateway():
                self.report(node, now_ms, gateways.heartbeat(node, now_ms, rng))

    def frame(self, shed: Shed, now_ms: int, command: int, payload: bytes) -> None:
        """A JUY frame; nothing while the board is dead."""
        if now_ms >= shed.dead_until_ms:
            self.publish(shed.link, juy.topic(shed.imei, command), payload, now_ms)

    # -- connections

    def connect(self, link: Link, now_ms: int) -> None:
        """Up: birth, then what was kept, then life as before."""
        link.up = True
        self._out.append(self.birth(link, now_ms))
        if link.buffer is not None:
            for topic, payloads in link.buffer.items():
                link.replay += [(topic, array) for array in native.replay(payloads)]
            link.buffer, link.buffered = None, 0
            if link.replay:
                link.replay.reverse()
                self.later(now_ms + 1_000, _replay, link)

    def birth(self, link: Link, now_ms: int) -> Message:
        """What the connection's device says first on every connect."""
        node = link.node
        if isinstance(node, Shed) and node.juy:
            payload = _juy_login(node, powered_on=now_ms - node.booted_ms < 60_000)
            topic = juy.topic(node.imei, juy.LOGIN)
            return Message(now_ms, topic, payload, False, link.id, BIRTH)
        node.seq += 1
        payload = native.birth(now_ms + node.skew_ms, node.boot, node.seq)
        return Message(now_ms, self.status_topic(link), payload, True, link.id, BIRTH)

    def disconnect(self, link: Link, now_ms: int, *, keeps: bool) -> None:
        """Down without a word; the broker notices later. keeps: it buffers what it would send."""
        link.up = False
        link.closes += 1
        if keeps and link.native:
            link.buffer = link.buffer if link.buffer is not None else {}
        else:
            link.buffer, link.buffered = None, 0
        shortest, longest = NOTICED_MS
        noticed = now_ms + shortest + int(self.fate.random() * (longest - shortest))
        self.later(noticed, _noticed, (link, link.closes))

    def storm(self, now_ms: int, until_ms: int, within_ms: int) -> None:
        """The broker is gone until then; everybody keeps what it has and comes back within."""
        for link in self.links.values():
            if link.up:
                self.disconnect(link, now_ms, keeps=True)
                link.closes += 1  # no broker, no last will
                back_ms = until_ms + int(self.fate.random() * within_ms)
                self.later(back_ms, _comes_back, (link, link.closes))

    def status_topic(self, link: Link) -> str:
        device = link.node.device
        return native.topic(device.compound, device.kind, device.id, "status")

    def will(self, link: Link) -> tuple[str, bytes] | None:
        """Topic and payload of a connection's last will; a JUY board has none."""
        return (self.status_topic(link), native.WILL) if link.native else None

    # -- what befalls devices

    def revive(self, node: Node, now_ms: int, within_ms: int = 40_000) -> None:
        """Power is back: it boots, and soon tells everything."""
        self.boot(node, now_ms)
        node.dead_until_ms = 0
        delay = 3_000 + int(self.fate.random() * within_ms)
        self.later(now_ms + delay, _tell, node)

    def boot(self, node: Node, now_ms: int) -> None:
        node.boot = max(node.boot + 1, (now_ms - EPOCH_MS) // 1000)
        node.booted_ms = now_ms
        node.seq = 0

    def let_in(self, gate: Gate, now_ms: int) -> None:
        """The door opens for somebody, for some seconds."""
        swing(self, gate, now_ms, 4_000)

    def fact(self, kind: str, scope: str, start_ms: int, end_ms: int, detail: Detail) -> None:
        self._facts += 1
        name = f"{self.start_ms // 1000:x}-{self._facts}"
        self._truth(Fact(name, kind, scope, start_ms, end_ms, detail))

    # -- charging

    def plug_in(
        self, shed: Shed, port: Port, now_ms: int, session: charging.Session | None = None
    ) -> None:
        """Somebody begins to charge, as usual or as `session` has it."""
        if session is None:
            session = charging.new_session(shed, now_ms, EPOCH_MS, self.rng)
        if port.bad_contact:
            charging.finds_no_load(session)
        port.session, port.status = session, "in_use"
        if self.diary is not None:
            session.flows = partial(self.diary.charged_for, port.id)
        self.later(session.end_ms, _session_over, (shed, port, session))
        if shed.juy:
            mode = {"card": juy.CARD, "coin": juy.COIN}.get(session.pay, juy.FREE_BUTTON)
            payload = juy.start(port.no, session.order, mode, 200, 0, session.card)
            self.frame(shed, now_ms, juy.START, payload)
            _repeat(self, shed, now_ms, juy.START, payload)
            return
        self.event(
            shed,
            now_ms,
            "session_start",
            {
                "port_no": port.no,
                "order": str(session.order),
                "mode": session.mode,
                "pay": session.pay,
            },
        )
        started: Values = {"port_status": port.shown(), "session_energy_kwh": 0.0, "session_s": 0}
        self.report(shed, now_ms, {}, {str(port.no): started})

    def unplug(self, shed: Shed, port: Port, now_ms: int, reason: str) -> Values | None:
        """The end of a socket's session; the board says so at once, if it can.

        Returns what the event says, for a board that must wait for its power. None: no session.
        """
        session = port.session
        if session is None:
            return None
        ended = charging.ended(shed, port, session, now_ms, reason)
        if self.diary is not None:
            order, begun_ms = str(session.order), session.started_ms
            self.diary.charged(Charge(port.id, order, begun_ms, now_ms, session.wh, reason))
        port.session, port.status = None, "idle"
        if reason == "full" and not shed.juy:  # JUY has no state for it
            stays_ms = charging.full_stays_ms(now_ms, self.rng)
            if stays_ms:
                port.status = "full"
                self.later(now_ms + stays_ms, _taken_away, (shed, port))
        if shed.juy:
            if reason in juy.REASONS:
                payload = charging.juy_end(shed, port, session, now_ms, reason)
                self.frame(shed, now_ms, juy.END, payload)
                _repeat(self, shed, now_ms, juy.END, payload)
            return ended
        self.event(shed, now_ms, "session_end", ended)
        after: Values = {"port_status": port.shown(), "power_w": port.leak_w}
        if reason == "over_temp":
            after["port_temp_c"] = round(72 + self.rng.random() * 14, 1)
            self.later(now_ms + 720_000, _cooled, (shed, port))
        self.report(shed, now_ms, {}, {str(port.no): after})
        return ended

    # -- the beginning

    def _build(self) -> None:
        registry, rng = self.registry, self.rng
        ports: dict[str, list[Port]] = {}
        weights: dict[str, float] = {}
        for device in registry.devices.values():
            if device.kind == "port" and device.parent is not None:
                ports.setdefault(device.parent, []).append(Port(device))
            if device.kind == "gate":
                weights[device.compound] = weights.get(device.compound, 0.0) + _gate_weight(device)
        for compound in registry.compounds.values():
            self.yards[compound.id] = Yard(compound.id)
        for device in registry.devices.values():
            if device.kind in ("gateway", "shed"):
                self.links[device.id] = Link(device.id, native=device.protocol == "native")
        for device in registry.devices.values():
            if device.kind == "port":
                continue
            yard = self.yards[device.compound]
            node = self._node(device, weights, ports.get(device.id, []))
            self.nodes[device.id] = node
            if isinstance(node, Gateway):
                yard.gateway = node
            elif isinstance(node, Shed):
                yard.sheds.append(node)
            else:
                yard.children.append(node)
            node.boot = (self.start_ms - EPOCH_MS) // 1000
            node.booted_ms = self.start_ms - 600_000 - int(rng.random() * 40 * 86_400_000)
            node.rssi_dbm = -55 - int(rng.random() * 25)
        for yard in self.yards.values():
            if yard.gateway is not None:
                yard.gateway.children = yard.children

    def _node(self, device: Device, weights: Mapping[str, float], ports: list[Port]) -> Node:
        rng = self.rng
        link = self.links[device.id if device.kind in ("gateway", "shed") else device.parent or ""]
        node: Node
        match device.kind:
            case "gate":
                households = self.registry.compounds[device.compound].households
                share = _gate_weight(device) / weights[device.compound]
                # the refused come on top: a household passes so often, not tries so often
                per_day = households * gates.PASSAGES_A_HOUSEHOLD * share / (1 - gates.DENIED)
                per_day *= self.profile.passages
                node = Gate(device, link, per_day, households)
                node.tells_swings = self.profile.swings
                node.alarms = not self.profile.swings or len(self.nodes) % 3 > 0
                # people have one credential for all gates of their compound
                node.salt = self._salts.setdefault(device.compound, rng.getrandbits(64))
            case "shed":
                node = Shed(device, link, ports)
                node.demand = 0.8 + 0.4 * rng.random()
                node.base_v = 227.0 + 6.0 * rng.random()
                node.csq = 16 + int(rng.random() * 12)
                node.price_fen = 65 + int(rng.random() * 25)
                node.meter_kwh = round(2_000 + rng.random() * 20_000, 2)
                link.node = node
            case "lamp":
                node = Lamp(device, link)
                node.jitter_ms = int((rng.random() - 0.5) * 1_200_000 * self.profile.lamp_jitter)
                node.base_v = 225.0 + 8.0 * rng.random()
                node.energy_kwh = round(rng.random() * 900, 3)
                node.midnight_kwh = node.energy_kwh
                node.hours_h = round(4_000 + rng.random() * 16_000, 1)
                node.switch_count = int(node.hours_h / 11)
                node.motion_per_night = min(800.0, node.count * (20 + rng.random() * 130))
                if self.diary is not None:
                    node.flows = partial(self.diary.burned, device.id)
            case "camera":
                node = Camera(device, link)
                node.disk_free_pct = round(2 + rng.random() * 8, 1)
                node.retention_days = 30 + int(rng.random() * 15)
            case "lift":
                node = Lift(device, link)
            case "gateway":
                node = Gateway(device, link)
                node.csq = 18 + int(rng.random() * 11)
                link.node = node
            case _:
                raise ValueError(f"{device.id}: nothing simulates a {device.kind!r}")
        return node

    def _warm_up(self) -> None:
        """Charging goes on for hours: begin it early, with nobody listening."""
        begin_ms = self.now_ms = self.start_ms - WARM_UP_MS
        for shed in self._sheds():
            self.later(begin_ms, _arrivals, shed)
        for _ in self.messages(self.start_ms):
            raise AssertionError("a connection was up before the start")

    def _begin(self) -> None:
        start, rng = self.start_ms, self.rng
        self.now_ms = start
        for n, link in enumerate(self.links.values()):
            self.later(start + n * RAMP_MS // len(self.links), _connect, link)
        for node in self.nodes.values():
            within = min(node.interval_ms, FIRST_REPORTS_MS)
            first = start + RAMP_MS + 500 + int(rng.random() * within)
            match node:
                case Lamp():
                    lamps.meter(node, start, rng)
                    node.dim_pct, _ = lamps.plan(node, start, self.nights)
                    node.powered = not node.switched or node.dim_pct > 0
                    self.later(first, _lamp, node)
                case Shed():
                    self.later(first, _shed, node)
                    self.later(first + node.interval_ms // 2, _power, node)
                case Gate():
                    self.later(first, _gate, node)
                    week = self.profile.passages_week
                    next_ms = next_arrival_ms(node.per_day, week, start + RAMP_MS, rng)
                    self.later(next_ms, _passage, node)
                case Camera():
                    self.later(first, _camera, node)
                case Lift():
                    self.later(first, _lift, node)
                case Gateway():
                    self.later(first, _gateway, node)
        fate.begin(self)
        for node in self.nodes.values():
            node.seq = 0  # what nobody could hear was never numbered

    def _sheds(self) -> Iterator[Shed]:
        for yard in self.yards.values():
            yield from yard.sheds


def _gate_weight(device: Device) -> float:
    return gates.BARRIER_SHARE if device.attributes.get("form") == "barrier" else 1.0


# -- steps: (fleet, state, now_ms) -> when to come again, or 0


def _connect(fleet: Fleet, link: Link, now_ms: int) -> int:
    if not link.up and now_ms >= link.node.dead_until_ms:
        fleet.connect(link, now_ms)
    return 0


def _comes_back(fleet: Fleet, at: tuple[Link, int], now_ms: int) -> int:
    """Unless something else has taken its connection meanwhile."""
    link, closes = at
    if link.closes == closes:
        _connect(fleet, link, now_ms)
    return 0


def _noticed(fleet: Fleet, lost: tuple[Link, int], now_ms: int) -> int:
    link, closes = lost
    if link.native and not link.up and link.closes == closes:
        message = Message(now_ms, fleet.status_topic(link), native.WILL, True, link.id, WILL)
        fleet._out.append(message)  # a step is a part of the fleet
    return 0


def _replay(fleet: Fleet, link: Link, now_ms: int) -> int:
    if not link.up or not link.replay:
        return 0
    topic, array = link.replay.pop()
    fleet.publish(link, topic, array, now_ms)
    return now_ms + REPLAY_EVERY_MS if link.replay else 0


def _tell(fleet: Fleet, node: Node, now_ms: int) -> int:
    fleet.tell(node, now_ms)
    return 0


def _next(fleet: Fleet, node: Node, now_ms: int) -> int:
    """A device's clock is not exact, and its first interval spreads the fleet out."""
    if node.fresh:
        node.fresh = False
        return now_ms + int(node.interval_ms * (0.1 + 0.9 * fleet.rng.random()))
    jitter_ms = fleet.profile.jitter_ms
    return now_ms + node.interval_ms + int(fleet.rng.random() * 2 * jitter_ms) - jitter_ms


def _gate(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    if now_ms < gate.dead_until_ms:
        return gate.dead_until_ms + 5_000 + int(fleet.rng.random() * 30_000)
    gate.full_left -= 1
    if gate.full_left <= 0:
        gate.full_left = gates.FULL_EVERY
        fleet.tell(gate, now_ms)
    else:
        fleet.report(gate, now_ms, gates.heartbeat(gate, now_ms, fleet.rng))
    return _next(fleet, gate, now_ms)


def _passage(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    rng = fleet.rng
    if now_ms >= gate.dead_until_ms and not gate.jammed:
        try_to_pass(fleet, gate, now_ms)
    return next_arrival_ms(gate.per_day, fleet.profile.passages_week, now_ms, rng)


def try_to_pass(fleet: Fleet, gate: Gate, now_ms: int) -> None:
    """Somebody stands at the gate."""
    tried = gates.passage(gate, now_ms, fleet.rng)
    fleet.event(gate, now_ms, "access", tried.fields)
    if not tried.open_ms or gate.lock_stuck or gate.lock_state == "fault":
        return
    if gate.anomaly in BARRIER_ANOMALIES:
        return  # the arm does not move
    swing(fleet, gate, now_ms, tried.open_ms)


def swing(fleet: Fleet, gate: Gate, now_ms: int, open_ms: int) -> None:
    """Somebody was let in: the door opens, stands open for so long, and closes."""
    gate.granted_ms = now_ms
    told_ms = gates.SWING_MS if gate.tells_swings else gates.CONTACT_MS
    if open_ms >= told_ms and gate.door_state == "closed":
        fleet.later(now_ms + told_ms, _still_open, (gate, now_ms + open_ms))


def _still_open(fleet: Fleet, opened: tuple[Gate, int], now_ms: int) -> int:
    gate, closes_ms = opened
    if gate.door_state != "closed" or gate.anomaly in DOOR_ANOMALIES:
        return 0  # something else keeps it open already
    _door(fleet, gate, now_ms, "open")
    fleet.later(closes_ms, _closes, gate)
    return 0


def _closes(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    if gate.door_state == "open" and gate.anomaly not in DOOR_ANOMALIES:
        _door(fleet, gate, now_ms, "closed")
    return 0


def _door(fleet: Fleet, gate: Gate, now_ms: int, state: str) -> None:
    gate.door_state = state
    values: Values = {"door_state": state}
    if gate.barrier:
        gate.arm_state = values["arm_state"] = state
    elif gate.lock_state != "fault":
        gate.lock_state = values["lock_state"] = "unlocked" if state == "open" else "locked"
    fleet.report(gate, now_ms, values)


def _gateway(fleet: Fleet, gateway: Gateway, now_ms: int) -> int:
    if now_ms < gateway.dead_until_ms:
        return gateway.dead_until_ms + 5_000 + int(fleet.rng.random() * 30_000)
    fleet.report(gateway, now_ms, gateways.heartbeat(gateway, now_ms, fleet.rng))
    return _next(fleet, gateway, now_ms)


def _lift(fleet: Fleet, lift: Lift, now_ms: int) -> int:
    if now_ms < lift.dead_until_ms:
        return lift.dead_until_ms + 5_000 + int(fleet.rng.random() * 30_000)
    fleet.report(lift, now_ms, lifts.heartbeat(lift, now_ms, fleet.rng))
    return _next(fleet, lift, now_ms)


def _camera(fleet: Fleet, camera: Camera, now_ms: int) -> int:
    if now_ms < camera.dead_until_ms:
        return camera.dead_until_ms + 5_000 + int(fleet.rng.random() * 60_000)
    camera.full_left -= 1
    if camera.full_left <= 0:
        camera.full_left = cameras.FULL_EVERY
        fleet.tell(camera, now_ms)
    else:
        fleet.report(camera, now_ms, cameras.report(camera, fleet.rng))
    return _next(fleet, camera, now_ms)


def _lamp(fleet: Fleet, lamp: Lamp, now_ms: int) -> int:
    if now_ms < lamp.dead_until_ms:
        return lamp.dead_until_ms + 5_000 + int(fleet.rng.random() * 60_000)
    rng = fleet.rng
    level, until = lamps.plan(lamp, now_ms, fleet.nights)
    if level != lamp.dim_pct:
        turned = (level > 0) != (lamp.dim_pct > 0)
        lamps.meter(lamp, now_ms, rng)
        lamp.dim_pct = level
        lamps.meter(lamp, now_ms, rng)
        if turned and not _turned(fleet, lamp, now_ms):
            return until  # its supply is off: nothing to say until it is on again
    elif not lamp.powered:
        return until
    if lamp.tasmota:
        if lamp.full_left == 0:  # connected; it measures a little later
            lamp.full_left = 1
            online = tasmota_wire.topic(lamp.device.external_id, "LWT")
            fleet.publish(lamp.link, online, tasmota_wire.ONLINE, now_ms, retained=True)
            fleet.later(now_ms + 10_000, _tell_tasmota, lamp)
        else:
            _tell_tasmota(fleet, lamp, now_ms)
    else:
        lamp.full_left -= 1
        if lamp.full_left <= 0:
            lamp.full_left = lamps.FULL_EVERY
            fleet.tell(lamp, now_ms)
        else:
            fleet.report(lamp, now_ms, lamps.report(lamp, now_ms, rng))
    return min(_next(fleet, lamp, now_ms), until)


def _turned(fleet: Fleet, lamp: Lamp, now_ms: int) -> bool:
    """On or off. False when there is no supply left to say anything with."""
    on = lamp.dim_pct > 0
    lamp.switch_count += 1
    if lamp.switched:
        lamp.powered = on
        if on:
            fleet.boot(lamp, now_ms)
            lamp.full_left = 0
            lamp.motion_count = 0
            lamp.supply_loss_count += 1
    if lamp.tasmota:
        if lamp.switched and not on:
            topic = tasmota_wire.topic(lamp.device.external_id, "LWT")
            fleet.publish(lamp.link, topic, tasmota_wire.OFFLINE, now_ms, retained=True)
    elif lamp.powered:
        fleet.event(lamp, now_ms, "switched", {"on": on, "by": "schedule"})
    return lamp.powered


def _tell_tasmota(fleet: Fleet, lamp: Lamp, now_ms: int) -> int:
    if now_ms < lamp.dead_until_ms or not lamp.powered:
        return 0
    rng = fleet.rng
    name = lamp.device.external_id
    watts = lamps.meter(lamp, now_ms, rng)
    volts = lamp.base_v + (rng.random() - 0.5) * 3
    sensor = tasmota_wire.sensor(
        now_ms,
        since_ms=EPOCH_MS,
        total_kwh=lamp.energy_kwh,
        yesterday_kwh=lamp.yesterday_kwh,
        today_kwh=lamp.energy_kwh - lamp.midnight_kwh,
        power_w=watts,
        power_factor=lamps.POWER_FACTOR if watts else 0.0,
        voltage_v=volts,
        current_a=watts / (volts * lamps.POWER_FACTOR),
    )
    state = tasmota_wire.state(
        now_ms,
        uptime_s=(now_ms - lamp.booted_ms) // 1000,
        on=lamp.dim_pct > 0,
        signal_dbm=lamp.rssi_dbm,
    )
    fleet.publish(lamp.link, tasmota_wire.topic(name, "STATE"), state, now_ms)
    fleet.publish(lamp.link, tasmota_wire.topic(name, "SENSOR"), sensor, now_ms)
    return 0


def _shed(fleet: Fleet, shed: Shed, now_ms: int) -> int:
    if now_ms < shed.dead_until_ms:
        return shed.dead_until_ms + 5_000 + int(fleet.rng.random() * 30_000)
    shed.full_left -= 1
    if shed.juy:
        charging.heartbeat(shed, now_ms, fleet.rng)
        fleet.frame(shed, now_ms, juy.HEARTBEAT, _juy_heartbeat(shed))
    elif shed.full_left <= 0:
        shed.full_left = 15
        fleet.tell(shed, now_ms)
    else:
        values = charging.heartbeat(shed, now_ms, fleet.rng)
        fleet.report(shed, now_ms, values, charging.port_states(shed))
    jitter_ms = fleet.profile.jitter_ms
    return now_ms + shed.interval_ms + int(fleet.rng.random() * 2 * jitter_ms) - jitter_ms


def _power(fleet: Fleet, shed: Shed, now_ms: int) -> int:
    if now_ms < shed.dead_until_ms:
        return shed.dead_until_ms + 35_000 + int(fleet.rng.random() * 30_000)
    if shed.juy:
        frame = charging.juy_power(shed, now_ms, fleet.rng)
        if frame is not None:
            fleet.frame(shed, now_ms, juy.POWER, frame)
    else:
        values, ports = charging.power(shed, now_ms, fleet.rng)
        if ports:
            fleet.report(shed, now_ms, values, ports)
    return now_ms + shed.interval_ms


def _arrivals(fleet: Fleet, shed: Shed, now_ms: int) -> int:
    """Somebody wants to charge. Entered once at the very beginning, when nobody does yet."""
    rng = fleet.rng
    per_day = len(shed.ports) * charging.ARRIVALS_A_PORT * shed.demand * fleet.profile.arrivals
    if now_ms > fleet.start_ms - WARM_UP_MS and now_ms >= shed.dead_until_ms:
        free = [
            port
            for port in shed.ports
            if port.status == "idle" and port.broken is None and not port.shunned
        ]
        if free and shed.leakage_state == "ok" and not shed.smoke:
            fleet.plug_in(shed, free[int(rng.random() * len(free))], now_ms)
    return next_arrival_ms(per_day, fleet.profile.arrivals_week, now_ms, rng)


def _session_over(fleet: Fleet, planned: tuple[Shed, Port, charging.Session], now_ms: int) -> int:
    shed, port, session = planned
    if port.session is not session:
        return 0  # something ended it before
    reason = session.reason
    fleet.unplug(shed, port, now_ms, reason)
    kind = SAFETY_STOPS.get(reason)
    if kind is not None and now_ms >= fleet.start_ms:
        detail: Detail = {"compound": shed.device.compound, "order": str(session.order)}
        fleet.fact(kind, port.id, now_ms, now_ms, detail)
    return 0


def _taken_away(fleet: Fleet, full: tuple[Shed, Port], now_ms: int) -> int:
    shed, port = full
    if port.status == "full":
        port.status = "idle"
        fleet.report(shed, now_ms, {}, {str(port.no): {"port_status": port.shown()}})
    return 0


def _cooled(fleet: Fleet, hot: tuple[Shed, Port], now_ms: int) -> int:
    shed, port = hot
    temperature: Values = {"port_temp_c": round(36 + fleet.rng.random() * 8 + port.hot_c, 1)}
    fleet.report(shed, now_ms, {}, {str(port.no): temperature})
    return 0


def _repeat(fleet: Fleet, shed: Shed, now_ms: int, command: int, payload: bytes) -> None:
    if now_ms >= fleet.start_ms:
        for n in range(1, JUY_REPEATS + 1):
            fleet.later(now_ms + n * JUY_REPEAT_MS, _again, (shed, command, payload))


def _again(fleet: Fleet, sent: tuple[Shed, int, bytes], now_ms: int) -> int:
    shed, command, payload = sent
    fleet.frame(shed, now_ms, command, payload)
    return 0


def _juy_heartbeat(shed: Shed) -> bytes:
    states = [port.shown() for port in shed.ports]
    return juy.heartbeat(shed.csq, shed.board_temp_c + shed.hot_c, states)


def _juy_login(shed: Shed, *, powered_on: bool) -> bytes:
    return juy.login(
        shed.imei,
        len(shed.ports),
        "JYU_B_Q800M_1_0",
        "JYU_B_COMM_V1.7",
        f"89860{shed.imei}",
        shed.csq,
        powered_on=powered_on,
    )
