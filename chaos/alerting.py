"""`courtyard alerts` is killed while it tells people of faults.

Faults are raised, and half of them end, while the process is killed at seeded moments: anywhere,
and exactly between sending a message and writing that down. Robots on this machine keep what came.

1. every event is told to each target to which a route leads, in a message that was accepted
2. what was sent again came under the same key, and no more often than there were kills
3. of no fault and target does the end come before its raise
4. a decision not to tell is on record
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select, update

from alerts.channels.webhook import new_secret
from chaos.checker import Verdict
from chaos.rig import ROOT, a_directory, await_
from chaos.run import Context, Result
from courtyard.clock import now_ms
from devices.alerts import ChannelName, DeliveryState, Route, Target
from devices.faults import RETOLD
from devices.store.database import open_database, reading, upgrade, writing
from devices.store.schema import deliveries, fault_events, faults
from devices.store.targets import add_route, add_target
from simulators.robots import Arrived, Robots
from tests.api.cast import a_district, a_fault, a_fault_event
from tests.brokers import free_port

TARGETS = 3
SAFETY_SHARE, HELD_SHARE, ENDS_SHARE = 0.1, 0.1, 0.5
BETWEEN = 0.5  # so many of the kills come between sending and writing it down
ALL_ARRIVE_S = 120.0
STARTS_WITHIN_S, DIES_WITHIN_S = 20.0, 5.0


@dataclass
class _Told:
    """What a target must have been told: (fault, reason) of each event."""

    events: list[tuple[str, str]]
    held: list[str]


def alert_kills(context: Context) -> Result:
    """kill -9 of alerts while it delivers."""
    started_s = time.monotonic()
    count = int(context.figure("messages", 120, 400, 4_000))
    kills = int(context.figure("kills", 5, 12, 100))
    rate = context.figure("rate", 12, 12, 16)
    directory = a_directory(context.directory, "alert-kills", context.seed)
    rng = random.Random(f"{context.seed}|alert-kills")
    engine = open_database(f"sqlite:///{directory / 'courtyard.db'}")
    robots = Robots(now_ms, kept=100 * count)
    robots.start()
    verdict = Verdict()
    try:
        upgrade(engine)
        _people(engine, robots)
        writer = _Writer(engine, rng, count, rate)
        writer.start()
        for _ in range(kills):
            between = rng.random() < BETWEEN
            before = len(robots.attempts)
            process = _start(directory, f"A4:kill@{rng.randrange(1, 4)}" if between else "")
            until_s = time.monotonic() + STARTS_WITHIN_S
            while len(robots.attempts) == before and time.monotonic() < until_s:
                time.sleep(0.02)  # it starts, and there is something to tell
            _end(process, DIES_WITHIN_S if between else rng.uniform(0, 1))
        writer.join()
        process = _start(directory, "")
        try:
            await_(lambda: _pending(engine) == 0, "everything is delivered", ALL_ARRIVE_S)
        finally:
            _end(process, 0)
        _judge(verdict, engine, writer.told, robots.attempts, kills)
    finally:
        robots.stop()
        engine.dispose()
    accepted = [one for one in robots.attempts if one.accepted]
    again = sum(bool(one.repeats) for one in accepted)
    figures = {
        "events": f"{len(writer.told.events):,} to {TARGETS} targets",
        "kills": str(kills),
        "messages": f"{len(accepted):,}, {again} of them again",
    }
    return Result(
        "alert-kills",
        context.size,
        context.seed,
        verdict,
        time.monotonic() - started_s,
        figures,
        verdict.problems,
        directory,
    )


class _Writer(threading.Thread):
    """Raises faults and ends some of them, as the judge does."""

    def __init__(self, engine: Engine, rng: random.Random, count: int, rate: float) -> None:
        super().__init__(name="writer", daemon=True)
        self._engine = engine
        self._rng = rng
        self._count = count
        self._every_s = 1 / rate
        self.told = _Told([], [])

    def run(self) -> None:
        standing: list[str] = []
        for n in range(self._count):
            if standing and self._rng.random() < ENDS_SHARE / (1 + ENDS_SHARE):
                self._over(standing.pop(self._rng.randrange(len(standing))))
            else:
                self._raise(f"fault{n:06d}", standing)
            time.sleep(self._every_s)

    def _raise(self, fault: str, standing: list[str]) -> None:
        is_safety = self._rng.random() < SAFETY_SHARE
        is_held = self._rng.random() < HELD_SHARE
        at_ms = now_ms()
        with writing(self._engine) as connection:
            a_fault(
                connection,
                fault,
                subject=fault,
                opened_at_ms=at_ms,
                since_ms=at_ms,
                safety=is_safety,
                severity="P1" if is_safety else "P3",
            )
            if is_held:
                connection.execute(
                    update(fault_events)
                    .where(fault_events.c.fault == fault)
                    .values(held="maintenance")
                )
        if is_held:
            self.told.held.append(fault)
        else:
            self.told.events.append((fault, "raised"))
            standing.append(fault)

    def _over(self, fault: str) -> None:
        at_ms = now_ms()
        with writing(self._engine) as connection:
            is_safety = connection.execute(
                select(faults.c.safety).where(faults.c.id == fault)
            ).scalar_one()
            state = "cleared" if is_safety else "closed"
            connection.execute(
                update(faults).where(faults.c.id == fault).values(state=state, cleared_at_ms=at_ms)
            )
            a_fault_event(connection, fault, was="open", becomes=state, reason="over", at_ms=at_ms)
        self.told.events.append((fault, "over"))


def _people(engine: Engine, robots: Robots) -> None:
    with writing(engine) as connection:
        a_district(connection)
        connection.execute(update(fault_events).values(routed_at_ms=1))
        for n in range(TARGETS):
            secret = new_secret()
            url = robots.webhook(f"receiver {n}", f"hook-{n}", secret)
            name = f"target-{n}"
            add_target(connection, Target(name, name, ChannelName.WEBHOOK, url, (secret,)))
            add_route(connection, Route(f"route-{n}", name))


def _start(directory: Path, failpoints: str) -> subprocess.Popen[bytes]:
    environ = {name: v for name, v in os.environ.items() if not name.startswith("COURTYARD_")}
    environ |= {
        "COURTYARD_DATA_DIR": str(directory),
        "COURTYARD_METRICS_PORT": str(free_port()),
        "COURTYARD_ALERTS_ALLOW": "127.0.0.1",
        "COURTYARD_LOG": "json",
        "PYTHONPATH": str(ROOT),
    }
    if failpoints:
        environ["COURTYARD_FAILPOINTS"] = failpoints
    with (directory / "alerts.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "courtyard", "alerts"], env=environ, stdout=log, stderr=log
        )


def _end(process: subprocess.Popen[bytes], after_s: float) -> None:
    """kill -9, if it has not died by itself within so long."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def _pending(engine: Engine) -> int:
    """Events that are not decided on, and deliveries that have not ended."""
    with reading(engine) as connection:
        waiting = select(func.count()).where(deliveries.c.state == DeliveryState.PENDING.value)
        unrouted = select(func.count()).where(fault_events.c.routed_at_ms.is_(None))
        return int(
            connection.execute(waiting).scalar_one() + connection.execute(unrouted).scalar_one()
        )


def _judge(
    verdict: Verdict, engine: Engine, told: _Told, arrived: tuple[Arrived, ...], kills: int
) -> None:
    accepted = [one for one in arrived if one.accepted]
    verdict.note("requests that were refused", [one.title for one in arrived if not one.accepted])
    wanted = {(fault, reason) for fault, reason in told.events}
    for n in range(TARGETS):
        mine = [one for one in accepted if one.robot == f"receiver {n}"]
        heard = [
            (one.key, event) for one in mine for event in _events(one) if event[1] not in RETOLD
        ]  # nobody answers here, so what lasts is told again
        missing = wanted - {event for _, event in heard}
        keys: dict[tuple[str, str], set[str]] = {}
        for key, event in heard:
            keys.setdefault(event, set()).add(key)
        verdict.lost += len(missing)
        verdict.note(f"not told to target {n}", missing)
        verdict.note(f"told to target {n} that nobody was to be told", keys.keys() - wanted)
        twice = {event: found for event, found in keys.items() if len(found) > 1}
        verdict.double += len(twice)
        verdict.note(f"told to target {n} under two keys", list(twice.items()))
        first: dict[tuple[str, str], int] = {}
        for place, (_, event) in enumerate(heard):
            first.setdefault(event, place)
        early = [
            fault
            for fault, reason in wanted
            if reason == "over" and first.get((fault, "over"), 0) < first.get((fault, "raised"), 0)
        ]
        verdict.note(f"ends told to target {n} before their raise", early)
        again = sum(times - 1 for times in Counter(one.key for one in mine).values())
        if again > kills:
            verdict.double += again - kills
            verdict.problems.append(f"{again} messages again to target {n}, after {kills} kills")
    with reading(engine) as connection:
        kept = set(
            connection.scalars(
                select(deliveries.c.fault).where(deliveries.c.reason == "maintenance")
            )
        )
    verdict.lost += len(set(told.held) - kept)
    verdict.note("held, and not on record", set(told.held) - kept)


def _events(one: Arrived) -> list[tuple[str, str]]:
    """(fault, reason) of what a CloudEvent tells; a raise whose end is told with it is both.

    Without our own troubles: with kills for minutes, that nobody was told for so long is one.
    """
    assert isinstance(one.payload, dict)
    data = one.payload["data"]
    return [
        (said["id"], reason)
        for said in data.get("faults", [data])
        if not said["code"].startswith("SYS_")
        for reason in (
            (said["event"], "over")
            if said["is_over"] and said["event"] not in RETOLD
            else (said["event"],)
        )
    ]
