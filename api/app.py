"""The application, put together from what it is given."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import (
    accounting,
    audit,
    compounds,
    deliveries,
    devices,
    documentation,
    errors,
    escalations,
    exclusions,
    faults,
    health,
    holidays,
    hours,
    kpis,
    links,
    maintenance,
    quarantine,
    registry,
    registry_imports,
    rosters,
    routing,
    rules,
    senders,
    sessions,
    sla,
    stream,
    summaries,
    targets,
    telemetry,
    tokens,
    usage,
    usage_corrections,
    users,
)
from api.attempts import Attempts
from api.audited import Audited, without_secrets
from api.bodies import Bounded
from api.compression import Compressed
from api.console import (
    account_pages,
    alert_pages,
    answer_pages,
    charging_pages,
    compound_pages,
    device_pages,
    display,
    duty_pages,
    escalation_pages,
    exclusion_pages,
    export_pages,
    fault_bulk,
    fault_filters,
    fault_pages,
    help_pages,
    holiday_pages,
    import_pages,
    ingestion,
    login,
    maintenance_calendar,
    maintenance_pages,
    oidc,
    overview_pages,
    pages,
    quarantine_pages,
    registry_device_pages,
    registry_pages,
    rule_pages,
    search_pages,
    sender_pages,
    session_pages,
    setup,
    shed_pages,
    summary_pages,
    token_pages,
    usage_correction_pages,
    user_pages,
)
from api.console.fault_parts import FaultParts
from api.console.last_day import LastDay
from api.console.live import Live
from api.console.ourselves import OurCopy
from api.console.overview import OverviewCopy
from api.console.overview_parts import OverviewParts
from api.exports import routes as export_routes
from api.last_use import LastUse
from api.metrics import Measured, Metrics
from api.pace import Pace
from api.parts import (
    REPORT_WAIT_S,
    REPORTS_AT_ONCE,
    REPORTS_WAITING,
    SERIES_AT_ONCE,
    SERIES_WAIT_S,
    SERIES_WAITING,
    TARGET_WAIT_S,
    TARGETS_AT_ONCE,
    TARGETS_WAITING,
    Dependencies,
    Parts,
    RegistryCopy,
)
from api.protection import Protected
from api.reports import routes as report_routes
from api.settled import SettledWeeks
from api.storable import Storable
from api.turns import Turns
from devices.store.hour_sums import HourSums
from devices.telemetry import TelemetryError

__all__ = ["Dependencies", "create_app"]

log = structlog.get_logger()

ROUTERS = (
    compounds.router,
    devices.router,
    faults.router,
    maintenance.router,
    hours.router,
    escalations.router,
    targets.router,
    rosters.router,
    routing.router,
    holidays.router,
    deliveries.router,
    links.router,
    summaries.router,
    usage.router,
    usage_corrections.router,
    exclusions.router,
    sessions.router,
    kpis.router,
    sla.router,
    report_routes.router,
    export_routes.router,
    telemetry.router,
    accounting.router,
    quarantine.router,
    registry.router,
    registry_imports.router,
    senders.router,
    rules.router,
    stream.router,
    health.router,
    documentation.router,
    audit.router,
    users.router,
    tokens.router,
    login.router,
    oidc.router,
    setup.router,
    display.router,
    help_pages.router,
    account_pages.router,
    user_pages.router,
    token_pages.router,
    registry_pages.router,
    registry_device_pages.router,
    import_pages.router,
    sender_pages.router,
    overview_pages.router,
    search_pages.router,
    compound_pages.router,
    fault_filters.router,
    fault_bulk.router,
    fault_pages.router,
    answer_pages.router,
    alert_pages.router,
    summary_pages.router,
    duty_pages.router,
    holiday_pages.router,
    escalation_pages.router,
    maintenance_pages.router,
    maintenance_calendar.router,
    charging_pages.router,
    usage_correction_pages.router,
    exclusion_pages.router,
    device_pages.router,
    session_pages.router,
    shed_pages.router,
    export_pages.router,
    ingestion.router,
    quarantine_pages.router,
    rule_pages.router,
)


def create_app(deps: Dependencies) -> FastAPI:
    """The API and the console over these parts. Nothing is opened before the first request.

    While it runs (its lifespan), one task looks for news for `/v1/stream`, one renders what open
    consoles show, one writes down when tokens were used, and one reads the last day for its
    charts. Open streams do not end by themselves: run it with `timeout_graceful_shutdown`.
    """
    registry = RegistryCopy(deps.clock)
    metrics = Metrics()
    news = stream.Stream(deps, registry)
    live = Live()
    metrics.listeners.set_function(lambda: news.listeners + live.listeners)
    last_use = LastUse(deps.engine)
    hour_sums = HourSums()
    last_day = LastDay(deps.engine, deps.clock, registry, hour_sums)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        forever = (news.run(), live.run(), last_use.run(), last_day.run())
        running = [asyncio.create_task(one) for one in forever]
        yield
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(last_use.write)

    app = FastAPI(
        title="Courtyard",
        summary="Devices, faults and usage of residential compounds.",
        version=deps.version,
        openapi_url=None,  # our own routes serve it, with a policy
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.parts = Parts(
        deps,
        registry,
        metrics,
        Turns("the telemetry store", SERIES_AT_ONCE, SERIES_WAITING, SERIES_WAIT_S),
        Turns("for reports", REPORTS_AT_ONCE, REPORTS_WAITING, REPORT_WAIT_S),
        Turns("to look at targets", TARGETS_AT_ONCE, TARGETS_WAITING, TARGET_WAIT_S),
        Pace(),
        Attempts(deps.monotonic),
        last_use,
    )
    app.state.ours = OurCopy(deps)
    app.state.overview = OverviewCopy(deps, registry, app.state.ours)
    app.state.overview_parts = OverviewParts(app.state.overview, last_day)
    app.state.last_day = last_day
    app.state.charging = charging_pages.ChargingCopy()
    app.state.hour_sums = hour_sums
    app.state.logins = oidc.Logins()
    app.state.account_days = ingestion.DaysCopy()
    app.state.settled = SettledWeeks()
    app.state.fault_parts = FaultParts(app.state.parts, app.state.ours)
    app.state.shed_parts = shed_pages.ShedParts(app.state.parts, app.state.ours)
    app.state.stream = news
    app.state.live = live
    for router in ROUTERS:
        # Not `include_router`: it hides the routes behind a router, out of sight of the test that
        # asks each of them for its policy.
        app.router.routes.extend(router.routes)
    _handle_errors(app)
    app.add_middleware(Storable, answer=_answer)
    app.add_middleware(Audited, engine=deps.engine, clock=deps.clock)
    app.add_middleware(Bounded)
    app.add_middleware(Compressed)
    app.add_middleware(Protected)
    app.add_middleware(Measured, metrics=metrics)
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(errors.Problem)
    async def problem(request: Request, error: errors.Problem) -> Response:
        return _answer(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return _answer(request, errors.of_http(error))

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Response:
        return _answer(request, errors.of_validation(error))

    @app.exception_handler(SQLAlchemyError)
    async def database(request: Request, error: SQLAlchemyError) -> Response:
        log.error("database_failed", path=without_secrets(request.url.path), error=str(error)[:300])
        return _answer(request, errors.of_database(error))

    @app.exception_handler(TelemetryError)
    async def store(request: Request, error: TelemetryError) -> Response:
        log.error(
            "telemetry_failed", path=without_secrets(request.url.path), error=str(error)[:300]
        )
        return _answer(request, errors.of_telemetry(error))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("request_failed", path=without_secrets(request.url.path), exc_info=error)
        return _answer(request, errors.Problem("An error of ours: the log of the API has it."))


def _answer(request: Request, problem: errors.Problem) -> Response:
    if not errors.wants_page(request):
        return errors.answer(problem)
    if isinstance(problem, errors.Unauthenticated) and request.method == "GET":
        return RedirectResponse(f"/login?next={request.url.path}", 303)
    return pages.problem_page(request, problem)
