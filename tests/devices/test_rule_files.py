"""Rule files: what is taken, and how everything that is wrong is told."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import RULES
from devices.overrides import EVERYWHERE, Overrides, Scope, figure, named_signs
from devices.registry import Compound, Device, Firm, Name, Registry
from devices.rule_files import BadRules, read, read_what_fits
from devices.rules import Beyond, Repeated, Rule, Severity, Together

SHED = Device("shed-1", "shed", "lvyun", "1号棚", 60, vendor="juy", model="5aa5")
OTHER = Device("shed-2", "shed", "jiaogong", "2号棚", 60, vendor="juy", model="dc589")
GATE = Device("gate-1", "gate", "lvyun", "东门", 30)
REGISTRY = Registry(
    [Firm("yaxin", Name("亚新", "Yaxin"))],
    [
        Compound("lvyun", Name("绿云小区", "Lüyun"), "yaxin", 100),
        Compound("jiaogong", Name("教工小区", "Jiaogong"), "yaxin", 294),
    ],
    [SHED, OTHER, GATE],
)


def of(device: Device) -> Callable[[Scope], bool]:
    """Whether a scope holds for this device."""
    return lambda scope: scope.holds(device)


def at(compound: str) -> Callable[[Scope], bool]:
    """Whether a scope holds for a compound as a whole."""
    return lambda scope: scope.holds_at(compound)


def level(overrides: Overrides, code: str, device: Device, quantity: str = "") -> str:
    rule = overrides.applied(RULES[code], of(device))
    assert rule is not None
    (sign,) = [
        sign.detector
        for sign in rule.signs
        if isinstance(sign.detector, Beyond) and quantity in ("", sign.detector.quantity)
    ]
    return sign.raises


def problems(text: str) -> list[str]:
    with pytest.raises(BadRules) as refused:
        read(text, REGISTRY)
    return [str(problem) for problem in refused.value.problems]


def test_an_empty_file_changes_nothing() -> None:
    assert read("# nothing\n", REGISTRY).changes == ()


def test_a_figure_of_one_compound_leaves_the_others_as_they_are() -> None:
    overrides = read(
        """
        [[override]]
        compound = "lvyun"
        note = "steel boxes in full sun"
        [override.SHED_OVERTEMP]
        raises = ">=75"
        clears = "<65"
        delay_s = 120
        clear_delay_s = 600
        """,
        REGISTRY,
    )
    rule = overrides.applied(RULES["SHED_OVERTEMP"], of(SHED))
    assert rule is not None
    gauge = rule.signs[0].detector
    assert isinstance(gauge, Beyond)
    assert (gauge.raises, gauge.clears, rule.clear_delay_s) == (">=75", "<65", 600)
    assert {sign.delay_s for sign in rule.signs} == {120}
    assert overrides.applied(RULES["SHED_OVERTEMP"], of(OTHER)) is RULES["SHED_OVERTEMP"]


def test_a_severity_is_that_of_all_signs_and_of_the_rule() -> None:
    rule = read('[[override]]\nSHED_OVERTEMP.severity = "P1"', REGISTRY).applied(
        RULES["SHED_OVERTEMP"], of(SHED)
    )
    assert rule is not None
    assert {rule.severity, *(sign.severity for sign in rule.signs)} == {Severity.P1}


# The same figure at every precision: (scopes in force, which of them counts)
SCOPES = {
    "everywhere": "",
    "kind": 'kind = "shed"',
    "compound": 'compound = "lvyun"',
    "compound and kind": 'compound = "lvyun"\nkind = "shed"',
    "vendor": 'vendor = "juy"',
    "model": 'model = "5aa5"',
    "vendor and model": 'vendor = "juy"\nmodel = "5aa5"',
    "model and compound": 'model = "5aa5"\ncompound = "lvyun"',
    "device": 'device = "shed-1"',
}
WEAKEST_FIRST = (
    "everywhere",
    "kind",
    "compound",
    "compound and kind",
    "vendor",
    "model",
    "model and compound",
    "vendor and model",
    "device",
)


@pytest.mark.parametrize("n", range(1, len(WEAKEST_FIRST)))
def test_of_several_the_most_precise_counts(n: int) -> None:
    texts = [
        f'[[override]]\n{SCOPES[name]}\n[override.SHED_OVERTEMP]\nraises = ">={level}"\n'
        for level, name in enumerate(WEAKEST_FIRST[: n + 1], 61)
    ]
    for order in (texts, texts[::-1]):
        assert level(read("".join(order), REGISTRY), "SHED_OVERTEMP", SHED) == f">={61 + n}"


def test_what_a_precise_scope_does_not_say_comes_from_the_wider_one() -> None:
    overrides = read(
        "[[override]]\nSHED_WEAK_SIGNAL.delay_s = 60\n"
        '[[override]]\ncompound = "lvyun"\nSHED_WEAK_SIGNAL.raises = "<8"\n',
        REGISTRY,
    )
    rule = overrides.applied(RULES["SHED_WEAK_SIGNAL"], of(SHED))
    assert rule is not None
    assert rule.signs[0].delay_s == 60
    assert level(overrides, "SHED_WEAK_SIGNAL", SHED) == "<8"
    assert level(overrides, "SHED_WEAK_SIGNAL", OTHER) == "<10"


def test_a_rule_that_is_off_in_a_compound_may_be_on_for_one_device() -> None:
    overrides = read(
        '[[override]]\ncompound = "lvyun"\nSHED_DOOR_OPEN.enabled = false\n'
        '[[override]]\ndevice = "shed-1"\nSHED_DOOR_OPEN.enabled = true\n',
        REGISTRY,
    )
    door = RULES["SHED_DOOR_OPEN"]
    assert overrides.applied(door, of(SHED)) is not None
    other = Device("shed-9", "shed", "lvyun", "9号棚", 60)
    assert overrides.applied(door, of(other)) is None


def test_a_compounds_own_rule_knows_no_other_scope() -> None:
    overrides = read(
        '[[override]]\ncompound = "lvyun"\nCOMPOUND_POWER_CUT.clear_delay_s = 60', REGISTRY
    )
    cut = RULES["COMPOUND_POWER_CUT"]
    changed = overrides.applied(cut, at("lvyun"))
    assert changed is not None
    assert changed.clear_delay_s == 60
    assert overrides.applied(cut, at("jiaogong")) is cut


def test_every_sign_of_the_catalogue_has_a_name_of_its_own() -> None:
    for rule in RULES.values():
        assert len(named_signs(rule)) == len(rule.signs), rule.code


ONE = "[[override]]\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = ", 1, "not TOML"),
        ("overrides = 1", 1, "expected [[override]]"),
        ("override = 1", 1, "expected a table of its own for each: [[override]]"),
        (ONE, 1, "changes nothing; expected a table like [override.SHED_OVERTEMP]"),
        (ONE + "SHED_SMOK.enabled = true", 2, "there is no fault 'SHED_SMOK'; did you mean 'SHED_"),
        (ONE + "compund = 'x'", 2, "expected device, model, vendor, compound, kind, note"),
        (ONE + "compound = 3\nSHED_OVERTEMP.delay_s = 1", 2, 'expected compound = "…"'),
        (ONE + "kind = 'shedd'\nSHED_OVERTEMP.delay_s = 1", 2, "expected one of gate, shed"),
        (ONE + "kind = 'gate'\nSHED_OVERTEMP.delay_s = 1", 3, "a fault of a shed, not of a gate"),
        (ONE + "device = 'gate-1'\nSHED_OVERTEMP.delay_s = 1", 3, "not of a gate"),
        (ONE + "device = 'shed-3'\nSHED_OVERTEMP.delay_s = 1", 2, "did you mean 'shed-"),
        (ONE + "compound = 'lvyum'\nSHED_OVERTEMP.delay_s = 1", 2, "did you mean 'lvyun'"),
        (ONE + "model = 'x9'\nSHED_OVERTEMP.delay_s = 1", 2, "has no device of model x9"),
        (
            ONE + "device = 'shed-1'\ncompound = 'jiaogong'\nSHED_OVERTEMP.delay_s = 1",
            3,
            "shed-1 has the compound 'lvyun'",
        ),
        (ONE + "kind = 'gate'\nCOMPOUND_POWER_CUT.enabled = false", 3, "of a whole compound"),
        (ONE + "SYS_DISK.enabled = false", 2, "an alarm of courtyard itself"),
        (ONE + "SHED_OVERTEMP = 1", 2, "expected a table: [override.SHED_OVERTEMP]"),
        (ONE + "SHED_OVERTEMP = {}", 2, "changes nothing; expected enabled, clear_delay_s"),
        (ONE + "SHED_OVERTEMP.delay = 1", 2, "'delay' is unknown; expected enabled"),
        (ONE + "SHED_OVERTEMP.enabled = 0", 2, "expected true or false"),
        (ONE + "SHED_OVERTEMP.delay_s = -1", 2, "expected seconds from 0 to"),
        (ONE + "SHED_OVERTEMP.delay_s = nan", 2, "expected seconds from 0 to"),
        (ONE + "SHED_OVERTEMP.delay_s = true", 2, "expected seconds from 0 to"),
        (ONE + "SHED_OVERTEMP.severity = 'P5'", 2, 'expected one of "P1", "P2", "P3", "P4"'),
        (ONE + "SHED_OVERTEMP.raises = 70", 2, "expected text like '>=70'"),
        (ONE + "SHED_OVERTEMP.raises = '>=7O'", 2, "expected text like '>=70'"),
        (ONE + "SHED_OVERTEMP.raises = '<70'", 2, "points where '>=70' does"),
        (ONE + "SHED_OVERTEMP.raises = '>=400'", 2, "expected -50 to 205 °C"),
        (ONE + "SHED_OVERTEMP.raises = '>=55'", 2, "'<60' does not lie on the other side"),
        (ONE + "SHED_OVERTEMP.clears = '<=70'", 2, "expected clears below it, like '<70'"),
        (ONE + "SHED_WEAK_SIGNAL.clears = '>=9'", 2, "expected clears above it, like '>10'"),
        (ONE + "SHED_OFFLINE.delay_s = 600", 2, "expected interval_s of its registry entry"),
        (ONE + "SHED_DOOR_OPEN.raises = '>1'", 2, "SHED_DOOR_OPEN has no raises"),
        (
            ONE + "GATE_HELD_OPEN.delay_s = 60",
            2,
            'expected it in [override.GATE_HELD_OPEN.sign."door_state open (form=',
        ),
        (
            ONE + "PORT_OVERTEMP.raises = '>=65'",
            2,
            'expected it in [override.PORT_OVERTEMP.sign."port_temp_c >=70"]',
        ),
        (ONE + "PORT_OVERTEMP.sign.\"port_temp_c\".raises = '>65'", 2, "has no sign 'port_temp_c'"),
        (
            ONE + "PORT_OVERTEMP.sign.\"port_temp_c >=70\".times = 3",
            2,
            "has no 'times'; expected raises, clears, delay_s or severity",
        ),
        (ONE + "SHED_SMOKE.enabled = false", 2, "of the safety tier and cannot be switched off"),
        (ONE + "SHED_SMOKE.delay_s = 10", 2, "stays at 0; expected that or less"),
        (ONE + "SHED_SMOKE.severity = 'P2'", 2, "stays at P1; expected that or worse"),
        (ONE + "SHED_LEAKAGE.raises = '>=50'", 2, "stays at >=30; expected that or sooner"),
        (ONE + "PORT_RELAY_STUCK.clears = '<10'", 2, "stays at <5; expected that or later"),
        (ONE + "PORT_RELAY_STUCK.clear_delay_s = 60", 2, "stays at 300; expected that or more"),
        (ONE + "PORT_OVERTEMP.enabled = false", 2, "of the safety tier"),
        (ONE + "COMPOUND_POWER_CUT.share = 0.4", 2, "expected a share from 0.5 to 1"),
        (ONE + "GW_OFFLINE.share = '70 %'", 2, "expected a share from 0.5 to 1"),
        (ONE + "COMPOUND_POWER_CUT.least = 2", 2, "expected a whole number from 3 to 10000"),
        (ONE + "COMPOUND_POWER_CUT.evidence_s = 7200", 2, "expected seconds from 10 to 1800"),
        (ONE + "GW_OFFLINE.evidence_s = 60", 2, "GW_OFFLINE has no evidence_s; expected enabled"),
        (ONE + "CIRCUIT_SUPPLY_LOSS.least = 5", 2, "CIRCUIT_SUPPLY_LOSS has no least"),
        (ONE + "GATE_OFFLINE.notice_delay_s = -1", 2, "expected seconds from 0 to 86400"),
        (ONE + "GATE_HELD_OPEN.notice_delay_s = 9", 2, "GATE_HELD_OPEN has no notice_delay_s"),
        (ONE + "GATE_HEALTHCODE_SVC.times = 101", 2, "expected a whole number from 1 to 100"),
        (ONE + "PORT_OVERPOWER.repeated_times = 1", 2, "expected a whole number from 2 to 100"),
        (ONE + "PORT_OVERPOWER.repeated_times = 2.0", 2, "expected a whole number from 2 to 100"),
        (ONE + "PORT_OVERPOWER.repeated_within_s = 0", 2, "expected seconds from 1 to"),
        (ONE + "PORT_OVERPOWER.repeated_severity = 2", 2, 'expected one of "P1", "P2", "P3", "P4"'),
        (ONE + "SHED_OVERTEMP.repeated_times = 3", 2, "'repeated_times' is unknown; expected ena"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_what_would_be_right(
    text: str, line: int, says: str
) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"line {line}: ")
    assert says in found[0]


def test_everything_that_is_wrong_is_told_and_nothing_is_taken() -> None:
    text = """\
[[override]]
compound = "atlantis"
[override.SHED_OVERTEMP]
raises = ">=7O"

[[override]]
[override.SHED_OVERTEMP]
delay_s = 120
[override.SHED_SMOKE]
enabled = false
"""
    assert [line.split(":")[0] for line in problems(text)] == ["line 2", "line 4", "line 10"]


def test_a_safety_rule_can_be_made_stricter() -> None:
    overrides = read(
        '[[override]]\n[override.SHED_LEAKAGE]\nraises = ">=20"\n'
        "[override.PORT_RELAY_STUCK]\nclear_delay_s = 600\n"
        '[override.PORT_RELAY_STUCK.sign."power_w >20"]\nraises = ">10"\ndelay_s = 30\n',
        REGISTRY,
    )
    assert level(overrides, "SHED_LEAKAGE", SHED) == ">=20"


def test_the_lax_half_of_a_rule_with_a_safe_sign_may_be_made_laxer() -> None:
    text = "[[override]]\n[override.PORT_OVERTEMP.sign.\"port_temp_c >=70\"]\nraises = '>=80'\n"
    assert len(read(text, REGISTRY).changes) == 1


def test_two_of_one_precision_for_the_same_figure_are_refused_wherever_they_stand() -> None:
    text = (
        "[[override]]\ncompound = 'lvyun'\nSHED_OVERTEMP.delay_s = 1\n"
        "[[override]]\ncompound = 'lvyun'\nSHED_OVERTEMP.delay_s = 2\n"
    )
    assert (
        "delay_s of SHED_OVERTEMP for compound lvyun is set in line 3 already" in problems(text)[0]
    )
    apart = text.replace("'lvyun'", "'jiaogong'", 1)
    assert len(read(apart, REGISTRY).changes) == 6


def test_levels_that_only_clash_where_two_scopes_meet_are_refused() -> None:
    one = "[[override]]\ncompound = 'lvyun'\nSHED_OVERTEMP.raises = '>=62'\n"
    other = "[[override]]\n{scope}\nSHED_OVERTEMP.clears = '<65'\n"
    met = problems(one + other.format(scope="kind = 'shed'"))
    assert met == ["line 6: SHED_OVERTEMP: '<65' does not lie on the other side of '>=62'; "
                   "expected clears below it, like '<62' or less"]  # fmt: skip
    never = one + other.format(scope="compound = 'jiaogong'")
    assert len(read(never, REGISTRY).changes) == 2


def test_levels_that_are_never_in_force_together_may_clash() -> None:
    wide = "[[override]]\nSHED_OVERTEMP.raises = '>=50'\nSHED_OVERTEMP.clears = '<45'\n"
    assert len(read(wide, REGISTRY).changes) == 2  # 45 is below 50, and 60 no longer counts
    here = "[[override]]\ncompound = 'lvyun'\n"
    both = here + "SHED_OVERTEMP.raises = '>=40'\nSHED_OVERTEMP.clears = '<35'\n"
    assert len(read(wide + both, REGISTRY).changes) == 4
    kind = "[[override]]\nkind = 'shed'\nSHED_OVERTEMP.clears = '<35'\n"
    one = here + "SHED_OVERTEMP.raises = '>=40'\n"
    assert len(read(kind + one, REGISTRY).changes) == 2  # of sheds, wherever they are
    assert "'<45' does not lie on the other side of '>=40'" in problems(wide + one)[0]


def test_the_example_of_the_documentation_is_in_order() -> None:
    page = Path(__file__).parents[2] / "docs" / "rules.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    overrides, wrong = read_what_fits(example)
    assert not wrong
    assert {change.code for change in overrides.changes} == {
        "SHED_OVERTEMP",
        "PORT_OVERTEMP",
        "GATE_HELD_OPEN",
    }


def test_how_often_and_how_usual_are_figures_too() -> None:
    text = (
        "[[override]]\nGATE_HEALTHCODE_SVC.times = 20\nGATE_HEALTHCODE_SVC.within_s = 600\n"
        "GATE_NO_PASSAGE.least = 7.5\nGATE_FACE_FAIL_RATE.raises = '>0.5'\n"
        "GATE_FACE_FAIL_RATE.least = 50\n"
    )
    assert len(read(text, REGISTRY).changes) == 5
    bad = "[[override]]\nGATE_FACE_FAIL_RATE.least = 7.5\nGATE_FACE_FAIL_RATE.raises = '>1.5'\n"
    assert [line.partition(":")[0] for line in problems(bad)] == ["line 2", "line 3"]


def test_figures_of_root_causes_and_of_repeats_are_figures_too() -> None:
    overrides = read(
        "[[override]]\ncompound = 'lvyun'\n"
        "COMPOUND_POWER_CUT = {share = 0.6, least = 4, evidence_s = 300}\n"
        "[[override]]\nGATE_OFFLINE.notice_delay_s = 0\n"
        "PORT_OVERPOWER = {repeated_times = 5, repeated_within_s = 3600, "
        "repeated_severity = 'P1'}\n",
        REGISTRY,
    )
    cut = overrides.applied(RULES["COMPOUND_POWER_CUT"], at("lvyun"))
    assert cut is not None
    assert cut.signs[0].detector == Together(power=True, share=0.6, least=4, evidence_s=300)
    gate = overrides.applied(RULES["GATE_OFFLINE"], of(GATE))
    assert gate is not None
    assert figure(gate.signs[0], "notice_delay_s") == 0
    power = overrides.applied(RULES["PORT_OVERPOWER"], of(SHED))
    assert power is not None
    assert power.repeated == Repeated(5, 3600, Severity.P1)


def test_a_safety_rule_counts_no_less_often_and_no_longer_ago() -> None:
    rules = {"SHED_SMOKE": replace(RULES["SHED_SMOKE"], repeated=Repeated(3, 3600, Severity.P1))}
    head = "[[override]]\nSHED_SMOKE.repeated_"
    for stricter in ("times = 2", "within_s = 7200"):
        assert len(read(head + stricter, REGISTRY, rules=rules).changes) == 1
    for laxer in ("times = 4", "within_s = 1800", "severity = 'P2'"):
        with pytest.raises(BadRules, match="of the safety tier"):
            read(head + laxer, REGISTRY, rules=rules)


def test_a_file_as_long_as_may_be_is_read() -> None:
    devices = [Device(f"shed-{n}", "shed", "lvyun", "", 60, model=f"m{n}") for n in range(500)]
    registry = Registry(REGISTRY.firms.values(), REGISTRY.compounds.values(), devices)
    text = "".join(
        f"[[override]]\n{scope} = '{name}{n}'\nSHED_OVERTEMP.{figure}\n"
        for n in range(500)
        for scope, name, figure in (
            ("device", "shed-", f"raises = '>={80 + n / 100}'"),
            ("model", "m", f"clears = '<{50 + n / 100}'"),
        )
    )
    assert len(read(text, registry).changes) == 1000


def test_a_file_that_was_taken_once_is_used_as_far_as_it_still_fits() -> None:
    text = "[[override]]\nSHED_OVERTEMP.delay_s = 1\nSHED_GONE.delay_s = 1\n"
    overrides, wrong = read_what_fits(text, number=7)
    assert overrides.number == 7
    assert {change.code for change in overrides.changes} == {"SHED_OVERTEMP"}
    assert [problem.line for problem in wrong] == [3]


def test_a_device_that_is_gone_is_no_reason_to_forget_the_rest() -> None:
    text = "[[override]]\ndevice = 'shed-77'\nSHED_OVERTEMP.delay_s = 1\n"
    overrides, wrong = read_what_fits(text)
    assert not wrong
    assert overrides.applied(RULES["SHED_OVERTEMP"], of(SHED)) is RULES["SHED_OVERTEMP"]


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "x" * 300_000,
        "[[override]]\nSHED_OVERTEMP.delay_s = " + "9" * 5000,
        "[[override]]\n" * 2_000,
        "[[override]]\nSHED_OVERTEMP.sign = 1",
        "[[override]]\nSHED_OVERTEMP.sign.x = 1",
        "override = [1]",
    ],
)
def test_what_is_too_much_is_refused_too(text: str) -> None:
    assert problems(text)


_FIGURES = st.sampled_from(
    ["raises = '>=80'", "clears = '<1..'", "delay_s = 3", "severity = 'P2'", "times = 2",
     "enabled = false", "sign.\"port_temp_c >=70\".raises = '>71'", "sign.x.y = 1", "x = [1, {}]"]
)  # fmt: skip
_HEADS = st.sampled_from(
    ["", "compound = 'lvyun'", "device = 'shed-1'", "kind = 'port'", "model = 1", "note = ''"]
)


@given(
    st.lists(
        st.tuples(_HEADS, st.sampled_from(sorted(RULES)), _FIGURES).map(
            lambda parts: "[[override]]\n{}\n[override.{}]\n{}\n".format(*parts)
        ),
        max_size=4,
    ).map("".join)
)
def test_any_file_is_changes_or_problems_with_lines_in_it(text: str) -> None:
    with suppress(BadRules):
        for change in read(text, REGISTRY).changes:
            assert isinstance(RULES[change.code], Rule)
            assert change.scope.precedence >= EVERYWHERE.precedence == 0
    for problem in read_what_fits(text, REGISTRY)[1]:
        assert 1 <= problem.line <= text.count("\n") + 1


@given(st.text())
def test_any_text_is_changes_or_bad_rules(text: str) -> None:
    with suppress(BadRules):
        read(text, REGISTRY)


def test_scopes_of_other_values_exclude_each_other() -> None:
    assert Scope(compound="a").excludes(Scope(compound="b"))
    assert not Scope(compound="a").excludes(Scope(kind="shed"))
    assert str(Scope(compound="a", kind="shed")) == "compound a, kind shed"
    assert str(EVERYWHERE) == "everywhere"
