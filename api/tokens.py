"""API tokens, for programs; the rules are those of the console's page."""

from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy import Connection
from starlette.responses import Response

from api import audited, shapes
from api.console.token_pages import LARGEST_ID, ONLY
from api.errors import BadParameter, Moved, NotFound
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import print_instant, print_known
from api.paging import PageOf
from api.parts import PartsOf
from devices.store import tokens
from devices.store.database import reading, writing
from devices.store.scope import DISTRICT
from devices.store.tokens import BadToken, LastOperator, Token

router = APIRouter(
    prefix="/v1",
    tags=["administration"],
    responses={**shapes.refusals.PROBLEMS, **shapes.refusals.ADMINISTRATION_REFUSED},
)

TokenOf = Annotated[int, Path(ge=1, le=LARGEST_ID)]


@router.get("/tokens")
def list_all(parts: PartsOf, who: Reader, page: PageOf) -> shapes.access.Tokens:
    """All tokens of the API, the newest first, also the revoked ones."""
    operators_only(who, ONLY)
    with reading(parts.deps.engine) as connection:
        below = page.position[0] if page.position else None
        found = tokens.list_tokens(connection, who.scope, below=below, limit=page.limit + 1)
    shown, cursor = page.split(found, lambda token: [token.id])
    return shapes.access.Tokens(items=[_shape(token) for token in shown], next_cursor=cursor)


@router.get("/tokens/{api_token}")
def get_token(parts: PartsOf, who: Reader, api_token: TokenOf) -> shapes.access.Token:
    """One of them."""
    with reading(parts.deps.engine) as connection:
        return _shape(_find(connection, who, api_token))


@router.post("/tokens", status_code=201)
def make_token(
    parts: PartsOf, who: Actor, body: shapes.access.NewToken
) -> shapes.access.TokenWithSecret:
    """A new token. What it opens is `token`, in this answer and nowhere else."""
    operators_only(who, ONLY)
    name = " ".join(body.name.split())
    if not name.isprintable():
        raise BadParameter("name", "has characters that cannot be printed")
    now_ms = parts.now_ms()
    secret: str | None = None

    def make() -> shapes.access.Token:
        nonlocal secret
        try:
            secret = tokens.create(connection, body.role, body.firm, name, now_ms, by=who.name)
        except BadToken as error:
            raise BadParameter("role", str(error)) from error
        made = tokens.identify(connection, secret, now_ms)
        found = None if made is None else tokens.find_token(connection, DISTRICT, made.token_id)
        if found is None:
            raise NotFound  # somebody ended it at this very moment
        return _shape(found)

    with writing(parts.deps.engine) as connection:
        # what is kept under an Idempotency-Key has no secret in it
        token = who.once.do(connection, now_ms, shapes.access.Token, make)
        audited.about(str(token.id), name=token.name, role=token.role, firm=token.firm)
    return shapes.access.TokenWithSecret(**token.model_dump(), token=secret)


@router.delete("/tokens/{api_token}", status_code=204)
def revoke(parts: PartsOf, who: Actor, api_token: TokenOf) -> Response:
    """It opens nothing any more, and neither does any session that it opened. It stays listed."""
    with writing(parts.deps.engine) as connection:
        found = _find(connection, who, api_token)
        audited.about(str(found.id), name=found.name)
        try:
            tokens.keep_an_operator(connection, without=found.id)
        except LastOperator as error:
            raise Moved(f"{error}. Nothing was done.") from error
        tokens.revoke(connection, found.id, parts.now_ms())
    return Response(status_code=204)


def _find(connection: Connection, who: Identity, token: int) -> Token:
    """Raises NotFound for a stranger's, Forbidden for one of theirs who is no operator."""
    found = tokens.find_token(connection, who.scope, token)
    if found is None:
        raise NotFound
    operators_only(who, ONLY)
    return found


def _shape(token: Token) -> shapes.access.Token:
    return shapes.access.Token.model_validate(
        {
            "id": token.id,
            "name": token.name,
            "role": token.role.value,
            "firm": token.firm,
            "created_at": print_instant(token.created_at_ms),
            "created_by": token.created_by,
            "used_at": print_known(token.used_at_ms),
            "revoked_at": print_known(token.revoked_at_ms),
        }
    )
