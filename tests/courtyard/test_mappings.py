"""What people read of a vendor's fields is what the adapter says."""

import re

from courtyard.mappings import field_tables
from devices.kinds import KINDS
from ingest.adapters import ADAPTERS


def test_every_format_shows_what_becomes_of_its_fields() -> None:
    tables = field_tables()
    assert tables.keys() == ADAPTERS.keys()
    for protocol, of_format in tables.items():
        assert of_format, protocol
        for table in of_format:
            assert "ours" in table.head, protocol
            for row in table.rows:
                assert len(row) == len(table.head), (protocol, row)


def test_a_meter_of_a_lamp_names_quantities_that_there_are() -> None:
    (table,) = field_tables()["tasmota"]
    theirs, ours = table.head.index("theirs"), table.head.index("ours")
    by_theirs = {row[theirs]: row[ours] for row in table.rows}
    assert by_theirs["`ENERGY.Power`"] == "`power_w`"
    names = {name for cell in by_theirs.values() for name in re.findall(r"`([a-z_]+)`", cell)}
    assert {"power_w", "energy_kwh", "rssi_dbm"} <= names
    assert names - {"on", "off"} <= {n for kind in KINDS.values() for n in kind.quantities}
