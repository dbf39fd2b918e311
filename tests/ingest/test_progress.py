"""The watchdog's rule, look by look: silence first costs a connection, then the process."""

import pytest

from ingest.progress import Seen, Verdict, Watch, look

FINE, RECONNECT, STUCK = Verdict.FINE, Verdict.RECONNECT, Verdict.STUCK
STALL_S = 15.0
ROUND_LIMIT_S = 20.0


def verdicts(steps: list[tuple[float, float, float | None, bool]]) -> list[Verdict]:
    """Each step: now, moved_at, connected_at, excused; the watch begins at 0."""
    watch = Watch(0.0, 0.0, 0.0)
    given = []
    for now, moved_at, connected_at, excused in steps:
        seen = Seen(moved_at, connected_at, now, ROUND_LIMIT_S, excused)
        watch, verdict = look(watch, seen, now, STALL_S)
        given.append(verdict)
    return given


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # probes every 5 s: all is well for ever
        ([(n, n, 0, False) for n in range(5, 100, 5)], [FINE] * 19),
        # silent for 15 s, and for 15 s after the reconnect
        (
            [(10, 0, 0, False), (15, 0, 0, False), (20, 0, 16, False), (31, 0, 16, False)],
            [FINE, RECONNECT, FINE, STUCK],
        ),
        # a probe came back after the reconnect, so the next silence begins anew
        (
            [(10, 0, 0, False), (15, 0, 0, False), (20, 18, 16, False), (33, 18, 16, False)],
            [FINE, RECONNECT, FINE, RECONNECT],
        ),
        # not connected: nothing can come
        ([(10, 0, None, False), (20, 0, None, False), (30, 0, None, False)], [FINE] * 3),
        # refused attempts between two silent connections prove that we work
        (
            [
                (14, 0, 0, False),
                (16, 0, 0, False),
                (24, 20, None, False),
                (35, 20, 26, False),
                (41, 20, 26, False),
            ],
            [FINE, RECONNECT, FINE, FINE, RECONNECT],
        ),
        # acknowledgements withheld: the broker stops sending, and that is right
        ([(10, 0, 0, True), (20, 0, 0, True), (30, 0, 0, True)], [FINE] * 3),
        # ... and the silence counts from the end of the excuse
        ([(10, 0, 0, True), (20, 0, 0, False), (25, 0, 0, False)], [FINE, FINE, RECONNECT]),
        # frozen for two minutes: we could not have heard anything
        ([(10, 10, 0, False), (130, 10, 0, False), (135, 10, 0, False)], [FINE] * 3),
    ],
)
def test_silence_costs_a_connection_and_then_the_process(
    steps: list[tuple[float, float, float | None, bool]], expected: list[Verdict]
) -> None:
    assert verdicts(steps) == expected


@pytest.mark.parametrize(
    ("looks", "round_at", "expected"),
    [
        # the network thread has not come round for more than 20 s, connected or not
        ([10, 20, 25], 0, [FINE, FINE, STUCK]),
        ([10, 20, 25], 9, [FINE, FINE, FINE]),
        # after two frozen minutes it has the whole time again
        ([5, 125, 135, 144, 150], 4, [FINE, FINE, FINE, FINE, STUCK]),
    ],
)
def test_a_network_thread_that_hangs_costs_the_process(
    looks: list[float], round_at: float, expected: list[Verdict]
) -> None:
    watch = Watch(0.0, 0.0, 0.0)
    given = []
    for now in looks:
        watch, verdict = look(watch, Seen(0.0, None, round_at, ROUND_LIMIT_S), now, STALL_S)
        given.append(verdict)
    assert given == expected
