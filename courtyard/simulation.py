"""The simulated fleet on the command line: into a journal file here, live in `run_live`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from courtyard.clock import now_ms
from courtyard.errors import DONE, CommandError, UsageError
from courtyard.registry import ERQI, bundled
from devices.registry import Registry
from devices.store import journal
from devices.store.journal import JournalWriter
from simulators.anomalies import DEMO, NONE, REAL, Rates
from simulators.fleet import Fleet
from simulators.history import Draft, write_history
from simulators.truth import Truth, unseen, written_to

# What a year brings is some 80 things a day in the whole district; the demo's past has three times
# as many, its present about a hundred times.
RATES = {"none": NONE, "real": REAL, "history": REAL.times(3), "demo": DEMO}
TOLD_EVERY = 0.05  # of the whole

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class District:
    """Which simulated district, and how it behaves. rates: a key of RATES."""

    scenario: str = ERQI
    compounds: int | None = None
    seed: int = 1
    vendors: float = 0.0
    rates: str = "real"

    def registry(self) -> Registry:
        """Raises UsageError for a scenario that there is not."""
        if self.scenario != ERQI:
            raise UsageError(f"--scenario: {self.scenario!r} is unknown; {ERQI} is the only one")
        return bundled(self.vendors, self.compounds)

    def fleet(self, start_ms: int, truth: Truth = unseen) -> Fleet:
        return Fleet(self.registry(), self.seed, start_ms, self.chosen_rates(), truth)

    def chosen_rates(self) -> Rates:
        return RATES[self.rates]


class JournalSink:
    """A journal as the simulators write it."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    def commit(self, drafts: Sequence[Draft]) -> None:
        self._writer.commit([journal.Draft(*draft) for draft in drafts])


def write_journal(
    district: District, file: Path, start: datetime, duration: timedelta, truth: Path | None
) -> int:
    """Writes simulated time into a new journal. Raises CommandError if there is a file already."""
    if file.exists():
        raise CommandError(f"{file} is there already; name a new file, or remove that one")
    start_ms = round(start.timestamp() * 1000)
    end_ms = start_ms + duration // timedelta(milliseconds=1)
    district.registry()  # a wrong scenario must leave no file behind
    with truth_file(truth) as told, JournalWriter(file, now_ms) as writer:
        fleet = district.fleet(start_ms, told)
        written = write_history(
            fleet, start_ms, end_ms, JournalSink(writer), progress=told_in_steps(start_ms, end_ms)
        )
    log.info("journal_written", file=str(file), messages=written.messages, records=written.records)
    return DONE


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
