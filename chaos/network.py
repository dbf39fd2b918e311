"""The broker goes, forgets and comes back; connections are cut, and slow."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import islice

from sqlalchemy import select

from chaos import planted
from chaos.district import Plan, Segment, messages
from chaos.proxy import Proxy
from chaos.publisher import Acks, publish
from chaos.rig import TookTooLong, await_
from chaos.run import LEAD_S, Context, Result, Run, a_run, nobody_offline, quarantined
from devices.store.database import open_database, reading
from devices.store.schema import faults
from tests.brokers import Server


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
        leave_stale_acks(run, "slow-disk")
        result = run.finish(60)
        result.figures["commit"] = f"takes {planted.SLOW_S:g} s"
        return result


A, B = 1, 10  # messages; A is one, so that it is one batch


def leave_stale_acks(run: Run, bug: str) -> None:
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
        nobody_offline(run)
        _safety_told(run)
        run.expect(quarantined(rig, "rate_limited") == 0, "messages were refused as too many")
        result.problems += [one for one in run.problems if one not in result.problems]
        result.figures |= run.figures
        return result


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
