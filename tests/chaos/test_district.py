"""The messages of a plan: the same every time, each told apart, in the order of their devices."""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.district import Plan, Segment, Sort, messages, registry

START_MS = 1_795_439_400_000
STEADY = Plan(7, 60, 4, 3600, (Segment(6_000, 1_000, START_MS),))
STORM = replace(
    STEADY,
    segments=(
        Segment(120, 60, START_MS),
        Segment(0, 0, START_MS + 100_000, buffered=10, outage_s=60, spread_s=10),
    ),
)


@pytest.mark.parametrize("plan", [STEADY, STORM])
def test_a_plan_gives_the_same_bytes_again_also_from_its_file(plan: Plan, tmp_path: Path) -> None:
    plan.save(tmp_path / "plan.json")
    assert list(messages(plan)) == list(messages(Plan.load(tmp_path / "plan.json")))
    assert len(list(messages(plan))) == plan.count


def test_another_seed_gives_other_messages_and_the_same_registry() -> None:
    other = replace(STEADY, seed=8)
    assert list(messages(STEADY)) != list(messages(other))
    assert registry(STEADY) == registry(other)


@pytest.mark.parametrize("plan", [STEADY, STORM])
def test_no_event_time_lies_ahead_of_the_moment_of_sending(plan: Plan) -> None:
    for message in messages(plan):
        assert all(at_ms <= message.due_ms for _, _, at_ms in message.points)


@pytest.mark.parametrize("plan", [STEADY, STORM])
def test_each_point_belongs_to_one_message(plan: Plan) -> None:
    owner: dict[tuple[str, str, int], int] = {}
    for message in messages(plan):
        for point in message.points:
            assert owner.setdefault(point, message.digest) == message.digest


def test_there_is_some_of_everything() -> None:
    made = list(messages(STEADY))
    good = [message for message in made if message.sort is Sort.GOOD]
    assert len({message.digest for message in good}) < len(good), "duplicates"
    assert len(good) < len(made), "rubbish"
    text = b"\n".join(message.payload for message in good)
    for what in (b'"access"', b'"duress"', b'"panic"', b'"smoke": true', b'"session_end"',
                 b'"session_start"', b'"tamper": true', b"NaN", b"\n[{"):  # fmt: skip
        assert what in text, what


def test_a_device_counts_its_messages_without_a_gap() -> None:
    seen: dict[str, set[int]] = defaultdict(set)
    for message in messages(STEADY):
        if message.sort is Sort.GOOD:
            said = json.loads(message.payload)
            device = message.topic.decode().split("/")[4]
            for item in said if isinstance(said, list) else [said]:
                seen[device].add(item["seq"])
    for numbers in seen.values():
        # at the end it may hold some back, to be sent as an array
        assert len(numbers) >= max(numbers) - 6
