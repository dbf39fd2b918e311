"""The entry: a scenario by its name, as a fleet, live or into a journal.

fleet = Fleet(scenario.registry("erqi", compounds=10), seed=1, start_ms=clock(), rates=DEMO)
scenario.play(fleet, "mqtt://localhost", clock, stop=stop)
scenario.write(fleet, end_ms, sink)
"""

import threading
from collections.abc import Callable, Mapping

from devices.registry import Registry
from simulators import erqi
from simulators.anomalies import DEMO, NONE, REAL, Rates
from simulators.fleet import Fleet
from simulators.history import PROBE_MS, HistorySink, Written, write_history
from simulators.publisher import Clock, Counters, LiveFleet

SCENARIOS: Mapping[str, Callable[[float], Registry]] = {"erqi": erqi.registry}
RATES: Mapping[str, Rates] = {"none": NONE, "real": REAL, "demo": DEMO}


class UnknownScenario(ValueError):
    """There is no scenario of this name; the text lists those that there are."""


def registry(name: str, *, compounds: int | None = None, vendors: float = 0.0) -> Registry:
    """The registry of a scenario, or of its first so many compounds. vendors: share, 0 to 1.

    Raises UnknownScenario, and ValueError for a share or number that makes no sense.
    """
    made = SCENARIOS.get(name)
    if made is None:
        raise UnknownScenario(f"no scenario {name!r}: there is {', '.join(SCENARIOS)}")
    whole = made(vendors)
    return whole if compounds is None else erqi.first(whole, compounds)


def play(
    fleet: Fleet,
    broker_url: str,
    clock: Clock,
    *,
    stop: threading.Event,
    until_ms: int | None = None,
    report: Callable[[Counters, str], None] = lambda _counters, _error: None,
    report_s: float = 5.0,
) -> Counters:
    """Live against a broker until `stop` is set or the clock reaches `until_ms`, then a clean end.

    The fleet must begin about now. report: is told every `report_s` seconds the counters, and why
    the broker cannot be reached, if it cannot. Raises BadBrokerUrl.
    """
    live = LiveFleet(broker_url, fleet, clock)
    live.start()
    try:
        while not stop.is_set():
            wait_s = report_s
            if until_ms is not None:
                wait_s = min(wait_s, (until_ms - clock()) / 1000)
            if wait_s <= 0 or stop.wait(wait_s) or live.wait(0):
                break
            report(live.counters, live.error)
    finally:
        live.stop()
    return live.counters


def write(
    fleet: Fleet,
    end_ms: int,
    sink: HistorySink,
    *,
    probe_ms: int = PROBE_MS,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """From the fleet's start to `end_ms` into a journal, with simulated receive times."""
    return write_history(
        fleet, fleet.start_ms, end_ms, sink, probe_ms=probe_ms, progress=progress, stop=stop
    )
