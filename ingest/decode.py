"""One PUBLISH as it arrived -> what it says. The same function for the judge and for forward.

An adapter reads the wire format; whether a value is one that its kind of device can have is decided
here, in one place for all formats.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from devices.credentials import Seal
from devices.journal import OVERSIZE, Raw
from devices.kinds import KINDS
from devices.kinds.kind import EventType, Field, Kind
from devices.messages import BadMessage, Decoded, Event, Item, Reading, Reason, Report, Value
from devices.quantities import MAX_EXACT, BadValue, Quantity, Type
from devices.registry import Device, Registry
from ingest.adapters import ADAPTERS, Adapter, Place, Refused
from ingest.adapters.adapter import MAX_TEXT, flaw, list_unknown, refuse, shown

MAX_PAYLOAD_BYTES = 64 * 1024

# Bounds of the caches; beyond them decoding goes on, only slower.
MIN_PLACES = 32_768
MAX_NAMES = 4_096  # of quantities of one kind, instances (`stream_ok_3`) included

_FOREVER_MS = 2**63

_Check = tuple[type, Any, Any]
_EventChecks = tuple[dict[str, _Check], frozenset[str], frozenset[str]]  # required, secret
Calm = tuple[float, float] | frozenset[Value] | None


class _Word:
    """Stands for the class of a word, which is no range of strings but one of some."""


class _Text:
    """Stands for the class of free text, of which the length is limited."""


class _Known(NamedTuple):
    """A topic that was looked up. until_ms: when its device was taken out of service."""

    read: Callable[[bytes, Place], Decoded | Reading]
    place: Place
    until_ms: int
    garbled: Reason


class Decoder:
    """Decodes against one registry; a new registry is a new Decoder.

    Pure but for its caches, and not to be shared between threads.
    calm: where a quantity of a kind raises nothing: a range, some words, or None for anywhere.
    Without it, no reading is told to be calm. seal: replaces what tells people apart; without it,
    that is left out.
    """

    def __init__(
        self,
        registry: Registry,
        adapters: Mapping[str, Adapter] = ADAPTERS,
        kinds: Mapping[str, Kind] = KINDS,
        calm: Callable[[str, str], Calm] | None = None,
        seal: Seal | None = None,
    ) -> None:
        self._registry = registry
        self._seal = seal
        self._kinds = kinds
        self._calm = calm if calm is not None else lambda _kind, _quantity: None
        self._knows_rules = calm is not None
        self._calm_checks: dict[str, dict[str, _Check]] = {kind: {} for kind in kinds}
        self._filters = [
            (filter_.split("/"), adapter)
            for adapter in adapters.values()
            for filter_ in adapter.filters
        ]
        self._places: dict[bytes, _Known] = {}
        self._max_places = max(MIN_PLACES, 4 * len(registry.devices))
        self._checks: dict[str, dict[str, _Check]] = {
            kind: {} for kind in {device.kind for device in registry.devices.values()}
        }
        self._event_checks: dict[tuple[str, str], _EventChecks] = {}
        self._retired_ports = {
            device
            for device in registry.devices.values()
            if device.kind == "port" and device.decommissioned_at_ms is not None
        }

    def decode(self, raw: Raw) -> Decoded:
        """What `raw` says; whatever its bytes are, an answer and never an exception.

        Parts that cannot be used are in `rejected`, the others are kept. Null is unknown and left
        out; a report without any value is left out too, so that an item may be a bare sign of life.
        """
        said = self.read(raw)
        return said.unfold() if type(said) is Reading else said

    def read(self, raw: Raw) -> Decoded | Reading:
        """`decode`, with the usual message in its short form."""
        topic, payload, flags, received_ms, _ = raw
        known = self._places.get(topic)
        if known is None:
            return self._decode_slowly(raw)
        read, place, until_ms, garbled = known
        if received_ms >= until_ms or flags & OVERSIZE:
            return self._decode_slowly(raw)
        if len(payload) > MAX_PAYLOAD_BYTES:
            return _quarantined(Reason.TOO_LARGE, f"{len(payload)} bytes", place.device)
        try:
            said = read(payload, place)
            if type(said) is Reading:
                # Within the calm range of each value, which lies within the valid one.
                values: dict[str, Any] = said.values
                checks = self._calm_checks[place.device.kind]
                try:
                    for name, value in values.items():
                        expected, low, high = checks[name]
                        if type(value) is expected and low <= value <= high:
                            continue
                        if expected is _Word and type(value) is str and value in low:
                            continue
                        if expected is float and type(value) is int and low <= value <= high:
                            values[name] = float(value)  # JSON has 20 for 20.0
                            continue
                        break
                    else:
                        said.calm = self._knows_rules
                        return said
                except KeyError:  # a name that was not compiled yet, or never will be
                    pass
            decoded = said.unfold() if type(said) is Reading else said
            # The fast form of `_sort_out`, 0.7 µs for five values instead of 6; a test holds both
            # equal. A message that is fast in all of its way takes 2.5 µs.
            usual = not decoded.rejected
            calm = self._knows_rules
            retired = self._retired_ports
            for item in decoded.items:
                for event in item.events:
                    if not self._is_usual(event):
                        usual = False
                for report in item.reports:
                    if retired and report.device in retired:
                        usual = False
                    values = report.values
                    kind = report.device.kind
                    checks = self._calm_checks[kind]
                    try:
                        for name, value in values.items():
                            expected, low, high = checks[name]
                            if type(value) is expected and low <= value <= high:
                                continue
                            if expected is _Word and type(value) is str and value in low:
                                continue
                            if expected is float and type(value) is int and low <= value <= high:
                                values[name] = float(value)
                                continue
                            break
                        else:
                            continue
                    except KeyError:
                        pass
                    calm = False
                    checks = self._checks[kind]
                    try:
                        for name, value in values.items():
                            expected, low, high = checks[name]
                            if type(value) is expected and low <= value <= high:
                                continue
                            if expected is _Word:
                                if type(value) is str and value in low:
                                    continue
                            elif expected is float and type(value) is int and low <= value <= high:
                                values[name] = float(value)
                                continue
                            usual = False
                            break
                    except KeyError:  # a name that was not compiled yet, or never will be
                        usual = False
            decoded.calm = calm and usual and _is_one_report(decoded)
            return decoded if usual else self._sort_out(decoded, received_ms)
        except BadMessage as bad:
            return _quarantined(bad.reason, bad.detail, bad.device or place.device)
        except Exception as error:  # noqa: BLE001 - a bug in an adapter costs one message, not all
            return _quarantined(garbled, _described(error), place.device)

    def _is_usual(self, event: Event) -> bool:
        """The fast form of `_is_event` for an event that can stay as it is."""
        compiled = self._event_checks.get((event.device.kind, event.type))
        if compiled is None or event.device in self._retired_ports:
            return False
        checks, required, secrets = compiled
        attributes = event.attributes
        for name, value in attributes.items():
            check = checks.get(name)
            if check is None:
                return False
            expected, low, high = check
            if expected is _Word:
                if type(value) is not str or value not in low:
                    return False
            elif expected is _Text:
                if type(value) is not str or len(value) > high or not value.isprintable():
                    return False
            elif type(value) is not expected or not low <= value <= high:
                return False
        if required <= attributes.keys():
            if secrets and not secrets.isdisjoint(attributes):
                event.attributes = self._sealed(event.device, attributes, secrets)
            return True
        return False

    def _sealed(
        self, device: Device, attributes: Mapping[str, Value], secrets: Collection[str]
    ) -> dict[str, Value]:
        """Without anything that tells people apart."""
        seal, sealed = self._seal, dict(attributes)
        for name in secrets:
            if name in sealed:
                plain = sealed.pop(name)
                if seal is not None:
                    sealed[name] = seal(device.compound, str(plain))
        return sealed

    def _decode_slowly(self, raw: Raw) -> Decoded | Reading:
        """What is not answered from the cache: new topics, stubs, devices out of service."""
        try:
            known = self._places.get(raw.topic) or self._look_up(raw.topic)
        except BadMessage as bad:
            if raw.flags & OVERSIZE:
                return _quarantined(Reason.TOO_LARGE, "over 64 KiB", bad.device)
            return _quarantined(bad.reason, bad.detail, bad.device)
        except Exception as error:  # noqa: BLE001 - as in `decode`
            return _quarantined(Reason.BAD_TOPIC, _described(error), None)
        device = known.place.device
        if raw.flags & OVERSIZE:
            return _quarantined(Reason.TOO_LARGE, "over 64 KiB", device)
        if raw.received_ms >= known.until_ms:
            return _quarantined(Reason.UNKNOWN_DEVICE, f"{device.id} is out of service", None)
        return self.read(raw)

    def _look_up(self, topic: bytes) -> _Known:
        try:
            text = topic.decode()
        except UnicodeDecodeError as error:
            raise BadMessage(Reason.BAD_TEXT, f"topic {topic[:80]!r}: {error.reason}") from error
        if "\0" in text:
            raise BadMessage(Reason.BAD_TEXT, f"topic {topic[:80]!r} contains NUL")
        levels = text.split("/")
        adapter = next((a for filter_, a in self._filters if _matches(filter_, levels)), None)
        if adapter is None:
            raise BadMessage(Reason.BAD_TOPIC, f"no format has the topic {text[:120]!r}")
        place = adapter.place(text, self._registry)
        retired_ms = place.device.decommissioned_at_ms
        until_ms = _FOREVER_MS if retired_ms is None else retired_ms
        known = _Known(adapter.read, place, until_ms, adapter.garbled)
        if len(self._places) >= self._max_places:
            self._places.clear()  # some formats spell one topic in many ways
        self._places[topic] = known
        return known

    def _sort_out(self, decoded: Decoded, received_ms: int) -> Decoded:
        """The exact form: everything is checked, also what the fast form let through."""
        for item in decoded.items:
            item.reports = [
                report
                for report in item.reports
                if self._in_service(report.device, received_ms, decoded)
                and self._checked(report, decoded)
            ]
            item.events = [
                event for event in item.events if self._is_event(event, received_ms, decoded)
            ]
        if not decoded.rejected:
            return decoded
        decoded.items = [item for item in decoded.items if _says_something(item)]
        if not decoded.items:
            # what is wrong with a value says more than what is wrong with a time stamp
            telling = next((r for r in decoded.rejected if r.quantity), decoded.rejected[0])
            decoded.reason, decoded.detail = telling.reason, telling.detail
        return decoded

    def _in_service(self, device: Device, received_ms: int, decoded: Decoded) -> bool:
        retired_ms = device.decommissioned_at_ms
        if retired_ms is None or received_ms < retired_ms:
            return True
        why = Refused(Reason.UNKNOWN_DEVICE, f"{device.id} is out of service")
        refuse(decoded, why, device.id)
        return False

    def _checked(self, report: Report, decoded: Decoded) -> bool:
        """Leaves only good values in `report`; False if none is left."""
        device = report.device
        sent: dict[str, Any] = report.values
        values: dict[str, Value] = {}
        for name, value in sent.items():
            quantity = self._quantity(device.kind, name)
            if quantity is None:
                list_unknown(decoded, {name: value}, device.id)
                continue
            if value is None or (quantity.null is not None and value == quantity.null):
                continue
            try:
                values[name] = _fit(name, value, quantity.check)
            except BadValue as bad:
                refuse(decoded, Refused(bad.reason, str(bad)), device.id, shown(name))
        report.values = values
        return bool(values)

    def _quantity(self, kind_name: str, name: str) -> Quantity | None:
        kind = self._kinds.get(kind_name)
        quantity = kind.quantity(name) if kind is not None else None
        if quantity is not None:
            checks = self._checks[kind_name]
            if name not in checks and len(checks) < MAX_NAMES:
                check = _compiled(quantity)
                if check is not None:
                    checks[name] = check
                    calm = _calmed(check, self._calm(kind_name, name))
                    if calm is not None:
                        self._calm_checks[kind_name][name] = calm
        return quantity

    def _is_event(self, event: Event, received_ms: int, decoded: Decoded) -> bool:
        """Leaves only good attributes in `event`; False if it cannot be kept."""
        sender = event.device
        found = self._event_type(event)
        if isinstance(found, Refused):
            refuse(decoded, found, sender.id)
            return False
        if not self._in_service(event.device, received_ms, decoded):
            return False
        attributes: dict[str, Value] = {}
        unknown = {}
        for name, value in event.attributes.items():
            field = found.fields.get(name)
            if field is None:
                unknown[name] = value
            elif value is not None:
                try:
                    if field.secret:  # what is refused is told without it
                        is_fit = isinstance(value, int | float) or flaw(value) is None
                        attributes[name] = field.check(value if is_fit else None)
                    else:
                        attributes[name] = _fit(name, value, field.check)
                except BadValue as bad:
                    why = Refused(bad.reason, f"{event.type}: {bad}")
                    refuse(decoded, why, event.device.id)
        list_unknown(decoded, unknown, event.device.id)
        missing = [name for name in _required(found) if name not in attributes]
        if missing:
            why = Refused(Reason.BAD_TYPE, f"{event.type} without {', '.join(missing)}")
            refuse(decoded, why, event.device.id)
            return False
        secrets = [name for name, field in found.fields.items() if field.secret]
        event.attributes = self._sealed(event.device, attributes, secrets)
        return True

    def _event_type(self, event: Event) -> EventType | Refused:
        """What `event` is; one of a socket is moved from its shed, whose message carries it."""
        device = event.device
        kind = self._kinds.get(device.kind)
        if kind is not None and event.type in kind.events:
            found = kind.events[event.type]
            self._event_checks[device.kind, event.type] = (
                {name: _compiled_field(field) for name, field in found.fields.items()},
                frozenset(_required(found)),
                frozenset(name for name, field in found.fields.items() if field.secret),
            )
            return found
        port_kind = self._kinds.get("port")
        if device.kind != "shed" or port_kind is None or event.type not in port_kind.events:
            detail = f"a {device.kind} has no event {shown(event.type)!r}"
            return Refused(Reason.OUT_OF_RANGE, detail)
        port_no = event.attributes.get("port_no")
        why = flaw(port_no)
        if why is not None:
            return Refused(why.reason, f"port_no: {why.detail}")
        if isinstance(port_no, bool) or not isinstance(port_no, int):
            return Refused(Reason.BAD_TYPE, f"{event.type} without its port_no")
        port = self._registry.port(device.id, port_no)
        if port is None:
            return Refused(Reason.UNKNOWN_DEVICE, f"{device.id} has no port {port_no!r:.20}")
        event.device = port
        return port_kind.events[event.type]


def _is_one_report(said: Decoded) -> bool:
    """Whether it is one numbered and timed report, and nothing else."""
    if said.array or said.unknown or len(said.items) != 1:
        return False
    item = said.items[0]
    return (
        item.at_ms is not None
        and item.seq is not None
        and item.status is None
        and not item.events
        and bool(item.reports)
    )


def _quarantined(reason: Reason, detail: str, device: Device | None) -> Decoded:
    return Decoded(device, [], reason=reason, detail=detail)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)!a:.160}"


def _matches(filter_: list[str], levels: list[str]) -> bool:
    return len(filter_) == len(levels) and all(
        wanted in ("+", level) for wanted, level in zip(filter_, levels, strict=True)
    )


def _says_something(item: Item) -> bool:
    return bool(item.reports or item.events or item.status)


def _fit(name: str, value: object, check: Callable[[object], Value]) -> Value:
    """`value` as `check` gives it; raises BadValue, also for what no check needs to know about."""
    if not isinstance(value, int | float):
        found = flaw(value)
        if found is not None:
            raise BadValue(found.reason, f"{name}: {found.detail}")
    return check(value)


def _required(event_type: EventType) -> list[str]:
    return [name for name, field in event_type.fields.items() if field.required]


def _compiled(quantity: Quantity) -> _Check | None:
    """The fast check of a value; None if one inside the range means that nothing is known."""
    low, high, null = quantity.low, quantity.high, quantity.null
    if null is not None and not (
        isinstance(null, int | float)
        and ((low is not None and null < low) or (high is not None and null > high))
    ):
        return None
    return _range(quantity.type, low, high, quantity.values)


def _calmed(check: _Check, calm: Calm) -> _Check | None:
    """The check of what is good and calm; None where words and flags do not fit the fast form."""
    expected, low, high = check
    if calm is None:
        return check
    if isinstance(calm, frozenset):
        if expected is _Word:
            return (expected, low & calm, None)
        if expected is bool and calm:
            return (bool, min(calm), max(calm))
        return None
    return (expected, max(low, calm[0]), min(high, calm[1])) if expected in (float, int) else None


def _compiled_field(field: Field) -> _Check:
    if field.type is Type.TEXT:
        return (_Text, 0, min(field.max_length, MAX_TEXT))
    return _range(field.type, field.low, field.high, field.values)


def _range(type_: Type, low: float | None, high: float | None, words: tuple[str, ...]) -> _Check:
    """(class, low, high) of values that are good as they are, or (_Word, words, None)."""
    match type_:
        case Type.ENUM:
            return (_Word, frozenset(words), None)
        case Type.BOOL:
            return (bool, False, True)
    low = -MAX_EXACT if low is None else max(low, -MAX_EXACT)
    high = MAX_EXACT if high is None else min(high, MAX_EXACT)
    if type_ is Type.FLOAT:
        return (float, float(low), float(high))  # a float against an int is twice as slow
    return (int, math.ceil(low), math.floor(high))
