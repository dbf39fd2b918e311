"""What judging costs: usual messages, and the whole district falling silent at once.

    python -m bench.judge

Judging alone, without decoding, journal and database, of the simulated district `erqi` with all its
6,768 devices; CPU time of this process. Usual: an evening of the simulated district in which people
come and go and charge, and nothing breaks, with all that its devices report. Silent: everybody has
reported, then nothing comes any more but our own probes, until all are offline: what that takes
together, root causes included, and the longest probe.
"""

import argparse
import gc
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from courtyard.simulation import RATES
from devices.faults import State
from devices.journal import MESSAGES, PROBE, Raw, Record
from devices.judgement import Saved
from devices.registry import Device, Registry
from devices.sun import lighting_hours
from ingest.decode import Decoder
from ingest.judge.judge import Judge
from ingest.judge.plan import calm_range, plans
from simulators.erqi import registry
from simulators.fleet import Fleet
from simulators.history import Draft, write_history

EVENING_MS = 1_795_435_200_000  # 2026-11-23 20:00 in Zhengzhou
START_MS = EVENING_MS + 70 * 60_000
WARM_UP_MS = 3_600_000  # until every device has reported
PROBE_MS = 5_000
BATCH = 200


class Evening:
    """An hour of the simulated district, behind one in which the judge gets to know it."""

    def __init__(self, seconds: int, seed: int) -> None:
        self._registry = registry()
        self._seconds = seconds
        self._seed = seed
        self.messages: Counter[str] = Counter()
        self.spent_s: dict[str, float] = defaultdict(float)

    def pass_by(self) -> None:
        """Judge it; messages of one kind of a record together, so that each has its cost."""
        known = plans()
        judge = Judge(
            self._registry,
            known,
            stream="live",
            seen_before=lambda _: False,
            recall=lambda _: None,
            lighting=lighting_hours,
        )
        judge.load(Saved(None, [], [], []), EVENING_MS)
        decoder = Decoder(self._registry, calm=partial(calm_range, known))
        number = jseq = 0
        for at_ms, draft in self._drafts():
            counts = at_ms >= EVENING_MS + WARM_UP_MS
            for kind, raws in _by_kind(draft.messages).items() or (("", ()),):
                number += 1
                record = Record(
                    number, draft.kind, jseq + 1, len(raws), 1, tuple(raws), draft.control
                )
                jseq += len(raws)
                decoded = [decoder.read(raw) for raw in raws]
                before_s = time.process_time()
                judge.judge(record, decoded)
                spent_s = time.process_time() - before_s
                if counts:
                    self.messages[kind] += len(raws)
                    self.spent_s[kind] += spent_s
            if number % 50 == 0:
                judge.take_effects()

    def _drafts(self) -> Iterator[tuple[int, Draft]]:
        written: list[Draft] = []

        class Sink:
            def commit(self, drafts: Sequence[Draft]) -> None:
                written.extend(drafts)

        until_ms = EVENING_MS + WARM_UP_MS + self._seconds * 1000
        write_history(
            Fleet(self._registry, self._seed, EVENING_MS, RATES["none"]),
            EVENING_MS,
            until_ms,
            Sink(),
        )
        at_ms = EVENING_MS
        for draft in written:
            at_ms = draft.messages[-1].received_ms if draft.messages else at_ms
            yield at_ms, draft


def _by_kind(raws: Sequence[Raw]) -> dict[str, list[Raw]]:
    found: dict[str, list[Raw]] = {}
    for raw in raws:
        _, _, _, kind, _, channel = raw.topic.decode().split("/")
        found.setdefault(f"{kind} {channel}", []).append(raw)
    return found


class Stream:
    """Records of a district in which everybody speaks at its own moments."""

    def __init__(self, district: Registry, *, at_once: bool = False) -> None:
        self.registry = district
        self.now_ms = START_MS
        self.judge = Judge(
            district,
            plans(),
            stream="live",
            seen_before=lambda _: False,
            recall=lambda _: None,
            lighting=lighting_hours,
        )
        self.judge.load(Saved(None, [], [], []), START_MS)
        self._decoder = Decoder(district, calm=partial(calm_range, plans()))
        self._speakers = [device for device in district.devices.values() if device.kind != "port"]
        self._seqs = dict.fromkeys((device.id for device in self._speakers), 0)
        self._id = self._jseq = 0
        self._at_once = at_once

    def lives(self, seconds: int) -> None:
        """Time passes in which everybody reports."""
        for _ in range(seconds // 5):
            self.now_ms += PROBE_MS
            raws = [
                self._says(device)
                for n, device in enumerate(self._speakers)
                if (self.now_ms // 5_000 + (0 if self._at_once else n))
                % max(1, device.interval_s // 5)
                == 0
            ]
            for start in range(0, len(raws), BATCH):
                self._take(raws[start : start + BATCH])
            self.probe()

    def probe(self) -> float:
        """Our own probe comes back; gives the CPU seconds that it took."""
        self._id += 1
        control = {"n": self._id, "sent_ms": self.now_ms, "at_ms": self.now_ms}
        record = Record(self._id, PROBE, self._jseq + 1, 0, 1, (), control)
        before_s = time.process_time()
        self.judge.judge(record, [])
        return time.process_time() - before_s

    def _says(self, device: Device) -> Raw:
        seq = self._seqs[device.id] = self._seqs[device.id] + 1
        values: dict[str, object] = {"csq": 22, "rssi_dbm": -70.5}
        sent = {"ts": self.now_ms, "boot": 1, "seq": seq, "values": values}
        if device.kind == "shed":
            ports = range(1, int(device.attributes["ports"]) + 1)
            sent["ports"] = {str(n): {"port_status": "idle"} for n in ports}
        topic = f"courtyard/v1/{device.compound}/{device.kind}/{device.id}/telemetry"
        return Raw(topic.encode(), json.dumps(sent).encode(), 0, self.now_ms, device.compound)

    def _take(self, raws: list[Raw]) -> None:
        self._id += 1
        record = Record(self._id, MESSAGES, self._jseq + 1, len(raws), 1, tuple(raws))
        self._jseq += len(raws)
        decoded = [self._decoder.read(raw) for raw in raws]
        self.judge.judge(record, decoded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calm", type=int, default=3600, help="seconds of the usual evening")
    parser.add_argument("--seed", type=int, default=7, help="of the evening")
    asked = parser.parse_args()
    evening = Evening(asked.calm, asked.seed)
    evening.pass_by()
    times_s = evening.spent_s.pop("")
    del evening.messages[""]
    messages = evening.messages.total()
    usual_us = sum(evening.spent_s.values()) / messages * 1e6
    print(f"{messages:,} usual messages: {usual_us:.1f} µs each", end="; ")
    print(f"probes besides {times_s / messages * 1e6:.1f} µs a message")
    for kind, count in evening.messages.most_common():
        print(f"  {kind:18} {count:7,} {evening.spent_s[kind] / count * 1e6:6.1f} µs")
    stream = Stream(registry())
    stream.lives(900)  # everybody is there
    stream.judge.take_effects()
    falls_silent("the district falls silent, each at its own time", stream, 3000)
    every_minute = [replace(device, interval_s=60) for device in registry().devices.values()]
    known = registry()
    at_once = Stream(
        Registry(known.firms.values(), known.compounds.values(), every_minute), at_once=True
    )
    at_once.lives(300)
    at_once.judge.take_effects()
    falls_silent("all report every minute, and fall silent at the same moment", at_once, 300)


def falls_silent(what: str, stream: Stream, seconds: int) -> None:
    """Nothing comes but probes; print what it takes to notice."""
    spent_s = []
    gc.collect()
    gc.freeze()  # as the judge's driver does
    for _ in range(seconds // 5):
        stream.now_ms += PROBE_MS
        spent_s.append(stream.probe())
    standing = [
        fault
        for memory in stream.judge.memories.values()
        for fault in memory.faults.values()
        if fault.state is State.OPEN
    ]
    explained = sum(fault.suppressed_by is not None for fault in standing)
    print(f"\n{what}: {len(standing):,} faults, of which roots explain {explained:,}")
    print(f"  work until all are noticed {sum(spent_s) * 1e3:.0f} ms", end="; ")
    print(f"the longest probe {max(spent_s) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
