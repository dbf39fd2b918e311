"""What is done to the system, by name: processes, network, stores, input, and the checker itself.

Each scenario is a function that runs one system through one trouble and returns a Result. Its size
says how much of it: `small` in `make test`, `medium` in `make integration`, `full` in `make chaos`.
"""

import subprocess
import sys
import time
from collections.abc import Callable

from chaos import planted
from chaos.alerting import alert_kills
from chaos.checker import Verdict, balances
from chaos.network import (
    broker_forgets,
    broker_restart,
    cuts,
    leave_stale_acks,
    slow_net,
    stale_acks,
    storm,
)
from chaos.processes import frozen, kills, kills_apart, kills_nats, restarts
from chaos.rig import ROOT, a_directory, await_
from chaos.run import Context, Result, a_run
from chaos.stores import (
    influx_401,
    influx_413,
    influx_422,
    influx_429,
    influx_503,
    influx_away,
    influx_hangs,
    influx_loses_reply,
    postgres_away,
)

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
            leave_stale_acks(run, bug)
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
    "alert-kills": alert_kills,
    "fuzz": fuzz,
}
