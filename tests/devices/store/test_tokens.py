"""Tokens and sessions: who is let in, until when, and what the database knows of the secret."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, insert, select

from devices.store import schema
from devices.store.database import writing
from devices.store.tokens import (
    SESSION_MS,
    BadToken,
    Identity,
    Role,
    close_session,
    create,
    identify,
    open_session,
    revoke,
    session_identity,
)

NOW_MS = 1_795_399_200_000


@pytest.fixture
def connection(any_database: Engine) -> Iterator[Connection]:
    with writing(any_database) as open_connection:
        firm = {"id": "yaxin", "name_zh": "亚新", "name_en": "Yaxin", "contacts": []}
        open_connection.execute(insert(schema.firms), firm)
        yield open_connection


def known(connection: Connection, token: str) -> Identity:
    identity = identify(connection, token, NOW_MS)
    assert identity is not None
    return identity


def test_a_token_says_who_it_is_for(connection: Connection) -> None:
    operator = known(connection, create(connection, "operator", None, "值班", NOW_MS))
    firm = known(connection, create(connection, Role.FIRM, "yaxin", "", NOW_MS))
    assert operator == Identity(Role.OPERATOR, None, "值班", operator.token_id)
    assert firm == Identity(Role.FIRM, "yaxin", "", firm.token_id)
    assert operator.token_id != firm.token_id


def test_two_tokens_are_never_alike_and_neither_is_kept(connection: Connection) -> None:
    made = {create(connection, "viewer", None, "", NOW_MS) for _ in range(20)}
    assert len(made) == 20
    assert all(token.startswith("cy_") and len(token) >= 46 for token in made)
    (row, *_) = connection.execute(select(schema.tokens)).mappings()
    assert not any(token in str(dict(row)) for token in made)


@pytest.mark.parametrize("token", ["", "cy_", "cy_" + "a" * 43, "令牌", "\ud800", "x" * 100_000])
def test_an_unknown_token_is_nobodys(connection: Connection, token: str) -> None:
    create(connection, "operator", None, "", NOW_MS)
    assert identify(connection, token, NOW_MS) is None


@pytest.mark.parametrize(
    ("role", "firm", "complaint"),
    [
        ("admin", None, "'admin' is not a role: operator, firm, viewer"),
        ("firm", None, "needs the firm"),
        ("firm", "", "needs the firm"),
        ("firm", "nobody", "there is no firm 'nobody'; known are: yaxin"),
        ("operator", "yaxin", "has no firm: leave 'yaxin' out"),
        ("viewer", "yaxin", "has no firm"),
    ],
)
def test_a_token_for_nobody_is_refused(
    connection: Connection, role: str, firm: str | None, complaint: str
) -> None:
    with pytest.raises(BadToken, match=complaint):
        create(connection, role, firm, "", NOW_MS)


def test_a_revoked_token_is_refused_for_good(connection: Connection) -> None:
    token = create(connection, "operator", None, "", NOW_MS)
    other = create(connection, "operator", None, "", NOW_MS)
    number = known(connection, token).token_id
    assert revoke(connection, number, NOW_MS)
    assert identify(connection, token, NOW_MS) is None
    assert identify(connection, token, 0) is None  # a clock that was set back changes nothing
    assert identify(connection, other, NOW_MS) is not None
    assert not revoke(connection, number, NOW_MS)
    assert not revoke(connection, 999, NOW_MS)


def test_a_session_stands_for_its_token_for_seven_days(connection: Connection) -> None:
    identity = known(connection, create(connection, "firm", "yaxin", "", NOW_MS))
    session = open_session(connection, identity.token_id, NOW_MS)
    assert session_identity(connection, session, NOW_MS) == identity
    assert session_identity(connection, session, NOW_MS + SESSION_MS - 1) == identity
    assert session_identity(connection, session, NOW_MS + SESSION_MS) is None


def test_a_session_is_no_token_and_a_token_no_session(connection: Connection) -> None:
    token = create(connection, "operator", None, "", NOW_MS)
    session = open_session(connection, known(connection, token).token_id, NOW_MS)
    assert identify(connection, session, NOW_MS) is None
    assert session_identity(connection, token, NOW_MS) is None


def test_a_closed_session_is_over_and_the_others_go_on(connection: Connection) -> None:
    identity = known(connection, create(connection, "operator", None, "", NOW_MS))
    phone, desk = (open_session(connection, identity.token_id, NOW_MS) for _ in range(2))
    close_session(connection, phone)
    close_session(connection, phone)
    assert session_identity(connection, phone, NOW_MS) is None
    assert session_identity(connection, desk, NOW_MS) == identity


def test_revoking_a_token_ends_its_sessions(connection: Connection) -> None:
    identity = known(connection, create(connection, "operator", None, "", NOW_MS))
    session = open_session(connection, identity.token_id, NOW_MS)
    revoke(connection, identity.token_id, NOW_MS)
    assert session_identity(connection, session, NOW_MS) is None
    assert connection.execute(select(schema.web_sessions)).all() == []


def test_expired_sessions_do_not_pile_up(connection: Connection) -> None:
    identity = known(connection, create(connection, "operator", None, "", NOW_MS))
    for day in range(30):
        open_session(connection, identity.token_id, NOW_MS + day * 86_400_000)
    assert len(connection.execute(select(schema.web_sessions)).all()) == 7
