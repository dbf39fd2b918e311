"""The rows IN1 to IN14 of the failure matrix on the pure path: decode, judge, forward.

Each class is a row. What a row asks of single functions is tested beside them; here it is asked of
the whole.
"""

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from api.instants import DISTRICT_ZONE, midnight_of
from api.usage import bucket_starts
from courtyard.origin import Origins
from devices.journal import MESSAGES, Raw, Record
from devices.registry import Compound, Device, Firm, Name, Registry
from devices.sun import lighting_hours
from devices.telemetry import Point
from devices.usage import FROM_REPORTS
from ingest.decode import Decoder
from ingest.forward import Forwarder
from ingest.judge.judge import Judge
from ingest.judge.ledger import KEPT_ROWS, KEPT_UNKNOWN
from tests.fakes import FakeForwardStore, FakeJournal, FakeStop, FakeTelemetry, FakeTime
from tests.fuzz.engine import COMPOUND, IMEI, START_MS, Hostile, a_frame, a_registry, topic_of
from tests.fuzz.pipeline import Pipeline
from tests.ingest.cast import NOW_MS, a_decoder, a_publish, native
from tests.ingest.judge.district import PLANS, District, a_gate, a_lamp, a_shed

HOUR_S, DAY_S = 3_600, 86_400


def points_of(district: District) -> list[Point]:
    """What forward makes of all that arrived in a district."""
    journal, telemetry, clock = FakeJournal(), FakeTelemetry(), FakeTime(district.now_ms)
    journal.records = list(district.records)
    registry = district.registry
    forwarder = Forwarder(telemetry, FakeForwardStore(), lambda: registry, clock.clock)
    forwarder.drain(journal, FakeStop(clock))
    return sorted(telemetry.points.values(), key=lambda point: (point.at_ms, point.device))


def effects_of(district: District) -> dict[str, Any]:
    """Everything that a history led to, but the accounts and the time of receipt."""
    figures = {
        device: district.figures(device) for device in district.registry.devices
    }  # this also commits
    rows = district.store.rows
    return {
        "faults": {
            fault.id: (fault.device, fault.code, fault.state, fault.occurrences, fault.since_ms)
            for fault in rows.faults.values()
        },
        "told": [(event.fault, event.was, event.becomes, event.reason) for event in rows.events],
        "sessions": rows.sessions,
        "figures": figures,
        "received": {device: district.reports(device) for device in district.registry.devices},
        "latest": {
            device: {name: value for name, (value, _) in memory.latest.items()}
            for device, memory in district.judge.memories.items()
        },
    }


class TestIN1EveryMessageThreeTimes:
    """Same faults, sessions, usage, alerts as once; two of three are duplicates."""

    FORMS: ClassVar[dict[str, dict[str, Any]]] = {
        "boot and seq": {},
        "seq alone": {"boot": None},
        "the vendor's number": {"boot": None, "seq": None},
        "time alone": {"boot": None, "seq": None},
    }

    def lives(self, form: str, times: int) -> tuple[District, int]:
        """An evening with a fault, two alarms, passages and sessions; how many messages it has."""
        d = District(a_gate(), *a_shed(), a_lamp())
        head = self.FORMS[form]

        def repeated(send: Callable[[], Raw]) -> None:
            raw = send()
            sent_s = d.now_s
            for n in range(1, times):  # redelivered, so received a little later
                d.now_s = sent_s + n
                d.again(raw._replace(received_ms=d.now_ms))
            d.now_s = sent_s + 5

        for n in range(30):
            d.now_s = 60 * n
            event_id = {"event_id": f"a{n}"} if form == "the vendor's number" else {}
            repeated(lambda n=n: d.says("gate", {"door_state": "closed", "csq": n % 30}, **head))  # type: ignore[misc]
            repeated(
                lambda event_id=event_id: d.event(  # type: ignore[misc]
                    "gate", "access", result="granted", method="face", **event_id, **head
                )
            )
            ports = {"1": {"port_status": "in_use", "session_energy_kwh": n / 100}}
            repeated(lambda p=ports: d.says("shed", {"voltage_v": 228.0}, ports=p, **head))  # type: ignore[misc]
            repeated(lambda: d.says("lamp", {"switch_state": "on", "power_w": 40.0}, **head))
            match n:
                case 3:
                    repeated(lambda: d.starts("shed", 1, "1001", **head))
                case 5:
                    repeated(lambda: d.says("shed", {"smoke": True}, **head))
                case 7:
                    repeated(lambda: d.says("shed", {"smoke": False}, **head))
                case 9:
                    repeated(lambda: d.event("gate", "panic", door_no=1, **head))
                case 20:
                    repeated(lambda: d.ends("shed", 1, "1001", session_energy_kwh=0.2, **head))
            d.probe()
        return d, len(d.messages()) // times

    @pytest.mark.parametrize("form", FORMS)
    def test_three_deliveries_lead_to_what_one_leads_to(self, form: str) -> None:
        once, count = self.lives(form, 1)
        thrice, _ = self.lives(form, 3)
        assert effects_of(thrice) == effects_of(once)
        assert once.account() == {"stored": count}
        assert thrice.account() == {"stored": count, "duplicate": 2 * count}
        assert {code for _, code, *_ in effects_of(once)["faults"].values()} == {
            "SHED_SMOKE",
            "GATE_PANIC",
        }

    def test_without_number_and_time_levels_are_set_again_and_nothing_adds_up(self) -> None:
        nobody: dict[str, Any] = {"boot": None, "seq": None, "ts": None}
        districts = []
        for times in (1, 3):
            d = District(a_gate(), *a_shed())
            for n in range(20):
                d.now_s = 60 * n
                for _ in range(times):
                    d.says("gate", {"door_state": "open" if n > 10 else "closed"}, **nobody)
                    d.event("gate", "access", result="granted", **nobody)
                    d.says("shed", {"smoke": n == 5}, **nobody)
                d.probe()
            assert d.account() == {"stored": 60 * times}
            districts.append(effects_of(d))
        once, thrice = districts
        assert thrice == once
        # how long a level lasted is the same however often it is told; nobody passed
        assert once["figures"]["gate"] == {0: {"held_open_s": 420.0}}
        assert len(once["faults"]) == 2  # the smoke, and the door that was held open

    def test_each_message_is_one_point(self) -> None:
        once, _ = self.lives("boot and seq", 1)
        thrice, _ = self.lives("boot and seq", 3)
        assert points_of(thrice) == points_of(once)


class TestIN2ShuffledInWindowsOfAThousand:
    """Final faults, sessions, and all that is counted by events are the same.

    What a level lasted is not: an older value does not change the present, and usage between two
    values is taken when the newer one is judged. So what reports add up to depends on the order
    within a window until it is worked out again (DECISIONS.md, 17 and 39). And a
    session that was closed by inference, because the next start overtook its end, stays counted as
    stopped for an unknown reason if a further session ended before its own end came; its readings,
    if there were any, are then counted as one more session and once more as energy.
    """

    BY_ORDER = FROM_REPORTS

    def sent(self) -> list[Raw]:
        """Some hours of a gate, a shed and a lamp, in their order."""
        d = District(a_gate(), *a_shed(), a_lamp())
        d.every_message_is_a_record = False
        orders = 0
        for n in range(1_000):
            d.now_s = 10 * n
            d.says("gate", {"door_state": "open" if n > 980 else "closed", "csq": n % 30})
            if n % 2:
                d.event(
                    "gate", "access", result="denied" if n % 10 == 5 else "granted", method="face"
                )
            status = "in_use" if n % 100 < 50 else "idle"
            d.says("shed", {"smoke": 400 < n < 420}, ports={"1": {"port_status": status}})
            if n % 100 == 0:
                orders += 1
                d.starts("shed", 1, str(orders))
            if n % 100 == 50:
                d.ends("shed", 1, str(orders), session_energy_kwh=0.4, session_s=500)
        return d.unsaid()

    def lives(self, sent: list[Raw], seed: int | None) -> District:
        """Windows arrive at once, in order or shuffled; then an hour of heartbeats."""
        d = District(a_gate(), *a_shed(), a_lamp())
        d.every_message_is_a_record = False
        rng = Random(seed)
        for start in range(0, len(sent), 1_000):
            window = sent[start : start + 1_000]
            arrival_ms = max(raw.received_ms for raw in window) + 1_000
            d.now_s = (arrival_ms - d.at_ms(0)) / 1_000
            if seed is not None:
                window = rng.sample(window, len(window))
            d.again(*(raw._replace(received_ms=arrival_ms) for raw in window))
            d.cut()
            d.probe()
        d.every_message_is_a_record = True
        for _ in d.moments(HOUR_S):
            if round(d.now_s) % 30 < 5:
                d.arrives("gate", {"values": {}})
                d.arrives("shed", {"values": {}, "ports": {}})
        return d

    @pytest.mark.parametrize("seed", range(3))
    def test_the_end_is_the_same(self, seed: int) -> None:
        sent = self.sent()
        ordered, shuffled = self.lives(sent, None), self.lives(sent, seed)
        assert shuffled.account()["stored"] == ordered.account()["stored"]
        assert "duplicate" not in shuffled.account()
        assert shuffled.standing() == ordered.standing()
        assert set(ordered.standing()) == {"gate GATE_HELD_OPEN", "shed SHED_SMOKE"}
        in_order, out_of_order = effects_of(ordered), effects_of(shuffled)
        # what was measured of them is worked out again as well, as reports add up to it
        told, told_in_order = (
            {name: replace(session, measured=None) for name, session in outcome["sessions"].items()}
            for outcome in (out_of_order, in_order)
        )
        assert told == told_in_order
        assert len(in_order["sessions"]) == 10
        assert out_of_order["received"] == in_order["received"]
        assert out_of_order["latest"] == in_order["latest"]
        counted = [self.counted(effects["figures"]) for effects in (in_order, out_of_order)]
        assert counted[1] == counted[0]
        assert counted[0]["gate"]["granted"] == 400
        assert points_of(shuffled) == points_of(ordered)

    def counted(self, figures: dict[str, dict[int, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
        """Per device, over all hours: what is counted, without what lasted."""
        totals: dict[str, dict[str, Any]] = {}
        for device, hours in figures.items():
            of_device = totals.setdefault(device, {})
            for hour in hours.values():
                for name, amount in hour.items():
                    if isinstance(amount, dict):
                        for part, number in amount.items():
                            key = f"{name}.{part}"
                            if key not in ("stop_reasons.unknown", "inferred_stops.unknown"):
                                of_device[key] = of_device.get(key, 0) + number
                    elif name not in self.BY_ORDER:
                        of_device[name] = of_device.get(name, 0) + amount
        return totals

    def test_energy_of_sessions_is_the_same_in_sum(self) -> None:
        sent = self.sent()
        sums = []
        for seed in (None, 0):
            hours = self.lives(sent, seed).figures("shed-p01").values()
            sums.append(sum(hour.get("energy_kwh", 0) for hour in hours))
        assert sums == pytest.approx([4.0, 4.0])


BESIDE: dict[str, tuple[str, bytes]] = {  # what is wrong, its reason, the value or the member
    "IN5 NaN": ("bad_number", b'"voltage_v":NaN'),
    "IN5 Infinity": ("bad_number", b'"voltage_v":-Infinity'),
    "IN5 1e999": ("bad_number", b'"voltage_v":1e999'),
    "IN6 text for a number": ("bad_type", b'"voltage_v":"228.1"'),
    "IN7 invalid UTF-8": ("bad_text", b'"voltage_v":"\xff\xfe"'),
    "IN7 NUL": ("bad_text", b'"voltage_v":"a\\u0000"'),
    "IN7 half a surrogate pair": ("bad_text", b'"voltage_v":"\\ud800"'),
    "IN8 4,000 digits": ("bad_number", b'"voltage_v":' + b"9" * 4_000),
    "IN8 5,000 digits": ("bad_number", b'"voltage_v":-' + b"9" * 5_000),
    "IN8 a key twice": ("duplicate_key", b'"voltage_v":228,"voltage_v":229'),
}


class TestIN5ToIN8OneBadValue:
    @pytest.mark.parametrize(("reason", "member"), BESIDE.values(), ids=BESIDE)
    def test_beside_a_smoke_flag_it_is_refused_and_the_smoke_is_judged(
        self, reason: str, member: bytes
    ) -> None:
        for order in (b'"smoke":true,' + member, member + b',"smoke":true'):
            d = District(*a_shed())
            d.arrives("shed", b'{"values":{' + order + b"}}")
            assert d.account() == {"stored": 1, "partial": 1, f"part {reason}": 1}
            assert d.standing() == {"shed SHED_SMOKE": "open"}

    @pytest.mark.parametrize(("reason", "member"), BESIDE.values(), ids=BESIDE)
    def test_alone_it_is_quarantined_and_a_sign_of_life(self, reason: str, member: bytes) -> None:
        d = District(*a_shed())
        d.arrives("shed", b'{"values":{' + member + b"}}")
        assert d.account() == {f"quarantined {reason}": 1}
        assert d.judge.memories["shed"].state == "online"
        assert points_of(d) == []


class TestIN4Depth:
    @pytest.mark.parametrize(
        "payload",
        [
            b'{"values":{"smoke":true},"made_up":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
            b'{"values":{"smoke":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}}",
            b"[" * 65_536,
        ],
    )
    def test_ten_thousand_levels_are_too_deep(self, payload: bytes) -> None:
        d = District(*a_shed())
        d.arrives("shed", payload)
        d.says("shed", {"voltage_v": 228})
        assert d.account() == {"quarantined too_deep": 1, "stored": 1}


class TestIN6AFieldChangesItsType:
    def test_the_series_goes_on_as_numbers(self, tmp_path: Path) -> None:
        pipeline = Pipeline(tmp_path)
        topic = topic_of(a_registry().devices["shed-1"]).encode()
        for n, value in enumerate(['"228.0"' if n in (3, 4) else f"{220 + n}.0" for n in range(8)]):
            payload = f'{{"seq":{n},"ts":{START_MS + 200 * n},"values":{{"voltage_v":{value}}}}}'
            pipeline.feed(Hostile(topic, payload.encode()))
        pipeline.flush()
        assert [value for _, value in pipeline.samples("shed-1", "voltage_v")] == [
            *(220.0, 221.0, 222.0, 225.0, 226.0, 227.0)
        ]
        pipeline.close()
        assert pipeline.broken == []
        assert pipeline.fates == {"stored": 6, "bad_type": 2}


class TestIN10CardinalityBomb:
    """Tags come from the registry; what a sender makes up is counted, and little of it is kept."""

    COUNT = 40_000  # beyond every bound that it could reach

    @pytest.mark.long
    def test_made_up_names_and_topics_by_the_ten_thousand(self) -> None:
        registry = a_registry()
        decoder, origins = Decoder(registry), Origins(registry)
        judge = Judge(
            registry,
            PLANS,
            stream="live",
            seen_before=lambda _key: False,
            recall=lambda _session: None,
            lighting=lighting_hours,
        )
        judge.registry_changed(registry, NOW_MS)
        gate = topic_of(registry.devices["gate-1"]).encode()
        kinds: tuple[Callable[[int], tuple[bytes, bytes]], ...] = (
            lambda n: (gate, b'{"values":{"made_up_%d":1}}' % n),
            lambda n: (gate, b'{"values":{"reader_online_%d":true}}' % n),
            lambda n: (b"courtyard/v1/%s/gate/bomb-%d/telemetry" % (COMPOUND.encode(), n), b"{}"),
            lambda n: (b"tele/bomb_%d/SENSOR" % n, b"{}"),
            lambda n: (b"JUY/D2S/%s/%d/DEV" % (IMEI.encode(), n), b""),
        )
        refused = stored = 0
        peaks: list[int] = []
        tracemalloc.start()
        for start in range(0, self.COUNT, 1_000):
            batch = []
            for n in range(start, start + 1_000):
                topic, payload = kinds[n % len(kinds)](n)
                batch.append(Raw(topic, payload, 0, NOW_MS, origins(topic)))
            said = [decoder.read(raw) for raw in batch]
            judge.judge(Record(start + 1, MESSAGES, start + 1, 1_000, 1, tuple(batch)), said)
            effects = judge.take_effects()
            refused += len(effects.refused)
            stored += sum(effects.accounts.values())
            assert len(effects.devices) <= 2
            if start % 10_000 == 0:
                peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        # of a device and reason, or a place without one: so many rows an hour, however many come
        assert refused <= 3 * KEPT_ROWS + KEPT_UNKNOWN
        assert stored > self.COUNT  # counted they all are, some under a mark as well
        assert len(judge.memories["gate-1"].latest) <= 999
        assert len(decoder._places) <= decoder._max_places
        assert origins.remembered <= 65_536
        assert peaks[-1] - peaks[1] < 20 * 1024 * 1024, peaks

    def test_a_message_of_a_thousand_names_lists_twenty(self) -> None:
        d = District(a_gate())
        d.says("gate", {"csq": 20, **{f"made_up_{n}": n for n in range(1_000)}})
        (row,) = d.commit().refused
        assert row.detail.count("made_up_") == 20
        assert {point.device for point in points_of(d)} == {"gate"}
        assert points_of(d)[0].fields == {"csq": 20}


class TestIN11DeviceClocks:
    CLOCKS: ClassVar[dict[str, int | None]] = {
        "an hour ahead": None,
        "2099": 4_070_908_800_000,
        "1970": 1_000,
    }

    @pytest.fixture
    def district(self) -> District:
        d = District(a_gate(), a_gate("other"), *a_shed())
        d.probe()
        return d

    def clock_ms(self, name: str, d: District) -> int:
        return self.CLOCKS[name] or d.now_ms + 3_600_000

    @pytest.mark.parametrize("clock", CLOCKS)
    def test_a_live_message_counts_by_our_clock_and_is_marked(
        self, district: District, clock: str
    ) -> None:
        d = district
        d.says("shed", {"smoke": True, "voltage_v": 228}, ts=self.clock_ms(clock, d))
        assert d.account() == {"stored": 1, "clock": 1}
        assert d.standing() == {"shed SHED_SMOKE": "open"}
        fault = d.fault("shed", "SHED_SMOKE")
        assert fault is not None
        assert (fault.late, fault.since_ms) == (False, d.now_ms)
        assert [point.at_ms for point in points_of(d)] == [d.now_ms]
        assert d.judge.memories["shed"].last_seen_ms == d.now_ms  # a sign of life

    @pytest.mark.parametrize("clock", CLOCKS)
    def test_in_a_replay_it_is_refused_and_its_smoke_waits_for_a_person(
        self, district: District, clock: str
    ) -> None:
        d = district
        d.arrives("shed", [{"ts": self.clock_ms(clock, d), "seq": 1, "values": {"smoke": True}}])
        assert d.account() == {"quarantined clock": 1}
        assert d.standing() == {"shed SHED_SMOKE": "cleared"}
        assert points_of(d) == []
        assert d.judge.memories["shed"].last_seen_ms == d.now_ms

    @pytest.mark.parametrize("clock", CLOCKS)
    def test_neither_the_watermark_nor_anybody_elses_timer_moves(
        self, district: District, clock: str
    ) -> None:
        d = district
        d.says("gate", {"csq": 20})
        d.says("other", {"door_state": "open"})
        before = d.judge.hearing.watermark_ms
        d.says("gate", {"door_state": "open"}, ts=self.clock_ms(clock, d))
        assert d.judge.hearing.watermark_ms == before
        d.passes(55, beating=["gate", "other"])
        assert "GATE_HELD_OPEN" not in {name.split()[1] for name in d.standing()}
        d.passes(15, beating=["gate", "other"])
        standing = {name for name in d.standing() if name.endswith("GATE_HELD_OPEN")}
        assert standing == {"gate GATE_HELD_OPEN", "other GATE_HELD_OPEN"}


class TestIN12LateBackfill:
    """Stored late, usage of its own hours corrected, nothing opened or closed but a late smoke.

    After three days its hours are final: they stay as they are, and that is counted.
    """

    @pytest.mark.parametrize("days", [1, 3])
    def test_a_backlog_with_a_smoke_that_is_long_over(self, days: int) -> None:
        d = District(a_gate(), *a_shed())
        d.now_s = days * DAY_S
        d.says("gate", {"door_state": "closed"})
        d.says("shed", {"smoke": False, "mains_ok": False})
        d.passes(60, beating=["gate", "shed"])
        live = d.standing()
        assert live == {"shed SHED_POWER_CUT": "open"}
        backlog: list[tuple[float, dict[str, Any]]] = [
            (60 * n, {"smoke": 10 <= n < 13, "mains_ok": True, "voltage_v": 228})
            for n in range(120)
        ]
        d.replays("shed", backlog)
        d.replays(
            "gate",
            [
                (60.0 * n, {"event": "access", "result": "granted", "method": "card"})
                for n in range(60)
            ],
        )
        d.replays("gate", [(60.0 * n, {"door_state": "open"}) for n in range(120)])
        d.passes(300, beating=["gate", "shed"])
        assert d.standing() == {**live, "shed SHED_SMOKE": "cleared"}
        fault = d.fault("shed", "SHED_SMOKE")
        assert fault is not None
        assert (fault.late, fault.since_ms) == (True, d.at_ms(600))
        assert d.account()["late"] == 3
        assert d.all_faults().count("shed SHED_SMOKE") == 1
        # usage and coverage of the hours in which it was
        granted = [d.figures("gate").get(hour, {}).get("granted", 0) for hour in (0, 1)]
        reports = [d.reports("shed").get(hour, 0) for hour in (0, 1)]
        if days == 1:
            assert (sum(granted), reports) == (60, [50, 60])
            assert "late_final" not in d.account()
        else:
            assert (sum(granted), reports) == (0, [0, 0])
            assert d.account()["late_final"] == 3
        stored = {point.at_ms for point in points_of(d) if point.device == "shed"}
        assert {d.at_ms(60 * n) for n in range(120)} <= stored


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Shanghai"])
def host_zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The host's own time zone, for the length of a test."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


class TestIN13LocalTimesWithoutZone:
    """+08:00 without summer time, whatever the host's zone; New York moves on these days."""

    LOCAL: ClassVar[dict[str, int]] = {  # as the device writes it: UTC, by hand
        "2026-03-08T02:30:00": 1_772_908_200_000,
        "2026-03-08T15:00:00": 1_772_953_200_000,
        "2026-11-01T01:30:00": 1_793_467_800_000,
        "2026-11-01T14:00:00": 1_793_512_800_000,
        "2026-11-23T10:00:00": 1_795_399_200_000,
    }

    @pytest.mark.parametrize("text", LOCAL)
    def test_the_event_time_is_the_same_on_every_host(self, host_zone: str, text: str) -> None:
        decoder = a_decoder()
        messages: list[tuple[str, dict[str, Any] | list[Any]]] = [
            (native("gate-1"), {"ts": text, "values": {"csq": 20}}),
            (native("gate-1"), [{"ts": text, "values": {"csq": 20}}]),
            ("tele/pow1/SENSOR", {"Time": text, "ENERGY": {"Power": 5}}),
        ]
        for topic, payload in messages:
            (item,) = decoder.decode(a_publish(topic, payload)).items
            assert item.at_ms == self.LOCAL[text]

    def test_days_begin_at_midnight_in_zhengzhou(self, host_zone: str) -> None:
        for text, at_ms in self.LOCAL.items():
            hour, minute = int(text[11:13]), int(text[14:16])
            midnight_ms = at_ms - (hour * 60 + minute) * 60_000
            assert midnight_of(at_ms, DISTRICT_ZONE) == midnight_ms
            week = bucket_starts(midnight_ms, midnight_ms + 7 * 86_400_000, DISTRICT_ZONE, "day")
            assert list(week) == [midnight_ms + n * 86_400_000 for n in range(7)]


class TestIN14OneNameInTwoProtocols:
    """Two devices, two histories: nothing of one is found at the other."""

    NAME = "861197062934387"

    def a_pipeline(self, tmp_path: Path) -> Pipeline:
        def a_board(device: str, **more: Any) -> list[Device]:
            return [
                Device(device, "shed", COMPOUND, device, 60, **more),
                Device(
                    f"{device}-p01",
                    "port",
                    COMPOUND,
                    device,
                    60,
                    parent=device,
                    protocol=more.get("protocol", "native"),
                    attributes={"port_no": 1},
                ),
            ]

        registry = Registry(
            [Firm("yaxin", Name("亚新", "Yaxin"))],
            [Compound(COMPOUND, Name("教工小区", "Jiaogong Compound"), "yaxin", 294)],
            [
                *a_board("board", protocol="juy", external_id=self.NAME),
                *a_board(self.NAME),
                Device(
                    "lamp",
                    "lamp",
                    COMPOUND,
                    "lamp",
                    300,
                    protocol="tasmota",
                    external_id=self.NAME,
                ),
            ],
        )
        return Pipeline(tmp_path, registry)

    def test_no_key_session_or_fault_is_shared(self, tmp_path: Path) -> None:
        pipeline = self.a_pipeline(tmp_path)
        order = 77
        end = bytes([1]) + order.to_bytes(4, "little") + (600).to_bytes(4, "little")
        end += (40).to_bytes(4, "little") + (100).to_bytes(4, "little") + b"\x01" + bytes(7)
        board = f"JUY/D2S/{self.NAME}/85/DEV".encode()
        shed = f"courtyard/v1/{COMPOUND}/shed/{self.NAME}"
        at_ms = pipeline.now_ms
        native_end = (
            f'{{"ts":{at_ms},"event":"session_end","port_no":1,"order":"{order}",'
            '"session_s":900,"session_energy_kwh":0.9,"stop_reason":"full"}'
        )
        sent = [
            Hostile(board, a_frame(0x85, end + bytes(8))),
            Hostile(f"{shed}/event".encode(), native_end.encode()),
            Hostile(f"{shed}/telemetry".encode(), b'{"values":{"smoke":true}}'),
            Hostile(f"tele/{self.NAME}/SENSOR".encode(), b'{"ENERGY":{"Power":40}}'),
        ]
        for hostile in sent:
            pipeline.feed(hostile)
        judge = pipeline.judge
        pipeline._cut()
        sessions = {(s.shed, s.order): s.energy_kwh for s in judge.effects.sessions.values()}
        assert sessions == {("board", "77"): 0.4, (self.NAME, "77"): 0.9}
        assert len(judge.effects.sessions) == 2
        standing = {device: list(memory.faults) for device, memory in judge.memories.items()}
        assert {device for device, codes in standing.items() if codes} == {self.NAME}
        assert {
            name: set(judge.memories[name].latest) for name in ("board", self.NAME, "lamp")
        } == {
            "board": set(),
            self.NAME: {"smoke"},
            "lamp": {"power_w"},
        }
        pipeline.close()
        assert pipeline.broken == []
        assert pipeline.fates == {"stored": 4}

    def test_both_orders_end_again_and_each_is_known_by_itself(self, tmp_path: Path) -> None:
        pipeline = self.a_pipeline(tmp_path)
        topic = f"courtyard/v1/{COMPOUND}/shed/{self.NAME}/event".encode()
        payload = b'{"event":"session_end","port_no":1,"order":"5","session_energy_kwh":1}'
        for _ in range(3):
            pipeline.feed(Hostile(topic, payload))
        end = bytes([1]) + (5).to_bytes(4, "little") + bytes(19) + b"\0" + bytes(8)
        for _ in range(2):
            pipeline.feed(Hostile(f"JUY/D2S/{self.NAME}/85/DEV".encode(), a_frame(0x85, end)))
        pipeline.close()
        assert pipeline.broken == []
        assert pipeline.fates == {"stored": 2, "duplicate": 3}
