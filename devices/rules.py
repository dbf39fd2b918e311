"""Fault rules as declarations: what is seen, for how long, how bad it is, whom it concerns.

A rule has signs; a sign is one way to see the fault. The fault is raised when any sign has held
for its delay, and is over when no sign holds any more. Nothing here looks at a clock or a value:
`ingest.judge` does.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from devices.messages import Value


class Severity(StrEnum):
    """IEC 62682 priorities as the district names them; P1 is the worst, so `min` is the worst."""

    P1 = "P1"  # 危急 critical
    P2 = "P2"  # 重要 major
    P3 = "P3"  # 一般 minor
    P4 = "P4"  # 提示 notice


class Party(StrEnum):
    """Who is expected to act."""

    PROPERTY = "property"
    VENDOR = "vendor"
    GRID = "grid"
    NETWORK = "network"
    RESIDENT = "resident"
    OPERATOR = "operator"  # whoever runs courtyard: the platform's own alarms only


_COMPARISON = re.compile(r"(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)|(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)")


def band(text: str) -> tuple[float, float]:
    """The closed interval that `text` spells: ">=70", "<187", or "198..242" (both ends included).

    Raises ValueError for anything else.
    """
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither a comparison like '>=70' nor a band like '198..242'")
    operator, level, low, high = match.groups()
    if operator is None:
        return float(low), float(high)
    bound = float(level)
    return {
        ">=": (bound, math.inf),
        "<=": (-math.inf, bound),
        ">": (math.nextafter(bound, math.inf), math.inf),
        "<": (-math.inf, math.nextafter(bound, -math.inf)),
    }[operator]


# What the fields of an event must be: a value, or one of several.
Where = Mapping[str, Value | tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Becomes:
    """An event's condition is over once `quantity` reads `clears` (a comparison, or values).

    after: only once it has read one of these since: a good cycle, not a state that merely stands.
    """

    quantity: str
    clears: str | tuple[Value, ...]
    after: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Follows:
    """An event's condition is over once this event is seen; `where` has the fields it must have.

    levels: bands in which its numbers must lie. times: it takes so many, with no new sign between.
    """

    event: str
    where: Where = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True, slots=True)
class Quiet:
    """The condition counts as over after so long without a new sign; 0: at once.

    For a gauge: without a new sample. Time counts only while the device is online, because its own
    silence is no quiet, and only while `given` (quantity, values) of the same device holds.
    """

    after_s: float
    given: tuple[str, tuple[Value, ...]] | None = None


Over = Becomes | Follows | Quiet


@dataclass(frozen=True, slots=True)
class Beyond:
    """A gauge beyond a level. Between `raises` and `clears` the last verdict stands (hysteresis).

    A second sample, taken after the delay, must still show it; a delay of 0 needs no second one.
    over: further ways to end, for boards that stop sending the quantity by design.
    given: it is judged only while (quantity, values) of the same device holds, and raises only if
    the device said so again between two samples that show it: a state may be told long after it
    changed. A sample of a charging session, up to its stop, is no evidence of what came after.
    every_s: once it was judged, samples that come sooner than this say nothing (a daily check).
    latched: once it is a fault no value ends it, only `over` does.
    """

    quantity: str
    raises: str
    clears: str
    over: tuple[Over, ...] = ()
    given: tuple[str, tuple[Value, ...]] | None = None
    every_s: float = 0.0
    latched: bool = False


@dataclass(frozen=True, slots=True)
class Equals:
    """A state that is sent on change. Values in neither tuple are unknown and change nothing.

    Instances of one quantity (`reader_online_1`, `_2`) are judged apart: any of them is a sign.
    of: the kind of child whose state it is, when the rule's subject is the parent.
    unless: (quantity, values) of the same device that excuse it.
    over: further ways to end, seen at the rule's subject, for boards that latch the state.
    passing: it is normal for a moment, so its delay must pass while the device is heard: not while
    it is falling silent, and anew when it is back.
    """

    quantity: str
    raises: tuple[Value, ...]
    clears: tuple[Value, ...]
    of: str | None = None
    unless: tuple[str, tuple[Value, ...]] | None = None
    over: tuple[Over, ...] = ()
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with these fields. over: what ends it; empty means that only a person does."""

    event: str
    where: Where = field(default_factory=dict)
    over: tuple[Over, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """A charging session that ended for one of these canonical stop reasons.

    On a shed's rule it is the end of a session at any of its ports.
    unread: it is a sign only while this quantity is unknown (no sample within three intervals).
    """

    reasons: tuple[str, ...]
    over: tuple[Over, ...] = ()
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class Silent:
    """No live contact for the silence limit, which is the delay itself.

    lighting_hours_only: a switched supply leaves lamps without power by day, silent and well.
    notice_delay_s: so long after it is raised people are told, for its root may be found meanwhile.
    """

    lighting_hours_only: bool = False
    notice_delay_s: float = 120.0


@dataclass(frozen=True, slots=True)
class NeverSeen:
    """No message at all for the delay, counted from its commissioning, or from its registration.

    Not while the device above it was never seen either.
    """


@dataclass(frozen=True, slots=True)
class Together:
    """Devices that fall silent together (domain.md §3.3), as `ingest.judge.roots` judges it.

    power: of a compound, with evidence that the power is gone; of a lamp, all on its supply circuit
    (`ingest.judge.circuits`). Without: behind a gateway.
    share: so many of those that were there. least: with fewer a share says little; 0: it does not
    count here. evidence_s: that evidence lies no farther from the first or the last onset.
    """

    power: bool
    share: float
    least: int = 0
    evidence_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """A value of a quantity marked `safety` that was refused, live: a real fire looks like that.

    Each quantity is a sign of its own, which is over once a valid value of it comes.
    """


@dataclass(frozen=True, slots=True)
class Missing:
    """Numbers of the device's own counter that did not come, while they may still come.

    Over once all have, or have fallen out of what is remembered, or two days after the last loss.
    """


@dataclass(frozen=True, slots=True)
class Changed:
    """A state that takes one of these values, having had another: only to be counted.

    Instances of the quantity are counted apart.
    """

    quantity: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """So many of one thing within a time, where a single one is no sign.

    of: what is counted, live and each once; its own `over` does not count. Refused values are
    counted by quantity, changes by instance, stops at a shed's ports by port.
    times: how many. within_s: all of them in so many seconds of event time; None: at any time.
    reports: or within so many of the device's intervals, where that is longer.
    distinct: the field of the event that tells them apart; two with the same value are one.
    consecutive: another event of this type, or another reason of a stop, counts anew.
    resets: events that count anew as well.
    over: what ends it; empty: for refused values a valid one, else only a person.
    The fault began with the first of them.
    """

    of: Happened | Stopped | Refused | Changed
    times: int
    within_s: float | None = None
    reports: int = 0
    distinct: str | None = None
    consecutive: bool = False
    resets: tuple[Follows, ...] = ()
    over: tuple[Over, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """A share of events that is too high: of those with `among`, those that have `where` too.

    raises, clears: bands of the share, 0 to 1; between them the last verdict stands. Both need at
    least `least` events: within the window to raise, else the newest ones. With a delay, an event
    after it must still show the share. without: events that have these fields do not count at all.
    """

    event: str
    among: Where
    where: Where
    raises: str
    clears: str
    least: int
    within_s: float
    without: Where = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unprompted:
    """A state that the device takes (from `before`) with nobody having asked for it.

    prompts: the events that ask for it, in the `last_s` before, or while what overtook them is
    waited for. silent: it is derived only while the device has never sent this quantity, its own
    alarm. unless: (quantity, values) that excuse it. Only for devices that tell of prompts at all.
    """

    quantity: str
    values: tuple[Value, ...]
    before: tuple[Value, ...]
    prompts: tuple[Follows, ...]
    last_s: float
    silent: str | None = None
    unless: tuple[str, tuple[Value, ...]] | None = None
    over: tuple[Over, ...] = ()


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Events, so many running, that no state followed within `answer_s`.

    event, where: what should have an effect. quantity, values: the state that is the effect.
    times: how many running. learned: so many running must have had their effect before, for not
    every device tells of it. Only while another device of its kind and compound is not so.
    Over with the next that has its effect.
    """

    event: str
    where: Where
    quantity: str
    values: tuple[Value, ...]
    times: int
    answer_s: float
    learned: int


@dataclass(frozen=True, slots=True)
class Returned:
    """An event that says why the device was silent before it: the fault was in that silence.

    dark_s: how long it must have lasted. The fault began with the last contact.
    """

    event: str
    where: Where
    dark_s: float
    over: tuple[Over, ...] = ()


@dataclass(frozen=True, slots=True)
class Fell:
    """A register of a child that fell within one order; told at the end of the order.

    Over, for that child, with the end of an order in which it did not.
    """

    quantity: str
    of: str


@dataclass(frozen=True, slots=True)
class Sparse:
    """Fewer than `share` of the reports expected in an hour in which the device was online.

    Not of an hour in which a root stood that explains a silence of it.
    Only of a device that numbers its messages and was heard to report as often as it should: not
    all have values to tell.
    Over once the hour has them, or 48 h after it, when its day is final.
    """

    share: float


@dataclass(frozen=True, slots=True)
class Unusual:
    """What the device does is not what is usual for it, or for its neighbours.

    `devices.baselines` says what is usual, and how `least` is meant: passages an hour, sessions a
    day, reports in a row, or per cent apart. The delay is how long it lasts before it is said.
    """

    quantity: str
    least: float


Detector = (
    Beyond
    | Equals
    | Happened
    | Stopped
    | Silent
    | NeverSeen
    | Together
    | Refused
    | Missing
    | Counted
    | Share
    | Unprompted
    | Unanswered
    | Returned
    | Fell
    | Sparse
    | Unusual
)


def ends(detector: Detector) -> tuple[Over, ...]:
    """The further ways in which a sign ends, as its detector declares them."""
    over: tuple[Over, ...] = getattr(detector, "over", ())
    return over


@dataclass(frozen=True, slots=True)
class Repeated:
    """The fault is worse when it is raised so often within a time: the severity from then on."""

    times: int
    within_s: float
    severity: Severity


@dataclass(frozen=True, slots=True)
class Sign:
    """One way to see a fault.

    severity, safety: the fault has the worst severity of the signs that held, and is of the safety
    tier if its rule or one of these signs is.
    only: attributes the device must have (`{"form": "barrier"}`); None: it must not have this one.
    worse: the severity when the evidence has this in it (`{"only_gate": Severity.P2}`).
    """

    detector: Detector
    severity: Severity
    delay_s: float
    safety: bool = False
    only: Mapping[str, Value | None] = field(default_factory=dict)
    worse: Mapping[str, Severity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the fault catalogue.

    kind: whose fault it is; "any", "compound" and "platform" are no device kinds.
    clear_delay_s: how long no sign may hold before the fault is over.
    acknowledge: the record closes only after a person has answered, also when it is over
    (of the safety tier always).
    signs: empty while the fault needs more than a threshold, a state, an event or silence.
    suspected: a guess from behaviour, never alerted as certain.
    repeated: raised so often, it is worse.
    """

    code: str
    kind: str
    zh: str
    en: str
    severity: Severity
    party: Party
    advice_zh: str
    advice_en: str
    signs: tuple[Sign, ...] = ()
    clear_delay_s: float = 0.0
    acknowledge: bool = False
    safety: bool = False
    suspected: bool = False
    repeated: Repeated | None = None
