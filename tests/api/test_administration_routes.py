"""Users and tokens as JSON: the same rules as on the pages, and secrets shown once."""

import pytest
from sqlalchemy import select

from devices.store.schema import audit_log, idempotency_keys
from tests.api.cast import Cast, a_user

WANG = {"name": "Wang", "display": "王建国", "role": "firm", "firm": "yaxin", "language": "zh"}
GRAFANA = {"name": "grafana", "role": "viewer"}


def enters(cast: Cast, name: str, password: str) -> bool:
    form = {"name": name, "password": password}
    return cast.browser().post("/login", data=form).status_code == 303


def test_a_user_is_made_listed_and_enters_with_the_password_that_is_shown_once(cast: Cast) -> None:
    client = cast.client("operator")
    made = client.post("/v1/users", json=WANG)
    assert made.status_code == 201
    body = made.json()
    password = body.pop("password")
    assert (body["name"], body["firm"], body["created_by"]) == ("wang", "yaxin", "li-min")
    assert enters(cast, "wang", password)
    found = client.get("/v1/users/wang").json()
    assert found == body | {"used_at": found["used_at"]}
    assert client.get("/v1/users").json()["items"] == [found]
    again = client.post("/v1/users/wang/password").json()["password"]
    assert not enters(cast, "wang", password)
    assert enters(cast, "wang", again)


def test_roles_change_and_users_are_disabled_and_enabled(cast: Cast) -> None:
    client = cast.client("operator")
    password = client.post("/v1/users", json=WANG).json()["password"]
    assert client.put("/v1/users/wang/role", json={"role": "viewer"}).json()["firm"] is None
    wrong = client.put("/v1/users/wang/role", json={"role": "firm"})
    assert wrong.status_code == 422
    assert client.post("/v1/users/wang/disable").json()["disabled_at"] is not None
    assert not enters(cast, "wang", password)
    assert client.post("/v1/users/wang/enable").json()["disabled_at"] is None
    assert enters(cast, "wang", password)


def test_a_token_is_made_opens_and_is_revoked(cast: Cast) -> None:
    client = cast.client("operator")
    made = client.post("/v1/tokens", json=GRAFANA)
    assert made.status_code == 201
    body = made.json()
    bearer = {"Authorization": f"Bearer {body.pop('token')}"}
    assert cast.client(None).get("/v1/compounds", headers=bearer).status_code == 200
    one = f"/v1/tokens/{body['id']}"
    found = client.get(one).json()
    assert found == body | {"used_at": found["used_at"]}
    assert found in client.get("/v1/tokens").json()["items"]
    assert client.delete(one).status_code == 204
    assert cast.client(None).get("/v1/compounds", headers=bearer).status_code == 401
    assert client.get(one).json()["revoked_at"] is not None


def test_what_cannot_be_is_refused_with_the_reason(cast: Cast) -> None:
    client = cast.client("operator")
    for change in ({"name": "王"}, {"role": "firm", "firm": "nobody"}, {"role": "viewer"}):
        answer = client.post("/v1/users", json=WANG | change)
        assert answer.status_code == 422, change
        assert answer.json()["errors"], change
    assert client.post("/v1/users", json=WANG | {"role": "king"}).status_code == 422
    client.post("/v1/users", json=WANG)
    assert client.post("/v1/users", json=WANG).status_code == 409
    assert client.post("/v1/tokens", json=GRAFANA | {"name": "system"}).status_code == 422
    assert client.post("/v1/tokens", json=GRAFANA | {"name": "a\x00b"}).status_code == 422


def test_the_last_operator_stays(cast: Cast) -> None:
    client = cast.client("operator")
    own = next(one for one in client.get("/v1/tokens").json()["items"] if one["name"] == "li-min")
    assert client.delete(f"/v1/tokens/{own['id']}").status_code == 409
    with cast.write() as connection:
        a_user(connection, "li", "operator")
    assert client.post("/v1/users/li/disable").status_code == 200, "there is the token's"


@pytest.mark.parametrize(("path", "body"), [("/v1/users", WANG), ("/v1/tokens", GRAFANA)])
def test_a_secret_is_never_kept_for_the_same_request_again(
    cast: Cast, path: str, body: dict[str, str]
) -> None:
    client = cast.client("operator")
    key = {"Idempotency-Key": "k1"}
    first = client.post(path, json=body, headers=key).json()
    again = client.post(path, json=body, headers=key).json()
    member = "password" if path == "/v1/users" else "token"
    assert first[member]
    assert again == first | {member: None}
    with cast.write() as connection:
        kept = b"".join(connection.scalars(select(idempotency_keys.c.answer)))
        said = str(connection.execute(select(audit_log)).all())
    assert first[member].encode() not in kept
    assert first[member] not in said
    assert path in said


def test_only_operators_see_and_manage_them(cast: Cast) -> None:
    for who in ("yaxin", "viewer"):
        client = cast.client(who)
        for path, body in (("/v1/users", WANG), ("/v1/tokens", GRAFANA)):
            assert client.get(path).status_code == 403
            assert client.post(path, json=body).status_code == 403
