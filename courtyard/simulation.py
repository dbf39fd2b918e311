"""The simulated fleet on the command line: into a journal file here, live in `run_live`.

What is played is a District, by the options of the command line, or a Staged scenario file.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

import simulators
from courtyard.clock import now_ms
from courtyard.errors import DONE, CommandError, UsageError
from courtyard.registry import ERQI, bundled
from devices.registry import Registry
from devices.store import journal
from devices.store.journal import JournalWriter
from simulators.anomalies import DEMO, NONE, REAL, Rates
from simulators.diary import Diary
from simulators.fleet import Fleet
from simulators.history import Draft, Reception, write_history
from simulators.native import rfc3339
from simulators.ours import Trouble
from simulators.scenario import BadScenario, Scenario
from simulators.scenario import read as read_scenario
from simulators.scoring import NOT_INJECTED, SIMULATED
from simulators.truth import Detail, Fact, Truth, unseen, written_to

# What a year brings is some 80 things a day in the whole district; the demo's past has three times
# as many, its present about a hundred times.
RATES = {"none": NONE, "real": REAL, "history": REAL.times(3), "demo": DEMO}
SCENARIOS = Path(simulators.__file__).parent / "scenarios"
TOLD_EVERY = 0.05  # of the whole

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class District:
    """The default district, or a part of it. rates: a key of RATES."""

    compounds: int | None = None
    seed: int = 1
    vendors: float = 0.0
    rates: str = "real"

    @property
    def name(self) -> str:
        return ERQI

    def registry(self) -> Registry:
        return bundled(self.vendors, self.compounds)

    def fleet(self, start_ms: int, truth: Truth = unseen) -> Fleet:
        return Fleet(self.registry(), self.seed, start_ms, self.chosen_rates(), truth)

    def chosen_rates(self) -> Rates:
        return RATES[self.rates]

    def troubles(self, _start_ms: int) -> tuple[Trouble, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Staged:
    """A scenario file, played with its own seed or another."""

    scenario: Scenario
    seed: int

    @property
    def name(self) -> str:
        return self.scenario.name

    def registry(self) -> Registry:
        return self.scenario.registry()

    def fleet(self, start_ms: int, truth: Truth = unseen, diary: Diary | None = None) -> Fleet:
        return Fleet(
            self.registry(),
            self.seed,
            start_ms,
            RATES[self.scenario.rates].times(self.scenario.rates_times),
            truth,
            self.scenario.profile,
            self.scenario.injections(start_ms),
            diary,
        )

    def troubles(self, start_ms: int) -> tuple[Trouble, ...]:
        return self.scenario.troubles(start_ms)


Played = District | Staged


def find_scenario(name: str) -> Scenario:
    """The bundled scenario of that name, or the file. Raises UsageError, CommandError."""
    path = Path(name)
    if path.suffix != ".toml":
        path = SCENARIOS / f"{name}.toml"
        if not path.is_file():
            known = ", ".join([ERQI, *bundled_scenarios()])
            raise UsageError(f"--scenario: {name!r} is neither a .toml file nor one of: {known}")
    try:
        return read_scenario(path.read_text("utf-8"), str(path) if name.endswith(".toml") else name)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}; name a scenario file in UTF-8") from None
    except BadScenario as error:
        raise CommandError(str(error)) from None


def bundled_scenarios() -> list[str]:
    """Names of the scenarios that courtyard brings along."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def simulated_fact(played: Played, start_ms: int, end_ms: int) -> Fact:
    """What a truth file begins with: what was played, from when to when."""
    detail: Detail = {"scenario": played.name, "seed": played.seed}
    return Fact("simulated", SIMULATED, played.name, start_ms, end_ms, detail)


class JournalSink:
    """A journal as the simulators write it."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    def commit(self, drafts: Sequence[Draft]) -> None:
        self._writer.commit([journal.Draft(*draft) for draft in drafts])


def write_journal(
    played: Played, file: Path, start: datetime, duration: timedelta, truth: Path | None
) -> int:
    """Writes simulated time into a new journal. Raises CommandError if there is a file already."""
    if file.exists():
        raise CommandError(f"{file} is there already; name a new file, or remove that one")
    start_ms = round(start.timestamp() * 1000)
    end_ms = start_ms + duration // timedelta(milliseconds=1)
    played.registry()  # what cannot be played must leave no file behind
    with truth_file(truth) as told, JournalWriter(file, now_ms) as writer:
        told(simulated_fact(played, start_ms, end_ms))
        fleet = played.fleet(start_ms, told)
        written = write_history(
            fleet,
            start_ms,
            end_ms,
            JournalSink(writer),
            reception=Reception(fleet, start_ms, played.troubles(start_ms)),
            progress=told_in_steps(start_ms, end_ms),
        )
        tell_not_injected(fleet, told)
    log.info("journal_written", file=str(file), messages=written.messages, records=written.records)
    return DONE


def tell_not_injected(fleet: Fleet, truth: Truth) -> None:
    """Say which injections of a scenario found nobody: that run lacks what it was made for."""
    for number, injection in enumerate(fleet.not_injected, 1):
        whom = injection.device or injection.compound or "any"
        name, at_ms = f"not-injected-{number}", injection.at_ms
        truth(Fact(name, NOT_INJECTED, whom, at_ms, at_ms, {"fact": injection.kind}))
        log.warning(
            "not_injected",
            fact=injection.kind,
            at=rfc3339(injection.at_ms),
            why="nobody was found whom it could befall",
        )


@contextmanager
def truth_file(path: Path | None) -> Iterator[Truth]:
    """Where facts go: lines of a new file, or nowhere."""
    if path is None:
        yield unseen
        return
    with path.open("wb") as file:
        yield written_to(file)


def told_in_steps(start_ms: int, end_ms: int) -> Callable[[int], None]:
    """A progress function that logs every twentieth of the way."""
    told = 0.0

    def progress(at_ms: int) -> None:
        nonlocal told
        share = (at_ms - start_ms) / (end_ms - start_ms)
        if share - told >= TOLD_EVERY:
            told = share
            log.info("simulated", percent=round(100 * share))

    return progress
