"""Why something was not done about a fault, in words: who was faster, or what forbids it."""

from sqlalchemy import Connection

from api.words import Language, duration, say
from devices import faults
from devices.faults import Fault, FaultEvent, Why
from devices.store.faults import newest_events

LOOKED_AT = 20  # events, for the one that changed what could be done
# Of these people are told that they came first; a comment keeps nobody from anything.
_CHANGES = frozenset(
    {
        Why.ACKNOWLEDGED,
        Why.CLOSED,
        Why.OVER,
        Why.ONSITE,
        Why.REPAIRED,
        Why.CONFIRMED,
        Why.UNSHELVED,
        Why.SHELF_ENDED,
        Why.WORSENED,
        Why.REOPENED,
        Why.RETIRED,
        Why.HISTORY_ENDS,
    }
)


def why_not(
    language: Language, connection: Connection, fault: Fault, action: str, now_ms: int
) -> str:
    """Why this action was refused for the fault as it is now."""
    if action == "shelve" and fault.safety:
        return say(language, "safety_stays")
    if action == "shelve" and fault.kind == faults.PLATFORM:
        return say(language, "ours_stays")
    for event in newest_events(connection, fault.id, LOOKED_AT):
        if event.reason in _CHANGES:
            return faster(language, event, now_ms)
    return say(language, "fw_not_so", state=say(language, f"s_{fault.state}"))


def faster(language: Language, event: FaultEvent, now_ms: int) -> str:
    """Who came first, with what, and how long ago."""
    age = duration(language, max(1.0, (now_ms - event.at_ms) / 1000))
    what = say(language, f"fw_v_{event.reason}")
    if event.actor == faults.SYSTEM:
        return say(language, "fw_system_first", what=what, age=age)
    return say(language, "fw_first", what=what, age=age, who=event.actor)
