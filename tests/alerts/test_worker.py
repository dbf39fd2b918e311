"""From a fault event to people: routed once, sent in order, tried again, and kept on record."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import pytest
from sqlalchemy import Engine, func, select, update

from alerts.channel import DeliveryFailed, Limits, Receipt
from alerts.handing_on import HandingOn
from alerts.message import Message
from alerts.outgoing import Allowed, Outgoing
from alerts.pulse import Pulse
from alerts.router import Router
from alerts.sender import LEASE_MS, Sender
from alerts.texts import tell
from alerts.unheard import Unheard
from alerts.worker import Timely, Worker
from devices.alerts import ChannelName, DeliveryState, Language, Route, Target
from devices.faults import Why, assign
from devices.links import link_of, sign
from devices.rosters import Person, Roster
from devices.rules import Severity
from devices.store.database import reading, writing
from devices.store.deliveries import (
    Delivery,
    NotFailed,
    UnknownDelivery,
    lease,
    list_deliveries,
    try_again,
)
from devices.store.faults import move_fault
from devices.store.links import Other, hand_on, newest_key
from devices.store.rosters import add_person, add_roster
from devices.store.schema import compounds, deliveries, fault_events, faults, targets
from devices.store.scope import DISTRICT, Scope
from devices.store.targets import add_route, add_target, delete_target
from tests.api.cast import DAY_MS, LIANXIN, NOW_MS, STRANGE_GATE, a_district, a_fault, a_fault_event

YAXIN = Scope("yaxin")
PAST = NOW_MS - 30 * 86_400_000


@dataclass
class FakeChannel:
    """Keeps what it is sent; each send first does the next of `does`, if any is left."""

    limits: Limits = field(default_factory=Limits)
    does: list[Exception | int | Callable[[], None]] = field(default_factory=list)
    sent: list[tuple[str, Message]] = field(default_factory=list)

    def check(self, target: Target) -> None:
        raise NotImplementedError

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        self.sent.append((target.id, message))
        mentioned = len(message.notices)
        if self.does:
            what = self.does.pop(0)
            if isinstance(what, Exception):
                raise what
            if callable(what):
                what()
            else:
                mentioned = what
        return Receipt("ok", mentioned)

    def keys(self) -> list[str]:
        return [message.key for _, message in self.sent]


class Alerting:
    """The parts over one database, with a clock that stands until it is moved."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now_ms = NOW_MS
        self.channel = FakeChannel()
        self.router = Router(engine, self.clock)
        self.unheard = Unheard(engine)

        self.handing_on = HandingOn(engine, self.clock)

    def clock(self) -> int:
        return self.now_ms

    def worker(self) -> Worker:
        timely: list[Timely] = [self.handing_on, Pulse(self.engine, self.clock)]
        return Worker(self.router, self.sender(), self.unheard, self.clock, timely)

    def sender(self, me: str = "one") -> Sender:
        return Sender(
            self.engine,
            dict.fromkeys(ChannelName, self.channel),
            Outgoing(Allowed()),
            self.clock,
            me=me,
            console="https://courtyard.example",
            jitter=lambda: 0.5,
        )

    def go(self, sender: Sender | None = None) -> None:
        """Route all and send all that may go now."""
        sender = sender or self.sender()
        while self.router.step():
            pass
        for target in sender.ready():
            sender.serve(target, threading.Event())

    def next_ms(self) -> int:
        """When what waits may be tried again."""
        with reading(self.engine) as connection:
            due = connection.execute(select(func.max(deliveries.c.next_at_ms))).scalar_one()
            rests = connection.execute(select(func.max(targets.c.not_before_ms))).scalar_one()
        return int(max(due, rests))

    def told(self) -> list[tuple[str, str | None, DeliveryState, str | None]]:
        with reading(self.engine) as connection:
            rows = list_deliveries(connection, DISTRICT)
        return [(row.fault, row.target, row.state, row.reason) for row in reversed(rows)]

    def rows(self, scope: Scope = DISTRICT) -> list[Delivery]:
        with reading(self.engine) as connection:
            return list_deliveries(connection, scope)


@pytest.fixture
def alerting(sqlite_database: Engine) -> Alerting:
    return staffed(sqlite_database)


@pytest.fixture
def on_either(any_database: Engine) -> Alerting:
    """The same, on each database: for what the statements themselves decide."""
    return staffed(any_database)


def staffed(engine: Engine) -> Alerting:
    """Duty hears of everything, yaxin's robot of yaxin's, kangqiao's of kangqiao's."""
    with writing(engine) as connection:
        a_district(connection)
        for name, firm in (("duty", None), ("yaxin-robot", "yaxin"), ("kang-robot", "kangqiao")):
            target = Target(
                name, name, ChannelName.WEBHOOK, "https://x", firm=firm, created_at_ms=PAST
            )
            add_target(connection, target)
            add_route(connection, Route(f"r-{name}", name, firm=firm))
        connection.execute(update(fault_events).values(routed_at_ms=PAST))
    return Alerting(engine)


def test_a_fault_is_told_once_to_each_whom_it_concerns(on_either: Alerting) -> None:
    with writing(on_either.engine) as connection:
        a_fault(connection, "f")
    on_either.go()
    on_either.go()
    assert sorted(target for target, _ in on_either.channel.sent) == ["duty", "yaxin-robot"]
    assert {row[2] for row in on_either.told()} == {DeliveryState.DELIVERED}
    notice = on_either.channel.sent[0][1].notices[0]
    assert (notice.compound_name.zh if notice.compound_name else "", notice.device_name) == (
        "祥云里",
        "东门",
    )
    with reading(on_either.engine) as connection:
        key = newest_key(connection)
        sent = list_deliveries(connection, DISTRICT, target=on_either.channel.sent[0][0])
    assert key is not None
    link = sign(link_of(sent[0].id, "f", sent[0].target or "", sent[0].created_at_ms), key)
    assert notice.link == f"https://courtyard.example/a/{link}"


def test_the_link_is_the_same_each_time_a_message_is_tried(alerting: Alerting) -> None:
    alerting.channel.does = [DeliveryFailed("500"), DeliveryFailed("500")]
    with writing(alerting.engine) as connection:
        a_fault(connection, "f")
    alerting.go()
    alerting.now_ms += 10_000
    alerting.go()
    links = {
        (target, message.notices[0].link): message.key for target, message in alerting.channel.sent
    }
    assert len(alerting.channel.sent) == 4
    assert len(links) == 2


def test_what_is_handed_on_is_told_there_and_its_end_too(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        a_fault(connection, "f")
        connection.execute(update(fault_events).values(routed_at_ms=PAST))
        fault = move_fault(
            connection,
            DISTRICT,
            "f",
            lambda was: assign(was, "yaxin-robot", "王芳", NOW_MS, "请去"),
        )
        to = Other("target-yaxin-robot", "yaxin-robot", ("yaxin-robot",))
        hand_on(connection, fault, to, NOW_MS)
    alerting.go()
    ((target, message),) = alerting.channel.sent
    notice = message.notices[0]
    assert (target, notice.reason, notice.note) == ("yaxin-robot", Why.ASSIGNED, "请去")
    assert "指派" in tell(message, notice).headline
    with writing(alerting.engine) as connection:
        a_fault_event(connection, "f", was="open", becomes="closed", reason="over", at_ms=NOW_MS)
    alerting.go()
    assert [target for target, _ in alerting.channel.sent] == ["yaxin-robot"] * 2


def test_what_nobody_is_told_says_why(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        a_fault(connection, "f")
        connection.execute(update(fault_events).values(routed_at_ms=PAST))
        a_fault_event(connection, "f", held="maintenance", at_ms=NOW_MS)
    alerting.go()
    assert alerting.told() == [("f", None, DeliveryState.SUPPRESSED, "maintenance")]
    assert alerting.channel.sent == []


def test_a_notice_waits_for_its_time_and_is_not_told_when_the_fault_is_over_by_then(
    alerting: Alerting,
) -> None:
    with writing(alerting.engine) as connection:
        a_fault(connection, "f")
        connection.execute(
            update(fault_events)
            .where(fault_events.c.fault == "f")
            .values(notice_at_ms=NOW_MS + 120_000)
        )
    alerting.go()
    assert alerting.told() == []
    with writing(alerting.engine) as connection:
        connection.execute(update(faults).values(state="closed", closed_at_ms=NOW_MS + 60_000))
    alerting.now_ms += 120_000
    alerting.go()
    assert alerting.told() == [("f", None, DeliveryState.SUPPRESSED, "over_before_notice")]


def test_the_end_goes_to_those_who_know_of_the_fault_after_its_raise(alerting: Alerting) -> None:
    alerting.channel.does = [DeliveryFailed("500"), DeliveryFailed("500")]
    with writing(alerting.engine) as connection:
        a_fault(connection, "f", safety=True, severity="P1")
    alerting.go()
    assert [row[2] for row in alerting.told()] == [DeliveryState.PENDING] * 2
    with writing(alerting.engine) as connection:
        a_fault_event(connection, "f", was="open", becomes="cleared", reason="over", at_ms=NOW_MS)
    alerting.go()
    assert len(alerting.channel.sent) == 2  # it waits behind its raise
    alerting.now_ms += 10_000
    alerting.go()
    to_duty = [message for target, message in alerting.channel.sent if target == "duty"]
    assert [message.notices[0].reason for message in to_duty] == [Why.RAISED, Why.RAISED, Why.OVER]
    assert to_duty[0].key == to_duty[1].key != to_duty[2].key


def test_what_was_refused_is_tried_again_later_and_later(alerting: Alerting) -> None:
    alerting.channel.does = [DeliveryFailed("500")] * 6
    with writing(alerting.engine) as connection:
        a_fault(connection, "f", compound=LIANXIN, device=STRANGE_GATE)
        delete_target(connection, DISTRICT, "duty", NOW_MS)
    tries: list[int] = []
    while len(alerting.channel.sent) < 7:
        tries.append(alerting.now_ms)
        alerting.go()
        assert len(alerting.channel.sent) == len(tries)
        alerting.now_ms = alerting.next_ms()
    waits = [second - first for first, second in pairwise(tries)]
    assert waits[0] <= 5_000
    assert waits == sorted(waits)
    assert waits[-1] > 30_000
    (row,) = alerting.rows()
    assert (row.state, row.attempts, row.answer) == (DeliveryState.DELIVERED, 7, "ok")


def test_a_target_that_wants_less_is_left_alone_for_so_long(alerting: Alerting) -> None:
    alerting.channel.does = [DeliveryFailed("too fast", wait_s=600)]
    with writing(alerting.engine) as connection:
        a_fault(connection, "f", compound=LIANXIN, device=STRANGE_GATE)
        delete_target(connection, DISTRICT, "duty", NOW_MS)
    alerting.go()
    alerting.now_ms += 599_000
    alerting.go()
    assert len(alerting.channel.sent) == 1
    alerting.now_ms += 2_000
    alerting.go()
    assert len(alerting.channel.sent) == 2


def test_what_a_person_must_mend_stops_the_target_and_loses_nothing(alerting: Alerting) -> None:
    alerting.channel.does = [DeliveryFailed("keyword missing", permanent=True)]
    with writing(alerting.engine) as connection:
        a_fault(connection, "f", compound=LIANXIN, device=STRANGE_GATE, severity="P2")
        delete_target(connection, DISTRICT, "duty", NOW_MS)
    alerting.go()
    alerting.now_ms += 3_600_000
    alerting.go()
    assert len(alerting.channel.sent) == 1
    assert [row.state for row in alerting.rows()] == [DeliveryState.PENDING]
    trouble = alerting.unheard.look(alerting.now_ms)
    assert trouble is not None
    assert trouble.evidence == {"faults": 1, "of": "f", "why": "pending"}


def test_a_digest_that_could_not_mention_all_sends_the_others_with_the_next_one(
    on_either: Alerting,
) -> None:
    on_either.channel.limits = Limits(per_minute=20)
    on_either.channel.does = [4]
    with writing(on_either.engine) as connection:
        delete_target(connection, DISTRICT, "yaxin-robot", NOW_MS)
        for n in range(10):
            a_fault(
                connection,
                f"f{n}",
                subject=f"s{n}",
                opened_at_ms=NOW_MS,
            )
    on_either.go()
    assert [len(message.notices) for _, message in on_either.channel.sent] == [10, 6]
    assert {row.state for row in on_either.rows()} == {DeliveryState.DELIVERED}


def test_a_compound_that_changed_hands_is_told_to_whom_it_belongs_now(on_either: Alerting) -> None:
    on_either.channel.does = [DeliveryFailed("500"), DeliveryFailed("500")]
    with writing(on_either.engine) as connection:
        a_fault(connection, "f")
    on_either.go()
    with writing(on_either.engine) as connection:
        connection.execute(update(compounds).values(firm="kangqiao"))
    on_either.now_ms += 10_000
    on_either.go()
    on_either.go()
    told = {(target, state, reason) for _, target, state, reason in on_either.told()}
    assert told == {
        ("duty", DeliveryState.DELIVERED, None),
        ("yaxin-robot", DeliveryState.CANCELLED, "other_firm"),
        ("kang-robot", DeliveryState.DELIVERED, None),
    }
    heard = [target for target, _ in on_either.channel.sent[2:]]
    assert sorted(heard) == ["duty", "kang-robot"]


def test_two_workers_never_send_the_same(on_either: Alerting) -> None:
    """The second looks while the first is sending."""
    second = on_either.sender("two")
    served: list[int] = []

    def meanwhile() -> None:
        served.append(len(second.ready()))
        second.serve("kang-robot", threading.Event())

    with writing(on_either.engine) as connection:
        a_fault(connection, "f", compound=LIANXIN, device=STRANGE_GATE)
        delete_target(connection, DISTRICT, "duty", NOW_MS)
    on_either.channel.does = [meanwhile]
    on_either.go()
    assert served == [0]
    assert len(on_either.channel.sent) == 1


def test_one_that_was_frozen_beyond_its_lease_sends_nothing_more(alerting: Alerting) -> None:
    """It wakes up with another event to tell, which somebody else is telling."""
    second = alerting.sender("two")

    def freeze() -> None:
        alerting.now_ms += LEASE_MS + 1
        with writing(alerting.engine) as connection:
            assert lease(
                connection, "kang-robot", "two", alerting.now_ms + LEASE_MS, alerting.now_ms
            )

    with writing(alerting.engine) as connection:
        delete_target(connection, DISTRICT, "duty", NOW_MS)
        for name in ("f", "g"):
            a_fault(connection, name, subject=name, compound=LIANXIN, device=STRANGE_GATE)
    alerting.channel.does = [freeze]
    alerting.go()
    assert len(alerting.channel.sent) == 1
    second.serve("kang-robot", threading.Event())
    assert len(alerting.channel.sent) == 2
    assert {row.state for row in alerting.rows()} == {DeliveryState.DELIVERED}


@pytest.mark.long
def test_an_hour_of_errors_loses_nothing_and_keeps_the_order(alerting: Alerting) -> None:
    """Faults begin and end meanwhile; safety is told event by event."""
    until_ms = NOW_MS + 3_600_000
    with writing(alerting.engine) as connection:
        delete_target(connection, DISTRICT, "duty", NOW_MS)

    class Broken(FakeChannel):
        def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
            if alerting.now_ms < until_ms:
                raise DeliveryFailed("HTTP 500")
            return super().send(target, message, outgoing)

    alerting.channel = Broken()
    for n in range(6):
        with writing(alerting.engine) as connection:
            about = {"subject": f"s{n}", "compound": LIANXIN, "device": STRANGE_GATE}
            a_fault(connection, f"f{n}", **about, opened_at_ms=alerting.now_ms, safety=n % 2 == 0)
            a_fault_event(
                connection, f"f{n}", was="open", becomes="cleared", reason="over",
                at_ms=alerting.now_ms,
            )  # fmt: skip
        alerting.go()
        alerting.now_ms += 601_000
    while alerting.now_ms < until_ms + 1_500_000:
        alerting.go()
        alerting.now_ms = max(alerting.next_ms(), alerting.now_ms + 1_000)
    heard = [
        (notice.fault, notice.reason)
        for _, message in alerting.channel.sent
        for notice in message.notices
    ]
    assert sorted(heard) == sorted(
        (f"f{n}", reason) for n in range(6) for reason in (Why.RAISED, Why.OVER)
    )
    for n in range(6):
        assert heard.index((f"f{n}", Why.RAISED)) < heard.index((f"f{n}", Why.OVER))


def test_one_that_died_while_it_sent_sends_again_under_the_same_key(alerting: Alerting) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    with writing(alerting.engine) as connection:
        a_fault(connection, "f", compound=LIANXIN, device=STRANGE_GATE)
        delete_target(connection, DISTRICT, "duty", NOW_MS)
    alerting.channel.does = [die]
    with pytest.raises(Killed):
        alerting.go()
    alerting.go()
    keys = alerting.channel.keys()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert [row.state for row in alerting.rows()] == [DeliveryState.DELIVERED]


def test_what_waited_for_a_day_is_given_up_and_can_be_tried_again(on_either: Alerting) -> None:
    on_either.channel.does = [DeliveryFailed("gone", permanent=True)]
    with writing(on_either.engine) as connection:
        a_fault(connection, "f", compound=LIANXIN, device=STRANGE_GATE)
        delete_target(connection, DISTRICT, "duty", NOW_MS)
    on_either.go()
    on_either.now_ms += 24 * 3_600_000 + 1
    on_either.sender().sweep()
    (row,) = on_either.rows()
    assert (row.state, row.reason, row.answer) == (DeliveryState.FAILED, "given_up", "gone")
    with writing(on_either.engine) as connection:
        again = try_again(connection, DISTRICT, row.id, on_either.now_ms)
        assert again.state is DeliveryState.PENDING
        with pytest.raises(NotFailed):
            try_again(connection, DISTRICT, row.id, on_either.now_ms)


def test_a_firm_sees_its_own_deliveries_and_no_others(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        a_fault(connection, "f")
        a_fault(connection, "g", compound=LIANXIN, device=STRANGE_GATE)
    alerting.go()
    assert [(row.fault, row.target) for row in alerting.rows(YAXIN)] == [("f", "yaxin-robot")]
    strange = next(row for row in alerting.rows() if row.fault == "g")
    with writing(alerting.engine) as connection, pytest.raises(UnknownDelivery):
        try_again(connection, YAXIN, strange.id, NOW_MS)


def test_history_and_what_was_before_a_target_is_told_to_nobody(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        a_fault(connection, "f", stream="history")
        a_fault(connection, "g", opened_at_ms=PAST - 1)
    alerting.go()
    assert alerting.told() == []
    with reading(alerting.engine) as connection:
        left = select(fault_events).where(fault_events.c.routed_at_ms.is_(None))
        assert connection.execute(left).all() == []


def test_nobody_told_stands_until_somebody_is(on_either: Alerting) -> None:
    with writing(on_either.engine) as connection:
        for target in ("duty", "yaxin-robot"):
            delete_target(connection, DISTRICT, target, NOW_MS)
        a_fault(connection, "f", severity="P1", safety=True, code="GATE_DURESS")
    on_either.go()
    trouble = on_either.unheard.look(NOW_MS)
    assert trouble is not None
    assert trouble.evidence["why"] == "no_route"
    with reading(on_either.engine) as connection:
        raised = select(faults.c.state).where(faults.c.code == "SYS_NOBODY_TOLD")
        assert connection.scalars(raised).all() == ["open"]
    with writing(on_either.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "f").values(state="acknowledged"))
    assert on_either.unheard.look(NOW_MS + 1) is None
    with reading(on_either.engine) as connection:
        assert connection.scalars(raised).all() == ["closed"]


def test_a_slow_target_holds_up_no_other(alerting: Alerting) -> None:
    """The one hangs until the other has been told."""
    heard = threading.Event()
    stop = threading.Event()

    class Uneven(FakeChannel):
        def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
            if target.id == "duty":
                assert heard.wait(20)
            receipt = super().send(target, message, outgoing)
            if target.id == "yaxin-robot":
                heard.set()
            elif len(self.sent) == 2:
                stop.set()
            return receipt

    alerting.channel = Uneven()
    with writing(alerting.engine) as connection:
        a_fault(connection, "f")
    thread = threading.Thread(target=alerting.worker().run, args=(stop,))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert sorted(target for target, _ in alerting.channel.sent) == ["duty", "yaxin-robot"]


def test_messages_speak_the_language_of_the_target(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        add_target(
            connection,
            Target(
                "english",
                "english",
                ChannelName.WEBHOOK,
                "https://x",
                language=Language.EN,
                created_at_ms=PAST,
            ),
        )
        add_route(connection, Route("r-en", "english", severities=(Severity.P3,)))
        a_fault(connection, "f")
    alerting.go()
    spoken = {target: message.language for target, message in alerting.channel.sent}
    assert spoken["english"] is Language.EN
    assert spoken["duty"] is Language.ZH


def on_duty(alerting: Alerting) -> None:
    """Of yaxin's people li has the day of NOW_MS and wang the next one; no other route leads there.

    Li speaks English; each has a mailbox.
    """
    with writing(alerting.engine) as connection:
        delete_target(connection, YAXIN, "yaxin-robot", NOW_MS)
        for name, language in (("li", Language.EN), ("wang", Language.ZH)):
            mailbox = Target(
                f"{name}-mail", name, ChannelName.EMAIL, "mailto:x@x", firm="yaxin", created_at_ms=0
            )
            add_target(connection, mailbox)
            add_person(connection, Person(name, name, "yaxin", language, targets=(mailbox.id,)))
        add_roster(connection, Roster("r", "r", ("li", "wang"), date(2026, 11, 23), firm="yaxin"))
        add_route(connection, Route("r-roster", roster="r", firm="yaxin"))


def test_whoever_is_on_duty_is_told_and_it_is_on_record_who_that_was(on_either: Alerting) -> None:
    on_duty(on_either)
    with writing(on_either.engine) as connection:
        a_fault(connection, "f")
    on_either.go()
    on_either.now_ms += DAY_MS
    with writing(on_either.engine) as connection:
        a_fault_event(
            connection, "f", was="open", becomes="closed", reason="over", at_ms=on_either.now_ms
        )
        a_fault(connection, "g", code="GATE_TAMPER", opened_at_ms=on_either.now_ms)
    on_either.go()
    told = {(row.fault, row.event_reason, row.person_name) for row in on_either.rows(YAXIN)}
    assert told == {("f", Why.RAISED, "li"), ("f", Why.OVER, "li"), ("g", Why.RAISED, "wang")}
    spoken = {
        (target, message.language)
        for target, message in on_either.channel.sent
        if target.endswith("-mail")
    }
    assert spoken == {("li-mail", Language.EN), ("wang-mail", Language.ZH)}
    with reading(on_either.engine) as connection:
        key = newest_key(connection)
    assert key is not None
    links = {
        sign(link_of(row.id, row.fault, row.target or "", row.created_at_ms, row.person), key)
        for row in on_either.rows()
        if row.person is not None
    }
    theirs = {
        (message.notices[0].link or "").removeprefix("https://courtyard.example/a/")
        for target, message in on_either.channel.sent
        if target.endswith("-mail")
    }
    assert theirs == links


def test_a_group_is_told_in_its_own_language_whoever_is_on_duty(alerting: Alerting) -> None:
    on_duty(alerting)
    with writing(alerting.engine) as connection:
        add_route(connection, Route("r-group", "li-mail", firm="yaxin"))
        a_fault(connection, "f")
    alerting.go()
    (_, message), *_ = alerting.channel.sent
    assert message.language is Language.ZH  # li, who is on duty and reads there too, speaks English


def test_nobody_was_told_where_whoever_is_on_duty_cannot_be_reached(alerting: Alerting) -> None:
    on_duty(alerting)
    with writing(alerting.engine) as connection:
        for target in ("duty", "li-mail"):
            delete_target(connection, DISTRICT, target, NOW_MS)
        a_fault(connection, "f", severity="P1")
    alerting.go()
    assert alerting.told() == [("f", None, DeliveryState.SUPPRESSED, "unreachable")]
    assert alerting.unheard.look(NOW_MS) is not None


def test_every_row_says_when_it_was_tried_first(alerting: Alerting) -> None:
    with writing(alerting.engine) as connection:
        a_fault(connection, "f")
    alerting.go()
    with reading(alerting.engine) as connection:
        first = connection.execute(
            select(deliveries.c.first_at_ms, deliveries.c.attempted_at_ms)
        ).all()
    assert set(map(tuple, first)) == {(NOW_MS, NOW_MS)}
