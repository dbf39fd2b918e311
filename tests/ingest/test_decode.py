"""What is decided once for all formats: fit values, and an answer for any bytes on any topic."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devices.journal import OVERSIZE
from devices.kinds import KINDS
from devices.kinds.kind import Field
from devices.messages import BadMessage, Decoded, Item, Reason, Report
from devices.quantities import BadValue, Quantity, Type
from devices.registry import Compound, Device, Name, Registry
from ingest import decode as decode_module
from ingest.adapters import ADAPTERS, Adapter, Place
from ingest.decode import Decoder
from tests.ingest.cast import (
    COMPOUND,
    IMEI,
    NOW_MS,
    REGISTRY,
    SEAL,
    a_decoder,
    a_publish,
    native,
)

DECODER = a_decoder()


def decode(device: str, payload: Any, channel: str = "telemetry") -> Decoded:
    return DECODER.decode(a_publish(native(device, channel), payload))


def values(decoded: Decoded) -> list[dict[str, Any]]:
    return [report.values for item in decoded.items for report in item.reports]


def test_every_value_is_checked_against_its_quantity() -> None:
    sent = {"power_w": -1, "voltage_v": "228", "dim_level_pct": 50, "switch_state": "blue"}
    decoded = decode("lamp-1", {"values": sent})
    assert values(decoded) == [{"dim_level_pct": 50}]
    assert [(r.reason, r.device, r.quantity) for r in decoded.rejected] == [
        (Reason.OUT_OF_RANGE, "lamp-1", "power_w"),
        (Reason.BAD_TYPE, "lamp-1", "voltage_v"),
        (Reason.OUT_OF_RANGE, "lamp-1", "switch_state"),
    ]
    assert decoded.reason is None


def test_a_message_of_which_nothing_is_usable_has_a_reason_and_its_device() -> None:
    decoded = decode("lamp-1", {"ts": "soon", "values": {"power_w": -1, "voltage_v": None}})
    assert decoded.reason is Reason.OUT_OF_RANGE  # not the time stamp's
    assert "power_w" in decoded.detail
    assert decoded.items == []
    assert decoded.device is REGISTRY.devices["lamp-1"]


def test_a_refused_safety_value_is_still_listed_when_nothing_else_is_usable() -> None:
    decoded = decode("shed-1", {"values": {"smoke": "yes"}})
    assert decoded.reason is Reason.BAD_TYPE
    assert [r.quantity for r in decoded.rejected] == ["smoke"]


def test_unknown_quantities_are_listed_and_not_stored() -> None:
    decoded = decode("lamp-1", {"values": {"power_w": 1, "wattage": 2, "smoke": True}})
    assert values(decoded) == [{"power_w": 1.0}]
    assert (decoded.unknown, decoded.rejected) == (["wattage", "smoke"], [])


def test_a_message_of_unknown_quantities_alone_is_a_sign_of_life() -> None:
    decoded = decode("lamp-1", {"values": {"wattage": 2}})
    assert (decoded.reason, values(decoded), len(decoded.items)) == (None, [], 1)


def test_a_flood_of_unknown_names_is_cut() -> None:
    sent = {f"{n:03d}{'x' * 200}": 1 for n in range(100)} | {"power_w": 1}
    decoded = decode("lamp-1", {"values": sent})
    assert len(decoded.unknown) == 20
    assert {len(name) for name in decoded.unknown} == {80}
    assert values(decoded) == [{"power_w": 1.0}]


def test_a_flood_of_bad_parts_is_cut() -> None:
    decoded = decode("lamp-1", [0] * 1_500)
    assert (len(decoded.rejected), decoded.reason) == (1_000, Reason.BAD_TYPE)


def test_instances_of_a_quantity_are_told_apart() -> None:
    decoded = decode("gate-1", {"values": {"reader_online_1": True, "reader_online_2": False}})
    assert values(decoded) == [{"reader_online_1": True, "reader_online_2": False}]


def test_what_a_device_sends_for_unknown_is_left_out() -> None:
    decoded = decode("gateway-1", {"values": {"csq": 99, "uptime_s": 5}})
    assert (values(decoded), decoded.rejected) == ([{"uptime_s": 5}], [])


def test_whole_numbers_become_what_their_quantity_is() -> None:
    for _ in range(2):  # the exact form and the fast one
        decoded = decode("lamp-1", {"values": {"power_w": 31, "dim_level_pct": 50.0}})
        (found,) = values(decoded)
        assert json.dumps(found) == '{"power_w": 31.0, "dim_level_pct": 50}'


class TestEvents:
    def test_an_unknown_event_is_refused(self) -> None:
        decoded = decode("gate-1", {"event": "trapped", "active": True}, "event")
        assert (decoded.reason, decoded.items) == (Reason.OUT_OF_RANGE, [])

    def test_a_wrong_field_is_refused_beside_the_event(self) -> None:
        sent = {"event": "access", "result": "granted", "method": "smell", "mood": 1}
        decoded = decode("gate-1", sent, "event")
        ((event,),) = (item.events for item in decoded.items)
        assert event.attributes == {"result": "granted"}
        assert [r.reason for r in decoded.rejected] == [Reason.OUT_OF_RANGE]
        assert decoded.unknown == ["mood"]

    @pytest.mark.parametrize("result", [{}, {"result": None}, {"result": "maybe"}])
    def test_an_event_without_a_required_field_is_refused(self, result: dict[str, Any]) -> None:
        decoded = decode("gate-1", {"event": "access", "method": "face"} | result, "event")
        assert decoded.items == []
        assert Reason.BAD_TYPE in [r.reason for r in decoded.rejected]

    @pytest.mark.parametrize(
        ("port_no", "reason"),
        [
            (None, Reason.BAD_TYPE),
            (True, Reason.BAD_TYPE),
            ("2", Reason.BAD_TYPE),
            (13, Reason.UNKNOWN_DEVICE),
            (2**53, Reason.UNKNOWN_DEVICE),
            (2**53 + 1, Reason.BAD_NUMBER),
            (10**30, Reason.BAD_NUMBER),
            (10**4_000 - 1, Reason.BAD_NUMBER),
        ],
    )
    def test_an_event_of_a_socket_must_name_one_of_its_shed(
        self, port_no: Any, reason: Reason
    ) -> None:
        sent = {"event": "session_start", "order": "7", "port_no": port_no}
        assert decode("shed-1", sent, "event").reason is reason
        # the fast form must not differ from the careful one, which a further name leads to
        assert decode("shed-1", {"ts": NOW_MS, "seq": 1, **sent}, "event").reason is reason
        assert decode("shed-1", {**sent, "made_up": "\0"}, "event").reason is reason

    def test_an_event_of_the_shed_itself_stays_there(self) -> None:
        sent = {"event": "shed_alarm", "what": "smoke", "active": True, "port_no": None}
        ((event,),) = (item.events for item in decode("shed-1", sent, "event").items)
        assert event.device.id == "shed-1"
        assert event.attributes == {"what": "smoke", "active": True}

    def test_only_a_shed_has_sockets(self) -> None:
        sent = {"event": "session_start", "order": "7", "port_no": 1}
        assert decode("gate-1", sent, "event").reason is Reason.OUT_OF_RANGE


class TestSize:
    def test_a_payload_over_64_kib_is_too_large(self) -> None:
        fill = " " * (64 * 1024)
        decoded = decode("lamp-1", '{"values":{"power_w":1}}' + fill)
        assert (decoded.reason, decoded.items) == (Reason.TOO_LARGE, [])

    def test_a_payload_of_64_kib_is_read(self) -> None:
        decoded = decode("lamp-1", '{"values":{"power_w":1}}'.ljust(64 * 1024))
        assert values(decoded) == [{"power_w": 1.0}]

    @pytest.mark.parametrize(
        ("topic", "device"),
        [
            (native("lamp-1"), "lamp-1"),
            (f"JUY/D2S/{IMEI}/85/DEV", "shed-juy"),
            ("courtyard/v1/a/lamp/nobody/telemetry", None),
            (b"\xff", None),
        ],
    )
    def test_the_stub_of_a_larger_one_is_never_read(
        self, topic: str | bytes, device: str | None
    ) -> None:
        stub = b'\0courtyard-oversize 70000 ab {"values":{"power_w":1}}'
        decoded = DECODER.decode(a_publish(topic, stub, flags=OVERSIZE))
        assert (decoded.reason, decoded.items) == (Reason.TOO_LARGE, [])
        assert (decoded.device.id if decoded.device else None) == device


class TestOutOfService:
    SENT: Mapping[str, Any] = {"values": {"door_state": "open"}}

    def test_a_device_that_was_taken_out_is_unknown_from_then_on(self) -> None:
        raw = a_publish(native("gate-old"), dict(self.SENT), received_ms=NOW_MS)
        assert DECODER.decode(raw).reason is Reason.UNKNOWN_DEVICE
        before = a_publish(native("gate-old"), dict(self.SENT), received_ms=NOW_MS - 2)
        assert values(DECODER.decode(before)) == [{"door_state": "open"}]
        assert DECODER.decode(raw).reason is Reason.UNKNOWN_DEVICE

    def test_a_socket_that_was_taken_out_is_refused_beside_the_others(self) -> None:
        shed = Device("shed-9", "shed", COMPOUND, "棚", 60)
        ports = [
            Device(
                f"shed-9-p0{n}",
                "port",
                COMPOUND,
                "座",
                60,
                parent="shed-9",
                attributes={"port_no": n},
                decommissioned_at_ms=NOW_MS if n == 2 else None,
            )
            for n in (1, 2)
        ]
        compound = Compound(COMPOUND, Name("教工小区", "Jiaogong"), "yaxin", 294)
        decoder = Decoder(Registry([], [compound], [shed, *ports]))
        topic = f"courtyard/v1/{COMPOUND}/shed/shed-9/telemetry"
        raw = a_publish(topic, {"ports": {"1": {"power_w": 1}, "2": {"power_w": 2}}})
        for _ in range(2):
            decoded = decoder.decode(raw)
            assert values(decoded) == [{"power_w": 1.0}]
            assert [r.reason for r in decoded.rejected] == [Reason.UNKNOWN_DEVICE]


class Broken:
    """An adapter with a bug."""

    protocol = "broken"
    filters: tuple[str, ...] = ("broken/+",)
    garbled = Reason.BAD_FRAME

    def __init__(self, error: Exception) -> None:
        self.error = error

    def place(self, topic: str, registry: Registry) -> Place:
        if topic == "broken/place":
            raise self.error
        return Place(registry.devices["lamp-1"], registry)

    def read(self, payload: bytes, place: Place) -> Decoded:
        if payload == b"values":
            return Decoded(place.device, [Item(1, reports=[Report(place.device, None)])])  # type: ignore[arg-type]
        raise self.error


@pytest.mark.parametrize(
    "error", [KeyError("x\0\udcff"), RecursionError(), ValueError("y" * 999), struct.error("z")]
)
@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("broken/read", b"", Reason.BAD_FRAME),
        ("broken/read", b"values", Reason.BAD_FRAME),
        ("broken/place", b"", Reason.BAD_TOPIC),
    ],
)
def test_a_bug_in_an_adapter_costs_one_message(
    error: Exception, topic: str, payload: bytes, reason: Reason
) -> None:
    adapter: Adapter = Broken(error)
    decoder = Decoder(REGISTRY, {"broken": adapter})
    decoded = decoder.decode(a_publish(topic, payload))
    assert (decoded.reason, decoded.items) == (reason, [])
    assert decoded.detail.isprintable()
    assert len(decoded.detail) < 200


def test_a_bad_message_may_name_the_device_that_only_the_payload_knew() -> None:
    gate = REGISTRY.devices["gate-1"]
    adapter: Adapter = Broken(BadMessage(Reason.UNSUPPORTED, "?", gate))
    decoded = Decoder(REGISTRY, {"broken": adapter}).decode(a_publish("broken/x", b""))
    assert (decoded.reason, decoded.device) == (Reason.UNSUPPORTED, gate)


def test_the_topic_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "MIN_PLACES", 8)
    decoder = Decoder(Registry([], [], [REGISTRY.devices["shed-juy"]]))
    for command in range(100):
        decoder.decode(a_publish(f"JUY/D2S/{IMEI}/{command:02X}/DEV", b""))
        assert len(decoder._places) <= 8


def test_no_two_formats_share_a_topic() -> None:
    filters = [filter_ for adapter in ADAPTERS.values() for filter_ in adapter.filters]
    assert len(filters) == len(set(filters))
    assert {name: adapter.protocol for name, adapter in ADAPTERS.items()} == {
        name: name for name in ADAPTERS
    }


NUMBERS = st.one_of(
    st.integers(-(2**60), 2**60),
    st.integers(-200, 400),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-200, 400),
)
QUANTITIES = [(kind, quantity) for kind in KINDS.values() for quantity in kind.quantities.values()]


def near(limit: float | None) -> list[float]:
    return [] if limit is None else [limit, limit - 1, limit + 1, limit - 0.001, limit + 0.001]


@st.composite
def a_quantity_and_a_value(draw: st.DrawFn) -> tuple[str, Quantity, Any]:
    kind, quantity = draw(st.sampled_from(QUANTITIES))
    value = draw(
        st.one_of(
            NUMBERS,
            st.booleans(),
            st.sampled_from([*quantity.values, "elsewhere", ""]),
            st.sampled_from([quantity.null, *near(quantity.low), *near(quantity.high)]),
        )
    )
    return kind.name, quantity, value


def a_district() -> Registry:
    """One device a kind, each called like its kind."""
    devices = [Device(kind, kind, COMPOUND, kind, 60) for kind in KINDS]
    return Registry([], [Compound(COMPOUND, Name("", ""), "yaxin", 1)], devices)


EVERY_KIND = Decoder(a_district(), seal=SEAL)


@given(a_quantity_and_a_value())
def test_the_fast_check_and_the_quantitys_own_agree(drawn: tuple[str, Quantity, Any]) -> None:
    kind, quantity, value = drawn
    raw = a_publish(
        f"courtyard/v1/{COMPOUND}/{kind}/{kind}/telemetry", {"values": {quantity.name: value}}
    )
    expected: list[Any] = []
    reasons = []
    if value is not None and value != quantity.null:
        try:
            expected = [{quantity.name: quantity.check(value)}]
        except BadValue as bad:
            reasons = [bad.reason]
    for _ in range(2):  # the first time compiles the check
        decoded = EVERY_KIND.decode(raw)
        assert json.dumps(values(decoded)) == json.dumps(expected)
        assert [r.reason for r in decoded.rejected] == reasons


FIELDS = [
    (kind.name, event.name, field)
    for kind in KINDS.values()
    if kind.name != "port"
    for event in kind.events.values()
    for field in event.fields.values()
    if field.name != "event_id"
]


def a_good_value(field: Field) -> Any:
    match field.type:
        case Type.ENUM:
            return field.values[0]
        case Type.BOOL:
            return True
        case Type.TEXT:
            return "x"
    return field.low or 0


@given(
    st.sampled_from(FIELDS),
    st.one_of(NUMBERS, st.booleans(), st.text(max_size=130), st.just("face"), st.none()),
)
def test_the_fast_check_of_an_event_and_the_fields_own_agree(
    drawn: tuple[str, str, Field], value: Any
) -> None:
    kind, event_name, field = drawn
    others = KINDS[kind].events[event_name].fields.values()
    sent = {other.name: a_good_value(other) for other in others if other.required}
    raw = a_publish(
        f"courtyard/v1/{COMPOUND}/{kind}/{kind}/event",
        {"ts": 1, "seq": 1, "event": event_name} | sent | {field.name: value},
    )
    expected: Any = None
    if value is not None:
        try:
            expected = field.check(value)
        except BadValue:
            expected = None
    for _ in range(2):
        decoded = EVERY_KIND.decode(raw)
        if expected is None and field.required:
            assert decoded.items == []
            continue
        ((event,),) = (item.events for item in decoded.items)
        if field.secret and expected is not None:
            expected = SEAL(COMPOUND, expected)
        assert json.dumps(event.attributes.get(field.name)) == json.dumps(expected)
        assert bool(decoded.rejected) == (expected is None and value is not None)


TOPICS = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [
            *(
                native(device, channel).encode()
                for device in ("gate-1", "shed-1", "lamp-1", "gate-old", "shed-juy")
                for channel in ("telemetry", "event", "status")
            ),
            f"JUY/D2S/{IMEI}/82/DEV".encode(),
            b"JUY/D2S//82/DEV",
            b"tele/pow1/SENSOR",
            b"tele/pow1/STATE",
            b"tele/pow1/LWT",
        ]
    ),
)
NAMES = [
    *("ts", "boot", "seq", "values", "ports", "event", "event_id", "state"),
    *("power_w", "smoke", "2", "port_no", "order", "ENERGY", "Power", "Time", "Wifi"),
]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(NAMES),
                st.text(max_size=5),
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=25,
).map(lambda value: json.dumps(value).encode())
PAYLOADS = st.one_of(
    st.binary(max_size=200),
    JSON,
    st.tuples(JSON, st.integers(0, 200), st.binary(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
    ),
)


@given(TOPICS, PAYLOADS, st.integers(0, 7), st.sampled_from([NOW_MS, 0, 2**62]))
@example(native("shed-1").encode(), b'{"values":{"smoke":true}}', 0, NOW_MS)
def test_any_bytes_on_any_topic_are_an_answer_that_can_be_stored(
    topic: bytes, payload: bytes, flags: int, received_ms: int
) -> None:
    raw = a_publish(topic, payload, flags=flags, received_ms=received_ms)
    decoded = DECODER.decode(raw)

    assert (decoded.reason is None) == bool(decoded.items)
    if decoded.device is not None:
        assert decoded.device is REGISTRY.devices[decoded.device.id]
    texts = [decoded.detail, *decoded.unknown]
    for rejected in decoded.rejected:
        assert isinstance(rejected.reason, Reason)
        texts += [rejected.detail, rejected.quantity, rejected.device]
    for item in decoded.items:
        for report in item.reports:
            assert report.values
            texts += [*report.values, *(v for v in report.values.values() if type(v) is str)]
            for name, value in report.values.items():
                quantity = KINDS[report.device.kind].quantity(name)
                assert quantity is not None
                assert quantity.check(value) == value
        for event in item.events:
            assert event.type in KINDS[event.device.kind].events
            texts += [
                event.event_id or "",
                *(v for v in event.attributes.values() if type(v) is str),
            ]
        assert item.status in (None, "online", "offline")
    for text in texts:
        assert len(text) <= 500
        assert "\0" not in text
        text.encode()  # PostgreSQL takes neither NUL nor half a surrogate pair


# Who it was


@pytest.mark.parametrize(
    "more", [{}, {"unheard_of": 1}, {"event_id": "8:9"}], ids=["fast", "carefully", "loose"]
)
def test_a_credential_is_replaced_by_its_keyed_hash_where_it_is_decoded(
    more: dict[str, Any],
) -> None:
    sent = {"ts": NOW_MS, "seq": 1, "event": "access", "result": "granted"}
    sent |= {"credential_hash": "6217001234567890", **more}
    ((event,),) = (item.events for item in decode("gate-1", sent, "event").items)
    assert event.attributes["credential_hash"] == SEAL(COMPOUND, "6217001234567890")
    assert "6217" not in repr(event)


def test_without_a_key_nobody_is_told_apart() -> None:
    sent = {"ts": NOW_MS, "seq": 1, "event": "access", "result": "granted"}
    raw = a_publish(native("gate-1", "event"), sent | {"credential_hash": "6217001234567890"})
    ((event,),) = (item.events for item in Decoder(REGISTRY).decode(raw).items)
    assert event.attributes == {"result": "granted"}


@pytest.mark.parametrize(
    "credential",
    ["6217001234567890" * 20, "6217001234567890\x07", "6217001234567890\0", ["6217001234567890"]],
)
def test_what_is_refused_of_a_credential_does_not_say_it(credential: Any) -> None:
    sent = {"ts": NOW_MS, "seq": 1, "event": "access", "result": "granted"}
    decoded = decode("gate-1", sent | {"credential_hash": credential}, "event")
    assert [rejected.reason for rejected in decoded.rejected] == [Reason.BAD_TYPE]
    assert "6217" not in repr(decoded.rejected)
    ((event,),) = (item.events for item in decoded.items)
    assert event.attributes == {"result": "granted"}


def test_a_card_number_sent_as_a_number_is_sealed_as_text() -> None:
    sent = {"ts": NOW_MS, "seq": 1, "event": "access", "result": "granted"}
    decoded = decode("gate-1", sent | {"credential_hash": 6217001234}, "event")
    ((event,),) = (item.events for item in decoded.items)
    assert event.attributes["credential_hash"] == SEAL(COMPOUND, "6217001234")
