"""The console's page of the API's tokens: who has which, a new one, its end. For operators."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from api import audited, new_people, paging
from api.console.pages import Page, PageOf
from api.console.user_pages import confirmed, firm_name, firms_of
from api.errors import NotFound
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import when
from api.parts import Known, Parts, PartsOf
from api.words import Language, say
from devices.faults import SYSTEM
from devices.store import tokens
from devices.store.database import reading, writing
from devices.store.tokens import BadToken, LastOperator, Role, Token

ONLY = "see and manage tokens"
NAME_AT_MOST = 120
LARGEST_ID = 2**31 - 1

router = APIRouter(include_in_schema=False)

WordOf = Annotated[str, Form(max_length=200)]


@router.get("/tokens")
def tokens_page(parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf) -> Response:
    """All of them, the newest first."""
    operators_only(who, ONLY)
    return _page(parts, who, page, rows)


@router.post("/tokens")
def make(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    name: WordOf = "",
    role: WordOf = "",
    firm: WordOf = "",
) -> Response:
    """A new token, shown on this page and nowhere else."""
    operators_only(who, ONLY)
    called = " ".join(name.split())
    try:
        if not 1 <= len(called) <= NAME_AT_MOST or not called.isprintable():
            raise new_people.Refused(page.say("to_bad_name"))
        if called.casefold() == SYSTEM:
            raise new_people.Refused(page.say("us_taken", name=called))
        new_role, new_firm = new_people.read_role(page, role, firm)
        with writing(parts.deps.engine) as connection:
            made = tokens.create(
                connection, new_role, new_firm, called, parts.now_ms(), by=who.name
            )
            known = tokens.identify(connection, made, parts.now_ms())
            number = "" if known is None else str(known.token_id)
            audited.about(number, name=called, role=new_role.value, firm=new_firm)
    except new_people.Refused as refused:
        return _page(parts, who, page, rows, status=422, notice=str(refused), written=called)
    except BadToken:
        return _page(
            parts, who, page, rows, status=422, notice=page.say("us_bad_role"), written=called
        )
    return page.render(
        "once.html",
        who=who,
        title=page.say("to_made", name=called),
        word=page.say("login_token"),
        secret=made,
        note=page.say("to_once"),
        back="/tokens",
        back_word=page.say("tokens"),
    )


@router.post("/tokens/{api_token}/revoke")
def revoke(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    api_token: str,
    sure: WordOf = "",
) -> Response:
    """It opens nothing any more, and neither does any session that it opened."""
    number = int(api_token) if api_token.isascii() and api_token.isdigit() else 0
    if not 0 < number <= LARGEST_ID:
        raise NotFound
    with reading(parts.deps.engine) as connection:
        found = tokens.find_token(connection, who.scope, number)
    if found is None:
        raise NotFound
    operators_only(who, ONLY)
    try:
        confirmed(page, sure)
        with writing(parts.deps.engine) as connection:
            tokens.keep_an_operator(connection, without=number)
            tokens.revoke(connection, number, parts.now_ms())
            audited.about(api_token, name=found.name)
    except new_people.Refused as refused:
        return _page(parts, who, page, rows, status=422, notice=str(refused))
    except LastOperator:
        return _page(parts, who, page, rows, status=409, notice=page.say("us_last"))
    return RedirectResponse("/tokens", 303)


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token in the list, in words."""

    id: int
    name: str
    role_word: str
    firm_name: str
    made: str
    by: str
    used: str
    revoked: str
    is_own: bool


def _page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    status: int = 200,
    notice: str = "",
    written: str = "",
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        below = rows.position[0] if rows.position else None
        found = tokens.list_tokens(connection, who.scope, below=below, limit=rows.limit + 1)
    shown, cursor = rows.split(found, lambda token: [token.id])
    return page.render(
        "tokens.html",
        status,
        who=who,
        tokens=[_line(known, page.language, token, who, now_ms) for token in shown],
        older="" if cursor is None else f"/tokens?cursor={cursor}",
        firms=firms_of(known, page.language),
        roles=[(role.value, page.say(f"role_{role}")) for role in Role],
        written=written,
        notice=notice,
    )


def _line(known: Known, language: Language, token: Token, who: Identity, now_ms: int) -> TokenLine:
    return TokenLine(
        id=token.id,
        name=token.name,
        role_word=say(language, f"role_{token.role}"),
        firm_name=firm_name(known, language, token.firm),
        made=when(token.created_at_ms, now_ms),
        by=token.created_by,
        used="" if token.used_at_ms is None else when(token.used_at_ms, now_ms),
        revoked="" if token.revoked_at_ms is None else when(token.revoked_at_ms, now_ms),
        is_own=token.id == who.token,
    )
