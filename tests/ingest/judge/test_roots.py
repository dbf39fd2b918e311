"""Root causes: what is one fault, what it takes along, and what becomes of that afterwards.

Times are in seconds since START. Everybody speaks as often as the registry says, each at its own
moments, until it is told to be dead.
"""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from devices import faults
from devices.faults import Fault, State, Why
from devices.registry import Device
from ingest.judge.memory import Presence
from ingest.judge.memory import Why as Reason
from tests.ingest.judge.district import COMPOUND, District, a_device, a_lamp, a_shed

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
CUT, GATEWAY = "COMPOUND_POWER_CUT", "GW_OFFLINE"


def behind(device: str, kind: str = "gate", **more: Any) -> Device:
    return a_device(device, kind, parent="gateway", **more)


def a_compound(gates: int = 2, sheds: int = 2) -> list[Device]:
    """A gateway, gates and a camera behind it, and sheds with modems of their own."""
    return [
        a_device("gateway", "gateway"),
        *(behind(f"gate-{n}") for n in range(1, gates + 1)),
        behind("camera", "camera"),
        *(device for n in range(1, sheds + 1) for device in a_shed(f"shed-{n}", ports=1)),
    ]


class Life:
    """A district in which everybody beats at its own moments, but for the dead."""

    def __init__(self, *devices: Device) -> None:
        self.d = District(*devices)
        self.dead: set[str] = set()
        self.restarts = False
        speakers = [one for one in devices if one.kind != "port"]
        self.beats = {
            one.id: (n * 7 % one.interval_s, one.interval_s) for n, one in enumerate(speakers)
        }

    def lives(self, seconds: float) -> None:
        """Time passes, to the second, with a probe every five."""
        d = self.d
        until_s = d.now_s + seconds
        while d.now_s < until_s:
            d.now_s += 1
            for device, (moment, interval_s) in self.beats.items():
                if device not in self.dead and d.now_s % interval_s == moment:
                    d.says(device, {})
            if d.now_s % 5 == 0:
                d.probe()
                if self.restarts:
                    d.restart()

    def dies(self, *devices: str) -> None:
        self.dead |= set(devices)

    def returns(self, *devices: str) -> None:
        self.dead -= set(devices)

    def loses_power(self) -> None:
        """All at once; the gateway says so, and lasts for 25 s more."""
        self.d.says("gateway", {"mains_ok": False})
        self.dies(*(name for name in self.beats if name != "gateway"))
        self.lives(25)
        self.dies("gateway")

    def power_returns(self) -> None:
        self.dead.clear()
        self.d.says("gateway", {"mains_ok": True})

    @property
    def cut(self) -> Fault | None:
        compound = self.d.judge._roots.compound(COMPOUND)
        assert compound is not None
        return compound.faults.get(CUT)

    def alertable(self) -> list[str]:
        """What people are told of: notices that were due while nothing explained their fault."""
        self.d.commit()
        told: list[str] = []
        rows = self.d.store.rows
        for event in rows.events:
            if event.reason not in faults.NOTICED or event.held is not None:
                continue
            at_ms = event.notice_at_ms or event.at_ms
            if at_ms > self.d.now_ms:
                continue
            by: str | None = None
            over = False
            for later in rows.events:
                if later.fault != event.fault or not event.at_ms <= later.at_ms <= at_ms:
                    continue
                if later.reason is Why.SUPPRESSED:
                    by = str((later.evidence or {})["suppressed_by"])
                if later.reason is Why.OVER:
                    over = event.notice_at_ms is not None
            fault = rows.faults[event.fault]
            if by is None and not over:
                told.append(f"{fault.subject} {fault.code}")
        return told

    def children(self, of: Fault) -> dict[str, Fault]:
        self.d.commit()
        return {
            f"{fault.subject} {fault.code}": fault
            for fault in self.d.store.rows.faults.values()
            if fault.suppressed_by == of.id
        }

    def raised(self) -> list[str]:
        self.d.commit()
        return sorted(f"{f.subject} {f.code}" for f in self.d.store.rows.faults.values())

    def whys(self, fault: Fault) -> list[Why]:
        self.d.commit()
        return [e.reason for e in self.d.store.rows.events if e.fault == fault.id]


def an_hour_in(*devices: Device) -> Life:
    life = Life(*devices)
    for device, (moment, _) in life.beats.items():
        life.d.now_s = float(moment)
        life.d.says(device, {"csq": 20})
    life.lives(900 - life.d.now_s)
    return life


def standing(life: Life, device: str, code: str) -> Fault:
    fault = life.d.fault(device, code)
    assert fault is not None
    return fault


# A power cut


@pytest.mark.parametrize("restarts", [False, True])
def test_a_power_cut_is_one_fault_and_people_are_told_once(restarts: bool) -> None:
    life = an_hour_in(*a_compound())
    cut_ms = life.d.now_ms
    life.restarts = restarts
    life.loses_power()
    life.lives(90)
    assert life.cut is None
    life.lives(10)
    cut = life.cut
    assert cut is not None
    assert (cut.state, cut.severity, cut.since_ms) == (OPEN, "P2", cut_ms)
    assert cut.evidence == {"silent": 4, "of": 5, "evidence": "mains_ok", "by": "gateway"}
    life.lives(1800)
    assert set(life.children(cut)) == {
        "gateway GW_OFFLINE",
        "gate-1 GATE_OFFLINE",
        "gate-2 GATE_OFFLINE",
        "camera CCTV_OFFLINE",
        "shed-1 SHED_OFFLINE",
        "shed-2 SHED_OFFLINE",
    }
    assert life.alertable() == [f"{COMPOUND} {CUT}"]
    assert life.whys(cut) == [Why.RAISED]
    gate = standing(life, "gate-1", "GATE_OFFLINE")
    assert life.whys(gate) == [Why.RAISED, Why.SUPPRESSED]
    assert life.d.judge.memories["gate-1"].reason is Reason.POWER_CUT


def test_it_is_over_when_most_have_reported_for_three_minutes_and_so_are_its_children() -> None:
    life = an_hour_in(*a_compound())
    life.loses_power()
    life.lives(1800)
    life.power_returns()
    back_s = life.d.now_s
    assert life.cut is not None
    while life.cut.state is OPEN:
        life.lives(5)
    assert back_s + 180 <= life.d.now_s <= back_s + 60 + 180 + 10
    life.lives(3600)
    assert life.d.standing() == {}
    assert life.alertable() == [f"{COMPOUND} {CUT}"]


def test_it_is_not_over_while_the_sheds_send_a_bad_voltage() -> None:
    life = an_hour_in(*a_compound())
    life.loses_power()
    life.lives(600)
    life.power_returns()
    for _ in range(20):
        life.lives(30)
        for shed in ("shed-1", "shed-2"):
            life.d.says(shed, {"voltage_v": 193.0})
    assert life.cut is not None
    assert life.cut.state is OPEN
    for _ in range(8):
        life.lives(30)
        for shed in ("shed-1", "shed-2"):
            life.d.says(shed, {"voltage_v": 224.0})
    assert life.cut.state is CLOSED


@pytest.mark.parametrize("volts", [(185.0, 185.0), (185.0, 230.0), (0.0, 230.0)])
def test_a_voltage_that_stays_bad_keeps_it_open_for_half_an_hour_and_no_longer(
    volts: tuple[float, float],
) -> None:
    life = an_hour_in(*a_compound())
    life.loses_power()
    life.lives(600)
    life.power_returns()
    back_s = life.d.now_s
    assert life.cut is not None
    while life.cut.state is OPEN:
        for shed, value in zip(("shed-1", "shed-2"), volts, strict=True):
            life.d.says(shed, {"voltage_v": value})
        life.lives(30)
    assert 1800 + 180 <= life.d.now_s - back_s <= 1800 + 180 + 60 + 40
    life.dies("gate-1")
    for _ in range(20):
        life.lives(30)
        for shed, value in zip(("shed-1", "shed-2"), volts, strict=True):
            life.d.says(shed, {"voltage_v": value})
    assert "gate-1 GATE_OFFLINE" in life.alertable()
    assert "shed-1 SHED_UNDERVOLT" in life.alertable()


@pytest.mark.parametrize("restarts", [False, True])
def test_a_child_that_is_still_dead_is_its_own_fault_one_silence_limit_after_the_root(
    restarts: bool,
) -> None:
    life = an_hour_in(*a_compound())
    life.loses_power()
    life.lives(1800)
    life.power_returns()
    life.dies("gate-2")
    life.lives(200)
    life.restarts = restarts
    while life.cut is not None and life.cut.state is OPEN:
        life.lives(1)
    assert life.cut is not None
    over_ms = life.cut.closed_at_ms or 0
    life.lives(90 - 6)
    gate = standing(life, "gate-2", "GATE_OFFLINE")
    assert (gate.state, gate.suppressed_by) == (OPEN, life.cut.id)
    life.lives(8)
    gate = standing(life, "gate-2", "GATE_OFFLINE")
    assert (gate.state, gate.suppressed_by) == (OPEN, None)
    (released,) = [e for e in life.d.store.rows.events if e.reason is Why.RELEASED] or [
        move.event for move in life.d.judge.effects.moves if move.event.reason is Why.RELEASED
    ]
    assert over_ms + 90_000 <= released.at_ms <= over_ms + 95_000
    assert released.notice_at_ms == released.at_ms + 120_000
    life.lives(600)
    assert life.alertable() == [f"{COMPOUND} {CUT}", "gate-2 GATE_OFFLINE"]


def test_a_device_that_failed_first_is_a_child_and_one_that_was_broken_before_is_not() -> None:
    life = an_hour_in(*a_compound(gates=3))
    life.dies("gate-3")
    life.lives(3600)
    life.dies("gate-1")
    life.lives(40)
    life.loses_power()
    life.lives(600)
    cut = life.cut
    assert cut is not None
    assert "gate-1 GATE_OFFLINE" in life.children(cut)
    assert "gate-3 GATE_OFFLINE" not in life.children(cut)
    assert life.alertable() == ["gate-3 GATE_OFFLINE", f"{COMPOUND} {CUT}"]


def test_a_danger_is_never_a_child() -> None:
    life = an_hour_in(*a_compound())
    life.loses_power()
    life.lives(300)
    life.d.says("shed-1", {"smoke": True})
    life.lives(300)
    smoke = standing(life, "shed-1", "SHED_SMOKE")
    assert (smoke.state, smoke.suppressed_by) == (OPEN, None)
    assert "shed-1 SHED_SMOKE" in life.alertable()


@pytest.mark.parametrize(
    ("sheds", "gates", "dies", "word", "is_cut"),
    [
        # 70 % of at least five, of two kinds, with a word that the power is gone
        (2, 2, "gateway gate-1 gate-2 shed-1 shed-2", "gate-1", True),
        (2, 2, "gateway gate-1 gate-2 shed-1", "gate-1", True),
        (3, 2, "shed-1 shed-2 shed-3 gate-1 gate-2", "shed-1", True),  # the gateway has a battery
        (3, 2, "shed-1 shed-2 shed-3 gate-1", "shed-1", False),  # two of three are no 70 %
        # no word: but sheds have modems of their own
        (2, 2, "gateway gate-1 gate-2 camera shed-1 shed-2", None, True),
        (2, 2, "gateway gate-1 gate-2 camera shed-1", None, False),  # one shed is well
        (0, 4, "gateway gate-1 gate-2 gate-3 gate-4 camera", None, False),
        # small: a silent gateway and any word
        (0, 1, "gateway gate-1 camera", "gate-1", True),
        (0, 1, "gateway gate-1 camera", None, False),
        (0, 1, "gate-1 camera", "gate-1", False),  # the gateway is well
        (1, 1, "gateway gate-1 shed-1", None, True),
    ],
)
def test_what_is_a_power_cut(
    sheds: int, gates: int, dies: str, word: str | None, is_cut: bool
) -> None:
    life = an_hour_in(*a_compound(gates, sheds))
    if word is not None:
        life.d.says(word, {"mains_ok": False})
    life.dies(*dies.split())
    life.lives(400)
    assert (life.cut is not None) is is_cut
    life.lives(1200)
    assert (life.cut is not None) is is_cut
    if not is_cut and "gateway" in dies.split():
        assert life.d.state("gateway", GATEWAY) is OPEN


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("shed_alarm", {"what": "power_cut", "active": True}),
        ("session_end", {"port_no": 1, "order": "7", "stop_reason": "power_cut"}),
    ],
)
def test_a_shed_says_it_by_an_alarm_or_by_the_reason_of_a_stop(
    what: str, fields: dict[str, Any]
) -> None:
    life = an_hour_in(*a_compound(gates=1, sheds=2))
    life.d.event("shed-1", what, **fields)
    life.dies("gateway", "gate-1", "camera")
    life.lives(300)
    assert life.cut is not None
    assert life.cut.evidence["by"] in ("shed-1", "shed-1-p01")


@pytest.mark.parametrize(
    ("device", "what"),
    [
        ("shed-1", {"event": "shed_alarm", "what": "power_cut", "active": True}),
        (
            "shed-1",
            {"event": "session_end", "port_no": 1, "order": "7", "stop_reason": "power_cut"},
        ),
        ("shed-1", {"values": {"voltage_v": 0.0}}),
        ("gate-1", {"values": {"mains_ok": False}}),
        ("camera", {"values": {"mains_ok": False}}),
        ("lift", {"values": {"in_service": False}}),
    ],
)
def test_whoever_lives_on_and_says_that_the_power_is_gone_is_no_alert_beside_the_cut(
    device: str, what: dict[str, Any]
) -> None:
    """Its word is a fault after 60 s, the cut after 120 s."""
    life = an_hour_in(*a_compound(), behind("lift", "lift"))
    life.loses_power()
    life.returns(device)
    for _ in range(20):
        fields = dict(what)
        if "event" in fields:
            life.d.event(device, fields.pop("event"), **fields)
        else:
            life.d.says(device, fields["values"])
        life.lives(60)
    assert life.d.judge.memories[device].faults
    assert life.alertable() == [f"{COMPOUND} {CUT}"]


def test_a_dark_circuit_at_night_says_it_too() -> None:
    life = an_hour_in(*a_compound(gates=1, sheds=0), a_lamp("lamp"))
    life.d.says("lamp", {"voltage_v": 3.0, "power_w": 0})
    life.dies("gateway", "gate-1", "camera")
    life.lives(300)
    assert life.cut is not None
    assert life.cut.evidence["by"] == "lamp"


def test_a_word_of_two_minutes_before_or_after_counts_and_an_older_one_does_not() -> None:
    for before_s, is_cut in ((100, True), (400, False)):
        life = an_hour_in(*a_compound(gates=1, sheds=0))
        life.d.says("camera", {"mains_ok": False})
        life.lives(before_s)
        life.dies("gateway", "gate-1")
        life.lives(400)
        assert (life.cut is not None) is is_cut, before_s


@pytest.mark.parametrize("slow_s", [0, 100, 200, 299, 3600, 1_795_439_400])
def test_a_word_counts_by_when_it_was_heard_where_the_clock_of_its_device_is_slow(
    slow_s: int,
) -> None:
    """domain.md §7.5: five minutes, eight hours, 1970."""
    life = an_hour_in(*a_compound())
    life.d.event("shed-1", "shed_alarm", what="power_cut", active=True, at_s=life.d.now_s - slow_s)
    life.dies("gateway", "gate-1", "gate-2", "camera", "shed-1")
    life.lives(900)
    assert life.cut is not None
    assert life.alertable() == [f"{COMPOUND} {CUT}"]


@pytest.mark.parametrize("slow_s", [0, 100, 200, 299, 3600])
def test_a_child_is_known_by_when_it_was_heard_where_its_clock_is_slow(slow_s: int) -> None:
    life = an_hour_in(*a_compound(gates=3))
    life.d.says("gate-1", {"mains_ok": False}, at_s=life.d.now_s - slow_s)
    life.beats.pop("gate-1")  # its beats of now would show that it is the message that was late
    for _ in range(30):
        if life.d.now_s == 910:
            life.d.says("gateway", {"mains_ok": False})
            life.dies("gate-2", "gate-3", "camera", "shed-1", "shed-2")
        if life.d.now_s == 930:
            life.dies("gateway")
        life.lives(10)
        life.d.says("gate-1", {}, at_s=life.d.now_s - slow_s)
    cut = life.cut
    assert cut is not None
    lost = standing(life, "gate-1", "GATE_MAINS_LOST")
    assert (lost.state, lost.suppressed_by) == (OPEN, cut.id)
    life.lives(300)
    assert life.alertable() == [f"{COMPOUND} {CUT}"]


@pytest.mark.parametrize("code", ["GATE_OFFLINE", "GATE_MAINS_LOST"])
def test_what_was_over_shortly_before_a_power_cut_is_its_child_when_it_comes_back(
    code: str,
) -> None:
    life = an_hour_in(*a_compound())
    if code == "GATE_OFFLINE":
        life.dies("gate-1")
        life.lives(130)
        life.returns("gate-1")
    else:
        life.d.says("gate-1", {"mains_ok": False})
        life.lives(130)
        life.d.says("gate-1", {"mains_ok": True})
    life.lives(300)
    assert standing(life, "gate-1", code).state is CLOSED
    life.loses_power()
    if code == "GATE_MAINS_LOST":
        life.returns("gate-1")
        life.d.says("gate-1", {"mains_ok": False})
    life.lives(600)
    cut = life.cut
    assert cut is not None
    gate = standing(life, "gate-1", code)
    assert (gate.occurrences, gate.suppressed_by) == (2, cut.id)
    assert life.alertable()[-1] == f"{COMPOUND} {CUT}"


def test_a_gateway_whose_battery_lasts_for_an_hour_has_said_it_all_the_same() -> None:
    life = an_hour_in(*a_compound(gates=1, sheds=0))
    life.d.says("gateway", {"mains_ok": False})
    life.lives(3600)
    assert life.cut is None
    life.dies("gateway", "gate-1", "camera")
    life.lives(300)
    assert life.cut is not None
    assert life.cut.evidence["by"] == "gateway"


@pytest.mark.parametrize(
    ("kinds", "is_cut"),
    [
        ({"gate-1": "gate", "gate-2": "gate", "shed-1": "shed"}, True),
        ({"gate-1": "gate", "gate-2": "gate", "gate-3": "gate"}, False),  # one kind
        ({"gate-1": "gate", "shed-1": "shed"}, False),  # two devices
    ],
)
def test_a_small_compound_without_a_gateway(kinds: dict[str, str], is_cut: bool) -> None:
    life = an_hour_in(*(a_device(name, kind) for name, kind in kinds.items()))
    life.dies(*kinds)
    life.lives(600)
    assert (life.cut is not None) is is_cut
    if is_cut:
        life.dead.clear()
        life.lives(300)
        assert life.d.standing() == {}


def test_all_but_one_of_a_small_compound_without_a_gateway_are_no_power_cut() -> None:
    names = {"gate-1": "gate", "gate-2": "gate", "shed-1": "shed", "shed-2": "shed"}
    life = an_hour_in(*(a_device(name, kind) for name, kind in names.items()))
    life.dies("gate-1", "gate-2", "shed-1")
    life.lives(600)
    assert life.cut is None


def test_a_small_compound_is_back_when_the_gateway_and_one_other_are() -> None:
    life = an_hour_in(*a_compound(gates=1, sheds=0))
    life.loses_power()
    life.lives(600)
    life.returns("gate-1")  # over some other way
    life.lives(600)
    assert life.cut is not None
    assert life.cut.state is OPEN
    life.power_returns()
    life.dies("camera")
    life.lives(60 + 180 + 10)
    assert life.cut.state is CLOSED


def test_what_was_dead_before_a_power_cut_does_not_keep_it_from_being_over() -> None:
    life = an_hour_in(*a_compound())
    life.dies("gate-1", "shed-1")
    life.lives(4000)
    life.loses_power()
    life.lives(900)
    assert life.cut is not None
    assert life.cut.state is OPEN
    life.power_returns()
    life.dies("gate-1", "shed-1")
    life.lives(60 + 180 + 10)
    assert life.cut.state is CLOSED
    life.lives(600)
    told = len(life.alertable())
    life.dies("gate-2")
    life.lives(600)
    assert life.alertable()[told:] == ["gate-2 GATE_OFFLINE"]


def test_lamps_and_ports_never_make_a_power_cut() -> None:
    lamps = [a_lamp(f"lamp-{n}") for n in range(8)]
    life = an_hour_in(a_device("gate", "gate"), *lamps, *a_shed("shed", ports=12))
    life.dies("shed", *(lamp.id for lamp in lamps))
    life.lives(3600)
    assert life.cut is None


def test_a_person_who_closes_a_cut_that_lasts_finds_it_open_again_with_its_children() -> None:
    life = an_hour_in(*a_compound())
    life.loses_power()
    life.lives(900)
    cut = life.cut
    assert cut is not None
    life.d.commit()
    closed = life.d.store.a_person(cut.id, lambda f: faults.close(f, "li-wei", life.d.now_ms))
    life.d.judge.person_moved(closed, life.d.now_ms)
    assert life.cut is not None
    assert (life.cut.id, life.cut.state, life.cut.occurrences) == (cut.id, OPEN, 2)
    assert standing(life, "gate-1", "GATE_OFFLINE").suppressed_by == cut.id
    life.lives(900)
    assert life.alertable().count("gate-1 GATE_OFFLINE") == 0


def test_a_person_who_closes_a_gateways_fault_during_its_return_frees_its_children() -> None:
    life = an_hour_in(*a_compound(sheds=0))
    life.dies("gateway", "gate-1", "gate-2")
    life.lives(600)
    life.returns("gate-2")
    root = standing(life, "gateway", GATEWAY)
    life.d.closes("gateway", GATEWAY)  # still dead: opens again
    assert standing(life, "gateway", GATEWAY).state is OPEN
    assert standing(life, "gate-1", "GATE_OFFLINE").suppressed_by == root.id
    life.returns("gateway")
    life.lives(200)
    assert standing(life, "gateway", GATEWAY).state is CLOSED
    life.lives(60)
    assert standing(life, "gate-1", "GATE_OFFLINE").suppressed_by is None


# A gateway


@pytest.mark.parametrize("restarts", [False, True])
def test_a_gateway_takes_what_is_behind_it_along_and_no_shed(restarts: bool) -> None:
    life = an_hour_in(*a_compound(sheds=1))
    life.restarts = restarts
    life.dies("gateway", "gate-1", "gate-2", "camera")
    life.lives(1200)
    life.dies("shed-1")
    life.lives(600)
    root = standing(life, "gateway", GATEWAY)
    assert set(life.children(root)) == {
        "gate-1 GATE_OFFLINE",
        "gate-2 GATE_OFFLINE",
        "camera CCTV_OFFLINE",
    }
    assert life.cut is None
    assert life.alertable() == ["gateway GW_OFFLINE", "shed-1 SHED_OFFLINE"]
    assert life.d.judge.memories["gate-1"].reason is Reason.PARENT_DOWN
    life.dead.clear()
    life.lives(1200)
    assert life.d.standing() == {}


def test_gates_fall_silent_before_their_gateway_is_known_to_be_and_nobody_is_told() -> None:
    """Its last word may have come a minute after theirs."""
    for moment in range(0, 60, 5):
        life = an_hour_in(*a_compound(gates=3, sheds=0))
        life.lives(moment)
        life.dies("gateway", "gate-1", "gate-2", "gate-3", "camera")
        life.lives(1500)
        assert life.alertable() == ["gateway GW_OFFLINE"], moment


def test_what_the_registry_does_not_know_is_behind_the_only_gateway_if_it_went_with_it() -> None:
    life = an_hour_in(
        a_device("gateway", "gateway"), a_device("gate", "gate"), a_device("old", "gate")
    )
    life.dies("old")
    life.lives(1800)
    life.dies("gateway", "gate")
    life.lives(1800)
    life.lives(600)
    root = standing(life, "gateway", GATEWAY)
    assert standing(life, "gate", "GATE_OFFLINE").suppressed_by == root.id
    assert standing(life, "old", "GATE_OFFLINE").suppressed_by is None


def test_most_of_what_is_behind_a_gateway_that_still_speaks_is_the_gateways_fault() -> None:
    life = an_hour_in(*a_compound(gates=4, sheds=0), behind("lift", "lift"))
    life.dies("gate-1", "gate-2", "gate-3", "gate-4", "lift")
    life.lives(150)
    root = standing(life, "gateway", GATEWAY)
    assert root.evidence == {"silent": 5, "of": 6}
    assert life.alertable() == []  # not yet
    life.lives(300)
    assert life.alertable() == ["gateway GW_OFFLINE"]
    life.dead.clear()
    life.lives(300)
    assert life.d.standing() == {}


def test_a_gateway_is_back_when_what_is_behind_it_is() -> None:
    life = an_hour_in(*a_compound(gates=2, sheds=0))
    life.dies("gateway", "gate-1", "gate-2", "camera")
    life.lives(900)
    life.returns("gate-1", "gate-2", "camera")
    life.lives(60)
    assert life.d.state("gateway", GATEWAY) is CLOSED
    life.d.imports(*life.d.registry.devices.values())
    life.lives(60)
    gateway = standing(life, "gateway", GATEWAY)
    assert (gateway.state, gateway.occurrences) == (CLOSED, 1)
    life.returns("gateway")
    life.lives(900)
    assert life.d.standing() == {}


@pytest.mark.parametrize("speaks", [True, False])
def test_what_was_dead_before_its_gateway_does_not_keep_that_from_being_back(speaks: bool) -> None:
    life = an_hour_in(*a_compound(gates=8, sheds=0), behind("lift", "lift"))
    broken = ["gate-1", "gate-2", "gate-3", "gate-4"]
    life.dies(*broken)
    life.lives(2000)
    taken = [name for name in life.beats if not (speaks and name == "gateway")]
    life.dies(*taken)
    life.lives(900)
    assert life.d.state("gateway", GATEWAY) is OPEN
    life.dead = {*broken, *(() if speaks else ("gateway",))}
    life.lives(300)
    assert life.d.state("gateway", GATEWAY) is CLOSED


def test_a_gateways_own_messages_keep_no_dead_child_alive() -> None:
    life = an_hour_in(*a_compound(gates=2, sheds=0))
    life.dies("gate-1")
    for _ in range(10):
        life.lives(30)
        life.d.says("gateway", {"children_total": 3, "children_online": 3})
    assert life.d.standing() == {"gate-1 GATE_OFFLINE": OPEN}


def test_a_gateway_under_a_power_cut_keeps_the_children_that_it_had() -> None:
    life = an_hour_in(*a_compound(gates=2, sheds=2))
    life.dies("gateway", "gate-1", "gate-2", "camera")  # nothing yet shows why
    life.lives(200)
    gateway = standing(life, "gateway", GATEWAY)
    gate = standing(life, "gate-1", "GATE_OFFLINE")
    assert (gateway.suppressed_by, gate.suppressed_by) == (None, gateway.id)
    # a stop that is told late, with the time at which it happened
    life.d.event(
        "shed-1",
        "session_end",
        port_no=1,
        order="7",
        stop_reason="power_cut",
        at_s=life.d.now_s - 190,
    )
    life.lives(10)
    cut = life.cut
    assert cut is not None
    assert standing(life, "gateway", GATEWAY).suppressed_by == cut.id
    assert standing(life, "gate-1", "GATE_OFFLINE").suppressed_by == gateway.id
    life.lives(400)
    assert life.alertable() == [f"{COMPOUND} {CUT}"]


# What is told afterwards


def test_a_power_on_tells_afterwards_what_the_silence_of_a_gateway_was() -> None:
    life = an_hour_in(*a_compound(gates=1, sheds=2))
    life.dies("gateway", "gate-1", "camera", "shed-1")
    life.lives(400)  # one shed is well, and so nothing shows that it is the power
    assert life.cut is None
    life.returns("shed-1")
    life.d.event("shed-1", "login", reason="power_on")
    life.lives(10)
    assert life.cut is not None
    assert standing(life, "gateway", GATEWAY).suppressed_by == life.cut.id


def test_also_of_a_gateway_that_is_back_before_the_board_has_said_so() -> None:
    life = an_hour_in(*a_compound(gates=1, sheds=2))
    life.dies("gateway", "gate-1", "camera", "shed-1")
    life.lives(400)
    life.returns("gateway", "gate-1", "camera")
    life.lives(70)
    assert life.d.state("gateway", GATEWAY) is CLOSED
    life.returns("shed-1")
    life.d.event("shed-1", "login", reason="power_on")
    cut = life.cut
    assert cut is not None
    assert (cut.state, cut.evidence["by"]) == (CLOSED, "shed-1")
    gateway = standing(life, "gateway", GATEWAY)
    assert (gateway.state, gateway.suppressed_by) == (CLOSED, cut.id)
    assert life.whys(gateway)[-1] is Why.RECLASSIFIED
    life.lives(900)
    assert f"{COMPOUND} {CUT}" not in life.alertable()  # it is long over
    assert life.d.standing() == {}


def test_a_board_that_was_never_away_tells_nothing_of_the_past() -> None:
    life = an_hour_in(*a_compound(gates=1, sheds=2))
    life.dies("gateway", "gate-1", "camera")
    life.lives(400)
    life.d.event("shed-1", "login", reason="power_on")
    life.lives(60)
    assert life.cut is None


# A shed


def test_a_shed_that_says_that_its_power_is_gone_is_the_root_of_its_own_silence() -> None:
    life = an_hour_in(*a_compound())
    life.d.event("shed-1", "shed_alarm", what="power_cut", active=True)
    life.dies("shed-1")
    life.lives(600)
    root = standing(life, "shed-1", "SHED_POWER_CUT")
    assert set(life.children(root)) == {"shed-1 SHED_OFFLINE"}
    assert life.alertable() == ["shed-1 SHED_POWER_CUT"]
    assert life.d.judge.memories["shed-1"].reason is Reason.POWER_CUT


@pytest.mark.parametrize(
    ("charging", "severity", "stakes"), [(False, "P3", {}), (True, "P2", {"charging": 1})]
)
def test_a_shed_that_is_silent_while_somebody_charges_is_worse(
    charging: bool, severity: str, stakes: dict[str, int]
) -> None:
    life = an_hour_in(*a_compound())
    if charging:
        life.d.starts("shed-1", 1, "7")
    life.dies("shed-1")
    life.lives(300)
    fault = standing(life, "shed-1", "SHED_OFFLINE")
    assert fault.severity == severity
    assert {n: v for n, v in fault.evidence.items() if n == "charging"} == stakes


@pytest.mark.parametrize(("gates", "severity"), [(1, "P2"), (2, "P3")])
def test_the_only_gate_of_a_compound_is_worse(gates: int, severity: str) -> None:
    life = an_hour_in(*a_compound(gates=gates))
    life.dies("gate-1")
    life.lives(200)
    assert standing(life, "gate-1", "GATE_OFFLINE").severity == severity


@pytest.mark.parametrize("restarts", [False, True])
def test_a_silent_gate_whose_neighbour_is_taken_out_of_service_is_the_only_one(
    restarts: bool,
) -> None:
    one, other = a_device("gate-1", "gate"), a_device("gate-2", "gate")
    life = an_hour_in(one, other)
    life.dies("gate-1")
    life.lives(300)
    life.restarts = restarts
    life.d.imports(one, replace(other, decommissioned_at_ms=life.d.now_ms))
    life.lives(10)
    gate = standing(life, "gate-1", "GATE_OFFLINE")
    assert (gate.severity, gate.evidence["only_gate"]) == ("P2", True)
    assert life.whys(gate) == [Why.RAISED, Why.WORSENED]


# Evidence


def silent(life: Life, device: str) -> tuple[Presence, Reason | None]:
    memory = life.d.judge.memories[device]
    return memory.state, memory.reason


def test_a_weak_signal_in_the_hour_before_explains_a_silence() -> None:
    for ago_s, reason in ((600, Reason.WEAK_SIGNAL), (3700, Reason.HEARTBEAT_MISSED)):
        life = an_hour_in(*a_compound())
        life.d.says("shed-1", {"csq": 7})
        life.lives(ago_s)
        life.dies("shed-1")
        life.lives(300)
        assert silent(life, "shed-1") == (Presence.OFFLINE, reason)


def test_a_weak_signal_is_said_in_the_faults_evidence() -> None:
    life = an_hour_in(*a_compound())
    life.d.says("shed-1", {"csq": 7})
    life.dies("shed-1")
    life.lives(300)
    evidence = standing(life, "shed-1", "SHED_OFFLINE").evidence
    assert (evidence["reason"], evidence["csq"]) == ("weak_signal", 7)


@pytest.mark.parametrize(
    ("then", "reason", "csq"),
    [
        ([9], "weak_signal", 9),
        ([10], "heartbeat_missed", None),
        ([20], "heartbeat_missed", None),
        ([20, 8], "weak_signal", 8),
    ],
)
def test_the_weak_signal_that_counts_is_shown_and_a_good_one_since_ends_it(
    then: list[int], reason: str, csq: int | None
) -> None:
    life = an_hour_in(*a_compound())
    life.d.says("shed-1", {"csq": 7})
    for later in then:
        life.lives(60)
        life.d.says("shed-1", {"csq": later})
    life.d.restart()
    life.dies("shed-1")
    life.lives(300)
    evidence = standing(life, "shed-1", "SHED_OFFLINE").evidence
    assert (evidence["reason"], evidence.get("csq")) == (reason, csq)


# Our own outages


@pytest.mark.parametrize("outage_s", [60, 300, 600, 1800])
def test_our_own_outage_makes_no_root_and_no_fault(outage_s: int) -> None:
    life = an_hour_in(*a_compound(gates=3))
    life.d.deaf(outage_s)
    life.d.probe()
    names = list(life.beats)
    assert {silent(life, name) for name in names} == {(Presence.UNKNOWN, Reason.PLATFORM_DOWN)}
    life.lives(900)
    assert life.raised() == []
    assert {silent(life, name)[0] for name in names} == {Presence.ONLINE}


def test_a_power_cut_in_our_outage_is_found_one_grace_after_it() -> None:
    life = an_hour_in(*a_compound())
    life.d.deaf(300)
    life.dies(*life.beats)
    life.d.says("gateway", {"mains_ok": False}, at_s=life.d.now_s - 200)
    life.d.probe()
    life.lives(1500)
    assert life.cut is not None
    life.lives(600)
    assert life.alertable() == [f"{COMPOUND} {CUT}"]


@pytest.mark.parametrize("sheds", [0, 2])
def test_what_fell_silent_together_in_our_outage_is_told_once(sheds: int) -> None:
    root = "gateway GW_OFFLINE" if sheds == 0 else f"{COMPOUND} {CUT}"
    for moment in range(0, 60, 10):
        life = an_hour_in(*a_compound(gates=5, sheds=sheds))
        life.lives(moment)
        life.dies(*life.beats)
        life.d.deaf(400)
        life.lives(1500)
        assert life.alertable() == [root], moment


def test_our_outage_within_a_power_cut_ends_nothing() -> None:
    life = an_hour_in(*a_compound())
    life.loses_power()
    life.lives(600)
    life.d.deaf(600)
    life.d.probe()
    life.lives(900)
    assert life.cut is not None
    assert life.cut.state is OPEN
    assert life.alertable() == [f"{COMPOUND} {CUT}"]


# The registry


def test_a_compound_that_loses_its_devices_has_no_power_cut_any_more() -> None:
    devices = a_compound()
    life = an_hour_in(*devices)
    life.loses_power()
    life.lives(600)
    assert life.cut is not None
    life.d.imports(a_device("other", "gate", compound="lvyun-xiaoqu"))
    life.beats = {"other": (0, 30)}
    life.dead.clear()
    life.lives(300)
    assert life.cut.state is CLOSED


def test_a_child_that_moves_away_is_over_and_belongs_to_nobody() -> None:
    devices = a_compound()
    life = an_hour_in(*devices)
    life.loses_power()
    life.lives(600)
    moved = [
        a_device("gate-2", "gate", compound="lvyun-xiaoqu") if one.id == "gate-2" else one
        for one in devices
    ]
    life.d.imports(*moved)
    assert life.d.state("gate-2", "GATE_OFFLINE") is CLOSED
    life.lives(300)
    life.power_returns()
    life.lives(900)
    assert life.d.standing() == {}


def test_what_is_suspected_of_the_sockets_of_a_silent_shed_is_its_silence() -> None:
    life = an_hour_in(*a_compound())
    d = life.d
    d.says("shed-1", ports={"1": {"port_status": "idle"}})
    life.dies("shed-1")
    life.lives(300)
    root = standing(life, "shed-1", "SHED_OFFLINE")
    finder = d.judge._finder
    for port in ("shed-1-p01", "shed-2-p01"):
        memory = d.judge.memories[port]
        finder.unusual(memory, "PORT_IDLE_SUSPECT", d.now_ms - 60_000, d.now_ms, {"sessions": 0})
    assert standing(life, "shed-1-p01", "PORT_IDLE_SUSPECT").suppressed_by == root.id
    assert standing(life, "shed-2-p01", "PORT_IDLE_SUSPECT").suppressed_by is None
    life.returns("shed-1")
    life.lives(70)
    assert d.state("shed-1", "SHED_OFFLINE") is CLOSED
    assert standing(life, "shed-1-p01", "PORT_IDLE_SUSPECT").suppressed_by == root.id
    life.lives(200)
    assert standing(life, "shed-1-p01", "PORT_IDLE_SUSPECT").suppressed_by is None


def test_a_power_cut_of_46_is_one_alert_and_all_are_judged_again_when_it_is_over() -> None:
    """reliability.md, AL4."""
    life = an_hour_in(
        *a_compound(gates=4, sheds=2), *(behind(f"camera-{n}", "camera") for n in range(38))
    )
    life.loses_power()
    life.lives(1500)
    cut = life.cut
    assert cut is not None
    assert len(life.children(cut)) == 46
    assert life.alertable() == [f"{COMPOUND} {CUT}"]
    life.power_returns()
    life.dies("camera-7", "gate-3")
    life.lives(3600)
    assert life.cut is not None
    assert life.cut.state is CLOSED
    assert life.d.standing() == {"camera-7 CCTV_OFFLINE": OPEN, "gate-3 GATE_OFFLINE": OPEN}
    assert sorted(life.alertable()) == [
        "camera-7 CCTV_OFFLINE",
        "gate-3 GATE_OFFLINE",
        f"{COMPOUND} {CUT}",
    ]


@pytest.mark.parametrize("seed", range(8))
def test_a_restart_changes_nothing_of_roots_however_they_come_and_go(seed: int) -> None:
    outcomes = []
    for every in (10_000, 1, 37):
        rng = Random(seed)
        life = an_hour_in(*a_compound(gates=3, sheds=2))
        for step in range(24):
            match rng.randrange(5):
                case 0:
                    life.d.says("gateway", {"mains_ok": rng.random() < 0.5})
                case 1:
                    life.dies(*rng.sample(sorted(life.beats), rng.randint(1, 6)))
                case 2:
                    life.dead.clear()
                case 3:
                    life.d.event("shed-1", "login", reason=rng.choice(("power_on", "restart")))
                case 4 if rng.random() < 0.3:
                    life.d.deaf(rng.choice((30, 300)))
            life.lives(rng.choice((5, 60, 100, 200, 700)))
            if step % every == every - 1 or every == 1:
                life.d.restart()
        life.d.commit()
        rows = life.d.store.rows
        outcomes.append((rows.faults, sorted(rows.events, key=lambda e: (e.at_ms, e.fault))))
    assert outcomes[0][0]
    assert outcomes[0] == outcomes[1] == outcomes[2]
