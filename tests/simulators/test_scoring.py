"""A score says what was found, missed, false, too early, and told twice; here checked on paper."""

import pytest

from devices.catalogue import RULES
from simulators.anomalies import BY_KIND
from simulators.anomalies.charging import SAFETY_STOPS
from simulators.expectations import MEANINGS
from simulators.ours import TROUBLES
from simulators.scoring import Episode, Raised, Score, as_json, score, table
from simulators.truth import BadTruth, Fact
from tests.simulators.fleets import HOUR_MS, MINUTE_MS, a_district, at

START_MS = at("2026-11-23T18:00")
END_MS = START_MS + 12 * HOUR_MS
DISTRICT = a_district(3)
CUT = "xiangyunli"
GATE, GATEWAY, CAMERA, SHED, PORT = (
    f"{CUT}-gate-1",
    f"{CUT}-gateway",
    f"{CUT}-camera-01",
    "jiaogong-xiaoqu-shed-1",
    "jiaogong-xiaoqu-shed-1-p01",
)
NEVER = None


def a_fact(kind: str, scope: str, start_min: float, lasts_min: float = 0.0) -> Fact:
    start_ms = START_MS + round(start_min * MINUTE_MS)
    return Fact(f"{kind}@{start_min}", kind, scope, start_ms, start_ms + round(lasts_min * 60_000))


def a_fault(
    code: str,
    subject: str,
    opened_min: float,
    over_min: float | None = None,
    *,
    child: bool = False,
    muted: bool = False,
    suspected: bool = False,
) -> Raised:
    over_ms = None if over_min is None else START_MS + round(over_min * MINUTE_MS)
    episode = Episode(START_MS + round(opened_min * MINUTE_MS), over_ms)
    return Raised(
        f"{code}@{opened_min}",
        subject,
        code,
        (episode,),
        suspected=suspected,
        child=child,
        muted=muted,
        platform=code.startswith("SYS_"),
    )


def graded(facts: list[Fact], faults: list[Raised]) -> Score:
    return score(facts, faults, DISTRICT, START_MS, END_MS)


def test_what_was_raised_in_time_is_found_and_its_delay_counts_from_when_it_was_due() -> None:
    said = graded(
        [a_fact("door_held_open", GATE, 60, 10)],
        [a_fault("GATE_HELD_OPEN", GATE, 61 + 3 / 60, 70.1)],
    )
    tally = said.codes["GATE_HELD_OPEN"]
    assert (tally.due, tally.detected, tally.missed) == (1, 1, 0)
    assert tally.delays_s == pytest.approx([3.0])
    assert tally.clears_s == pytest.approx([6.0])
    assert (said.alertable, said.roots) == (1, 1)
    assert said.false == said.early == said.extra_children == []


@pytest.mark.parametrize(
    ("form", "gate", "lasts_min", "due"),
    [
        ("a door for people", GATE, 0.9, 0),  # the rule needs a minute, and some seconds
        ("a door for people", GATE, 1.5, 1),
        ("a barrier", "barrier", 1.5, 0),  # it may stand open for three
        ("a barrier", "barrier", 4.0, 1),
    ],
)
def test_what_does_not_last_as_long_as_its_rule_asks_is_not_due(
    form: str, gate: str, lasts_min: float, due: int
) -> None:
    barriers = [
        d.id for d in a_district(60).devices.values() if d.attributes.get("form") == "barrier"
    ]
    scope = barriers[0] if gate == "barrier" else gate
    facts = [a_fact("door_held_open", scope, 60, lasts_min)]
    said = score(facts, [], a_district(60), START_MS, END_MS)
    assert said.due == due, form
    assert len(said.missed) == due
    assert said.not_asked == 1 - due


def test_a_fault_that_no_fact_explains_is_false() -> None:
    said = graded([], [a_fault("GATE_TAMPER", GATE, 30, 31)])
    assert [(found.code, found.subject) for found in said.false] == [("GATE_TAMPER", GATE)]
    assert said.false_of_ours == 0
    assert said.alertable == 1
    assert said.false_per_1000_device_weeks > 100


def test_a_false_one_soon_after_an_outage_of_ours_is_put_down_to_it() -> None:
    said = graded(
        [a_fact("receive_down", "platform", 60, 10)],
        [a_fault("GATE_OFFLINE", GATE, 72, 74), a_fault("GATE_OFFLINE", GATE, 300, 301)],
    )
    assert len(said.false) == 2
    assert said.false_of_ours == 1


def test_the_platforms_own_faults_are_nobodys_devices() -> None:
    said = graded(
        [a_fact("receive_down", "platform", 60, 10)],
        [a_fault("SYS_PROBE_LOST", "platform", 71, 80)],
    )
    assert (said.false, said.alertable, said.roots) == ([], 0, 0)


def test_another_code_at_the_device_whose_fault_was_missed_is_the_wrong_code() -> None:
    said = graded(
        [a_fact("lens_covered", CAMERA, 60, 30)], [a_fault("CCTV_VIDEO_LOSS", CAMERA, 66, 90)]
    )
    assert [found.code for found in said.missed] == ["CCTV_OCCLUDED"]
    assert [(found.code, found.note) for found in said.wrong] == [
        ("CCTV_VIDEO_LOSS", "instead of CCTV_OCCLUDED")
    ]
    assert said.false == []


def test_one_that_is_raised_before_its_delay_is_early() -> None:
    facts = [a_fact("reader_lost", GATE, 60, 10)]
    assert graded(facts, [a_fault("GATE_READER_OFFLINE", GATE, 61, 70)]).early == []
    (found,) = graded(facts, [a_fault("GATE_READER_OFFLINE", GATE, 60.1, 70)]).early
    assert found.note == "54 s before its delay was over"


def test_silence_counts_from_the_last_contact_so_up_to_an_interval_earlier() -> None:
    facts = [a_fact("gate_silent", GATE, 60, 20)]
    assert graded(facts, [a_fault("GATE_OFFLINE", GATE, 61.0, 80)]).early == []
    assert len(graded(facts, [a_fault("GATE_OFFLINE", GATE, 60.5, 80)]).early) == 1
    late = graded(facts, [a_fault("GATE_OFFLINE", GATE, 62.0, 80)])
    assert late.delays_s() == pytest.approx([30.0])


def test_a_power_cut_is_one_fault_and_its_children_are_suppressed() -> None:
    cut = a_fact("power_cut", CUT, 60, 60)
    root = a_fault("COMPOUND_POWER_CUT", CUT, 63, 124)
    children = [
        a_fault("GATE_OFFLINE", GATE, 61.5, 120, child=True),
        a_fault("GW_OFFLINE", GATEWAY, 63.5, 120, child=True),
    ]
    said = graded([cut], [root, *children])
    assert said.extra_children == []
    assert said.per_cut == {cut.id: 1}
    assert (said.alertable, said.roots, said.suppressed) == (1, 1, 2)


def test_a_child_that_is_told_besides_its_root_is_one_too_many() -> None:
    cut = a_fact("power_cut", CUT, 60, 60)
    root = a_fault("COMPOUND_POWER_CUT", CUT, 63, 124)
    said = graded([cut], [root, a_fault("GATE_OFFLINE", GATE, 61.5, 120)])
    assert [found.subject for found in said.extra_children] == [GATE]
    assert said.codes["GATE_OFFLINE"].extra_children == 1
    assert said.per_cut == {cut.id: 2}
    assert (said.alertable, said.roots) == (2, 1)


def test_a_child_that_a_maintenance_holds_is_told_to_nobody() -> None:
    cut = a_fact("power_cut", CUT, 60, 60)
    root = a_fault("COMPOUND_POWER_CUT", CUT, 63, 124)
    said = graded([cut], [root, a_fault("GATE_OFFLINE", GATE, 61.5, 120, muted=True)])
    assert said.extra_children == []
    assert said.alertable == 1


def test_a_cut_too_short_for_its_root_leaves_its_children_to_themselves() -> None:
    said = graded([a_fact("power_cut", CUT, 60, 4)], [a_fault("GATE_OFFLINE", GATE, 61.5, 64.2)])
    assert said.extra_children == said.false == []
    assert said.due == 0


def test_a_missed_power_cut_is_missed_whatever_its_children_did() -> None:
    said = graded([a_fact("power_cut", CUT, 60, 60)], [a_fault("GATE_OFFLINE", GATE, 61.5, 120)])
    assert [found.code for found in said.missed] == ["COMPOUND_POWER_CUT"]
    assert [found.code for found in said.extra_children] == ["GATE_OFFLINE"]


def test_what_a_cut_or_an_outage_hides_is_asked_for_only_afterwards() -> None:
    tampered = a_fact("gate_tampered", GATE, 60, 10)
    lost = a_fact("gateway_lost", GATEWAY, 55, 20)  # over when it is back
    assert graded([tampered, lost], []).codes.get("GATE_TAMPER") is None
    long = a_fact("gate_tampered", GATE, 60, 120)
    said = graded([long, lost], [a_fault("GATE_TAMPER", GATE, 85, 181)])
    assert said.codes["GATE_TAMPER"].detected == 1
    assert said.codes["GATE_TAMPER"].delays_s == [0.0]  # told again within eleven minutes


def test_a_safety_event_that_comes_late_is_still_asked_for() -> None:
    lost = a_fact("gateway_lost", GATEWAY, 55, 20)
    panic = a_fact("panic", GATE, 60)
    assert [found.code for found in graded([panic, lost], []).missed if found.fact == panic.id] == [
        "GATE_PANIC"
    ]
    late = a_fault("GATE_PANIC", GATE, 75.2, 75.2)
    assert graded([panic, lost], [late]).codes["GATE_PANIC"].detected == 1


def test_a_fault_that_stands_already_answers_without_a_delay() -> None:
    facts = [a_fact("duress", GATE, 60), a_fact("duress", GATE, 90)]
    said = graded(facts, [a_fault("GATE_DURESS", GATE, 60.01, NEVER)])
    tally = said.codes["GATE_DURESS"]
    assert (tally.due, tally.detected, len(tally.delays_s)) == (2, 2, 1)
    assert said.of_safety() == (2, 2)


def test_what_is_due_after_the_end_is_not_asked_for() -> None:
    said = graded([a_fact("gate_silent", GATE, 12 * 60 - 1, 300)], [])
    assert (said.due, said.missed, said.not_asked) == (0, [], 1)


def test_a_suspected_fault_that_nobody_expects_is_alerted_to_nobody_but_false() -> None:
    said = graded([], [a_fault("GATE_NO_PASSAGE", GATE, 60, 90, suspected=True)])
    assert said.alertable == 0
    assert len(said.false) == 1


def test_either_code_will_do_where_a_meter_cannot_tell() -> None:
    lamp = next(
        d.id
        for d in DISTRICT.devices.values()
        if d.kind == "lamp" and d.attributes["granularity"] == "lamp"
    )
    fact = a_fact("lamp_draws_nothing", lamp, 60, 200)
    for code in ("LAMP_OUT", "LAMP_DRIVER"):
        said = graded([fact], [a_fault(code, lamp, 100, 270)])
        assert (said.due, said.detected, said.false) == (1, 1, [])
    assert len(graded([fact], []).missed) == 1


def test_each_shed_of_a_compound_is_asked_for_after_a_brown_out() -> None:
    fact = a_fact("brown_out", "jiaogong-xiaoqu", 60, 15)
    assert [found.subject for found in graded([fact], []).missed] == [SHED]


def test_the_table_and_the_json_say_the_same() -> None:
    said = graded(
        [a_fact("smoke", SHED, 60, 5), a_fact("fuse_blown", PORT, 70, 20)],
        [a_fault("SHED_SMOKE", SHED, 60.01, 65), a_fault("GATE_TAMPER", GATE, 30, 31)],
    )
    plain = as_json(said)
    assert (plain["due"], plain["detected"]) == (2, 1)
    assert plain["safety"] == {"due": 1, "detected": 1}
    lines = table(said).splitlines()
    assert lines[0].split()[:3] == ["code", "due", "found"]
    by_code = {line.split()[0]: line.split()[1:5] for line in lines[1:]}
    assert by_code["SHED_SMOKE"] == ["1", "1", "·", "·"]
    assert by_code["PORT_FUSE_BLOWN"] == ["1", "·", "1", "·"]
    assert by_code["GATE_TAMPER"][3] == "1"
    assert lines[-1].startswith("in all")


def test_every_fact_that_can_happen_has_expectations_and_no_other() -> None:
    happen = set(BY_KIND) | set(TROUBLES) | set(SAFETY_STOPS.values())
    assert set(MEANINGS) == happen


def test_expectations_speak_of_codes_that_there_are() -> None:
    for kind, meaning in MEANINGS.items():
        codes = {*meaning.may, *meaning.children}
        for must in meaning.must:
            codes |= {one.code for one in (must if isinstance(must, tuple) else (must,))}
        assert codes <= set(RULES), kind


def test_every_code_of_the_catalogue_follows_from_some_fact() -> None:
    """But those of our own troubles that no journal shows."""
    expected = {
        one.code
        for meaning in MEANINGS.values()
        for must in meaning.must
        for one in (must if isinstance(must, tuple) else (must,))
    } | {code for meaning in MEANINGS.values() for code in meaning.may}
    not_in_a_journal = {
        "SYS_ACCOUNTS_IMBALANCE",
        "SYS_CLOCK_STEP",
        "SYS_DISK",
        "SYS_JUDGE_BEHIND",
        "SYS_NOBODY_TOLD",
        "SYS_STORE_AWAY",
    }
    assert set(RULES) - expected == not_in_a_journal


def test_a_fact_is_read_back_as_it_was_written() -> None:
    fact = a_fact("smoke", SHED, 60, 5)
    assert Fact.read(fact.line()) == fact


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"smoke",
        b'{"id":"1","kind":"smoke","scope":"x","start":"today","end":"today"}',
        b'{"id":"1","kind":"smoke","scope":"x","start":"2026-11-23T00:00:00",'
        b'"end":"2026-11-23T00:00:00"}',
    ],
)
def test_a_line_that_is_no_fact_is_refused(line: bytes) -> None:
    with pytest.raises(BadTruth):
        Fact.read(line)
