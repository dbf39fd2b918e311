"""The project's own JSON, as a device writes it: `courtyard/v1/{compound}/{kind}/{device}/…`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

Json = float | int | bool | str | msgspec.Raw
Values = dict[str, Json]

WILL = b'{"state":"offline"}'  # no time: the broker sends it long after it was written
MAX_BYTES = 60_000  # of one replay array; the contract allows 65,536

_encode = msgspec.json.Encoder().encode


def topic(compound: str, kind: str, device: str, channel: str) -> str:
    return f"courtyard/v1/{compound}/{kind}/{device}/{channel}"


def report(at: int | str, boot: int, seq: int, values: Mapping[str, Json]) -> bytes:
    """at: the device's clock, epoch ms or RFC 3339."""
    return _encode({"ts": at, "boot": boot, "seq": seq, "values": values})


def shed_report(
    at: int | str, boot: int, seq: int, values: Mapping[str, Json], ports: Mapping[str, Values]
) -> bytes:
    """ports: values of the shed's sockets, by socket number as text."""
    return _encode({"ts": at, "boot": boot, "seq": seq, "values": values, "ports": ports})


def event(at: int | str, boot: int, seq: int, kind: str, fields: Mapping[str, Json]) -> bytes:
    return _encode({"ts": at, "boot": boot, "seq": seq, "event": kind, **fields})


def birth(at: int | str, boot: int, seq: int) -> bytes:
    return _encode({"ts": at, "boot": boot, "seq": seq, "state": "online"})


def times(payload: bytes) -> list[int | None]:
    """When each thing happened that a message tells of; None where it does not say in epoch ms."""
    said = msgspec.json.decode(payload)
    elements = said if isinstance(said, list) else [said]
    found = (one.get("ts") if isinstance(one, dict) else None for one in elements)
    return [at if isinstance(at, int) else None for at in found]


def rfc3339(at_ms: int) -> str:
    """`at_ms` (UTC epoch ms, also a wild one) as RFC 3339 in UTC with milliseconds."""
    whole = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at_ms % 1000:03d}Z"


def replay(payloads: Iterable[bytes]) -> Iterable[bytes]:
    """Buffered objects, oldest first, as arrays of at most MAX_BYTES each."""
    pending: list[bytes] = []
    size = 2
    for payload in payloads:
        if pending and size + len(payload) + 1 > MAX_BYTES:
            yield b"[" + b",".join(pending) + b"]"
            pending, size = [], 2
        pending.append(payload)
        size += len(payload) + 1
    if pending:
        yield b"[" + b",".join(pending) + b"]"
