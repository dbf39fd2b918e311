"""How many messages a device may send, and what of the others counts all the same.

20 a second, 2,000 at once (reliability.md §3.2). A device has one number, the time at which its
allowance is whole again (GCRA): a message moves it by a fiftieth of a second, and one that finds it
100 s ahead is one too many. Receive time drives it, so judge and forward, which both read the same
journal, come to the same, however often they read it. What is charged are messages that could be
used and are no old copies; also those that turn out to be duplicates, which forward cannot know.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from devices.journal import LINK, PROBE, RETAINED, TICK, Record
from devices.messages import Decoded, Event, Item, Reading, Reason, Rejected, Report, Value
from devices.rules import Happened, Where
from ingest.judge.patterns import has
from ingest.judge.plan import PlannedSign, Plans
from ingest.judge.timing import TICKS_WITHOUT_PROBE

PER_S = 20
AT_ONCE = 2_000
STEP_MS = 1000 // PER_S
WHOLE_MS = AT_ONCE * STEP_MS  # from an allowance that is used up to one that is whole

_ANY_MS = 2**62
_DETAIL = f"more than {PER_S} messages a second"
_SESSIONS = ("session_start", "session_end")


class Allowance(msgspec.Struct, array_like=True):
    """Whether what comes is counted: not from link-up until caught up, for a backlog is no flood.

    Caught up is when the first probe sent since link-up has returned. link_ms: when the link came
    up, while we are not. ticks: how many since then. probed: a probe has returned at some time;
    where none ever did, the broker may forbid it, and some ticks must do.
    """

    link_ms: int | None = None
    ticks: int = 0
    probed: bool = False

    @property
    def step_ms(self) -> int:
        """By how much a message moves its device's number."""
        return STEP_MS if self.link_ms is None else 0

    @property
    def most_ms(self) -> int:
        """How far that number may be ahead of a message that is not too many."""
        return WHOLE_MS - STEP_MS if self.link_ms is None else _ANY_MS

    def control(self, kind: str, control: Mapping[str, int | bool | str]) -> None:
        """Take note of a control record."""
        if kind == PROBE:
            self.probed = True
        if kind == LINK and control["up"]:
            self.link_ms, self.ticks = int(control["at_ms"]), 0
        elif self.link_ms is not None:
            # earlier than the link: the clock was put back, and so is what a probe says of it
            self.link_ms = min(self.link_ms, int(control.get("at_ms", self.link_ms)))
            if kind == TICK and not self.probed:
                self.ticks += 1
            is_back = kind == PROBE and int(control["sent_ms"]) >= self.link_ms
            if is_back or self.ticks >= TICKS_WITHOUT_PROBE:
                self.link_ms = None

    def charged(self, whole_ms: int, received_ms: int) -> int | None:
        """A device's number after one more message; None if that is one too many."""
        ahead_ms = whole_ms - received_ms
        if ahead_ms > WHOLE_MS:  # farther than any message moves it: the clock was put back
            whole_ms = received_ms
        elif ahead_ms > self.most_ms:
            return None
        return max(whole_ms, received_ms) + self.step_ms


class Spared:
    """What is judged and stored of a message that is one too many: dangers and sessions.

    A danger is a value or an event that shows, by itself, a sign of the safety tier, and an event
    that ends one. A value that is well is none: with it, whatever a shed sends would be spared.
    """

    def __init__(self, plans: Plans) -> None:
        self._values: dict[str, dict[str, list[PlannedSign]]] = {kind: {} for kind in plans}
        self._events: dict[str, list[tuple[str, Where]]] = {}
        self._plans = plans
        for kind, plan in plans.items():
            signs = [sign for sign in plan.signs.values() if sign.safety]
            self._events[kind] = list(_events(signs))
            for child, quantities in plan.child.items():
                for name, quantity in quantities.items():
                    self._values[child][name] = [sign for sign in quantity.signs if sign.safety]

    def of(self, said: Decoded) -> Decoded:
        """The same message with these alone, the rest rejected; without any, quarantined.

        Leaves `said` as it is: others read it too.
        """
        items: list[Item] = []
        refused: list[Rejected] = []
        sender = said.device.id if said.device is not None else ""
        for item in said.items:
            reports = [
                Report(report.device, values)
                for report in item.reports
                if (values := self._dangers(report))
            ]
            events = [event for event in item.events if self._counts(event)]
            if reports or events:
                items.append(Item(item.at_ms, item.boot, item.seq, reports, events))
            if (
                item.status is not None
                or _size(item.reports) > _size(reports)
                or len(item.events) > len(events)
                or not (reports or events)
            ):
                refused.append(Rejected(Reason.RATE_LIMITED, sender, "", _DETAIL))
        spared = Decoded(
            said.device,
            items,
            refused + said.rejected,  # first why it is kept
            array=said.array,
            unknown=said.unknown,
        )
        if not items:
            spared.reason, spared.detail = Reason.RATE_LIMITED, _DETAIL
        return spared

    def _dangers(self, report: Report) -> dict[str, Value]:
        plan = self._plans.of(report.device)
        of_parent = self._values[report.device.kind]
        dangers: dict[str, Value] = {}
        for name, value in report.values.items():
            quantity = plan.of(name)
            own = quantity.signs if quantity is not None else ()
            for sign in (*own, *of_parent.get(name, ())):
                if not sign.safety or sign.raises is None or not sign.raises(value):
                    continue
                if sign.given is None:
                    dangers[name] = value
                elif report.values.get(sign.given[0]) in sign.given[1]:
                    dangers[name] = value
                    dangers[sign.given[0]] = report.values[sign.given[0]]
        return dangers

    def _counts(self, event: Event) -> bool:
        return event.type in _SESSIONS or any(
            event.type == name and has(event, where)
            for name, where in self._events[event.device.kind]
        )


class Limit:
    """The rates of all devices, for forward; the judge keeps each number with its device.

    whole_ms: of devices whose allowance is not whole; as many as there are devices at most.
    """

    def __init__(self, plans: Plans) -> None:
        self._spared = Spared(plans)
        self._allowance = Allowance()
        self._whole_ms: dict[str, int] = {}

    def use(self, plans: Plans) -> None:
        """From here on these say what is a danger."""
        self._spared = Spared(plans)

    def load(self, allowance: Allowance, whole_ms: Mapping[str, int]) -> None:
        """Go on from what was saved."""
        self._allowance = msgspec.structs.replace(allowance)
        self._whole_ms = dict(whole_ms)

    def saved(self, newest_ms: int) -> tuple[Allowance, dict[str, int]]:
        """All that matters to messages received after `newest_ms`."""
        self._whole_ms = {
            device: whole_ms for device, whole_ms in self._whole_ms.items() if whole_ms > newest_ms
        }
        return msgspec.structs.replace(self._allowance), dict(self._whole_ms)

    def allowed(
        self, record: Record, decoded: Sequence[Decoded | Reading]
    ) -> Sequence[Decoded | Reading]:
        """`decoded` as the judge takes it: of what is one too many, only what is spared."""
        if record.control is not None:
            self._allowance.control(record.kind, record.control)
            return decoded
        charged = self._allowance.charged
        whole_ms = self._whole_ms
        allowed: list[Decoded | Reading] | None = None
        for index, (raw, said) in enumerate(zip(record.messages, decoded, strict=True)):
            device = said.device
            if device is None or raw.flags & RETAINED:
                continue
            if type(said) is not Reading and said.reason is not None:
                continue
            after_ms = charged(whole_ms.get(device.id, 0), raw.received_ms)
            if after_ms is not None:
                whole_ms[device.id] = after_ms
                continue
            if allowed is None:
                allowed = list(decoded)  # others read these too
            whole = said.unfold() if type(said) is Reading else said
            allowed[index] = self._spared.of(whole)
        return decoded if allowed is None else allowed


def _events(signs: Iterable[PlannedSign]) -> Iterable[tuple[str, Where]]:
    """The events, with the fields that they must have, that show one of these signs or end it."""
    for sign in signs:
        if isinstance(sign.sign.detector, Happened):
            yield sign.sign.detector.event, sign.sign.detector.where
        for follows in sign.follows:
            yield follows.event, follows.where


def _size(reports: Iterable[Report]) -> int:
    return sum(len(report.values) for report in reports)
