"""The chain of the audit log: what breaks it, and that nothing in it can be of any size."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, text

from devices.audit import START, Entry, Origin, Row, chained, first_break

ENTRY = Entry(
    at_ms=1_795_399_200_000,
    actor="li-min",
    role="operator",
    token=7,
    origin=Origin.CONSOLE,
    address="192.0.2.7",
    method="POST",
    resource="/users",
    subject="wang",
    detail={"role": "firm", "firm": "yaxin"},
)


def a_chain(length: int) -> list[Row]:
    rows: list[Row] = []
    for number in range(1, length + 1):
        before = rows[-1].sha256 if rows else START
        rows.append(chained(number, before, replace(ENTRY, at_ms=ENTRY.at_ms + number)))
    return rows


def test_a_hash_is_that_of_this_text_and_stays_so() -> None:
    """Worked out with sha256sum from the text that devices.audit describes."""
    assert chained(1, START, ENTRY).sha256 == (
        "31b5e0824d4303e96abc7af2c495e33f6ae7e7972ca111026638d8f132ab6e05"
    )


def test_a_whole_chain_has_no_break_wherever_it_is_looked_at() -> None:
    rows = a_chain(5)
    assert first_break(rows) is None
    assert first_break(rows[2:], 2, rows[1].sha256) is None
    assert first_break([]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"at_ms": 1},
        {"actor": "somebody-else"},
        {"role": "viewer"},
        {"token": None},
        {"origin": "api"},
        {"address": "192.0.2.8"},
        {"method": "DELETE"},
        {"resource": "/tokens"},
        {"subject": "zhao"},
        {"outcome": "refused 403"},
        {"detail": "{}"},
    ],
)
def test_whatever_is_changed_in_a_row_breaks_the_chain_there(change: dict[str, Any]) -> None:
    rows = a_chain(3)
    rows[1] = replace(rows[1], **change)
    found = first_break(rows)
    assert found is not None
    assert found.number == 2


def test_who_makes_the_hash_of_a_changed_row_anew_breaks_the_next_one() -> None:
    rows = a_chain(3)
    changed = replace(rows[1], actor="somebody-else")
    rows[1] = replace(changed, sha256=changed.hashed())
    found = first_break(rows)
    assert found is not None
    assert (found.number, found.why) == (3, "does not follow on the row before")


def test_a_row_that_was_taken_out_is_missing() -> None:
    rows = a_chain(4)
    found = first_break([*rows[:1], *rows[2:]])
    assert found is not None
    assert (found.number, found.why) == (2, "is missing: row 3 is next")


@given(text(), text(), dictionaries(text(), text()))
def test_any_text_has_a_hash_and_a_bounded_size(
    actor: str, subject: str, detail: dict[str, str]
) -> None:
    row = chained(1, START, replace(ENTRY, actor=actor, subject=subject, detail=detail))
    assert first_break([row]) is None
    for value in (row.actor, row.subject, row.detail):
        assert "\0" not in value
        value.encode()
    assert len(row.actor) <= 200
    assert len(row.detail) <= 2000


def test_of_details_that_are_too_long_their_names_are_kept() -> None:
    row = chained(1, START, replace(ENTRY, detail={"reason": "x" * 3000, "day": "2026-11-10"}))
    assert row.detail == '{"left_out":["day","reason"]}'
