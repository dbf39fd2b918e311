"""Hostile messages by seed: any topic, any payload, with what must come of the ones that are known.

    inputs = Inputs(seed=7)
    for hostile in inputs.take(1_000): ...

The same seed gives the same messages. Payloads are random bytes, the corpus and the golden payloads
(as they are, mutated, or spliced), JSON of wrong types and shapes, and frames whose checksum is
right though their content is absurd. Some carry a smoke flag beside what is wrong: whatever that
is, the smoke must be judged.
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from devices.journal import DUP, OVERSIZE, RETAINED
from devices.kinds import KINDS
from devices.quantities import Type
from devices.registry import Compound, Device, Firm, Name, Registry

START_MS = 1_795_399_200_000  # 2026-11-23T02:00:00Z
COMPOUND, ABROAD = "jiaogong-xiaoqu", "berlin"
IMEI, OTHER_IMEI, TASMOTA = "861197062934387", "861197062934388", "pow1"
MAX_PAYLOAD_BYTES = 64 * 1024
MESSAGE_MS = 200  # between two messages: an hour passes in 18,000 of them
REPEATED = 500  # so many of the last messages may come again

CORPUS = Path(__file__).parent / "corpus"
GOLDEN = Path(__file__).parents[1] / "payloads"

# Half of JSON that typed decoders mistake for something else; put in by its text.
NUMBERS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"0", b"-0", b"-0.0", b"-1",
    b"1", b"1.0", b"0.1", b"1e5", b"9007199254740992", b"9007199254740993", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"9" * 20, b"9" * 21, b"9" * 400, b"9" * 4_000,
    b"9" * 5_000, b"-" + b"9" * 4_000, b"0." + b"3" * 400, b"1795399200123", b"1e18", b"true",
)  # fmt: skip
TIMES = (
    b"null", b"0", b"-1", b"1", b"1795399200", b"1795399200123", b"1795399200123.5",
    b"4102444800000", b"253402300799999", b"1e18", b"9007199254740992", b"9007199254740993",
    b"-9007199254740992", b"NaN", b"true", b"[]", b"{}", b'""', b'"now"', b'"0000-01-01T00:00:00Z"',
    b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59.999-14:00"', b'"1970-01-01T00:00:00Z"',
    b'"2026-11-23T10:00:00"', b'"2026-11-23 10:00:00.123456789"', b'"2026-02-30T10:00:00Z"',
    b'"2026-11-23T24:00:00Z"', b'"2026-11-23T10:00:60Z"', b'"2026-11-23T10:00:00+99:99"',
    b'"2026-11-23t02:00:00z"', "\"２０２６-11-23T02:00:00Z\"".encode(),
    b'"2026-11-23T02:00:00\\u0000"',
)  # fmt: skip
TEXTS = (
    b'""', b'"x"', b'"on"', b'"open"', b'"closed"', b'"in_use"', b'"granted"', b'"a\\u0000b"',
    b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ud83d\\ude00"', b'"\xff\xfe"', b'"\xed\xa0\x80"',
    b'"\xc0\xaf"', b'"' + b"x" * 257 + b'"', b'"' + b"y" * 30_000 + b'"', b'"a\\nb"', b'"a\nb"',
    b'"\\u001b[2J"', b'"\\u202egnp.exe"', b'"\\u2028"', b'"<script>alert(1)</script>"',
    b'"\\"><img src=x onerror=alert(1)>"', b"\"'; DROP TABLE faults; --\"", b'"=1+1"', b'"{{7*7}}"',
    b'"gate,compound=x power_w=1 1\\ngate,compound=evil,device=evil power_w=666 1"', b'"x\\\\"',
    b'"x,y=z w"', b'"\\\\\\""', b'"a=b,c d"', b'"#"', b'"time"', b'"${jndi:ldap://x}"', b'"%s%n"',
)  # fmt: skip
OTHERS = (b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b'{"a":1}', b"[1,2]", b"[null]")
SCALARS = NUMBERS + TEXTS + OTHERS

HEAD = ("ts", "boot", "seq", "values", "ports", "event", "event_id", "state")
QUANTITIES = tuple({name for kind in KINDS.values() for name in kind.quantities})
EVENTS = tuple({name for kind in KINDS.values() for name in kind.events})
FIELDS = tuple(
    {field for kind in KINDS.values() for type_ in kind.events.values() for field in type_.fields}
)
STRANGE_NAMES = (
    "", "time", "device", "compound", "_", "power_w ", "POWER_W", "power_w,x=1", "a=b", "x\\",
    "reader_online_1", "reader_online_0", "reader_online_1000", "phase_voltage_v_r", "\0",
    "x" * 300, "\n", "名", "__proto__", "constructor", "$set", "1", "values.power_w", "ts ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hostile:
    """One message. smoke: the shed whose smoke it tells, which nothing in it may hide."""

    topic: bytes
    payload: bytes
    flags: int = 0
    smoke: str | None = None


def a_registry() -> Registry:
    """A device of every kind and format, and one that is out of service."""

    def a_device(device: str, kind: str, compound: str = COMPOUND, **more: Any) -> Device:
        return Device(device, kind, compound, device, KINDS[kind].interval_s, **more)

    def a_shed(device: str, ports: int, **more: Any) -> list[Device]:
        of_ports = {"protocol": more["protocol"]} if "protocol" in more else {}
        return [
            a_device(device, "shed", **more),
            *(
                a_device(
                    f"{device}-p{n:02d}",
                    "port",
                    parent=device,
                    attributes={"port_no": n},
                    **of_ports,
                )
                for n in range(1, ports + 1)
            ),
        ]

    fine = {"energy_step_kwh": 0.001}
    circuit = {"granularity": "circuit", "lamp_count": 8, "nominal_power_w": 9}
    return Registry(
        [Firm("yaxin", Name("亚新", "Yaxin"))],
        [
            Compound(COMPOUND, Name("教工小区", "Jiaogong Compound"), "yaxin", 294),
            Compound(ABROAD, Name("柏林", "Berlin"), "yaxin", 24, timezone="Europe/Berlin"),
        ],
        [
            a_device("gate-1", "gate"),
            a_device("gate-2", "gate", attributes={"form": "barrier"}),
            a_device("gate-old", "gate", decommissioned_at_ms=START_MS - 1),
            a_device("lamp-1", "lamp"),
            a_device("lamp-abroad", "lamp", ABROAD),
            a_device("circuit-1", "lamp", attributes=circuit),
            a_device("camera-1", "camera"),
            a_device("lift-1", "lift"),
            a_device("gateway-1", "gateway"),
            *a_shed("shed-1", 12),
            *a_shed("shed-2", 2),
            *a_shed("shed-juy", 10, protocol="juy", external_id=IMEI),
            *a_shed("shed-fine", 10, protocol="juy", external_id=OTHER_IMEI, attributes=fine),
            a_device("lamp-tas", "lamp", protocol="tasmota", external_id=TASMOTA),
        ],
    )


def topic_of(device: Device, channel: str = "telemetry") -> str:
    return f"courtyard/v1/{device.compound}/{device.kind}/{device.id}/{channel}"


def a_frame(command: int, data: bytes, result: int = 0) -> bytes:
    """A JUY frame whose length and checksum are right, whatever is in it."""
    body = struct.pack("<HBB", len(data) + 3, command, result) + data
    return b"\x5a\xa5" + body + bytes([sum(body) & 0xFF])


def payload_in(path: Path) -> bytes:
    """The payload that a file of the corpus or of the golden ones holds."""
    content = path.read_bytes()
    match path.suffix:
        case ".hex":
            return bytes.fromhex(content.decode())
        case ".json":
            return content.removesuffix(b"\n")
    return content


def kept_payloads(form: str) -> list[tuple[str, bytes]]:
    """(name, payload) of the corpus and of the golden payloads of a format, in order."""
    paths = [
        path
        for folder in (CORPUS / form, GOLDEN / form)
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if not path.name.endswith(".expect.json")
    ]
    return [(path.name, payload_in(path)) for path in paths]


@lru_cache(4_096)
def _in_quotes(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode()


class Inputs:
    """Messages without end, by seed. repeats: whether former messages come again, as they do.

    now_ms: when the newest of them arrives.
    """

    def __init__(self, seed: int, *, repeats: bool = True) -> None:
        self._rng = Random(seed)
        self._repeats = repeats
        self._last: list[Hostile] = []
        self._registry = a_registry()
        self._native = [d for d in self._registry.devices.values() if d.protocol == "native"]
        self._speakers = [device for device in self._native if device.kind != "port"]
        self._kept = {form: kept_payloads(form) for form in ("native", "juy", "tasmota", "topics")}
        self._seqs: dict[str, int] = {}
        self.now_ms = START_MS

    def take(self, count: int) -> Iterator[Hostile]:
        """The next `count` messages."""
        for _ in range(count):
            yield self.one()

    def one(self) -> Hostile:
        rng = self._rng
        self.now_ms += MESSAGE_MS
        if self._repeats and self._last and rng.random() < 0.05:
            again = rng.choice(self._last)
            return Hostile(again.topic, again.payload, again.flags | DUP)
        made = self._made()
        if len(made.payload) > MAX_PAYLOAD_BYTES and rng.random() < 0.9:
            made = Hostile(made.topic, made.payload[:MAX_PAYLOAD_BYTES], made.flags)
        if len(self._last) < REPEATED:
            self._last.append(made)
        else:
            self._last[rng.randrange(REPEATED)] = made
        return made

    def _made(self) -> Hostile:
        rng = self._rng
        match rng.randrange(40):
            case 0 | 1:
                return Hostile(self.topic(), self._any_payload(), rng.randrange(8) & ~OVERSIZE)
            case 2:
                return self._oversize()
            case 3 | 4 | 5 | 6:
                return self._smoke_beside()
            case 7 | 8 | 9 | 10:
                return Hostile(self._juy_topic(), self.juy())
            case 11 | 12 | 13:
                return self._tasmota()
            case 14 | 15:
                return self._mutated("native", self._device_topic())
            case 16:
                return self._mutated("juy", self._juy_topic())
            case 17:
                return self._mutated("tasmota", self._tasmota_topic())
            case 18 | 19 | 20 | 21:
                return self._event()
            case 22:
                return Hostile(self._device_topic(), self._nested())
            case 23 | 24 | 25 | 26:
                return self._good()
        return Hostile(self._device_topic(), self.native(), rng.choice((0, 0, 0, 0, RETAINED, DUP)))

    # Topics

    def topic(self) -> bytes:
        """Anything at all."""
        rng = self._rng
        kept = [payload for _, payload in self._kept["topics"]]
        match rng.randrange(10):
            case 0:
                return rng.randbytes(rng.randrange(60))
            case 1:
                return self._mutate(self._device_topic())
            case 2 | 3:
                return rng.choice(kept)
            case 4:
                levels = self._device_topic().split(b"/")
                count = rng.randrange(12)
                return b"/".join(rng.choice(levels) for _ in range(count))
            case 5:
                return self._device_topic() + b"/" + b"x" * rng.choice((1, 200, 60_000))
            case 6:
                return self._juy_topic()
            case 7:
                return self._tasmota_topic()
        return self._device_topic()

    def _device_topic(self) -> bytes:
        rng = self._rng
        device = rng.choice(self._speakers)
        channel = rng.choice(("telemetry", "telemetry", "event", "status"))
        return topic_of(device, channel).encode()

    def _juy_topic(self) -> bytes:
        rng = self._rng
        imei = rng.choice((IMEI, OTHER_IMEI))
        if rng.random() < 0.1:
            imei = rng.choice(("861197062934399", "", "+", "\0"))
        return f"JUY/D2S/{imei}/{rng.choice(('82', '85', '88', 'zz', ''))}/DEV".encode()

    def _tasmota_topic(self) -> bytes:
        rng = self._rng
        name = TASMOTA if rng.random() < 0.9 else rng.choice(("pow2", "", "\u202e"))
        return f"tele/{name}/{rng.choice(('SENSOR', 'SENSOR', 'STATE', 'LWT', 'RESULT'))}".encode()

    # Payloads

    def _any_payload(self) -> bytes:
        rng = self._rng
        match rng.randrange(5):
            case 0:
                return rng.randbytes(rng.choice((0, 1, 7, 200, 4_000)))
            case 1:
                return self.juy()
            case 2:
                return self.native().decode("utf-8", "replace").encode("utf-16")
            case 3:
                return b"\xef\xbb\xbf" + self.native()
        return self.native()

    def _oversize(self) -> Hostile:
        rng = self._rng
        if rng.random() < 0.5:  # as receive leaves it: a stub, whatever the topic
            size = rng.choice((70_000, 4_194_304, 10_485_760))
            head = rng.randbytes(rng.randrange(100))
            stub = b"\0courtyard-oversize %d %b %b" % (size, b"ab" * 32, head)
            return Hostile(self.topic(), stub, OVERSIZE)
        filling = rng.choice((b" ", b"[", b'{"a":', b'"', b"\\", b"9", b"\xff", b"[0,", b"1,"))
        size = MAX_PAYLOAD_BYTES // rng.choice((1, 4, 16, 16)) + rng.choice((-1, 0, 1, 300))
        return Hostile(self._device_topic(), (filling * size)[:size])

    def _good(self) -> Hostile:
        """A reading as its device should send it, and the next in its sequence."""
        rng = self._rng
        device = rng.choice(self._speakers)
        quantities = list(KINDS[device.kind].quantities.values())
        values: dict[str, Any] = {}
        for quantity in rng.sample(quantities, min(4, len(quantities))):
            match quantity.type:
                case Type.BOOL:
                    values[quantity.name] = rng.random() < 0.5
                case Type.ENUM:
                    values[quantity.name] = rng.choice(quantity.values)
                case _:
                    low = quantity.low if quantity.low is not None else -100
                    high = quantity.high if quantity.high is not None else 100
                    value = rng.uniform(low, high)
                    values[quantity.name] = int(value) if quantity.type is Type.INT else value
        sent: dict[str, Any] = {"ts": self.now_ms - rng.randrange(2_000), "values": values}
        self._number(device.id, sent)
        return Hostile(topic_of(device).encode(), json.dumps(sent).encode())

    def _number(self, device: str, sent: dict[str, Any]) -> None:
        seq = self._seqs.get(device, 0) + self._rng.choice((1, 1, 1, 1, 0, 2, -3, 1_500))
        self._seqs[device] = max(0, seq)
        sent["seq"] = self._seqs[device]
        if self._rng.random() < 0.7:
            sent["boot"] = 7

    def native(self) -> bytes:
        """An object or an array of the native format with anything wrong in it."""
        rng = self._rng
        if rng.random() < 0.15:
            count = rng.choice((0, 1, 2, 2, 5)) if rng.random() < 0.95 else 300
            return b"[" + b",".join(self._object() for _ in range(count)) + b"]"
        if rng.random() < 0.004:
            pairs = [(self._name(), self._value()) for _ in range(2_000)]
            return b'{"values":' + self._braces(pairs) + b"}"
        return self._object()

    def _object(self) -> bytes:
        rng = self._rng
        pairs: list[tuple[str, bytes]] = []
        if rng.random() < 0.85:
            pairs.append(("values", self._values()))
        if rng.random() < 0.25:
            numbers = ("1", "2", "12", "13", "0", "-1", "x", "01", "", "１", "9" * 40)
            picked = [(rng.choice(numbers), self._values()) for _ in range(rng.randrange(4))]
            pairs.append(("ports", self._braces(picked)))
        for name in ("ts", "boot", "seq", "event", "event_id", "state"):
            if rng.random() < 0.3:
                pairs.append((name, self._head(name)))
        if rng.random() < 0.1:
            pairs.append((self._name(), self._value()))
        if rng.random() < 0.04 and pairs:
            pairs.append(rng.choice(pairs))
        rng.shuffle(pairs)
        return self._braces(pairs)

    def _head(self, name: str) -> bytes:
        rng = self._rng
        if rng.random() < 0.35:
            return self._value()
        match name:
            case "ts":
                if rng.random() < 0.5:
                    return b"%d" % (self.now_ms + rng.randrange(-4_000, 1_000))
                return rng.choice(TIMES)
            case "event":
                return json.dumps(rng.choice(EVENTS)).encode()
            case "state":
                return rng.choice((b'"online"', b'"offline"', b'"away"'))
        return b"%d" % rng.choice((0, 1, 2, 7, 40, rng.randrange(5_000), -1, 2**53, 2**53 + 1))

    def _values(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.03:
            return rng.choice(SCALARS)
        count = rng.choice((0, 1, 1, 2, 3, 5))
        pairs = [(self._name(), self._value()) for _ in range(count)]
        if pairs and rng.random() < 0.05:
            pairs.append((pairs[0][0], self._value()))
        return self._braces(pairs)

    def _name(self) -> str:
        rng = self._rng
        match rng.randrange(12):
            case 0:
                return rng.choice(STRANGE_NAMES)
            case 1:
                return f"made_up_{rng.randrange(1_000_000)}"
            case 2:
                return rng.choice(HEAD)
        return rng.choice(QUANTITIES)

    def _value(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.5:
            return rng.choice(SCALARS)
        return b"%d" % rng.randrange(-5, 250) if rng.random() < 0.7 else b"%.3f" % rng.uniform(0, 9)

    def _braces(self, pairs: list[tuple[str, bytes]]) -> bytes:
        space = b" " if self._rng.random() < 0.1 else b""
        return (
            b"{"
            + b",".join(self._spelled(name) + b":" + space + value for name, value in pairs)
            + b"}"
        )

    def _spelled(self, name: str) -> bytes:
        """A name as JSON; now and then with an escape, which means the same."""
        if self._rng.random() < 0.02 and name[:1].isalpha() and name.isascii():
            return b'"\\u%04x%b' % (ord(name[0]), _in_quotes(name)[2:])
        return _in_quotes(name)

    def _nested(self) -> bytes:
        """Deep or wide, in a field that is known or in one that is not."""
        rng = self._rng
        depth = rng.choice((5, 31, 32, 33, 33, 100, 100, 1_000, 10_000))
        opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
        inside = rng.choice((b"1", b"", b"NaN", b'"x"')) if opening == b"[" else b"1"
        deep = opening * depth + inside + closing * (depth if rng.random() < 0.9 else 0)
        wide = b"[" + b"0," * rng.choice((10, 10, 10, 20_000)) + b"0]"
        what = rng.choice((deep, wide))[:60_000]
        match rng.randrange(4):
            case 0:
                return what
            case 1:
                return b'{"values":{"power_w":1,"smoke":true},"made_up":' + what + b"}"
            case 2:
                return b'{"values":{"power_w":' + what + b',"smoke":true}}'
        return b'{"seq":1,"values":' + what + b"}"

    def _event(self) -> Hostile:
        """An event, well formed but for some of its fields."""
        rng = self._rng
        device = rng.choice(self._speakers)
        kind = KINDS["port" if device.kind == "shed" and rng.random() < 0.5 else device.kind]
        events = list(kind.events.values())
        if not events:
            return self._good()
        type_ = rng.choice(events)
        sent: dict[str, Any] = {"ts": self.now_ms - rng.randrange(5_000), "event": type_.name}
        self._number(device.id, sent)
        pairs = [(name, json.dumps(value).encode()) for name, value in sent.items()]
        for name, field in type_.fields.items():
            match field.type:
                case Type.ENUM:
                    good: object = rng.choice(field.values)
                case Type.BOOL:
                    good = rng.random() < 0.5
                case Type.TEXT:
                    good = str(rng.randrange(40))
                case _:
                    good = rng.randint(int(field.low or 0), min(9_000, int(field.high or 9)))
            if field.required or rng.random() < 0.7:
                value = json.dumps(good).encode()
                pairs.append((name, value if rng.random() < 0.85 else self._value()))
        if rng.random() < 0.3:
            pairs.append((self._name(), self._value()))
        if rng.random() < 0.4:
            pairs.append(("event_id", self._value()))
        return Hostile(topic_of(device, "event").encode(), self._braces(pairs))

    def _smoke_beside(self) -> Hostile:
        """A smoke flag beside values that cannot be used, in one message that is JSON."""
        rng = self._rng
        shed = rng.choice(("shed-1", "shed-2"))
        names = [name for name in KINDS["shed"].quantities if name != "smoke"]
        # what is no JSON at all hides everything, and so does too much of it
        usable = [s for s in SCALARS if b"\n" not in s and len(s) < 6_000]
        pairs = [(rng.choice(names), rng.choice(usable)) for _ in range(rng.randrange(1, 6))]
        pairs.insert(rng.randrange(len(pairs) + 1), ("smoke", b"true"))
        head: list[tuple[str, bytes]] = [("values", self._braces(pairs))]
        if rng.random() < 0.5:
            head.append((f"made_up_{rng.randrange(9)}", rng.choice(usable)))
        if rng.random() < 0.3:
            head.append(("boot", rng.choice(usable)))
        rng.shuffle(head)
        topic = topic_of(self._registry.devices[shed]).encode()
        return Hostile(topic, self._braces(head), smoke=shed)

    def juy(self) -> bytes:
        """Frames with right checksums and absurd content, or frames that are wrong."""
        rng = self._rng
        frames = b"".join(self._frame() for _ in range(rng.choice((1, 1, 1, 2, 3, 40))))
        return self._mutate(frames) if rng.random() < 0.3 else frames

    def _frame(self) -> bytes:
        rng = self._rng
        commands = (0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x88, 0x8B, 0x8F, 0x00, 0xFF)
        command = rng.choice(commands)
        sizes: dict[int, tuple[int, ...]] = {
            0x81: (70, 69),
            0x82: (3, 13, 258),
            0x85: (25 + 8, 25 + 12, 25),
            0x86: (18, 17),
            0x88: (4, 4 + 17, 4 + 34),
            0x8B: (4, 3),
        }
        size = rng.choice(sizes.get(command, (0, 1, 5, 300)))
        data = bytearray(rng.choice((rng.randbytes(size), b"\xff" * size, b"\0" * size)))
        if command == 0x82 and len(data) >= 3:
            data[2] = rng.choice((len(data) - 3, 255, 0)) & 0xFF
        if command == 0x88 and data:
            data[0] = rng.choice(((len(data) - 4) // 17, 255)) & 0xFF
        if command == 0x85 and len(data) > 24:
            data[0] = rng.choice((1, 2, 10, 11, 0, 255))
            data[24] = (len(data) - 25 - 8) // 4 & 0xFF
        return a_frame(command, bytes(data), rng.randrange(2))

    def _tasmota(self) -> Hostile:
        rng = self._rng
        channels = b"[" + b",".join(self._value() for _ in range(rng.choice((0, 1, 2, 33)))) + b"]"
        energy = [
            (name, channels if rng.random() < 0.2 else self._value())
            for name in ("Total", "Power", "Current", "Voltage", "Factor", "Period")
            if rng.random() < 0.8
        ]
        pairs = [
            ("Time", rng.choice(TIMES)),
            ("ENERGY", self._braces(energy) if rng.random() < 0.9 else self._value()),
            (
                f"POWER{rng.choice(('', '1', '2', '33', 'x'))}",
                rng.choice((b'"ON"', b'"OFF"', b"1")),
            ),
            ("UptimeSec", self._value()),
            ("Wifi", self._braces([("Signal", self._value()), ("SSId", self._value())])),
        ]
        pairs = [pair for pair in pairs if rng.random() < 0.8]
        topic = f"tele/{TASMOTA}/{rng.choice(('SENSOR', 'STATE', 'LWT'))}".encode()
        payload = rng.choice((b"Online", b"Offline", b"")) if topic.endswith(b"LWT") else b""
        return Hostile(topic, payload or self._braces(pairs))

    def _mutated(self, form: str, topic: bytes) -> Hostile:
        _, payload = self._rng.choice(self._kept[form])
        return Hostile(topic, payload if self._rng.random() < 0.3 else self._mutate(payload))

    def _mutate(self, payload: bytes) -> bytes:
        rng = self._rng
        changed = bytearray(payload)
        ways: tuple[Callable[[], None], ...] = (
            lambda: changed.__setitem__(rng.randrange(len(changed)), rng.randrange(256)),
            lambda: changed.__delitem__(slice(rng.randrange(len(changed)), None)),
            lambda: changed.__delitem__(rng.randrange(len(changed))),
            lambda: changed.extend(payload),
            lambda: changed.insert(rng.randrange(len(changed)), rng.choice(b'\0"\\{}[]:,\xff\n5')),
            lambda: changed.__setitem__(
                slice(at := rng.randrange(len(changed)), at), rng.choice(SCALARS)
            ),
        )
        for _ in range(rng.choice((1, 1, 2, 5))):
            if changed:
                rng.choice(ways)()
        return bytes(changed)
