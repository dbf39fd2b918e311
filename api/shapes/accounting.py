"""What became of messages."""

from typing import Literal

from pydantic import BaseModel

from api.shapes.basics import Instant


class Forwarding(BaseModel):
    """Points that the telemetry store confirmed and those it will never take; messages waiting."""

    confirmed: int | None
    dead: int | None
    pending: int | None


class Missing(BaseModel):
    """Messages that nobody has: a backup was restored, and the journal behind it was lost.

    since: when the backup was made. until: when the first message after it came, null while there
    is none. messages: null where nobody can know.
    """

    since: Instant
    until: Instant | None
    messages: int | None


class Accounting(BaseModel):
    """received = stored + duplicate + the sum of quarantined + pending + unattributed + balance.

    received is the journal's own count. It and what follows from it are null when the journal
    cannot be read here. unattributed: where a record of the journal is damaged, it is no longer
    known whose its messages were; so many of what was received here are therefore booked under
    `unassigned` (there, less than 0: booked, and received elsewhere). late, partial, retained,
    clock, unknown are among the stored (clock: the device's time could not be true, ours was taken;
    unknown: quantities that its kind does not have were left out), and so is late_after_final:
    late, of a day whose figures of usage are final, and which they no longer changed; parts are
    rejected parts of stored messages. missing: what the newest restore of a backup could not bring
    back.
    """

    received: int | None
    stored: int
    duplicate: int
    quarantined: dict[str, int]
    pending: int | None
    unattributed: int | None
    balance: int | None
    late: int
    late_after_final: int
    partial: int
    retained: int
    clock: int
    unknown: int
    parts: dict[str, int]
    telemetry: Forwarding
    missing: Missing | None


class Refused(BaseModel):
    """partial: only a part was refused, the rest of the message is stored.

    payload: as text, null when it is none, or not kept; in a list its beginning.
    payload_kept: whether we have it at all.
    replayed_at: when it was judged again and taken; outcome: what it is since. null: it is refused.
    """

    id: int
    received_at: Instant
    compound: str | None
    device: str | None
    topic: str
    reason: str
    detail: str
    sha256: str
    size_bytes: int
    payload: str | None
    payload_kept: bool
    partial: bool
    replayed_at: Instant | None
    outcome: Literal["stored", "duplicate"] | None


class RefusedWhole(Refused):
    payload_base64: str | None


class Requested(BaseModel):
    """Messages that will be judged again. last: the id of the newest of them, null without any.

    more: there may be others that the filter finds; ask again with `after` = `last`.
    """

    requested: int
    last: int | None
    more: bool


class Quarantine(BaseModel):
    items: list[Refused]
    next_cursor: str | None
