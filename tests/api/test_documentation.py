"""The OpenAPI document is a contract: a change of it is looked at, not stumbled over.

After a change that is meant: `.venv/bin/python -m tests.api.test_documentation` writes it anew.
"""

import hashlib
import json
import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from api.app import create_app
from api.console.pages import assets
from api.documentation import document
from api.parts import Dependencies
from tests.api.cast import SECRET, Cast, FakeTelemetry

SNAPSHOT = Path(__file__).with_name("openapi.json")
ASSETS = Path(__file__).parents[2] / "api" / "console" / "assets"


def made() -> str:
    deps = Dependencies(
        engine=create_engine("sqlite://"),
        telemetry=FakeTelemetry(),
        journal=None,
        clock=lambda: 0,
        secret_key=SECRET,
        demo=False,
        version="0.0.test",
    )
    return json.dumps(document(create_app(deps)), indent=1, ensure_ascii=False) + "\n"


def test_the_openapi_document_is_the_one_that_was_reviewed() -> None:
    assert made() == SNAPSHOT.read_text(), (
        "the API's contract changed; if that is meant, write it anew with "
        "`.venv/bin/python -m tests.api.test_documentation` and review the difference"
    )


def test_the_document_is_openapi_3_1_and_open_to_everyone(cast: Cast) -> None:
    answer = cast.client(None).get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1.")


def test_every_reference_in_the_document_leads_somewhere(cast: Cast) -> None:
    text = cast.client(None).get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]
    wanted = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert wanted
    assert wanted <= set(schemas)


def test_the_page_loads_nothing_from_elsewhere(cast: Cast) -> None:
    client = cast.client(None)
    page = client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert any("swagger-ui-bundle.js" in address for address in addresses)
    for address in addresses:
        assert address.startswith("/"), address
        if address.startswith("/assets/"):
            answer = client.get(address)
            assert answer.status_code == 200
            assert "max-age" in answer.headers["Cache-Control"]
    assert not re.search(r"<script(?![^>]*src=)", page)


@pytest.mark.parametrize(("folder", "files"), [("swagger-ui", 5), ("uplot", 3), ("htmx", 3)])
def test_vendored_files_are_what_was_published(folder: str, files: int) -> None:
    lines = (ASSETS / folder / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == files
    named = set()
    for line in lines:
        expected, _, name = line.partition("  ")
        assert hashlib.sha256((ASSETS / folder / name).read_bytes()).hexdigest() == expected, name
        named.add(name)
    served = {name for name in assets() if name.startswith(f"{folder}/")}
    assert served <= {f"{folder}/{name}" for name in named}


def test_only_published_files_can_be_fetched(cast: Cast) -> None:
    client = cast.client(None)
    for name in ("../app.py", "..%2Fapp.py", "swagger-ui/SHA256SUMS", "nothing.js", "/etc/passwd"):
        assert client.get(f"/assets/{name}").status_code == 404, name
    for name in assets():
        assert client.get(f"/assets/{name}").status_code == 200


if __name__ == "__main__":
    SNAPSHOT.write_text(made())
