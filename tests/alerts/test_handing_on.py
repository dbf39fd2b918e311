"""A safety alert that does not arrive goes to the next target too; and alerts ends in time."""

import threading
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import Engine, update

from alerts.channel import DeliveryFailed, Receipt
from alerts.handing_on import AFTER_MS, next_target
from alerts.message import Message
from alerts.outgoing import Outgoing
from alerts.pulse import Pulse
from alerts.worker import ENDS_WITHIN_S
from courtyard.alerter import watched
from devices.alerts import ChannelName, DeliveryState, Target
from devices.store.alerts_health import read_health
from devices.store.database import reading, writing
from devices.store.handing_on import Standing, Stuck
from devices.store.schema import faults, targets
from devices.store.scope import DISTRICT
from devices.store.targets import add_target
from tests.alerts.test_worker import PAST, Alerting, FakeChannel, staffed
from tests.api.cast import NOW_MS, a_fault, a_fault_event

DEAD = Stuck(1, "f", "robot", "yaxin")


def known(*changed: Standing) -> list[Standing]:
    """The firm's dead robot, its mail, another robot of it; the district's desk; a stranger's."""
    usual = [
        Standing("robot", "yaxin", "dingtalk", 1, False, True),
        Standing("robot-2", "yaxin", "dingtalk", 2, False, False),
        Standing("mail", "yaxin", "email", 3, False, False),
        Standing("desk", None, "wecom", 4, False, False),
        Standing("stranger", "kangqiao", "email", 5, False, False),
    ]
    by_id = {one.id: one for one in [*usual, *changed]}
    return list(by_id.values())


MAIL, ROBOT_2, DESK = known()[2], known()[1], known()[3]


@pytest.mark.parametrize(
    ("changed", "sent", "expected"),
    [
        ((), {"robot": False}, "mail"),  # another channel of the same people
        ((replace(MAIL, is_broken=True),), {"robot": False}, "robot-2"),
        ((replace(MAIL, fails=True),), {"robot": False}, "robot-2"),  # one that works goes first
        ((), {"robot": False, "mail": False}, "robot-2"),
        ((), {"robot": False, "mail": False, "robot-2": False}, "desk"),
        ((), {"robot": False, "mail": True}, None),  # they know
        ((), {"robot": False, "desk": True}, "mail"),  # the firm does not, though the district does
        (
            (replace(MAIL, is_broken=True), replace(ROBOT_2, is_broken=True)),
            {"robot": False, "desk": True},
            None,
        ),
        ((), dict.fromkeys(("robot", "mail", "robot-2", "desk"), False), None),
    ],
)
def test_the_next_target_is_one_of_the_same_people_that_works(
    changed: tuple[Standing, ...], sent: dict[str, bool], expected: str | None
) -> None:
    assert next_target(DEAD, known(*changed), sent) == expected


def test_never_a_stranger_and_of_the_district_first_the_district() -> None:
    strangers = Stuck(1, "f", "desk", "yaxin")
    desk_2 = replace(DESK, id="desk-2", fails=True)
    assert next_target(strangers, known(desk_2), {"desk": False}) == "desk-2"
    alone = [DESK, *(one for one in known() if one.firm == "kangqiao")]
    assert next_target(strangers, alone, {"desk": False}) is None


@dataclass
class Deaf(FakeChannel):
    """The first target's other side is dead."""

    dead: str = "duty"

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        receipt = super().send(target, message, outgoing)
        if target.id == self.dead:
            raise DeliveryFailed("no whole answer within 5 s")
        return receipt


@pytest.fixture
def alerting(any_database: Engine) -> Alerting:
    """Duty's robot is dead; a mailbox of the district stands by, to which no route leads."""
    found = staffed(any_database)
    found.channel = Deaf()
    with writing(any_database) as connection:
        spare = Target("spare", "spare", ChannelName.EMAIL, "mailto:a@b.c", created_at_ms=PAST)
        add_target(connection, spare)
        a_fault(connection, "smoke", safety=True, severity="P1")
    found.go()
    return found


def test_a_safety_alert_that_does_not_arrive_is_handed_on_once_with_the_reason(
    alerting: Alerting,
) -> None:
    alerting.now_ms = NOW_MS + AFTER_MS - 1
    assert alerting.handing_on.look() == 0
    alerting.now_ms += 1
    assert alerting.handing_on.look() == 1
    assert alerting.handing_on.look() == 0
    alerting.go()
    alerting.now_ms += AFTER_MS
    assert alerting.handing_on.look() == 0
    told = {target: (state, reason) for _, target, state, reason in alerting.told()}
    assert told == {
        "duty": (DeliveryState.PENDING, None),
        "yaxin-robot": (DeliveryState.DELIVERED, None),
        "spare": (DeliveryState.DELIVERED, "handed_on"),
    }


def test_who_was_told_instead_hears_of_the_end_too(alerting: Alerting) -> None:
    alerting.now_ms = NOW_MS + AFTER_MS
    alerting.handing_on.look()
    with writing(alerting.engine) as connection:
        a_fault_event(connection, "smoke", was="open", becomes="cleared", reason="over")
    alerting.go()
    assert [target for target, _ in alerting.channel.sent].count("spare") == 2


def test_it_looks_every_five_seconds_and_says_that_it_works(alerting: Alerting) -> None:
    alerting.now_ms = NOW_MS + AFTER_MS - 1_000
    assert alerting.handing_on.step() == 0
    alerting.now_ms += 4_999
    assert alerting.handing_on.step() == 0
    alerting.now_ms += 1
    assert alerting.handing_on.step() == 1
    pulse = Pulse(alerting.engine, alerting.clock)
    pulse.step()
    alerting.now_ms += 4_999
    pulse.step()
    with reading(alerting.engine) as connection:
        health = read_health(connection, DISTRICT, alerting.now_ms)
    assert (health.seen_ms, health.is_missing) == (alerting.now_ms - 4_999, False)


def test_a_broken_target_is_not_waited_for(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        connection.execute(update(targets).where(targets.c.id == "duty").values(broken="no key"))
    assert alerting.handing_on.look() == 1


@pytest.mark.parametrize("changes", [{"state": "acknowledged"}, {"stream": "history"}])
def test_what_somebody_has_answered_is_not_handed_on(
    alerting: Alerting, changes: dict[str, str]
) -> None:
    with writing(alerting.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "smoke").values(**changes))
    alerting.now_ms = NOW_MS + AFTER_MS
    assert alerting.handing_on.look() == 0


def test_only_safety_is_handed_on(any_database: Engine) -> None:
    ordinary = staffed(any_database)
    ordinary.channel = Deaf()
    with writing(any_database) as connection:
        a_fault(connection, "f", severity="P1")
    ordinary.go()
    ordinary.now_ms += AFTER_MS
    assert ordinary.handing_on.look() == 0


def test_it_ends_although_a_mail_server_hangs(sqlite_database: Engine) -> None:
    hangs = threading.Event()
    stop = threading.Event()

    class Hanging(FakeChannel):
        def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
            stop.set()
            hangs.wait(60)
            return super().send(target, message, outgoing)

    alerting = staffed(sqlite_database)
    alerting.channel = Hanging()
    with writing(sqlite_database) as connection:
        a_fault(connection, "f")
    thread = threading.Thread(
        target=alerting.worker().run, args=(stop,), kwargs={"ends_within_s": 0.05}
    )
    thread.start()
    thread.join(20)
    ended = not thread.is_alive()
    hangs.set()
    assert ended
    assert ENDS_WITHIN_S < 8  # of what `courtyard alerts` waits for it
    sending = [one for one in threading.enumerate() if one.name.startswith("send-")]
    assert all(one.daemon for one in sending)  # so Python does not wait for them either
    for one in sending:
        one.join(20)


def test_rounds_that_stand_still_are_noticed() -> None:
    stop = threading.Event()
    assert not watched(stop, lambda: 7, look_s=0.001, stuck_s=0.01)
    rounds = iter(range(10_000))

    def turning() -> int:
        newest = next(rounds)
        if newest == 50:
            stop.set()
        return newest

    assert watched(stop, turning, look_s=0.001, stuck_s=0.01)
