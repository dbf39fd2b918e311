"""What people changed, as a chain: each row's hash covers the row and the hash of the one before.

Whoever changes or takes out a row breaks the chain there, unless they make all later hashes anew;
whoever noted the number and hash of a later row elsewhere finds that too.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

DONE = "done"
REPEATED = "repeated"  # the same was asked before: nothing was done
START = "0" * 64  # before the first row

TEXT_AT_MOST = 200  # characters of each text
DETAIL_AT_MOST = 2_000  # characters of the details as JSON

_CUT = "…"


class Origin(StrEnum):
    """Which way it came."""

    API = "api"
    CONSOLE = "console"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody did. token: the number of theirs; None for a command.

    address: from where, an IP address or a machine's user. subject: the ids of what it is about.
    outcome: `done`, or why not. detail: more about it, never a secret.
    """

    at_ms: int
    actor: str
    role: str
    token: int | None
    origin: Origin
    address: str
    method: str
    resource: str
    subject: str = ""
    outcome: str = DONE
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """An entry in its place, as it is stored and hashed: texts cut to size, details as JSON."""

    number: int
    at_ms: int
    actor: str
    role: str
    token: int | None
    origin: str
    address: str
    method: str
    resource: str
    subject: str
    outcome: str
    detail: str
    before: str
    sha256: str

    def hashed(self) -> str:
        """The hash that this row must have."""
        said = (
            "courtyard audit 1",
            *(self.number, self.at_ms, self.actor, self.role, self.token, self.origin),
            *(self.address, self.method, self.resource, self.subject, self.outcome, self.detail),
            self.before,
        )
        # One form for one content: no blanks, ASCII, in this order.
        canonical = json.dumps(said, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain is broken. number: of the first row that is not as it was written."""

    number: int
    why: str


def chained(number: int, before: str, entry: Entry) -> Row:
    """The row that follows the one with the hash `before`."""
    row = Row(
        number=number,
        at_ms=entry.at_ms,
        actor=_short(entry.actor),
        role=_short(entry.role, 16),
        token=entry.token,
        origin=entry.origin.value,
        address=_short(entry.address),
        method=_short(entry.method, 16),
        resource=_short(entry.resource),
        subject=_short(entry.subject),
        outcome=_short(entry.outcome, 32),
        detail=_detail(entry.detail),
        before=before,
        sha256="",
    )
    return replace(row, sha256=row.hashed())


def first_break(rows: Iterable[Row], number: int = 0, before: str = START) -> Break | None:
    """The first of these that does not follow; the one before them has this number and hash."""
    for row in rows:
        number += 1
        if row.number != number:
            return Break(number, f"is missing: row {row.number} is next")
        if row.before != before:
            return Break(number, "does not follow on the row before")
        if row.sha256 != row.hashed():
            return Break(number, "is not what was written: its hash does not fit")
        before = row.sha256
    return None


def _short(text: str, most: int = TEXT_AT_MOST) -> str:
    # NUL goes into no database, and half a surrogate pair into no UTF-8.
    clean = text.replace("\0", "").encode("utf-8", "replace").decode()
    return clean if len(clean) <= most else clean[: most - 1] + _CUT


def _detail(detail: Mapping[str, object]) -> str:
    """As JSON; of details that are too long, only their names."""
    text = _json(detail)
    if len(text) > DETAIL_AT_MOST:
        text = _json({"left_out": sorted(_short(name, 40) for name in detail)[:40]})
    return text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
