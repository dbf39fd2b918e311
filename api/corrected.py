"""Says beside figures of usage that they were corrected: how often, and when last."""

from collections.abc import Collection, Sequence

from sqlalchemy import Engine

from api.instants import print_known
from devices.store.corrections import Mark, marks
from devices.store.database import reading
from devices.store.scope import Scope


class Marked:
    """The corrections of some compounds over a range."""

    def __init__(self, found: Sequence[Mark]) -> None:
        self._found = found

    def of(self, from_ms: int, to_ms: int) -> tuple[int, str | None]:
        """How many touch [from_ms, to_ms), and when the newest of them was made."""
        if not self._found:  # as nearly always
            return 0, None
        times = [
            mark.created_at_ms
            for mark in self._found
            if mark.from_ms < to_ms and mark.to_ms > from_ms
        ]
        return len(times), print_known(max(times, default=None))

    def shape(self, from_ms: int, to_ms: int) -> dict[str, object]:
        """The same as members of the API's answer."""
        count, newest = self.of(from_ms, to_ms)
        return {"corrections": count, "corrected_at": newest}

    def of_kind(self, kind: str) -> "Marked":
        return Marked([mark for mark in self._found if kind in mark.kinds])

    def of_compounds(self, names: Collection[str]) -> "Marked":
        return Marked([mark for mark in self._found if mark.compound in names])


UNCORRECTED = Marked(())


def marked(engine: Engine, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int) -> Marked:
    """What was corrected of these compounds in [from_ms, to_ms)."""
    with reading(engine) as connection:
        return Marked(marks(connection, scope, names, from_ms, to_ms))
