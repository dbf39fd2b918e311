"""The first user of a real API, by the code in its log, and what the audit log has of it."""

import re
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from tests.brokers import HOST
from tests.e2e.system import System

pytestmark = [pytest.mark.long]

PASSWORD = "correct horse battery"
CODE = re.compile(r"(?:[A-Z0-9]{5}-){4}[A-Z0-9]{5}")


class Stay(HTTPRedirectHandler):
    """Shows where an answer leads, instead of going there."""

    def redirect_request(self, *_: object) -> None:
        return None


def send(system: System, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Status, where it leads, and the cookie."""
    site = f"http://{HOST}:{system.api_port}"
    data = None if form is None else urlencode(form).encode()
    request = Request(site + path, data, {"Accept": "text/html", "Origin": site})
    try:
        answer = build_opener(Stay()).open(request, timeout=20)
    except HTTPError as error:
        answer = error
    with answer:
        headers = answer.headers
        return answer.status, headers.get("Location", ""), headers.get("Set-Cookie", "")


def test_whoever_has_the_code_of_the_log_sets_it_up_and_nobody_after_them(system: System) -> None:
    api = system.api()
    api.await_said("setup_code")
    codes = CODE.findall("\n".join(api.lines))
    assert len(codes) == 1
    assert send(system, "/")[:2] == (303, "/login?next=/")
    assert send(system, "/login")[:2] == (303, "/setup")
    form = {"code": "AAAAA", "name": "li-min", "password": PASSWORD, "again": PASSWORD}
    assert send(system, "/setup", form)[0] == 422
    status, to, cookie = send(system, "/setup", form | {"code": codes[0]})
    assert (status, to) == (303, "/")
    assert cookie.startswith("courtyard_session=")
    assert send(system, "/setup", form | {"code": codes[0]})[0] == 404
    assert send(system, "/login")[0] == 200
    wrong = {"name": "li-min", "password": "wrong"}
    assert send(system, "/login", wrong)[0] == 403
    assert send(system, "/login", wrong | {"password": PASSWORD})[0] == 303

    listed = system.run("user", "list").stdout
    assert listed.split()[:2] == ["li-min", "operator"]
    verified = system.run("audit", "verify")
    assert verified.returncode == 0
    assert verified.stdout.startswith("whole: 2 rows")
    api.end()
    again = system.api()
    assert not again.has_said("setup_code")
    assert PASSWORD not in "\n".join(api.lines)
