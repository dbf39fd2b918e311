import pytest
from sqlalchemy import Engine

from tests.api.cast import Cast, a_cast


@pytest.fixture
def cast(sqlite_database: Engine) -> Cast:
    """The API over a small district, as production runs it."""
    return a_cast(sqlite_database)


@pytest.fixture
def demo(sqlite_database: Engine) -> Cast:
    """The same as a demo: who sits at this machine may look without a token."""
    return a_cast(sqlite_database, demo=True)
