"""The checker of what people were told sees what it is there to see."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from chaos.checker import Verdict
from chaos.district import Plan, Segment, messages
from chaos.told import Asked, Name, Receiver, Story, check_told, stories
from simulators.robots import Arrived

START_MS = 1_795_439_400_000
PLAN = Plan(7, 60, 4, 3600, (Segment(3_000, 100, START_MS),), troubles=True)
SMOKE: Name = ("shed-1", "SHED_SMOKE")
TAMPER: Name = ("gate-0", "GATE_TAMPER")
ASKED = Asked(
    receivers=(
        Receiver("all", lambda _: True),
        Receiver("sheds", lambda story: story.about.kind == "shed"),
        Receiver("chief", lambda _: True, level=1),
    ),
    levels={"P1": ((20, ("chief",)),), "P2": (), "P3": ()},
    remind_every_s=20,
    reminders=2,
    maintained="court-9",
)
WANTED = {
    SMOKE: Story(*SMOKE, "court-1", [("raised", START_MS)]),
    TAMPER: Story(*TAMPER, "court-0", [("raised", START_MS), ("over", START_MS + 5_000)]),
}


@dataclass
class Said:
    """What receivers got, one message after the other, three seconds after it happened."""

    arrived: list[Arrived] = field(default_factory=list)

    def to(
        self, robot: str, name: Name, event: str, number: int, after_s: float, **more: object
    ) -> None:
        key = str(more.pop("key", f"{number}:{robot}"))
        late_s = float(str(more.pop("late_s", 3)))
        at = datetime.fromtimestamp(START_MS / 1000 + after_s, UTC).isoformat()
        line = {
            "id": "-".join(name), "number": f"n-{number}", "event": event, "code": name[1],
            "device": {"id": name[0]}, "is_over": False, "level": None, "at": at,
        } | more  # fmt: skip
        at_ms = START_MS + int((after_s + late_s) * 1000)
        self.arrived.append(
            Arrived(at_ms, robot, "webhook", True, 200, key=key, payload={"data": line})
        )

    def verdict(self, kills: int = 0) -> Verdict:
        found = Verdict()
        self.arrived.sort(key=lambda one: one.at_ms)
        check_told(found, WANTED, self.arrived, ASKED, kills)
        return found


def all_is_well() -> Said:
    said = Said()
    for robot in ("all", "sheds"):
        said.to(robot, SMOKE, "raised", 1, 0)
        said.to(robot, SMOKE, "reminded", 5, 20)
    said.to("all", TAMPER, "raised", 2, 0)
    said.to("all", TAMPER, "over", 3, 5)
    said.to("chief", SMOKE, "escalated", 4, 20, level=1)
    said.to("chief", SMOKE, "reminded", 6, 40)
    return said


def without(robot: str, number: int) -> Said:
    said = all_is_well()
    said.arrived = [one for one in said.arrived if one.key != f"{number}:{robot}"]
    return said


def with_one_more(*of: object, **more: object) -> Said:
    said = all_is_well()
    said.to(*of, **more)  # type: ignore[arg-type]
    return said


def test_it_finds_nothing_where_nothing_is_wrong() -> None:
    assert all_is_well().verdict().problems == []
    again = with_one_more("all", TAMPER, "raised", 2, 1)
    assert again.verdict(kills=1).problems == []
    together = without("all", 3)
    together.arrived[-1:] = []
    together.to("all", TAMPER, "raised", 2, 0, is_over=True, late_s=1)
    together.to("chief", SMOKE, "reminded", 6, 40)
    assert together.verdict(kills=1).problems == []


def wrong() -> Iterator[tuple[str, Said]]:
    yield "told all", without("all", 1)
    yield "told all", without("all", 3)
    yield "told all", without("sheds", 1)
    yield "what was not so", with_one_more("sheds", TAMPER, "raised", 2, 0)
    yield "what was not so", with_one_more("all", TAMPER, "reopened", 9, 9)
    yield "what was not so", with_one_more("all", SMOKE, "worsened", 9, 9)
    yield "under two keys", with_one_more("all", TAMPER, "raised", 2, 0, key="another")
    yield "messages again", with_one_more("all", TAMPER, "raised", 2, 1)
    yield "nobody was called at", without("chief", 4)
    yield "called twice", with_one_more("chief", SMOKE, "escalated", 9, 30, level=1)
    yield "too early", with_one_more("chief", SMOKE, "escalated", 9, 10, level=1)
    yield "nobody was to be called at", with_one_more("all", TAMPER, "escalated", 9, 30, level=1)
    yield "told and not called", with_one_more("chief", TAMPER, "over", 9, 6)
    yield "too often", with_one_more("all", SMOKE, "reminded", 9, 60)
    yield "too soon", with_one_more("all", SMOKE, "reminded", 9, 30)
    silent = all_is_well()
    silent.arrived = [one for one in silent.arrived if "reminded" not in json.dumps(one.payload)]
    yield "not told again", silent
    early = without("all", 3)
    early.to("all", TAMPER, "over", 3, 0, late_s=0)
    yield "in another order", early


@pytest.mark.parametrize(("what", "said"), list(wrong()))
def test_it_finds_what_is_wrong(what: str, said: Said) -> None:
    problems = said.verdict().problems
    assert any(what in problem for problem in problems), problems


def test_what_is_handed_on_after_a_minute_may_be_told() -> None:
    handed_on = with_one_more("chief", SMOKE, "raised", 1, 0, late_s=62, key="1:chief")
    of_chief = ("4:chief", "6:chief")
    handed_on.arrived = [one for one in handed_on.arrived if one.key not in of_chief]
    handed_on.to("chief", SMOKE, "escalated", 4, 20, level=1, late_s=50)
    assert not any("not called" in problem for problem in handed_on.verdict().problems)


def test_stories_are_read_off_the_messages_that_arrived() -> None:
    sent = list(messages(PLAN))
    everything = stories(PLAN, {one.digest for one in sent})
    assert {story.about.severity for story in everything.values()} == {"P1", "P2", "P3"}
    for story in everything.values():
        steps = [step for step, _ in story.steps]
        assert steps == ["raised", "over", "raised", "over"][: len(steps)]
    assert any(len(story.steps) > 2 for story in everything.values())
    assert any(story.stands for story in everything.values())
    half = stories(PLAN, {one.digest for one in sent[:300]})
    assert 0 < len(half) < len(everything)
