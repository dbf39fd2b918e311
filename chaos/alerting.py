"""kill -9 of what judges and of what tells people, while devices have faults.

Devices send over MQTT what raises and ends faults; a whole `courtyard ingest` judges it, and
`courtyard alerts` tells people, with levels to climb and reminders. Each is killed so many times in
one run: at seeded moments, and at crash points between two steps that belong together. Receivers on
this machine keep what came.

1. of messages, faults, sessions and figures all that chaos/checker.py asks, with the undisturbed
   reference: nothing lost, nothing twice, balance 0
2. of what people were told all that chaos/told.py asks, with what devices sent
3. of what was held by maintenance the decision not to tell is on record
"""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, func, select

from alerts.channels.webhook import new_secret
from chaos.checker import Verdict, check, judged_to, read_journal
from chaos.district import FIRMS
from chaos.rig import Process, await_
from chaos.run import Context, Result, Run, a_run
from chaos.told import Asked, Name, Receiver, Story, check_told, stories
from courtyard.clock import now_ms
from devices.alerts import ChannelName, DeliveryState, Route, Target
from devices.escalation import Policy, Step, To
from devices.rules import Severity
from devices.store.database import open_database, reading, writing
from devices.store.escalations import change_policy
from devices.store.schema import calls, deliveries, fault_events, faults
from devices.store.targets import add_route, add_target
from simulators.robots import Robots
from tests.brokers import HOST, free_port

AT_A_POINT = 0.5  # so many of the kills come at a crash point
POINTS = {
    "alerts": ("A1", "A2", "A4", "A6"),
    "ingest": ("R2", "R3", "R6", "R7", "J1", "J2", "J3", "J4"),
}
POINT_WITHIN_S, STARTS_WITHIN_S, ALL_ARRIVE_S = 5.0, 20.0, 300.0
MAINTAINED = "court-2"
REMINDERS = 3
KEPT = 500_000  # requests that the receivers remember


def alert_kills(context: Context) -> Result:
    """kill -9 of alerts and of ingest while faults come and go and people are told."""
    with a_run("alert-kills", context) as run:
        kills = int(context.figure("kills", 4, 12, 100))
        rate = context.figure("rate", 15, 20, 30)
        count = int(context.figure("messages", 600, 2_400, 16_000))
        plan_of = {"devices": max(30, count // 60), "troubles": True}
        climb_s = {"small": 5, "medium": 10, "full": 20}[context.size]
        robots = Robots(now_ms, kept=KEPT)
        robots.start()
        run.enter(_Stopping(robots))
        rig = run.prepare(
            run.a_plan(count, rate, **plan_of),
            run.broker().port,
            more={"COURTYARD_ALERTS_ALLOW": HOST},
        )
        engine = open_database(rig.settings.database)
        try:
            asked = _people(engine, robots, climb_s)
            rig.let(0)
            run.watch_balance()
            _maintain(run)
            victims = _Victims(run, robots)
            await_(lambda: rig.head()[0] > 0, "receive writes its journal", 60)
            run.replan(run.a_plan(count, rate, **plan_of))
            publishing = rig.publish()
            turns = ["alerts", "ingest"] * kills
            run.rng.shuffle(turns)
            share = count / (len(turns) + 1)
            for turn, part in enumerate(turns, 1):
                rig.let(int(turn * share))
                victims.kill(part, run.rng.uniform(0, 2 * share / rate))
            rig.let(count, and_end=True)
            victims.disarm()
            publishing.finish(count / rate + 300)
            rig.await_drained(120 + count / 100)
            await_(lambda: _left(engine) == 0, "all is told, and told again", ALL_ARRIVE_S)
            victims.end()
            verdict = _verdict(run, engine, robots, asked, victims.kills["alerts"])
        finally:
            engine.dispose()
        run.figures["kills"] = victims.said()
        return run.result(verdict)


class _Stopping:
    """The receivers, as long as the run."""

    def __init__(self, robots: Robots) -> None:
        self._robots = robots

    def __enter__(self) -> Robots:
        return self._robots

    def __exit__(self, *_: object) -> None:
        self._robots.stop()


@dataclass
class _Victim:
    """One that runs. point: the crash point that it was started with, or "". done: how far things
    were when it was started."""

    process: Process
    point: str
    done: int


class _Victims:
    """ingest and alerts, which are killed in turn and started again at once."""

    def __init__(self, run: Run, robots: Robots) -> None:
        self.kills = dict.fromkeys(POINTS, 0)
        self._at_points = 0
        self._run = run
        self._robots = robots
        self._owed = dict.fromkeys(POINTS, 0)  # deaths at crash points, before the turn came
        self._running = {part: self._start(part) for part in POINTS}

    def kill(self, part: str, after_s: float) -> None:
        """Kill it, so long after it has done something since it was started; one that was started
        with a crash point dies there, if it comes to it."""
        if self._owed[part]:
            self._owed[part] -= 1
            return
        victim = self._running[part]
        self._await(lambda: self._done(part) > victim.done, STARTS_WITHIN_S)
        self._await(lambda: bool(self._owed[part]), POINT_WITHIN_S if victim.point else after_s)
        if self._owed[part]:
            self._owed[part] -= 1
            return
        self._kill(part, may_be_armed=True)

    def disarm(self) -> None:
        """What was started with a crash point is killed at last, and goes on without one."""
        self._look()
        for part, victim in list(self._running.items()):
            if victim.point:
                self._kill(part, may_be_armed=False)

    def said(self) -> str:
        """How often each was killed."""
        of_each = ", ".join(f"{count} of {part}" for part, count in self.kills.items())
        return f"{of_each}, {self._at_points} of them at a crash point"

    def end(self) -> None:
        """SIGTERM, and none of them may have died of anything else."""
        self._look()
        for victim in self._running.values():
            victim.process.end(20)

    def _kill(self, part: str, *, may_be_armed: bool) -> None:
        victim = self._running[part]
        if victim.point:
            victim.process.was_ended = True  # it may have come to its point in this moment
        victim.process.kill()
        self.kills[part] += 1
        self._running[part] = self._start(part, may_be_armed=may_be_armed)

    def _await(self, condition: Callable[[], bool], within_s: float) -> None:
        over_s = time.monotonic() + within_s
        while not condition() and time.monotonic() < over_s:
            self._look()
            time.sleep(0.02)

    def _look(self) -> None:
        """Start again what has died at its crash point."""
        for part, victim in list(self._running.items()):
            if victim.point and not victim.process.is_alive:
                self._owed[part] += 1
                self._at_points += 1
                self._kill(part, may_be_armed=True)

    def _start(self, part: str, *, may_be_armed: bool = False) -> _Victim:
        changes, point, rng = {}, "", self._run.rng
        if may_be_armed and rng.random() < AT_A_POINT:
            point = f"{rng.choice(POINTS[part])}:kill@{rng.randrange(1, 6)}"
            changes["COURTYARD_FAILPOINTS"] = point
        if part == "alerts":
            changes["COURTYARD_METRICS_PORT"] = str(free_port())
        return _Victim(self._run.rig.start(part, **changes), point, self._done(part))

    def _done(self, part: str) -> int:
        return len(self._robots.attempts) if part == "alerts" else self._run.rig.head()[1]


# Who is told


def _people(engine: Engine, robots: Robots, climb_s: int) -> Asked:
    """Receivers, routes, levels and reminders; what they ask for, in words of the checker."""
    firm = FIRMS[0]
    routes: dict[str, Route | None] = {
        "all": Route("to-all", "all"),
        "firm": Route("to-firm", "firm", firm=firm),
        "serious": Route("to-serious", "serious", severities=(Severity.P1,)),
        "sheds": Route("to-sheds", "sheds", kind="shed"),
        "chief": None,
    }
    with writing(engine) as connection:
        for name, route in routes.items():
            secret = new_secret()
            url = robots.webhook(name, f"hook-{name}", secret)
            whose = firm if name == "firm" else None
            add_target(
                connection, Target(name, name, ChannelName.WEBHOOK, url, (secret,), firm=whose)
            )
            if route is not None:
                add_route(connection, route)
        chief, district = Step(climb_s, To.TARGET, "chief"), Step(2 * climb_s, To.DISTRICT)
        for severity in Severity:
            steps = {Severity.P1: (chief, district), Severity.P2: (chief,)}.get(severity, ())
            policy = Policy(
                severity, steps, remind_every_s=climb_s, reminders=REMINDERS, changed_by="chaos"
            )
            change_policy(connection, policy, now_ms())
    return Asked(
        receivers=(
            Receiver("all", lambda _: True),
            Receiver("firm", lambda story: story.firm == firm),
            Receiver("serious", lambda story: story.about.severity == "P1"),
            Receiver("sheds", lambda story: story.about.kind == "shed"),
            Receiver("chief", lambda _: True, level=1),
        ),
        levels={
            "P1": ((climb_s, ("chief",)), (2 * climb_s, ("all", "serious", "sheds"))),
            "P2": ((climb_s, ("chief",)),),
            "P3": (),
        },
        remind_every_s=climb_s,
        reminders=REMINDERS,
        maintained=MAINTAINED,
    )


def _maintain(run: Run) -> None:
    """A compound is under maintenance, for as long as the run lasts."""
    window = {
        "compound": MAINTAINED,
        "ends_at": datetime.fromtimestamp(now_ms() / 1000 + 86_400, UTC).isoformat(),
        "reason": "chaos",
        "owner": "chaos",
    }
    request = urllib.request.Request(
        f"http://{HOST}:{run.rig.api_port}/v1/maintenance",
        json.dumps(window).encode(),
        {"Authorization": f"Bearer {run.rig.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30):
        pass


# What came of it


def _left(engine: Engine) -> int:
    """Events that are not decided on, deliveries that have not ended, faults that may be told
    again."""
    with reading(engine) as connection:
        waiting = select(func.count()).where(deliveries.c.state == DeliveryState.PENDING.value)
        unrouted = select(func.count()).where(fault_events.c.routed_at_ms.is_(None))
        soon_ms = now_ms() + ALL_ARRIVE_S * 1000
        climbing = select(func.count()).where(calls.c.next_at_ms < soon_ms)
        return sum(connection.execute(one).scalar_one() for one in (waiting, unrouted, climbing))


def _verdict(run: Run, engine: Engine, robots: Robots, asked: Asked, kills: int) -> Verdict:
    if run.watch is not None:
        run.watch.stop()
        run.figures["balance asked"] = f"{run.watch.asked} times"
    run.problems += run.rig.ended_by_themselves()
    verdict = check(run.rig, watched=run.watch.wrong if run.watch is not None else ())
    received = read_journal(run.rig.data / "journal.db", judged_to(engine)).copies.keys()
    wanted = stories(run.rig.plan, received)
    told = check_told(verdict, wanted, robots.attempts, asked, kills)
    _check_held(verdict, engine, wanted)
    again = told.pop("again")
    happened = sum(len(story.steps) for story in wanted.values())
    run.figures["faults"] = f"{len(wanted):,}, which came or went {happened:,} times"
    run.figures["told"] = f"{told.total():,} lines to {len(asked.receivers)} receivers" + "".join(
        f", {told[name]:,} {name}" for name in ("escalated", "reminded")
    )
    run.figures["messages that came again"] = str(again)
    return verdict


def _check_held(verdict: Verdict, engine: Engine, wanted: Mapping[Name, Story]) -> None:
    held = {
        name
        for name, story in wanted.items()
        if story.compound == MAINTAINED and not story.about.safety
    }
    query = (
        select(faults.c.device, faults.c.code)
        .join(deliveries, deliveries.c.fault == faults.c.id)
        .where(deliveries.c.reason == "maintenance")
    )
    with reading(engine) as connection:
        kept = {(row.device, row.code) for row in connection.execute(query)}
    verdict.lost += len(held - kept)
    verdict.note("held, and not on record", held - kept)
