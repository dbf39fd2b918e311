"""The stores are away, hang, refuse, and lose their answers."""

import time
from collections.abc import Callable
from itertools import pairwise

from chaos.influx import Influx, an_influxdb
from chaos.postgres import Postgres
from chaos.proxy import Proxy
from chaos.rig import POLL_S, Process, await_
from chaos.run import Context, Result, a_run


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
