import shutil
from pathlib import Path

import pytest


@pytest.fixture
def data_dir(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data directory with a migrated, empty database: nobody has to migrate one again."""
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(sqlite_template, data / "courtyard.db")
    return data
