"""Our own format: JSON on `courtyard/v1/{compound}/{kind}/{device}/{telemetry|event|status}`.

One object, or an array of them (buffered replay, oldest first):

| theirs | ours | remarks |
|---|---|---|
| `ts` | `Item.at_ms` | epoch ms, or RFC 3339; without zone it is the compound's local time |
| `boot`, `seq` | `Item.boot`, `Item.seq` | whole numbers, 0 and up |
| `values` | a Report of the device | name -> value; null is unknown |
| `ports` | Reports of a shed's sockets | `{"2": {...}}`, by number |
| `event`, `event_id` | an Event | every other name in the object is one of its fields |
| `state` | `Item.status` | `online` or `offline`: the birth or last will |

What a message is follows from what it holds; the last topic level only says what to expect. It must
hold at least one of `values`, `ports`, `event`, `state`: `{"values": {}}` is a bare sign of life,
`{"value": {...}}` a mistake. Other names beside `values` are listed as unknown.
No personal data: a credential comes as a keyed hash.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from devices.messages import BadMessage, Decoded, Event, Item, Reading, Reason, Report
from devices.registry import Device, Registry
from devices.topics import BadTopic, Topic
from ingest.adapters import instants, json_text
from ingest.adapters.adapter import MAX_TEXT, Place, Refused, flaw, list_unknown, refuse

T = TypeVar("T")

MAX_EXACT = 2**53
MAX_OBJECTS = 2_000  # in one message; readings of 64 KiB are about 600

_CONTENT = ("values", "ports", "event", "state")
_RESERVED = frozenset({"ts", "boot", "seq", "event_id", *_CONTENT})
_CONTENT_BESIDE_EVENT = {"values", "ports", "state"}
_STATES = ("online", "offline")

_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_EXACT)]
_Values = dict[str, float | int | bool | str | None]


class _Sent(msgspec.Struct, gc=False):
    """A message without an event, when nothing in it is strange."""

    ts: Annotated[int, msgspec.Meta(ge=-MAX_EXACT, le=MAX_EXACT)] | str | None = None
    boot: _Number | None = None
    seq: _Number | None = None
    values: _Values | None = None
    ports: dict[str, _Values] | None = None
    state: str | None = None


_typed = msgspec.json.Decoder(list[_Sent] | _Sent).decode
_loose = msgspec.json.Decoder(dict[str, Any]).decode

# msgspec lets the last two escape its own class
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Native:
    """Devices that speak our own format."""

    protocol = "native"
    filters: tuple[str, ...] = ("courtyard/v1/+/+/+/+",)
    garbled = Reason.NOT_JSON

    def place(self, topic: str, registry: Registry) -> Place:
        try:
            named = Topic.parse(topic)
        except BadTopic as error:
            raise BadMessage(Reason.BAD_TOPIC, str(error)) from error
        device = registry.devices.get(named.device)
        if device is None or device.protocol != self.protocol:
            # one that is registered with a vendor's format is another device under this name
            raise BadMessage(Reason.UNKNOWN_DEVICE, f"no native device {named.device!r}")
        if (device.compound, device.kind) != (named.compound, named.kind):
            raise BadMessage(
                Reason.WRONG_PLACE,
                f"{device.id} is a {device.kind} in {device.compound}, "
                f"not a {named.kind} in {named.compound}",
                device,
            )
        return Place(device, registry, named.channel, _ports(device, registry))

    def read(self, payload: bytes, place: Place) -> Decoded | Reading:
        """The fast form: 1.5 µs a message, where `_carefully` takes 12; a test holds them equal.

        One count proves that the typed decoder saw all there is: every name has a colon, so if the
        payload has no more of them than the decoder gave names back, then no name was there twice,
        no field was skipped, and nothing was hidden or nested in one.
        """
        if place.channel == "event":
            return _event(payload, place)
        try:
            sent = _typed(payload)
        except _NOT_DECODED:
            return _carefully(payload, place)
        device = place.device
        values: Any  # None in it is taken out where values are checked
        if type(sent) is _Sent:  # the usual reading: all of this once more, without the loop
            values, boot, seq, at_ms = sent.values, sent.boot, sent.seq, sent.ts
            if values and seq is not None and type(at_ms) is int:
                names = len(values) + (3 if boot is None else 4)
                if names == payload.count(b":"):  # so there is no state and no port either
                    return Reading(device, at_ms, boot, seq, values)
        array = type(sent) is list
        if array and len(sent) > MAX_OBJECTS:
            return _carefully(payload, place)
        items = []
        names = 0
        for one in sent if array else (sent,):
            at_ms = one.ts
            if at_ms is not None:
                names += 1
                if type(at_ms) is str:
                    return _carefully(payload, place)
            boot, seq, values = one.boot, one.seq, one.values
            if boot is not None:
                names += 1
            if seq is not None:
                names += 1
            reports = []
            if values is not None:
                names += 1 + len(values)
                if values:
                    reports.append(Report(device, values))
            if one.ports is not None:
                names += 1 + len(one.ports)
                for number, port_values in one.ports.items():
                    port = place.ports.get(number)
                    if port is None:
                        return _carefully(payload, place)
                    names += len(port_values)
                    if port_values:
                        reports.append(Report(port, port_values))
            elif values is None and one.state is None:
                return _carefully(payload, place)
            status = one.state
            if status is not None:
                names += 1
                if status not in _STATES:
                    return _carefully(payload, place)
            items.append(Item(at_ms, boot, seq, reports, [], status))
        if names != payload.count(b":") or not items:
            return _carefully(payload, place)
        return Decoded(device, items, [], None, "", array, [])


def _ports(device: Device, registry: Registry) -> Mapping[str, Device]:
    return {
        str(child.attributes["port_no"]): child
        for child in registry.children(device.id)
        if child.kind == "port"
    }


def _event(payload: bytes, place: Place) -> Decoded:
    """A message that should be one flat object with an event; anything else goes the careful way.

    The count is that of `Native.read`; here the strings may hold colons too, but no escaped ones.
    """
    try:
        sent = _loose(payload)
    except _NOT_DECODED:
        return _carefully(payload, place)
    colons = len(sent)
    for value in sent.values():
        match value:
            case str():
                colons += value.count(":")
            case dict() | list():
                return _carefully(payload, place)
    if b"\\" in payload or colons != payload.count(b":"):
        return _carefully(payload, place)
    at_ms, boot, seq, event_id = map(sent.get, ("ts", "boot", "seq", "event_id"))
    kind = sent.get("event")
    if (
        type(at_ms) is int
        and abs(at_ms) <= MAX_EXACT
        and (boot is None or (type(boot) is int and 0 <= boot <= MAX_EXACT))
        and type(seq) is int
        and 0 <= seq <= MAX_EXACT
        and type(kind) is str
        and len(kind) <= MAX_TEXT
        and kind.isprintable()
        and (event_id is None or (type(event_id) is str and 0 < len(event_id) <= MAX_TEXT))
        and not sent.keys() & _CONTENT_BESIDE_EVENT
    ):
        fields = {name: value for name, value in sent.items() if name not in _RESERVED}
        event = Event(place.device, kind, fields, event_id)
        return Decoded(place.device, [Item(at_ms, boot, seq, [], [event])])
    return _decoded([sent], place, array=False)


def _carefully(payload: bytes, place: Place) -> Decoded:
    sent = json_text.parse(payload)
    if isinstance(sent, list):
        if not sent:
            raise BadMessage(Reason.BAD_TYPE, "an empty list")
        if len(sent) > MAX_OBJECTS:
            # Refused one by one, 21,000 empty objects cost 0.2 s, in which nobody else is judged.
            detail = f"{len(sent)} objects in one message: at most {MAX_OBJECTS}"
            raise BadMessage(Reason.TOO_LARGE, detail)
        return _decoded(sent, place, array=True)
    return _decoded([sent], place, array=False)


def _decoded(sent: list[Any], place: Place, *, array: bool) -> Decoded:
    decoded = Decoded(place.device, [], array=array)
    for one in sent:
        item = _item(one, place, decoded)
        if item is not None:
            decoded.items.append(item)
    return decoded


def _item(sent: object, place: Place, decoded: Decoded) -> Item | None:
    """One object of a message; None if it holds nothing that we know.

    Each part is read by itself: what cannot be used is noted, and the others are kept.
    """
    if not isinstance(sent, dict):
        refuse(decoded, Refused(Reason.BAD_TYPE, f"{sent!r:.80} is no object"), place.device.id)
        return None

    def take(name: str, read: Callable[[Any], T | Refused]) -> T | None:
        value = sent.get(name)
        found = None if value is None else read(value)
        if isinstance(found, Refused):
            why = Refused(found.reason, f"{name}: {found.detail}")
            refuse(decoded, why, place.device.id)
            return None
        return found

    if not any(name in sent for name in _CONTENT):
        refuse(decoded, Refused(Reason.BAD_TYPE, f"has no {', '.join(_CONTENT)}"), place.device.id)
    item = Item(None)
    values = take("values", _object)
    if values:
        item.reports.append(Report(place.device, values))
    item.reports += _port_reports(take("ports", _object) or {}, place, decoded)
    kind = take("event", _text)
    others = {name: value for name, value in sent.items() if name not in _RESERVED}
    if kind is not None:
        item.events.append(Event(place.device, kind, others, take("event_id", _event_id)))
    else:
        list_unknown(decoded, others, place.device.id)
    item.status = take("state", _state)
    item.at_ms = take("ts", lambda ts: _at_ms(ts, place))
    item.boot = take("boot", _count)
    item.seq = take("seq", _count)
    return item


def _port_reports(sent: dict[str, Any], place: Place, decoded: Decoded) -> Iterator[Report]:
    for number, values in sent.items():
        port = place.ports.get(number)
        if port is None:
            detail = f"{place.device.id} has no port {number[:20]!r}"
            refuse(decoded, Refused(Reason.UNKNOWN_DEVICE, detail), place.device.id)
            continue
        read = {} if values is None else _object(values)
        if isinstance(read, Refused):
            refuse(decoded, read, port.id)
        elif read:
            yield Report(port, read)


def _object(value: Any) -> dict[str, Any] | Refused:
    if isinstance(value, dict | Refused):
        return value
    return Refused(Reason.BAD_TYPE, f"{value!r:.80} is no object")


def _text(value: Any) -> str | Refused:
    found = flaw(value)
    if found is not None:
        return found
    return (
        value if isinstance(value, str) else Refused(Reason.BAD_TYPE, f"{value!r:.80} is no text")
    )


def _event_id(value: Any) -> str | Refused:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return _text(str(value) if whole and abs(value) < 2**63 else value)


def _state(value: Any) -> str | Refused:
    text = _text(value)
    if isinstance(text, Refused) or text in _STATES:
        return text
    return Refused(Reason.OUT_OF_RANGE, f"{text[:80]!r} is not {' or '.join(_STATES)}")


def _count(value: Any) -> int | Refused:
    found = flaw(value)
    if found is not None:
        return found
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return Refused(Reason.BAD_TYPE, f"{value!r:.80} is not a whole number")
    if value < 0:
        return Refused(Reason.OUT_OF_RANGE, f"{value} is below 0")
    return int(value)


def _at_ms(value: Any, place: Place) -> int | Refused:
    found = flaw(value)
    if found is not None:
        return found
    if isinstance(value, str):
        compound = place.registry.compounds.get(place.device.compound)
        try:
            local = instants.zone(compound.timezone) if compound is not None else instants.CHINA
            return instants.epoch_ms(value, local)
        except ValueError as error:
            return Refused(Reason.BAD_TYPE, str(error))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Refused(Reason.BAD_TYPE, f"{value!r:.80} is no time")
    return int(value)
