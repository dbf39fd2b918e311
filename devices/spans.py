"""Stretches of time: what is covered by any of them, by both, and by one and not the other.

A span is [from_ms, to_ms) in UTC epoch ms. A *line* is spans in order, none empty, none touching
another: what `union` gives, and what the other functions take and give. Lengths are whole
milliseconds, so that parts add up to the whole exactly.
"""

from collections.abc import Iterable, Sequence

Span = tuple[int, int]


def union(spans: Iterable[Span]) -> list[Span]:
    """What any of these covers, in whatever order they come; empty ones cover nothing."""
    line: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if line and start <= line[-1][1]:
            if end > line[-1][1]:
                line[-1] = (line[-1][0], end)
        else:
            line.append((start, end))
    return line


def intersect(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """What both lines cover."""
    line: list[Span] = []
    n = m = 0
    while n < len(one) and m < len(other):
        start, end = max(one[n][0], other[m][0]), min(one[n][1], other[m][1])
        if start < end:
            line.append((start, end))
        if one[n][1] < other[m][1]:
            n += 1
        else:
            m += 1
    return line


def subtract(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """What the first line covers and the second does not."""
    line: list[Span] = []
    m = 0
    for start, end in one:
        while m < len(other) and other[m][1] <= start:
            m += 1
        n = m
        while n < len(other) and other[n][0] < end:
            if start < other[n][0]:
                line.append((start, other[n][0]))
            start = other[n][1]
            n += 1
        if start < end:
            line.append((start, end))
    return line


def clip(spans: Iterable[Span], from_ms: int, to_ms: int) -> list[Span]:
    """The line of these spans as far as it lies in [from_ms, to_ms)."""
    return union((max(start, from_ms), min(end, to_ms)) for start, end in spans)


def length_ms(line: Iterable[Span]) -> int:
    """How long a line is, without what lies between its spans."""
    return sum(end - start for start, end in line)
