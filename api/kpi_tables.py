"""Availability and service figures as CSV: a line a kind, or a group; columns as in the JSON."""

from collections.abc import Iterator, Mapping, Sequence

from fastapi import Response

from api import tables

SOCKETS = "sockets"  # the line of those that could be used, beside the kind `port`


def availability(name: str, body: Mapping[str, object]) -> Response:
    """`body`: as `shapes.CompoundAvailability` has it. One line a kind, and one of the sockets."""
    kinds, sockets = body["kinds"], body[SOCKETS]
    assert isinstance(kinds, Mapping)
    rows = {kind: dict(_flat(part)) for kind, part in kinds.items()}
    if isinstance(sockets, Mapping):
        rows[SOCKETS] = dict(_flat(sockets))
    ends = {one: body[one] for one in ("from", "to")}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = (
        [*map(_cell, ends.values()), kind, *(row.get(column) for column in columns)]
        for kind, row in rows.items()
    )
    return tables.answer(name, [*ends, "kind", *columns], lines)


def service(
    name: str, everything: Mapping[str, object], items: Sequence[Mapping[str, object]]
) -> Response:
    """`items`: as `shapes.ServiceGroup` has them; one line each. everything: of all of them
    together, so that no group has a column that it has not."""
    # without such devices there are no figures of them, so no columns either
    columns = [column for column in dict(_flat(everything)) if column not in (SOCKETS, "lamps")]
    rows = (dict(_flat(one)) for one in items)
    lines = ([row.get(column) for column in ("id", "name_zh", "name_en", *columns)] for row in rows)
    return tables.answer(name, ["id", "name_zh", "name_en", *columns], lines)


def _flat(part: Mapping[str, object], before: str = "") -> Iterator[tuple[str, tables.Cell]]:
    """{"mtta": {"count": 3}} is mtta_count."""
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}_")
        else:
            yield before + name, _cell(value)


def _cell(value: object) -> tables.Cell:
    assert value is None or isinstance(value, str | int | float)
    return value
