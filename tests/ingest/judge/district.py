"""A small district under judgement: what its devices send is decoded and judged as in production.

Time is in seconds since START, which is a winter evening in Zhengzhou. Devices speak native JSON;
`says` numbers messages with boot 1 and the next seq unless told otherwise.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from devices import faults as rules_of_faults
from devices.catalogue import rules_for
from devices.credentials import Seal
from devices.faults import Fault, State
from devices.journal import MESSAGES, PROBE, RETAINED, TICK, Raw, Record
from devices.judgement import Effects
from devices.kinds import KINDS
from devices.maintenance import Window
from devices.messages import Value
from devices.registry import Compound, Device, Firm, Name, Registry
from devices.sun import lighting_hours
from ingest.decode import Decoder
from ingest.judge.judge import Judge
from ingest.judge.plan import calm_range, plans
from tests.fakes import FakeJudgeStore

START_MS = 1_795_439_400_000  # 2026-11-23 21:10 in Zhengzhou, 13:10 UTC: lamps are lit
COMPOUND = "jiaogong-xiaoqu"
PLANS = plans(rules_for, KINDS)
PROBE_S = 5


SEAL = Seal(b"a secret of the tests only")


def a_device(device: str, kind: str, **more: Any) -> Device:
    interval_s = more.pop("interval_s", KINDS[kind].interval_s)
    compound = more.pop("compound", COMPOUND)
    return Device(device, kind, compound, device, interval_s, **more)


def a_gate(device: str = "gate", **attributes: Value) -> Device:
    return a_device(device, "gate", attributes=attributes)


def a_lamp(device: str = "lamp", **attributes: Value) -> Device:
    return a_device(device, "lamp", attributes=attributes)


def a_shed(device: str = "shed", ports: int = 2) -> list[Device]:
    return [
        a_device(device, "shed"),
        *(
            a_device(f"{device}-p{n:02d}", "port", parent=device, attributes={"port_no": n})
            for n in range(1, ports + 1)
        ),
    ]


def a_registry(*devices: Device) -> Registry:
    return Registry(
        [Firm("yaxin", Name("亚新", "Yaxin"))],
        [
            Compound(COMPOUND, Name("教工小区", "Jiaogong Compound"), "yaxin", 294),
            Compound("lvyun-xiaoqu", Name("绿云小区", "Lüyun Compound"), "yaxin", 100),
        ],
        devices,
    )


def devices_of_all_kinds() -> tuple[Device, ...]:
    return (
        a_gate(),
        a_gate("barrier", form="barrier"),
        *a_shed(),
        a_lamp(),
        a_lamp("circuit", granularity="circuit", lamp_count=8, nominal_power_w=9),
        a_device("camera", "camera"),
        a_device("lift", "lift"),
        a_device("gateway", "gateway"),
    )


class District:
    """Devices, their messages as journal records, the judge, and a store that it commits to."""

    def __init__(self, *devices: Device, stream: str = "live") -> None:
        self.registry = a_registry(*(devices or devices_of_all_kinds()))
        self.store = FakeJudgeStore(self.registry)
        self.stream = stream
        self.now_s = 0.0
        self.records: list[Record] = []
        self.every_message_is_a_record = True
        self._batch: list[Raw] = []
        self._seqs: dict[str, int] = {}
        self._next_jseq = 1
        self._next_id = 1
        self.load()

    # The judge

    def load(self) -> None:
        """Go on from what was committed, as after a restart."""
        self.decoder = self._a_decoder()
        self.judge = Judge(
            self.registry,
            PLANS,
            stream=self.stream,
            seen_before=self.store.knows,
            recall=self.store.session,
            lighting=lighting_hours,
        )
        self.judge.load(self.store.load(), self.now_ms)
        self._look_at_windows()

    def commit(self) -> Effects:
        """Write what has gathered."""
        effects = self.judge.take_effects()
        self.store.commit(effects, "journal-1", self.store.rows.cursor, self.now_ms)
        return effects

    def restart(self) -> None:
        self.commit()
        self.load()

    def take(self, record: Record) -> None:
        """Decode and judge one record."""
        self.records.append(record)
        self.judge.judge(record, [self.decoder.read(raw) for raw in record.messages])

    def imports(self, *devices: Device) -> None:
        """The registry becomes another one."""
        self.registry = a_registry(*devices)
        self.store.an_import(self.registry)
        self.decoder = self._a_decoder()
        self.judge.registry_changed(self.registry, self.now_ms)

    # What devices send

    @property
    def now_ms(self) -> int:
        return START_MS + round(self.now_s * 1000)

    def at_ms(self, at_s: float) -> int:
        return START_MS + round(at_s * 1000)

    def says(
        self,
        device: str,
        values: dict[str, Any] | None = None,
        *,
        ports: dict[str, dict[str, Any]] | None = None,
        at_s: float | None = None,
        flags: int = 0,
        **head: Any,
    ) -> Raw:
        """A report arrives now; of the device's time `at_s`, or now."""
        sent = self._head(device, at_s, head)
        if values is not None:
            sent["values"] = values
        if ports is not None:
            sent["ports"] = ports
        return self.arrives(device, sent, flags=flags)

    def event(self, device: str, event: str, /, *, at_s: float | None = None, **fields: Any) -> Raw:
        """An event arrives now. boot, seq, ts among the fields replace what it would have."""
        head: dict[str, Any] = {
            name: fields.pop(name) for name in ("boot", "seq", "ts") if name in fields
        }
        sent = self._head(device, at_s, head)
        return self.arrives(device, {**sent, "event": event, **fields}, channel="event")

    def starts(self, shed: str, port_no: int, order: str, **more: Any) -> Raw:
        return self.event(shed, "session_start", port_no=port_no, order=order, **more)

    def ends(
        self, shed: str, port_no: int, order: str, stop_reason: str = "full", **more: Any
    ) -> Raw:
        more = {"stop_reason": stop_reason, **more}
        return self.event(shed, "session_end", port_no=port_no, order=order, **more)

    def will(self, device: str, *, flags: int = 0) -> Raw:
        return self.arrives(device, {"state": "offline"}, channel="status", flags=flags)

    def birth(self, device: str, *, flags: int = 0) -> Raw:
        sent = self._head(device, None, {})
        return self.arrives(device, {**sent, "state": "online"}, channel="status", flags=flags)

    def replays(self, device: str, elements: Sequence[tuple[float, dict[str, Any]]]) -> Raw:
        """A buffered replay arrives now: (device time, values or an object with an event)."""
        sent = []
        for at_s, what in elements:
            inside = what if {"event", "values", "ports"} & what.keys() else {"values": what}
            sent.append({**self._head(device, at_s, {}), **inside})
        return self.arrives(device, sent)

    def arrives(
        self,
        device: str,
        payload: Any,
        *,
        channel: str = "telemetry",
        flags: int = 0,
        topic: str | None = None,
    ) -> Raw:
        """Any payload on the device's topic, or on `topic`."""
        if topic is None:
            known = self.registry.devices[device]
            topic = f"courtyard/v1/{known.compound}/{known.kind}/{known.id}/{channel}"
        if not isinstance(payload, bytes):
            payload = json.dumps(payload, ensure_ascii=False).encode()
        raw = Raw(topic.encode(), payload, flags, self.now_ms, self._origin(device))
        self.again(raw)
        return raw

    def again(self, *raws: Raw) -> None:
        """Messages arrive, just as they are."""
        self._batch += raws
        if self.every_message_is_a_record:
            self.cut()

    def messages(self) -> list[Raw]:
        """All that has arrived."""
        return [raw for record in self.records for raw in record.messages]

    def retained(self, raw: Raw) -> None:
        """An old copy of a message comes out of the broker's store now."""
        self.again(raw._replace(flags=raw.flags | RETAINED, received_ms=self.now_ms))

    def waiting(self) -> list[Raw]:
        """What has arrived and is no record yet."""
        return list(self._batch)

    def unsaid(self) -> list[Raw]:
        """What has arrived and is no record yet is taken back."""
        batch, self._batch = self._batch, []
        return batch

    def cut(self) -> None:
        """What has arrived becomes a record."""
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        self.take(Record(self._next_id, MESSAGES, self._next_jseq, len(batch), 1, tuple(batch)))
        self._next_id += 1
        self._next_jseq += len(batch)

    # Time

    def probe(self, sent_s: float | None = None) -> None:
        """Our own probe comes back."""
        sent_ms = self.now_ms if sent_s is None else self.at_ms(sent_s)
        self.control(PROBE, {"n": 1, "sent_ms": sent_ms, "at_ms": self.now_ms})

    def tick(self) -> None:
        self.control(TICK, {"at_ms": self.now_ms})

    def control(self, kind: str, control: dict[str, int | bool | str]) -> None:
        self.cut()
        self.take(Record(self._next_id, kind, self._next_jseq, 0, 1, (), control))
        self._next_id += 1

    def passes(self, seconds: float, beating: Iterable[str] = (), every_s: float = 30) -> None:
        """Time passes with a probe every 5 s, and a heartbeat without values of those `beating`."""
        for _ in self.moments(seconds, beating, every_s):
            pass

    def moments(
        self, seconds: float, beating: Iterable[str] = (), every_s: float = 30
    ) -> Iterator[float]:
        """The same, giving the moment of each probe."""
        devices = list(beating)
        until_s = self.now_s + seconds
        beat_s = self.now_s + every_s
        while self.now_s < until_s:
            self.now_s = min(self.now_s + PROBE_S, until_s)
            if devices and self.now_s >= beat_s:
                beat_s += every_s
                for device in devices:
                    self.says(device, {})
            self.probe()
            yield self.now_s

    def deaf(self, seconds: float) -> None:
        """Time passes and no probe comes back."""
        self.now_s += seconds

    # What people do

    def acknowledges(self, device: str, code: str) -> Fault:
        return self._acts(
            device, code, lambda fault: rules_of_faults.acknowledge(fault, "li-wei", self.now_ms)
        )

    def confirms(self, device: str, code: str) -> Fault:
        return self._acts(
            device, code, lambda fault: rules_of_faults.confirm(fault, "li-wei", self.now_ms)
        )

    def closes(self, device: str, code: str, resolution: str | None = None) -> Fault:
        return self._acts(
            device,
            code,
            lambda fault: rules_of_faults.close(fault, "li-wei", self.now_ms, None, resolution),
        )

    def shelves(self, device: str, code: str, for_s: float) -> Fault:
        until_ms = self.at_ms(self.now_s + for_s)
        return self._acts(
            device,
            code,
            lambda fault: rules_of_faults.shelve(fault, until_ms, "li-wei", self.now_ms),
        )

    def maintains(self, for_s: float, window: str = "w", **scope: Any) -> None:
        """Somebody makes a maintenance window from now on; its scope as `Window` has it."""
        words: dict[str, Any] = {"compound": None, "kind": None, "devices": (), "codes": ()} | scope
        self.store.a_window(
            Window(
                window,
                **words,
                starts_at_ms=self.now_ms,
                ends_at_ms=self.at_ms(self.now_s + for_s),
                reason="new locks",
                owner="wang",
                created_by="li-wei",
                created_at_ms=self.now_ms,
            )
        )
        self._look_at_windows()

    def ends_maintenance(self, window: str = "w") -> None:
        """Somebody ends it now."""
        self.store.a_window(replace(self.store.rows.windows[window], ended_at_ms=self.now_ms))
        self._look_at_windows()

    def _look_at_windows(self) -> None:
        watermark_ms = self.judge.hearing.watermark_ms or 0
        self.judge.windows_changed(self.store.windows(watermark_ms))

    def _acts(self, device: str, code: str, move: Any) -> Fault:
        self.commit()
        moved = self.store.a_person(self.judge.memories[device].faults[code].id, move)
        self.judge.person_moved(moved, self.now_ms)
        return moved

    # What came of it

    def fault(self, device: str, code: str) -> Fault | None:
        """The newest fault with this code, closed or not."""
        return self.judge.memories[device].faults.get(code)

    def state(self, device: str, code: str) -> State | None:
        fault = self.fault(device, code)
        return None if fault is None else fault.state

    def standing(self) -> dict[str, State]:
        """Every fault that is not closed, by `device CODE`."""
        return {
            f"{device} {code}": fault.state
            for device, memory in self.judge.memories.items()
            for code, fault in memory.faults.items()
            if fault.state is not State.CLOSED
        }

    def all_faults(self) -> list[str]:
        """Every fault that there ever was, by `device CODE`, in order; commits."""
        self.commit()
        return [f"{fault.device} {fault.code}" for fault in self.store.rows.faults.values()]

    def account(self) -> dict[str, int]:
        """What became of the messages so far, by `outcome` or `outcome reason`; commits."""
        self.commit()
        counts: dict[str, int] = {}
        for (_, _, outcome, reason), count in self.store.rows.accounts.items():
            name = f"{outcome} {reason}".strip()
            counts[name] = counts.get(name, 0) + count
        return counts

    def figures(self, device: str) -> dict[int, dict[str, Any]]:
        """Usage by hour since START's hour; everything is flushed and committed.

        Without what only tells reports apart, see `changes`.
        """
        return {
            hour: used
            for hour, figures in self._figures(device).items()
            if (used := {name: figures[name] for name in figures if name != "on_change"})
        }

    def changes(self, device: str) -> dict[int, int]:
        """Of the reports that arrived those that only tell of a change, by the same hours."""
        found = {hour: f.get("on_change", 0) for hour, f in self._figures(device).items()}
        return {hour: count for hour, count in found.items() if count}

    def _figures(self, device: str) -> dict[int, dict[str, Any]]:
        for memory in self.judge.memories.values():
            memory.saved_use_ms = 0
            self.judge._touch(memory)
        self.commit()
        border = START_MS - START_MS % 3_600_000
        return {
            (hour - border) // 3_600_000: figures
            for (of, hour), figures in sorted(self.store.rows.figures.items())
            if of == device and figures
        }

    def reports(self, device: str) -> dict[int, int]:
        """Reports that arrived, by hour since START's hour."""
        self.figures(device)
        border = START_MS - START_MS % 3_600_000
        return {
            (hour - border) // 3_600_000: count
            for (of, hour), count in sorted(self.store.rows.received.items())
            if of == device and count
        }

    def _a_decoder(self) -> Decoder:
        return Decoder(self.registry, calm=partial(calm_range, PLANS), seal=SEAL)

    def _head(self, device: str, at_s: float | None, head: dict[str, Any]) -> dict[str, Any]:
        """ts, boot and seq; one that is given as None is left out."""
        sent: dict[str, Any] = {"ts": self.at_ms(self.now_s if at_s is None else at_s)}
        if "seq" not in head:
            sent["seq"] = self._seqs[device] = self._seqs.get(device, -1) + 1
        sent = {"boot": 1, **sent, **head}
        return {name: value for name, value in sent.items() if value is not None}

    def _origin(self, device: str) -> str:
        known = self.registry.devices.get(device)
        return "unassigned" if known is None else known.compound
