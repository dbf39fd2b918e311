"""Who may do what: one place decides, and every route says which policy is its own."""

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import select, update

from api import identity
from devices.store import tokens
from devices.store.saved_filters import save_filter
from devices.store.schema import fault_events, people, rosters, stand_ins, targets
from devices.store.schema import routes as routes_table
from tests.api.cast import (
    GATE,
    LIANXIN,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_delivery,
    a_fault,
    a_person,
    a_refusal,
    a_roster,
    a_route,
    a_session,
    a_stand_in,
    a_summary,
    a_target,
    a_user,
    a_window,
    an_export,
)

ACTIONS = {
    "acknowledge": {},
    "comment": {"note": "on site"},
    "assign": {"assignee": "zhao-min"},
    "shelve": {"until": "2026-11-24"},
    "unshelve": {},
    "onsite": {},
    "repaired": {},
    "confirm": {},
    "close": {},
}
# For every parameter in a path: what is yaxin's own, what is a stranger's, what does not exist.
IDS = {
    "compound": (XIANGYUNLI, LIANXIN, "atlantis"),
    "device": (GATE, STRANGE_GATE, "atlantis-gate-1"),
    "fault": ("own-fault", "strange-fault", "no-fault"),
    "refused": ("1", "2", "3000"),
    "window": ("own-window", "strange-window", "no-window"),
    "firm": ("yaxin", "kangqiao", "nobody"),
    "target": ("own-target", "strange-target", "no-target"),
    "route": ("own-route", "strange-route", "no-route"),
    "delivery": ("1", "2", "3000"),
    "person": ("own-person", "strange-person", "no-person"),
    "roster": ("own-roster", "strange-roster", "no-roster"),
    "stand_in": ("own-leave", "strange-leave", "no-leave"),
    "session": ("own-session", "strange-session", "no-session"),
    "export": ("own-export", "strange-export", "no-export"),
    "user": ("own-user", "strange-user", "no-user"),
    "api_token": ("2", "3", "3000"),
    "saved": ("1", "2", "3000"),
}
REGISTRY = ("firms/{firm}", "compounds/{compound}", "devices/{device}")
BODIES = {
    **{f"/v1/faults/{{fault}}/{action}": body for action, body in ACTIONS.items()},
    "/v1/sla/limits/{firm}": {"P4": {"acknowledge": {"amount": 2, "unit": "working_days"}}},
    "/v1/targets/{target}": {"name": "n", "url": "https://x.example"},
    "/v1/targets/{target}/hours": {"quiet_from": "22:00", "quiet_to": "07:00"},
    "/v1/people/{person}": {"name": "n"},
    "/v1/rosters/{roster}": {"name": "n", "starts_on": "2026-11-23", "people": ["own-person"]},
    "/v1/users/{user}/role": {"role": "viewer"},
    "/v1/compounds/{compound}/usage/corrections": {"day": "2026-11-10", "reason": "late"},
    "/v1/compounds/{compound}/usage/corrections/preview": {"day": "2026-11-10"},
    **{f"/v1/registry/{what}": {} for what in REGISTRY},
    "/v1/registry/devices/{device}/move": {"compound": XIANGYUNLI},
}
# Parameters in a path that are nobody's.
COMMON = {
    "month": "2026-11",
    "file_type": "xlsx",
    "year": "2026",
    "severity": "P1",
    "code": "SHED_OVERTEMP",
    "rule_set": "0",
    "registry_import": "no-import",
}
OPERATORS_ONLY = (
    "/v1/sla/limits/{firm}",
    "/v1/quarantine/{refused}/replay",
    "/quarantine/{refused}/replay",
    "/v1/compounds/{compound}/usage/corrections/preview",
    *(f"/users/{{user}}/{what}" for what in ("password", "role", "disable", "enable")),
    "/tokens/{api_token}/revoke",
    "/v1/users/{user}",
    *(f"/v1/users/{{user}}/{what}" for what in ("password", "role", "disable", "enable")),
    "/v1/tokens/{api_token}",
    *(
        f"{place}/devices/{{device}}/{what}"
        for place in ("/v1/registry", "/administration")
        for what in ("move", "retire", "restore")
    ),
)
# Open to everyone, for nobody is known there yet; or of what is somebody's own.
OF_THEIR_OWN = (
    *("/account/password", "/display", "/tour"),
    *("/faults/filters", "/faults/filters/{saved}/delete"),
)
NO_ACTORS = ("/login", "/logout", "/setup", *OF_THEIR_OWN)
# The same address is read by everybody, and written to by operators.
READ_BY_ALL = (
    "/v1/compounds/{compound}/usage/corrections",
    "/compounds/{compound}/corrections",
)
BY_LINK = "/a/{token}"  # opens by what is in the address itself
NEEDED = {"/v1/devices/{device}/telemetry": "?quantity=door_state"}


def routes(cast: Cast) -> list[APIRoute]:
    found = [route for route in cast.app.routes if isinstance(route, APIRoute)]
    assert len(found) == len(cast.app.routes), "a route that no policy can be read from"
    return found


def policies(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        if inner.call in identity.POLICIES:
            yield inner.call
        yield from policies(inner)


def test_every_route_declares_exactly_one_policy(cast: Cast) -> None:
    for route in routes(cast):
        assert len(set(policies(route.dependant))) == 1, f"{route.methods} {route.path}"


def test_whatever_changes_something_takes_an_actor(cast: Cast) -> None:
    for route in routes(cast):
        if route.methods != {"GET"} and route.path not in (*NO_ACTORS, BY_LINK):
            assert set(policies(route.dependant)) == {identity.actor}, route.path


def test_only_the_page_of_a_link_is_open_to_who_holds_it(cast: Cast) -> None:
    by_link = {
        route.path
        for route in routes(cast)
        if set(policies(route.dependant)) == {identity.answerer}
    }
    assert by_link == {BY_LINK}


def test_only_these_routes_are_open_to_everyone(cast: Cast) -> None:
    public = {
        route.path
        for route in routes(cast)
        if set(policies(route.dependant)) == {identity.everyone}
    }
    assert public == {
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/assets/{name:path}",
        "/login",
        "/login/oidc",
        "/login/oidc/callback",
        "/logout",
        "/setup",
        "/display",  # what is chosen there is kept in the browser
        "/tour",
    }


def test_without_a_token_every_other_route_is_401_and_says_how(cast: Cast) -> None:
    client = cast.client(None)
    for route in routes(cast):
        if set(policies(route.dependant)) & {identity.everyone, identity.answerer}:
            continue
        method = "".join(route.methods or ())
        path = route.path.format(**{name: ids[0] for name, ids in IDS.items()}, **COMMON)
        answer = client.request(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"


def with_rows(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "own-fault")
        a_fault(connection, "strange-fault", device=STRANGE_GATE, compound=LIANXIN)
        a_refusal(connection, 1)
        a_refusal(connection, 2, compound=LIANXIN, device=STRANGE_GATE)
        a_session(connection, "own-session")
        a_session(connection, "strange-session", compound=LIANXIN)
        a_window(connection, "own-window")
        a_window(connection, "strange-window", compound=LIANXIN, reason="连心胡同换锁")
        for whose, firm in (("own", "yaxin"), ("strange", "kangqiao")):
            a_target(connection, f"{whose}-target", firm=firm, name=f"{whose}-robot")
            a_target(connection, f"{whose}-other", firm=firm, name=f"{whose}-robot-2")
            a_route(connection, f"{whose}-route", f"{whose}-other")
            a_delivery(connection, f"{whose}-fault", f"{whose}-target")
            a_summary(connection, f"{whose}-target")
            a_person(connection, f"{whose}-person", firm=firm, name=f"{whose}-name")
            a_roster(connection, f"{whose}-roster", f"{whose}-person", firm=firm)
            a_stand_in(connection, f"{whose}-leave", f"{whose}-person", firm=firm)
        for number in (2, 3):  # yaxin's and kangqiao's
            save_filter(connection, number, "mine", "whose=mine", NOW_MS)
        a_user(connection, "own-user", "firm", "yaxin")
        a_user(connection, "strange-user", "firm", "kangqiao")
    an_export(cast, "own-export")
    an_export(cast, "strange-export", "kangqiao")


def test_what_is_a_strangers_is_not_there_to_the_byte(cast: Cast) -> None:
    with_rows(cast)
    client = cast.client("yaxin")
    tried = 0
    for route in routes(cast):
        method = "".join(route.methods or ())
        parameter = next((name for name in IDS if f"{{{name}}}" in route.path), None)
        if parameter is None:
            continue
        tried += 1
        if parameter == "export":  # some of these routes take it away
            an_export(cast, "own-export")
        if parameter in ("target", "route"):  # these too
            with cast.write() as connection:
                back = {"deleted_at_ms": None}
                connection.execute(update(targets).values(url="https://x.example", **back))
                connection.execute(update(routes_table).values(**back))
        if parameter in ("person", "roster", "stand_in"):
            with cast.write() as connection:
                for table in (people, rosters, stand_ins):
                    connection.execute(update(table).values(deleted_at_ms=None))
                connection.execute(update(stand_ins).values(to_ms=NOW_MS + 3_600_000))
        own, strange, unknown = (
            client.request(
                method,
                route.path.format(**{parameter: id_}, **COMMON) + NEEDED.get(route.path, ""),
                json=BODIES.get(route.path) if method != "GET" else None,
                data={"note": "on site"} if not route.path.startswith("/v1") else None,
            )
            for id_ in IDS[parameter]
        )
        refused = route.path in OPERATORS_ONLY or (route.path in READ_BY_ALL and method == "POST")
        allowed = (403,) if refused else (200, 204, 303, 409)
        assert own.status_code in allowed, (route.path, own.text)
        assert strange.status_code == 404, route.path
        assert strange.content == unknown.content, route.path
        assert strange.headers == unknown.headers, route.path
    assert tried > 15


@pytest.mark.parametrize(
    "path",
    [
        "/v1/devices?compound={}",
        "/v1/faults?compound={}",
        "/v1/accounting?compound={}",
        "/v1/quarantine?compound={}",
        "/v1/maintenance?compound={}",
        "/v1/deliveries?compound={}",
    ],
)
def test_a_filter_for_a_strangers_compound_is_404_like_one_for_none(cast: Cast, path: str) -> None:
    client = cast.client("yaxin")
    assert client.get(path.format(XIANGYUNLI)).status_code == 200
    strange, unknown = (client.get(path.format(id_)) for id_ in (LIANXIN, "atlantis"))
    assert strange.status_code == unknown.status_code == 404
    assert strange.content == unknown.content


@pytest.mark.parametrize(
    "path",
    ["/v1/compounds", "/v1/devices", "/v1/faults", "/v1/maintenance", "/v1/escalations", "/"],
)
def test_a_filter_for_another_firm_is_404_like_one_for_none(cast: Cast, path: str) -> None:
    client = cast.client("yaxin")
    assert client.get(f"{path}?firm=yaxin").status_code == 200
    strange, unknown = (client.get(f"{path}?firm={id_}") for id_ in ("kangqiao", "nobody"))
    assert strange.status_code == unknown.status_code == 404
    assert strange.content == unknown.content


def test_a_firm_sees_nothing_of_a_stranger_in_any_list(cast: Cast) -> None:
    with_rows(cast)
    client = cast.client("yaxin")
    lists = ("compounds", "devices", "faults", "quarantine", "maintenance")
    ours = ("people", "rosters", "stand-ins", "escalations", "summaries")
    alerts = ("targets", "routes", "deliveries", *ours)
    for path in (*(f"/v1/{name}" for name in (*lists, *alerts)), "/", "/faults"):
        text = client.get(path).text
        strange = (LIANXIN, "连心胡同", "Lianxin", STRANGE_GATE, "strange-fault", "strange-")
        for name in strange:
            assert name not in text, (path, name)


@pytest.mark.parametrize(("action", "body"), ACTIONS.items())
def test_a_viewer_reads_everything_and_changes_nothing(
    cast: Cast, action: str, body: dict[str, str]
) -> None:
    with_rows(cast)
    client = cast.client("viewer")
    assert client.get("/v1/faults/strange-fault").status_code == 200
    answer = client.post(f"/v1/faults/own-fault/{action}", json=body)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    with cast.write() as connection:
        reasons = connection.scalars(select(fault_events.c.reason)).all()
    assert set(reasons) == {"raised"}


@pytest.mark.parametrize("path", ["/users", "/tokens", "/audit", "/v1/audit"])
def test_only_operators_administer(cast: Cast, path: str) -> None:
    with_rows(cast)
    assert cast.client("operator").get(path).status_code == 200
    for name in ("yaxin", "viewer"):
        client = cast.client(name)
        answer = client.get(path)
        assert answer.status_code == 403
        assert "own-user" not in answer.text
        if path in ("/users", "/tokens"):
            form = {"name": "mallory", "role": "operator"}
            assert client.post(path, data=form).status_code == 403


@pytest.mark.parametrize("path", ["/users", "/tokens", "/audit"])
def test_who_visits_a_demo_administers_nothing(demo: Cast, path: str) -> None:
    assert demo.neighbour().get(path).status_code == 403
    if path != "/audit":
        assert demo.neighbour().post(path, data={"name": "mallory"}).status_code == 401


def test_a_visitor_of_a_demo_looks_at_everything_and_changes_nothing(demo: Cast) -> None:
    with_rows(demo)
    visitor = demo.neighbour()
    assert visitor.get("/v1/compounds").json()["items"][0]["id"] == LIANXIN
    assert visitor.get("/").status_code == 200
    assert visitor.post("/v1/faults/own-fault/acknowledge").status_code == 401


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "localhost"])
def test_a_visitor_may_call_this_machine_by_any_of_its_own_names(demo: Cast, host: str) -> None:
    assert demo.neighbour(host).get("/v1/compounds").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},  # a proxy on this machine makes everybody local
        {"Forwarded": "for=203.0.113.9"},
        {"Host": "rebound.example"},  # a page elsewhere whose name now resolves to us
        {"Host": "localhost.example"},
    ],
)
def test_who_only_seems_to_be_local_is_no_visitor(demo: Cast, headers: dict[str, str]) -> None:
    assert demo.neighbour().get("/v1/compounds", headers=headers).status_code == 401


def test_who_comes_from_afar_is_no_visitor(demo: Cast) -> None:
    assert demo.client(None).get("/v1/compounds").status_code == 401


def test_without_demo_nobody_is_a_visitor(cast: Cast) -> None:
    assert cast.neighbour().get("/v1/compounds").status_code == 401


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Basic bGk6bWlu", "Bearer é"])
def test_a_wrong_token_is_refused_also_where_visitors_are_let_in(demo: Cast, header: str) -> None:
    answer = demo.neighbour().get(
        "/v1/compounds", headers={b"Authorization": header.encode("latin-1")}
    )
    assert answer.status_code == 401
    assert "error=" in answer.headers["WWW-Authenticate"]


def test_a_revoked_token_ends_at_once(cast: Cast) -> None:
    client = cast.client("kangqiao")
    assert client.get("/v1/compounds").status_code == 200
    with cast.write() as connection:
        who = tokens.identify(connection, cast.tokens["kangqiao"], NOW_MS)
        assert who is not None
        tokens.revoke(connection, who.token_id, NOW_MS)
    assert client.get("/v1/compounds").status_code == 401


def test_what_nobodys_compound_sent_is_the_districts_alone(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 9, compound="unassigned", device=None, reason="unknown_device")
        a_fault(
            connection,
            "ours",
            subject="platform",
            device=None,
            compound=None,
            kind="platform",
            code="SYS_PROBE_LOST",
            severity="P2",
        )
    for name, sees in (("operator", 1), ("viewer", 1), ("yaxin", 0)):
        client = cast.client(name)
        assert len(client.get("/v1/quarantine").json()["items"]) == sees
        assert len(client.get("/v1/faults?kind=platform").json()["items"]) == sees
        found = client.get("/v1/quarantine?compound=unassigned")
        assert found.status_code == (200 if sees else 404)
