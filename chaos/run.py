"""One system with its trouble: what the scenarios share, and what is asked of it afterwards."""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import select

from chaos.checker import ALL, Verdict, check
from chaos.district import Plan, Segment, devices_for
from chaos.lag import LagWatch
from chaos.rig import Rig, TookTooLong, a_directory
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
        self.broker_reorders = False
        self._stack = ExitStack()
        self.rig: Rig

    def a_plan(self, count: int, rate_per_s: float, lead_s: float = LEAD_S, **more: Any) -> Plan:
        """A steady stream that begins in `lead_s`, to be made when the system is ready for it."""
        segment = Segment(count, rate_per_s, int((time.time() + lead_s) * 1000))
        fields: dict[str, Any] = {
            "devices": devices_for(rate_per_s),
            "connections": CONNECTIONS,
        }
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
            broker_reorders=self.broker_reorders,
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


# What is asked of the rows


def nobody_offline(run: Run) -> None:
    offline = [code for code in _fault_codes(run.rig) if code.endswith("_OFFLINE")]
    run.expect(not offline, f"{len(offline)} faults of silence, e.g. {offline[:3]}")


def _fault_codes(rig: Rig) -> list[str]:
    engine = open_database(rig.settings.database)
    try:
        with reading(engine) as connection:
            return list(connection.scalars(select(faults.c.code)))
    finally:
        engine.dispose()


def quarantined(rig: Rig, reason: str) -> int:
    engine = open_database(rig.settings.database)
    query = select(accounts.c.count).where(
        accounts.c.outcome == "quarantined", accounts.c.reason == reason
    )
    try:
        with reading(engine) as connection:
            return sum(connection.scalars(query))
    finally:
        engine.dispose()
