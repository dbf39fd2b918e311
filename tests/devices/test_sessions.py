"""Charging sessions: what is known of one from its start, its end, or neither."""

from typing import Any

import pytest

from devices import sessions
from devices.sessions import EndedBy, Session, SessionState

START_MS, END_MS = 1_795_439_400_000, 1_795_464_600_000  # seven hours
END = {
    "session_s": 25_190,
    "session_energy_kwh": 0.98,
    "session_fee_fen": 66,
    "stop_reason": "full",
    "native_reason": 0,
}


def begun() -> Session:
    return sessions.begin("jiaogong-xiaoqu", "shed-1", "shed-1-p02", "1001", START_MS)


def ended(known: Session | None, **attributes: Any) -> Session:
    return sessions.end(
        known, "jiaogong-xiaoqu", "shed-1", "shed-1-p02", "1001", END_MS, attributes
    )


def test_a_session_is_known_by_its_shed_and_order() -> None:
    assert begun().id == ended(None).id == sessions.session_id("shed-1", "1001")
    assert sessions.session_id("shed-2", "1001") != sessions.session_id("shed-1", "1001")


def test_an_end_closes_what_began() -> None:
    session = ended(begun(), **END)
    assert session.state is SessionState.CLOSED
    assert (session.started_at_ms, session.ended_at_ms) == (START_MS, END_MS)
    assert session.duration_s == 25_190  # the board's own count
    assert (session.energy_kwh, session.fee_fen) == (0.98, 66)
    assert (session.stop_reason, session.native_reason) == ("full", "0")
    assert session.ended_by is EndedBy.DEVICE
    assert not session.provisional


@pytest.mark.parametrize(
    ("known", "attributes", "started_at_ms", "duration_s"),
    [
        (None, {"session_s": 25_200}, START_MS, 25_200),  # end minus duration
        (None, {}, None, None),  # nobody can say
        (begun(), {}, START_MS, 25_200),  # worked out
    ],
)
def test_what_one_end_does_not_say_the_other_does(
    known: Session | None,
    attributes: dict[str, Any],
    started_at_ms: int | None,
    duration_s: int | None,
) -> None:
    session = ended(known, **attributes)
    assert (session.started_at_ms, session.duration_s) == (started_at_ms, duration_s)


def test_what_the_board_did_not_send_is_unknown_and_not_zero() -> None:
    session = ended(None)
    assert (session.energy_kwh, session.fee_fen, session.native_reason) == (None, None, None)
    assert session.stop_reason == "unknown"


def test_an_end_that_comes_before_its_start_by_a_wrong_clock_took_no_time() -> None:
    early = sessions.end(begun(), "c", "shed-1", "shed-1-p02", "1001", START_MS - 5, {})
    assert early.duration_s == 0


def test_a_session_whose_end_never_came_closes_at_its_last_evidence_and_says_so() -> None:
    session = sessions.infer_end(begun(), START_MS + 3_600_000, 0.31)
    assert session.state is SessionState.CLOSED
    assert session.ended_at_ms == START_MS + 3_600_000
    assert (session.duration_s, session.energy_kwh) == (3600, 0.31)
    assert (session.stop_reason, session.fee_fen) == ("unknown", None)
    assert session.ended_by is EndedBy.PLATFORM
    assert session.provisional


def test_evidence_older_than_the_start_does_not_end_it_before_it_began() -> None:
    session = sessions.infer_end(begun(), START_MS - 60_000, None)
    assert (session.ended_at_ms, session.duration_s) == (START_MS, 0)
