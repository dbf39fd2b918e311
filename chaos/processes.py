"""Our processes are killed, ended and frozen while messages flow."""

import signal
import time

from chaos.rig import TookTooLong, await_
from chaos.run import Context, Result, Run, a_run, nobody_offline
from tests.brokers import Nats, Server


def kills(context: Context) -> Result:
    """kill -9 of ingest at seeded moments while messages flow."""
    with a_run("kills", context) as run:
        return _kill_loop(run, run.broker(), apart=False)


def kills_apart(context: Context) -> Result:
    """The same with receive, judge and forward in processes of their own, one of them killed."""
    with a_run("kills-apart", context) as run:
        return _kill_loop(run, run.broker(), apart=True)


def kills_nats(context: Context) -> Result:
    """The same over nats-server, which speaks MQTT 3.1.1 only and sends again behind newer ones."""
    with a_run("kills-nats", context) as run:
        run.broker_reorders = True
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
        nobody_offline(run)
        run.figures["frozen"] = f"{away_s:g} s"
        return run.finish(120)
