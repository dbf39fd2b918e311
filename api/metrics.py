"""The API's own figures, and the middleware that takes them."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAMS = (
    "/v1/stream",
    "/parts/overview/live",
    "/parts/faults/live",
    "/parts/sheds/live",
)


class Metrics:
    """The API's own figures, in a registry of their own: two applications do not share any."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "courtyard_api_requests",
            "Requests answered, by route, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "courtyard_api_request_seconds",
            "Time to the end of the answer, by route; without streams",
            ["route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.listeners = Gauge(
            "courtyard_api_stream_listeners", "Open server-sent streams", registry=self.registry
        )
        self.open_faults = Gauge(
            "courtyard_faults_open",
            "Live faults neither closed nor suppressed, by severity",
            ["severity"],
            registry=self.registry,
        )


class Measured:
    """Counts and times every answer under its route's path, so that no id becomes a label."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, scope["method"], str(status)).inc()
            if route not in STREAMS:
                self._metrics.seconds.labels(route).observe(time.perf_counter() - begun_s)
