"""How we do ourselves: the strip under the bar of every page, and the banner of an outage of ours.

Our fault is not theirs: nobody may take what we cannot see for what is not there.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from api.compounds import BLIND_AFTER_MS
from api.console.naming import fault_name, local_time
from api.parts import Dependencies, JournalAway
from api.words import Language, duration, grouped, say
from devices.journal import Head
from devices.store.accounts import FORWARD, JUDGE, Follower, follower
from devices.store.alerts_health import AlertsHealth, read_health
from devices.store.database import reading
from devices.store.overview import is_blind, read_alarms
from devices.store.progress import HISTORY, Progress, under_way
from devices.store.scope import Scope

LOOK_AGAIN_S = 2.0
PROBE_LATE_MS = 15_000
WAITING_MANY = 2_000  # messages; more than a minute of the district's
ALERTS_LATE_MS = 15_000
RATE_OVER_S = 60.0


@dataclass(frozen=True, slots=True)
class OurState:
    """Ourselves at one moment. blind: nobody can be called online. rate: messages a second, if it
    could be told; read_ms: what the database took for it; history: how far a history that is being
    filled in has come, None when there is none or it is complete; alerts: how those who tell people
    of faults do; alarms: codes of our own open faults; critical: open faults of the worst class.
    """

    at_ms: int
    judge: Follower | None
    forward: Follower | None
    head: Head | None
    rate: float | None
    read_ms: float
    history: Progress | None
    alerts: AlertsHealth
    alarms: tuple[str, ...]
    critical: int

    @property
    def blind(self) -> bool:
        return is_blind(self.judge, self.at_ms, BLIND_AFTER_MS)


class OurCopy:
    """States, one for each scope, at most LOOK_AGAIN_S old: what every page says costs little."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._lock = threading.Lock()
        self._states: dict[Scope, tuple[float, OurState]] = {}  # as many as firms, and one
        self._heads: deque[tuple[float, int]] = deque(maxlen=120)

    def get(self, scope: Scope) -> OurState | None:
        """How we do; None when the database cannot be asked."""
        with self._lock:
            kept = self._states.get(scope)
            if kept is not None and time.monotonic() - kept[0] < LOOK_AGAIN_S:
                return kept[1]
            try:
                with reading(self._deps.engine) as connection:
                    return self._look(connection, scope)
            except SQLAlchemyError:
                return None

    def look(self, connection: Connection, scope: Scope) -> OurState:
        """How we do at this moment, as the caller's transaction sees it."""
        with self._lock:
            return self._look(connection, scope)

    def look_again(self) -> None:
        """Ask the database at the next `get`, however recent these copies are."""
        with self._lock:
            self._states.clear()

    def _look(self, connection: Connection, scope: Scope) -> OurState:
        at_ms = self._deps.clock()
        begun_s = time.perf_counter()
        critical, alarms = read_alarms(connection, scope)
        judge, forward = follower(connection, JUDGE), follower(connection, FORWARD)
        history = under_way(connection, HISTORY)
        alerts = read_health(connection, scope, at_ms)
        read_ms = (time.perf_counter() - begun_s) * 1000
        now_s = time.monotonic()
        head = self._head()
        state = OurState(
            at_ms=at_ms,
            judge=judge,
            forward=forward,
            head=head,
            rate=self._rate(head, now_s),
            read_ms=read_ms,
            history=history,
            alerts=alerts,
            alarms=alarms,
            critical=critical,
        )
        self._states[scope] = now_s, state
        return state

    def _head(self) -> Head | None:
        if self._deps.journal is None:
            return None
        try:
            return self._deps.journal.head()
        except JournalAway:
            return None

    def _rate(self, head: Head | None, now_s: float) -> float | None:
        if head is None:
            return None
        heads = self._heads
        if heads and head.jseq < heads[-1][1]:
            heads.clear()  # another journal
        heads.append((now_s, head.jseq))
        while len(heads) > 2 and now_s - heads[0][0] > RATE_OVER_S:
            heads.popleft()
        since_s, jseq = heads[0]
        return (head.jseq - jseq) / (now_s - since_s) if now_s - since_s >= 2 else None


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain from the devices to us. on_phone: shown there too."""

    label: str
    value: str
    is_down: bool = False
    on_phone: bool = False


class Ourselves:
    """How we do in the words of one language, ready to be printed. state: None when the database
    cannot be asked, which is all that is known then."""

    def __init__(self, state: OurState | None, language: Language) -> None:
        self._language = language
        if state is None:
            self.health = [Link(self._say("h_database"), self._say("h_away"), True, on_phone=True)]
            self.is_down, self.outage, self.alarms = True, "", ""
            self.critical, self.as_of = 0, ""
            return
        self.health = list(self._links(state))
        self.outage = self._outage(state)
        self.alarms = self._alarms(state)
        self.is_down = state.blind or any(link.is_down for link in self.health)
        self.critical = state.critical
        self.as_of = local_time(state.at_ms)

    def _links(self, state: OurState) -> list[Link]:
        say_, judge, head = self._say, state.judge, state.head
        watermark_ms = judge.watermark_ms if judge is not None else None
        links = []
        if state.rate is not None:
            links.append(Link(say_("h_field"), say_("h_field_rate", rate=f"{state.rate:.1f}")))
        if watermark_ms is None:
            links.append(Link(say_("h_broker"), say_("h_no_probe"), is_down=True, on_phone=True))
        else:
            age_ms = max(0, state.at_ms - watermark_ms)
            probe = say_("h_probe", age=duration(self._language, age_ms / 1000))
            links.append(Link(say_("h_broker"), probe, age_ms > PROBE_LATE_MS, on_phone=True))
        if head is None:
            links.append(Link(say_("h_journal"), say_("h_journal_unknown")))
        else:
            links.append(Link(say_("h_journal"), say_("h_journal_n", n=grouped(head.jseq))))
        if judge is None:
            links.append(Link(say_("h_judge"), say_("h_never"), is_down=True))
        elif head is not None and head.journal_id == judge.journal_id:
            waiting = max(0, head.jseq - judge.jseq)
            value = say_("h_waiting", n=grouped(waiting))
            links.append(Link(say_("h_judge"), value, waiting > WAITING_MANY, on_phone=True))
        links.append(Link(say_("h_database"), say_("h_ms", ms=f"{state.read_ms:.0f}")))
        if judge is not None:
            behind = max(0, judge.jseq - (state.forward.jseq if state.forward is not None else 0))
            value = say_("h_forward", n=grouped(behind))
            links.append(Link(say_("h_store"), value, behind > WAITING_MANY))
        links.append(self._alerts(state.alerts))
        if state.history is not None:
            percent = 100 * state.history.done // state.history.total
            links.append(Link(say_("h_history"), say_("h_filled", percent=percent)))
        return links

    def _alerts(self, alerts: AlertsHealth) -> Link:
        label, say_ = self._say("alerts"), self._say
        if alerts.is_missing:
            if alerts.seen_ms is None:
                return Link(label, say_("h_never"), is_down=True, on_phone=True)
            still = duration(self._language, (alerts.at_ms - alerts.seen_ms) / 1000)
            return Link(label, say_("h_alerts_still", age=still), is_down=True, on_phone=True)
        if alerts.broken:
            return Link(label, say_("h_alerts_broken", n=alerts.broken), is_down=True)
        if not alerts.targets:
            return Link(label, say_("h_alerts_none"))
        if alerts.behind_ms > ALERTS_LATE_MS:
            late = duration(self._language, alerts.behind_ms / 1000)
            return Link(label, say_("h_alerts_behind", age=late), is_down=True, on_phone=True)
        return Link(label, say_("h_alerts_ok", n=alerts.targets))

    def _outage(self, state: OurState) -> str:
        if not state.blind:
            return ""
        if state.judge is None or state.judge.watermark_ms is None:
            return self._say("outage_never")
        age_s = (state.at_ms - state.judge.watermark_ms) / 1000
        return self._say("outage", age=duration(self._language, age_s))

    def _alarms(self, state: OurState) -> str:
        if not state.alarms:
            return ""
        names = self._say("quoted_list").join(
            fault_name(self._language, code) for code in state.alarms
        )
        return self._say("platform_faults", names=names)

    def _say(self, word: str, **values: object) -> str:
        return say(self._language, word, **values)
