"""Whether this process lives, whether the whole is ready, and figures for Prometheus."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog
from fastapi import APIRouter
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from api.identity import EVERYONE
from api.instants import print_known
from api.parts import JournalAway, JournalView, PartsOf
from devices.faults import Fault
from devices.journal import PROBE
from devices.store.accounts import FORWARD, JUDGE, Follower, Forwarded, follower, forwarded
from devices.store.alerts_health import AlertsHealth, read_health
from devices.store.database import reading
from devices.store.faults import Filter, list_faults, open_by_severity
from devices.store.progress import HISTORY, under_way
from devices.store.scope import DISTRICT
from devices.telemetry import Retry

log = structlog.get_logger()

PROBE_WITHIN_MS = 15_000
LAG_BELOW_MS = 60_000
STORE_LAG_BELOW_MS = 60_000
PAGE = 64  # records
PAGES = 8  # so far we look back for a probe: at 100 records a second there is one in the last 500
SEVERITIES = ("P1", "P2", "P3", "P4")

_PAUSED = {
    Retry.LATER: "does not answer",
    Retry.AFTER_REPAIR: "refuses us: repair token, organisation or bucket",
    Retry.NEVER: "refuses a point",  # it is put aside at once, and forwarding goes on
}

router = APIRouter(tags=["health"], dependencies=[EVERYONE])


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that readiness depends on; or, if it only degrades, one that it does not."""

    name: str
    ok: bool
    detail: str
    degrades: bool = False


@router.get("/livez")
def live() -> Response:
    """200 while this process answers."""
    return _json({"status": "live"}, 200)


@router.get("/readyz")
def ready(parts: PartsOf) -> Response:
    """200 while a probe of our own came back lately and the judge keeps up; else 503.

    The body names every check. What stands under `degraded` does not make it 503. `history` is
    there while a simulated past is being filled in.
    """
    now_ms = parts.now_ms()
    try:
        with reading(parts.deps.engine) as connection:
            judge = follower(connection, JUDGE)
            forward = follower(connection, FORWARD)
            answered = forwarded(connection)
            history = under_way(connection, HISTORY)
            ours = list_faults(connection, DISTRICT, Filter(kind="platform", is_open=True))
            alerts = read_health(connection, DISTRICT, now_ms)
    except SQLAlchemyError as error:
        log.warning("database_away", error=type(error).__name__)
        checks = [Check("database", False, "does not answer")]
        history = None
    else:
        checks = [
            Check("database", True, "answers"),
            _probe(_returned_ms(parts.deps.journal), judge, now_ms),
            _lag(judge, now_ms),
            _store(judge, forward, answered, now_ms),
            _alerts(alerts),
            _alarms(ours),
        ]
    is_ready = all(check.ok for check in checks if not check.degrades)
    degraded = [check.name for check in checks if check.degrades and not check.ok]
    body: dict[str, object] = {
        "status": ("degraded" if degraded else "ready") if is_ready else "not_ready",
        "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in checks},
        "degraded": degraded,
    }
    if history is not None:
        body["history"] = {"done": history.done, "total": history.total, "unit": "hours"}
    return _json(body, 200 if is_ready else 503)


@router.get("/metrics")
def metrics(parts: PartsOf) -> Response:
    """Figures in Prometheus' text format."""
    own = parts.metrics
    try:
        with reading(parts.deps.engine) as connection:
            counts = open_by_severity(connection, DISTRICT)
    except SQLAlchemyError as error:
        own.open_faults.clear()  # unknown is not 0
        log.warning("database_away", error=type(error).__name__)
    else:
        for severity in SEVERITIES:
            found = sum(by_severity.get(severity, 0) for by_severity in counts.values())
            own.open_faults.labels(severity).set(found)
    return Response(generate_latest(own.registry), media_type=CONTENT_TYPE_LATEST)


def lag_ms(judge: Follower | None, now_ms: int) -> int | None:
    """How far the judge is behind: the age of the newest probe it has seen. None: none yet."""
    if judge is None or judge.watermark_ms is None:
        return None
    return max(0, now_ms - judge.watermark_ms)


def _returned_ms(journal: JournalView | None) -> int | None:
    """When the newest probe came back, as the journal says; None if it is not among its newest."""
    if journal is None:
        return None
    try:
        end = journal.head().id
        for _ in range(PAGES):
            after = begin = max(0, end - PAGE)
            newest: int | None = None
            while after < end:
                records = journal.read(after, end - after)
                if not records:
                    break
                for record in records:
                    if record.kind == PROBE and record.control is not None:
                        newest = int(record.control["at_ms"])
                after = records[-1].id
            if newest is not None or begin == 0:
                return newest
            end = begin
    except JournalAway:
        pass
    return None


def _probe(returned_ms: int | None, judge: Follower | None, now_ms: int) -> Check:
    """By the journal, so that a judge that is behind is not taken for a broker that is away.

    Where the journal cannot tell, by the newest probe that the judge has seen.
    """
    if returned_ms is not None:
        ok = now_ms - returned_ms <= PROBE_WITHIN_MS
        return Check("probe", ok, f"the newest came back at {print_known(returned_ms)}")
    lag = lag_ms(judge, now_ms)
    if lag is None:
        return Check("probe", False, "no probe has come back through broker, journal and judge yet")
    seen = print_known(judge.watermark_ms if judge is not None else None)
    return Check("probe", lag <= PROBE_WITHIN_MS, f"the newest was sent at {seen}")


def _lag(judge: Follower | None, now_ms: int) -> Check:
    lag = lag_ms(judge, now_ms)
    if lag is None:
        return Check("judge", False, "has judged nothing yet")
    return Check("judge", lag < LAG_BELOW_MS, f"{lag / 1000:.1f} s behind")


def _store(
    judge: Follower | None, forward: Follower | None, answered: Forwarded | None, now_ms: int
) -> Check:
    if judge is None:
        return Check("telemetry", True, "nothing to forward yet", degrades=True)
    waiting = judge.position - (forward.position if forward is not None else 0)
    since_ms = now_ms - (forward.updated_at_ms if forward is not None else 0)
    paused = answered.paused if answered is not None else None
    ok = paused is None and (waiting <= 0 or since_ms < STORE_LAG_BELOW_MS)
    detail = f"{max(0, waiting)} records behind the judge"
    if paused is not None:
        detail = f"{_PAUSED[paused]}; {detail}"
    return Check("telemetry", ok, detail, degrades=True)


def _alerts(alerts: AlertsHealth) -> Check:
    """Whether somebody follows the faults and tells people; that it is stuck stops nothing else."""
    if alerts.seen_ms is None:
        detail = "has not run yet"
    elif alerts.is_missing:
        detail = f"has decided on nothing since {print_known(alerts.seen_ms)}"
    else:
        detail = f"{alerts.behind_ms / 1000:.1f} s behind"
    if alerts.targets:
        detail += f"; {alerts.broken} of {alerts.targets} targets broken"
    else:
        detail += "; there is no target"
    return Check("alerts", not alerts.is_missing and not alerts.broken, detail, degrades=True)


def _alarms(ours: Sequence[Fault]) -> Check:
    """Our own troubles, as ingest wrote them down; what stops us stops another check as well."""
    codes = sorted({fault.code for fault in ours})
    detail = ", ".join(codes) or "none of our own stands"
    return Check("alarms", not codes, detail, degrades=True)


def _json(body: object, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(
        msgspec.json.encode(body), status, headers=headers, media_type="application/json"
    )
