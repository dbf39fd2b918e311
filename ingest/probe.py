"""Our own message through the broker: proof that what was sent before it has arrived."""

import hmac
from collections.abc import Mapping

import msgspec

from devices.topics import probe_topic

MAX_UNDERWAY = 720  # an hour of them; an older one that comes back after all proves nothing


class _Payload(msgspec.Struct):
    n: int
    sent_ms: int
    secret: str


_decode = msgspec.json.Decoder(_Payload).decode


class Probes:
    """Numbers what is sent, and knows its own when it comes back.

    secret: of this process alone, so that nobody else, and no earlier life of ours, moves the
    watermark. Each probe counts once: one that was copied by a device comes too late.
    """

    def __init__(self, instance: str, secret: str) -> None:
        self.topic = probe_topic(instance)
        self._topic_bytes = self.topic.encode()
        self._secret = secret
        self._underway: dict[int, int] = {}
        self._n = 0

    def next(self, now_ms: int) -> bytes:
        """The payload of the next probe, sent at `now_ms`."""
        self._n += 1
        self._underway[self._n] = now_ms
        if len(self._underway) > MAX_UNDERWAY:
            del self._underway[next(iter(self._underway))]
        return msgspec.json.encode(_Payload(self._n, now_ms, self._secret))

    def returned(self, topic: bytes, payload: bytes, at_ms: int) -> Mapping[str, int] | None:
        """The control record of a probe that came back; None if it is foreign, forged or a copy."""
        if topic != self._topic_bytes:
            return None
        try:
            probe = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not hmac.compare_digest(probe.secret.encode(), self._secret.encode()):
            return None
        if self._underway.get(probe.n) != probe.sent_ms:
            return None
        for n in [n for n in self._underway if n <= probe.n]:
            del self._underway[n]
        return {"n": probe.n, "sent_ms": probe.sent_ms, "at_ms": at_ms}
