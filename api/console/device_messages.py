"""The messages that a device sent, as the journal has them, for its page.

The journal has no index of senders: a look goes back from a moment for so long as a page may take,
shows what it found and up to where it looked, and the next page goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from api import paging
from api.console.pages import Page
from api.identity import Identity
from api.instants import DAY_MS, parse_instant, when
from api.parts import JournalAway, Parts
from api.words import grouped
from devices.journal import DUP, OVERSIZE, RETAINED, Raw, Sent, true_payload
from devices.store.devices import Standing

SHOWN = 25  # on a page of their own
FIRST_SHOWN = 3  # on the page of the device
LOOK_S = 0.025  # of the 50 ms that a page may take
FIRST_LOOK_S = 0.01
BYTES_SHOWN = 4096  # of a payload
FIRST_BYTES_SHOWN = 400
SLACK_MS = 5_000  # between a device's last sign of life, as the judge has it, and the journal


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message, in words. text: its payload, in hex where it is none."""

    at: str
    topic: str
    text: str
    size: str
    marks: Sequence[str]


@dataclass(slots=True)
class MessagesView:
    """What a look found. looked: from when to when; older: where the next one begins."""

    lines: Sequence[MessageLine]
    looked: str
    older: str = ""
    is_away: bool = False


def newest(parts: Parts, who: Identity, page: Page, sender: Standing, now_ms: int) -> MessagesView:
    """The newest few. sender: whose messages are looked for."""
    found, looked = _begin(parts, page, sender, now_ms, FIRST_SHOWN, FIRST_LOOK_S)
    return _view(page, who, sender, found, looked, now_ms, FIRST_BYTES_SHOWN)


def look(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    sender: Standing,
    zone: tzinfo,
    until: str,
    now_ms: int,
) -> MessagesView:
    """A page of them. until: received before this time. Raises BadParameter."""
    most = min(rows.limit, SHOWN)
    if rows.position:
        record, number, begins_ms = rows.position
        found = _sent(parts, sender, (record, number), begins_ms, now_ms, most, LOOK_S)
        looked = _looked(page, found, begins_ms, now_ms)
    elif until:
        begins_ms = min(now_ms, parse_instant("until", until, zone))
        found = _sent(parts, sender, None, begins_ms, now_ms, most, LOOK_S)
        looked = _looked(page, found, begins_ms, now_ms)
    else:
        found, looked = _begin(parts, page, sender, now_ms, most, LOOK_S)
    view = _view(page, who, sender, found, looked, now_ms, BYTES_SHOWN)
    if found is not None and found.looked_to is not None:
        behind = rows.cursor([*found.looked_to, found.looked_to_ms or now_ms])
        view.older = page.address(cursor=behind)
    return view


def _begin(
    parts: Parts, page: Page, sender: Standing, now_ms: int, most: int, within_s: float
) -> tuple[Sent | None, str]:
    """From now on backwards; where nothing is found, from its last sign of life on.

    Between both nobody looked, and what is told of it says so: it may be there that it sent what
    nobody could read.
    """
    first = _sent(parts, sender, None, now_ms, now_ms, most, within_s / 2)
    looked = _looked(page, first, now_ms, now_ms)
    heard_ms = sender.last_seen_ms
    if first is None or first.messages or first.looked_to is None or heard_ms is None:
        return first, looked
    begins_ms = heard_ms + SLACK_MS
    if begins_ms >= (first.looked_to_ms or 0):
        return first, looked
    second = _sent(parts, sender, None, begins_ms, now_ms, most, within_s / 2)
    return second, f"{looked}{page.say('semicolon')}{_looked(page, second, begins_ms, now_ms)}"


def _looked(page: Page, sent: Sent | None, begins_ms: int, now_ms: int) -> str:
    if sent is None:
        return ""
    to_ms = max(sent.looked_to_ms or 0, now_ms - DAY_MS)
    return page.say("ms_looked", start=when(to_ms, now_ms), end=when(begins_ms, now_ms))


def _level(sender: Standing) -> str:
    """What names it in a topic: its id, in a vendor's format its number there."""
    if sender.protocol == "native" or not sender.external_id:
        return sender.id
    return sender.external_id


def _sent(
    parts: Parts,
    sender: Standing,
    before: tuple[int, int] | None,
    begins_ms: int,
    now_ms: int,
    most: int,
    within_s: float,
) -> Sent | None:
    journal = parts.deps.journal
    if journal is None:
        return None
    try:
        return journal.sent_by(
            _level(sender).encode(), before, begins_ms, now_ms - DAY_MS, most, within_s
        )
    except JournalAway:
        return None


def _view(
    page: Page,
    who: Identity,
    sender: Standing,
    sent: Sent | None,
    looked: str,
    now_ms: int,
    most_bytes: int,
) -> MessagesView:
    if sent is None:
        return MessagesView((), "", is_away=True)
    lines = [
        _line(page, raw, now_ms, most_bytes)
        for _, raw in sent.messages
        # On this device's topic, but of another firm's compound: that is theirs to see.
        if who.scope.is_district or raw.origin == sender.compound
    ]
    return MessagesView(lines, looked)


def _line(page: Page, raw: Raw, now_ms: int, most_bytes: int) -> MessageLine:
    marks = []
    if raw.flags & RETAINED:
        marks.append(page.say("ms_retained"))
    if raw.flags & DUP:
        marks.append(page.say("ms_dup"))
    size_bytes, payload = len(raw.payload), raw.payload
    if raw.flags & OVERSIZE:
        marks.append(page.say("ms_oversize"))
        told = true_payload(raw)
        size_bytes = size_bytes if told is None else told[0]
        payload = payload.split(b" ", 3)[-1]
    text, is_binary = _text(payload[:most_bytes])
    if is_binary:
        marks.append(page.say("ms_hex"))
    if len(payload) > most_bytes:
        marks.append(page.say("ms_cut", n=grouped(most_bytes)))
    return MessageLine(
        at=when(raw.received_ms, now_ms),
        topic=raw.topic.decode("utf-8", "replace"),
        text=text,
        size=page.say("ms_bytes", n=grouped(size_bytes)),
        marks=marks,
    )


def _text(payload: bytes) -> tuple[str, bool]:
    """The payload for people, and whether it is bytes that are no text."""
    for end in range(len(payload), max(len(payload) - 4, -1), -1):
        try:
            text = payload[:end].decode()
        except UnicodeDecodeError as error:
            if error.end < end:  # not only its last character is cut
                break
            continue
        if all(character.isprintable() or character in "\t\r\n" for character in text):
            return text, False
        break
    return payload.hex(" "), True
