"""Why a form was refused, in the language of the page, and never with what was written: an address
may be in it, and with it a secret."""

from typing import NamedTuple

from pydantic import ValidationError

from api.console.pages import Page
from api.errors import Away, BadParameter, Moved, NotFound
from api.parts import Barred, Unreached
from api.words import knows
from devices.store.rosters import PersonNeeded

# What a form is refused by, and its page shown again with what was written.
REFUSALS = (ValidationError, BadParameter, NotFound, Moved, Away)


class Said(NamedTuple):
    """What a page says of what somebody just did there: that it is done, or what is wrong."""

    status: int = 200
    notice: str = ""
    is_wrong: bool = False


NOTHING = Said()


def say_done(page: Page, word: str) -> Said:
    """That it is done, as this text says it; "": nothing was."""
    return Said(notice=page.say(word)) if word else NOTHING


def refused(page: Page, error: Exception) -> Said:
    """Why, in words. Raises what is not a refusal."""
    return Said(*_told(page, error), is_wrong=True)


def _told(page: Page, error: Exception) -> tuple[int, str]:
    match error:
        case ValidationError():
            return 422, _must_be(page, str(error.errors(include_input=False)[0]["loc"][0]))
        case NotFound():
            return 404, page.say("al_gone")
        case BadParameter(__cause__=Unreached()):
            return error.status, page.say("rf_unreached")
        case BadParameter(__cause__=Barred()) if page.language == "zh":
            return error.status, page.say("rf_barred")
        case BadParameter() if page.language == "en":  # it says more: what is wrong with this one
            field = _must_be(page, error.parameter).partition(":")[0]
            return error.status, f"{field}: {error.detail.removeprefix(f'{error.parameter}: ')}"
        case Moved() | Away() if page.language == "en":
            return error.status, error.detail
        case BadParameter():
            return error.status, _must_be(page, error.parameter)
        case Moved():
            is_named = isinstance(error.__cause__, PersonNeeded)
            return error.status, page.say("rf_named" if is_named else "rf_too_many")
        case Away():
            return error.status, page.say("rf_away")
        case _:
            raise error


def _must_be(page: Page, parameter: str) -> str:
    """parameter: `field`, or `field.n` for what is wrong in its line n."""
    field, _, line = parameter.partition(".")
    word = f"rf_{field}"
    what = page.say(word if knows(word) else "rf_other")
    return page.say("rf_nth", n=line, what=what) if line.isdigit() else what
