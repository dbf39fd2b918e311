"""What really happened: facts about the world, one JSON line each, and never a fault code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

import msgspec

from simulators.native import rfc3339

Detail = Mapping[str, float | int | bool | str]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that befell the district.

    kind: what happened, in the words of the world (`door_held_open`, `power_cut`).
    scope: the id of the device or compound it befell. start_ms, end_ms: UTC epoch ms, both known
    when it begins; equal for what happens in one moment.
    """

    id: str
    kind: str
    scope: str
    start_ms: int
    end_ms: int
    detail: Detail = field(default_factory=dict)

    def line(self) -> bytes:
        """The fact as one line of a truth file, RFC 3339 times in UTC."""
        fields = {
            "id": self.id,
            "kind": self.kind,
            "scope": self.scope,
            "start": rfc3339(self.start_ms),
            "end": rfc3339(self.end_ms),
            "detail": self.detail,
        }
        return msgspec.json.encode(fields) + b"\n"

    @staticmethod
    def read(line: bytes) -> Fact:
        """A line of a truth file. Raises BadTruth for anything else."""
        try:
            said = msgspec.json.decode(line, type=_Line)
            return Fact(
                said.id,
                said.kind,
                said.scope,
                _epoch_ms(said.start),
                _epoch_ms(said.end),
                said.detail,
            )
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadTruth(f"{error}") from error


class BadTruth(ValueError):
    """A line that is no fact."""


class _Line(msgspec.Struct):
    id: str
    kind: str
    scope: str
    start: str
    end: str
    detail: dict[str, float | int | bool | str] = {}


def _epoch_ms(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return round(at.timestamp() * 1000)


Truth = Callable[[Fact], None]


def unseen(_: Fact) -> None:
    """Nobody asked what really happened."""


def written_to(file: IO[bytes]) -> Truth:
    """Each fact as a line of `file`, at once: a run that is cut short has said what it did."""

    def write(fact: Fact) -> None:
        file.write(fact.line())
        file.flush()

    return write
