"""Which clock counts: wild clocks, late and replayed data, and safety in either."""

import pytest

from devices.faults import State
from ingest.judge.memory import Presence
from ingest.judge.timing import AHEAD_MS, OLDEST_MS, Gap, Hearing, event_time
from tests.ingest.judge.district import START_MS, District, a_gate, a_shed

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
YEAR_1970, YEAR_2099 = 1_000_000, 4_070_908_800_000
DAY_S = 86_400


def a_district() -> District:
    return District(a_gate(), *a_shed())


@pytest.mark.parametrize(
    ("at_ms", "counts_ms", "plausible"),
    [
        (None, START_MS, True),
        (START_MS, START_MS, True),
        (START_MS + AHEAD_MS, START_MS + AHEAD_MS, True),
        (START_MS + AHEAD_MS + 1, START_MS, False),
        (START_MS - OLDEST_MS, START_MS - OLDEST_MS, True),
        (START_MS - OLDEST_MS - 1, START_MS, False),
        (YEAR_1970, START_MS, False),
        (YEAR_2099, START_MS, False),
        (-1, START_MS, False),
    ],
)
def test_a_time_beyond_seven_days_and_five_minutes_is_not_believed(
    at_ms: int | None, counts_ms: int, plausible: bool
) -> None:
    assert event_time(at_ms, START_MS) == (counts_ms, plausible)


# Wild clocks


@pytest.mark.parametrize("clock_ms", [YEAR_1970, YEAR_2099, START_MS + 3_600_000])
def test_a_wild_clock_never_costs_a_live_message(clock_ms: int) -> None:
    d = a_district()
    for n in range(5):
        d.now_s = 30 * n
        d.says("gate", {"door_state": "open"}, ts=clock_ms + 30_000 * n)
        d.probe()
    assert d.account() == {"stored": 5, "clock": 5}
    memory = d.judge.memories["gate"]
    assert memory.latest["door_state"] == ("open", d.now_ms)  # by our clock
    assert memory.state is Presence.ONLINE
    assert d.standing() == {"gate GATE_HELD_OPEN": OPEN}
    d.now_s += 5
    d.says("gate", {"door_state": "closed"})  # the clock was set
    assert d.standing() == {}
    assert d.judge.hearing.watermark_ms == d.at_ms(120)


def test_a_repeated_message_with_a_wild_clock_is_marked_once() -> None:
    d = a_district()
    raw = d.says("gate", {"csq": 20}, ts=YEAR_1970)
    d.again(raw, raw)
    assert d.account() == {"stored": 1, "clock": 1, "duplicate": 2}


def test_elements_of_an_array_with_a_wild_clock_are_refused_one_by_one() -> None:
    d = a_district()
    raw = d.arrives(
        "gate",
        [
            {"ts": YEAR_1970, "boot": 1, "seq": 0, "values": {"csq": 10}},
            {"ts": d.now_ms - 1000, "boot": 1, "seq": 1, "values": {"csq": 20}},
        ],
    )
    assert d.account() == {"stored": 1, "partial": 1, "part clock": 1}
    assert d.judge.memories["gate"].word("csq") == 20
    (refused,) = d.store.rows.refused.values()
    assert (refused.reason, refused.partial, refused.payload) == ("clock", True, raw.payload)
    d.again(raw)
    assert d.account()["duplicate"] == 1


def test_an_array_of_nothing_but_wild_clocks_is_quarantined() -> None:
    d = a_district()
    d.arrives("gate", [{"ts": YEAR_1970 + n, "values": {"csq": 10}} for n in range(3)])
    assert d.account() == {"quarantined clock": 1}
    assert d.judge.memories["gate"].latest == {}
    assert d.judge.memories["gate"].state is Presence.ONLINE  # somebody sent it
    (refused,) = d.store.rows.refused.values()
    assert (refused.reason, refused.partial, refused.device) == ("clock", False, "gate")


def test_safety_in_a_refused_element_still_raises_and_waits_for_a_person() -> None:
    d = District(*a_shed())
    d.arrives("shed", [{"ts": YEAR_1970, "values": {"smoke": True}}])
    fault = d.fault("shed", "SHED_SMOKE")
    assert fault is not None
    assert (fault.state, fault.late, fault.since_ms) == (CLEARED, True, d.now_ms)


def test_a_safety_event_in_a_refused_element_raises_too() -> None:
    d = District(a_gate(), *a_shed())
    d.arrives("gate", [{"ts": YEAR_2099, "event": "panic"}])
    d.arrives(
        "shed",
        [{"ts": YEAR_2099, "event": "session_end", "port_no": 1, "order": "1",
          "stop_reason": "smoke"}],
    )  # fmt: skip
    assert d.standing() == {"gate GATE_PANIC": CLEARED, "shed SHED_SMOKE": CLEARED}
    assert d.store.rows.sessions == {}  # and it adds nothing up


def test_a_safety_value_with_a_wild_clock_in_a_live_message_is_live() -> None:
    d = District(*a_shed())
    d.says("shed", {"smoke": True}, ts=YEAR_1970)
    fault = d.fault("shed", "SHED_SMOKE")
    assert fault is not None
    assert (fault.state, fault.late) == (OPEN, False)


def test_a_clock_that_runs_ahead_does_not_make_the_next_minutes_late() -> None:
    d = a_district()
    d.says("gate", {"csq": 20}, at_s=200)  # three minutes fast
    d.now_s = 30
    d.says("gate", {"csq": 21})  # and set right
    assert d.judge.memories["gate"].latest["csq"] == (21, d.now_ms)
    assert d.account() == {"stored": 2}


# Late and replayed data


def test_late_data_never_changes_what_is_now() -> None:
    d = a_district()
    d.says("gate", {"door_state": "closed", "csq": 20})
    d.now_s = 60
    d.says("gate", {"door_state": "open", "csq": 5}, at_s=-10)
    assert d.judge.memories["gate"].latest["door_state"] == ("closed", START_MS)
    d.passes(120, beating=["gate"])
    assert d.standing() == {}
    assert d.account()["late"] == 1


def test_late_data_does_not_end_a_live_fault() -> None:
    d = a_district()
    d.says("gate", {"tamper": True})
    d.now_s = 10
    d.says("gate", {"tamper": False}, at_s=-10)
    assert d.state("gate", "GATE_TAMPER") is OPEN


def test_what_overtook_on_the_way_is_new_for_quantities_that_it_did_not_carry() -> None:
    d = a_district()
    d.says("gate", {"door_state": "open"})
    d.now_s = 30
    d.says("gate", {"csq": 20})
    d.now_s = 31
    d.says("gate", {"door_state": "closed"}, at_s=20)  # sent before, and later than "open"
    assert d.judge.memories["gate"].word("door_state") == "closed"
    d.passes(120, beating=["gate"])
    assert d.standing() == {}


@pytest.mark.parametrize("age_s", [600, 3600, DAY_S, 3 * DAY_S])
def test_a_replay_raises_and_clears_nothing(age_s: int) -> None:
    d = a_district()
    d.says("gate", {"mains_ok": False})
    d.passes(60, beating=["gate"])
    d.now_s += age_s
    d.says("gate", {})
    began_s = d.now_s - age_s
    d.replays("gate", [(began_s + n, {"mains_ok": n % 2 == 0, "tamper": True}) for n in range(9)])
    assert d.all_faults() == ["gate GATE_MAINS_LOST"]
    assert d.state("gate", "GATE_MAINS_LOST") is OPEN
    assert d.account()["late"] == 1  # a mark of the message, not of its elements


def test_a_replayed_smoke_that_is_long_over_waits_for_a_person() -> None:
    d = a_district()
    d.now_s = 7200
    d.says("shed", {"smoke": False})
    smoke_at_s = 600
    d.replays("shed", [(smoke_at_s + 60 * n, {"smoke": True}) for n in range(10)])
    fault = d.fault("shed", "SHED_SMOKE")
    assert fault is not None
    assert (fault.state, fault.late) == (CLEARED, True)
    assert (fault.since_ms, fault.opened_at_ms) == (d.at_ms(smoke_at_s), d.now_ms)
    assert d.all_faults() == ["shed SHED_SMOKE"]
    assert [event.becomes for event in d.store.rows.events] == [OPEN, CLEARED]
    d.acknowledges("shed", "SHED_SMOKE")
    assert d.standing() == {}


@pytest.mark.parametrize(
    ("device", "element", "fault"),
    [
        ("shed", {"values": {"smoke_mask": 2}}, "shed SHED_SMOKE"),
        ("shed", {"values": {"leakage_ma": 50}}, "shed SHED_LEAKAGE"),
        ("shed", {"ports": {"1": {"port_temp_c": 95}}}, "shed-p01 PORT_OVERTEMP"),
        ("shed", {"ports": {"1": {"port_status": "relay_stuck"}}}, "shed-p01 PORT_RELAY_STUCK"),
        ("shed", {"ports": {"1": {"port_status": "paused_smoke"}}}, "shed SHED_SMOKE"),
        ("shed", {"ports": {"2": {"port_status": "ground_fault"}}}, "shed SHED_LEAKAGE"),
        ("shed", {"event": "shed_alarm", "what": "smoke", "active": True}, "shed SHED_SMOKE"),
        ("shed", {"event": "session_end", "port_no": 1, "order": "9", "stop_reason": "leakage"},
         "shed SHED_LEAKAGE"),
        ("shed", {"event": "session_end", "port_no": 1, "order": "9",
                  "stop_reason": "battery_abnormal"}, "shed-p01 PORT_BATTERY_ABNORMAL"),
        ("gate", {"event": "duress"}, "gate GATE_DURESS"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else None,
)  # fmt: skip
def test_every_safety_sign_in_a_replay_raises(device: str, element: dict, fault: str) -> None:  # type: ignore[type-arg]
    d = a_district()
    d.now_s = 7200
    d.says("shed", {}, ports={"1": {"port_status": "idle", "port_temp_c": 20}})
    d.says("gate", {})
    d.replays(device, [(600, element)])
    assert d.standing() == {fault: CLEARED}


@pytest.mark.parametrize(
    "element",
    [
        {"ports": {"1": {"port_temp_c": 75}}},  # P2 is not of the safety tier
        {"values": {"board_temp_c": 90}},
        {"event": "session_end", "port_no": 1, "order": "9", "stop_reason": "over_power"},
    ],
)
def test_what_is_no_safety_sign_raises_nothing_in_a_replay(element: dict) -> None:  # type: ignore[type-arg]
    d = a_district()
    d.now_s = 7200
    d.says("shed", {}, ports={"1": {"port_temp_c": 20}})
    d.replays("shed", [(600, element)])
    assert d.all_faults() == []


def test_a_replay_of_what_was_already_told_and_answered_is_not_told_again() -> None:
    d = a_district()
    d.says("shed", {"smoke": True})
    d.now_s = 300
    d.says("shed", {"smoke": False})
    d.acknowledges("shed", "SHED_SMOKE")
    d.now_s = 700
    d.replays("shed", [(60 * n, {"smoke": True}) for n in range(4)])
    assert d.standing() == {}
    d.restart()
    d.now_s = 7200
    d.replays("shed", [(0, {"smoke": True})])  # an hour later, and after a restart: the same fault
    d.commit()
    (fault,) = d.store.rows.faults.values()
    assert fault.state is CLOSED
    assert len(d.store.rows.events) == 3


def test_live_smoke_after_a_replayed_one_is_live() -> None:
    d = a_district()
    d.now_s = 3600
    d.replays("shed", [(600, {"smoke": True})])
    d.says("shed", {"smoke": True})
    fault = d.fault("shed", "SHED_SMOKE")
    assert fault is not None
    assert (fault.state, fault.late, fault.occurrences) == (OPEN, False, 2)


def test_a_late_smoke_beside_a_standing_one_is_nothing_new() -> None:
    d = a_district()
    d.says("shed", {"smoke": True})
    d.now_s = 600
    d.replays("shed", [(-60, {"smoke": True})])
    assert d.all_faults() == ["shed SHED_SMOKE"]
    assert d.state("shed", "SHED_SMOKE") is OPEN


def test_the_last_minute_of_a_short_drop_is_live() -> None:
    d = a_district()
    d.says("gate", {"tamper": False})
    d.now_s = 60
    d.replays("gate", [(20, {"csq": 20}), (40, {"tamper": True}), (59, {"csq": 20})])
    assert d.standing() == {"gate GATE_TAMPER": OPEN}


def test_late_events_count_for_usage_and_end_no_alarm() -> None:
    d = a_district()
    d.event("gate", "fire_open", active=True)
    d.now_s = 600
    d.event("gate", "fire_open", active=False, at_s=-60)
    d.event("gate", "access", result="granted", at_s=-30)
    assert d.state("gate", "GATE_FIRE_OPEN") is OPEN
    assert d.figures("gate")[0]["granted"] == 1


# What we can hear


def test_grace_is_what_we_missed_since_then_and_one_interval_and_two_minutes() -> None:
    hearing = Hearing()
    for sent_s in (0, 5, 10, 610, 615):
        hearing.heard(1000 * sent_s)
    assert hearing.gaps == [Gap(10_000, 610_000)]
    assert hearing.grace_ms(5_000, 30) == 600_000 + 30_000 + 120_000
    assert hearing.grace_ms(310_000, 30) == 300_000 + 30_000 + 120_000
    assert hearing.grace_ms(610_000, 30) == 0
    assert hearing.grace_ms(615_000, 30) == 0
