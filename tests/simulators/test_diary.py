"""What was really used is written down where it happens, by hour, and adds up."""

import pytest

from simulators import lamps
from simulators.charging import Session
from simulators.diary import Charge, Diary, pieces
from simulators.fleet import Fleet
from simulators.lamps import Lamp
from tests.simulators.fleets import HOUR_MS, MINUTE_MS, a_district, at

START_MS = at("2026-11-23T18:00")
HOURS = 3


def a_diary(hours: int = HOURS, compounds: int = 2) -> tuple[Fleet, Diary]:
    diary = Diary(START_MS)
    fleet = Fleet(a_district(compounds), 3, START_MS, diary=diary)
    for _ in fleet.messages(START_MS + hours * HOUR_MS):
        pass
    return fleet, diary


def test_a_span_is_cut_at_the_hours() -> None:
    from_ms = START_MS + 50 * MINUTE_MS
    to_ms = START_MS + 130 * MINUTE_MS
    lengths = [(end - start) // MINUTE_MS for start, end in pieces(from_ms, to_ms)]
    assert lengths == [10, 60, 10]
    assert list(pieces(from_ms, from_ms)) == []


def test_a_charge_flows_into_its_hours_and_no_hour_is_counted_for_another() -> None:
    diary = Diary(START_MS)
    session = Session(1, START_MS + 50 * MINUTE_MS)
    session.power_w, session.plateau_h, session.float_w = 200.0, 24.0, 8.0
    session.flows = lambda *told: diary.charged_for("port", *told)
    for minute in range(51, 131, 10):
        session.advance(START_MS + minute * MINUTE_MS, 1.0)
    session.advance(START_MS + 130 * MINUTE_MS, 0.5)  # half the power in the last minutes
    by_hour = [diary.hours["port", START_MS + n * HOUR_MS] for n in range(3)]
    assert sum(used.energy_wh for used in by_hour) == pytest.approx(session.wh)
    assert by_hour[1].energy_wh == pytest.approx(200.0)
    assert [used.in_use_s for used in by_hour] == [600, 3600, 600]
    assert by_hour[2].energy_wh < 200.0 / 6


def test_what_flowed_before_the_beginning_is_not_told() -> None:
    diary = Diary(START_MS)
    diary.charged_for("port", START_MS - HOUR_MS, START_MS, 100.0)
    diary.never_arrived("compound", "shed", START_MS - 1)
    diary.charged(Charge("port", "1", START_MS - HOUR_MS, START_MS - 1, 100.0, "full"))
    assert list(diary.facts()) == []


def test_a_fleet_writes_down_what_it_does_and_sends_the_same() -> None:
    fleet, diary = a_diary()
    untold = Fleet(a_district(2), 3, START_MS)
    sent = list(untold.messages(START_MS + HOURS * HOUR_MS))
    again = Fleet(a_district(2), 3, START_MS, diary=Diary(START_MS))
    assert list(again.messages(START_MS + HOURS * HOUR_MS)) == sent
    kinds = {fleet.registry.devices[device].kind for device, _ in diary.hours}
    assert kinds == {"gate", "port", "lamp"}
    assert diary.charges
    assert all(charge.ended_ms > charge.started_ms for charge in diary.charges)
    granted = sum(used.granted for used in diary.hours.values())
    told = sum(b'"event":"access"' in m.payload and b'"granted"' in m.payload for m in sent)
    assert granted == told > 0
    facts = list(diary.facts())
    assert len({fact.id for fact in facts}) == len(facts)
    energy = sum(float(fact.detail.get("energy_wh", 0)) for fact in facts if fact.kind == "used")
    assert energy == pytest.approx(sum(used.energy_wh for used in diary.hours.values()))


def test_a_lamp_draws_nothing_while_the_grid_is_gone() -> None:
    diary = Diary(START_MS)
    fleet = Fleet(a_district(2), 3, START_MS, diary=diary)
    lamp = next(node for node in fleet.nodes.values() if isinstance(node, Lamp))
    lamp.dim_pct, lamp.last_ms = 100, START_MS
    watts = lamps.meter(lamp, START_MS, fleet.rng)
    lamps.goes_dark(lamp, START_MS + HOUR_MS // 2)
    before_kwh = lamp.energy_kwh
    lamps.meter(lamp, START_MS + HOUR_MS, fleet.rng)
    assert lamp.energy_kwh == before_kwh
    used = diary.hours[lamp.id, START_MS]
    assert used.energy_wh == pytest.approx(watts / 2)
    assert used.burn_s == lamp.count * 1800


def test_a_board_that_restarts_counts_a_charge_from_zero() -> None:
    session = Session(1, START_MS)
    session.power_w, session.plateau_h = 200.0, 24.0
    session.advance(START_MS + HOUR_MS, 1.0)
    session.forgot_wh = session.wh
    session.advance(START_MS + 2 * HOUR_MS, 1.0)
    assert session.shown_kwh == 0.2
    assert session.wh > 400


def test_a_register_of_four_digits_begins_at_zero_again() -> None:
    fleet, _ = a_diary(1)
    lamp = next(node for node in fleet.nodes.values() if isinstance(node, Lamp))
    lamp.energy_kwh = lamps.REGISTER_KWH + 0.25
    assert lamp.shown_kwh == 0.25


def test_what_a_board_cannot_send_and_does_not_keep_never_arrives() -> None:
    fleet, diary = a_diary(1)
    link = next(link for link in fleet.links.values() if link.native)
    compound = link.node.device.compound
    now_ms = fleet.now_ms
    payload = b'{"ts":%d,"boot":1,"seq":9,"values":{"csq":20}}' % now_ms
    topic = f"courtyard/v1/{compound}/gateway/x/telemetry"
    fleet.disconnect(link, now_ms, keeps=True)
    fleet.publish(link, topic, payload, now_ms)
    assert diary.lost == {}
    fleet.write_off()  # it still keeps it when the run is over
    hour_ms = now_ms - now_ms % HOUR_MS
    assert diary.lost == {(compound, "gateway", hour_ms): 1}
    fleet.disconnect(link, now_ms, keeps=False)
    fleet.publish(link, topic, b"[" + payload + b"," + payload + b"]", now_ms)
    assert diary.lost == {(compound, "gateway", hour_ms): 3}
