"""Silence, in simulated time: the receiver's part of the journal is written here, the rest is real.

Twenty minutes pass in one commit; judge, forward and API are the processes that production runs.
"""

import json
from typing import Any

from courtyard.clock import now_ms
from devices.journal import LINK, MESSAGES, PROBE, START, TICK, Raw
from devices.store.journal import Draft, JournalWriter
from tests.e2e.system import READY_S, System, a_registry
from tests.eventually import eventually

PLACE = "lvyun-xiaoqu"
MINUTES = 20
STEP_MS = 5_000  # a probe and a tick


def message(gate: str, at_ms: int) -> Raw:
    topic = f"courtyard/v1/{PLACE}/gate/{PLACE}-{gate}/telemetry"
    payload = json.dumps({"ts": at_ms, "seq": at_ms // 1000, "values": {"board_temp_c": 30}})
    return Raw(topic.encode(), payload.encode(), 0, at_ms, PLACE)


def a_past(
    begin_ms: int, speaks: dict[str, tuple[float, float]], deaf: tuple[float, float] = (0, 0)
) -> list[Draft]:
    """What receive would have written. speaks: gate → from and to which minute it reports.

    deaf: between these minutes nothing came through, not even our own probe.
    """
    drafts = [
        Draft(START, 1, control={"at_ms": begin_ms}),
        Draft(LINK, 1, control={"up": True, "session_present": False, "at_ms": begin_ms}),
    ]
    for step in range(1, MINUTES * 60_000 // STEP_MS):
        at_ms = begin_ms + step * STEP_MS
        minute = step * STEP_MS / 60_000
        if deaf[0] < minute < deaf[1]:
            drafts.append(Draft(TICK, 1, control={"at_ms": at_ms}))
            continue
        heard = [
            message(gate, at_ms)
            for gate, (first, last) in speaks.items()
            if first <= minute <= last and step % 6 == 0
        ]
        if heard:
            drafts.append(Draft(MESSAGES, 1, heard))
        probe = {"n": step, "sent_ms": at_ms, "at_ms": at_ms + 40}
        drafts.append(Draft(PROBE, 1, control=probe))
        drafts.append(Draft(TICK, 1, control={"at_ms": at_ms + 40}))
    return drafts


def faults_after(system: System, drafts: list[Draft]) -> list[dict[str, Any]]:
    """What is raised once all of this was judged."""
    system.import_registry(a_registry())
    path = system.directory / "data" / "journal.db"
    with JournalWriter(path, now_ms) as writer:
        writer.commit(drafts)
        head = writer.head()
    system.start("ingest", "--only", "judge,forward")
    system.api()
    token = system.token("--role", "operator")

    def judged() -> bool:
        accounts = system.get("/v1/accounting", token).json
        return bool(accounts["pending"] == 0 and accounts["stored"] == head.jseq)

    eventually(judged, READY_S)
    items: list[dict[str, Any]] = system.get("/v1/faults", token, compound=PLACE).json["items"]
    return items


def test_a_gate_that_falls_silent_is_one_fault_and_its_neighbour_is_none(system: System) -> None:
    begin_ms = now_ms() - MINUTES * 60_000
    spoke = {"gate-1": (0.0, 4.0), "gate-2": (0.0, 20.0)}
    (fault,) = faults_after(system, a_past(begin_ms, spoke))
    assert (fault["code"], fault["device"]) == ("GATE_OFFLINE", f"{PLACE}-gate-1")
    assert fault["state"] == "open"


def test_a_gate_that_speaks_again_has_its_fault_closed(system: System) -> None:
    begin_ms = now_ms() - MINUTES * 60_000
    drafts = a_past(begin_ms, {"gate-2": (0.0, 20.0)})
    drafts[2:2] = [Draft(MESSAGES, 1, [message("gate-1", begin_ms + 1000)])]
    drafts += [Draft(MESSAGES, 1, [message("gate-1", begin_ms + MINUTES * 60_000 - 1000)])]
    (fault,) = faults_after(system, drafts)
    assert (fault["code"], fault["state"]) == ("GATE_OFFLINE", "closed")


def test_an_outage_of_our_own_raises_nothing(system: System) -> None:
    begin_ms = now_ms() - (MINUTES + 1) * 60_000  # and a minute in which nothing came at all
    spoke = {"gate-1": (0.0, 20.0), "gate-2": (0.0, 20.0)}
    assert faults_after(system, a_past(begin_ms, spoke, deaf=(4.0, 14.0))) == []
    answer = system.get("/readyz")
    assert answer.status == 503, answer.json
