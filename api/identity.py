"""Who asks, what they may see, and what they may do: the only place where that is decided.

Every route declares one of the policies below (`Reader`, `Actor`, `Person`, `everyone`); a test
refuses a route without one. What a reader may see is their `scope`, which every read of
`devices.store` takes.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Header
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPBearer
from starlette.requests import Request

from api import audited
from api.errors import BadParameter, DeadLink, Forbidden, TooOften, Unauthenticated
from api.once import EACH_TIME, HEADER, Once, asked_once
from api.parts import Parts, PartsOf
from devices import links
from devices.store import tokens
from devices.store.database import reading
from devices.store.links import Sent, find_key, find_sent
from devices.store.scope import DISTRICT, Scope

COOKIE = "courtyard_session"
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class Role(StrEnum):
    OPERATOR = "operator"  # the district's staff: everything
    FIRM = "firm"  # a property firm: its own compounds
    VIEWER = "viewer"  # sees the district, changes nothing
    VISITOR = "visitor"  # nobody we know, on the machine of a demo: as a viewer


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody at the API. name: as it stands in the history of what they do.

    token: its number, 0 for a visitor. once: how what they ask for now is known if it comes again.
    """

    name: str
    role: Role
    scope: Scope
    token: int = 0
    once: Once = EACH_TIME


@dataclass(frozen=True, slots=True)
class Answerer:
    """Whoever holds a link out of a message: they may see that fault, and say what they do.

    text: of the link, as it came. key: with which it was signed.
    """

    text: str
    key: links.Key
    sent: Sent


# Only so that the OpenAPI document says it; `identify` reads the header itself.
_SCHEME = HTTPBearer(auto_error=False, description="A token of `courtyard token create`.")


def identify(
    request: Request,
    parts: PartsOf,
    _scheme: Annotated[object, Depends(_SCHEME)] = None,
) -> Identity:
    """Who sent this request, by bearer token or session cookie; raises Unauthenticated."""
    bearer = _bearer(request)
    if bearer is not None:
        who = _known(parts, lambda c: tokens.identify(c, bearer, parts.now_ms()))
        if who is None:
            raise Unauthenticated(
                "This token is unknown or revoked: ask for a new one "
                "(`courtyard token create --role …`).",
                error="invalid_token",
            )
        return who
    cookie = request.cookies.get(COOKIE)
    if cookie:
        who = _known(parts, lambda c: tokens.session_identity(c, cookie, parts.now_ms()))
        if who is not None:
            if request.method not in audited.SAFE_METHODS:
                refuse_other_sites(request)
            return who
    if parts.deps.demo and is_loopback(request):
        return Identity("visitor", Role.VISITOR, DISTRICT)
    raise Unauthenticated(
        "Send `Authorization: Bearer <token>`, or open /login in a browser; "
        "`courtyard token create --role …` makes a token."
    )


def known_parameters(request: Request) -> None:
    """Raise BadParameter for a parameter that the route does not have, or that comes twice."""
    allowed = _parameters(request.scope["route"].dependant)
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise BadParameter(name[:80], f"no parameter of this address; it has: {known}")
        if name in seen:
            raise BadParameter(name, "given twice")
        seen.add(name)


async def everyone(request: Request) -> None:
    """Policy: open to everyone, because nothing behind it belongs to anybody."""
    known_parameters(request)


async def reader(request: Request, who: Annotated[Identity, Depends(identify)]) -> Identity:
    """Policy: whoever is known may read what is in their scope."""
    known_parameters(request)
    return who


async def actor(
    request: Request,
    who: Annotated[Identity, Depends(identify)],
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="Of your own making. The same request of the same token under the same key"
            " is done once: for 24 hours it gets the first answer.",
        ),
    ] = None,
) -> Identity:
    """Policy: operators, and firms for what is theirs."""
    known_parameters(request)
    _refuse_visitors(who)
    if who.role is Role.VIEWER:
        raise Forbidden("A viewer changes nothing: this takes an operator's or a firm's token.")
    return replace(who, once=await asked_once(request, key, who.token))


def answerer(request: Request, parts: PartsOf, token: str) -> Answerer:
    """Policy: whoever holds the link of this message, for its fault alone.

    Raises DeadLink, and TooOften where a link is used more often than people do.
    """
    known_parameters(request)
    now_ms = parts.now_ms()
    claimed = links.read(token)
    if claimed is None:
        raise _wrong_link()
    with reading(parts.deps.engine) as connection:
        sent, key = find_sent(connection, claimed.delivery), find_key(connection, claimed.key)
    if sent is None or key is None:
        raise _wrong_link()
    link = links.Link(claimed.delivery, sent.fault, sent.to.id, claimed.hours, sent.person)
    if not links.is_genuine(claimed, link, key):
        raise _wrong_link()
    if now_ms >= link.ends_at_ms:
        raise DeadLink(
            "link_expired",
            "This link has ended: take the one in a newer message, or log in to the console.",
            status=410,
        )
    if key.ended_at_ms is not None:
        raise DeadLink(
            "link_revoked",
            "This link was revoked: take the one in a newer message, or log in to the console.",
            status=410,
        )
    if sent.is_gone:
        raise DeadLink(
            "link_target_gone",
            "Whoever got this message is told no more: they, or their target, were deleted.",
            status=410,
        )
    if sent.to.firm is not None and sent.to.firm != sent.manager:
        raise DeadLink(
            "link_moved",
            "Another property firm manages this compound now: the fault is theirs.",
            status=410,
        )
    wait_s = parts.pace.take(sent.delivery, request.method in audited.SAFE_METHODS, now_ms)
    if wait_s:
        raise TooOften("This link is used too often: wait a while.", wait_s)
    return Answerer(token, key, sent)


async def person(request: Request, who: Annotated[Identity, Depends(identify)]) -> Identity:
    """Policy: whoever is known may change what is their own alone, like their password."""
    known_parameters(request)
    _refuse_visitors(who)
    return who


def operators_only(who: Identity, what: str) -> None:
    """Raise Forbidden for everybody else. what: what only operators do."""
    if who.role is not Role.OPERATOR:
        raise Forbidden(f"Only operators {what}.")


Reader = Annotated[Identity, Depends(reader)]
Actor = Annotated[Identity, Depends(actor)]
Answering = Annotated[Answerer, Depends(answerer)]
Person = Annotated[Identity, Depends(person)]
EVERYONE = Depends(everyone)
POLICIES: frozenset[Callable[..., Any]] = frozenset({everyone, reader, actor, answerer, person})


def _refuse_visitors(who: Identity) -> None:
    """Who is left changes something, or is refused: both are on record."""
    if who.role is Role.VISITOR:
        raise Unauthenticated("Visitors may look at everything and change nothing: log in.")
    audited.sent_by(who.name, who.role, who.token)


def is_loopback(request: Request) -> bool:
    """Whether a browser on this very machine asks, for a name of this machine.

    Behind a proxy everybody comes from loopback, so what was forwarded does not count; neither
    does a foreign name that resolves to us (DNS rebinding).
    """
    headers = request.headers
    if "forwarded" in headers or "x-forwarded-for" in headers or "x-real-ip" in headers:
        return False
    host = headers.get("host", "")
    if (host if host.endswith("]") else host.rsplit(":", 1)[0]) not in _LOOPBACK_HOSTS:
        return False
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def refuse_other_sites(request: Request) -> None:
    """Raise Forbidden unless a page of ours sent this: a browser adds a session's cookie by itself.

    Browsers say where a request that changes something comes from; who says nothing is refused.
    """
    origin = request.headers.get("origin")
    if origin is not None:
        if urlsplit(origin).netloc == request.headers.get("host") and origin != "null":
            return
    elif request.headers.get("sec-fetch-site") == "same-origin":
        return
    raise Forbidden("This came from another site, or does not say from where: use our own pages.")


def _wrong_link() -> DeadLink:
    """The same for whatever is wrong, so that nobody learns which deliveries there are."""
    return DeadLink(
        "link_wrong",
        "This link is not whole, or was changed: open it again from the message.",
        status=403,
    )


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send `Authorization: Bearer <token>`.", error="invalid_request")
    return token.strip()


def _known(parts: Parts, look_up: Callable[..., tokens.Identity | None]) -> Identity | None:
    with reading(parts.deps.engine) as connection:
        found = look_up(connection)
    if found is None:
        return None
    parts.last_use.note(found.token_id, parts.now_ms())
    scope = Scope(found.firm) if found.role is tokens.Role.FIRM else DISTRICT
    return Identity(found.name, Role(found.role), scope, found.token_id)


def _parameters(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    for inner in dependant.dependencies:
        names |= _parameters(inner)
    return names
