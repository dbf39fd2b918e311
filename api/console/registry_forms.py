"""What the forms of the registry's pages have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Depends, Form, Query
from sqlalchemy import Connection
from starlette.requests import Request

from api.console.pages import Page
from api.errors import BadParameter, Moved, NotFound
from api.identity import Identity
from api.parts import Known, Parts
from api.registry_imports import flaw_text
from api.words import Language, named
from devices.columns import heading
from devices.inventory import BadRegistry
from devices.kinds import KINDS
from devices.registry import Name
from devices.store.database import writing
from devices.store.registry_edits import ChangedMeanwhile, NotThere

Made = TypeVar("Made")

WordOf = Annotated[str, Form(max_length=300)]
LongOf = Annotated[str, Form(max_length=4000)]
AskedOf = Annotated[str, Query(max_length=100)]
DoneOf = Annotated[str, Query(max_length=40)]
DONE = ("saved", "added", "moved", "retired", "restored")
FIELD_AT_MOST = 4000


@dataclass(frozen=True, slots=True)
class Flawed:
    """Why the registry stays as it is: who was slower is told, and what is wrong line by line."""

    status: int = 200
    notice: str = ""
    flaws: Sequence[str] = ()

    def keeps(self, written: Mapping[str, str]) -> Mapping[str, str]:
        """What stays in the form: nothing where it has to show what somebody else wrote."""
        return {} if self.status == HTTPStatus.CONFLICT else written


UNTRIED = Flawed()


def tried(
    parts: Parts, page: Page, table: str, action: Callable[[Connection, int], Made]
) -> Made | Flawed:
    """What `action` made of the registry, in one transaction, now. Raises NotFound."""
    try:
        with writing(parts.deps.engine) as connection:
            return action(connection, parts.now_ms())
    except (ChangedMeanwhile, Moved):
        return Flawed(HTTPStatus.CONFLICT, page.say("moved_on"))
    except NotThere as error:
        raise NotFound from error
    except BadRegistry as error:
        return Flawed(HTTPStatus.UNPROCESSABLE_ENTITY, flaws=told(page, table, error))
    finally:
        parts.registry.look_again()


async def sent(request: Request) -> Mapping[str, str]:
    """The fields of a form that were sent, also the empty ones: those are taken away, while what
    the form does not have stays. (FastAPI takes an empty field for one that is not there.)"""
    form = await request.form(max_files=0, max_fields=50)
    fields = {name: text for name, text in form.items() if isinstance(text, str)}
    for name, text in fields.items():
        if len(text) > FIELD_AT_MOST:
            raise BadParameter(name[:80], f"at most {FIELD_AT_MOST} characters")
    return fields


SentOf = Annotated[Mapping[str, str], Depends(sent)]


def kind_names(language: Language) -> list[tuple[str, str]]:
    """Kinds to choose from: id and name."""
    return [(name, named(language, Name(kind.zh, kind.en))) for name, kind in KINDS.items()]


def told(
    page: Page, table: str, error: BadRegistry, labels: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with what was written, a line for each. labels: of fields, where they are not
    called as the table's columns are."""
    lines = []
    for problem in error.problems[:20]:
        field = problem.where.rpartition(".")[2] if "." in problem.where else problem.where
        field = {"zh": "name_zh", "en": "name_en"}.get(field, field)
        label = (labels or {}).get(field) or heading(table, field, page.language)
        lines.append(f"{label}: {flaw_text(page.language, table, problem)}")
    return lines


def done_text(page: Page, done: str) -> str:
    return page.say(f"rg_done_{done}") if done in DONE else ""


def compounds_of(known: Known, language: Language, who: Identity) -> list[tuple[str, str]]:
    return [(one.id, named(language, one.name)) for one in known.directory.visible(who.scope)]


def firms_of(known: Known, language: Language, who: Identity) -> list[tuple[str, str]]:
    return [
        (id_, named(language, name))
        for id_, name in known.directory.firms.items()
        if who.scope.firm in (None, id_)
    ]
