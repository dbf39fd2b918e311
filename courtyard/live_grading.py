"""One graded run over a real broker: `courtyard score --live SCENARIO`.

1. a directory of its own, and in it the database with the scenario's registry
2. the broker, a child of this process, and `courtyard ingest`: both are there when a probe has come
   back through broker, journal and judge
3. `courtyard simulate` plays the scenario in real time and writes the truth
4. when it has ended, the judge's watermark must pass that moment: a connection delivers in order,
   so everything that was sent before has been received and judged then
5. ingest and the broker end, and the faults are graded

All of it is what the demo runs. Whatever ends early ends the run; nothing is left running.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import TypeVar

from sqlalchemy import Engine

from courtyard.broker import BrokerUnavailable, EmbeddedBroker
from courtyard.clock import now_ms
from courtyard.errors import DONE, CommandError, UsageError
from courtyard.grading import Graded, tell_graded
from courtyard.listening import listen
from courtyard.score import read_truth, score_database, span_of
from courtyard.settings import PREFIX, Settings, variable
from courtyard.signals import stop_on_signals
from courtyard.simulation import Staged, find_scenario
from courtyard.stores import open_operational
from courtyard.supervisor import Program, begin, end
from devices.store import registry as registry_rows
from devices.store.accounts import JUDGE, follower, read_booked
from devices.store.database import DatabaseAway, answering, reading, writing
from devices.store.journal import JournalReader
from simulators.scoring import NOT_INJECTED, OF_THE_RUN, PUBLISHED

HOST = "127.0.0.1"
TRUTH = "truth.jsonl"
HEARD_WITHIN_S = 90.0  # for ingest to start and its first probe to be judged
ENDED_WITHIN_S = 120.0  # beyond the scenario's duration, for the simulators to start and to end
JUDGED_WITHIN_S = 120.0  # after that: a probe comes every 5 s
LOOK_EVERY_S = 0.2

COURTYARD: tuple[str, ...] = (sys.executable, "-m", "courtyard")
# `chaos.misjudged` puts one with a bug in its place.
INGEST: tuple[str, ...] = (*COURTYARD, "ingest")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lived:
    """What a live run did besides raising faults.

    unaccounted: messages of the journal that are neither stored, duplicate nor quarantined, or are
    accounted for and are not in it. playing_s: by the wall clock; judging_s: from the end of the
    simulators until all that they sent was judged.
    """

    broker: str
    messages: int
    unaccounted: int
    playing_s: float
    judging_s: float


def run_live_graded(
    name: str, seed: int | None, keep: Path | None, *, in_json: bool, tell: Callable[[str], None]
) -> int:
    """Plays a scenario over a real broker, prints its score; FAILED where a figure is missed.

    keep: a directory that is new or empty, and stays; else all is thrown away.
    """
    scenario = find_scenario(name)
    if scenario.duration_ms is None:
        raise UsageError(f"--live: {name} has no duration, so it would never be graded")
    if scenario.ours:
        raise UsageError(f"--live: {name} has troubles of our own: only with --scenario")
    played = Staged(scenario, scenario.seed if seed is None else seed)
    kept = None if keep is None else _made(keep)
    stop, at_once = threading.Event(), threading.Event()

    def end_now() -> None:
        at_once.set()
        stop.set()

    stop_on_signals(stop, again=end_now)
    with ExitStack() as stack:
        directory = kept or _thrown_away(stack)
        lived = play_live(played, name, directory, stop, at_once, tell)
        graded = grade_lived(played, lived, directory)
    return tell_graded([graded], in_json=in_json)


def _made(keep: Path) -> Path:
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise UsageError(f"--keep: {keep} is not empty; name a new directory")
    except OSError as error:
        raise UsageError(f"--keep: {keep}: {error.strerror}; name a new directory") from None
    return keep.absolute()


def _thrown_away(stack: ExitStack) -> Path:
    made = tempfile.TemporaryDirectory(prefix="courtyard-live-")
    return Path(stack.enter_context(made))


# -- the run


def play_live(
    played: Staged,
    name: str,
    directory: Path,
    stop: threading.Event,
    at_once: threading.Event,
    tell: Callable[[str], None],
) -> Lived:
    """Runs everything until all was judged, and ends it.

    name: of the scenario, as `simulate` is to be told. at_once: what ends is not waited for. Raises
    CommandError for what ended early, `stop` above all.
    """
    duration_ms = played.scenario.duration_ms
    assert duration_ms is not None, "a scenario that is graded has an end"
    settings = Settings(data_dir=directory)
    with ExitStack() as stack:
        engine = open_operational(settings)
        stack.callback(engine.dispose)
        with writing(engine) as connection:
            registry_rows.save(connection, played.registry(), now_ms())
        broker = EmbeddedBroker(directory, _free_port())
        stack.callback(broker.stop)
        try:
            listens = broker.start()
        except BrokerUnavailable as error:
            raise CommandError(str(error)) from None
        environ = _environ(directory, f"mqtt://{listens.host}:{listens.port}")

        ingest = Program("ingest", [*INGEST, "--with-parent"])
        judging = stack.enter_context(_running(ingest, environ, at_once))
        waits = _Waits(ingest, judging, stop)
        waits.until(
            lambda: _watermark_ms(engine), HEARD_WITHIN_S, "no probe came back through the judge"
        )
        until = datetime.fromtimestamp((now_ms() + duration_ms) / 1000, UTC)
        tell(
            f"{played.name}, seed {played.seed}: {len(played.registry().devices)} devices play over"
            f" {listens.name} until {until:%H:%M:%S} UTC …"
        )

        began_s = time.monotonic()
        with _running(_simulators(name, played.seed, directory), environ, at_once) as playing:
            code = waits.until(playing.poll, duration_ms / 1000 + ENDED_WITHIN_S, "it plays on")
        if code != DONE:
            raise CommandError(f"`courtyard simulate` ended with exit code {code}; see its log")
        ended_ms, ended_s = now_ms(), time.monotonic()
        with JournalReader(settings.journal_path) as journal:
            messages = waits.until(
                lambda: _all_judged(engine, journal, ended_ms),
                JUDGED_WITHIN_S,
                "what was sent is not judged",
            )
        judged_s = time.monotonic()
        with reading(engine) as connection:
            booked = read_booked(connection)
        accounted = 0 if booked is None else sum(booked.counts.values())
    return Lived(
        listens.name,
        messages,
        abs(messages - accounted),
        playing_s=ended_s - began_s,
        judging_s=judged_s - ended_s,
    )


def _simulators(name: str, seed: int, directory: Path) -> Program:
    argv = [*COURTYARD, "simulate", "--scenario", name, "--seed", str(seed)]
    return Program("simulate", [*argv, "--truth", str(directory / TRUTH), "--with-parent"])


def _environ(directory: Path, broker_url: str) -> dict[str, str]:
    """Of the parts: nothing of the settings here but the form of logs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) or name == variable("log")
    }
    return kept | {
        variable("data_dir"): str(directory),
        variable("broker_url"): broker_url,
        variable("metrics_port"): str(_free_port()),
    }


def _free_port() -> int:
    with listen(HOST, 0) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _running(
    program: Program, environ: dict[str, str], at_once: threading.Event
) -> Iterator[Popen[bytes]]:
    process = begin(program, environ)
    try:
        yield process
    finally:
        end(program, process, at_once)


class _Waits:
    """Waits for what others do, as long as the part that everything hangs on lives."""

    def __init__(self, program: Program, process: Popen[bytes], stop: threading.Event) -> None:
        self._program = program
        self._process = process
        self._stop = stop

    def until(self, look: Callable[[], T | None], within_s: float, complaint: str) -> T:
        """The first thing that `look` gives. Raises CommandError."""
        deadline_s = time.monotonic() + within_s
        while (seen := look()) is None:
            if (code := self._process.poll()) is not None:
                name = self._program.name
                raise CommandError(f"`courtyard {name}` ended with exit code {code}; see its log")
            if self._stop.wait(LOOK_EVERY_S):
                raise CommandError("ended before its time: nothing is graded")
            if time.monotonic() > deadline_s:
                raise CommandError(f"not within {within_s:g} s: {complaint}; see the logs")
        return seen


def _watermark_ms(engine: Engine) -> int | None:
    """When the newest probe that the judge has seen was sent."""
    try:
        with answering(), reading(engine) as connection:
            judge = follower(connection, JUDGE)
    except DatabaseAway:
        return None  # it is being written to: look again
    return None if judge is None else judge.watermark_ms


def _all_judged(engine: Engine, journal: JournalReader, ended_ms: int) -> int | None:
    """How many messages the journal has, once every one of them is judged and no more will come."""
    watermark_ms = _watermark_ms(engine)
    if watermark_ms is None or watermark_ms < ended_ms:
        return None
    received = journal.head().jseq
    with reading(engine) as connection:
        judge = follower(connection, JUDGE)
    return received if judge is not None and judge.jseq == received else None


# -- and its score


def grade_lived(played: Staged, lived: Lived, directory: Path) -> Graded:
    """Grades the faults in the directory of a run by the truth in it. Raises CommandError."""
    truth = directory / TRUTH
    facts = read_truth(truth)
    span = span_of(facts, truth)
    sent = sum(
        int(fact.detail["acknowledged"]) + int(fact.detail["wills"])
        for fact in facts
        if fact.kind == PUBLISHED
    )
    engine = open_operational(Settings(data_dir=directory))
    try:
        scored = score_database(engine, facts, span)
    finally:
        engine.dispose()
    return Graded(
        played.name,
        played.seed,
        scored,
        [fact for fact in facts if fact.kind not in OF_THE_RUN],
        sum(fact.kind == NOT_INJECTED for fact in facts),
        lived.messages,
        lived.playing_s,
        lived.judging_s,
        broker=lived.broker,
        lost=max(0, sent - lived.messages),  # one that is sent again after a reconnect is no loss
        unaccounted=lived.unaccounted,
    )
