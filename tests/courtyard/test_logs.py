"""What goes into the log of a process when something fails, as text and as JSON."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from courtyard.logs import set_up
from courtyard.settings import load_settings

PASSWORD = "correct horse battery"


@pytest.fixture
def logs_again() -> Iterator[None]:
    """Logs as they were, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    libraries = {name: logging.getLogger(name).level for name in ("alembic", "uvicorn")}
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    for name, was in libraries.items():
        logging.getLogger(name).setLevel(was)


def log_in(password: str) -> None:
    raise ValueError(f"not right: {len(password)} characters")


@pytest.mark.usefixtures("logs_again")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_says_where_and_not_with_what(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"COURTYARD_LOG": form, "COURTYARD_DATA_DIR": str(tmp_path)}
    set_up(load_settings(environment), "api")
    try:
        log_in(PASSWORD)
    except ValueError as error:
        structlog.get_logger().error("request_failed", exc_info=error)
        logging.getLogger("library").exception("it failed")
    said = capsys.readouterr().err
    assert said.count("ValueError: not right: 21 characters") == 2
    assert said.count("in log_in") == 2
    assert PASSWORD not in said
