"""How vendors' names become ours, for people to read: the tables that the adapters have themselves.

An adapter's docstring holds its mapping, theirs and ours side by side, and whoever changes one
reads the other; so it is taken from there, and there is no second list that could differ.
"""

import sys
from collections.abc import Iterator, Mapping

from api.parts import FieldTable
from ingest.adapters import ADAPTERS


def field_tables() -> Mapping[str, tuple[FieldTable, ...]]:
    """The tables of each format, by the registry's name for it."""
    return {
        protocol: tuple(_tables(sys.modules[type(adapter).__module__].__doc__ or ""))
        for protocol, adapter in ADAPTERS.items()
    }


def _tables(text: str) -> Iterator[FieldTable]:
    """Those of a text in Markdown: a head, a line of dashes, rows of as many cells."""
    table: list[tuple[str, ...]] = []
    for line in (*text.splitlines(), ""):
        if line.startswith("|") and line.endswith("|"):
            table.append(tuple(cell.strip() for cell in line[1:-1].split("|")))
            continue
        if len(table) > 2:
            yield FieldTable(table[0], tuple(table[2:]))
        table = []
