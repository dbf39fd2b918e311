"""How a day was for a property firm, or for the district: what stands, what came, what went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from devices.registry import Name
from devices.rules import Severity

WORST_SHOWN = 10
LAMPS_SHOWN = 200
COMPOUNDS_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """open: stand, or were over before anybody had acknowledged them. new: were raised since the
    summary before. cleared: came to their end since then. overdue: of those that are open, past
    the limits of their class. suspected: stand as a guess, and are in none of the other figures.
    """

    open: int = 0
    new: int = 0
    cleared: int = 0
    overdue: int = 0
    suspected: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.open + other.open,
            self.new + other.new,
            self.cleared + other.cleared,
            self.overdue + other.overdue,
            self.suspected + other.suspected,
        )


@dataclass(frozen=True, slots=True)
class OfCompound:
    """compound: None for what is the platform's own."""

    compound: str | None
    name: Name
    counts: Counts


@dataclass(frozen=True, slots=True)
class Worst:
    """One of the faults that stand; where: building and unit."""

    fault: str
    name: Name
    severity: Severity
    safety: bool
    since_ms: int
    compound: Name | None
    device: str = ""
    where: str = ""
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Lamps:
    """Faults of lamps in one stairwell, or of one compound that has no buildings: by their name."""

    compound: Name
    building: str
    unit: str
    count: int
    names: tuple[tuple[Name, int], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """day: the local one on which it is told. firm: whose; None: the district's. counts: of all.

    compounds: those with anything to tell, the worst first. lamps: the worst places first.
    """

    day: str
    from_ms: int
    to_ms: int
    timezone: str
    firm: str | None = None
    firm_name: Name | None = None
    counts: Counts = field(default_factory=Counts)
    compounds: tuple[OfCompound, ...] = ()
    worst: tuple[Worst, ...] = ()
    lamps: tuple[Lamps, ...] = ()


class Standing(NamedTuple):
    """A fault that is not closed, and that no root explains, as far as a summary needs it.

    device: what it is called.
    """

    fault: str
    code: str
    kind: str
    compound: str | None
    severity: Severity
    safety: bool
    suspected: bool
    since_ms: int
    is_acknowledged: bool
    device: str
    building: str
    unit: str


def ordered(counts: Mapping[str | None, Counts]) -> list[str | None]:
    """The compounds with anything to tell, the worst first."""

    def weight(compound: str | None) -> tuple[int, int, int, str]:
        one = counts[compound]
        return (-one.overdue, -one.open, -one.new, compound or "")

    return sorted((one for one, told in counts.items() if told != Counts()), key=weight)
