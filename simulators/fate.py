"""Who is befallen by what, and when: drawn from rates, or as a scenario has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from simulators.anomalies import ANOMALIES, BY_KIND, DISTRICT, Anomaly
from simulators.anomalies.charging import counts_on_its_charge
from simulators.cameras import Camera
from simulators.charging import Shed
from simulators.gates import Gate
from simulators.gateways import Gateway
from simulators.lamps import Circuit, Lamp
from simulators.lifts import Lift
from simulators.nodes import Link, Node

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail

SHORTEST_MS = 45_000
ASKED_AGAIN_MS = 60_000
WAITED_FOR_MS = 30 * 60_000  # so long somebody is looked for whom an injection can befall


class _Fate:
    """Draws what befalls whom, for one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self.subjects = _subjects(fleet)
        self.rows: list[Anomaly] = []
        self.edges: list[float] = []
        total = 0.0
        for row in ANOMALIES:
            rate = fleet.rates.per_h.get(row.kind, 0.0)
            subjects = self.subjects[row.of]
            if rate <= 0 or not subjects:
                continue
            share = len(subjects) / DISTRICT[row.of]
            total += rate * min(1.0, max(share, fleet.rates.least_share))
            self.rows.append(row)
            self.edges.append(total)
        self.per_h = total

    def row(self, at: float) -> Anomaly:
        at *= self.per_h
        return next(row for row, edge in zip(self.rows, self.edges, strict=True) if at < edge)

    def rate_per_h(self, row: Anomaly) -> float:
        n = self.rows.index(row)
        return self.edges[n] - (self.edges[n - 1] if n else 0.0)


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing that is to befall somebody. of, compound: whom, where `device` names nobody.

    device: the id of a device, a compound or a supply circuit; "" for anybody whom it can befall.
    at_ms: UTC epoch ms; wanted: what the anomaly takes.
    """

    kind: str
    at_ms: int
    lasts_ms: int
    device: str = ""
    compound: str = ""
    wanted: Mapping[str, float] = field(default_factory=dict)


def begin(fleet: Fleet) -> None:
    """Have things befall a fleet from now on; what stands for long is there already."""
    fate = _Fate(fleet)
    for injection in fleet.injections:
        if injection.at_ms > fleet.start_ms:
            fleet.later(injection.at_ms, _inject, (fate, injection))
        else:
            _inject(fleet, (fate, injection), fleet.start_ms)
    if not fate.rows:
        return
    for row in fate.rows:
        if row.standing:
            mean = fate.rate_per_h(row) * fleet.rates.minutes[row.kind] / 60
            for _ in range(_poisson(mean, fleet.fate)):
                _strike(fleet, fate, row, fleet.start_ms)
    fleet.later(_next_strike(fleet, fate, fleet.start_ms), _come, fate)


def _come(fleet: Fleet, fate: _Fate, now_ms: int) -> int:
    _strike(fleet, fate, fate.row(fleet.fate.random()), now_ms)
    return _next_strike(fleet, fate, now_ms)


def _next_strike(fleet: Fleet, fate: _Fate, now_ms: int) -> int:
    return now_ms + 1 + int(-math.log(1 - fleet.fate.random()) / fate.per_h * 3_600_000)


def _inject(fleet: Fleet, at: tuple[_Fate, Injection], now_ms: int) -> int:
    """As soon as somebody is found; until then, and where nobody is found in time, it is noted."""
    fate, injection = at
    asked_before = now_ms > max(injection.at_ms, fleet.start_ms)
    row = BY_KIND[injection.kind]
    end_ms = now_ms + (injection.lasts_ms if row.minutes else 0)
    subjects = [s for s in fate.subjects[row.of] if _is_meant(s, injection)]
    first = int(fleet.fate.random() * len(subjects)) if subjects else 0
    for subject in (*subjects[first:], *subjects[:first]):
        if _is_spared(subject) or not row.able(subject):
            continue
        if row.fits is None or row.fits(fleet, subject, now_ms, end_ms):
            _befalls(fleet, row, subject, now_ms, end_ms, injection.wanted)
            if asked_before:
                fleet.not_injected.remove(injection)
            return 0
    if not asked_before:
        fleet.not_injected.append(injection)
    return now_ms + ASKED_AGAIN_MS if now_ms - injection.at_ms < WAITED_FOR_MS else 0


def _is_meant(subject: Any, injection: Injection) -> bool:
    if injection.device:
        return _scope(subject) == injection.device
    if not injection.compound:
        return True
    if isinstance(subject, tuple):
        subject = subject[0]
    if isinstance(subject, Circuit):
        subject = subject.lamps[0]
    if isinstance(subject, Link):
        subject = subject.node
    return injection.compound == (
        subject.device.compound if isinstance(subject, Node) else _scope(subject)
    )


def _strike(fleet: Fleet, fate: _Fate, row: Anomaly, now_ms: int) -> None:
    """Let it befall somebody whom it can; with nobody found in a few tries, nobody."""
    subjects, rng = fate.subjects[row.of], fleet.fate
    for _ in range(12):
        subject = subjects[int(rng.random() * len(subjects))]
        if _is_spared(subject) or not row.able(subject):
            continue
        end_ms = now_ms
        mean = fleet.rates.minutes[row.kind]
        if mean:
            # log-normal around the mean: most are short, some last
            draw = math.exp(row.spread * rng.gauss(0.0, 1.0) - row.spread**2 / 2)
            end_ms += min(6 * 3_600_000, max(SHORTEST_MS, int(mean * draw * 60_000)))
        if row.fits is not None and not row.fits(fleet, subject, now_ms, end_ms):
            continue
        _befalls(fleet, row, subject, now_ms, end_ms, {})
        return


def _befalls(
    fleet: Fleet,
    row: Anomaly,
    subject: Any,
    now_ms: int,
    end_ms: int,
    wanted: Mapping[str, float],
) -> None:
    owner = _owner(subject)
    if row.occupies and end_ms > now_ms and hasattr(owner, "anomaly"):
        owner.anomaly = row.kind
    detail = row.begin(fleet, subject, now_ms, end_ms, **wanted)
    fleet.fact(row.kind, _scope(subject), now_ms, end_ms, {**_about(subject), **detail})
    if end_ms > now_ms:
        fleet.later(end_ms, _end, (row, subject, detail))


def _end(fleet: Fleet, ending: tuple[Anomaly, Any, Detail], now_ms: int) -> int:
    row, subject, detail = ending
    owner = _owner(subject)
    row.end(fleet, subject, now_ms, detail)
    if row.occupies and hasattr(owner, "anomaly"):
        owner.anomaly = None
    return 0


def _subjects(fleet: Fleet) -> dict[str, list[Any]]:
    nodes = list(fleet.nodes.values())
    sheds = [node for node in nodes if isinstance(node, Shed)]
    return {
        "gate": [node for node in nodes if isinstance(node, Gate)],
        "shed": sheds,
        "port": [(shed, port) for shed in sheds for port in shed.ports],
        "lamp": [node for node in nodes if isinstance(node, Lamp)],
        "camera": [node for node in nodes if isinstance(node, Camera)],
        "lift": [node for node in nodes if isinstance(node, Lift)],
        "gateway": [node for node in nodes if isinstance(node, Gateway)],
        "compound": list(fleet.yards.values()),
        "circuit": _circuits(nodes),
        "link": [link for link in fleet.links.values() if link.native],
        "node": nodes,
    }


def _circuits(nodes: list[Node]) -> list[Circuit]:
    """The supplies that several lamps with controllers of their own hang on."""
    found: dict[str, Circuit] = {}
    for node in nodes:
        name = node.device.circuit
        if isinstance(node, Lamp) and not node.circuit and name is not None:
            found.setdefault(name, Circuit(name)).lamps.append(node)
    return list(found.values())


def _owner(subject: Any) -> Any:
    return subject[1] if isinstance(subject, tuple) else subject


def _scope(subject: Any) -> str:
    return str(_owner(subject).id)


def _is_spared(subject: Any) -> bool:
    """Something befalls it already, or it is dead, or its compound has no power."""
    if isinstance(subject, tuple):
        shed, port = subject
        return port.anomaly is not None or shed.dead_until_ms > 0 or not shed.link.up
    if isinstance(subject, Link):
        return subject.repeats > 0
    if isinstance(subject, Shed) and counts_on_its_charge(subject):
        return True
    return subject.anomaly is not None or getattr(subject, "dead_until_ms", 0) > 0


def _about(subject: Any) -> dict[str, str]:
    if isinstance(subject, tuple):
        return {"of": "port", "compound": subject[0].device.compound}
    if isinstance(subject, Node):
        return {"of": subject.device.kind, "compound": subject.device.compound}
    if isinstance(subject, Link):
        return {"of": subject.node.device.kind, "compound": subject.node.device.compound}
    if isinstance(subject, Circuit):
        return {"of": "circuit", "compound": subject.lamps[0].device.compound}
    return {"of": "compound"}


def _poisson(mean: float, rng: Random) -> int:
    limit, n, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        n += 1
        product *= rng.random()
    return n
