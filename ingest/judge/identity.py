"""Which message came before: by (device, boot, seq), without boot by (device, seq, ts).

Each device's window remembers its highest seq, which of the last WINDOW before it are missing, and
a byte of the content of the last HASHED, so that another message under a number that was used is
told from the same one again; and all of that for the run before. What lies outside, and whatever
adds up (events), is known by a key that is kept for ten days. No number and no device time is no
identity: such a message sets levels and never adds up.
"""

from collections.abc import Callable
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple
from zlib import adler32

import msgspec

from devices.judgement import Effects
from devices.messages import Decoded, Event, Item, Value

WINDOW = 1000
HASHED = 64  # a power of two; all of WINDOW would cost a commit 10 MB for 10,000 devices
JUMP = 100_000  # a counter that leaps so far has not lost that many: it is another count
# A prime below 256: a change of any one byte shows, but for one byte in 241. Of the two checksums
# of the standard library this costs a third (0.07 µs for 110 bytes), and nobody is to be fooled.
BYTE = 241
UNHASHED = 255  # nothing is known of the content
KEY_BYTES = 16


class Sight(Enum):
    """What a number says of its message."""

    NEW = "new"
    SEEN = "seen"
    # seen, but of a time when nothing was yet, or with other content: another message has it
    REUSED = "reused"
    OUTSIDE = "outside"  # of what we remember


class Lost(NamedTuple):
    """Numbers that did not come: `missing` of run `boot`, between first and last.

    before: how many more of the run before that one.
    """

    boot: int | None
    missing: int
    first: int
    last: int
    before: int = 0

    def evidence(self, since_ms: int) -> dict[str, Value]:
        """As a fault shows it. since_ms: event time of the message that showed the first gap."""
        shown: dict[str, Value] = {
            "missing": self.missing,
            "from_seq": self.first,
            "to_seq": self.last,
            "since_ms": since_ms,
        }
        if self.boot is not None:
            shown["boot"] = self.boot
        if self.before:
            shown["missing_before_boot"] = self.before
        return shown


def content_hash(said: Decoded, payload: bytes) -> int:
    """A byte of what an object of this message says, or UNHASHED.

    What was sent alone may be replayed in an array, where its bytes are not at hand: only messages
    of one object are told apart by their bytes.
    """
    return UNHASHED if said.array or len(said.items) != 1 else adler32(payload) % BYTE


def _no_hashes() -> bytearray:
    return bytearray([UNHASHED]) * HASHED


class SeqWindow(msgspec.Struct, array_like=True):
    """The sequence numbers of one device since its last boot, and of the run before that.

    newest_ms: event time of the newest message with a number. low: the first number that we saw of
    this run; of what was sent before it we know nothing. before: the run before, so that a reboot
    does not make us forget what was sent just ahead of it; it has none before itself.
    hashes: of the last HASHED numbers, at seq % HASHED. given_up: nobody waits any more for what is
    missing up to here. Rows of an older version end before these two.
    """

    boot: int | None = None
    high: int = -1
    newest_ms: int = 0
    missing: set[int] = set()
    low: int = 0
    before: "SeqWindow | None" = None
    hashes: bytearray = msgspec.field(default_factory=_no_hashes)
    given_up: int = -1

    def saw(self, boot: int | None, seq: int, at_ms: int | None, content: int = UNHASHED) -> Sight:
        """Take note of a number. at_ms: event time by a clock that can be believed, if any.

        content: a byte of what the message says.
        """
        if boot != self.boot:
            return self._of_another_boot(boot, seq, at_ms, content)
        if seq == self.high + 1:
            self.high = seq
            self.hashes[seq % HASHED] = content
            if at_ms is not None and at_ms > self.newest_ms:
                self.newest_ms = at_ms
            return Sight.NEW
        run = self.before
        if run is not None and boot == run.boot and at_ms is not None and at_ms <= run.newest_ms:
            # Its time says that it is of the run before. Without boot that is no proof, so then
            # its number is not counted against what we saw.
            return Sight.OUTSIDE if boot is None else run._out_of_order(seq, at_ms, content)
        if self._began_again(seq, at_ms):
            return self._begin(boot, seq, at_ms, content)
        return self._out_of_order(seq, at_ms, content)

    def lost(self) -> Lost | None:
        """What is missing and may still come, of this run and of the one before."""
        here = self._awaited()
        run = self.before
        there = run._awaited() if run is not None else ()
        if here:
            return Lost(self.boot, len(here), min(here), max(here), len(there))
        if there and run is not None:
            return Lost(run.boot, len(there), min(there), max(there))
        return None

    def stored_to(self) -> tuple[int | None, int] | None:
        """(boot, seq): all numbers of this run up to seq have come, or are not waited for any more.

        None before the first number.
        """
        if self.high < 0:
            return None
        awaited = self._awaited() if self.missing else ()
        return self.boot, min(awaited) - 1 if awaited else self.high

    def missed(self) -> tuple[int | None, int, int]:
        """Changes whenever a number is found missing, and when one that was has come."""
        run = self.before
        return self.boot, len(self.missing), len(run.missing) if run is not None else 0

    def give_up(self) -> None:
        """Wait no more for what is missing by now; whatever comes of it is new all the same."""
        self.given_up = self.high
        if self.before is not None:
            self.before.given_up = self.before.high

    def _awaited(self) -> list[int]:
        oldest = max(self.high - WINDOW, self.given_up)
        return [number for number in self.missing if number > oldest]

    def _of_another_boot(
        self, boot: int | None, seq: int, at_ms: int | None, content: int
    ) -> Sight:
        run = self.before
        if run is not None and boot == run.boot and not run._began_again(seq, at_ms):
            return run._out_of_order(seq, at_ms, content)
        rises = self.boot is None or (boot is not None and boot > self.boot)
        # A lower boot, or none any more, is an old message, unless its time is that of a new one.
        if rises or self.high < 0 or (at_ms is not None and at_ms > self.newest_ms):
            return self._begin(boot, seq, at_ms, content)
        return Sight.OUTSIDE

    def _began_again(self, seq: int, at_ms: int | None) -> bool:
        """Whether a number is that of a counter that began, restarted, or wrapped."""
        if self.high < 0:
            return True
        far_below = seq <= self.high - WINDOW
        if at_ms is None:  # no broker repeats what is so long ago
            return far_below and self.boot is None
        return seq <= self.high and at_ms > self.newest_ms and (far_below or self.boot is None)

    def _begin(self, boot: int | None, seq: int, at_ms: int | None, content: int) -> Sight:
        if self.high >= 0:
            self.before = SeqWindow(
                self.boot,
                self.high,
                self.newest_ms,
                self.missing,
                self.low,
                hashes=self.hashes,
                given_up=self.given_up,
            )
        self.boot, self.high, self.low, self.missing = boot, seq, seq, set()
        self.hashes, self.given_up = _no_hashes(), -1
        self.hashes[seq % HASHED] = content
        self.newest_ms = max(self.newest_ms, at_ms or 0)
        return Sight.NEW

    def _out_of_order(self, seq: int, at_ms: int | None, content: int) -> Sight:
        if seq > self.high + JUMP:
            self.missing = set()
            self.high = self.low = seq
        elif seq > self.high:
            oldest = seq - WINDOW
            self.missing = {n for n in self.missing if n > oldest}
            self.missing.update(range(max(self.high, oldest) + 1, seq))
            self.high = seq
        elif seq <= self.high - WINDOW or seq < self.low:
            return Sight.OUTSIDE
        elif seq in self.missing:
            self.missing.discard(seq)
        else:
            is_newer = at_ms is not None and at_ms > self.newest_ms
            is_other = self._says_other(seq, content)
            return Sight.REUSED if is_newer or is_other else Sight.SEEN
        if seq > self.high - HASHED:
            self.hashes[seq % HASHED] = content
        self.newest_ms = max(self.newest_ms, at_ms or 0)
        return Sight.NEW

    def _says_other(self, seq: int, content: int) -> bool:
        """Whether another content than this is remembered under the number."""
        if content == UNHASHED or seq <= self.high - HASHED:
            return False
        return self.hashes[seq % HASHED] not in (UNHASHED, content)


def _digest(*parts: object) -> bytes:
    text = "|".join(map(str, parts))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def event_key(event: Event, item: Item) -> bytes | None:
    """What makes an event this one and no other; None when nothing does.

    A charging session's start and end are known by (shed, order), whatever number carries them.
    """
    device = event.device.id
    if event.type in ("session_start", "session_end") and "order" in event.attributes:
        return _session_key(event, event.type)
    if item.seq is not None:
        number = (item.boot, item.seq) if item.boot is not None else (item.seq, item.at_ms)
        return _digest("event", device, event.type, *number)
    if event.event_id is not None:
        return _digest("event", device, event.type, event.event_id, item.at_ms)
    if item.at_ms is not None:
        return _digest("event", device, event.type, item.at_ms, sorted(event.attributes.items()))
    return None


def session_end_key(event: Event) -> bytes:
    """The key of the end of the session whose start, or end, this is."""
    return _session_key(event, "session_end")


def _session_key(event: Event, what: str) -> bytes:
    owner = event.device.parent or event.device.id
    return _digest("session", owner, event.attributes["order"], what)


def message_key(device: str, item: Item) -> bytes:
    """The key of a message with a number that lies outside the window."""
    if item.boot is not None:
        return _digest("seq", device, item.boot, item.seq)
    return _digest("seq", device, item.seq, item.at_ms)


def content_key(device: str, at_ms: int, payload: bytes) -> bytes:
    """The key of a message with a time and no number."""
    return _digest("content", device, at_ms, blake2b(payload, digest_size=KEY_BYTES).hexdigest())


class Identities:
    """Which objects came before: by the window of their device, else by what is on record.

    is_recorded: whether a key is in the database.
    """

    def __init__(
        self, effects: Callable[[], Effects], is_recorded: Callable[[bytes], bool]
    ) -> None:
        self._effects = effects
        self._is_recorded = is_recorded

    def sight(
        self,
        device: str,
        window: SeqWindow,
        item: Item,
        order_ms: int,
        plausible: bool,
        payload: bytes,
        content: int,
        index: int,
    ) -> Sight:
        """Whether the object came before. OUTSIDE: not on record, but its number proves nothing.

        content: its `content_hash`. index: its place in the message, for two readings of one array
        may be alike in time.
        """
        if item.seq is not None and (item.boot is not None or plausible):
            # The device's own time: repeated, a message of a clock that runs ahead has it again.
            at_ms = item.at_ms if plausible else None
            sight = window.saw(item.boot, item.seq, at_ms, content)
            if sight is not Sight.OUTSIDE:
                return sight
        if item.seq is not None:
            # Also without boot by a clock that cannot be believed: known by number and time.
            key = message_key(device, item)
        elif item.at_ms is not None and (item.reports or not item.events):
            key = content_key(f"{device}|{index}", item.at_ms, payload)
        else:
            return Sight.OUTSIDE
        return Sight.OUTSIDE if self.is_first(key, order_ms) else Sight.SEEN

    def is_first(self, key: bytes, at_ms: int, *, surely: bool = False) -> bool:
        """Take note of a key; False if it was known. surely: a number proved that it is new."""
        if not surely and self.is_known(key):
            return False
        self._effects().keys[key] = at_ms
        return True

    def is_known(self, key: bytes) -> bool:
        return key in self._effects().keys or self._is_recorded(key)
