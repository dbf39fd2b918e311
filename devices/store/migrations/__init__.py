"""Alembic migrations of the operational database: the tables of `schema.py`, step by step.

`devices.store.database.upgrade` runs them; `python -m devices.store.migrations.draft` writes the
next one from what `schema.py` has that the migrations do not.
"""
