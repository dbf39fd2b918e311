"""Vendor formats, one file each: bytes in, reports and events out; pure, no I/O.

To add one: a file with a class that is an `Adapter`, one line in `ADAPTERS`.
"""

from collections.abc import Mapping

from ingest.adapters.adapter import Adapter as Adapter
from ingest.adapters.adapter import Place as Place
from ingest.adapters.adapter import Refused as Refused
from ingest.adapters.juy import Juy
from ingest.adapters.native import Native
from ingest.adapters.tasmota import Tasmota

# by the name that the registry has for the format
ADAPTERS: Mapping[str, Adapter] = {
    "native": Native(),
    "juy": Juy(),
    "tasmota": Tasmota(),
}
