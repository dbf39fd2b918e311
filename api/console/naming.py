"""What faults, compounds and moments are called on pages."""

from collections.abc import Mapping
from datetime import datetime

from api.instants import DISTRICT_ZONE
from api.words import Language, duration, named, say
from devices.catalogue import RULES
from devices.store.compounds import Entry


def fault_name(language: Language, code: str) -> str:
    rule = RULES.get(code)
    if rule is None:
        return code
    return rule.zh if language == "zh" else rule.en


def rough(language: Language, seconds: float) -> str:
    """A duration of one unit, for where there is little room: 11 min, 3 h."""
    for whole_s in (86_400, 3600, 60):
        if seconds >= whole_s:
            return duration(language, seconds // whole_s * whole_s)
    return duration(language, seconds)


def compound_name(language: Language, compounds: Mapping[str, Entry], compound: str | None) -> str:
    if compound is None:
        return say(language, "our_system")
    entry = compounds.get(compound)
    return compound if entry is None else named(language, entry.name)


def local_time(at_ms: int) -> str:
    """19:42:10, of the district."""
    return f"{datetime.fromtimestamp(at_ms / 1000, DISTRICT_ZONE):%H:%M:%S}"
