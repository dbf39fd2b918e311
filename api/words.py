"""The console's texts, in both languages of the product, from `api.texts`; what is told of faults
also in alerts is in `devices.words`.

Terms are those of the fault catalogue and are never varied. zh: the fact, then the place, then the
consequence; full-width punctuation, a blank between figure and unit. en: sentence case.
"""

from typing import Literal

from api.texts import (
    access,
    alerts,
    availability,
    charts,
    devices,
    duty,
    empty,
    exclusions,
    fault_work,
    faults,
    frame,
    glossary,
    ingestion,
    maintenance,
    overview,
    places,
    refusals,
    registry,
    rules,
    search,
    summaries,
    usage,
)
from devices.words import TEXTS
from devices.words import duration as duration
from devices.words import grouped as grouped
from devices.words import named as named

Language = Literal["zh", "en"]

LISTS = (
    access,
    alerts,
    availability,
    charts,
    devices,
    duty,
    empty,
    exclusions,
    fault_work,
    faults,
    frame,
    glossary,
    ingestion,
    maintenance,
    overview,
    places,
    refusals,
    registry,
    rules,
    search,
    summaries,
    usage,
)

_TEXTS: dict[str, tuple[str, str]] = {**TEXTS}
for _list in LISTS:
    _TEXTS.update(_list.TEXTS)


def say(language: Language, word: str, **values: object) -> str:
    """The text for `word`; KeyError for one that is not in the list."""
    text = _TEXTS[word][0 if language == "zh" else 1]
    return text.format(**values) if values else text


def knows(word: str) -> bool:
    """Whether there is a text for `word`."""
    return word in _TEXTS


def countdown(seconds: float) -> str:
    """What is left of a deadline, as m:ss."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02d}"
