"""Users in their table: who may be one, who is let in, and who makes the first."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, func, insert, select

from devices.store import schema, tokens
from devices.store.database import writing
from devices.store.scope import DISTRICT, Scope
from devices.store.tokens import BadToken, LastOperator, Role
from devices.store.users import (
    CODES_AT_MOST,
    NameTaken,
    NewUser,
    UnknownUser,
    add_user,
    change_role,
    disable_user,
    enable_user,
    find_user,
    knows_setup_code,
    list_users,
    make_setup_code,
    needs_setup,
    password_of,
    renew_hash,
    set_password,
    take_setup_codes,
    user_of,
)

NOW_MS = 1_795_399_200_000
LI = NewUser("li-min", "李敏", "operator", None, "zh", "hash-of-li")
WANG = NewUser("wang", "王建国", "firm", "yaxin", None, "hash-of-wang")
YAXIN, KANGQIAO = Scope("yaxin"), Scope("kangqiao")


def with_firms(engine: Engine) -> None:
    with writing(engine) as connection:
        for firm in ("yaxin", "kangqiao"):
            row: dict[str, object] = {"id": firm, "name_zh": firm, "name_en": firm, "contacts": []}
            connection.execute(insert(schema.firms), row)


@pytest.fixture
def connection(any_database: Engine) -> Iterator[Connection]:
    with_firms(any_database)
    with writing(any_database) as open_connection:
        yield open_connection


def test_a_user_is_found_by_name_and_by_number(connection: Connection) -> None:
    made = add_user(connection, WANG, "li-min", NOW_MS)
    assert (made.name, made.display, made.role, made.firm) == ("wang", "王建国", Role.FIRM, "yaxin")
    assert (made.created_by, made.created_at_ms, made.disabled_at_ms) == ("li-min", NOW_MS, None)
    assert find_user(connection, YAXIN, "wang") == made
    assert user_of(connection, made.token) == made
    assert password_of(connection, "wang") == (made.token, "hash-of-wang")
    assert password_of(connection, "nobody") is None


def test_a_user_of_another_firm_is_not_there(connection: Connection) -> None:
    add_user(connection, WANG, "li-min", NOW_MS)
    acts: list[Callable[[], object]] = [
        lambda: find_user(connection, KANGQIAO, "wang"),
        lambda: disable_user(connection, KANGQIAO, "wang", NOW_MS),
        lambda: enable_user(connection, KANGQIAO, "wang"),
        lambda: change_role(connection, KANGQIAO, "wang", "firm", "kangqiao"),
    ]
    for act in acts:
        with pytest.raises(UnknownUser):
            act()
    assert list_users(connection, KANGQIAO) == []
    assert [user.name for user in list_users(connection, DISTRICT)] == ["wang"]


@pytest.mark.parametrize(
    ("role", "firm"), [("king", None), ("firm", None), ("operator", "yaxin"), ("firm", "nobody")]
)
def test_role_and_firm_must_go_together(
    connection: Connection, role: str, firm: str | None
) -> None:
    with pytest.raises(BadToken):
        add_user(connection, replace(WANG, role=role, firm=firm), "", NOW_MS)


def test_nobody_is_made_twice(connection: Connection) -> None:
    add_user(connection, WANG, "", NOW_MS)
    with pytest.raises(NameTaken):
        add_user(connection, WANG, "", NOW_MS)


def test_no_secret_opens_a_users_row_of_tokens_and_no_list_of_tokens_has_it(
    connection: Connection,
) -> None:
    made = add_user(connection, LI, "", NOW_MS)
    hashed = connection.scalar(
        select(schema.tokens.c.sha256).where(schema.tokens.c.id == made.token)
    )
    assert hashed is not None
    assert hashed.startswith("user:")
    assert tokens.identify(connection, hashed, NOW_MS) is None
    tokens.create(connection, "viewer", None, "robot", NOW_MS, "li-min")
    (listed,) = tokens.list_tokens(connection, DISTRICT)
    assert (listed.name, listed.created_by) == ("robot", "li-min")
    assert tokens.find_token(connection, DISTRICT, made.token) is None
    assert tokens.find_token(connection, YAXIN, listed.id) is None


def test_a_new_password_and_a_disabled_user_end_every_session(connection: Connection) -> None:
    add_user(connection, LI, "", NOW_MS)
    made = add_user(connection, WANG, "", NOW_MS)
    session = tokens.open_session(connection, made.token, NOW_MS)
    who = tokens.session_identity(connection, session, NOW_MS)
    assert who == tokens.Identity(Role.FIRM, "yaxin", "wang", made.token)
    set_password(connection, made.token, "another-hash", NOW_MS + 1)
    assert tokens.session_identity(connection, session, NOW_MS) is None
    assert password_of(connection, "wang") == (made.token, "another-hash")
    session = tokens.open_session(connection, made.token, NOW_MS)
    assert disable_user(connection, YAXIN, "wang", NOW_MS + 2).disabled_at_ms == NOW_MS + 2
    assert tokens.session_identity(connection, session, NOW_MS) is None
    assert password_of(connection, "wang") is None
    enable_user(connection, DISTRICT, "wang")
    assert password_of(connection, "wang") == (made.token, "another-hash")
    assert tokens.session_identity(connection, session, NOW_MS) is None


def test_a_hash_is_renewed_only_in_place_of_the_one_that_was_checked(
    connection: Connection,
) -> None:
    made = add_user(connection, LI, "", NOW_MS)
    renew_hash(connection, made.token, "somebody changed it", "dearer")
    assert password_of(connection, "li-min") == (made.token, "hash-of-li")
    renew_hash(connection, made.token, "hash-of-li", "dearer")
    assert password_of(connection, "li-min") == (made.token, "dearer")


def test_the_last_operator_stays_one(connection: Connection) -> None:
    add_user(connection, LI, "", NOW_MS)
    add_user(connection, WANG, "", NOW_MS)
    with pytest.raises(LastOperator):
        disable_user(connection, DISTRICT, "li-min", NOW_MS)
    with pytest.raises(LastOperator):
        change_role(connection, DISTRICT, "li-min", "viewer", None)
    assert change_role(connection, DISTRICT, "wang", "operator", None).role is Role.OPERATOR
    assert disable_user(connection, DISTRICT, "li-min", NOW_MS).disabled_at_ms == NOW_MS


def test_two_who_disable_each_other_at_once_leave_one(any_database: Engine) -> None:
    with_firms(any_database)
    with writing(any_database) as connection:
        add_user(connection, LI, "", NOW_MS)
        add_user(connection, replace(LI, name="zhao"), "", NOW_MS)
    refused: list[str] = []
    both = threading.Barrier(2, timeout=30)

    def disable(name: str) -> None:
        both.wait()
        try:
            with writing(any_database) as connection:
                disable_user(connection, DISTRICT, name, NOW_MS)
        except LastOperator:
            refused.append(name)

    threads = [threading.Thread(target=disable, args=(name,)) for name in ("li-min", "zhao")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 1


def test_a_set_up_code_is_good_until_there_is_a_user(connection: Connection) -> None:
    assert needs_setup(connection)
    first, second = make_setup_code(connection, NOW_MS), make_setup_code(connection, NOW_MS + 1)
    assert len(first) == 29
    assert first != second
    kept = connection.scalars(select(schema.setup_codes.c.sha256)).all()
    assert first not in kept
    for written in (first, second, first.lower(), f" {first.replace('-', ' ')}\n"):
        assert knows_setup_code(connection, written)
    for written in ("", first[:-1], "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"):
        assert not knows_setup_code(connection, written)
    assert take_setup_codes(connection, first)
    assert not take_setup_codes(connection, second)
    add_user(connection, LI, "", NOW_MS)
    assert not needs_setup(connection)


def test_who_makes_a_user_on_the_command_line_ends_the_set_up(connection: Connection) -> None:
    code = make_setup_code(connection, NOW_MS)
    add_user(connection, WANG, "", NOW_MS)
    assert not knows_setup_code(connection, code)
    assert not needs_setup(connection)


def test_an_operators_token_ends_the_set_up_even_when_it_is_revoked(
    connection: Connection,
) -> None:
    tokens.create(connection, "viewer", None, "", NOW_MS)
    assert needs_setup(connection)
    code = make_setup_code(connection, NOW_MS)
    token = tokens.create(connection, "operator", None, "", NOW_MS)
    assert not needs_setup(connection)
    assert not take_setup_codes(connection, code)
    who = tokens.identify(connection, token, NOW_MS)
    assert who is not None
    tokens.revoke(connection, who.token_id, NOW_MS)
    assert not needs_setup(connection)


def test_of_set_up_codes_the_newest_few_are_kept(connection: Connection) -> None:
    codes = [make_setup_code(connection, NOW_MS + n) for n in range(CODES_AT_MOST + 2)]
    kept = connection.scalar(select(func.count()).select_from(schema.setup_codes))
    assert kept == CODES_AT_MOST
    assert [knows_setup_code(connection, code) for code in codes[:3]] == [False, False, True]


def test_when_a_token_was_used_last_is_written_down(connection: Connection) -> None:
    tokens.create(connection, "viewer", None, "robot", NOW_MS)
    (made,) = tokens.list_tokens(connection, DISTRICT)
    assert made.used_at_ms is None
    tokens.mark_used(connection, {made.id: NOW_MS + 5})
    (used,) = tokens.list_tokens(connection, DISTRICT)
    assert used.used_at_ms == NOW_MS + 5
