"""`courtyard simulate`: the fleet live, in real time, against the broker in use."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import structlog

from courtyard.broker_address import running_broker_url
from courtyard.clock import now_ms
from courtyard.errors import DONE, FAILED, CommandError, UsageError
from courtyard.settings import Settings
from courtyard.signals import stop_on_signals, stop_with_parent
from courtyard.simulation import Played, simulated_fact, tell_not_injected, truth_file
from simulators.publisher import BadBrokerUrl, Counters, LiveFleet
from simulators.scoring import PUBLISHED
from simulators.truth import Detail, Fact

STOP_S = 10.0
LOOK_EVERY_S = 0.5
TOLD_EVERY_S = 60.0

log = structlog.get_logger()


def run_live(
    settings: Settings,
    played: Played,
    lasts: timedelta | None,
    truth: Path | None,
    *,
    with_parent: bool,
) -> int:
    """Plays it until SIGTERM, SIGINT or the end of `lasts`; gives the exit code.

    A broker that is away is asked again until the end. Raises CommandError where none could be used
    in all that time.
    """
    if played.troubles(now_ms()):
        raise UsageError(f"--scenario: {played.name} has troubles of our own: only with --journal")
    stop = threading.Event()
    stop_on_signals(stop)
    if with_parent:
        stop_with_parent(stop)
    url = running_broker_url(settings)
    with truth_file(truth) as told:
        start_ms = now_ms()
        if lasts is not None:
            end_ms = start_ms + lasts // timedelta(milliseconds=1)
            told(simulated_fact(played, start_ms, end_ms))
        fleet = played.fleet(start_ms, told)
        try:
            live = LiveFleet(url, fleet, now_ms)
        except BadBrokerUrl as error:
            raise CommandError(f"COURTYARD_BROKER_URL: {error}") from None
        live.start()
        log.info("fleet_plays", connections=len(fleet.links), devices=len(fleet.registry.devices))
        crashed = _play(live, stop, None if lasts is None else lasts.total_seconds())
        try:
            live.stop(STOP_S)
        except Exception:
            log.exception("fleet_died")
            return FAILED
        tell_not_injected(fleet, told)
        counters = live.counters
        told(_published(played, start_ms, now_ms(), counters))
    log.info("fleet_ends", published=counters.published, acknowledged=counters.acknowledged)
    if crashed:
        return FAILED
    if lasts is not None and not stop.is_set() and not counters.acknowledged:
        raise CommandError(_silence(live, lasts))
    return DONE


def _published(played: Played, start_ms: int, end_ms: int, counters: Counters) -> Fact:
    """What the truth of a live run ends with: how much of it the broker has."""
    detail: Detail = {"acknowledged": counters.acknowledged, "wills": counters.cut}
    return Fact("published", PUBLISHED, played.name, start_ms, end_ms, detail)


def _silence(live: LiveFleet, lasts: timedelta) -> str:
    """Why nothing was published in all the time there was."""
    where = f"{live.broker.host}:{live.broker.port}"
    return (
        f"nothing was published in {lasts.total_seconds():g} s: no broker could be used at {where}"
        f" ({live.error or 'it has not answered yet'}); start it, or set COURTYARD_BROKER_URL"
    )


def _play(live: LiveFleet, stop: threading.Event, lasts_s: float | None) -> bool:
    """Until it is to end; True when the fleet ended by itself, which it never should."""
    began_s = told_s = time.monotonic()
    while lasts_s is None or time.monotonic() - began_s < lasts_s:
        if stop.wait(LOOK_EVERY_S):
            return False
        if live.wait(0):
            return True
        now_s = time.monotonic()
        if now_s - told_s >= TOLD_EVERY_S:
            told_s = now_s
            counters = live.counters
            log.info(
                "fleet",
                connected=counters.connected,
                published=counters.published,
                dropped=counters.dropped,
            )
    return False
