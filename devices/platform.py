"""Our own troubles as faults of kind `platform`: raised at once, over as soon as they are over.

They have neither compound nor device, so that operators alone see them. One stands open for each
subject and code; the subject is `platform`, or `platform:<what>` where several of one code may
stand at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from devices import faults
from devices.catalogue import RULES
from devices.faults import PLATFORM, Fault, State
from devices.rules import Severity

SESSION_LOST = "SYS_SESSION_LOST"
PROBE_LOST = "SYS_PROBE_LOST"
CLOCK_STEP = "SYS_CLOCK_STEP"
ACCOUNTS_IMBALANCE = "SYS_ACCOUNTS_IMBALANCE"
DISK = "SYS_DISK"
STORE_AWAY = "SYS_STORE_AWAY"
JUDGE_BEHIND = "SYS_JUDGE_BEHIND"
NOBODY_TOLD = "SYS_NOBODY_TOLD"

ACTIVE = (State.OPEN, State.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something of our own that is wrong at present.

    since_ms: when it began, as far as we know. severity: None for that of the catalogue.
    """

    code: str
    since_ms: int
    evidence: Mapping[str, object]
    severity: Severity | None = None
    subject: str = PLATFORM


def advance(
    standing: Fault | None, trouble: Trouble | None, now_ms: int, stream: str
) -> faults.Move | None:
    """What `trouble`, or that there is none, does to the newest fault of its subject and code.

    standing: None where there never was one. None: nothing changes.
    """
    is_active = standing is not None and standing.state in ACTIVE
    if trouble is None:
        return faults.end(standing, now_ms) if is_active and standing is not None else None
    rule = RULES[trouble.code]
    severity = trouble.severity or rule.severity
    if standing is not None and is_active:
        if severity > standing.severity:
            return faults.ease(standing, severity, now_ms, trouble.evidence)
        return faults.worsen(standing, severity, False, now_ms, trouble.evidence)
    if standing is not None and faults.may_reopen(standing, now_ms):
        return faults.reopen(standing, severity, False, now_ms, trouble.evidence)
    return faults.begin(
        rule,
        stream=stream,
        subject=trouble.subject,
        device=None,
        compound=None,
        severity=severity,
        safety=False,
        since_ms=trouble.since_ms,
        now_ms=now_ms,
        evidence=trouble.evidence,
    )
