"""Write the next migration: what `schema.py` has that the migrations do not make yet.

    python -m devices.store.migrations.draft "faults: who is responsible"

Read it before you commit it: a renamed column looks like a dropped and a new one. `--initial`
writes the first migration anew, and is for the time before the first release only.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from devices.store import database

MIGRATIONS = Path(__file__).parent


def draft(message: str, *, initial: bool = False) -> Path:
    """The file that was written."""
    versions = MIGRATIONS / "versions"
    old = sorted(versions.glob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        # A copy, so that whoever migrates meanwhile never sees a folder without versions.
        copy = Path(folder) / "migrations"
        shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        engine = database.open_database(f"sqlite:///{folder}/draft.db")
        if initial:
            for version in old:
                (copy / "versions" / version.name).unlink()
        else:
            database.upgrade(engine)
        config = Config()
        config.set_main_option("script_location", str(copy).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        with database.writing(engine) as connection:
            config.attributes["connection"] = connection
            script = command.revision(config, message, autogenerate=True)
        engine.dispose()
        if script is None or isinstance(script, list):
            raise RuntimeError(f"Alembic wrote {script!r} instead of one migration")
        written = Path(shutil.copy(script.path, versions))
    if initial:
        for version in old:
            version.unlink()
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message")
    parser.add_argument("--initial", action="store_true")
    arguments = parser.parse_args()
    print(draft(arguments.message, initial=arguments.initial))  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
