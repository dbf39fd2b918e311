"""No text that a database cannot take gets as far as one, whichever route it is sent to."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route

from api.errors import BadParameter
from api.storable import check_body
from tests.api.cast import Cast

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def test_every_route_refuses_it_and_names_the_field(cast: Cast) -> None:
    client = cast.client("operator")
    tried = 0
    for route in client.app.routes:  # type: ignore[attr-defined]
        if not isinstance(route, Route) or route.path.startswith("/assets"):
            continue
        path = route.path.replace("{", "").replace("}", "")
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            asked = client.request(method, f"{path}?firm=a&note=b%00c")
            assert asked.status_code == 422, (method, path)
            assert asked.json()["errors"][0]["parameter"] == "note", (method, path)
            tried += 1
            if method == "GET":
                continue
            for kind, body in ((JSON, '{"firm": "a", "note": "b\\u0000c"}'), (FORM, "note=b%00c")):
                sent = client.request(method, path, content=body, headers={"Content-Type": kind})
                assert sent.status_code == 422, (method, path, kind)
                assert sent.json()["errors"][0]["parameter"] == "note", (method, path, kind)
    assert tried > 150


def test_the_page_says_it_to_a_person(cast: Cast) -> None:
    headers = {"Accept": "text/html", "Content-Type": FORM}
    answer = cast.client("operator").post("/login", content="name=a%00", headers=headers)
    assert answer.status_code == 422
    assert "text/html" in answer.headers["Content-Type"]


def test_an_id_that_cannot_be_is_not_there(cast: Cast) -> None:
    answer = cast.client("operator").get("/v1/faults/own%00fault")
    assert answer.status_code == 404
    assert answer.json() == cast.client("operator").get("/v1/faults/no-fault").json()


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (JSON, b'{"steps": [{"id": "a"}, {"id": "b\\u0000"}]}', "steps.1.id"),
        (JSON, b'{"note": {"a\\u0000b": 1}}', "note.a\N{REPLACEMENT CHARACTER}b"),
        (JSON, b'{"note": "half of a pair: \\ud83d"}', "note"),
        (JSON, b'"\\u0000"', "body"),
        ("", b'{"note": "\\u0000"}', "note"),
        (FORM, b"a=1&" * 2_000 + b"note=%00&b=2", "note"),
        ("multipart/form-data; boundary=x",
         b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\na\0b\r\n--x--', "note"),
    ],
)  # fmt: skip
def test_the_field_is_named_where_it_stands(kind: str, body: bytes, field: str) -> None:
    with pytest.raises(BadParameter) as caught:
        check_body(kind, body)
    assert caught.value.detail.startswith(f"{field}: holds a NUL character")


FILES = "multipart/form-data; boundary=x-y"
FILE = (
    b'--x-y\r\nContent-Disposition: form-data; name="file"; filename="d%b.xlsx"\r\n\r\nPK\0\r\n--\0'
)
NOTE = b'\r\n--x-y\r\nContent-Disposition: form-data; name="note"\r\n\r\na%b\r\n--x-y--\r\n'


def test_a_file_may_be_of_any_bytes_and_what_is_sent_with_it_may_not() -> None:
    check_body(FILES, FILE % b"" + NOTE % b"")
    with pytest.raises(BadParameter, match="note: holds a NUL"):
        check_body(FILES, FILE % b"" + NOTE % b"\0")
    with pytest.raises(BadParameter, match="file: holds a NUL"):
        check_body(FILES, FILE % b"\0" + NOTE % b"")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'{"note": "a backslash and u: \\\\u0000"}'),
        (JSON, '{"note": "\\ud83d\\udd25 and 🔥"}'.encode()),
        (JSON, b'{"note": "%00"}'),
        (JSON, b'{"torn": "\\u0000'),
        (JSON, b"[" * 100_000 + b"\\u0000"),
        (FORM, b"note=%2500"),
    ],
)
def test_what_can_be_stored_or_not_be_read_is_left_alone(kind: str, body: bytes) -> None:
    check_body(kind, body)


@given(st.binary(), st.sampled_from([JSON, FORM, "multipart/form-data; boundary=x", ""]))
def test_any_bytes_pass_or_are_refused(body: bytes, kind: str) -> None:
    with suppress(BadParameter):
        check_body(kind, body)
