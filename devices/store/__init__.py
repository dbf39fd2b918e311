"""The only I/O of devices: operational database, telemetry store, journal, migrations."""
