"""Makes exports in a process to be killed: `python -m tests.api.exports.worker URL FOLDER`."""

import sys
from pathlib import Path

from api.exports.files import Folder
from api.exports.work import Workshop, work_off
from devices.store.database import open_database
from tests.api.cast import NOW_MS

if __name__ == "__main__":
    shop = Workshop(
        open_database(sys.argv[1]), Folder(Path(sys.argv[2])), lambda: NOW_MS, keep_every_s=0
    )
    sys.exit(0 if work_off(shop) else 1)
