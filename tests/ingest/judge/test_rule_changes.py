"""Rule files in the judge: who is judged by which figures, and what becomes of what stands."""

from collections.abc import Mapping
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import RULES, rules_for
from devices.faults import Fault, State
from devices.journal import Raw
from devices.kinds import KINDS
from devices.messages import Reading, Value
from devices.overrides import NONE, figure, named_signs
from devices.registry import Device
from devices.rule_files import read
from devices.rules import Beyond, Severity
from ingest.decode import Decoder
from ingest.judge.memory import Presence
from ingest.judge.plan import Plans, calm_range, plans
from ingest.rate import Spared
from tests.ingest.judge.district import COMPOUND, PLANS, District, a_device, a_registry, a_shed
from tests.ingest.judge.test_circuits import INTERVAL_S, LIMIT_S, a_street
from tests.ingest.judge.test_roots import Life, a_compound, an_hour_in, behind

ELSEWHERE = a_device("far-shed", "shed", compound="lvyun-xiaoqu")
FAR_CAMERA = a_device("far-camera", "camera", compound="lvyun-xiaoqu")


@pytest.fixture
def district() -> District:
    return District(*a_shed(), a_device("camera", "camera"), ELSEWHERE, FAR_CAMERA)


def plans_of(district: District, text: str) -> Plans:
    return PLANS.using(read(text, district.registry, number=1))


def takes(district: District, text: str) -> None:
    """Somebody imports this rule file."""
    plans = plans_of(district, text)
    district.decoder = Decoder(district.registry, calm=partial(calm_range, plans))
    district.judge.rules_changed(plans, district.now_ms)


def hot(district: District, *sheds: str, board_temp_c: float, seconds: float = 90) -> None:
    """Sheds report that temperature twice a minute."""
    for _ in range(round(seconds / 30)):
        for shed in sheds:
            district.says(shed, {"board_temp_c": board_temp_c})
        district.passes(30)


def last(district: District, device: str, code: str) -> Fault:
    fault = district.fault(device, code)
    assert fault is not None
    return fault


HERE = f'[[override]]\ncompound = "{COMPOUND}"\n'


def test_each_device_is_judged_by_the_level_of_its_compound(district: District) -> None:
    takes(district, HERE + 'SHED_OVERTEMP.raises = ">=75"')
    hot(district, "shed", "far-shed", board_temp_c=72)
    assert district.standing() == {"far-shed SHED_OVERTEMP": State.OPEN}
    hot(district, "shed", board_temp_c=76)
    assert district.state("shed", "SHED_OVERTEMP") is State.OPEN


def test_a_value_that_only_a_rule_file_makes_abnormal_is_looked_at(district: District) -> None:
    takes(district, HERE + 'SHED_OVERTEMP.raises = ">=62"\nSHED_OVERTEMP.clears = "<55"')
    hot(district, "shed", "far-shed", board_temp_c=63)
    assert district.standing() == {"shed SHED_OVERTEMP": State.OPEN}


def test_a_camera_that_is_judged_the_short_way_is_not_when_its_level_was_changed(
    district: District,
) -> None:
    for camera in ("camera", "far-camera"):
        for _ in range(3):  # known, online, next in its sequence: the usual message
            district.now_s += 60
            district.says(camera, {"retention_days": 35.0})
    takes(district, HERE + 'CCTV_RETENTION.raises = "<40"\nCCTV_RETENTION.clears = ">=45"')
    district.now_s += 60
    district.says("camera", {"retention_days": 35.0})
    district.says("far-camera", {"retention_days": 35.0})
    assert district.standing() == {"camera CCTV_RETENTION": State.OPEN}


def test_devices_with_the_same_changes_share_a_plan_and_others_have_their_kinds(
    district: District,
) -> None:
    more = [a_device(f"shed-{n}", "shed") for n in range(3)]
    plans = plans_of(district, HERE + "SHED_OVERTEMP.delay_s = 5")
    assert len({id(plans.of(shed)) for shed in more}) == 1
    assert plans.of(more[0]) is not plans["shed"]
    assert plans.of(ELSEWHERE) is plans["shed"]
    assert plans.of(a_device("camera", "camera")) is plans["camera"]


def test_what_holds_for_a_whole_kind_is_the_kinds_plan(district: District) -> None:
    plans = plans_of(district, '[[override]]\nkind = "shed"\nSHED_OVERTEMP.raises = ">=75"')
    assert plans.of(ELSEWHERE) is plans["shed"]
    assert plans["shed"].rules["SHED_OVERTEMP"] != RULES["SHED_OVERTEMP"]
    calm = calm_range(plans, "shed", "board_temp_c")
    assert isinstance(calm, tuple)
    assert 74.9 < calm[1] < 75


def test_a_longer_delay_is_waited_for(district: District) -> None:
    takes(district, HERE + "SHED_OVERTEMP.delay_s = 300")
    hot(district, "shed", board_temp_c=72, seconds=240)
    assert district.standing() == {}
    hot(district, "shed", board_temp_c=72, seconds=120)
    assert district.standing() == {"shed SHED_OVERTEMP": State.OPEN}


def test_a_delay_that_was_shortened_raises_what_has_lasted_that_long(district: District) -> None:
    takes(district, HERE + "SHED_OVERTEMP.delay_s = 300")
    hot(district, "shed", board_temp_c=72, seconds=120)
    takes(district, "")
    assert district.standing() == {"shed SHED_OVERTEMP": State.OPEN}


def test_a_fault_ends_with_its_rule_and_says_so(district: District) -> None:
    hot(district, "shed", "far-shed", board_temp_c=72)
    takes(district, HERE + "SHED_OVERTEMP.enabled = false")
    assert district.standing() == {"far-shed SHED_OVERTEMP": State.OPEN}
    assert last(district, "shed", "SHED_OVERTEMP").resolution == "rule_disabled"
    district.commit()
    assert district.store.rows.events[-1].evidence == {"reason": "rule_disabled"}
    hot(district, "shed", board_temp_c=99)
    assert district.state("shed", "SHED_OVERTEMP") is State.CLOSED


def test_a_fault_that_the_new_level_would_not_have_raised_is_over(district: District) -> None:
    hot(district, "shed", "far-shed", board_temp_c=72)
    hot(district, "far-shed", board_temp_c=78, seconds=30)
    takes(district, '[[override]]\nSHED_OVERTEMP.raises = ">=75"')
    assert district.standing() == {"far-shed SHED_OVERTEMP": State.OPEN}
    assert last(district, "shed", "SHED_OVERTEMP").resolution == "rules_changed"


def test_of_two_signs_the_other_one_keeps_the_fault(district: District) -> None:
    district.says("shed", {"status_temp_high": True})
    hot(district, "shed", board_temp_c=72)
    takes(district, '[[override]]\nSHED_OVERTEMP.raises = ">=75"')
    assert district.state("shed", "SHED_OVERTEMP") is State.OPEN


def test_a_worse_severity_is_told_and_a_better_one_is_for_the_next(district: District) -> None:
    hot(district, "shed", board_temp_c=72)
    takes(district, HERE + 'SHED_OVERTEMP.severity = "P1"')
    assert last(district, "shed", "SHED_OVERTEMP").severity is Severity.P1
    takes(district, HERE + 'SHED_OVERTEMP.severity = "P4"')
    assert last(district, "shed", "SHED_OVERTEMP").severity is Severity.P1


def test_what_is_told_after_the_change_was_taken_back_is_as_before(district: District) -> None:
    takes(district, HERE + "SHED_OVERTEMP.enabled = false")
    hot(district, "shed", board_temp_c=72)
    takes(district, "")
    assert district.judge.memories["shed"].plan is not None
    assert district.standing() == {}
    hot(district, "shed", board_temp_c=72)
    assert district.standing() == {"shed SHED_OVERTEMP": State.OPEN}


def test_who_is_there_is_known_also_where_nobody_wants_to_be_told(district: District) -> None:
    for shed in ("shed", "far-shed"):
        district.says(shed, {"board_temp_c": 20.0})
    takes(district, HERE + "SHED_OFFLINE.enabled = false")
    district.passes(400, ["camera", "far-camera"])
    assert district.standing() == {"far-shed SHED_OFFLINE": State.OPEN}
    assert district.judge.memories["shed"].state is Presence.OFFLINE
    takes(district, "")
    assert district.state("shed", "SHED_OFFLINE") is State.OPEN
    takes(district, HERE + "SHED_OFFLINE.enabled = false")
    assert last(district, "shed", "SHED_OFFLINE").resolution == "rule_disabled"
    district.says("shed", {"board_temp_c": 20.0})
    assert district.judge.memories["shed"].state is Presence.ONLINE
    assert not district.judge.memories["shed"].signs  # so that it is judged the short way again


def test_what_is_still_silent_when_its_rule_is_on_again_is_a_fault_again(
    district: District,
) -> None:
    district.says("shed", {"board_temp_c": 20.0})
    district.passes(400, ["camera", "far-camera"])
    without = plans(
        lambda kind: tuple(r for r in rules_for(kind) if r.code != "SHED_OFFLINE"), KINDS
    )
    for off in (without, plans_of(district, HERE + "SHED_OFFLINE.enabled = false")):
        assert district.state("shed", "SHED_OFFLINE") is State.OPEN
        district.judge.rules_changed(off, district.now_ms)
        assert district.state("shed", "SHED_OFFLINE") is State.CLOSED
        district.passes(60, ["camera", "far-camera"])
        assert district.state("shed", "SHED_OFFLINE") is State.CLOSED
        takes(district, "")
        district.passes(5)
    assert district.state("shed", "SHED_OFFLINE") is State.OPEN


def test_a_safety_fault_stands_while_its_level_is_made_stricter(district: District) -> None:
    district.says("shed", {"leakage_ma": 35.0})
    takes(district, HERE + 'SHED_LEAKAGE.raises = ">=20"')
    assert district.standing() == {"shed SHED_LEAKAGE": State.OPEN}


def test_a_device_that_moves_is_judged_by_the_figures_of_where_it_is(district: District) -> None:
    takes(district, HERE + "SHED_OVERTEMP.enabled = false")
    moved = a_device("shed", "shed", compound="lvyun-xiaoqu")
    ports = a_shed()[1:]
    district.registry = a_registry(moved, *ports, ELSEWHERE)
    district.judge.registry_changed(district.registry, district.now_ms)
    assert district.judge.memories["shed"].plan is district.judge.memories["far-shed"].plan


def test_a_stricter_safety_level_is_spared_of_what_is_one_too_many(district: District) -> None:
    plans = plans_of(district, HERE + 'SHED_LEAKAGE.raises = ">=20"')
    for shed, spares in (("shed", True), ("far-shed", False)):
        device = district.registry.devices[shed]
        topic = f"courtyard/v1/{device.compound}/shed/{shed}/telemetry"
        payload = b'{"ts": %d, "values": {"leakage_ma": 25.0}}' % district.now_ms
        raw = Raw(topic.encode(), payload, 0, district.now_ms, device.compound)
        said = Spared(plans).of(Decoder(district.registry).decode(raw))
        assert (said.reason is None) is spares


_GAUGES = [
    (rule, name, sign.detector)
    for rule in RULES.values()
    for name, sign in named_signs(rule).items()
    if isinstance(sign.detector, Beyond)
    if rule.kind in KINDS and KINDS[rule.kind].quantity(sign.detector.quantity)
]
_SCOPES = st.sampled_from(
    ["", f'compound = "{COMPOUND}"', 'compound = "lvyun-xiaoqu"', 'device = "{}"', 'model = "m"']
)


@given(
    st.sampled_from(_GAUGES),
    st.lists(st.tuples(_SCOPES, st.floats(0, 1)), max_size=3, unique_by=lambda one: one[0]),
    st.floats(0, 1),
)
def test_no_reading_is_calm_that_is_abnormal_for_any_device(
    gauge: tuple[object, str, Beyond], levels: list[tuple[str, float]], share: float
) -> None:
    rule, name, detector = gauge
    code, kind = rule.code, rule.kind  # type: ignore[attr-defined]
    quantity = KINDS[kind].quantity(detector.quantity)
    assert quantity is not None
    low = -130.0 if quantity.low is None else quantity.low
    high = 3000.0 if quantity.high is None else quantity.high
    devices = [
        a_device("one", kind, model="m"),
        a_device("two", kind, compound="lvyun-xiaoqu"),
        a_device("three", kind, compound="lvyun-xiaoqu", model="m"),
    ]
    registry = a_registry(*devices)
    sign = detector.raises.rstrip("0123456789.").rstrip("-")
    text = "".join(
        f'[[override]]\n{scope.format("one")}\n[override.{code}.sign."{name}"]\n'
        f"raises = '{sign}{low + part * (high - low):.1f}'\n"
        for scope, part in levels
    )
    overrides = NONE
    try:
        overrides = read(text, registry)
    except ValueError:
        return  # it clashes with the level to clear, or is laxer than the safety tier allows
    plans = PLANS.using(overrides)
    calm = calm_range(plans, kind, detector.quantity)
    if calm is None:  # it shows something only under a condition, at every device
        assert all(detector.quantity in plans.of(device).conditional for device in devices)
        return
    assert isinstance(calm, tuple)
    value = low + share * (high - low)
    if calm[0] <= value <= calm[1]:
        assert all(_is_normal(plans, device, detector.quantity, value) for device in devices)


def _is_normal(plans: Plans, device: Device, quantity: str, value: Value) -> bool:
    plan = plans.of(device).of(quantity)
    return plan is None or plan.is_normal(value)


def test_the_short_way_asks_the_strictest_of_all(district: District) -> None:
    plans = plans_of(
        district, HERE + 'CCTV_RETENTION.raises = "<20"\nCCTV_RETENTION.clears = ">=25"'
    )
    decoder = Decoder(district.registry, calm=partial(calm_range, plans))
    found: Mapping[bool, float] = {True: 31.0, False: 29.0}
    for is_calm, days in found.items():
        raws = [_report(district, "camera", days) for _ in range(2)]
        said = [decoder.read(raw) for raw in raws][-1]
        assert (isinstance(said, Reading) and said.calm) is is_calm


def _report(district: District, device: str, retention_days: float) -> Raw:
    known = district.registry.devices[device]
    topic = f"courtyard/v1/{known.compound}/{known.kind}/{known.id}/telemetry"
    payload = b'{"ts": %d, "boot": 1, "seq": 7, "values": {"retention_days": %.1f}}' % (
        district.now_ms,
        retention_days,
    )
    return Raw(topic.encode(), payload, 0, district.now_ms, known.compound)


def test_every_figure_that_a_file_may_change_reaches_the_plan(district: District) -> None:
    text = HERE + 'SHED_UNDERVOLT.sign."voltage_v <187" = {raises = "<190", clears = ">=200", '
    text += 'delay_s = 5, severity = "P1"}\nSHED_UNDERVOLT.clear_delay_s = 7'
    plan = plans_of(district, text).of(district.registry.devices["shed"])
    rule = plan.rules["SHED_UNDERVOLT"]
    sign = next(iter(named_signs(rule).values()))
    figures = [figure(sign, name) for name in ("raises", "clears", "delay_s", "severity")]
    assert figures == ["<190", ">=200", 5, "P1"]
    assert rule.clear_delay_s == 7


# Figures of root causes


def taking(text: str, *devices: Device) -> Life:
    """An hour in, by this rule file."""
    life = an_hour_in(*devices)
    takes(life.d, text)
    return life


@pytest.mark.parametrize(
    ("changed", "dies", "is_cut"),
    [
        ("", "shed-1 shed-2 shed-3 gate-1", False),  # two of three are no 70 %
        ("share = 0.6", "shed-1 shed-2 shed-3 gate-1", True),
        ("share = 0.9", "shed-1 shed-2 shed-3 gate-1 gate-2", False),
        ("share = 0.8", "shed-1 shed-2 shed-3 gate-1 gate-2", True),
        ("least = 7", "shed-1 shed-2 shed-3 gate-1 gate-2", False),
        ("least = 6", "shed-1 shed-2 shed-3 gate-1 gate-2", True),
    ],
)
def test_how_many_a_power_cut_takes_is_a_figure_of_the_compound(
    changed: str, dies: str, is_cut: bool
) -> None:
    text = HERE + f"COMPOUND_POWER_CUT.{changed}" if changed else ""
    life = taking(text, *a_compound(gates=2, sheds=3))
    life.d.says("shed-1", {"mains_ok": False})
    life.dies(*dies.split())
    life.lives(600)
    assert (life.cut is not None) is is_cut


def test_figures_of_another_compounds_power_cut_change_nothing_here() -> None:
    elsewhere = '[[override]]\ncompound = "lvyun-xiaoqu"\nCOMPOUND_POWER_CUT.share = 0.6\n'
    for text, is_cut in ((elsewhere, False), ("[[override]]" + elsewhere.split('"')[2], True)):
        life = taking(text, *a_compound(gates=2, sheds=3))
        life.d.says("shed-1", {"mains_ok": False})
        life.dies("shed-1", "shed-2", "shed-3", "gate-1")
        life.lives(600)
        assert (life.cut is not None) is is_cut


def test_a_power_cut_of_half_a_compound_ends_when_most_of_it_is_back() -> None:
    life = taking(HERE + "COMPOUND_POWER_CUT.share = 0.5", *a_compound(gates=2, sheds=3))
    life.d.says("shed-1", {"mains_ok": False})
    life.dies("shed-1", "shed-2", "gate-1")
    life.lives(900)
    assert life.cut is not None
    assert life.cut.state == "open"  # the other half, which is well, does not end it
    life.returns("shed-1", "shed-2", "gate-1")
    life.lives(60 + 180 + 10)
    assert life.cut.state == "closed"


@pytest.mark.parametrize(("evidence_s", "is_cut"), [(120, False), (600, True)])
def test_how_far_evidence_may_lie_from_a_silence_is_a_figure_too(
    evidence_s: int, is_cut: bool
) -> None:
    text = HERE + f"COMPOUND_POWER_CUT.evidence_s = {evidence_s}"
    life = taking(text, *a_compound(gates=1, sheds=0))
    life.d.says("camera", {"mains_ok": False})
    life.lives(400)
    life.dies("gateway", "gate-1")
    life.lives(400)
    assert (life.cut is not None) is is_cut


@pytest.mark.parametrize(
    ("changed", "is_found"), [("least = 5", True), ("least = 7", False), ("share = 0.9", False)]
)
def test_how_many_go_with_a_gateway_that_still_speaks_is_a_figure_too(
    changed: str, is_found: bool
) -> None:
    devices = (*a_compound(gates=4, sheds=0), behind("lift", "lift"))
    life = taking(HERE + f"GW_OFFLINE.{changed}", *devices)
    life.dies("gate-1", "gate-2", "gate-3", "gate-4", "lift")  # of them and the gateway
    life.lives(400)
    assert (life.d.fault("gateway", "GW_OFFLINE") is not None) is is_found


@pytest.mark.parametrize(("share", "dead", "is_root"), [(0.6, 6, True), (0.9, 8, False)])
def test_how_many_lamps_a_circuit_takes_is_a_figure_of_its_first(
    share: float, dead: int, is_root: bool
) -> None:
    street = a_street()
    takes(street.district, f"[[override]]\ndevice = 'lamp-01'\nCIRCUIT_SUPPLY_LOSS.share = {share}")
    street.dead = set(street.lamps[:dead])
    street.goes_on(2 * LIMIT_S)
    assert street.raised("CIRCUIT_SUPPLY_LOSS") == (["lamp-01"] if is_root else [])
    assert (street.district.state("lamp-01", "CIRCUIT_SUPPLY_LOSS") is State.OPEN) is is_root
    street.dead = set()
    street.goes_on(2 * INTERVAL_S)
    assert street.district.standing() == {}


@pytest.mark.parametrize("notice_delay_s", [0, 30, 1800])
def test_when_people_are_told_of_a_silence_is_a_figure_of_its_device(notice_delay_s: int) -> None:
    text = f"[[override]]\ndevice = 'gate-1'\nGATE_OFFLINE.notice_delay_s = {notice_delay_s}\n"
    life = taking(text, *(a_device(f"gate-{n}", "gate") for n in range(1, 6)))
    life.dies("gate-1")
    life.lives(200)
    life.dies("gate-2")
    life.lives(300)
    life.d.commit()
    waited_ms = {
        life.d.store.rows.faults[event.fault].subject: (event.notice_at_ms or 0) - event.at_ms
        for event in life.d.store.rows.events
        if event.reason == "raised"
    }
    assert waited_ms == {"gate-1": notice_delay_s * 1000, "gate-2": 120_000}


def test_a_child_that_its_root_leaves_behind_is_told_by_the_same_figure() -> None:
    text = "[[override]]\nkind = 'gate'\nGATE_OFFLINE.notice_delay_s = 600\n"
    life = taking(text, *a_compound())
    life.loses_power()
    life.lives(600)
    life.power_returns()
    life.dies("gate-2")
    life.lives(600)
    life.d.commit()
    (released,) = [e for e in life.d.store.rows.events if e.reason == "released"]
    assert released.notice_at_ms == released.at_ms + 600_000


# How often


def cuts(district: District, orders: int) -> str:
    """The severity of a socket's over-power after so many cuts, an hour apart."""
    for order in range(orders):
        district.ends("shed", 1, str(order), "over_power")
        district.passes(3600, ["shed", "far-shed"], every_s=60)
    return last(district, "shed-p01", "PORT_OVERPOWER").severity


@pytest.mark.parametrize(
    ("changed", "orders", "severity"),
    [
        ("", 3, "P2"),
        ("repeated_times = 4", 3, "P3"),
        ("repeated_times = 4", 4, "P2"),
        ("repeated_times = 2", 2, "P2"),
        ("repeated_within_s = 7000", 3, "P3"),  # the first was two hours before
        ('repeated_severity = "P1"', 3, "P1"),
    ],
)
def test_how_often_makes_a_fault_worse_is_a_figure_of_its_rule(
    district: District, changed: str, orders: int, severity: str
) -> None:
    takes(district, HERE + f"PORT_OVERPOWER.{changed}" if changed else "")
    assert cuts(district, orders) == severity


def test_how_often_a_socket_charges_nothing_is_a_figure_of_its_compound(
    district: District,
) -> None:
    takes(district, HERE + "PORT_NO_LOAD_REPEAT.times = 4")
    for order in range(4):
        assert district.all_faults() == []
        district.ends("shed", 1, str(order), "no_load_at_start")
    assert district.all_faults() == ["shed-p01 PORT_NO_LOAD_REPEAT"]


def test_within_which_time_services_fail_is_a_figure_too() -> None:
    for within_s, is_found in ((300, False), (900, True)):
        district = District(a_device("gate", "gate"))
        takes(district, f"[[override]]\nGATE_HEALTHCODE_SVC.within_s = {within_s}")
        for _ in range(10):
            district.event("gate", "access", result="granted", health_code="timeout")
            district.passes(60, ["gate"])
        assert ("gate GATE_HEALTHCODE_SVC" in district.all_faults()) is is_found


def test_of_how_many_a_share_is_taken_is_a_figure_too() -> None:
    for least, is_found in ((20, False), (5, True)):
        district = District(a_device("gate", "gate"))
        takes(district, f"[[override]]\nGATE_FACE_FAIL_RATE.least = {least}")
        for _ in range(16):
            district.event("gate", "access", method="face", result="denied")
            district.passes(200, ["gate"])
        assert ("gate GATE_FACE_FAIL_RATE" in district.all_faults()) is is_found


@pytest.mark.parametrize(("reports", "is_found"), [(3, True), (1, False)])
def test_within_how_many_reports_values_are_refused_is_a_figure_too(
    reports: int, is_found: bool
) -> None:
    district = District(a_device("lamp", "lamp", interval_s=900))
    takes(district, f"[[override]]\nDEV_IMPLAUSIBLE.reports = {reports}")
    for _ in range(4):
        district.says("lamp", {"power_w": -35.0})
        district.passes(1200)
    assert ("lamp DEV_IMPLAUSIBLE" in district.all_faults()) is is_found
