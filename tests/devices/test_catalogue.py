"""The catalogue against domain.md §3.1, and its declarations against the kinds they speak of."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import RULES, rules_for
from devices.kinds import KINDS, Kind, _blueprint
from devices.quantities import Quantity, Role, Type
from devices.rules import (
    Becomes,
    Beyond,
    Changed,
    Counted,
    Equals,
    Fell,
    Follows,
    Happened,
    Missing,
    NeverSeen,
    Party,
    Quiet,
    Refused,
    Returned,
    Rule,
    Severity,
    Share,
    Sign,
    Silent,
    Sparse,
    Stopped,
    Unanswered,
    Unprompted,
    Unusual,
    Where,
    band,
    ends,
)
from devices.stop_reasons import PortStatus, StopReason

# code, kind, severity, acknowledge, safety, who acts: the rows of §3.1 in its order. "at-P1": only
# when the reading is that bad.
TABLE = """
    DEV_CLOCK_DRIFT        any      P4  -     -      vendor
    DEV_DATA_GAP           any      P4  -     -      network
    DEV_IMPLAUSIBLE        any      P4  -     -      vendor
    DEV_NEVER_SEEN         any      P4  -     -      vendor
    DEV_VALUE_FROZEN       any      P4  -     -      vendor
    CCTV_DISK              camera   P2  -     -      vendor
    CCTV_MAINS             camera   P3  -     -      property
    CCTV_NOT_RECORDING     camera   P2  -     -      vendor
    CCTV_OCCLUDED          camera   P4  -     -      property
    CCTV_OFFLINE           camera   P3  -     -      network
    CCTV_RETENTION         camera   P4  -     -      property
    CCTV_TIME_DRIFT        camera   P4  -     -      vendor
    CCTV_VIDEO_LOSS        camera   P3  -     -      vendor
    COMPOUND_POWER_CUT     compound P2  -     -      grid
    BARRIER_BLOCKED        gate     P3  -     -      property
    BARRIER_CTRL_OFFLINE   gate     P3  -     -      vendor
    BARRIER_MOTOR          gate     P2  -     -      vendor
    GATE_BATT_LOW          gate     P2  -     -      vendor
    GATE_DURESS            gate     P1  ack   safe   property
    GATE_FACE_FAIL_RATE    gate     P4  -     -      vendor
    GATE_FIRE_OPEN         gate     P1  -     -      property
    GATE_FORCED            gate     P2  -     -      property
    GATE_HEALTHCODE_SVC    gate     P4  -     -      network
    GATE_HELD_OPEN         gate     P3  -     -      property
    GATE_LOCK_FAULT        gate     P2  -     -      vendor
    GATE_MAINS_LOST        gate     P3  -     -      property
    GATE_NO_PASSAGE        gate     P4  -     -      vendor
    GATE_OFFLINE           gate     P3  -     -      network
    GATE_PANIC             gate     P1  ack   safe   property
    GATE_READER_OFFLINE    gate     P3  -     -      vendor
    GATE_TAMPER            gate     P2  -     -      property
    GW_OFFLINE             gateway  P2  -     -      network
    CABINET_DOOR           lamp     P3  -     -      property
    CABINET_LEAKAGE        lamp     P1  ack   safe   property
    CIRCUIT_SUPPLY_LOSS    lamp     P2  -     -      property
    LAMP_COMM              lamp     P4  -     -      vendor
    LAMP_CYCLING           lamp     P4  -     -      vendor
    LAMP_DAY_BURN          lamp     P4  -     -      property
    LAMP_DRIVER            lamp     P3  -     -      vendor
    LAMP_NOT_ON_SCHED      lamp     P3  -     -      property
    LAMP_OUT               lamp     P3  -     -      vendor
    LAMP_OVERTEMP          lamp     P3  -     -      vendor
    LAMP_PF_LOW            lamp     P4  -     -      vendor
    LAMP_POWER_HIGH        lamp     P4  -     -      vendor
    LAMP_POWER_LOW         lamp     P4  -     -      vendor
    LAMP_RELAY             lamp     P3  -     -      vendor
    LIFT_OFFLINE           lift     P3  -     -      network
    LIFT_STOPPED           lift     P2  -     -      vendor
    LIFT_TRAPPED           lift     P1  ack   safe   property
    PORT_BATTERY_ABNORMAL  port     P2  ack   safe   resident
    PORT_FAULT             port     P3  -     -      vendor
    PORT_FUSE_BLOWN        port     P3  -     -      vendor
    PORT_IDLE_SUSPECT      port     P4  -     -      vendor
    PORT_NO_LOAD_REPEAT    port     P4  -     -      vendor
    PORT_OVERPOWER         port     P3  -     -      resident
    PORT_OVERTEMP          port     P2  at-P1 at-P1  property
    PORT_OVERTIME          port     P3  -     -      property
    PORT_RELAY_STUCK       port     P1  ack   safe   vendor
    SHED_DOOR_OPEN         shed     P3  -     -      property
    SHED_LEAKAGE           shed     P1  ack   safe   property
    SHED_METER_JUMP        shed     P4  -     -      vendor
    SHED_OFFLINE           shed     P3  -     -      network
    SHED_OVERTEMP          shed     P2  -     -      property
    SHED_OVERVOLT          shed     P2  -     -      grid
    SHED_POWER_CUT         shed     P2  -     -      grid
    SHED_SMOKE             shed     P1  ack   safe   property
    SHED_UNDERVOLT         shed     P3  -     -      grid
    SHED_WEAK_SIGNAL       shed     P4  -     -      network
    SYS_ACCOUNTS_IMBALANCE platform P1  -     -      operator
    SYS_CLOCK_STEP         platform P2  -     -      operator
    SYS_DISK               platform P1  -     -      operator
    SYS_JUDGE_BEHIND       platform P2  -     -      operator
    SYS_NOBODY_TOLD        platform P2  -     -      operator
    SYS_PROBE_LOST         platform P2  -     -      operator
    SYS_SESSION_LOST       platform P2  -     -      operator
    SYS_STORE_AWAY         platform P2  -     -      operator
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]

ALL_RULES = [*RULES.values(), *_blueprint.RULES]
SIGNS = [
    pytest.param(rule, sign, id=f"{rule.code}-{number}")
    for rule in ALL_RULES
    if rule.kind not in ("any", "compound")  # these name nothing of a kind
    for number, sign in enumerate(rule.signs)
]
BEYONDS = [
    (rule, sign.detector)
    for rule in ALL_RULES
    for sign in rule.signs
    if isinstance(sign.detector, Beyond)
]


def kind_of(rule: Rule) -> Kind:
    return {**KINDS, "hydrant": _blueprint.HYDRANT}[rule.kind]


def test_the_catalogue_holds_the_rows_of_the_domain_reference_and_no_others() -> None:
    assert sorted(RULES) == sorted(row[0] for row in ROWS)
    assert len(RULES) == 68 + 8


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_rule_is_as_its_row_says(row: list[str]) -> None:
    code, kind, severity, acknowledge, safety, party = row
    rule = RULES[code]
    assert (rule.kind, rule.severity, rule.party) == (kind, severity, party)
    assert rule.acknowledge is (acknowledge == "ack")
    assert rule.safety is (safety == "safe")
    by_level = {sign.severity for sign in rule.signs if sign.safety}
    assert by_level == ({"P1"} if safety == "at-P1" else set())


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_a_rule_has_its_words_in_both_languages(rule: Rule) -> None:
    for chinese in (rule.zh, rule.advice_zh):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese), chinese
    for english in (rule.en, rule.advice_en):
        assert english
        assert all(letter < "\u4e00" for letter in english), english


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_every_fault_has_signs_but_those_that_courtyard_raises_itself(rule: Rule) -> None:
    assert bool(rule.signs) is (rule.kind != "platform")


def test_a_suspected_fault_is_one_of_the_guesses_from_behaviour() -> None:
    assert {code for code, rule in RULES.items() if rule.suspected} == {
        "GATE_NO_PASSAGE",
        "PORT_IDLE_SUSPECT",
        "PORT_NO_LOAD_REPEAT",
        "DEV_VALUE_FROZEN",
    }


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_whatever_is_safety_waits_for_a_person(rule: Rule) -> None:
    assert rule.acknowledge or not rule.safety


def test_lost_numbers_and_a_refused_value_that_may_be_a_fire_are_signs_for_any_device() -> None:
    signs = [(rule.code, sign) for rule in rules_for("any") for sign in rule.signs]
    assert signs == [
        ("DEV_CLOCK_DRIFT", Sign(Beyond("clock_offset_s", ">300", "<60"), Severity.P4, 600)),
        ("DEV_DATA_GAP", Sign(Missing(), Severity.P4, 3600)),
        ("DEV_DATA_GAP", Sign(Sparse(0.9), Severity.P4, 0)),
        ("DEV_IMPLAUSIBLE", Sign(Refused(), Severity.P2, 0)),
        ("DEV_IMPLAUSIBLE", Sign(Counted(Refused(), 3, 600, reports=3), Severity.P4, 600)),
        ("DEV_NEVER_SEEN", Sign(NeverSeen(), Severity.P4, 86_400)),
        ("DEV_VALUE_FROZEN", Sign(Unusual("reports", 30), Severity.P4, 7200)),
    ]


@pytest.mark.parametrize(
    "rule",
    [r for r in ALL_RULES if r.signs and r.code != "DEV_IMPLAUSIBLE"],  # only its worst is seen
    ids=lambda rule: rule.code,
)
def test_the_mildest_sign_has_the_severity_of_the_rule(rule: Rule) -> None:
    assert max(sign.severity for sign in rule.signs) == rule.severity


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("gate", 17),
        ("shed", 10),
        ("port", 9),
        ("lamp", 14),
        ("camera", 8),
        ("lift", 3),
        ("gateway", 1),
    ],
)
def test_every_device_has_the_faults_of_its_kind_and_the_five_of_any(kind: str, own: int) -> None:
    rules = rules_for(kind)
    assert len(rules) == len({rule.code for rule in rules}) == own + 5
    assert {rule.kind for rule in rules} == {kind, "any"}


@pytest.mark.parametrize(("kind", "count"), [("compound", 1), ("platform", 8), ("any", 5)])
def test_what_is_no_device_has_only_its_own_faults(kind: str, count: int) -> None:
    assert [rule.kind for rule in rules_for(kind)] == [kind] * count


def test_every_kind_but_the_socket_which_speaks_through_its_shed_can_be_silent() -> None:
    silent = {
        rule.kind
        for rule in RULES.values()
        for sign in rule.signs
        if isinstance(sign.detector, Silent)
    }
    assert silent == set(KINDS) - {"port"}


# --- every sign speaks of things that exist ---------------------------------------------------


def words_fit(quantity: Quantity | None, words: tuple[object, ...]) -> None:
    assert quantity is not None
    for word in words:
        assert type(quantity.check(word)) is type(word)


def band_fits(quantity: Quantity | None, text: str) -> None:
    """The quantity is a number, and some valid value lies in the band."""
    assert quantity is not None
    assert quantity.type in (Type.FLOAT, Type.INT)
    low, high = band(text)
    assert low <= high
    assert quantity.high is None or low <= quantity.high
    assert quantity.low is None or high >= quantity.low


def event_fits(kind: Kind, name: str, where: Where, *, decides: bool = True) -> None:
    """decides: one event alone decides about a fault, so that these fields must be there."""
    assert name in kind.events
    for field, value in where.items():
        declared = kind.events[name].fields[field]
        assert declared.required or not decides, f"{name}.{field} decides about a fault"
        for word in value if isinstance(value, tuple) else (value,):
            assert declared.check(word) == word


def counted_fits(kind: Kind, counted: Counted) -> None:
    assert counted.times > 1
    match counted.of:
        case Happened(event, where):
            event_fits(kind, event, where, decides=False)
            assert counted.distinct is None or counted.distinct in kind.events[event].fields
        case Stopped(reasons):
            assert kind.name in ("port", "shed")
            assert all(StopReason(reason) for reason in reasons)
            ended = KINDS["port"].events["session_end"].fields
            assert counted.distinct is None or counted.distinct in ended
        case Changed(quantity, values):
            words_fit(kind.quantity(quantity), values)
    for reset in counted.resets:
        event_fits(kind, reset.event, reset.where, decides=False)


@pytest.mark.parametrize(("rule", "sign"), SIGNS)
def test_a_sign_names_what_its_kind_can_report(rule: Rule, sign: Sign) -> None:
    kind = kind_of(rule)
    match sign.detector:
        case Beyond(quantity, raises, clears, _, given):
            band_fits(kind.judged(quantity), raises)
            if given is not None:
                words_fit(kind.quantity(given[0]), given[1])
            if clears != "<0":  # on purpose: no reading clears it
                band_fits(kind.judged(quantity), clears)
        case Equals(quantity, raises, clears, of, unless):
            assert of in (None, "port")
            whose = kind if of is None else KINDS[of]
            words_fit(whose.judged(quantity), raises + clears)
            assert raises
            assert clears
            assert not set(raises) & set(clears)
            if unless is not None:
                words_fit(whose.quantity(unless[0]), unless[1])
        case Happened(event, where):
            event_fits(kind, event, where)
        case Counted():
            counted_fits(kind, sign.detector)
        case Share(event, among, where, raises, clears):
            event_fits(kind, event, among, decides=False)
            event_fits(kind, event, where)
            event_fits(kind, event, sign.detector.without, decides=False)
            assert band(clears)[1] < band(raises)[0] < 1
        case Unprompted(quantity, values, before, prompts, _, silent, unless):
            words_fit(kind.quantity(quantity), values + before)
            for prompt in prompts:
                event_fits(kind, prompt.event, prompt.where)
            assert silent is None or kind.quantity(silent) is not None
            if unless is not None:
                words_fit(kind.quantity(unless[0]), unless[1])
        case Unanswered(event, where, quantity, values):
            event_fits(kind, event, where)
            words_fit(kind.quantity(quantity), values)
        case Returned(event, where):
            event_fits(kind, event, where, decides=False)
        case Fell(quantity, of):
            register = KINDS[of].quantity(quantity)
            assert register is not None
            assert register.role is Role.COUNTER
        case Stopped(reasons, _, unread):
            assert rule.kind in ("port", "shed")
            assert {StopReason(reason).stop_class for reason in reasons} == {"fault"}
            assert unread is None or kind.quantity(unread) is not None
        case Silent():
            assert sign.delay_s == 0  # the silence limit is the delay


@pytest.mark.parametrize(("rule", "sign"), SIGNS)
def test_an_end_names_what_its_kind_can_report(rule: Rule, sign: Sign) -> None:
    kind = kind_of(rule)
    for over in ends(sign.detector):
        match over:
            case Becomes(quantity, str() as text):
                band_fits(kind.quantity(quantity), text)
            case Becomes(quantity, tuple() as words, after):
                words_fit(kind.quantity(quantity), words + after)
            case Follows(event, where, levels):
                event_fits(kind, event, where, decides=isinstance(sign.detector, Happened))
                for field, text in levels.items():
                    assert kind.events[event].fields[field].type in (Type.FLOAT, Type.INT)
                    assert band(text)
            case Quiet(after_s, condition):
                assert after_s >= 0
                if condition is not None:
                    words_fit(kind.quantity(condition[0]), condition[1])


@pytest.mark.parametrize(("rule", "sign"), SIGNS)
def test_only_a_person_ends_what_nothing_else_can_end(rule: Rule, sign: Sign) -> None:
    if isinstance(sign.detector, Happened | Stopped):
        by_hand = rule.code in ("GATE_DURESS", "GATE_PANIC", "PORT_BATTERY_ABNORMAL")
        assert bool(ends(sign.detector)) is not by_hand


@pytest.mark.parametrize(("rule", "sign"), SIGNS)
def test_a_sign_asks_only_for_attributes_that_devices_have(rule: Rule, sign: Sign) -> None:
    allowed = {"form": ("pedestrian", "barrier", None), "granularity": ("circuit", "lamp")}
    for attribute, value in sign.only.items():
        assert value in allowed[attribute]


@given(st.sampled_from(BEYONDS), st.floats(-1000, 70_000))
def test_no_reading_both_raises_and_clears(declared: tuple[Rule, Beyond], reading: float) -> None:
    beyond = declared[1]
    (low, high), (clear_low, clear_high) = band(beyond.raises), band(beyond.clears)
    assert not (low <= reading <= high and clear_low <= reading <= clear_high)


# --- what a reading means: levels an electrician can check ------------------------------------


def seen(code: str, quantity: str, value: float | str) -> Iterator[tuple[str, float]]:
    """Severity and delay of each sign that this value of one quantity shows, worst first."""
    for sign in sorted(RULES[code].signs, key=lambda sign: sign.severity):
        match sign.detector:
            case Beyond(name, raises) if name == quantity:
                low, high = band(raises)
                if low <= float(value) <= high:
                    yield sign.severity.value, sign.delay_s
            case Equals(name, raises) if name == quantity and value in raises:
                yield sign.severity.value, sign.delay_s


@pytest.mark.parametrize(
    ("code", "quantity", "value", "shows"),
    [
        ("PORT_OVERTEMP", "port_temp_c", 69.9, []),
        ("PORT_OVERTEMP", "port_temp_c", 70, [("P2", 30)]),
        ("PORT_OVERTEMP", "port_temp_c", 90, [("P1", 0), ("P2", 30)]),
        ("PORT_OVERTEMP", "port_status", "paused_high_temp", [("P2", 30)]),
        ("SHED_OVERTEMP", "board_temp_c", 69.9, []),
        ("SHED_OVERTEMP", "board_temp_c", 70, [("P2", 60)]),
        ("SHED_OVERVOLT", "voltage_v", 253, []),
        ("SHED_OVERVOLT", "voltage_v", 253.1, [("P2", 60)]),
        ("SHED_UNDERVOLT", "voltage_v", 187, []),
        ("SHED_UNDERVOLT", "voltage_v", 186.9, [("P3", 60)]),
        ("SHED_LEAKAGE", "leakage_ma", 29.9, []),
        ("SHED_LEAKAGE", "leakage_ma", 30, [("P1", 0)]),
        ("SHED_LEAKAGE", "leakage_state", "self_test_failed", [("P1", 0)]),
        ("SHED_LEAKAGE", "leakage_state", "unknown", []),
        ("SHED_SMOKE", "smoke", True, [("P1", 0)]),
        ("SHED_SMOKE", "smoke_mask", 0, []),
        ("SHED_SMOKE", "smoke_mask", 0b1000_0000, [("P1", 0)]),
        ("SHED_SMOKE", "port_status", "paused_smoke", [("P1", 0)]),
        ("SHED_DOOR_OPEN", "cabinet_door", "open", [("P3", 60)]),
        ("SHED_DOOR_OPEN", "cabinet_door", "pried", [("P2", 0)]),
        ("SHED_WEAK_SIGNAL", "csq", 10, []),
        ("SHED_WEAK_SIGNAL", "csq", 9, [("P4", 1800)]),
        ("PORT_RELAY_STUCK", "port_status", "relay_stuck", [("P1", 0)]),
        ("PORT_FAULT", "port_status", "output_fault", [("P3", 60)]),
        ("PORT_FUSE_BLOWN", "port_status", "fuse_blown", [("P3", 60)]),
        ("LAMP_OVERTEMP", "gear_temp_c", 84.9, []),
        ("LAMP_OVERTEMP", "gear_temp_c", 85, [("P3", 300)]),
        ("LAMP_DAY_BURN", "day_burner", True, [("P3", 1800), ("P4", 1800)]),
        ("LAMP_POWER_HIGH", "lamp_power_too_high", True, [("P4", 7200)]),
        ("LAMP_POWER_LOW", "lamp_power_too_low", True, [("P4", 7200)]),
        ("LAMP_PF_LOW", "power_factor_too_low", True, [("P4", 7200)]),
        ("CCTV_TIME_DRIFT", "time_offset_s", 60, []),
        ("CCTV_TIME_DRIFT", "time_offset_s", 60.5, [("P4", 1)]),
        ("CCTV_TIME_DRIFT", "time_offset_s", -61, [("P4", 1)]),
        ("CCTV_RETENTION", "retention_days", 30, []),
        ("CCTV_RETENTION", "retention_days", 29.9, [("P4", 0)]),
        ("CCTV_DISK", "disk_state", "degraded", []),
        ("CCTV_DISK", "disk_state", "missing", [("P2", 0)]),
        ("GATE_FORCED", "door_alarm", "forced_open", [("P2", 0)]),
    ],
)
def test_a_reading_shows_its_fault_from_the_level_of_the_catalogue_on(
    code: str, quantity: str, value: float | str, shows: list[tuple[str, float]]
) -> None:
    assert list(seen(code, quantity, value)) == shows


@pytest.mark.parametrize(
    ("code", "quantity", "still_bad", "good"),
    [
        ("PORT_OVERTEMP", "port_temp_c", 60, 59.9),
        ("SHED_OVERTEMP", "board_temp_c", 60, 59.9),
        ("SHED_OVERVOLT", "voltage_v", 242.1, 242),
        ("SHED_UNDERVOLT", "voltage_v", 197.9, 198),
        ("SHED_WEAK_SIGNAL", "csq", 11, 12),
        ("LAMP_OVERTEMP", "gear_temp_c", 75, 74.9),
    ],
)
def test_a_reading_clears_its_fault_only_from_the_clear_level_on(
    code: str, quantity: str, still_bad: float, good: float
) -> None:
    for sign in RULES[code].signs:
        if isinstance(sign.detector, Beyond) and sign.detector.quantity == quantity:
            low, high = band(sign.detector.clears)
            assert not low <= still_bad <= high
            assert low <= good <= high


def test_a_door_may_stand_open_for_a_minute_and_a_barrier_for_three() -> None:
    limits = {(sign.only["form"], sign.delay_s) for sign in RULES["GATE_HELD_OPEN"].signs}
    assert limits == {("pedestrian", 60), (None, 60), ("barrier", 180)}


def test_leakage_is_over_only_by_a_self_test_that_is_ok_or_by_a_healthy_socket() -> None:
    for sign in RULES["SHED_LEAKAGE"].signs:
        if isinstance(sign.detector, Equals) and sign.detector.quantity == "leakage_state":
            assert sign.detector.clears == ("ok",)
        else:
            assert Becomes("leakage_state", ("ok",)) in ends(sign.detector)
        if isinstance(sign.detector, Beyond):
            assert band(sign.detector.clears)[1] < 0


def test_a_hot_socket_that_is_not_idle_does_not_cool_by_silence() -> None:
    for sign in RULES["PORT_OVERTEMP"].signs:
        for over in ends(sign.detector):
            if isinstance(over, Quiet):
                assert over == Quiet(1800, given=("port_status", ("idle",)))


# --- stop reasons and socket states: the "raises" columns of §4.1 and §4.3 --------------------

RAISED_BY_STOPS = {
    "over_power": {"PORT_OVERPOWER"},
    "power_unstable": {"PORT_FAULT"},
    "over_temp": {"PORT_OVERTEMP"},
    "smoke": {"SHED_SMOKE"},
    "leakage": {"SHED_LEAKAGE"},
    "ground_fault": {"SHED_LEAKAGE"},
    "short_circuit": {"PORT_FAULT"},
    "battery_abnormal": {"PORT_BATTERY_ABNORMAL"},
    "over_voltage": {"SHED_OVERVOLT"},
    "under_voltage": {"SHED_UNDERVOLT"},
    "power_cut": {"SHED_POWER_CUT"},
    "fuse_blown": {"PORT_FUSE_BLOWN"},
    "device_fault": {"PORT_FAULT"},
    "emergency_stop": {"PORT_FAULT"},
    "cabinet_open": {"SHED_DOOR_OPEN"},
    "no_load_at_start": {"PORT_NO_LOAD_REPEAT"},  # on the third
}

RAISED_BY_STATUS = {
    "paused_high_temp": {"PORT_OVERTEMP"},
    "paused_smoke": {"SHED_SMOKE"},
    "over_voltage": {"SHED_OVERVOLT"},
    "under_voltage": {"SHED_UNDERVOLT"},
    "leakage_fault": {"SHED_LEAKAGE"},
    "ground_fault": {"SHED_LEAKAGE"},
    "output_fault": {"PORT_FAULT"},
    "fuse_blown": {"PORT_FUSE_BLOWN"},
    "relay_stuck": {"PORT_RELAY_STUCK"},
}


@pytest.mark.parametrize("reason", StopReason)
def test_a_stop_raises_the_fault_of_its_row(reason: StopReason) -> None:
    codes = {
        rule.code
        for rule in RULES.values()
        for sign in rule.signs
        for detector in (sign.detector, getattr(sign.detector, "of", None))
        if isinstance(detector, Stopped) and reason in detector.reasons
    }
    assert codes == RAISED_BY_STOPS.get(reason, set())


@pytest.mark.parametrize("status", PortStatus)
def test_a_socket_state_raises_the_fault_of_its_row(status: PortStatus) -> None:
    codes = {
        rule.code
        for rule in RULES.values()
        for sign in rule.signs
        if isinstance(sign.detector, Equals)
        and sign.detector.quantity == "port_status"
        and status in sign.detector.raises
    }
    assert codes == RAISED_BY_STATUS.get(status, set())


def test_a_hot_stop_without_any_reading_is_critical() -> None:
    hot = [s for s in RULES["PORT_OVERTEMP"].signs if isinstance(s.detector, Stopped)]
    by_unread = {s.detector.unread: (s.severity, s.delay_s, s.safety) for s in hot}  # type: ignore[union-attr]
    assert by_unread == {None: ("P2", 30, False), "port_temp_c": ("P1", 0, True)}


def test_operators_alone_act_on_the_alarms_of_the_platform() -> None:
    for rule in RULES.values():
        assert (rule.party is Party.OPERATOR) is (rule.kind == "platform")
