"""The console over a part of the district, as it stands on an evening with trouble of every sort.

Two days are simulated and pass through the product's own parts (journal, judge, forward, sums,
alerts), so that every page has what it is for; people then do what people do. The same every time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from alerts.channels import channels
from alerts.escalation import Escalator
from alerts.handing_on import HandingOn
from alerts.outgoing import Outgoing, parse_allowed
from alerts.pulse import Pulse
from alerts.router import Router
from alerts.sender import Sender
from api.app import create_app
from api.parts import Dependencies
from courtyard.clock import now_ms as wall_clock
from courtyard.grading import COMMIT_AFTER_S, COMMIT_MESSAGES, SimulatedNow
from courtyard.journals import FollowedJournal
from courtyard.mappings import field_tables
from courtyard.messenger import Messenger
from courtyard.settings import load_settings
from courtyard.simulation import JournalSink, Staged
from courtyard.usage import day_recount
from courtyard.web import JournalForApi
from devices.alerts import ChannelName, Route, Target
from devices.catalogue import rules_for
from devices.credentials import Seal
from devices.journal import MESSAGES, Raw
from devices.judgement import LIVE
from devices.kinds import KINDS
from devices.registry import Contact, Registry
from devices.rosters import Person, Roster
from devices.rules import Severity
from devices.store import registry as registry_rows
from devices.store import tokens, users
from devices.store.cursors import ForwardCursor
from devices.store.database import open_database, upgrade, writing
from devices.store.journal import Draft, JournalReader, JournalWriter
from devices.store.judgements import Judgements
from devices.store.rosters import add_person, add_roster
from devices.store.targets import add_route, add_target
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.usage_again import UsageAgain
from devices.store.usage_days import UsageDays, in_portions
from devices.store.users import NewUser
from devices.sun import lighting_hours
from ingest.consume import Consumer
from ingest.forward import Forwarder
from ingest.judge.plan import plans
from ingest.ports import Bell
from ingest.recount import Recounter
from simulators.history import PROBE_MS, Reception, write_history
from simulators.robots import Robots
from simulators.scenario import Moment, Scenario
from simulators.scenario import read as read_scenario
from tests.api.cast import PASSWORD, PASSWORDS, SECRET, FakeExports

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
SELDOM_MS = 10_000  # a few large records are judged sooner than many small ones
LAST_MS = 90 * MINUTE_MS  # as long before the end, alerts go out minute by minute
ROBOT_TOKEN, ROBOT_SECRET = "0123456789abcdef", "SEC0123456789abcdef0123456789abcdef"


def scenario(compounds: int, hours: int | None) -> Scenario:
    """What happens in the first so many compounds, at least 9.

    hours: only so many before the end; what began earlier then begins at once.
    """
    read = read_scenario(Path(__file__).with_suffix(".toml").read_text("utf-8"), "evening.toml")
    assert read.start_ms is not None
    assert read.duration_ms is not None
    if hours is None:
        return replace(read, compounds=compounds)
    end_ms = read.start_ms + read.duration_ms
    start_ms = end_ms - hours * HOUR_MS
    later = [
        replace(plan, moment=Moment(max(MINUTE_MS, plan.moment.at_ms(read.start_ms) - start_ms)))
        for plan in read.plans
    ]
    return replace(
        read,
        compounds=compounds,
        start_ms=start_ms,
        duration_ms=end_ms - start_ms,
        plans=tuple(later),
        ours=(),
    )


@dataclass
class Evening:
    """A running console and who may log in to it. tokens: by name, like `operator`, `zhengmei`."""

    engine: Engine
    app: FastAPI
    robots: Robots
    now_ms: int
    new_robot: str = ""  # the address of a group's robot that nobody leads to yet
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, name: str) -> TestClient:
        return TestClient(
            self.app,
            headers={"Authorization": f"Bearer {self.tokens[name]}"},
            follow_redirects=False,
        )

    def session(self, name: str) -> str:
        """What the cookie of somebody who has logged in holds."""
        with writing(self.engine) as connection:
            who = tokens.identify(connection, self.tokens[name], self.now_ms)
            assert who is not None
            return tokens.open_session(connection, who.token_id, self.now_ms)


class _CaughtUp(Bell):
    """Ends whoever waits for something new to read."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = threading.Event()

    def wait(self, heard: int, timeout_s: float) -> int:
        self.stop.set()
        return heard


class _Clock:
    """The evening's while it is played, and for robots the wall's afterwards: they check signs."""

    def __init__(self, now: SimulatedNow) -> None:
        self._now = now
        self.is_over = False

    def __call__(self) -> int:
        return wall_clock() if self.is_over else self._now()


@contextmanager
def evening(directory: Path, compounds: int = 9, hours: int | None = None) -> Iterator[Evening]:
    """Play it into an empty directory, and open the console over what is there then."""
    plan = scenario(compounds, hours)
    assert plan.start_ms is not None
    assert plan.duration_ms is not None
    end_ms = plan.start_ms + plan.duration_ms
    now = SimulatedNow(plan.start_ms)
    robots_clock = _Clock(now)
    engine = open_database(f"sqlite:///{directory / 'courtyard.db'}")
    event.listen(engine, "connect", _without_waiting)
    telemetry = EmbeddedTelemetry(directory / "telemetry.db")
    robots = Robots(robots_clock)
    robots.start()
    journal = FollowedJournal(directory / "journal.db")
    try:
        upgrade(engine)
        with writing(engine) as connection:
            registry_rows.save(connection, _with_phones(plan.registry()), plan.start_ms)
        new_robot = _staff(engine, robots, plan.start_ms)
        _play(_Parts(engine, telemetry, Staged(plan, plan.seed), directory / "journal.db", now))
        robots_clock.is_over = True
        settings = load_settings(
            {"COURTYARD_DATA_DIR": str(directory), "COURTYARD_ALERTS_ALLOW": "127.0.0.1"}
        )
        made = Evening(engine, FastAPI(), robots, end_ms, new_robot)
        made.tokens = _tokens(engine, end_ms)
        made.app = create_app(
            Dependencies(
                engine=engine,
                telemetry=telemetry,
                journal=JournalForApi(journal, Seal(SECRET)),
                clock=lambda: end_ms,
                secret_key=SECRET,
                demo=False,
                version="0.0.test",
                messenger=Messenger(settings),
                exports=FakeExports(directory / "exports"),
                recount=day_recount(engine, telemetry),
                field_tables=field_tables(),
                passwords=PASSWORDS,
            )
        )
        _people_do(made)
        yield made
    finally:
        robots.stop()
        journal.close()
        telemetry.close()
        engine.dispose()


def _without_waiting(connection: Any, _record: object) -> None:
    """No fsync: what is killed begins anew."""
    connection.execute("PRAGMA synchronous = OFF")


def _with_phones(known: Registry) -> Registry:
    """Each firm with somebody to call."""
    duty = (Contact("值班室", "037155550100", "值班"),)
    firms = [replace(firm, contacts=duty) for firm in known.firms.values()]
    return Registry(firms, known.compounds.values(), known.devices.values())


def _tokens(engine: Engine, at_ms: int) -> dict[str, str]:
    with writing(engine) as connection:
        return {
            "operator": tokens.create(connection, "operator", None, "李敏", at_ms),
            "zhengmei": tokens.create(connection, "firm", "zhengmei", "王建国", at_ms),
            "viewer": tokens.create(connection, "viewer", None, "巡查", at_ms),
        }


def _staff(engine: Engine, robots: Robots, at_ms: int) -> str:
    """Whom there is to tell: a group of the district's, one of a firm's, and who is on duty."""
    by: dict[str, Any] = {"created_by": "li-min", "created_at_ms": at_ms}
    duty = robots.dingtalk("区值班群", "d" * 16, secret=ROBOT_SECRET)
    firm = robots.wecom("正美物业群", "w" * 16)
    new = robots.dingtalk("新的群", ROBOT_TOKEN, secret=ROBOT_SECRET)
    serious = (Severity.P1, Severity.P2)
    with writing(engine) as connection:
        add_target(
            connection,
            Target(
                id="duty",
                name="区值班群",
                channel=ChannelName.DINGTALK,
                url=duty,
                secrets=(ROBOT_SECRET,),
                **by,
            ),
        )
        add_target(
            connection,
            Target(
                id="zhengmei-group",
                name="正美物业群",
                channel=ChannelName.WECOM,
                url=firm,
                firm="zhengmei",
                **by,
            ),
        )
        for id_, name in (("li-wei", "李伟"), ("wang-fang", "王芳"), ("zhao-min", "赵敏")):
            person = Person(id_, name, phone="13800000001", targets=("duty",), **by)
            add_person(connection, person)
        add_roster(
            connection,
            Roster(
                id="district",
                name="区值班",
                people=("li-wei", "wang-fang", "zhao-min"),
                starts_on=date(2026, 11, 20),
                **by,
            ),
        )
        add_route(connection, Route(id="on-duty", roster="district", severities=serious, **by))
        add_route(
            connection,
            Route(id="of-zhengmei", target="zhengmei-group", firm="zhengmei", **by),
        )
        for name, display, role, of in (
            ("li-min", "李敏", "operator", None),
            ("wang-jianguo", "王建国", "firm", "zhengmei"),
            ("xuncha", "巡查", "viewer", None),
        ):
            user = NewUser(name, display, role, of, None, PASSWORDS.hashed(PASSWORD))
            users.add_user(connection, user, "li-min", at_ms)
    return new


class _Parts:
    """The product's parts in the order in which they depend on each other."""

    def __init__(
        self,
        engine: Engine,
        telemetry: EmbeddedTelemetry,
        played: Staged,
        journal: Path,
        now: SimulatedNow,
    ) -> None:
        self.played, self.journal, self.now = played, journal, now
        self.fleet = played.fleet(now.at_ms)
        self.judgements = Judgements(engine, LIVE)
        self.consumer = Consumer(
            self.judgements,
            plans(rules_for, KINDS),
            now,
            stream=LIVE,
            commit_after_s=COMMIT_AFTER_S,
            commit_messages=COMMIT_MESSAGES,
            at_once=False,
        )
        self.forwarder = Forwarder(
            telemetry,
            ForwardCursor(engine),
            self.judgements.registry,
            now,
            gather_s=0.0,
            monotonic=lambda: now.at_ms / 1000,
        )
        self.recounter = Recounter(
            UsageAgain(engine), telemetry, plans(rules_for, KINDS), lighting_hours, now
        )
        self.days = UsageDays(engine)
        self.router = Router(engine, now)
        self.timely = (HandingOn(engine, now), Escalator(engine, now), Pulse(engine, now))
        self.sender = Sender(
            engine,
            channels(None),
            Outgoing(parse_allowed("127.0.0.1")),
            now,
            me="evening",
            jitter=lambda: 0.5,
        )

    def tell(self) -> None:
        """Whatever is due goes out."""
        while self.router.step():
            pass
        for one in self.timely:
            one.step()
        stop = threading.Event()
        for target in self.sender.ready():
            self.sender.serve(target, stop)

    def sum_up(self) -> None:
        due: dict[str, list[int]] = {}
        for compound, day_ms in self.days.due(self.now.at_ms):
            due.setdefault(compound, []).append(day_ms)
        for work in [*in_portions(due), *self.days.missing(self.now.at_ms)]:
            self.days.build(work, self.now.at_ms)
            self.days.build_peaks(work.compound)


def _play(parts: _Parts) -> None:
    plan = parts.played.scenario
    assert plan.start_ms is not None
    assert plan.duration_ms is not None
    start_ms, end_ms = plan.start_ms, plan.start_ms + plan.duration_ms
    reception = Reception(parts.fleet, start_ms, parts.played.troubles(start_ms))
    at_ms, probe = start_ms, 1
    with JournalWriter(parts.journal, parts.now) as writer, JournalReader(parts.journal) as reader:
        while at_ms < end_ms:
            step_ms = MINUTE_MS if at_ms >= end_ms - LAST_MS else HOUR_MS
            until_ms = min(at_ms + step_ms - at_ms % step_ms, end_ms)
            if at_ms < end_ms - LAST_MS:
                until_ms = min(until_ms, end_ms - LAST_MS)
            written = write_history(
                parts.fleet,
                at_ms,
                until_ms,
                JournalSink(writer),
                first_probe=probe,
                opens=at_ms == start_ms,
                closes=False,
                reception=reception,
                probe_ms=SELDOM_MS if step_ms == HOUR_MS else PROBE_MS,
                batch_ms=SELDOM_MS,
            )
            if until_ms == end_ms:
                writer.commit([_strangers(end_ms)])
            parts.now.at_ms = until_ms
            parts.consumer.drain(reader)
            caught_up = _CaughtUp()
            parts.forwarder.run(reader, caught_up, caught_up.stop)
            parts.tell()
            if step_ms == HOUR_MS or until_ms == end_ms:
                while parts.recounter.step(threading.Event()):
                    pass
                parts.sum_up()
            at_ms, probe = until_ms, written.next_probe


def _strangers(at_ms: int) -> Draft:
    """Messages that cannot be taken: of a stranger, cut off, with a script in them."""
    root = b"courtyard/v1/xiangyunli/gate/"
    raws = (
        (root + b"xiangyunli-gate-9/telemetry", b'{"values": {"door_state": "closed"}}'),
        (root + b"xiangyunli-gate-1/telemetry", b'{"values": {"door_st'),
        (
            root + b"xiangyunli-gate-1/telemetry",
            b'{"note": "<script>window.hurt = true</script>", "values": "\\u003cimg src=x\\u003e"}',
        ),
    )
    messages = [Raw(topic, payload, 0, at_ms - 1000, "xiangyunli") for topic, payload in raws]
    return Draft(MESSAGES, 1, messages)


def _people_do(made: Evening) -> None:
    """What staff have done by now: acknowledged, assigned, shelved, commented, planned work."""
    client = made.client("operator")
    faults = client.get("/v1/faults?state=open&limit=200").json()["items"]
    by_code = {fault["code"]: fault["id"] for fault in reversed(faults)}

    def do(code: str, action: str, **body: object) -> None:
        if code in by_code:
            answer = client.post(f"/v1/faults/{by_code[code]}/{action}", json=body)
            assert answer.status_code < 300, (code, action, answer.text)

    do("GW_OFFLINE", "acknowledge")
    do("GW_OFFLINE", "assign", assignee="李伟")
    do("CCTV_NOT_RECORDING", "comment", note="硬盘已下单，明天到货")
    do("SHED_WEAK_SIGNAL", "shelve", until="2026-11-24T09:00:00+08:00", note="换天线已排期")
    do("LAMP_FAILURE", "acknowledge")
    do("LAMP_FAILURE", "onsite")
    window = {
        "compound": "lvyun-xiaoqu",
        "kind": "camera",
        "starts_at": "2026-11-23T19:00:00+08:00",
        "ends_at": "2026-11-23T22:00:00+08:00",
        "reason": "更换录像机硬盘",
        "owner": "赵敏",
    }
    for body in (
        window,
        window
        | {
            "compound": "xiangyunli",
            "kind": "gate",
            "starts_at": "2026-11-25T09:00:00+08:00",
            "ends_at": "2026-11-25T11:30:00+08:00",
            "reason": "门锁保养",
        },
    ):
        answer = client.post("/v1/maintenance", json=body)
        assert answer.status_code == 201, answer.text
