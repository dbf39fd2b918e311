"""What is said to one target: one event of a fault, or a digest of many."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.alerts import Language
from devices.faults import Why
from devices.registry import Contact, Name
from devices.rules import Severity
from devices.summaries import Summary


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a fault with all that people want to know; times are UTC epoch ms.

    number: short and unlike any other, so that people see a repetition. reason: what happened.
    is_over: it was raised and is over already, and both are told at once. device: what it is
    called; where: building and unit. responsible: the party of its rule (`vendor`), or whoever it
    is in words. link: to the fault's page.
    """

    number: str
    fault: str
    reason: Why
    at_ms: int
    since_ms: int
    code: str
    name: Name
    severity: Severity
    safety: bool = False
    suspected: bool = False
    late: bool = False
    is_over: bool = False
    firm: str | None = None
    compound: str | None = None
    compound_name: Name | None = None
    timezone: str = "Asia/Shanghai"
    device: str | None = None
    device_name: str = ""
    kind: str = ""
    where: str = ""
    responsible: str = ""
    advice: Name = field(default_factory=lambda: Name("", ""))
    contacts: tuple[Contact, ...] = ()
    evidence: Mapping[str, object] = field(default_factory=dict)
    impact: Mapping[str, object] | None = None
    actor: str = ""
    note: str | None = None
    link: str | None = None
    level: int = 0
    unanswered_s: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """To one target. key: the same for each try. notices: one; more are a digest; none: a test, or
    a summary of the day.

    at_ms: now, of this try: signatures are made for it, and durations end with it. is_overnight:
    all of it was put off to the morning. console: its address, for the links of a summary.
    """

    key: str
    language: Language
    at_ms: int
    notices: tuple[Notice, ...] = ()
    is_overnight: bool = False
    summary: Summary | None = None
    console: str | None = None

    @property
    def is_test(self) -> bool:
        return not self.notices and self.summary is None

    @property
    def is_digest(self) -> bool:
        return len(self.notices) > 1
