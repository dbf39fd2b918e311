"""The driver of the judge: loads its state, feeds it the journal, commits effects and cursor.

1. load what was committed: registry, device states, standing faults, cursor
2. read records after the cursor, decode them, judge them
3. commit when a fault moved, as soon as what was read with it is judged; else, and in a backlog,
   COMMIT_AFTER_S after the first message, or somewhat later where a commit takes long: the more
   there is to write, the more messages share a device's row
4. at the borders, read what people decided meanwhile: registry, actions on faults, and which
   messages of the quarantine are to be judged again
5. whenever the store was away, or somebody was faster, drop everything and begin at 1

A message that kills the process is given up by `ingest.blame`. A commit that the database refuses
is made again record by record, and of the record that is refused the messages that it is refused
for are put into quarantine; where it takes nothing at all, no message is at fault, and it waits.
"""

import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

import structlog

from devices.credentials import Seal
from devices.faults import FaultMoved
from devices.journal import Head, Raw, Record
from devices.judgement import Cursor, Effects, InQuarantine, Replayed, Revision
from devices.messages import Decoded, Reading, Reason
from devices.registry import Registry
from devices.rule_files import read_what_fits
from devices.store.database import DatabaseAway, DatabaseRefused
from devices.store.failpoints import failpoint
from devices.store.journal import JournalDamaged, JournalError
from devices.store.maintenance import MAINTENANCE
from devices.store.quarantine import REPLAY
from devices.store.rule_sets import RULES
from devices.store.schema import LIVE
from devices.sun import lighting_hours
from ingest.blame import REQUESTS, Blame
from ingest.decode import Decoder
from ingest.decoding import SharedDecodes
from ingest.judge.judge import Judge
from ingest.judge.plan import Plans, calm_range
from ingest.ports import Bell, Clock, JournalSource, JudgeStore
from ingest.receipts import Receipt
from ingest.redaction import redacted, without_people

log = structlog.get_logger()

COMMIT_AFTER_S = 0.2
COMMIT_AFTER_AT_MOST_S = 0.5
COMMIT_SHARE = 0.1  # of the time may go into commits, before they are made less often
COMMIT_MESSAGES = 20_000  # a commit stays short, also when a backlog is read
READ_RECORDS = 16  # of at most 1,000 messages each
REVISIONS_EVERY_S = 1.0
FORGET_EVERY_S = 3600.0
BACK_OFF_S = (0.1, 0.5, 2.0, 5.0)
CRASHED = "the process died three times in a row while it decoded this message"
MOVED_TRIES = 20  # so often in a row somebody may be faster, before it is no coincidence


class RefusesAll(DatabaseAway):
    """The database answers and takes nothing: a table or a right is missing. Repair it."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """A commit that was refused: why, up to which record, and what was in it.

    records: those in it; of more than two, two of them. asked: messages of the quarantine that were
    judged again; they are committed by themselves.
    """

    why: str
    position: int
    records: Sequence[Record]
    asked: frozenset[int]


@dataclass(slots=True)
class Progress:
    """For metrics and the watchdog; written by the consumer alone."""

    position: int = 0
    jseq: int = 0
    messages: int = 0
    commits: int = 0
    newest_received_ms: int = 0  # of what was judged and committed
    reloads: int = 0


class Consumer:
    """Follows one journal for one stream.

    at_once: a fault that moves is committed with what was read with it; a history, of which nobody
    is told, is committed in larger pieces. blame: notes what is in hand, for the next start. find:
    a message of the journal by its number, where the quarantine did not keep it. receipts: told
    after each commit what the devices that asked for it need not keep. seal: replaces what tells
    people apart, which is left out without it. Raises CursorMoved from
    `run` and `drain` when another judge works on the same stream, and FaultMoved when a fault
    cannot be moved however often it is tried.
    """

    def __init__(
        self,
        store: JudgeStore,
        plans: Plans,
        clock: Clock,
        *,
        stream: str,
        decodes: SharedDecodes | None = None,
        commit_after_s: float = COMMIT_AFTER_S,
        commit_messages: int = COMMIT_MESSAGES,
        at_once: bool = True,
        blame: Blame | None = None,
        find: Callable[[int], Raw | None] = lambda _: None,
        receipts: Callable[[Sequence[Receipt]], None] = lambda _: None,
        seal: Seal | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._plans = plans
        self._clock = clock
        self._stream = stream
        self._decodes = decodes
        self._commit_after_s = commit_after_s
        self._due_after_s = commit_after_s
        self._commit_messages = commit_messages
        self._at_once = at_once
        self._blame = blame if blame is not None else Blame()
        self._find = find
        self._receipts = receipts
        self._seal = seal
        self._monotonic = monotonic
        self._judge: Judge | None = None
        self._decoder: Decoder | None = None
        self._cursor: Cursor | None = None
        self._head: Head | None = None
        self._journal_id = ""
        self._position = 0
        self._revision = 0
        self._uncommitted_since: float | None = None
        self._looked_s = -REVISIONS_EVERY_S
        self._forgot_s = -FORGET_EVERY_S
        self._newest_ms = 0
        self._moved_tries = 0
        self._taken: list[Record] = []  # at most two, of those not committed: is it one, or more?
        self._refused: _Refused | None = None
        self._singly_to = 0  # up to this record each one is committed by itself
        self._unwanted: dict[int, str] = {}  # messages that the database refuses, and why
        self._asked: set[int] = set()  # of the quarantine, judged again and not committed
        self._hopeless: dict[int, str] = {}  # of those, what the database refuses, and why
        self._asked_singly = False
        self.progress = Progress()

    def run(self, source: JournalSource, bell: Bell, stop: threading.Event) -> None:
        """Follow `source` until `stop`; what was judged by then is committed."""
        heard = 0
        failures = 0
        while not stop.is_set():
            try:
                self._mend()
                if self._judge is None:
                    self._load(source.head())
                if not self._step(source):
                    heard = bell.wait(heard, self._patience_s())
                failures = 0
            except FaultMoved as error:
                stop.wait(self._was_moved(error))
            except DatabaseRefused as error:
                self._was_refused(error)
            except JournalDamaged:
                raise  # waiting does not mend it
            except (DatabaseAway, JournalError) as error:
                self._drop()
                if failures == 0:
                    _tell(self._stream, error)
                stop.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
                failures += 1
        if self._judge is not None and self._uncommitted_since is not None:
            try:
                self._commit()
            except (DatabaseAway, DatabaseRefused, FaultMoved):
                self._drop()  # uncommitted: the next start judges it again

    def drain(self, source: JournalSource) -> None:
        """Judge all that `source` has and commit it. Raises DatabaseAway, JournalError."""
        while True:
            try:
                self._mend()
                if self._judge is None or self._journal_id != source.head().journal_id:
                    self._load(source.head())
                while self._step(source):
                    pass
                if self._uncommitted_since is not None:
                    self._commit()
            except FaultMoved as error:
                self._was_moved(error)
            except DatabaseRefused as error:
                self._was_refused(error)
            except BaseException:
                self._drop()  # it may have judged half of a record
                raise
            else:
                return

    def finish(self, now_ms: int) -> None:
        """End a back-filled history that was drained: close what stands open in it.

        Raises DatabaseAway.
        """
        while self._head is not None:
            try:
                if self._judge is None:
                    self._load(self._head)
                if self._judge is not None:
                    self._judge.finish(now_ms)
                self._commit()
            except FaultMoved as error:
                self._was_moved(error)
            except BaseException:
                self._drop()
                raise
            else:
                return

    def _was_moved(self, error: FaultMoved) -> float:
        """Drop everything, to judge it again; gives how long to wait before that, in seconds."""
        self._drop()
        self._moved_tries += 1
        if self._moved_tries >= MOVED_TRIES:
            raise error
        if self._moved_tries == 1:
            return 0.0
        log.warning("fault_moved_again", stream=self._stream, error=str(error))
        return BACK_OFF_S[min(self._moved_tries, len(BACK_OFF_S)) - 1]

    # What the database refuses

    def _was_refused(self, error: DatabaseRefused) -> None:
        """Drop everything, and note what was tried: `_mend` sees to it at the next turn."""
        records, asked = list(self._taken), frozenset(self._asked)
        self._refused = _Refused(str(error), self._position, records, asked)
        log.warning("commit_refused", stream=self._stream, position=self._position, why=str(error))
        self._drop()

    def _mend(self) -> None:
        """Find a way past a commit that was refused. Raises RefusesAll while there is none."""
        refused = self._refused
        if refused is None:
            return
        if not self._store.is_sound(self._clock()):
            raise RefusesAll(f"the database takes nothing: {refused.why}")
        match refused.records:
            case [record]:
                self._sift(record)
            case [_, _]:
                self._singly_to = max(self._singly_to, refused.position)
            case _:
                self._refused = None
                self._mend_asked(refused)
        self._refused = None

    def _mend_asked(self, refused: _Refused) -> None:
        if len(refused.asked) > 1:
            self._asked_singly = True
            return
        for asked in refused.asked - self._hopeless.keys():
            log.error("replayed_message_refused_by_database", id=asked, why=refused.why)
            self._hopeless[asked] = refused.why
            return
        raise RefusesAll(f"what people decided is refused: {refused.why}")

    def _sift(self, record: Record) -> None:
        """Find the messages of a record without which the database takes it.

        By halves: the message that turns a beginning that it takes into one that it refuses. A
        message that is quarantined for it changes what the rest leads to, so then all anew.
        """
        why = self._refusal(record, 0)
        if why is not None:
            raise RefusesAll(f"record {record.id} is refused for none of its messages: {why}")
        while (why := self._refusal(record, len(record.messages))) is not None:
            low, high = 0, len(record.messages)
            while high - low > 1:
                middle = (low + high) // 2
                found = self._refusal(record, middle)
                if found is None:
                    low = middle
                else:
                    high, why = middle, found
            jseq = record.first_jseq + high - 1
            if jseq in self._unwanted:
                raise RefusesAll(f"message {jseq} is refused even as a row of quarantine: {why}")
            log.error("message_refused_by_database", jseq=jseq, record=record.id, why=why)
            self._unwanted[jseq] = why
        self._drop()

    def _refusal(self, record: Record, count: int) -> str | None:
        """Why the database would refuse the record with its first `count` messages; else None."""
        self._drop()
        if self._head is None:
            raise RuntimeError("nothing was loaded")
        self._load(self._head)
        judge, decoder = self._judge, self._decoder
        if judge is None or decoder is None:
            raise RuntimeError("nothing was loaded")
        beginning = replace(record, count=count, messages=record.messages[:count])
        self._judge_record(judge, decoder, beginning, None)
        effects = self._effects_of(judge)
        effects.revision = self._revision
        return self._store.refusal(effects, self._journal_id, self._cursor, self._clock())

    def _load(self, head: Head) -> None:
        """Take everything from committed rows, or go on in a new journal."""
        if self._judge is None:
            self._load_judge()
        cursor = self._cursor
        self._head = head
        self._journal_id = head.journal_id
        if self._decodes is not None:
            self._decodes.begin(head.journal_id)
        if cursor is None:
            self._position = 0
        elif cursor.journal_id == head.journal_id:
            self._position = cursor.position
            if cursor.position > head.id:
                log.error("cursor_ahead_of_journal", cursor=cursor.position, head=head.id)
        else:
            if self._stream == LIVE:
                log.error("journal_replaced", was=cursor.journal_id, now=head.journal_id)
            self._position = 0
        self._blame.stands(self._journal_id, self._position)
        self._blame.stands(REQUESTS, self._revision)
        if self._judge is not None:
            self._judge.effects.position = self._position
        while self._look():
            pass

    def _load_judge(self) -> None:
        newest = self._store.newest_revision()
        registry = self._store.registry()
        self._take_rules()
        saved = self._store.load()
        judge = Judge(
            registry,
            self._plans,
            stream=self._stream,
            seen_before=self._store.knows,
            recall=self._store.session,
            lighting=lighting_hours,
        )
        judge.load(saved, self._today_ms())
        judge.windows_changed(self._store.windows(judge.hearing.watermark_ms or 0))
        # The district's state lives as long as the process: measured, the collector's walks
        # over it cost more than judging does (12 µs a message against 5). What was there before
        # and was dropped goes first, or it would stay for ever.
        if self.progress.reloads:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._judge = judge
        self._decoder = self._a_decoder(registry)
        self._cursor = saved.cursor
        # What people decided since the last commit, and what it means, is looked at again.
        self._revision = newest if saved.cursor is None else saved.cursor.revision
        self._uncommitted_since = None
        self.progress.reloads += 1

    def _a_decoder(self, registry: Registry) -> Decoder:
        return Decoder(registry, calm=partial(calm_range, self._plans), seal=self._seal)

    def _today_ms(self) -> int:
        """The day by which devices are in service; in a history all are that ever were."""
        return self._clock() if self._stream == LIVE else 0

    def _drop(self) -> None:
        self._judge = None
        self._taken.clear()
        self._asked.clear()
        self._blame.put_back()
        self._uncommitted_since = None
        if self._decodes is not None:
            self._decodes.begin("")

    def _step(self, source: JournalSource) -> bool:
        """Judge what there is, commit if it is time; whether there was anything."""
        records = source.read(self._position, READ_RECORDS)
        for record in records:
            if record.id != self._position + 1:
                log.error("journal_gap", expected=self._position + 1, found=record.id)
            self._take(record)
            self._commit_if_due()
        # Of a backlog, which is what fills a read, faults are told sooner together than each alone.
        if self._has_moved and len(records) < READ_RECORDS:
            self._commit()
        self._commit_if_due()
        self._look_around()
        return bool(records)

    def _take(self, record: Record) -> None:
        judge, decoder = self._judge, self._decoder
        if judge is None or decoder is None:
            raise RuntimeError("nothing was loaded")
        if record.messages:
            self._newest_ms = record.messages[-1].received_ms
        if len(self._taken) < 2:
            self._taken.append(record)
        self._judge_record(judge, decoder, record, self._decodes)
        self._position = record.id
        self._note_work()
        alone = self._blame.is_hasty or record.id <= self._singly_to
        if alone or judge.effects.messages >= self._commit_messages:
            self._commit()

    def _judge_record(
        self, judge: Judge, decoder: Decoder, record: Record, decodes: SharedDecodes | None
    ) -> None:
        """Decode and judge; decodes: who is told what it says."""
        if self._blame.take(self._journal_id, record.id) and record.messages:
            decoded = self._judge_one_by_one(judge, decoder, record)
            if decodes is not None:
                decodes.put(record, decoded)
            return
        decoded = self._decode(decoder, record)
        if decodes is not None:
            decodes.put(record, decoded)
        failpoint("J7")
        judge.judge(record, decoded)

    def _judge_one_by_one(
        self, judge: Judge, decoder: Decoder, record: Record
    ) -> list[Decoded | Reading]:
        """Judge each message by itself, so that the one that kills the process is known."""
        said: list[Decoded | Reading] = []
        for n, raw in enumerate(record.messages):
            jseq = record.first_jseq + n
            message = replace(record, first_jseq=jseq, count=1, messages=(raw,))
            if self._blame.take_message(jseq):
                decoded = self._decode(decoder, message)
                failpoint("J7")
            else:
                log.error("message_given_up", jseq=jseq, record=record.id)
                decoded = [Decoded(None, [], reason=Reason.CRASHED_DECODER, detail=CRASHED)]
            judge.judge(message, decoded)
            self._blame.put_message()
            said += decoded
        return said

    def _decode(self, decoder: Decoder, record: Record) -> list[Decoded | Reading]:
        read = decoder.read
        decoded = [read(raw) for raw in record.messages]
        for jseq, why in self._unwanted.items():
            n = jseq - record.first_jseq
            if 0 <= n < len(decoded):
                decoded[n] = _refused(decoded[n], why)
        return decoded

    @property
    def _has_moved(self) -> bool:
        """Whether a fault moved, of which somebody may be waiting to be told."""
        return self._at_once and self._judge is not None and bool(self._judge.effects.moves)

    def _commit_if_due(self) -> None:
        since = self._uncommitted_since
        if since is not None and self._monotonic() - since >= self._due_after_s:
            self._commit()

    def _patience_s(self) -> float:
        since = self._uncommitted_since
        if since is None:
            return REVISIONS_EVERY_S
        return max(0.0, self._due_after_s - (self._monotonic() - since))

    def _commit(self) -> None:
        judge = self._judge
        if judge is None:
            return
        started_s = self._monotonic()
        effects = self._effects_of(judge)
        effects.revision = self._revision
        failpoint("J1", DatabaseAway)
        self._cursor = self._store.commit(effects, self._journal_id, self._cursor, self._clock())
        failpoint("J4", DatabaseAway)
        if effects.receipts:
            self._tell_devices(judge, effects.receipts)
        self._blame.committed()
        self._taken.clear()
        self._asked.clear()
        self._unwanted = {jseq: w for jseq, w in self._unwanted.items() if jseq > effects.jseq}
        took_s = self._monotonic() - started_s
        pace_s = min(took_s / COMMIT_SHARE, COMMIT_AFTER_AT_MOST_S)
        self._due_after_s = max(self._commit_after_s, pace_s)
        self._uncommitted_since = None
        self._moved_tries = 0
        progress = self.progress
        progress.position, progress.jseq = effects.position, effects.jseq
        progress.messages += effects.messages
        progress.newest_received_ms = self._newest_ms
        progress.commits += 1

    def _tell_devices(self, judge: Judge, stored: Mapping[str, tuple[int | None, int]]) -> None:
        """After the commit, so that a device lets go only of what is in. Told late or not at all,
        it sends again, and that is a duplicate."""
        failpoint("J8")
        devices = judge.registry.devices
        self._receipts(
            [Receipt(devices[name], *at) for name, at in stored.items() if name in devices]
        )

    def _look_around(self) -> None:
        """At a batch border: what did people decide, and what may be forgotten?"""
        now_s = self._monotonic()
        if now_s - self._looked_s < REVISIONS_EVERY_S:
            return
        self._looked_s = now_s
        self._look()
        if now_s - self._forgot_s >= FORGET_EVERY_S and not self._store.forget_keys(self._clock()):
            self._forgot_s = now_s  # a bounded number at a time: until then, again in a second

    def _look(self) -> bool:
        """Take over what people decided; whether there was anything."""
        judge = self._judge
        if judge is None:
            return False
        revisions = self._store.revisions_after(self._revision)
        if any(one.what == "registry" and one.id > judge.registry.revision for one in revisions):
            registry = self._store.registry()
            self._decoder = self._a_decoder(registry)
            judge.registry_changed(registry, self._today_ms())
            self._note_work()
        if any(one.what == RULES for one in revisions):
            self._take_rules()
            self._decoder = self._a_decoder(judge.registry)
            judge.rules_changed(self._plans, self._clock())
            self._note_work()
        if any(one.what == MAINTENANCE for one in revisions):
            judge.windows_changed(self._store.windows(judge.hearing.watermark_ms or 0))
        for revision in revisions:
            if revision.what == REPLAY and self._stream == LIVE:
                self._replay(judge, revision)
            fault = self._store.fault(revision.subject) if revision.what == "fault" else None
            if fault is not None:
                judge.person_moved(fault, self._clock())
                self._note_work()
            self._revision = revision.id
            if self._asked and (self._asked_singly or self._blame.is_hasty):
                self._commit()
        if self._asked:
            self._commit()
        self._asked_singly = False
        return bool(revisions)

    def _take_rules(self) -> None:
        """Plans by the rule file that counts now."""
        rules = self._store.rules()
        if rules.number == self._plans.overrides.number:
            return
        overrides, problems = read_what_fits(rules.body, number=rules.number)
        for problem in problems:  # a newer version has other rules than those it was checked by
            log.error("rule_no_longer_fits", rule_set=rules.number, problem=str(problem))
        self._plans = self._plans.using(overrides)
        log.info("rules_taken", rule_set=rules.number, changes=len(overrides.changes))

    # What is judged again

    def _replay(self, judge: Judge, revision: Revision) -> None:
        """Judge a message of the quarantine again, unless that was done already."""
        if not self._asked and self._uncommitted_since is not None:
            self._commit()  # what the database may refuse of the one is not to cost the other
        self._note_work()
        asked = self._store.in_quarantine(int(revision.subject))
        if asked is None or asked.partial or asked.replayed or asked.id in self._asked:
            return
        raw = self._whole(asked)
        if raw is None:
            log.warning("not_kept_for_replay", id=asked.id, reason=asked.reason)
            return
        self._blame.take(REQUESTS, revision.id)
        said = self._said_again(asked, raw)
        verdict = judge.replay(raw, said, asked.reason, revision.at_ms)
        self._blame.put_message()
        self._asked.add(asked.id)
        judge.effects.replayed.append(
            Replayed(
                asked.id,
                asked.reason,
                verdict.outcome,
                verdict.reason,
                verdict.detail,
                said.device.id if said.device is not None else None,
                revision.at_ms,
                None
                if asked.is_whole
                else without_people(raw.payload, asked.raw.origin, self._seal),
            )
        )

    def _said_again(self, asked: InQuarantine, raw: Raw) -> Decoded:
        why = self._hopeless.get(asked.id)
        if why is not None:
            return Decoded(None, [], reason=Reason.REFUSED_BY_DATABASE, detail=why)
        if self._decoder is None:
            raise RuntimeError("nothing was loaded")
        if not self._blame.take_message(asked.jseq):
            log.error("message_given_up", jseq=asked.jseq, id=asked.id)
            return Decoded(None, [], reason=Reason.CRASHED_DECODER, detail=CRASHED)
        return self._decoder.decode(raw)

    def _effects_of(self, judge: Judge) -> Effects:
        """What has gathered, without anything that tells people apart."""
        effects = judge.take_effects()
        effects.refused = [redacted(row, self._seal) for row in effects.refused]
        return effects

    def _whole(self, asked: InQuarantine) -> Raw | None:
        """The message as it came: from its row, else from the journal; None: nobody has it."""
        raw: Raw | None = asked.raw
        if not asked.is_whole:
            raw = self._find(asked.jseq) if asked.journal_id == self._journal_id else None
        if raw is None or sha256(raw.payload).hexdigest() != asked.sha256:
            return None  # of a message that was too large only its beginning
        return raw._replace(origin=asked.raw.origin)

    def _note_work(self) -> None:
        """There is something to commit from now on."""
        if self._uncommitted_since is None:
            self._uncommitted_since = self._monotonic()


def _tell(stream: str, error: Exception) -> None:
    if isinstance(error, RefusesAll):
        log.error("database_takes_nothing", stream=stream, error=str(error))
    else:
        log.warning("judge_waits", stream=stream, error=str(error))


def _refused(said: Decoded | Reading, why: str) -> Decoded:
    return Decoded(said.device, [], reason=Reason.REFUSED_BY_DATABASE, detail=why)
