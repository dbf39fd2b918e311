"""Who sent a message, by its topic alone: also somebody whom the registry does not know."""

from collections.abc import Mapping
from dataclasses import dataclass

from devices.topics import BadTopic, Topic

# Vendor formats: topic filter, and which of its levels is the name of the device. They are those of
# `ingest.adapters`; a test holds the two together.
_VENDORS: Mapping[str, tuple[tuple[str, int], ...]] = {
    "juy": (("JUY/D2S/+/+/DEV", 2),),
    "tasmota": (("tele/+/SENSOR", 1), ("tele/+/STATE", 1), ("tele/+/LWT", 1)),
}
_KINDS: Mapping[str, str] = {"juy": "shed", "tasmota": "lamp"}


@dataclass(frozen=True, slots=True)
class Sender:
    """protocol, name: how a device is known there; natively by its id.

    compound, kind: what it says of itself; "" where its format says nothing.
    """

    protocol: str
    name: str
    compound: str = ""
    kind: str = ""


def sender_of(topic: str) -> Sender | None:
    """None for a topic of no format that names its device."""
    try:
        named = Topic.parse(topic)
    except BadTopic:
        pass
    else:
        return Sender("native", named.device, named.compound, named.kind)
    levels = topic.split("/")
    for protocol, filters in _VENDORS.items():
        for pattern, level in filters:
            wanted = pattern.split("/")
            if len(wanted) == len(levels) and all(
                one in ("+", other) for one, other in zip(wanted, levels, strict=True)
            ):
                return Sender(protocol, levels[level], kind=_KINDS[protocol])
    return None
