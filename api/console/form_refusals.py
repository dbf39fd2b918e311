"""Why a form was refused, in the language of the page, and never with what was written: an address
may be in it, and with it a secret."""

from pydantic import ValidationError

from api.console.pages import Page
from api.errors import Away, BadParameter, Moved, NotFound
from api.words import knows
from devices.store.rosters import PersonNeeded


def refused(page: Page, error: Exception) -> tuple[int, str]:
    """Status and sentence. Raises what is not a refusal."""
    match error:
        case ValidationError():
            return 422, _must_be(page, str(error.errors(include_input=False)[0]["loc"][0]))
        case NotFound():
            return 404, page.say("al_gone")
        case BadParameter() | Moved() | Away() if page.language == "en":
            return error.status, error.detail  # it says more: what is wrong with this one
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
