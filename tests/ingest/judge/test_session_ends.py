"""Sessions whose end is lost, late, or told by a board that lost its power; from wire payloads.

START is 21:10 local; its local day ends at 24:00, 2 h 50 min later.
"""

from dataclasses import replace
from typing import Any

import pytest

from devices.registry import Device
from devices.sessions import EndedBy, Session, SessionState, reconciled
from ingest.judge.drawn import IDLE_LEAST_MS, IDLE_UNUSED_MS
from ingest.judge.use import INFERRED, TOLD, UNREPORTED
from simulators import juy
from tests.ingest.judge.district import District, a_device, a_shed

IMEI = "862290061234567"
HOUR_S = 3600
MIDNIGHT_H = 3  # hours since START's, of the local midnight


def a_juy_board() -> list[Device]:
    shed, *ports = a_shed()
    return [a_device(shed.id, "shed", protocol="juy", external_id=IMEI), *ports]


def frame(d: District, command: int, data: bytes) -> None:
    d.arrives("shed", data, topic=juy.topic(IMEI, command))


def logs_in(d: District, *, powered_on: bool) -> None:
    frame(d, 0x81, juy.login(IMEI, 2, "H1", "S1", "8986", 22, powered_on=powered_on))


def powers(d: District, watts: float, kwh: float, seconds: int) -> None:
    port = juy.PortPower(1, 1, 100, watts, seconds, 10, kwh, 30)
    frame(d, 0x88, juy.power(228, 30, [port]))


def a_local_charge(d: District, minutes: int = 10) -> None:
    """Order 7 begins at the board, and draws 600 W; the board's registers count 0.01 kWh."""
    frame(d, 0x86, juy.start(1, 7, 1, 100, 0, 0))
    for minute in range(1, minutes + 1):
        d.now_s += 60
        frame(d, 0x82, juy.heartbeat(22, 30, ("in_use", "idle")))
        powers(d, 600, minute / 100, 60 * minute)


def one(d: District, order: str = "7") -> Session:
    d.commit()
    (session,) = [s for s in d.store.rows.sessions.values() if s.order == order]
    return session


def energy(d: District) -> dict[int, float]:
    return {hour: f["energy_kwh"] for hour, f in d.figures("shed-p01").items() if "energy_kwh" in f}


def counts(d: District) -> dict[str, float]:
    sums: dict[str, float] = {}
    for figures in d.figures("shed-p01").values():
        for name, amount in figures.items():
            if name in (*TOLD, *INFERRED, *UNREPORTED):
                parts = amount.items() if isinstance(amount, dict) else [(name, amount)]
                for of, part in parts:
                    sums[of] = sums.get(of, 0) + part
            elif name == "fee_fen":
                sums[name] = sums.get(name, 0) + amount
    return {name: amount for name, amount in sums.items() if amount}


def test_a_board_that_had_no_power_ends_its_open_orders_and_says_why() -> None:
    d = District(*a_juy_board())
    a_local_charge(d)
    last_ms = d.now_ms
    d.passes(1800)
    logs_in(d, powered_on=True)
    session = one(d)
    assert (session.state, session.ended_by, session.provisional) == (
        SessionState.CLOSED,
        EndedBy.PLATFORM,
        True,
    )
    assert (session.stop_reason, session.ended_at_ms) == ("power_cut", last_ms)
    assert session.energy_kwh == 0.1
    assert reconciled(session).why == "no_end"
    assert counts(d) == {"inferred_sessions": 1, "inferred_session_s": 600, "power_cut": 1}
    logs_in(d, powered_on=True)  # until it is answered it says so again and again
    assert counts(d)["power_cut"] == 1


def test_a_board_that_only_restarted_may_go_on_with_its_order() -> None:
    d = District(*a_juy_board())
    a_local_charge(d)
    logs_in(d, powered_on=False)
    assert one(d).state is SessionState.OPEN
    d.now_s += 60
    powers(d, 600, 0.11, 660)
    d.now_s += 60
    frame(d, 0x82, juy.heartbeat(22, 30, ("in_use", "idle")))
    assert one(d).state is SessionState.OPEN


def test_a_board_that_restarted_and_is_idle_has_lost_its_order() -> None:
    d = District(*a_juy_board())
    a_local_charge(d)
    last_ms = d.now_ms
    d.now_s += 30
    logs_in(d, powered_on=False)
    for _ in range(6):
        d.now_s += 60
        frame(d, 0x82, juy.heartbeat(22, 30, ("idle", "idle")))
    session = one(d)
    assert (session.stop_reason, session.ended_by) == ("device_restart", EndedBy.PLATFORM)
    assert session.ended_at_ms == last_ms


@pytest.mark.parametrize(
    ("stop_reason", "tells_kwh", "becomes"),
    [
        ("full", {"session_energy_kwh": 0.005}, "unreported_sessions"),
        ("full", {}, "unreported_sessions"),
        ("full", {"session_energy_kwh": 0.02}, "sessions"),
        ("no_load_at_start", {"session_energy_kwh": 0.0}, None),
    ],
)
def test_an_order_whose_register_counted_is_a_session_whatever_its_end_says(
    stop_reason: str, tells_kwh: dict[str, Any], becomes: str | None
) -> None:
    """The board counts 0.1 kWh, restarts, and counts from zero again."""
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    for kwh in (0.05, 0.1, 0.0):
        d.now_s += 60
        said = {"port_status": "in_use", "power_w": 600, "session_energy_kwh": kwh}
        d.says("shed", ports={"1": said})
    d.now_s += 20
    d.ends("shed", 1, "7", stop_reason, **tells_kwh)
    d.ends("shed", 1, "7", stop_reason, **tells_kwh)
    counted = counts(d)
    assert counted.pop(stop_reason) == 1
    lasted = {"sessions": "session_s", "unreported_sessions": "unreported_session_s"}
    assert counted == ({} if becomes is None else {becomes: 1, lasted[becomes]: 200})


def test_an_end_that_tells_the_energy_takes_the_place_of_what_was_inferred_by_the_register() -> (
    None
):
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    for kwh in (0.05, 0.1, 0.0):
        d.now_s += 60
        said = {"port_status": "in_use", "power_w": 600, "session_energy_kwh": kwh}
        d.says("shed", ports={"1": said})
    d.starts("shed", 1, "8")
    assert counts(d) == {"inferred_sessions": 1, "inferred_session_s": 180, "unknown": 1}
    d.restart()
    d.now_s += 60
    d.ends("shed", 1, "7", at_s=170, session_energy_kwh=0.1, session_s=170)
    assert counts(d) == {"sessions": 1, "session_s": 170, "full": 1}


def test_the_time_that_a_board_tells_of_its_order_is_kept_when_its_start_comes_late() -> None:
    d = District(*a_shed())
    d.now_s = 900
    d.ends("shed", 1, "7", session_energy_kwh=0.2, session_s=880)
    d.starts("shed", 1, "7", at_s=0)
    assert (one(d).started_at_ms, one(d).duration_s) == (d.at_ms(0), 880)
    assert counts(d) == {"sessions": 1, "session_s": 880, "full": 1}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_socket_that_is_idle_for_five_minutes_has_ended_unheard(restarts: bool) -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    for minute in range(1, 11):
        d.now_s += 60
        said = {"port_status": "in_use", "power_w": 600, "session_energy_kwh": minute / 100}
        d.says("shed", ports={"1": said})
    last_ms = d.now_ms
    for _ in range(IDLE_LEAST_MS // 60_000):
        d.now_s += 60
        d.says("shed", ports={"1": {"port_status": "idle"}})
        if restarts:
            d.restart()
    assert one(d).state is SessionState.OPEN
    d.now_s += 60
    d.says("shed", ports={"1": {"port_status": "idle"}})
    session = one(d)
    assert (session.stop_reason, session.ended_by, session.provisional) == (
        "unknown",
        EndedBy.PLATFORM,
        True,
    )
    assert (session.ended_at_ms, session.energy_kwh) == (last_ms, 0.1)
    assert d.judge.memories["shed-p01"].session is None


def test_a_socket_that_was_never_seen_to_charge_is_waited_for_longer() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    until_s = IDLE_UNUSED_MS / 1000
    while d.now_s < until_s:
        d.now_s += 60
        d.says("shed", ports={"1": {"port_status": "idle"}})
    assert one(d).state is SessionState.OPEN
    d.now_s += 120
    d.says("shed", ports={"1": {"port_status": "idle"}})
    assert one(d).state is SessionState.CLOSED
    assert one(d).ended_at_ms == d.at_ms(0)


def test_an_order_that_is_silent_stays_open() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    d.now_s += 60
    d.says("shed", ports={"1": {"port_status": "in_use", "power_w": 600}})
    d.passes(5 * HOUR_S)
    assert one(d).state is SessionState.OPEN


def test_a_later_end_replaces_what_was_inferred_and_moves_its_energy_to_the_right_days() -> None:
    """Idle from 21:20 on; in truth it drew until 00:10 and the end comes at one o'clock."""
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    for minute in range(1, 11):
        d.now_s += 60
        said = {"port_status": "in_use", "session_energy_kwh": minute / 100}
        d.says("shed", ports={"1": said})
    for _ in range(7):
        d.now_s += 60
        d.says("shed", ports={"1": {"port_status": "idle"}})
    assert counts(d) == {"inferred_sessions": 1, "inferred_session_s": 600, "unknown": 1}
    d.now_s = 4 * HOUR_S
    end: dict[str, Any] = {
        "session_energy_kwh": 1.8,
        "session_s": 3 * HOUR_S,
        "session_fee_fen": 90,
    }
    d.ends("shed", 1, "7", at_s=3 * HOUR_S, **end)
    session = one(d)
    assert (session.ended_by, session.provisional, session.energy_kwh) == (
        EndedBy.DEVICE,
        False,
        1.8,
    )
    assert counts(d) == {"sessions": 1, "session_s": 3 * HOUR_S, "fee_fen": 90, "full": 1}
    by_hour = energy(d)
    assert sum(by_hour.values()) == pytest.approx(1.8)
    # 1.7 kWh over 170 minutes from 21:20 on, of which 10 lie behind midnight
    assert by_hour[MIDNIGHT_H] == pytest.approx(0.1)
    assert by_hour[0] == pytest.approx(0.1 + 0.4)
    before = (one(d), counts(d), by_hour)
    d.ends("shed", 1, "7", at_s=3 * HOUR_S, **end)
    assert (one(d), counts(d), energy(d)) == before


def a_charge_by_power_alone(d: District, lost: range) -> None:
    """22:50 to 00:50, 900 W in the first hour and 300 W in the second; 1.2 kWh by its end."""
    d.now_s = 100 * 60
    d.says("shed", ports={"1": {"port_status": "idle"}})
    d.starts("shed", 1, "7")
    for minute in range(1, 120):
        d.now_s += 60
        if minute not in lost:
            watts = 900 if minute <= 60 else 300
            d.says("shed", ports={"1": {"port_status": "in_use", "power_w": watts}})
    d.now_s += 60
    d.ends("shed", 1, "7", session_energy_kwh=1.2, session_s=2 * HOUR_S)


def test_energy_of_an_order_without_a_register_is_of_the_day_in_which_its_power_was_drawn() -> None:
    d = District(*a_shed())
    a_charge_by_power_alone(d, range(0))
    by_hour = energy(d)
    # 10 minutes of 900 W, then 50 of 900 W and 10 of 300 W, then 50 of 300 W
    assert {hour: round(kwh, 2) for hour, kwh in by_hour.items()} == {1: 0.15, 2: 0.8, 3: 0.25}
    assert sum(by_hour.values()) == pytest.approx(1.2)
    session = one(d)
    assert session.measured is not None
    assert session.measured.power_kwh == pytest.approx(1.205)
    assert session.measured.power_known == 1
    assert (session.measured.register_kwh, reconciled(session).why) == (None, "power")


def test_where_its_power_is_not_known_it_is_shared_out_by_time() -> None:
    d = District(*a_shed())
    a_charge_by_power_alone(d, range(30, 90))
    assert {hour: round(kwh, 2) for hour, kwh in energy(d).items()} == {1: 0.1, 2: 0.6, 3: 0.5}
    session = one(d)
    assert reconciled(session).why == "gaps"
    assert session.measured is not None
    assert session.measured.power_known == pytest.approx(0.5, abs=0.02)


def charge(d: District, **lies: Any) -> Session:
    """An hour at 600 W from 21:10; lies: what the end says instead."""
    d.starts("shed", 1, "7")
    for minute in range(1, 60):
        d.now_s += 60
        said = {"port_status": "in_use", "power_w": 600, "session_energy_kwh": minute / 100}
        d.says("shed", ports={"1": said})
    d.now_s += 60
    d.ends("shed", 1, "7", **{"session_energy_kwh": 0.6, "session_s": 3600, **lies})
    return one(d)


def test_a_session_says_what_was_measured_in_the_commit_that_ends_it() -> None:
    d = District(*a_shed())
    session = charge(d)
    assert session.measured is not None
    assert session.measured.power_kwh == pytest.approx(0.6)
    assert (session.measured.power_known, session.measured.register_kwh) == (1, 0.59)
    assert session.measured.register_known == pytest.approx(59 / 60)
    assert reconciled(session).why == "both"
    assert not d.commit().again, "all of it came in order"


def test_what_an_end_says_wrongly_is_apart_from_both() -> None:
    session = charge(District(*a_shed()), session_energy_kwh=0.9)
    assert reconciled(session).why == "both_apart"


def test_a_session_that_was_not_followed_from_its_start_is_worked_out_again() -> None:
    """Order 7 began at the server's command, which we do not hear: only its end is told."""
    d = District(*a_juy_board())
    for minute in range(1, 11):
        d.now_s += 60
        powers(d, 600, minute / 100, 60 * minute)
    end = juy.end(1, 7, 660, 0.11, 10, "full", 600, 0, ())
    d.now_s += 60
    frame(d, 0x85, end)
    effects = d.commit()
    assert {device for device, _ in effects.again} == {"shed-p01"}
    session = one(d)
    assert session.started_at_ms == d.at_ms(0)
    assert (session.measured, reconciled(session).why) == (None, "awaited")


def test_a_history_is_never_worked_out_again() -> None:
    d = District(*a_shed(), stream="history")
    d.now_s = 3600
    d.ends("shed", 1, "7", session_energy_kwh=0.6, session_s=3600)
    assert not d.commit().again
    assert reconciled(one(d)).why == "not_measured"


def test_a_register_that_jumps_is_no_figure_and_a_fault_of_its_shed() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    for kwh in (0.01, 0.02, 7.02, 7.03, 7.04):
        d.now_s += 60
        d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": kwh}})
    figures = d.figures("shed-p01")[0]
    assert figures["energy_kwh"] == pytest.approx(0.04)
    assert figures["excluded_kwh"] == pytest.approx(7.0)
    (left_out,) = d.store.rows.exclusions.values()
    assert (left_out.before_kwh, left_out.after_kwh, left_out.why) == (0.02, 7.02, "jump_forwards")
    assert (left_out.from_ms, left_out.at_ms) == (d.at_ms(120), d.at_ms(180))
    fault = d.fault("shed", "SHED_METER_JUMP")
    assert fault is not None
    assert fault.evidence == {
        "quantity": "session_energy_kwh",
        "before_kwh": 0.02,
        "after_kwh": 7.02,
        "for_s": 60,
        "excluded_kwh": 7.0,
        "why": "jump_forwards",
        "port": "shed-p01",
    }


def test_a_register_that_went_on_while_its_shed_was_away_has_not_jumped() -> None:
    """What came late says how it reads a minute ago; what is accounted was read before the gap."""
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    d.now_s = 60
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.01}})
    d.passes(2 * 3600)
    d.birth("shed")
    d.replays(
        "shed",
        [
            (at_s, {"values": {}, "ports": {"1": {"session_energy_kwh": at_s / 10_000}}})
            for at_s in range(120, 7200, 60)
        ],
    )
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.72}})
    assert d.fault("shed", "SHED_METER_JUMP") is None
    assert not d.store.rows.exclusions
    d.restart()
    d.now_s += 60
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 7.72}})
    (left_out,) = d.commit().exclusions
    assert left_out.excluded_kwh == pytest.approx(7.0)


def test_a_socket_that_shows_its_last_order_a_little_lower_excludes_nothing() -> None:
    """The board rounds what it shows, and not what it reports."""
    d = District(*a_shed())
    charge(d)
    for _ in range(3):
        d.now_s += 60
        d.says("shed", ports={"1": {"port_status": "idle", "session_energy_kwh": 0.59}})
    assert sum(energy(d).values()) == pytest.approx(0.6)
    assert not d.store.rows.exclusions
    assert d.all_faults() == []


def test_a_lamps_meter_that_jumps_is_left_out_and_one_that_is_full_goes_on() -> None:
    lamp = a_device("lamp", "lamp", attributes={"nominal_power_w": 36})
    d = District(lamp)
    for kwh in (99_999.95, 99_999.97, 0.01, 0.03, 500.0, 500.02):
        d.says("lamp", {"energy_kwh": kwh})
        d.now_s += 900
    figures = d.figures("lamp")
    assert sum(f["energy_kwh"] for f in figures.values()) == pytest.approx(0.02 + 0.04 + 0.04)
    assert sum(f.get("excluded_kwh", 0) for f in figures.values()) == pytest.approx(499.97)
    assert d.all_faults() == [], "no rule has it: it is shown with the usage"


def test_the_shed_of_a_late_start_is_asked_for_its_readings_again() -> None:
    """The start is told after the end: what the session drew lies between both."""
    d = District(*a_shed())
    d.now_s = 600
    d.ends("shed", 1, "7", session_energy_kwh=0.3)
    before = one(d)
    assert before.started_at_ms is None
    d.starts("shed", 1, "7", at_s=60)
    effects = d.commit()
    assert effects.again
    assert one(d) == replace(before, started_at_ms=d.at_ms(60), duration_s=540, measured=None)
