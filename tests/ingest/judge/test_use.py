"""From messages to usage and sessions. START is 21:10; figures are by hours since 21:00."""

from dataclasses import replace
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.days import midnight_of
from devices.registry import Device
from devices.sessions import EndedBy, Session, SessionState
from devices.usage import HOUR_MS, hour_of, open_from_ms
from ingest.judge.use import GUESSED_KEPT
from tests.ingest.judge.district import START_MS, District, a_device, a_gate, a_lamp, a_shed

HOUR_S = 3600
TO_22_S = 50 * 60  # from START to the next hour


def sessions(d: District) -> list[Session]:
    d.commit()
    return sorted(d.store.rows.sessions.values(), key=lambda session: session.order)


def total(d: District, device: str) -> dict[str, Any]:
    """All hours of a device together."""
    sums: dict[str, Any] = {}
    for figures in d.figures(device).values():
        for name, amount in figures.items():
            if isinstance(amount, dict):
                parts = sums.setdefault(name, {})
                for of, part in amount.items():
                    parts[of] = parts.get(of, 0) + part
                sums[name] = {of: part for of, part in parts.items() if part}
            else:
                sums[name] = sums.get(name, 0) + amount
    return {name: amount for name, amount in sums.items() if amount}


# Gates


def test_passages_are_counted_by_the_hour_in_which_they_were() -> None:
    d = District(a_gate())
    passages: list[tuple[int, dict[str, Any]]] = [
        (0, {"result": "granted", "method": "face", "direction": "in"}),
        (TO_22_S - 1, {"result": "granted", "method": "card", "direction": "out"}),
        (TO_22_S, {"result": "granted", "method": "remote", "direction": "in"}),
        (TO_22_S + 1, {"result": "denied", "method": "face", "deny_reason": "expired"}),
        (TO_22_S + 2, {"result": "denied", "method": "qr"}),
        (TO_22_S + 3, {"result": "granted"}),
    ]
    for at_s, fields in passages:
        d.now_s = at_s
        d.event("gate", "access", **fields)
    assert d.figures("gate") == {
        0: {"granted": 2, "by_method": {"face": 1, "card": 1}, "by_direction": {"in": 1, "out": 1}},
        1: {
            "granted": 2,
            "denied": 2,
            "remote": 1,
            "by_method": {"remote": 1, "unknown": 1},
            "by_direction": {"in": 1, "unknown": 1},
            "deny_reasons": {"expired": 1, "other": 1},
        },
    }


def test_a_passage_is_on_the_desk_with_the_next_commit_and_a_heartbeat_within_a_minute() -> None:
    d = District(a_gate())
    d.event("gate", "access", result="granted")
    (row,) = d.commit().hours
    assert row.figures["granted"] == 1
    d.now_s = 30
    d.says("gate", {"csq": 20})
    assert d.commit().hours == []
    d.now_s = 60
    d.says("gate", {"csq": 20})
    assert [row.received for row in d.commit().hours] == [2]


def test_what_a_device_did_last_is_shown_when_it_falls_silent() -> None:
    d = District(a_gate(), *a_shed())
    d.says("gate", {"csq": 20})
    d.commit()
    d.now_s = 10
    d.says("gate", {"csq": 20})
    d.commit()
    assert list(d.store.rows.received.values()) == [1]
    d.passes(90)
    d.commit()
    assert list(d.store.rows.received.values()) == [2]


def test_late_passages_go_to_their_own_hour_however_old() -> None:
    d = District(a_gate())
    d.event("gate", "access", result="granted")
    d.now_s = 5 * HOUR_S
    d.event("gate", "access", result="granted")
    d.figures("gate")
    for at_s in (0, 10, -30 * HOUR_S, 4 * HOUR_S):
        d.event("gate", "access", at_s=at_s, result="granted", method="face")
    passages = {hour: figures["granted"] for hour, figures in d.figures("gate").items()}
    assert passages == {-30: 1, 0: 3, 4: 1, 5: 1}


def test_coverage_counts_reports_by_their_own_hour_late_ones_too() -> None:
    d = District(a_gate())
    for n in range(20):
        d.now_s = 30 * n
        d.says("gate", {"csq": 20})
    d.now_s = 6 * HOUR_S
    d.says("gate", {"csq": 20})
    d.reports("gate")
    d.replays("gate", [(600 + 30 * n, {"csq": 20}) for n in range(10)])
    assert d.reports("gate") == {0: 30, 6: 1}


def test_a_board_without_clock_and_numbers_is_covered_by_what_it_sends_in_time() -> None:
    d = District(*a_shed())
    for n in range(10):
        d.now_s = 60 * n
        for _ in range(3):  # the broker sends each again
            d.now_s += 1
            d.says("shed", {"csq": 20}, ts=None, seq=None, boot=None)
    assert d.reports("shed") == {0: 10}


def test_hours_that_are_over_leave_the_memory() -> None:
    d = District(a_gate())
    for n in range(30):
        d.now_s = n * HOUR_S / 2
        d.says("gate", {"csq": 20})
        d.commit()
    assert len(d.judge.memories["gate"].hours) <= 3
    assert sum(d.reports("gate").values()) == 30


# Ports


def charges(d: District, *, order: str = "1", until_s: float, power_w: float = 600) -> None:
    """Socket 1 charges from now on: a report a minute, and the end."""
    begun_s = d.now_s
    d.starts("shed", 1, order)
    while d.now_s + 60 <= until_s:
        d.now_s += 60
        energy = power_w / 1000 * (d.now_s - begun_s) / 3600
        d.says(
            "shed",
            ports={"1": {"port_status": "in_use", "power_w": power_w,
                         "session_energy_kwh": round(energy, 5)}},
        )  # fmt: skip
    d.now_s = until_s
    d.ends("shed", 1, order, session_energy_kwh=power_w / 1000 * (until_s - begun_s) / 3600,
           session_s=int(until_s - begun_s), session_fee_fen=60)  # fmt: skip


def test_a_charge_over_the_hour_is_shared_by_time_and_counts_where_it_ended() -> None:
    """600 W from 21:30 to 22:10: 0.4 kWh, of which 0.3 before ten."""
    d = District(*a_shed())
    d.now_s = 20 * 60
    d.says("shed", ports={"1": {"port_status": "idle"}})
    charges(d, until_s=60 * 60)
    figures = d.figures("shed-p01")
    assert figures[0] == {
        "in_use_s": pytest.approx(29 * 60),  # known from the first report that said so
        "energy_kwh": pytest.approx(0.3),
    }
    assert figures[1] == {
        "in_use_s": pytest.approx(10 * 60),
        "energy_kwh": pytest.approx(0.1),
        "stop_reasons": {"full": 1},
        "sessions": 1,
        "session_s": 2400,
        "fee_fen": 60,
    }
    (session,) = sessions(d)
    assert (session.started_at_ms, session.ended_at_ms) == (d.at_ms(20 * 60), d.at_ms(60 * 60))
    assert (session.port, session.duration_s, session.fee_fen) == ("shed-p01", 2400, 60)


def test_energy_between_the_last_reading_and_the_end_is_counted_once() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "1")
    d.now_s = 600
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.25}})
    d.now_s = 900
    d.ends("shed", 1, "1", session_energy_kwh=0.4)
    assert total(d, "shed-p01")["energy_kwh"] == pytest.approx(0.4)
    assert d.figures("shed-p01")[0]["energy_kwh"] == pytest.approx(0.4)


def test_an_end_without_any_reading_shares_out_the_whole_session() -> None:
    """Two hours, 0.6 kWh, told at 22:10: from 20:10."""
    d = District(*a_shed())
    d.now_s = 60 * 60
    d.ends("shed", 1, "1", session_energy_kwh=0.6, session_s=2 * HOUR_S)
    energy = {hour: f["energy_kwh"] for hour, f in d.figures("shed-p01").items()}
    assert energy == {
        -1: pytest.approx(0.25),
        0: pytest.approx(0.3),
        1: pytest.approx(0.05),
    }
    (session,) = sessions(d)
    assert session.started_at_ms == START_MS - HOUR_S * 1000


def test_readings_before_we_knew_the_session_are_not_counted_twice_by_its_end() -> None:
    d = District(*a_shed())
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.5}})
    d.now_s = 600
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.8}})
    d.now_s = 1200
    d.ends("shed", 1, "1", session_energy_kwh=0.9, session_s=3 * HOUR_S)
    assert total(d, "shed-p01")["energy_kwh"] == pytest.approx(0.9)


def test_a_register_that_is_shown_until_the_next_order_is_not_counted_again() -> None:
    d = District(*a_shed())
    for order in ("1", "2"):
        charges(d, order=order, until_s=d.now_s + 600)
        for _ in range(3):
            d.now_s += 60
            d.says("shed", ports={"1": {"port_status": "idle", "session_energy_kwh": 0.1}})
    assert total(d, "shed-p01")["energy_kwh"] == pytest.approx(0.2)
    assert total(d, "shed-p01")["sessions"] == 2


def test_a_board_that_restarts_within_an_order_gives_no_negative_energy() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "1")
    for energy in (0.1, 0.2, 0.0, 0.1):
        d.now_s += 60
        d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": energy}})
    assert total(d, "shed-p01")["energy_kwh"] == pytest.approx(0.3)
    d.ends("shed", 1, "1", session_energy_kwh=0.3)
    assert total(d, "shed-p01")["energy_kwh"] == pytest.approx(0.3)


def test_nothing_is_known_of_a_port_that_was_silent_for_more_than_three_intervals() -> None:
    d = District(*a_shed())
    d.says("shed", ports={"1": {"port_status": "in_use"}})
    d.now_s = 180
    d.says("shed", ports={"1": {"port_status": "in_use"}})
    d.now_s = 180 + 181
    d.says("shed", ports={"1": {"port_status": "in_use"}})
    assert d.figures("shed-p01") == {0: {"in_use_s": 180}}


def test_energy_of_a_silence_is_spread_over_it() -> None:
    """Offline from 21:10 to 23:10; the register has grown by 1.2 kWh meanwhile."""
    d = District(*a_shed())
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.1}})
    d.now_s = 2 * HOUR_S
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 1.3}})
    energy = {hour: f["energy_kwh"] for hour, f in d.figures("shed-p01").items()}
    assert energy == {0: pytest.approx(0.5), 1: pytest.approx(0.6), 2: pytest.approx(0.1)}


def test_a_broken_socket_is_not_available() -> None:
    d = District(*a_shed())
    for status in ("output_fault", "output_fault", "idle", "idle"):
        d.says("shed", ports={"1": {"port_status": status}})
        d.now_s += 60
    assert d.figures("shed-p01") == {0: {"unavailable_s": 120}}


def test_a_plug_without_a_charge_is_a_stop_and_no_session() -> None:
    d = District(*a_shed())
    d.ends("shed", 1, "1", "no_load_at_start", session_energy_kwh=0, session_s=10)
    assert total(d, "shed-p01") == {"stop_reasons": {"no_load_at_start": 1}}


# Coverage


def test_a_gates_reports_of_a_change_are_told_from_its_heartbeats_in_any_order() -> None:
    """Two are late: one of an hour that is still in memory, one of an hour that is not."""
    d = District(a_gate())
    for n in range(4):
        d.now_s = 30 * n
        d.says("gate", {"rssi_dbm": -60, "door_state": "closed"})
    d.says("gate", {"door_state": "open"}, at_s=40)  # the door is looked at from now on
    d.now_s = 100
    d.says("gate", {"door_state": "closed"})
    assert (d.reports("gate"), d.changes("gate")) == ({0: 6}, {0: 2})
    d.now_s = 5 * HOUR_S
    d.says("gate", {"uptime_s": 18_000})
    d.says("gate", {"door_state": "open"}, at_s=110)
    d.says("gate", {"rssi_dbm": -61}, at_s=120)
    assert d.reports("gate") == {0: 8, 5: 1}
    assert d.changes("gate") == {0: 3}


def test_reports_of_lamps_and_sockets_are_not_told_apart() -> None:
    d = District(a_lamp(), *a_shed())
    d.says("lamp", {"switch_state": "on"})
    d.says("shed", ports={"1": {"port_status": "idle"}})
    assert (d.changes("lamp"), d.changes("shed-p01")) == ({}, {})


# Sessions


def test_a_start_without_an_end_stays_open_until_the_next_start() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "1")
    d.now_s = 600
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.1}})
    d.passes(3 * HOUR_S)
    assert [session.state for session in sessions(d)] == [SessionState.OPEN]
    d.starts("shed", 1, "2")
    old, new = sessions(d)
    assert (old.state, old.ended_by, old.provisional) == (SessionState.CLOSED, EndedBy.PLATFORM,
                                                          True)  # fmt: skip
    assert (old.ended_at_ms, old.energy_kwh) == (d.at_ms(600), 0.1)  # its last evidence
    assert new.state is SessionState.OPEN
    assert total(d, "shed-p01") == {
        "energy_kwh": pytest.approx(0.1),
        "inferred_stops": {"unknown": 1},
        "inferred_sessions": 1,
        "inferred_session_s": 600,
    }


def test_its_own_end_replaces_what_was_inferred_and_nothing_counts_twice() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "1")
    d.now_s = 600
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.1}})
    d.now_s = 1200
    d.starts("shed", 1, "2")
    d.restart()
    d.ends("shed", 1, "1", at_s=900, session_energy_kwh=0.15, session_s=900, session_fee_fen=30)
    first, second = sessions(d)
    assert (first.ended_by, first.provisional, first.energy_kwh) == (EndedBy.DEVICE, False, 0.15)
    assert (first.started_at_ms, first.ended_at_ms) == (START_MS, d.at_ms(900))
    assert second.state is SessionState.OPEN
    assert total(d, "shed-p01") == {
        "energy_kwh": pytest.approx(0.15),
        "fee_fen": 30,
        "stop_reasons": {"full": 1},
        "sessions": 1,
        "session_s": 900,
    }


@pytest.mark.parametrize("restarts", [False, True])
def test_its_own_end_replaces_what_was_inferred_also_when_the_next_session_has_ended_before(
    restarts: bool,
) -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "1")
    d.now_s = 600
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.1}})
    d.now_s = 1200
    d.starts("shed", 1, "2")
    d.now_s = 1800
    d.ends("shed", 1, "2", session_energy_kwh=0.2, session_s=600)
    if restarts:
        d.restart()
    d.ends("shed", 1, "1", at_s=900, session_energy_kwh=0.15, session_s=900)
    first, second = sessions(d)
    assert (first.ended_by, first.provisional, first.energy_kwh) == (EndedBy.DEVICE, False, 0.15)
    assert (second.ended_at_ms, second.energy_kwh) == (d.at_ms(1800), 0.2)
    expected = {
        "energy_kwh": pytest.approx(0.35),
        "stop_reasons": {"full": 2},
        "sessions": 2,
        "session_s": 1500,
    }
    assert total(d, "shed-p01") == expected
    d.ends("shed", 1, "1", at_s=900, session_energy_kwh=0.15, session_s=900)
    d.ends("shed", 1, "2", at_s=1800, session_energy_kwh=0.2, session_s=600)
    assert total(d, "shed-p01") == expected


def test_ends_that_never_come_are_not_awaited_without_limit() -> None:
    d = District(*a_shed())
    for n in range(50):
        d.starts("shed", 1, str(n))
        d.now_s += 60
    assert len(d.judge.memories["shed-p01"].guessed) == GUESSED_KEPT


def test_a_session_that_ended_while_the_shed_was_away_is_closed_by_the_replay() -> None:
    """The 4G dropped in mid-charge; the buffer comes with old times."""
    d = District(*a_shed())
    d.starts("shed", 1, "1")
    d.now_s = 600
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.1}})
    d.passes(3 * HOUR_S)
    d.says("shed", ports={"1": {"port_status": "idle"}})
    d.replays("shed", [(1800, {"event": "session_end", "port_no": 1, "order": "1",
                               "stop_reason": "full", "session_energy_kwh": 0.3,
                               "session_s": 1800})])  # fmt: skip
    (session,) = sessions(d)
    assert (session.state, session.ended_at_ms) == (SessionState.CLOSED, d.at_ms(1800))
    assert d.judge.memories["shed-p01"].session is None
    d.restart()
    d.now_s += 60
    d.starts("shed", 1, "2")
    assert [s.provisional for s in sessions(d)] == [False, False]
    assert d.figures("shed-p01")[0]["sessions"] == 1  # in the hour in which it ended
    assert total(d, "shed-p01")["energy_kwh"] == pytest.approx(0.3)
    assert total(d, "shed-p01")["sessions"] == 1


def test_a_session_that_began_while_the_shed_was_away_is_running() -> None:
    d = District(*a_shed())
    d.says("shed", ports={"1": {"port_status": "idle"}})
    d.passes(HOUR_S)
    d.replays("shed", [(1800, {"event": "session_start", "port_no": 1, "order": "1"})])
    (session,) = sessions(d)
    assert (session.state, session.started_at_ms) == (SessionState.OPEN, d.at_ms(1800))
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.2}})
    d.now_s += 600
    d.ends("shed", 1, "1", session_energy_kwh=0.3)
    (session,) = sessions(d)
    assert session.duration_s == HOUR_S + 600 - 1800
    assert total(d, "shed-p01")["energy_kwh"] == pytest.approx(0.3)


@pytest.mark.parametrize("reports_first", [True, False])
def test_a_start_that_is_told_after_its_end_says_when_it_was(reports_first: bool) -> None:
    d = District(*a_shed())
    if reports_first:
        d.says("shed", ports={"1": {"port_status": "in_use"}})
    d.now_s = 1200
    d.ends("shed", 1, "1", session_energy_kwh=0.3)
    (session,) = sessions(d)
    assert session.started_at_ms is None
    d.restart()
    d.now_s = 1210
    d.starts("shed", 1, "1", at_s=300)
    (session,) = sessions(d)
    assert (session.started_at_ms, session.duration_s) == (d.at_ms(300), 900)
    assert (session.state, session.energy_kwh) == (SessionState.CLOSED, 0.3)
    assert total(d, "shed-p01")["session_s"] == 900
    assert total(d, "shed-p01")["sessions"] == 1


def test_a_late_start_of_a_session_that_ended_long_ago_changes_nothing() -> None:
    d = District(*a_shed())
    for order in ("1", "2", "3"):
        d.now_s += 600
        d.ends("shed", 1, order, session_energy_kwh=0.3, session_s=300)
    before = sessions(d)
    d.starts("shed", 1, "1", at_s=300)
    assert sessions(d) == before


def test_a_late_start_without_an_end_is_not_taken_for_the_one_that_runs() -> None:
    d = District(*a_shed())
    d.now_s = 600
    d.starts("shed", 1, "2")
    d.starts("shed", 1, "1", at_s=300)
    first, second = sessions(d)
    assert (first.state, first.provisional) == (SessionState.CLOSED, True)
    assert second.state is SessionState.OPEN
    d.ends("shed", 1, "1", at_s=500, session_energy_kwh=0.1)
    first, second = sessions(d)
    assert (first.provisional, first.energy_kwh) == (False, 0.1)
    assert second.state is SessionState.OPEN


def test_two_sockets_do_not_share_a_session() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "1")
    d.starts("shed", 2, "2")
    d.ends("shed", 1, "1", session_energy_kwh=0.2)
    first, second = sessions(d)
    assert (first.port, first.state) == ("shed-p01", SessionState.CLOSED)
    assert (second.port, second.state) == ("shed-p02", SessionState.OPEN)


def passes(d: District, who: str, at_s: float | None = None, **more: Any) -> None:
    fields = {"result": "granted", "credential_hash": who, **more}
    d.event("gate", "access", at_s=at_s, **fields)


def people(d: District) -> dict[int, int]:
    """How many different ones passed, by local days since today."""
    d.commit()
    midnight = midnight_of(START_MS, ZoneInfo("Asia/Shanghai"))
    return {
        (day - midnight) // (24 * HOUR_MS): len(hashes)
        for (_, day), hashes in d.store.rows.credentials.items()
    }


def test_whoever_passes_counts_once_a_day_however_often_and_at_whichever_gate() -> None:
    d = District(a_gate(), a_gate("gate-2"))
    for who in ("a", "b", "a", "a", "c"):
        d.now_s += 10
        passes(d, who)
        d.commit()
    d.now_s += 10
    d.event("gate-2", "access", result="granted", credential_hash="a")
    passes(d, "d", result="denied", deny_reason="expired")
    d.event("gate", "access", result="granted", method="button")
    assert people(d) == {0: 3}


def test_who_passed_after_midnight_passed_on_the_next_day() -> None:
    d = District(a_gate())
    passes(d, "a")
    d.now_s += 3 * HOUR_S  # 00:10
    passes(d, "a")
    passes(d, "b")
    assert people(d) == {0: 1, 1: 2}


@pytest.mark.parametrize("seed", range(8))
def test_people_are_as_many_in_any_order_with_any_repetition_and_across_restarts(
    seed: int,
) -> None:
    rng = Random(seed)
    tries = [(rng.randrange(-6, 6) * HOUR_S, rng.choice("abcdefgh")) for _ in range(40)]
    expected: dict[int, set[str]] = {}
    for at_s, who in tries:
        expected.setdefault(0 if at_s < 2.8 * HOUR_S else 1, set()).add(who)
    d = District(a_gate())
    d.now_s = 6 * HOUR_S
    d.probe()
    sent = [*tries, *rng.sample(tries, 10)]
    rng.shuffle(sent)
    for n, (at_s, who) in enumerate(sent):
        passes(d, who, at_s, event_id=f"{at_s}-{who}")
        if rng.random() < 0.2:
            d.commit()
        if n == 20:
            d.commit()
            d.restart()
    assert people(d) == {day: len(found) for day, found in expected.items()}


def test_who_passed_on_a_day_that_is_final_is_not_counted_afterwards() -> None:
    d = District(a_gate())
    passes(d, "a")
    d.now_s = 4 * 24 * HOUR_S
    d.probe()
    passes(d, "a")
    passes(d, "b", 60)  # four days late
    assert people(d) == {0: 1, 4: 1}


def door(d: District, seconds: float, every_s: float = 25, **values: Any) -> None:
    """The gate says the same for so long."""
    end_s = d.now_s + seconds
    while d.now_s < end_s:
        d.says("gate", values)
        d.now_s += every_s


def held_open_s(d: District) -> dict[int, float]:
    return {hour: f["held_open_s"] for hour, f in d.figures("gate").items() if "held_open_s" in f}


@pytest.mark.parametrize(("form", "limit_s"), [("pedestrian", 60), ("barrier", 180)])
def test_a_gate_is_held_open_from_its_limit_on(form: str, limit_s: int) -> None:
    """Open from five minutes before the full hour to ten minutes after it."""
    d = District(a_gate(form=form))
    d.now_s = TO_22_S - 600
    door(d, 300, door_state="closed")
    door(d, 900, door_state="open")
    door(d, 300, door_state="closed")
    assert held_open_s(d) == {0: pytest.approx(300 - limit_s), 1: pytest.approx(600)}


def test_a_door_that_is_closed_in_time_is_not_held_open() -> None:
    d = District(a_gate())
    for _ in range(5):
        door(d, 50, door_state="open")
        door(d, 50, door_state="closed")
    assert held_open_s(d) == {}


def test_a_gate_whose_mode_is_to_be_open_is_not_held_open() -> None:
    d = District(a_gate())
    door(d, 300, door_state="open", door_mode="normally_open")
    door(d, 200, door_state="open", door_mode="normal")  # and from here on it has its limit
    door(d, 25, door_state="closed")
    assert sum(held_open_s(d).values()) == pytest.approx(200 - 60)


def test_a_mode_that_an_event_tells_of_counts_from_the_event_on() -> None:
    d = District(a_gate())
    door(d, 100, door_state="open")
    d.event("gate", "normally_open", active=True)
    d.now_s += 10
    door(d, 300, door_state="open")
    d.event("gate", "normally_open", active=False)
    d.now_s += 10
    door(d, 100, door_state="open")
    door(d, 25, door_state="closed")
    assert sum(held_open_s(d).values()) == pytest.approx(40 + 50)


def test_a_door_that_was_not_heard_for_long_is_not_known_to_be_open() -> None:
    d = District(a_gate())
    door(d, 100, door_state="open")
    d.now_s += 3600
    door(d, 100, door_state="open")
    door(d, 25, door_state="closed")
    assert sum(held_open_s(d).values()) == pytest.approx(75 - 60 + 100)


def test_a_gate_without_a_contact_is_held_open_while_it_says_so() -> None:
    d = District(a_gate())
    door(d, 200, door_alarm="open_too_long")
    door(d, 25, door_alarm="normal")
    assert sum(held_open_s(d).values()) == pytest.approx(200)


def test_a_latched_alarm_of_a_closed_door_holds_nothing_open() -> None:
    d = District(a_gate())
    door(d, 200, door_state="closed", door_alarm="open_too_long")
    assert held_open_s(d) == {}


def test_a_gate_is_held_open_also_across_a_restart_of_the_judge() -> None:
    d = District(a_gate())
    door(d, 100, door_state="open")
    d.commit()
    d.restart()
    door(d, 100, door_state="open")
    door(d, 25, door_state="closed")
    assert sum(held_open_s(d).values()) == pytest.approx(200 - 60)


# Sockets that are full


def reads(d: District, minutes: int, **values: Any) -> None:
    for _ in range(minutes):
        d.says("shed", ports={"1": values})
        d.now_s += 60


def test_a_battery_is_full_while_it_only_floats_and_until_it_is_removed() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    reads(d, 30, port_status="in_use", power_w=150, session_energy_kwh=0.4)
    reads(d, 20, port_status="in_use", power_w=9, session_energy_kwh=0.4)
    d.ends("shed", 1, "7", stop_reason="full", session_energy_kwh=0.4)
    reads(d, 10, port_status="full", power_w=0)
    reads(d, 10, port_status="idle", power_w=0)
    sums = total(d, "shed-p01")
    assert sums["full_s"] == pytest.approx(30 * 60)
    assert sums["in_use_s"] == pytest.approx(50 * 60)


def test_a_socket_that_never_drew_is_not_full() -> None:
    d = District(*a_shed())
    d.starts("shed", 1, "7")
    reads(d, 10, port_status="in_use", power_w=3, session_energy_kwh=0.0)
    assert "full_s" not in total(d, "shed-p01")


def test_the_float_power_is_that_of_the_socket_or_its_shed() -> None:
    shed, *ports = a_shed()
    d = District(replace(shed, attributes={**shed.attributes, "float_power_w": 40}), *ports)
    d.starts("shed", 1, "7")
    reads(d, 10, port_status="in_use", power_w=150, session_energy_kwh=0.4)
    reads(d, 11, port_status="in_use", power_w=30, session_energy_kwh=0.4)
    assert total(d, "shed-p01")["full_s"] == pytest.approx(10 * 60)


# Lamps


def a_circuit(**more: Any) -> Device:
    attributes = {"lamp_count": 8, "nominal_power_w": 9, "granularity": "circuit"}
    return a_device("lamp", "lamp", attributes=attributes, **more)


def burns(d: District, hours: float, **values: Any) -> None:
    """The lamp says the same every quarter of an hour."""
    for _ in range(round(4 * hours)):
        d.says("lamp", values)
        d.now_s += 900


def test_a_circuit_tells_by_its_power_how_many_lamps_burn() -> None:
    """21:10 to 23:10 with 7 of 8 lamps: 50 min, an hour, 10 min."""
    d = District(a_circuit())
    burns(d, 2.25, switch_state="on", power_w=63)
    assert {hour: f["burn_s"] for hour, f in d.figures("lamp").items()} == {
        0: pytest.approx(7 * 3000),
        1: pytest.approx(7 * 3600),
        2: pytest.approx(7 * 600),
    }
    sums = total(d, "lamp")
    assert sums["lit_s"] == pytest.approx(7 * 7200)
    assert sums["dark_s"] == pytest.approx(7200)


def test_a_dimmed_circuit_is_measured_against_what_it_should_draw() -> None:
    d = District(a_circuit())
    burns(d, 1.25, switch_state="on", power_w=36, dim_level_pct=50)
    assert total(d, "lamp")["lit_s"] == pytest.approx(8 * 3600)


def test_a_lamp_that_is_off_at_night_is_dark() -> None:
    d = District(a_circuit())
    burns(d, 1.25, switch_state="off", power_w=0)
    assert total(d, "lamp") == {"dark_s": pytest.approx(8 * 3600)}


def test_a_lamp_that_burns_by_day_has_burn_time() -> None:
    d = District(a_circuit())
    d.now_s = 15 * HOUR_S
    burns(d, 1.25, switch_state="off", power_w=0)
    burns(d, 1.25, switch_state="on", power_w=72)
    sums = total(d, "lamp")
    assert sums["burn_s"] == pytest.approx(8 * 3600)
    assert sums["day_burn_s"] == pytest.approx(8 * 3600)
    assert sums["day_burn_kwh"] == pytest.approx(0.072)
    assert "dark_s" not in sums


def test_a_lamp_whose_clock_is_ten_minutes_off_wastes_nothing() -> None:
    """Lit from dusk until 10 minutes after dawn: civil dawn is at 06:41 on that day."""
    d = District(a_circuit())
    d.now_s = 8 * HOUR_S + 50 * 60  # 06:00
    burns(d, 0.75, switch_state="on", power_w=72)
    d.says("lamp", {"switch_state": "off", "power_w": 0})  # 06:45
    assert "day_burn_s" not in total(d, "lamp")
    d.now_s += 900
    burns(d, 0.5, switch_state="on", power_w=72)  # from 07:00 on
    assert total(d, "lamp")["day_burn_s"] == pytest.approx(8 * 900)


def test_a_lamp_that_burns_at_night_wastes_nothing() -> None:
    d = District(a_circuit())
    burns(d, 1.25, switch_state="on", power_w=72)
    assert "day_burn_s" not in total(d, "lamp")


def test_energy_is_held_against_what_the_lit_lamps_should_draw_at_their_dim_level() -> None:
    """Half the circuit at half its power for an hour: 4 lamps of 9 W, 50 %."""
    d = District(a_circuit())
    energy_kwh = 10.0
    for _ in range(5):
        values = {"switch_state": "on", "power_w": 18, "dim_level_pct": 50}
        d.says("lamp", {**values, "energy_kwh": energy_kwh})
        d.now_s += 900
        energy_kwh += 0.006
    sums = total(d, "lamp")
    assert sums["nominal_kwh"] == pytest.approx(0.018)
    assert sums["energy_kwh"] == pytest.approx(0.024)
    assert "unmatched_kwh" not in sums


def test_energy_of_a_time_of_which_nothing_is_known_is_held_against_nothing() -> None:
    d = District(a_circuit())
    d.says("lamp", {"switch_state": "on", "power_w": 72, "energy_kwh": 10.0})
    d.now_s += 2 * HOUR_S
    d.says("lamp", {"switch_state": "on", "power_w": 72, "energy_kwh": 10.2})
    sums = total(d, "lamp")
    assert sums["unmatched_kwh"] == pytest.approx(sums["energy_kwh"]) == pytest.approx(0.2)


def test_energy_of_a_lamp_without_a_nominal_power_is_held_against_nothing() -> None:
    d = District(a_lamp())
    for n in range(3):
        d.says("lamp", {"switch_state": "on", "power_w": 40, "energy_kwh": 10.0 + n / 100})
        d.now_s += 900
    sums = total(d, "lamp")
    assert sums["unmatched_kwh"] == pytest.approx(sums["energy_kwh"]) == pytest.approx(0.02)
    assert "nominal_kwh" not in sums


def test_a_lamp_of_which_nothing_is_known_is_unknown_and_not_dark() -> None:
    d = District(a_lamp())
    burns(d, 1.25, voltage_v=225)
    assert total(d, "lamp") == {"unknown_s": pytest.approx(3600)}


def test_a_night_of_silence_is_unknown_and_the_day_is_not() -> None:
    """Silent from 21:10 to 21:10 two days later: two nights of 13 hours and a half."""
    d = District(a_circuit())
    d.says("lamp", {"switch_state": "on", "power_w": 72})
    d.now_s = 48 * HOUR_S
    d.says("lamp", {"switch_state": "on", "power_w": 72})
    unknown_h = total(d, "lamp")["unknown_s"] / 3600 / 8
    assert 2 * 12.9 < unknown_h < 2 * 13.8


def test_a_lamp_that_stays_silent_is_unknown_hour_by_hour() -> None:
    d = District(a_circuit())
    d.says("lamp", {"switch_state": "on", "power_w": 72})
    d.passes(3 * HOUR_S - 600)  # until midnight
    d.commit()
    unknown = {hour: f["unknown_s"] for hour, f in d.figures("lamp").items()}
    assert unknown == {
        0: pytest.approx(8 * 3000),
        1: pytest.approx(8 * 3600),
        2: pytest.approx(8 * 3600),
    }
    d.passes(1800)
    d.says("lamp", {"switch_state": "on", "power_w": 72})
    d.now_s += 900
    d.says("lamp", {"switch_state": "on", "power_w": 72})
    assert d.figures("lamp")[3] == {
        "unknown_s": pytest.approx(8 * 1800),  # not lit, as it had said three hours ago
        "burn_s": pytest.approx(8 * 900),
        "lit_s": pytest.approx(8 * 900),
        "nominal_kwh": pytest.approx(0.018),
    }


def test_a_lamp_that_comes_back_by_day_was_unknown_at_night() -> None:
    d = District(a_circuit())
    d.says("lamp", {"switch_state": "on", "power_w": 72})
    d.now_s = 15 * HOUR_S
    d.says("lamp", {"switch_state": "off", "power_w": 0})
    unknown_h = total(d, "lamp")["unknown_s"] / 3600 / 8
    assert 9.2 < unknown_h < 9.8  # until dawn


def test_a_lamp_that_was_away_for_a_year_writes_no_day_whose_figures_are_final() -> None:
    d = District(a_circuit())
    d.says("lamp", {"energy_kwh": 10, "power_w": 72})
    d.now_s = 365 * 24 * HOUR_S
    d.says("lamp", {"energy_kwh": 100, "power_w": 72})
    first = hour_of(START_MS)
    hours = {first + n * HOUR_MS for n in d.figures("lamp")} - {first}
    assert min(hours) >= open_from_ms(8 * HOUR_MS, d.now_ms)
    assert len(hours) <= 3 * 24 + 1
    assert total(d, "lamp")["energy_kwh"] == pytest.approx(90)  # all the same


def test_lamp_energy_of_a_silence_is_spread_over_it() -> None:
    """Offline from 21:10 to 00:10; 0.3 kWh meanwhile, 0.1 an hour."""
    d = District(a_circuit())
    d.says("lamp", {"energy_kwh": 10.0})
    d.passes(3 * HOUR_S)
    d.says("lamp", {"energy_kwh": 10.3})
    energy = {hour: f["energy_kwh"] for hour, f in d.figures("lamp").items()}
    assert energy == {
        0: pytest.approx(0.1 * 50 / 60),
        1: pytest.approx(0.1),
        2: pytest.approx(0.1),
        3: pytest.approx(0.1 * 10 / 60),
    }


def test_lamp_energy_comes_from_the_meter_and_a_reset_is_no_loss() -> None:
    d = District(a_circuit())
    for energy in (812.4, 812.5, 812.6, 0.1, 0.2):
        d.says("lamp", {"energy_kwh": energy})
        d.now_s += 900
    assert total(d, "lamp")["energy_kwh"] == pytest.approx(0.4)
