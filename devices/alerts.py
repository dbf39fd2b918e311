"""Who is told of what: targets, the routes that lead to them, and what became of each notice.

An alert is a fault event on its way to a person. Nothing here sends or stores.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from devices.faults import NOTICED, Fault, FaultEvent, Held, State, Why
from devices.rules import Severity
from devices.words import Language as Language

TARGETS_AT_MOST = 500
ROUTES_AT_MOST = 2_000
# Of a fault that people were told of, they are told these as well.
ENDS = frozenset({Why.OVER, Why.CLOSED, Why.RETIRED, Why.RECLASSIFIED})
OLD_MS = 30 * 60_000  # older ones go into one digest, but for the safety tier


class ChannelName(StrEnum):
    """By which way a target is reached; each is a file in `alerts.channels`."""

    DINGTALK = "dingtalk"
    WECOM = "wecom"
    FEISHU = "feishu"
    EMAIL = "email"
    WEBHOOK = "webhook"
    ALERTMANAGER = "alertmanager"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"  # nobody was to be told; `reason` says why
    CANCELLED = "cancelled"  # it was to be told, and then no longer
    FAILED = "failed"  # given up; a person may try it again


@dataclass(frozen=True, slots=True)
class Target:
    """Where notices are sent. url, secret: never logged, never given out again.

    firm: whose it is; None: the district's operators'. url: of a robot or webhook, `mailto:` with
    addresses for e-mail. secrets: the newest first; all sign while one is being replaced.
    broken: what a person must mend before it is tried again.
    """

    id: str
    name: str
    channel: ChannelName
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    firm: str | None = None
    language: Language = Language.ZH
    created_by: str = ""
    created_at_ms: int = 0
    broken: str | None = None
    broken_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Which faults a target is told of; what is None is any."""

    id: str
    target: str
    firm: str | None = None
    compound: str | None = None
    kind: str | None = None
    code: str | None = None
    severities: tuple[Severity, ...] = ()
    created_by: str = ""
    created_at_ms: int = 0

    def leads(self, fault: Fault, firm: str | None) -> bool:
        """Whether it leads there for this fault. firm: which manages the fault's compound."""
        return (
            (self.firm is None or self.firm == firm)
            and (self.compound is None or self.compound == fault.compound)
            and (self.kind is None or self.kind == fault.kind)
            and (self.code is None or self.code == fault.code)
            and (not self.severities or fault.severity in self.severities)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """To whom an event goes; without targets `reason` says why to nobody."""

    targets: tuple[str, ...]
    reason: str | None = None


# Why nobody is told, beside `Held`.
NO_NEWS = "no_news"  # nobody was told of the fault, or its event says nothing that people act on
OVER_BEFORE = "over_before_notice"  # it was over before anybody was to be told
NO_ROUTE = "no_route"
OLDER = "older_than_target"
BACKFILLED = "history"


def decide(
    fault: Fault,
    event: FaultEvent,
    firm: str | None,
    routes: Iterable[Route],
    targets: Mapping[str, Target],
    told: frozenset[str],
) -> Decision:
    """Who is told of an event that is due.

    fault: as it is now. firm: which manages its compound. told: the targets to which an event of
    this fault has gone, or is on its way. Never raises: a decision not to tell has its reason.
    """
    is_news = event.reason in NOTICED
    if event.held is not None:
        return Decision((), event.held.value)
    if not is_news:
        known = tuple(sorted(told & targets.keys())) if event.reason in ENDS else ()
        return Decision(known) if known else Decision((), NO_NEWS)
    if fault.suppressed_by is not None and not fault.safety:
        return Decision((), Held.SUPPRESSED.value)
    if _is_over_before(fault, event) and not fault.safety:
        return Decision((), OVER_BEFORE)
    found = _reached(fault, firm, routes, targets)
    if not found:
        return Decision((), NO_ROUTE)
    new = tuple(name for name in found if targets[name].created_at_ms <= event.at_ms)
    return Decision(new) if new else Decision((), OLDER)


def _is_over_before(fault: Fault, event: FaultEvent) -> bool:
    """Whether it was over before people were to be told. What ended while nobody told anybody
    anything, because alerts was away, is still told: together with its end."""
    ended_ms = fault.closed_at_ms
    return (
        fault.state is State.CLOSED
        and event.notice_at_ms is not None
        and ended_ms is not None
        and ended_ms < event.notice_at_ms
    )


def _reached(
    fault: Fault, firm: str | None, routes: Iterable[Route], targets: Mapping[str, Target]
) -> list[str]:
    """Targets that may know of this fault and to which a route leads, each once."""
    found: dict[str, None] = {}
    for route in routes:
        target = targets.get(route.target)
        if target is None or not route.leads(fault, firm):
            continue
        if target.firm is not None and target.firm != firm:
            continue  # a firm's robot hears of its own compounds only, whatever a route says
        found[target.id] = None
    return list(found)
