"""Which message came before: by (device, boot, seq), without boot by (device, seq, ts).

Each device's window remembers its highest seq and which of the last WINDOW before it are missing.
What lies outside the window, and whatever adds up (events), is known by a key that is kept for ten
days. No number and no device time is no identity: such a message sets levels and never adds up.
"""

from hashlib import blake2b

import msgspec

from devices.messages import Event, Item

WINDOW = 1000
KEY_BYTES = 16


class SeqWindow(msgspec.Struct, array_like=True):
    """The sequence numbers of one device since its last boot."""

    boot: int | None = None
    high: int = -1
    newest_ms: int = 0  # event time of the newest message that carried a number
    missing: set[int] = set()

    def saw(self, boot: int | None, seq: int, at_ms: int) -> bool | None:
        """Take note of a number. True: seen before. False: new. None: outside what we remember."""
        if boot == self.boot:
            if seq == self.high + 1:
                self.high = seq
                if at_ms > self.newest_ms:
                    self.newest_ms = at_ms
                return False
            if boot is None and seq <= self.high and at_ms > self.newest_ms:
                # No boot number, a lower seq, a later time: the counter started again.
                return self._restart(boot, seq, at_ms)
            return self._out_of_order(seq, at_ms)
        if self.boot is None or (boot is not None and boot > self.boot):
            return self._restart(boot, seq, at_ms)
        return None  # of an earlier boot

    def _restart(self, boot: int | None, seq: int, at_ms: int) -> bool:
        self.boot, self.high, self.newest_ms = boot, seq, at_ms
        self.missing.clear()
        return False

    def _out_of_order(self, seq: int, at_ms: int) -> bool | None:
        self.newest_ms = max(self.newest_ms, at_ms)
        if seq > self.high:
            start = max(self.high + 1, seq - WINDOW) if self.high >= 0 else seq
            self.missing = {n for n in self.missing if n > seq - WINDOW}
            self.missing.update(range(start, seq))
            self.high = seq
            return False
        if seq <= self.high - WINDOW:
            return None
        if seq in self.missing:
            self.missing.discard(seq)
            return False
        return True


def _digest(*parts: object) -> bytes:
    text = "|".join(map(str, parts))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def event_key(event: Event, item: Item) -> bytes | None:
    """What makes an event this one and no other; None when nothing does.

    A charging session's start and end are known by (shed, order), whatever number carries them.
    """
    device = event.device.id
    if event.type in ("session_start", "session_end") and "order" in event.attributes:
        owner = event.device.parent or device
        return _digest("session", owner, event.attributes["order"], event.type)
    if item.seq is not None:
        number = (item.boot, item.seq) if item.boot is not None else (item.seq, item.at_ms)
        return _digest("event", device, event.type, *number)
    if event.event_id is not None:
        return _digest("event", device, event.type, event.event_id, item.at_ms)
    if item.at_ms is not None:
        return _digest("event", device, event.type, item.at_ms, sorted(event.attributes.items()))
    return None


def message_key(device: str, item: Item) -> bytes:
    """The key of a message with a number that lies outside the window."""
    if item.boot is not None:
        return _digest("seq", device, item.boot, item.seq)
    return _digest("seq", device, item.seq, item.at_ms)


def content_key(device: str, at_ms: int, payload: bytes) -> bytes:
    """The key of a message with a time and no number."""
    return _digest("content", device, at_ms, blake2b(payload, digest_size=KEY_BYTES).hexdigest())
