"""Stretches of time, held against sets of single milliseconds."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis.strategies import integers, lists, tuples

from devices.spans import Span, clip, intersect, length_ms, subtract, union

some_spans = lists(tuples(integers(0, 60), integers(0, 60)), max_size=12)


def covered(spans: list[Span]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


def is_line(line: list[Span]) -> bool:
    flat = [at for span in line for at in span]
    return all(before < after for before, after in pairwise(flat))


@given(some_spans)
def test_a_union_covers_what_its_spans_cover_each_millisecond_once(spans: list[Span]) -> None:
    line = union(spans)
    assert is_line(line)
    assert covered(line) == covered(spans)
    assert length_ms(line) == len(covered(spans))


@given(some_spans, integers(0, 10_000))
def test_a_union_does_not_depend_on_the_order_or_on_repetition(
    spans: list[Span], seed: int
) -> None:
    shuffled = spans + spans[:3]
    Random(seed).shuffle(shuffled)
    assert union(shuffled) == union(spans)
    assert union(union(spans[:5]) + union(spans[5:])) == union(spans)


@given(some_spans, some_spans)
def test_two_lines_meet_and_part_as_sets_do(some: list[Span], others: list[Span]) -> None:
    one, other = union(some), union(others)
    both, rest = intersect(one, other), subtract(one, other)
    assert is_line(both)
    assert is_line(rest)
    assert covered(both) == covered(one) & covered(other)
    assert covered(rest) == covered(one) - covered(other)
    assert intersect(other, one) == both
    assert length_ms(both) + length_ms(rest) == length_ms(one)


@given(some_spans, integers(0, 60), integers(0, 60), integers(0, 60))
def test_the_parts_of_a_range_add_up_to_the_whole(
    spans: list[Span], one: int, two: int, three: int
) -> None:
    first, middle, last = sorted((one, two, three))
    parts = clip(spans, first, middle), clip(spans, middle, last)
    whole = clip(spans, first, last)
    assert length_ms(parts[0]) + length_ms(parts[1]) == length_ms(whole)
    assert union(parts[0] + parts[1]) == whole
