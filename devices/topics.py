"""Topics of the native format; a `Topic` that exists is valid."""

from dataclasses import dataclass
from typing import Self

from devices.ids import ID

PREFIX = "courtyard/v1"
CHANNELS = ("telemetry", "event", "status")
PROBE = f"{PREFIX}/_probe"  # `_probe` is no id, so no compound can collide with it


class BadTopic(ValueError):
    """The topic is not one of the native format."""


@dataclass(frozen=True, slots=True)
class Topic:
    """courtyard/v1/{compound}/{kind}/{device}/{channel}; one that exists is valid."""

    compound: str
    kind: str
    device: str
    channel: str

    def __post_init__(self) -> None:
        for level in (self.compound, self.kind, self.device):
            if not ID.fullmatch(level):
                raise BadTopic(f"topic level {level[:80]!r} is not {ID.pattern}")
        if self.channel not in CHANNELS:
            raise BadTopic(f"topic ends in {self.channel[:80]!r}, not one of {', '.join(CHANNELS)}")

    def __str__(self) -> str:
        return f"{PREFIX}/{self.compound}/{self.kind}/{self.device}/{self.channel}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The topic that `text` spells; raises BadTopic."""
        levels = text.split("/")
        if len(levels) != 6 or levels[0] != "courtyard" or levels[1] != "v1":
            raise BadTopic(f"not {PREFIX}/compound/kind/device/channel: {text[:120]!r}")
        return cls(*levels[2:])


def probe_topic(instance: str) -> str:
    """Where the ingester with this instance name sends its own probe."""
    return f"{PROBE}/{instance}"
