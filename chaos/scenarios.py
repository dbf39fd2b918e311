"""What is done to the system, and what is asked of it afterwards.

Each scenario is a function that runs one system through one trouble and returns a Result. SIZES
says how much of it: `small` in `make test`, `medium` in `make integration`, `full` in `make chaos`.
"""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import select

from chaos import planted
from chaos.checker import ALL, Verdict, balances, check
from chaos.district import Plan, Segment, devices_for, messages
from chaos.influx import Influx, an_influxdb
from chaos.lag import LagWatch
from chaos.postgres import Postgres
from chaos.proxy import Proxy
from chaos.publisher import Acks, publish
from chaos.rig import POLL_S, ROOT, Process, Rig, TookTooLong, a_directory, await_
from devices.store.database import open_database, reading
from devices.store.schema import accounts, faults
from tests.brokers import Mosquitto, Nats, Server

T = TypeVar("T")
Size = Literal["small", "medium", "full"]
LONG_INTERVAL_S = 3600  # silence is not what these are about: three of them do not pass
CONNECTIONS = 8
CAUGHT_UP_S = 60.0  # with what had to wait while processes were dead
LEAD_S = 1.0  # from the moment the plan is made to its first message


@dataclass
class Context:
    """What a run is given. options: figures from the command line, in place of those of the size.

    Everything that it makes lies in `directory`.
    """

    directory: Path
    size: Size
    seed: int
    options: Mapping[str, float] = field(default_factory=dict)

    def figure(self, name: str, small: float, medium: float, full: float) -> float:
        """How much of `name` there is at this size."""
        given = self.options.get(name)
        return (
            given
            if given is not None
            else {"small": small, "medium": medium, "full": full}[self.size]
        )


@dataclass
class Result:
    """One line of the table, and the reasons why it is no good."""

    scenario: str
    size: Size
    seed: int
    verdict: Verdict
    seconds: float
    figures: dict[str, str]
    problems: list[str]
    directory: Path

    @property
    def is_good(self) -> bool:
        return not self.problems


class BalanceWatch:
    """Asks the API for the balance all the time, overall and of each compound in turn."""

    EVERY_S = 0.5

    def __init__(self, rig: Rig) -> None:
        self.asked = 0
        self.unknown = 0
        self.wrong: list[str] = []
        self._rig = rig
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="balance", daemon=True)

    def __enter__(self) -> "BalanceWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more; what was found stays."""
        self._stop.set()
        self._thread.join(40)

    def _run(self) -> None:
        places = ["", *(f"court-{n}" for n in range(self._rig.plan.compounds)), "unassigned"]
        turn = 0
        while not self._stop.wait(self.EVERY_S):
            # overall every other time, for it is the one that a lost row shows in first
            place = "" if turn % 2 == 0 else places[1 + turn // 2 % (len(places) - 1)]
            turn += 1
            said = self._rig.get(f"/v1/accounting?compound={place}" if place else "/v1/accounting")
            if said is None or said["balance"] is None:
                self.unknown += 1
                continue
            self.asked += 1
            if said["balance"] != 0:
                self.wrong.append(f"balance {said['balance']} of {place or ALL}")


class Run:
    """One system with its trouble: what the scenarios share."""

    def __init__(self, name: str, context: Context) -> None:
        self.name = name
        self.context = context
        self.rng = random.Random(f"{context.seed}|{name}")
        self.directory = a_directory(context.directory, name, context.seed)
        self.figures: dict[str, str] = {}
        self.problems: list[str] = []
        self.watch: BalanceWatch | None = None
        self.lag: LagWatch | None = None
        self.started_at = time.monotonic()
        self.broker_may_lose = False
        self._stack = ExitStack()
        self.rig: Rig

    def a_plan(self, count: int, rate_per_s: float, lead_s: float = LEAD_S, **more: Any) -> Plan:
        """A steady stream that begins in `lead_s`, to be made when the system is ready for it."""
        segment = Segment(count, rate_per_s, int((time.time() + lead_s) * 1000))
        fields = {"devices": devices_for(rate_per_s), "connections": CONNECTIONS}
        fields |= {"interval_s": LONG_INTERVAL_S, **more}
        return Plan(self.context.seed, segments=(segment,), **fields)

    def broker(self, kind: type[Mosquitto] | type[Nats] = Mosquitto) -> Server:
        return self._stack.enter_context(kind(self.directory))

    def enter(self, what: "AbstractContextManager[T]") -> T:
        """A context that lasts as long as the run."""
        return self._stack.enter_context(what)

    def prepare(self, plan: Plan, broker_port: int, **more: Any) -> Rig:
        self.rig = Rig(self.directory, plan, broker_port, **more)
        self._stack.callback(self.rig.end)
        self.rig.prepare()
        return self.rig

    def replan(self, plan: Plan) -> None:
        """The same devices, with the times of now: the system took a while to start."""
        self.rig.plan = plan
        plan.save(self.directory / "plan.json")

    def watch_balance(self) -> None:
        """Start the API and ask it from now on."""
        self.rig.api()
        self.watch = self._stack.enter_context(BalanceWatch(self.rig))

    def watch_lag(self) -> None:
        """Look from now on how far the judge is behind; it has to catch up in a minute."""
        self.lag = self._stack.enter_context(LagWatch(self.rig))

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.problems.append(what)

    def expect_pace(self, holds: bool, what: str) -> None:
        """A figure of time, asked of full-size runs: in a test the machine does other work too."""
        if self.context.size == "full":
            self.expect(holds, what)

    def finish(self, drained_within_s: float, settle_s: float = 0.0) -> Result:
        """Wait until all is judged and forwarded, end the processes, and compare."""
        try:
            took_s = self.rig.await_drained(drained_within_s)
            if settle_s:  # this broker sends again what has no PUBACK only after a while
                time.sleep(settle_s)
                self.rig.await_drained(drained_within_s)
            self.figures.setdefault("drained", f"{took_s:.1f} s after the last PUBACK")
            if self.lag is not None:
                self.expect_pace(took_s <= CAUGHT_UP_S, f"caught up only after {took_s:.0f} s")
        except TookTooLong as error:
            judge, forward = self.rig.positions()
            self.problems.append(
                f"{error}: judge {judge}, forward {forward} of {self.rig.head()[1]}"
            )
        if self.lag is not None:
            lag = self.lag
            lag.stop()
            self.figures["judge behind"] = (
                f"{lag.most_s:.1f} s and {lag.most_messages:,} messages at most"
            )
        if self.watch is not None:
            watch = self.watch
            watch.stop()
            self.figures["balance asked"] = f"{watch.asked} times"
            self.expect(watch.asked > 0, "the API was never asked for the balance")
        self.problems += self.rig.ended_by_themselves()
        verdict = check(
            self.rig,
            broker_may_lose=self.broker_may_lose,
            watched=self.watch.wrong if self.watch is not None else (),
        )
        return self.result(verdict)

    def result(self, verdict: Verdict) -> Result:
        return Result(
            self.name,
            self.context.size,
            self.context.seed,
            verdict,
            time.monotonic() - self.started_at,
            {"messages": f"{verdict.acked:,}", **self.figures},
            [*self.problems, *verdict.problems],
            self.directory,
        )

    def close(self) -> None:
        self._stack.close()


@contextmanager
def a_run(name: str, context: Context) -> Iterator[Run]:
    run = Run(name, context)
    try:
        yield run
    finally:
        run.close()


# Processes


def kills(context: Context) -> Result:
    """kill -9 of ingest at seeded moments while messages flow."""
    with a_run("kills", context) as run:
        return _kill_loop(run, run.broker(), apart=False)


def kills_apart(context: Context) -> Result:
    """The same with receive, judge and forward in processes of their own, one of them killed."""
    with a_run("kills-apart", context) as run:
        return _kill_loop(run, run.broker(), apart=True)


def kills_nats(context: Context) -> Result:
    """The same over nats-server, which speaks MQTT 3.1.1 only."""
    with a_run("kills-nats", context) as run:
        return _kill_loop(run, run.broker(Nats), apart=False, slower=10, settle_s=10)


PARTS = ("receive", "judge", "forward")
DURING_START = 0.15  # so many of the kills come before the process has done anything


def _kill_loop(
    run: Run, broker: Server, *, apart: bool, slower: float = 1, settle_s: float = 0.0
) -> Result:
    """Each kill comes while its share of the messages flows: the publishers wait at a gate."""
    context = run.context
    kill_count = int(context.figure("kills", 5, 8, 100))
    count = int(context.figure("messages", 20_000, 60_000, 1_000_000) / slower)
    rate = context.figure("rate", 4_000, 4_000, 4_000) / slower
    share = count // (kill_count + 1)
    rig = run.prepare(run.a_plan(count, rate), broker.port)
    rig.let(0)
    running = {part: rig.ingest(part) for part in (PARTS if apart else ("",))}
    run.watch_balance()
    await_(lambda: rig.head()[0] > 0, "receive writes its journal", 60)
    run.replan(run.a_plan(count, rate))
    run.watch_lag()
    publishing = rig.publish()
    early = 0
    for kill in range(1, kill_count + 1):
        head = rig.head()[1]
        rig.let(kill * share)
        part = run.rng.choice(sorted(running))
        process = running[part]
        if run.rng.random() < DURING_START:
            early += 1
        elif not part or part == "receive":
            await_(lambda was=head: rig.head()[1] > was, "messages are received again", 60)  # type: ignore[misc]
        time.sleep(run.rng.uniform(0, share / rate))
        process.kill()
        running[part] = rig.ingest(part)
    rig.let(count, and_end=True)
    publishing.finish(count / rate + 300)
    run.figures["kills"] = f"{kill_count}, {early} of them while it started"
    return run.finish(120 + count / 2_000, settle_s)


def restarts(context: Context) -> Result:
    """SIGTERM under load ends ingest within 10 s; then, and killed, it acknowledges 5 s after it
    was started."""
    with a_run("restarts", context) as run:
        rounds = int(context.figure("kills", 2, 6, 20))
        rate = context.figure("rate", 1_000, 2_000, 2_000)
        count = int(context.figure("messages", 100_000, 400_000, 1_000_000))
        rig = run.prepare(run.a_plan(count, rate), run.broker().port)
        rig.let(0)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate))
        rig.let(count)
        publishing = rig.publish()
        await_(lambda: rig.head()[1] > 0, "messages are received", 60)
        ends, acks = [], []
        for _ in range(rounds):
            time.sleep(run.rng.uniform(0.5, 2.0))
            try:
                ends.append(ingest.end(10))
                run.expect(ingest.process.returncode == 0, f"exit code {ingest.process.returncode}")
            except TookTooLong as error:
                run.problems.append(str(error))
            for kill in range(2):  # once after the clean end, once after a kill
                if kill:
                    ingest.kill()
                head = rig.head()[1]
                ingest = rig.ingest()
                await_(lambda was=head: rig.head()[1] > was, "the first message", 60)  # type: ignore[misc]
                acks.append(time.monotonic() - ingest.started_at)
        rig.let(0, and_end=True)
        publishing.finish(60)
        run.figures["slowest SIGTERM"] = f"{max(ends, default=0):.1f} s"
        run.figures["slowest first ack"] = f"{max(acks):.1f} s"
        run.expect_pace(max(acks) <= 5, f"the first ack came {max(acks):.1f} s after a start")
        return run.finish(120)


def frozen(context: Context) -> Result:
    """SIGSTOP of ingest for a while, then SIGCONT: stale acks are dropped, nobody is offline."""
    with a_run("frozen", context) as run:
        away_s = context.figure("away", 15, 60, 120)
        rate = context.figure("rate", 300, 500, 500)
        count = int(rate * (away_s + 20))
        rig = run.prepare(run.a_plan(count, rate), run.broker().port)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate))
        publishing = rig.publish()
        await_(lambda: rig.head()[1] > rate * 5, "messages flow", 60)
        ingest.signal(signal.SIGSTOP)
        time.sleep(away_s)
        ingest.signal(signal.SIGCONT)
        publishing.finish(count / rate + 120)
        _nobody_offline(run)
        run.figures["frozen"] = f"{away_s:g} s"
        return run.finish(120)


# Broker and network


def cuts(context: Context) -> Result:
    """Every TCP connection, ours and the devices', is reset every two seconds."""
    with a_run("cuts", context) as run:
        seconds = context.figure("seconds", 15, 60, 300)
        rate = context.figure("rate", 300, 500, 500)
        broker = run.broker()
        ours, theirs = run.enter(Proxy(broker.port)), run.enter(Proxy(broker.port))
        count = int(seconds * rate)
        rig = run.prepare(run.a_plan(count, rate), ours.port)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate))
        publishing = rig.publish(port=theirs.port)
        cut, minute = 0, time.monotonic()
        judged = rig.positions()[0]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(2)
            ours.cut()
            theirs.cut()
            cut += 1
            if time.monotonic() - minute > 60:
                now = rig.positions()[0]
                run.expect(now > judged, f"the cursor stood at {now} for a minute")
                minute, judged = time.monotonic(), now
        said = publishing.finish(300)
        run.figures["cuts"] = str(cut)
        run.figures["reconnects"] = f"{said['reconnects']} of devices, {ours.accepted} of ingest"
        return run.finish(120)


def slow_net(context: Context) -> Result:
    """200 ms there and back, and every tenth piece of the stream a retransmission later.

    By the proxy: the kernel's own loss (tc netem) needs a module that is not everywhere.
    """
    with a_run("slow-net", context) as run:
        seconds = context.figure("seconds", 10, 60, 300)
        rate = context.figure("rate", 200, 500, 500)
        broker = run.broker()
        ours = run.enter(Proxy(broker.port, seed=context.seed))
        theirs = run.enter(Proxy(broker.port, seed=context.seed + 1))
        for proxy in (ours, theirs):
            proxy.delay(0.1)
            proxy.lose(0.1)
        count = int(seconds * rate)
        rig = run.prepare(run.a_plan(count, rate, connections=32), ours.port)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate, connections=32))
        said = rig.publish(port=theirs.port).finish(seconds * 3 + 120)
        run.figures["reconnects"] = (
            f"{said['reconnects']} of devices, {ours.accepted - 1} of ingest"
        )
        run.expect(ours.accepted <= 2, f"ingest connected {ours.accepted} times: a reconnect loop")
        run.figures["loss"] = "emulated by the proxy"
        return run.finish(120)


def broker_restart(context: Context) -> Result:
    """The broker ends and comes back with its sessions: nothing is lost."""
    with a_run("broker-restart", context) as run:
        return _broker_loop(run, lambda broker: broker.stop())


def broker_forgets(context: Context) -> Result:
    """The broker comes back without its sessions: what it had acknowledged and not delivered is
    gone, as nothing can prevent; all that we received is accounted for."""
    with a_run("broker-forgets", context) as run:
        run.broker_may_lose = True
        result = _broker_loop(run, lambda broker: broker.forget())
        result.figures["lost by the broker"] = str(result.verdict.lost_by_broker)
        return result


def _broker_loop(run: Run, end: Callable[[Server], None]) -> Result:
    context = run.context
    rounds = int(context.figure("kills", 1, 3, 10))
    rate = context.figure("rate", 300, 1_000, 1_000)
    count = int(rate * (10 + 12 * rounds))
    broker = run.broker()
    rig = run.prepare(run.a_plan(count, rate), broker.port)
    ingest = rig.ingest()
    run.watch_balance()
    rig.await_connected(ingest)
    run.replan(run.a_plan(count, rate))
    publishing = rig.publish()
    for _ in range(rounds):
        time.sleep(run.rng.uniform(3, 8))
        end(broker)
        time.sleep(run.rng.uniform(0.1, 2))
        broker.start()
        await_(lambda: rig.metric("courtyard_broker_connected") == 1, "ingest is back", 60)
    publishing.finish(count / rate + 120)
    run.figures["restarts"] = str(rounds)
    return run.finish(120)


def stale_acks(context: Context) -> Result:
    """The broker loses its sessions while a batch is being committed, and counts packet ids from 1
    again: the late acknowledgements must not reach it."""
    with a_run("stale-acks", context) as run:
        _stale_acks(run, "slow-disk")
        result = run.finish(60)
        result.figures["commit"] = f"takes {planted.SLOW_S:g} s"
        return result


A, B = 1, 10  # messages; A is one, so that it is one batch


def _stale_acks(run: Run, bug: str) -> None:
    """Leave a batch B, delivered and not committed, whose packet ids were those of A."""
    broker = run.broker()
    parts = (Segment(A, 100, 1), Segment(B, 100, 2))
    plan = run.a_plan(1, 100, connections=1, devices=A + B)
    rig = run.prepare(replace(plan, segments=parts), broker.port, planted=bug)
    ingest = rig.ingest()
    rig.await_connected(ingest)
    now_ms = int(time.time() * 1000)
    run.replan(replace(plan, segments=tuple(replace(one, at_ms=now_ms) for one in parts)))
    acks = run.enter(closing(Acks(rig.acks)))
    publish(rig.plan, 0, broker.port, acks, 10)
    time.sleep(0.3)  # A is delivered, and its commit has begun
    broker.forget()
    broker.start()
    await_(lambda: rig.said("ingest", "broker_connected") > 1, "ingest is back", 20)
    await_(lambda: rig.metric("courtyard_broker_connected") == 1, "ingest has subscribed", 20)
    publish(rig.plan, 1, broker.port, acks, 10)
    if rig.head()[1]:
        raise TookTooLong("A was committed before B was published: the machine is too busy")
    await_(lambda: rig.head()[1] >= A, "A is committed", 20)
    time.sleep(0.3)  # its acknowledgement is on its way, or dropped
    ingest.kill()
    if rig.head()[1] > A:
        raise TookTooLong("B was committed before the kill: the machine is too busy")
    rig.planted = ""
    rig.ingest()


def storm(context: Context) -> Result:
    """The broker was away; the whole fleet comes back within 10 s, each device with what it
    buffered: all judged within 10 s after that, nobody offline, nothing too much."""
    with a_run("storm", context) as run:
        away_s = context.figure("away", 20, 100, 150)
        devices = int(context.figure("messages", 180, 720, 5_168))
        buffered, spread_s, interval_s = 10, 10.0, 30
        warm = Segment(2 * devices, devices / 5, int((time.time() + LEAD_S) * 1000))
        back = Segment(0, 0, 0, buffered=buffered, outage_s=away_s, spread_s=spread_s)
        connections = min(359, devices)
        plan = Plan(context.seed, devices, connections, interval_s, (warm, replace(back, at_ms=1)))
        broker = run.broker()
        rig = run.prepare(plan, broker.port)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        warm = replace(warm, at_ms=int((time.time() + LEAD_S) * 1000))
        run.replan(replace(plan, segments=(warm, back)))
        rig.publish(0).finish(120)
        rig.await_drained(60)
        before_mb = ingest.rss_mb()
        broker.stop()
        time.sleep(away_s)
        broker.start()
        starts = 2.0  # what the publishers take to begin
        begins_at = time.monotonic() + starts
        back = replace(back, at_ms=int((time.time() + starts) * 1000))
        run.replan(replace(plan, segments=(warm, back)))
        publishing = rig.publish(1)
        most_mb = before_mb
        done_s = 0.0
        while not publishing.is_over or rig.positions()[0] < rig.head()[1]:
            most_mb = max(most_mb, ingest.rss_mb())
            if time.monotonic() - begins_at > 180:
                break
            time.sleep(0.1)
        done_s = time.monotonic() - begins_at
        publishing.finish(60)
        run.figures["away"] = f"{away_s:g} s"
        run.figures["devices"] = f"{devices:,} on {connections} connections"
        run.figures["judged"] = f"{done_s - spread_s:.1f} s after the ten seconds"
        run.expect(done_s <= spread_s + 10, f"all judged only {done_s - spread_s:.1f} s after it")
        run.figures["memory"] = f"+{most_mb - before_mb:.0f} MB"
        result = run.finish(60)
        _nobody_offline(run)
        _safety_told(run)
        run.expect(_quarantined(rig, "rate_limited") == 0, "messages were refused as too many")
        result.problems += [one for one in run.problems if one not in result.problems]
        result.figures |= run.figures
        return result


# Stores


def influx_away(context: Context) -> Result:
    """InfluxDB is gone; acknowledgements do not pause, memory stays, the backlog drains."""
    with a_run("influx-away", context) as run:
        away_s = context.figure("away", 8, 60, 600)
        rate = context.figure("rate", 300, 1_000, 2_000)
        warm_s, after_s = 15, max(60, away_s)
        influx = run.enter(an_influxdb())
        broker = run.broker()
        ours = run.enter(Proxy(broker.port))
        count = int(rate * (warm_s + away_s + after_s))
        rig = run.prepare(run.a_plan(count, rate), ours.port, influxdb=influx.environ)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate))
        rig.let(count)
        publishing = rig.publish()
        await_(lambda: rig.positions()[1] > rate, "readings are stored", 60)
        time.sleep(warm_s)
        before_mb = ingest.rss_mb()
        ours.watch()
        _take_away(influx)
        most_mb = _watch_memory(ingest, away_s)
        head, stored = rig.head()[1], rig.positions()[1]
        backlog = head - stored
        run.expect(backlog > rate * away_s * 0.8, f"only {backlog} messages had to wait")
        _bring_back(influx)
        back_at = time.monotonic()
        await_(lambda: rig.positions()[1] > stored, "readings are stored again", 120)
        resumed_at = time.monotonic()
        while rig.head()[1] - rig.positions()[1] > rate * 2:
            if time.monotonic() - back_at > after_s + 600:
                run.problems.append("the backlog did not drain")
                break
            most_mb = max(most_mb, ingest.rss_mb())
            time.sleep(0.2)
        took_s = time.monotonic() - resumed_at
        pause_s = ours.watched()
        drained = (rig.positions()[1] - stored) / max(took_s, POLL_S)
        rig.let(0, and_end=True)
        publishing.finish(120)
        run.figures |= {
            "store": influx.name,
            "away": f"{away_s:g} s at {rate:,.0f} msg/s",
            "longest pause of acks": f"{pause_s:.2f} s",
            "memory": f"+{most_mb - before_mb:.0f} MB of {before_mb:.0f}",
            "resumed": f"{resumed_at - back_at:.1f} s after InfluxDB was back",
            "backlog": f"{backlog:,} messages in {took_s:.1f} s",
            "drained at": f"{drained:,.0f} msg/s, {drained / rate:.1f} x the live rate",
        }
        run.expect_pace(pause_s <= 1, f"acknowledgements paused for {pause_s:.2f} s")
        run.expect(most_mb - before_mb < 100, f"memory grew by {most_mb - before_mb:.0f} MB")
        run.expect_pace(drained >= 3 * rate, f"the backlog drained at {drained:,.0f} msg/s only")
        return run.finish(120)


def influx_hangs(context: Context) -> Result:
    """InfluxDB takes writes and does not answer."""
    return _influx("influx-hangs", context, lambda influx: influx.front.hang())


def influx_503(context: Context) -> Result:
    """InfluxDB answers 503."""
    return _influx("influx-503", context, lambda influx: influx.front.answer(503))


RETRY_AFTER_S = 4


def influx_429(context: Context) -> Result:
    """InfluxDB answers 429 and says when to come again."""

    def limit(influx: Influx) -> None:
        influx.front.answer(429, Retry_After=str(RETRY_AFTER_S))

    return _influx("influx-429", context, limit, least_apart_s=RETRY_AFTER_S)


def influx_401(context: Context) -> Result:
    """The token is refused: forward pauses for a minute at a time and keeps everything."""
    return _influx("influx-401", context, lambda influx: influx.front.answer(401), pause_s=65)


def influx_413(context: Context) -> Result:
    """Writes above 2 kB are too large."""

    def limit(influx: Influx) -> None:
        influx.front.largest_bytes = 2_000

    return _influx("influx-413", context, limit)


def influx_422(context: Context) -> Result:
    """A partial write: InfluxDB says that it dropped a point, and took the others."""

    def refuse_once(influx: Influx) -> None:
        influx.front.answer(422, "failure writing points: partial write: dropped=1", times=1)
        await_(lambda: influx.front.spoilt > 0, "a write was refused", 30)

    return _influx("influx-422", context, refuse_once)


def influx_loses_reply(context: Context) -> Result:
    """InfluxDB commits, and its answer is lost."""
    return _influx("influx-loses-reply", context, lambda influx: influx.front.lose_reply())


def _influx(
    name: str,
    context: Context,
    trouble: Callable[[Influx], None],
    *,
    pause_s: float = 0.0,
    least_apart_s: float = 0.0,
) -> Result:
    """Trouble for a while, then none. pause_s: how long it may take until forward tries again."""
    with a_run(name, context) as run:
        away_s = context.figure("away", 5, 20, 60)
        rate = context.figure("rate", 200, 500, 2_000)
        count = int(rate * (away_s + 10))
        influx = run.enter(an_influxdb())
        broker = run.broker()
        ours = run.enter(Proxy(broker.port))
        rig = run.prepare(run.a_plan(count, rate), ours.port, influxdb=influx.environ)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate))
        publishing = rig.publish()
        await_(lambda: rig.positions()[1] > rate, "readings are stored", 60)
        ours.watch()
        began = len(influx.front.written_at)
        trouble(influx)
        time.sleep(away_s)
        times = influx.front.written_at[began:]
        pause = ours.watched()
        influx.front.normal()
        publishing.finish(count / rate + 120)
        run.expect(influx.front.spoilt > 0, "no write met the trouble")
        run.expect_pace(pause <= 1, f"acknowledgements paused for {pause:.2f} s")
        apart = [later - sooner for sooner, later in pairwise(times)]
        if least_apart_s:
            run.expect(
                min(apart, default=least_apart_s) >= least_apart_s * 0.98,
                f"a write came {min(apart, default=0):.1f} s after one that said {least_apart_s} s",
            )
        run.figures |= {
            "store": influx.name,
            "spoilt writes": str(influx.front.spoilt),
            "longest pause of acks": f"{pause:.2f} s",
        }
        return run.finish(120 + pause_s)


def postgres_away(context: Context) -> Result:
    """PostgreSQL crashes and comes back: acks go on, judging catches up."""
    with a_run("postgres-away", context) as run:
        away_s = context.figure("away", 5, 30, 600)
        rate = context.figure("rate", 200, 500, 500)
        count = int(rate * (away_s + 30))
        postgres = run.enter(Postgres())
        broker = run.broker()
        ours = run.enter(Proxy(broker.port))
        rig = run.prepare(run.a_plan(count, rate), ours.port, database_url=postgres.url)
        ingest = rig.ingest()
        run.watch_balance()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate))
        publishing = rig.publish()
        await_(lambda: rig.positions()[0] > rate, "messages are judged", 60)
        time.sleep(5)
        ours.watch()
        head = rig.head()[1]
        postgres.stop()
        time.sleep(away_s)
        grown = rig.head()[1] - head
        run.expect(grown > rate * away_s * 0.8, f"only {grown} messages received meanwhile")
        postgres.start()
        pause = ours.watched()
        run.expect_pace(pause <= 1, f"acknowledgements paused for {pause:.2f} s")
        publishing.finish(count / rate + 120)
        run.figures |= {"away": f"{away_s:g} s", "longest pause of acks": f"{pause:.2f} s"}
        return run.finish(180)


def _take_away(influx: Influx) -> None:
    if influx.server is not None:
        influx.server.kill()
    else:
        influx.front.answer(503)


def _bring_back(influx: Influx) -> None:
    if influx.server is not None:
        influx.server.revive()
    influx.front.normal()


def _watch_memory(process: Process, for_s: float) -> float:
    until = time.monotonic() + for_s
    most_mb = 0.0
    while time.monotonic() < until:
        most_mb = max(most_mb, process.rss_mb())
        time.sleep(0.5)
    return most_mb


# The checker itself


def planted_bugs(context: Context) -> Result:
    """Four bugs are planted in ingest, and the checker has to find each."""
    started = time.monotonic()
    missed, figures, where = [], {}, context.directory
    for bug in ("ack-before-commit", "cursor-outside", "no-epoch-check", "lost-row"):
        found = run_planted(bug, context)
        where = found.directory
        figures[bug] = found.problems[0] if found.problems else "NOT FOUND"
        if not found.problems:
            missed.append(f"{bug} was not found")
    seconds = time.monotonic() - started
    return Result("planted", context.size, context.seed, Verdict(), seconds, figures, missed, where)


def run_planted(bug: str, context: Context) -> Result:
    """What the checker says of a run with this bug: problems, if it can see it.

    Of a lost row nothing but the balance is looked at.
    """
    with a_run(f"planted-{bug}", context) as run:
        if bug == "no-epoch-check":
            _stale_acks(run, bug)
            return run.finish(60)
        dies = run.directory / "died"
        more = {} if bug == "lost-row" else {planted.DIES: str(dies)}
        count, rate = 4_000, 2_000
        rig = run.prepare(run.a_plan(count, rate), run.broker().port, planted=bug, more=more)
        rig.let(0)
        ingest = rig.ingest()
        rig.await_connected(ingest)
        run.replan(run.a_plan(count, rate))
        rig.let(count)
        publishing = rig.publish()
        if more:
            await_(lambda: not ingest.is_alive, "it dies in the gap", 60)
            ingest.was_ended = True
            rig.ingest()
        publishing.finish(120)
        rig.await_drained(60)
        if bug == "lost-row":
            found = balances(rig)
            verdict = Verdict(balance=max(map(abs, found.values())))
            verdict.problems += [f"the balance of {at} is {n}" for at, n in found.items() if n]
            return run.result(verdict)
        return run.finish(60)


# What is asked of the rows


def _nobody_offline(run: Run) -> None:
    offline = [code for code in _fault_codes(run.rig) if code.endswith("_OFFLINE")]
    run.expect(not offline, f"{len(offline)} faults of silence, e.g. {offline[:3]}")


def _fault_codes(rig: Rig) -> list[str]:
    engine = open_database(rig.settings.database)
    try:
        with reading(engine) as connection:
            return list(connection.scalars(select(faults.c.code)))
    finally:
        engine.dispose()


def _safety_told(run: Run) -> None:
    """Safety faults were raised within 10 s of the moment at which their device came back."""
    plan = run.rig.plan
    before = plan.size(plan.segments[0])
    back_ms = {one.device: one.due_ms for one in islice(messages(plan), before, None)}
    engine = open_database(run.rig.settings.database)
    query = select(faults.c.subject, faults.c.opened_at_ms).where(
        faults.c.safety.is_(True), faults.c.opened_at_ms >= plan.segments[-1].at_ms
    )
    try:
        with reading(engine) as connection:
            took_ms = [
                opened - back_ms[subject.partition("-p")[0]]  # a port speaks through its shed
                for subject, opened in connection.execute(query)
            ]
    finally:
        engine.dispose()
    slowest_s = max(took_ms, default=0) / 1000
    run.figures["safety faults"] = f"{len(took_ms)}, the slowest after {slowest_s:.1f} s"
    run.expect(bool(took_ms), "the plan has no safety fault in the storm")
    run.expect(slowest_s <= 10, f"a safety fault was raised after {slowest_s:.1f} s")


def _quarantined(rig: Rig, reason: str) -> int:
    engine = open_database(rig.settings.database)
    query = select(accounts.c.count).where(
        accounts.c.outcome == "quarantined", accounts.c.reason == reason
    )
    try:
        with reading(engine) as connection:
            return sum(connection.scalars(query))
    finally:
        engine.dispose()


# Input


def fuzz(context: Context) -> Result:
    """Hostile messages through decoding, judging and both telemetry encoders, in one process."""
    count = int(context.figure("messages", 5_000, 50_000, 1_000_000))
    directory = a_directory(context.directory, "fuzz", context.seed)
    started = time.monotonic()
    said = directory / "fuzz.log"
    with said.open("wb") as log:
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.fuzz",
                "--inputs",
                str(count),
                "--seed",
                str(context.seed),
            ],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            timeout=600 + count / 50,
        )
    lines = said.read_text().splitlines()
    problems = [] if ended.returncode == 0 else [f"exit code {ended.returncode}", *lines[-5:]]
    figures = {"inputs": f"{count:,}", "said": lines[-1].removeprefix("fuzz: ") if lines else ""}
    seconds = time.monotonic() - started
    return Result(
        "fuzz", context.size, context.seed, Verdict(), seconds, figures, problems, directory
    )


SCENARIOS: dict[str, Callable[[Context], Result]] = {
    "planted": planted_bugs,
    "kills": kills,
    "kills-apart": kills_apart,
    "kills-nats": kills_nats,
    "restarts": restarts,
    "frozen": frozen,
    "cuts": cuts,
    "slow-net": slow_net,
    "broker-restart": broker_restart,
    "broker-forgets": broker_forgets,
    "stale-acks": stale_acks,
    "storm": storm,
    "influx-away": influx_away,
    "influx-hangs": influx_hangs,
    "influx-503": influx_503,
    "influx-429": influx_429,
    "influx-401": influx_401,
    "influx-413": influx_413,
    "influx-422": influx_422,
    "influx-loses-reply": influx_loses_reply,
    "postgres-away": postgres_away,
    "fuzz": fuzz,
}
