"""Service figures, worked out on paper: what counts, over what, and what it is not taken from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, composite, integers, just, lists, one_of, sampled_from

from devices.catalogue import RULES
from devices.kpis import (
    OFFLINE,
    OUT_OF_USE,
    UPSTREAM,
    Availability,
    Ground,
    Member,
    Service,
    Spell,
    Told,
    deaf_spans,
    lit_spans,
    nearest_rank,
)
from devices.maintenance import Window
from devices.roots import SUPPRESSES
from devices.sla import Terms, Work
from devices.spans import Span, length_ms
from devices.sun import lighting_hours

SHANGHAI = ZoneInfo("Asia/Shanghai")
TERMS = Terms(Work(SHANGHAI))
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
MORE_THAN_ALL = 2**50
YARD = "xiangyunli"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


FROM = ms("2026-11-23T00:00:00+08:00")  # a Monday
TO = FROM + DAY_MS


def at(hours: float) -> int:
    """So many hours into the day."""
    return FROM + round(hours * HOUR_MS)


def a_member(id_: str, kind: str = "gate", **more: object) -> Member:
    values = {
        "parent": None if kind in ("gateway", "shed") else "gw",
        "circuit": None,
        "interval_s": 60,
        "lamps": 1,
        "is_switched": False,
        "commissioned_at_ms": None,
        "decommissioned_at_ms": None,
        "state": "online",
    } | more
    return Member(id_, kind, YARD, **values)  # type: ignore[arg-type]


def a_spell(
    device: str | None, code: str, start: float, end: float | None, **more: object
) -> Spell:
    """A fault from one hour of the day to another; raised 2 minutes after it began."""
    ended = None if end is None else at(end)
    values = {
        "id": f"{code}-{device}-{start}",
        "kind": RULES[code].kind,
        "severity": RULES[code].severity.value,
        "safety": RULES[code].safety,
        "suspected": RULES[code].suspected,
        "is_live": True,
        "state": "open" if end is None else "closed",
        "opened_at_ms": at(start) + 2 * MINUTE_MS,
        "raises_ms": (),
        "acknowledged_at_ms": None,
        "onsite_at_ms": None,
        "ended_ms": ended,
        "suppressed_by": None,
        "resolution": None,
        "is_repeat": False,
    } | more
    return Spell(code=code, compound=YARD, device=device, since_ms=at(start), **values)  # type: ignore[arg-type]


def a_window(start: float, end: float, **more: object) -> Window:
    values = {
        "compound": YARD,
        "kind": None,
        "devices": (),
        "codes": (),
        "reason": "更换门锁",
        "owner": "王建国",
        "created_by": "wang-jianguo",
        "created_at_ms": FROM,
    } | more
    return Window(id="w", starts_at_ms=at(start), ends_at_ms=at(end), **values)  # type: ignore[arg-type]


YARD_MEMBERS = (
    a_member("gw", "gateway"),
    a_member("gate"),
    a_member("shed", "shed"),
    a_member("port-1", "port", parent="shed", port_status="idle"),
    a_member("port-2", "port", parent="shed", port_status="in_use"),
)


def a_ground(
    *spells: Spell,
    members: Sequence[Member] = YARD_MEMBERS,
    windows: Sequence[Window] = (),
    heard: Sequence[Span] = ((0, MORE_THAN_ALL),),
    gaps: Sequence[Span] = (),
    lit: Sequence[Span] = (),
    live_ms: int | None = 0,
) -> Ground:
    return Ground(
        members, spells, windows, heard=heard, live_ms=live_ms, gaps=gaps, lit=lit, terms=TERMS
    )


def hours(amount_ms: int) -> float:
    return amount_ms / HOUR_MS


def of(ground: Ground, kind: str = "gate") -> Availability:
    return ground.availability(FROM, TO)[0][kind]


# What counts as out


def test_every_kind_that_speaks_for_itself_has_one_fault_that_says_it_is_silent() -> None:
    assert OFFLINE == {
        "gate": "GATE_OFFLINE",
        "shed": "SHED_OFFLINE",
        "lamp": "LAMP_COMM",
        "camera": "CCTV_OFFLINE",
        "lift": "LIFT_OFFLINE",
        "gateway": "GW_OFFLINE",
    }


def test_upstream_are_the_roots_that_take_devices_away() -> None:
    assert {root for root, children in SUPPRESSES.items() if children} == UPSTREAM


def test_a_socket_is_out_of_use_by_certain_faults_of_its_own_or_its_sheds() -> None:
    assert {
        "PORT_BATTERY_ABNORMAL",
        "PORT_FAULT",
        "PORT_FUSE_BLOWN",
        "PORT_OVERTEMP",
        "PORT_RELAY_STUCK",
        "SHED_LEAKAGE",
        "SHED_OFFLINE",
        "SHED_POWER_CUT",
        "SHED_SMOKE",
    } == OUT_OF_USE


def test_availability_is_one_less_the_share_of_time_out() -> None:
    gate = of(a_ground(a_spell("gate", "GATE_OFFLINE", 6, 12)))
    assert (hours(gate.known_ms), hours(gate.out_ms)) == (24, 6)
    assert gate.share == gate.own_share == 0.75


def test_a_fault_that_still_stands_counts_to_the_end_of_the_range() -> None:
    gate = of(a_ground(a_spell("gate", "GATE_OFFLINE", 18, None)))
    assert hours(gate.out_ms) == 6


def test_a_fault_that_began_before_the_range_counts_from_its_start() -> None:
    gate = of(a_ground(a_spell("gate", "GATE_OFFLINE", -48, 3)))
    assert hours(gate.out_ms) == 3


def test_what_overlaps_of_one_device_counts_once() -> None:
    gate = of(
        a_ground(a_spell("gate", "GATE_OFFLINE", 6, 12), a_spell("gate", "GATE_OFFLINE", 10, 13))
    )
    assert hours(gate.out_ms) == 7


def test_what_is_wrong_with_a_device_that_is_heard_is_not_its_absence() -> None:
    assert of(a_ground(a_spell("gate", "GATE_FORCED", 6, 12))).out_ms == 0


def test_a_device_counts_from_the_day_it_came_to_the_day_it_went() -> None:
    members = (
        a_member("new", commissioned_at_ms=at(12)),
        a_member("old", decommissioned_at_ms=at(6)),
        a_member("next-year", commissioned_at_ms=TO),
    )
    gate = of(a_ground(a_spell("old", "GATE_OFFLINE", 3, 18), members=members))
    assert (gate.devices, hours(gate.period_ms), hours(gate.out_ms)) == (2, 18, 3)


def test_a_switched_lamp_counts_only_while_lamps_are_to_burn() -> None:
    members = (a_member("lamp", "lamp", is_switched=True),)
    lit = [(at(0), at(6)), (at(18), at(24))]
    lamp = of(a_ground(a_spell("lamp", "LAMP_COMM", 5, 19), members=members, lit=lit), "lamp")
    assert (hours(lamp.period_ms), hours(lamp.out_ms)) == (12, 2)
    steady = (a_member("lamp", "lamp"),)
    lamp = of(a_ground(a_spell("lamp", "LAMP_COMM", 5, 19), members=steady, lit=lit), "lamp")
    assert (hours(lamp.period_ms), hours(lamp.out_ms)) == (24, 14)


# Power and network


@pytest.mark.parametrize(
    ("device", "code", "kind"),
    [
        ("gate", "GATE_OFFLINE", "gate"),
        ("shed", "SHED_OFFLINE", "shed"),
        ("gw", "GW_OFFLINE", "gateway"),
    ],
)
def test_what_a_root_explains_is_out_and_is_upstream(device: str, code: str, kind: str) -> None:
    part = of(a_ground(a_spell(device, code, 6, 12, suppressed_by="cut")), kind)
    assert (hours(part.out_ms), hours(part.upstream_ms)) == (6, 6)
    assert (part.share, part.own_share) == (0.75, 1.0)


def test_what_stands_on_when_its_root_is_over_is_its_own_from_then_on() -> None:
    cut = a_spell(None, "COMPOUND_POWER_CUT", 6, 8)
    gate = of(a_ground(cut, a_spell("gate", "GATE_OFFLINE", 6, 12)))
    assert (hours(gate.out_ms), hours(gate.upstream_ms)) == (6, 2)
    assert gate.own_share == 1 - 4 / 22


def test_what_was_broken_before_the_power_went_is_its_own_all_the_time() -> None:
    cut = a_spell(None, "COMPOUND_POWER_CUT", 6, 8)
    gate = of(a_ground(cut, a_spell("gate", "GATE_OFFLINE", 3, 12)))
    assert gate.upstream_ms == 0


def test_a_gateway_takes_what_is_behind_it_and_no_shed() -> None:
    gateway = a_spell("gw", "GW_OFFLINE", 6, 8)
    ground = a_ground(
        gateway, a_spell("gate", "GATE_OFFLINE", 6, 9), a_spell("shed", "SHED_OFFLINE", 6, 9)
    )
    assert hours(of(ground).upstream_ms) == 2
    assert of(ground, "shed").upstream_ms == 0
    assert of(ground, "gateway").upstream_ms == 0  # its own fault is its own


def test_a_gate_of_which_the_registry_does_not_say_it_is_behind_the_only_gateway() -> None:
    members = (a_member("gw", "gateway"), a_member("gate", parent=None))
    spells = a_spell("gw", "GW_OFFLINE", 6, 8), a_spell("gate", "GATE_OFFLINE", 6, 9)
    assert hours(of(a_ground(*spells, members=members)).upstream_ms) == 2
    two = (*members, a_member("gw-2", "gateway"))
    assert of(a_ground(*spells, members=two)).upstream_ms == 0


def test_a_circuit_takes_the_lamps_on_it_and_no_others() -> None:
    members = tuple(
        a_member(f"lamp-{n}", "lamp", circuit="east" if n < 3 else "west") for n in range(1, 4)
    )
    loss = a_spell("lamp-1", "CIRCUIT_SUPPLY_LOSS", 20, 22)
    silent = [a_spell(f"lamp-{n}", "LAMP_COMM", 20, 23) for n in range(1, 4)]
    lamps = of(a_ground(loss, *silent, members=members), "lamp")
    assert (hours(lamps.out_ms), hours(lamps.upstream_ms)) == (9, 4)


def test_without_any_time_of_its_own_there_is_no_own_share() -> None:
    gate = of(a_ground(a_spell("gate", "GATE_OFFLINE", 0, None, suppressed_by="cut")))
    assert (gate.share, gate.own_share) == (0.0, None)


# Planned, unknown


def test_planned_work_is_excluded_and_shown() -> None:
    gate = of(a_ground(a_spell("gate", "GATE_OFFLINE", 6, 12), windows=[a_window(6, 10)]))
    assert (hours(gate.planned_ms), hours(gate.known_ms), hours(gate.out_ms)) == (4, 20, 2)
    assert gate.share == 0.9


@pytest.mark.parametrize(
    ("window", "planned_h"),
    [
        (a_window(6, 10, kind="gate"), 4),
        (a_window(6, 10, devices=("gate",)), 4),
        (a_window(6, 10, codes=("GATE_OFFLINE",)), 4),
        (a_window(6, 10, compound=None), 4),
        (a_window(6, 10, ended_at_ms=at(7)), 1),
        (a_window(6, 10, ended_at_ms=at(5)), 0),  # called off
        (a_window(6, 10, kind="shed"), 0),
        (a_window(6, 10, devices=("another",)), 0),
        (a_window(6, 10, codes=("GATE_FORCED",)), 0),
        (a_window(6, 10, compound="elsewhere"), 0),
    ],
)
def test_planned_is_what_a_window_covers(window: Window, planned_h: float) -> None:
    assert hours(of(a_ground(windows=[window])).planned_ms) == planned_h


def test_two_windows_over_one_another_are_planned_once() -> None:
    windows = [a_window(6, 10), a_window(8, 12, kind="gate")]
    assert hours(of(a_ground(windows=windows)).planned_ms) == 6


def test_work_at_a_shed_is_work_at_its_sockets() -> None:
    ground = a_ground(windows=[a_window(6, 10, devices=("shed",))])
    kinds, sockets = ground.availability(FROM, TO)
    assert hours(kinds["port"].planned_ms) == hours(sockets.planned_ms) == 8
    assert kinds["gate"].planned_ms == 0


def test_what_we_could_not_hear_is_unknown_and_neither_up_nor_down() -> None:
    ground = a_ground(a_spell("gate", "GATE_OFFLINE", 6, 12), gaps=[(at(10), at(14))])
    gate = of(ground)
    assert (hours(gate.unknown_ms), hours(gate.known_ms), hours(gate.out_ms)) == (4, 20, 4)
    assert ground.unheard(FROM, TO) == [(at(10), at(14))]


def test_before_the_first_message_of_a_compound_nothing_is_known() -> None:
    gate = of(a_ground(heard=[(at(18), MORE_THAN_ALL)]))
    assert (hours(gate.unknown_ms), gate.share) == (18, 1.0)
    never = of(a_ground(heard=[], live_ms=None))
    assert (hours(never.unknown_ms), never.share, never.own_share) == (24, None, None)


def test_planned_comes_before_unknown_and_no_time_counts_twice() -> None:
    gate = of(a_ground(windows=[a_window(6, 12)], gaps=[(at(10), at(14))]))
    assert (hours(gate.planned_ms), hours(gate.unknown_ms), hours(gate.known_ms)) == (6, 2, 16)


def test_a_device_that_was_never_heard_is_unknown() -> None:
    members = (a_member("gate", state="never_seen"), a_member("gate-2", state=None))
    assert of(a_ground(members=members)).share is None
    history = of(a_ground(members=members, live_ms=at(20)))
    assert hours(history.unknown_ms) == 8  # in the live stream; a history before it had heard them


def test_until_its_first_word_a_late_device_is_unknown() -> None:
    gate = of(a_ground(a_spell("gate", "DEV_NEVER_SEEN", -30, 6)))
    assert (hours(gate.unknown_ms), gate.share) == (6, 1.0)
    shed = a_ground(a_spell("shed", "DEV_NEVER_SEEN", -30, 6))
    assert hours(of(shed, "port").unknown_ms) == 12


def test_a_device_that_has_not_spoken_since_our_outage_is_unknown_since() -> None:
    members = (a_member("gate", state="unknown", reason="platform_down", state_ms=at(23)),)
    assert hours(of(a_ground(members=members)).unknown_ms) == 1
    members = (a_member("gate", state="unknown", reason="parent_down", state_ms=at(23)),)
    assert of(a_ground(members=members)).unknown_ms == 0


# Sockets


def test_sockets_are_silent_with_their_shed() -> None:
    ground = a_ground(a_spell("shed", "SHED_OFFLINE", 6, 12))
    kinds, sockets = ground.availability(FROM, TO)
    assert hours(kinds["port"].out_ms) == hours(sockets.out_ms) == 12
    assert kinds["port"].devices == 2


def test_a_socket_at_fault_is_heard_and_cannot_be_used() -> None:
    ground = a_ground(
        a_spell("port-1", "PORT_FUSE_BLOWN", 6, 12),
        a_spell("port-1", "PORT_FAULT", 8, 14),
        a_spell("shed", "SHED_OFFLINE", 13, 15),
    )
    kinds, sockets = ground.availability(FROM, TO)
    assert hours(kinds["port"].out_ms) == 4
    assert hours(sockets.out_ms) == 9 + 2
    assert sockets.upstream_ms == 0


def test_a_shed_without_power_is_upstream_whether_it_is_heard_or_not() -> None:
    cut = a_spell("shed", "SHED_POWER_CUT", 6, 9)
    silent = a_spell("shed", "SHED_OFFLINE", 7, 9, suppressed_by=cut.id)
    _, sockets = a_ground(cut, silent).availability(FROM, TO)
    assert (hours(sockets.out_ms), hours(sockets.upstream_ms)) == (6, 6)
    assert sockets.own_share == 1.0


def test_what_is_suspected_of_a_socket_does_not_take_it_away() -> None:
    _, sockets = a_ground(a_spell("port-1", "PORT_IDLE_SUSPECT", 0, None)).availability(FROM, TO)
    assert sockets.out_ms == 0


def test_each_socket_stands_in_one_place_now() -> None:
    shed = a_member("shed", "shed")
    away = a_member("away", "shed", state="offline")
    members = [shed, away]
    for n, (status, parent, state) in enumerate(
        (
            ("idle", "shed", "online"),
            ("in_use", "shed", "online"),
            ("disabled", "shed", "online"),
            ("fuse_blown", "shed", "online"),
            ("idle", "shed", "online"),  # with a fault of its own: 4
            ("offline", "shed", "online"),
            ("idle", "away", "unknown"),
            (None, "shed", "online"),
            ("idle", "shed", "never_seen"),
        )
    ):
        members.append(
            a_member(f"port-{n}", "port", parent=parent, state=state, port_status=status)
        )
    members.append(a_member("gone", "port", parent="shed", decommissioned_at_ms=at(1)))
    ground = a_ground(a_spell("port-4", "PORT_RELAY_STUCK", 6, None), members=members)
    now = ground.sockets(TO, is_blind=False)
    assert (now.usable, now.disabled, now.fault, now.offline, now.unknown) == (2, 1, 2, 2, 2)
    assert (now.total, now.share) == (9, 2 / 7)
    blind = ground.sockets(TO, is_blind=True)
    assert (blind.unknown, blind.share) == (9, None)


# What adds up

spans_of_day = integers(-6, 30)


@composite
def some_faults(draw: object) -> list[Spell]:
    drawn: list[Spell] = []
    for n in range(draw(integers(0, 10))):  # type: ignore[operator]
        device, code = draw(  # type: ignore[operator]
            sampled_from(
                [
                    ("gate", "GATE_OFFLINE"),
                    ("shed", "SHED_OFFLINE"),
                    ("shed", "SHED_POWER_CUT"),
                    ("gw", "GW_OFFLINE"),
                    (None, "COMPOUND_POWER_CUT"),
                    ("port-1", "PORT_FAULT"),
                    ("gate", "DEV_NEVER_SEEN"),
                ]
            )
        )
        start = draw(spans_of_day)  # type: ignore[operator]
        end = draw(one_of(just(None), integers(start, 30)))  # type: ignore[operator]
        root = "cut" if code.endswith("OFFLINE") and draw(booleans()) else None  # type: ignore[operator]
        drawn.append(a_spell(device, code, start, end, id=f"f{n}", suppressed_by=root))
    return drawn


def amounts(ground: Ground, from_ms: int, to_ms: int) -> dict[str, tuple[int, ...]]:
    kinds, sockets = ground.availability(from_ms, to_ms)
    return {
        name: (
            part.period_ms,
            part.planned_ms,
            part.unknown_ms,
            part.known_ms,
            part.out_ms,
            part.upstream_ms,
        )
        for name, part in (kinds | {"sockets": sockets}).items()
    }


@given(some_faults(), lists(spans_of_day, min_size=4, max_size=4), spans_of_day)
def test_two_halves_of_a_range_add_up_to_the_whole(
    spells: list[Spell], edges: list[int], middle: int
) -> None:
    gap, window = sorted(edges[:2]), sorted(edges[2:])
    ground = a_ground(
        *spells,
        gaps=[(at(gap[0]), at(gap[1]))] if gap[0] < gap[1] else [],
        windows=[a_window(window[0], window[1], kind="gate")] if window[0] < window[1] else [],
    )
    whole = amounts(ground, at(-6), at(30))
    halves = amounts(ground, at(-6), at(middle)), amounts(ground, at(middle), at(30))
    for name, values in whole.items():
        both = zip(halves[0][name], halves[1][name], strict=True)
        assert tuple(one + other for one, other in both) == values


@given(some_faults(), integers(0, 10_000))
def test_the_order_of_faults_and_devices_means_nothing(spells: list[Spell], seed: int) -> None:
    members, shuffled = list(YARD_MEMBERS), list(spells)
    Random(seed).shuffle(members)
    Random(seed).shuffle(shuffled)
    other = a_ground(*shuffled, members=members)
    assert amounts(a_ground(*spells), FROM, TO) == amounts(other, FROM, TO)


@given(some_faults())
def test_time_out_is_known_time_and_upstream_time_is_time_out(spells: list[Spell]) -> None:
    for values in amounts(a_ground(*spells), FROM, TO).values():
        period, planned, unknown, known, out, upstream = values
        assert 0 <= upstream <= out <= known
        assert known + planned + unknown == period


# Our own outages


def told(fault: str, hour: float, reason: str, becomes: str, **evidence: object) -> Told:
    return Told(fault, at(hour), reason, becomes, evidence)


def test_an_outage_is_told_afterwards_or_while_it_lasts() -> None:
    history = [
        told("f", 3, "raised", "open", deaf_since_ms=at(1), deaf_until_ms=at(3)),
        told("f", 3, "over", "closed"),
        told("g", 6, "raised", "open", ever_returned=True),
        told("g", 7, "acknowledged", "acknowledged"),
        told("g", 8, "over", "closed"),
        told("g", 8.1, "reopened", "open", deaf_since_ms=at(8.05), deaf_until_ms=at(8.09)),
        told("g", 8.1, "over", "closed"),
    ]
    assert deaf_spans(history) == [
        (at(1), at(3)),
        (at(6) - 20_000, at(8)),
        (at(8.05), at(8.09)),
    ]


def test_an_outage_that_lasts_has_no_end_yet() -> None:
    ((since, until),) = deaf_spans([told("f", 6, "raised", "open", ever_returned=True)])
    assert since == at(6) - 20_000
    assert until > ms("2100-01-01T00:00:00Z")


def test_a_broker_that_forbids_our_probe_is_no_outage() -> None:
    assert deaf_spans([told("f", 6, "raised", "open", ever_returned=False)]) == []


# Faults and people


def service(*spells: Spell, now: float = 24, windows: Sequence[Window] = ()) -> Service:
    total = Service()
    for part in a_ground(*spells, windows=windows).service(FROM, TO, at(now)).values():
        total.add(part)
    return total


def test_times_run_from_the_raise() -> None:
    spell = a_spell("gate", "GATE_OFFLINE", 6, 9, acknowledged_at_ms=at(6.5))
    found = service(spell)
    assert found.answered_s == [28 * 60]
    assert found.repaired_s == [178 * 60]


def test_a_fault_counts_in_the_range_in_which_it_was_raised() -> None:
    before = a_spell("gate", "GATE_OFFLINE", -1, 3)
    after = a_spell("gate", "GATE_OFFLINE", 24, 25)
    edge = a_spell("gate", "GATE_OFFLINE", 0, 1, opened_at_ms=FROM)
    assert service(before, after, edge).detected == 1


def test_an_acknowledgement_answers_the_raise_before_it() -> None:
    raises = (at(6), at(6.1), at(7))
    spell = a_spell("gate", "GATE_OFFLINE", 6, 9, raises_ms=raises, acknowledged_at_ms=at(6.2))
    assert spell.told_ms == at(6.1)
    assert spell._replace(acknowledged_at_ms=None).told_ms == at(7)
    flapping = (at(6), at(6.05), at(6.1), at(8))  # the last was not told
    assert spell._replace(raises_ms=flapping, acknowledged_at_ms=at(9)).told_ms == at(6.1)


def test_the_clock_stands_during_maintenance_and_while_a_root_explains_the_fault() -> None:
    spell = a_spell("gate", "GATE_OFFLINE", 6, 12, acknowledged_at_ms=at(11))
    cut = a_spell(None, "COMPOUND_POWER_CUT", 6, 8)
    window = a_window(9, 10, kind="gate")
    raised = at(6) + 2 * MINUTE_MS
    assert service(spell).answered_s == [(at(11) - raised) / 1000]
    found = service(spell, cut, windows=[window])
    assert found.answered_s == [2 * 3600]
    assert found.repaired_s[0] == 3 * 3600


@pytest.mark.parametrize(
    "resolution", ["false_alarm", "history_ends", "out_of_service", "moved", "kind_changed"]
)
def test_an_end_that_is_no_repair_is_none(resolution: str) -> None:
    assert service(a_spell("gate", "GATE_OFFLINE", 6, 9, resolution=resolution)).repaired_s == []


def test_shares_are_taken_of_what_they_can_be_taken_of() -> None:
    found = service(
        a_spell("gate", "GATE_OFFLINE", 1, 2, is_repeat=True),
        a_spell("gate", "GATE_FORCED", 3, 4, resolution="false_alarm"),
        a_spell("gate", "GATE_FORCED", 5, None),
        a_spell("gate", "GATE_NO_PASSAGE", 6, 7, resolution="false_alarm"),
        a_spell("shed", "SHED_OFFLINE", 8, 9, suppressed_by="cut"),
        a_spell("shed", "SHED_OFFLINE", 9, 10, resolution="history_ends"),
    )
    assert (found.detected, found.suppressed, found.suspected, found.raised) == (6, 1, 1, 4)
    assert found.detected == found.suppressed + found.suspected + found.raised
    assert (found.closed, found.false_alarms, found.repeats) == (3, 2, 1)


def test_figures_are_by_kind_of_fault() -> None:
    ground = a_ground(
        a_spell("gate", "GATE_OFFLINE", 6, 9), a_spell(None, "COMPOUND_POWER_CUT", 10, 12)
    )
    kinds = ground.service(FROM, TO, TO)
    assert {kind: part.raised for kind, part in kinds.items()} == {"gate": 1, "compound": 1}


# What stands now


def test_standing_is_what_is_open_for_more_than_a_day() -> None:
    long = a_spell("gate", "GATE_OFFLINE", -3, None)
    assert service(long, now=20).standing == 0
    assert service(long, now=22).standing == 1
    assert service(long._replace(suppressed_by="cut"), now=22).standing == 0
    assert service(long._replace(suspected=True), now=22).standing == 0
    assert service(long._replace(is_live=False), now=22).standing == 0
    assert service(long._replace(ended_ms=at(20)), now=22).standing == 0


def overdue(spell: Spell, now: float, *windows: Window) -> tuple[int, int, int]:
    found = service(spell, now=now, windows=windows)
    return found.overdue, found.unanswered, found.unrepaired


def test_a_fault_is_overdue_unanswered_then_unrepaired() -> None:
    forced = a_spell("gate", "GATE_FORCED", 6, None, opened_at_ms=at(6))  # P2: 15 min, 4 h
    assert overdue(forced, 6.25) == (0, 0, 0)
    assert overdue(forced, 6.3) == (1, 1, 0)
    assert overdue(forced, 10.1) == (1, 1, 1)
    seen = forced._replace(acknowledged_at_ms=at(6.1), state="acknowledged")
    assert overdue(seen, 9) == (0, 0, 0)
    assert overdue(seen, 10.1) == (1, 0, 1)
    assert overdue(seen._replace(ended_ms=at(8)), 10.1) == (0, 0, 0)


def test_what_is_explained_or_suspected_is_not_overdue() -> None:
    forced = a_spell("gate", "GATE_FORCED", 6, None)
    assert overdue(forced._replace(suppressed_by="cut"), 20) == (0, 0, 0)
    assert overdue(forced._replace(suspected=True), 20) == (0, 0, 0)


def test_maintenance_moves_the_limits() -> None:
    forced = a_spell("gate", "GATE_FORCED", 6, None, opened_at_ms=at(6))
    window = a_window(5, 9, kind="gate")
    assert overdue(forced, 9.2, window) == (0, 0, 0)
    assert overdue(forced, 9.3, window) == (1, 1, 0)
    assert overdue(forced, 13.1, window) == (1, 1, 1)


def test_of_a_p1_somebody_must_be_on_site_in_half_an_hour() -> None:
    smoke = a_spell("shed", "SHED_SMOKE", 6, None, opened_at_ms=at(6), acknowledged_at_ms=at(6.05))
    assert overdue(smoke, 6.6) == (1, 0, 1)
    assert overdue(smoke._replace(onsite_at_ms=at(6.4)), 6.6) == (0, 0, 0)


def test_a_fire_release_asks_for_an_answer_and_no_repair() -> None:
    release = a_spell("gate", "GATE_FIRE_OPEN", 6, None, opened_at_ms=at(6))
    assert overdue(release, 20) == (1, 1, 0)
    assert overdue(release._replace(acknowledged_at_ms=at(6.01)), 20) == (0, 0, 0)


# Lamps


LAMPS = (
    a_member("lamp-1", "lamp", lamps=8, circuit="east"),
    a_member("lamp-2", "lamp", lamps=8, circuit="east"),
    a_member("lamp-3", "lamp", lamps=4),
    a_member("old", "lamp", lamps=99, decommissioned_at_ms=at(1)),
)


def lamps(*spells: Spell) -> tuple[int, int, int]:
    found = a_ground(*spells, members=LAMPS).lamps(FROM, TO)
    return found.lamps, found.faults, found.intact


def test_lamps_are_intact_without_a_fault_that_stands_when_the_range_ends() -> None:
    assert lamps() == (20, 0, 20)
    assert lamps(a_spell("lamp-3", "LAMP_COMM", 6, 9)) == (20, 1, 20)
    assert lamps(a_spell("lamp-3", "LAMP_COMM", 6, 25)) == (20, 1, 16)
    assert lamps(a_spell("lamp-3", "LAMP_COMM", -30, None)) == (20, 0, 16)
    assert lamps(a_spell("lamp-3", "CABINET_DOOR", 6, None)) == (20, 0, 20)


def test_two_faults_of_one_lamp_break_it_once() -> None:
    assert lamps(
        a_spell("lamp-3", "LAMP_COMM", 6, None), a_spell("lamp-3", "LAMP_PF_LOW", 6, None)
    ) == (20, 2, 16)


def test_a_circuit_that_says_how_many_are_out_has_the_others() -> None:
    assert lamps(a_spell("lamp-1", "LAMP_OUT", 6, None, dark=2.1)) == (20, 1, 18)
    assert lamps(a_spell("lamp-1", "LAMP_OUT", 6, None, dark=0.2)) == (20, 1, 19)
    assert lamps(a_spell("lamp-1", "LAMP_OUT", 6, None)) == (20, 1, 12)


def test_a_circuit_without_supply_takes_all_its_lamps() -> None:
    assert lamps(a_spell("lamp-1", "CIRCUIT_SUPPLY_LOSS", 20, None)) == (20, 1, 4)


def test_a_lamp_that_has_no_power_is_not_broken() -> None:
    dark = a_spell("lamp-1", "LAMP_OUT", 6, None, suppressed_by="cut")
    assert lamps(dark, a_spell("lamp-2", "LAMP_OUT", 6, None, suspected=True)) == (20, 0, 20)


# Small tools


def test_a_rank_is_a_value_that_was_seen() -> None:
    assert nearest_rank([], 0.5) is None
    assert nearest_rank([7.0], 0.9) == 7.0
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert nearest_rank([float(n) for n in range(1, 11)], 0.9) == 9.0
    assert nearest_rank([float(n) for n in range(1, 12)], 0.9) == 10.0


@given(integers(FROM - 200 * DAY_MS, FROM + 200 * DAY_MS), integers(0, 3 * DAY_MS))
def test_lit_spans_are_the_lighting_hours(from_ms: int, length: int) -> None:
    latitude, longitude = 34.75, 113.60
    line = lit_spans(latitude, longitude, from_ms, from_ms + length)
    assert all(from_ms <= start < end <= from_ms + length for start, end in line)
    for at_ms in range(from_ms, from_ms + length, 1_700_000):
        inside = any(start <= at_ms < end for start, end in line)
        assert inside == lighting_hours(latitude, longitude, at_ms)


def test_places_near_one_another_share_their_dusk_to_within_seconds() -> None:
    exact = lit_spans(34.75, 113.60, FROM, TO)
    near = lit_spans(34.77, 113.62, FROM, TO)
    assert near is exact
    real_dusk = next(
        at_ms for at_ms in range(at(16), at(19), 1000) if lighting_hours(34.77, 113.62, at_ms)
    )
    assert abs(near[1][0] - real_dusk) <= 10_000


def test_in_polar_night_lamps_burn_all_day_and_in_polar_day_never() -> None:
    north = 80.0, 15.0
    winter, summer = ms("2026-12-21T00:00:00Z"), ms("2026-06-21T00:00:00Z")
    assert length_ms(lit_spans(*north, winter, winter + DAY_MS)) == DAY_MS
    assert length_ms(lit_spans(*north, summer, summer + DAY_MS)) == 0
