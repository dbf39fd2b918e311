"""What judging costs: a usual message, and the whole district falling silent at once.

    python -m bench.judge

Judging alone, without decoding, journal and database, of the simulated district `erqi` with all its
6,768 devices. Calm: every device that speaks reports once in each of its intervals, an hour long.
Silent: then nothing comes any more but our own probes, until everybody is offline: what that takes
together, root causes included, and the longest probe. CPU time of this process.
"""

import argparse
import gc
import json
import time
from dataclasses import replace
from functools import partial

from devices.faults import State
from devices.journal import MESSAGES, PROBE, Raw, Record
from devices.judgement import Saved
from devices.registry import Device, Registry
from devices.sun import lighting_hours
from ingest.decode import Decoder
from ingest.judge.judge import Judge
from ingest.judge.plan import calm_range, plans
from simulators.erqi import registry

START_MS = 1_795_439_400_000  # 2026-11-23 21:10 in Zhengzhou: lamps are lit
PROBE_MS = 5_000
BATCH = 200


class Stream:
    """Records of a district in which everybody speaks at its own moments."""

    def __init__(self, district: Registry, *, at_once: bool = False) -> None:
        self.registry = district
        self.now_ms = START_MS
        self.judge = Judge(
            district, plans(), stream="live", seen_before=lambda _: False, lighting=lighting_hours
        )
        self.judge.load(Saved(None, [], [], []), START_MS)
        self._decoder = Decoder(district, calm=partial(calm_range, plans()))
        self._speakers = [device for device in district.devices.values() if device.kind != "port"]
        self._seqs = dict.fromkeys((device.id for device in self._speakers), 0)
        self._id = self._jseq = 0
        self._at_once = at_once
        self.messages = 0
        self.spent_s = 0.0

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
        before_s = time.process_time()
        self.judge.judge(record, decoded)
        self.spent_s += time.process_time() - before_s
        self.messages += len(raws)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calm", type=int, default=1800, help="seconds of calm before the silence")
    asked = parser.parse_args()
    stream = Stream(registry())
    stream.lives(900)  # everybody is there
    stream.judge.take_effects()
    stream.messages, stream.spent_s = 0, 0.0
    stream.lives(asked.calm)
    usual_us = stream.spent_s / stream.messages * 1e6
    print(
        f"{stream.messages:,} usual messages, sheds with all their sockets: {usual_us:.2f} µs each"
    )
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
