"""People in lists to choose from: who shares a name with another is told apart."""

from collections import Counter
from collections.abc import Sequence

from api.parts import Known
from api.words import Language, named, say
from devices.rosters import Person
from devices.store.links import Other

DIGITS_SHOWN = 4  # of a telephone


def told_apart(
    language: Language, known: Known, people: Sequence[Person | Other], *, sees_phones: bool
) -> dict[str, str]:
    """Their names by id. With a name that somebody of another firm has, too, comes the firm; with
    one that somebody of the same firm has, how the telephone ends, for those who may see it."""
    of_name = Counter(one.name for one in people)
    of_firm = Counter((one.name, one.firm) for one in people)
    found = {}
    for one in people:
        words = [one.name]
        if of_name[one.name] > of_firm[one.name, one.firm]:
            words.append(firm_name(language, known, one.firm))
        if of_firm[one.name, one.firm] > 1 and sees_phones and one.phone:
            words.append("…" + one.phone[-DIGITS_SHOWN:])
        found[one.id] = " · ".join(words)
    return found


def firm_name(language: Language, known: Known, firm: str | None) -> str:
    """None: the district."""
    if firm is None:
        return say(language, "al_district")
    name = known.directory.firms.get(firm)
    return firm if name is None else named(language, name)
