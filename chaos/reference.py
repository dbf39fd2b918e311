"""What the same messages lead to when nothing disturbs them.

The messages of the plan, in its order and received when they were sent, go through the product's
own journal, decoder, judge and database, in this process, into a fresh directory. Only messages
that the disturbed run received at all take part: what a broker lost can have no effect. Time ends
with the last of them, for publishers may be ended before they have sent all that was planned.
"""

from collections.abc import Iterable, Set
from pathlib import Path

from chaos.district import Plan, messages
from courtyard.origin import Origins
from devices.catalogue import rules_for
from devices.journal import MESSAGES, PROBE, START, Raw
from devices.kinds import KINDS
from devices.store.database import open_database, reading
from devices.store.journal import Draft, JournalReader, JournalWriter
from devices.store.judgements import Judgements
from devices.store.registry import load
from devices.store.schema import LIVE
from ingest.consume import Consumer
from ingest.judge.plan import plans

BATCH = 500
PROBE_EVERY_MS = 5_000
GAP_MS = 10_000  # a plan has such gaps only where the broker is away
SETTLE_MS = 20_000  # goes on so long after the last message


def run_reference(directory: Path, plan: Plan, received: Set[int]) -> str:
    """Judge the messages whose digests are in `received`; the URL of the database it made.

    directory: holds a database with the registry and nothing else in it.
    """
    url = f"sqlite:///{directory / 'courtyard.db'}"
    engine = open_database(url)
    try:
        with reading(engine) as connection:
            origins = Origins(load(connection))
        path = directory / "journal.db"
        with JournalWriter(path, lambda: plan.segments[0].at_ms) as journal:
            for drafts in _drafts(plan, received, origins):
                journal.commit(drafts)
            with JournalReader(path) as source:
                last_ms = plan.segments[-1].at_ms
                consumer = Consumer(
                    Judgements(engine), plans(rules_for, KINDS), lambda: last_ms, stream=LIVE
                )
                consumer.drain(source)
    finally:
        engine.dispose()
    return url


def _drafts(plan: Plan, received: Set[int], origins: Origins) -> Iterable[list[Draft]]:
    """Batches with a probe every five seconds, as an ingester without any trouble has them."""
    started_ms = plan.segments[0].at_ms
    yield [Draft(START, 0, control={"at_ms": started_ms})]
    batch: list[Raw] = []
    probe_ms = started_ms
    number = 0
    newest_ms = started_ms
    awaited = set(received)
    for message in messages(plan):
        if not awaited:  # the publishers were ended here, and the disturbed run soon after
            break
        if message.due_ms - newest_ms > GAP_MS:  # nobody could be heard, so nothing is known of it
            probe_ms = max(probe_ms, message.due_ms)
        newest_ms = max(newest_ms, message.due_ms)
        if newest_ms >= probe_ms or len(batch) >= BATCH:
            drafts = [Draft(MESSAGES, 1, batch)] if batch else []
            batch = []
            while newest_ms >= probe_ms:
                number += 1
                drafts.append(_probe(number, probe_ms))
                probe_ms += PROBE_EVERY_MS
            if drafts:
                yield drafts
        if message.digest in received:
            awaited.discard(message.digest)
            topic = message.topic
            batch.append(Raw(topic, message.payload, 0, newest_ms, origins(topic)))
    if batch:
        yield [Draft(MESSAGES, 1, batch)]
    while probe_ms <= newest_ms + SETTLE_MS:
        number += 1
        yield [_probe(number, probe_ms)]
        probe_ms += PROBE_EVERY_MS


def _probe(number: int, at_ms: int) -> Draft:
    return Draft(PROBE, 1, control={"n": number, "sent_ms": at_ms, "at_ms": at_ms})
