"""Who is befallen by what, and when: drawn from rates, or as a scenario has it."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

from simulators.anomalies import ANOMALIES, DISTRICT, Anomaly
from simulators.cameras import Camera
from simulators.charging import Shed
from simulators.gates import Gate
from simulators.gateways import Gateway
from simulators.lamps import Lamp
from simulators.lifts import Lift
from simulators.nodes import Link, Node

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail

SHORTEST_MS = 45_000


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


def begin(fleet: Fleet) -> None:
    """Have things befall a fleet from now on; what stands for long is there already."""
    fate = _Fate(fleet)
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


def _strike(fleet: Fleet, fate: _Fate, row: Anomaly, now_ms: int) -> None:
    """Let it befall somebody whom it can; with nobody found in a few tries, nobody."""
    subjects, rng = fate.subjects[row.of], fleet.fate
    for _ in range(12):
        subject = subjects[int(rng.random() * len(subjects))]
        owner, scope = _owner(subject), _scope(subject)
        if _is_spared(subject) or not row.able(subject):
            continue
        end_ms = now_ms
        mean = fleet.rates.minutes[row.kind]
        if mean:
            # log-normal around the mean: most are short, some last
            draw = math.exp(row.spread * rng.gauss(0.0, 1.0) - row.spread**2 / 2)
            end_ms += min(6 * 3_600_000, max(SHORTEST_MS, int(mean * draw * 60_000)))
        if hasattr(owner, "anomaly") and mean:
            owner.anomaly = row.kind
        detail = row.begin(fleet, subject, now_ms, end_ms)
        fleet.fact(row.kind, scope, now_ms, end_ms, {**_about(subject), **detail})
        if mean:
            fleet.later(end_ms, _end, (row, subject, detail))
        return


def _end(fleet: Fleet, ending: tuple[Anomaly, Any, Detail], now_ms: int) -> int:
    row, subject, detail = ending
    owner = _owner(subject)
    row.end(fleet, subject, now_ms, detail)
    if hasattr(owner, "anomaly"):
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
        "link": [link for link in fleet.links.values() if link.native],
        "node": nodes,
    }


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
    return subject.anomaly is not None or getattr(subject, "dead_until_ms", 0) > 0


def _about(subject: Any) -> dict[str, str]:
    if isinstance(subject, tuple):
        return {"of": "port", "compound": subject[0].device.compound}
    if isinstance(subject, Node):
        return {"of": subject.device.kind, "compound": subject.device.compound}
    if isinstance(subject, Link):
        return {"of": subject.node.device.kind, "compound": subject.node.device.compound}
    return {"of": "compound"}


def _poisson(mean: float, rng: Random) -> int:
    limit, n, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        n += 1
        product *= rng.random()
    return n
