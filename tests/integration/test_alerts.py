"""`courtyard alerts` as a process of its own: killed at each crash point, ended, beside another."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from alerts.channels.webhook import new_secret
from courtyard.clock import now_ms
from devices.alerts import ChannelName, Route, Target
from devices.escalation import Policy, Step, To
from devices.hours import TargetHours
from devices.rules import Severity
from devices.store.database import reading, writing
from devices.store.escalations import change_policy
from devices.store.hours import change_hours
from devices.store.schema import deliveries, fault_events, target_hours, targets
from devices.store.scope import DISTRICT
from devices.store.summaries import list_summaries
from devices.store.targets import add_route, add_target
from simulators.robots import Plan, Robots
from tests.api.cast import a_district, a_fault, a_fault_event
from tests.brokers import free_port
from tests.eventually import eventually

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S = 10


class Alerting:
    """A database, a receiver, and the processes that tell it of faults."""

    def __init__(self, engine: Engine, url: str, directory: Path, robots: Robots) -> None:
        self.engine = engine
        self.robots = robots
        self._url = url
        self._directory = directory
        self._running: list[subprocess.Popen[bytes]] = []
        secret = new_secret()
        self.hook = robots.webhook("receiver", "hook", secret)
        with writing(engine) as connection:
            a_district(connection)
            connection.execute(update(fault_events).values(routed_at_ms=1))
            target = Target("t", "t", ChannelName.WEBHOOK, self.hook, (secret,))
            add_target(connection, target)
            add_route(connection, Route("r", "t"))

    def start(self, failpoints: str = "", **more: str) -> "subprocess.Popen[bytes]":
        environ = {name: v for name, v in os.environ.items() if not name.startswith("COURTYARD_")}
        environ |= {
            "COURTYARD_DATA_DIR": str(self._directory),
            "COURTYARD_DATABASE_URL": self._url,
            "COURTYARD_METRICS_PORT": str(free_port()),
            "COURTYARD_ALERTS_ALLOW": "127.0.0.1",
            "COURTYARD_LOG": "json",
            "PYTHONPATH": str(ROOT),
            **more,
        }
        if failpoints:
            environ["COURTYARD_FAILPOINTS"] = failpoints
        with (self._directory / "alerts.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "courtyard", "alerts"], env=environ, stdout=log, stderr=log
            )
        self._running.append(process)
        return process

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait(ENDS_WITHIN_S)

    def a_fault_and_its_end(self) -> None:
        at_ms = now_ms()
        with writing(self.engine) as connection:
            a_fault(connection, "f", opened_at_ms=at_ms, safety=True, severity="P1")
            a_fault_event(
                connection, "f", was="open", becomes="cleared", reason="over", at_ms=at_ms
            )

    def told(self) -> list[tuple[str, str]]:
        """Key and reason of what arrived, in order."""
        return [
            (one.key, one.payload["data"]["event"])  # type: ignore[index]
            for one in self.robots.messages
        ]

    def states(self) -> list[str]:
        with reading(self.engine) as connection:
            return list(connection.scalars(select(deliveries.c.state).order_by(deliveries.c.id)))


@pytest.fixture
def alerting(any_database: Engine, database_url: str, tmp_path: Path) -> Iterator[Alerting]:
    robots = Robots(now_ms)
    robots.start()
    alerting = Alerting(any_database, database_url, tmp_path, robots)
    yield alerting
    alerting.end()
    robots.stop()


@pytest.mark.parametrize(
    ("failpoint", "repeats"),
    [("A1:kill", 0), ("A2:kill", 0), ("A2:kill@2", 0), ("A4:kill", 1), ("A4:kill@2", 1)],
)
def test_a_kill_loses_nothing_and_repeats_one_message_at_most(
    alerting: Alerting, failpoint: str, repeats: int
) -> None:
    alerting.a_fault_and_its_end()
    dies = alerting.start(failpoint)
    assert dies.wait(30) == -signal.SIGKILL
    alerting.start()
    eventually(lambda: alerting.states() == ["delivered"] * 2, 30, "both are delivered")
    told = alerting.told()
    once = list(dict.fromkeys(told))
    assert [reason for _, reason in once] == ["raised", "over"]
    assert len(told) == 2 + repeats


@pytest.mark.parametrize("failpoint", ["A6:kill", "A6:kill@2"])
def test_a_kill_while_a_fault_is_escalated_tells_each_level_once(
    alerting: Alerting, failpoint: str
) -> None:
    steps = (Step(1, To.DISTRICT), Step(2, To.DISTRICT))
    with writing(alerting.engine) as connection:
        change_policy(connection, Policy(Severity.P1, steps, changed_by="wang"), now_ms())
        a_fault(connection, "f", opened_at_ms=now_ms(), severity="P1")
    dies = alerting.start(failpoint)
    assert dies.wait(30) == -signal.SIGKILL
    alerting.start()
    eventually(lambda: alerting.states() == ["delivered"] * 3, 30, "both levels are told")
    assert [reason for _, reason in alerting.told()] == ["raised", "escalated", "escalated"]


@pytest.mark.parametrize(("failpoint", "repeats"), [("A7:kill", 0), ("A8:kill", 1)])
def test_a_kill_while_a_day_is_summed_up_tells_it_once_under_one_key(
    alerting: Alerting, failpoint: str, repeats: int
) -> None:
    with writing(alerting.engine) as connection:
        change_hours(connection, "t", TargetHours(summary_at=time(0)), now_ms())
        connection.execute(update(target_hours).values(summary_due_ms=now_ms()))
    dies = alerting.start(failpoint)
    assert dies.wait(30) == -signal.SIGKILL
    alerting.start()

    def states() -> list[tuple[str, int]]:
        with reading(alerting.engine) as connection:
            return [(one.state, one.attempts) for one in list_summaries(connection, DISTRICT)]

    eventually(lambda: states() == [("delivered", 1)], 30, "the day is told")
    keys = [one.key for one in alerting.robots.messages]
    assert len(keys) == 1 + repeats
    assert len(set(keys)) == 1


def test_an_answer_that_is_lost_costs_one_repetition(alerting: Alerting) -> None:
    alerting.robots.plan(alerting.hook, Plan(accepts=True, hangs=True))
    alerting.a_fault_and_its_end()
    alerting.start()
    eventually(lambda: alerting.states() == ["delivered"] * 2, 40, "both are delivered")
    assert [reason for _, reason in alerting.told()] == ["raised", "raised", "over"]


def test_sigterm_ends_it_in_time_and_gives_its_targets_back(alerting: Alerting) -> None:
    alerting.robots.plan(alerting.hook, Plan(hangs=True))
    alerting.a_fault_and_its_end()
    process = alerting.start()
    eventually(lambda: len(alerting.robots.attempts) == 1, 30, "it is sending")
    process.terminate()
    assert process.wait(ENDS_WITHIN_S) == 0
    with reading(alerting.engine) as connection:
        assert connection.execute(select(targets.c.leased_by)).scalar_one() is None
    assert alerting.states() == ["pending"] * 2
    alerting.start()
    eventually(lambda: alerting.states() == ["delivered"] * 2, 30, "both are delivered")


def test_sigterm_ends_it_in_time_while_a_mail_server_hangs(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        mail = Target("mail", "mail", ChannelName.EMAIL, "mailto:duty@example.org")
        add_target(connection, mail)
        add_route(connection, Route("to-mail", "mail"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        smtp = f"smtp://127.0.0.1:{silent.getsockname()[1]}?tls=none"
        alerting.a_fault_and_its_end()
        process = alerting.start(COURTYARD_SMTP_URL=smtp)
        conversation, _ = silent.accept()
        with conversation:
            process.terminate()
            assert process.wait(ENDS_WITHIN_S) == 0


def test_two_processes_share_the_work_and_tell_everything_once(alerting: Alerting) -> None:
    for _ in range(2):
        alerting.start()
    for n in range(40):
        with writing(alerting.engine) as connection:
            a_fault(connection, f"f{n}", subject=f"s{n}", opened_at_ms=now_ms(), safety=True)
    eventually(lambda: alerting.states() == ["delivered"] * 40, 60, "all are delivered")
    keys = [key for key, _ in alerting.told()]
    assert len(keys) == len(set(keys)) == 40
