"""Rule files in the judge: who is judged by which figures, and what becomes of what stands."""

from collections.abc import Mapping
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import RULES
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
from ingest.judge.plan import Plans, calm_range
from ingest.rate import Spared
from tests.ingest.judge.district import COMPOUND, PLANS, District, a_device, a_registry, a_shed

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
