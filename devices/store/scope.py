"""Whose rows a person may see; the one place where that filter is made.

Every read for people takes a `Scope` and puts its condition into its WHERE, so that a foreign row
is not refused but not there.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, true

from devices.store.schema import compounds


@dataclass(frozen=True, slots=True)
class Scope:
    """One property firm's compounds; or, without a firm, the district and what has no compound.

    What has no compound: faults of the platform itself, and messages of unknown origin.
    """

    firm: str | None = None

    @property
    def is_district(self) -> bool:
        return self.firm is None

    def holds(
        self, compound: ColumnElement[str] | ColumnElement[str | None]
    ) -> ColumnElement[bool]:
        """The condition that `compound`, a column with compound ids, is in scope.

        NULL and `unassigned` are no compound of any firm, so only the district has them.
        """
        if self.firm is None:
            return true()
        return compound.in_(select(compounds.c.id).where(compounds.c.firm == self.firm))


DISTRICT = Scope()
