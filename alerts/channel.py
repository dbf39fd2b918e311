"""What a channel is, and how a delivery fails."""

from dataclasses import dataclass
from typing import Protocol

from alerts.message import Message
from alerts.outgoing import Outgoing
from devices.alerts import Target


class DeliveryFailed(Exception):
    """It was not accepted. The text says what was answered, without address and secret.

    permanent: trying again changes nothing until a person has mended something.
    wait_s: not before so much later; the target wants less.
    """

    def __init__(
        self, answer: str, *, permanent: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(answer)
        self.answer = answer
        self.permanent = permanent
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Limits:
    """What the other side takes. per_minute: messages in any 60 s; max_bytes: of one, in UTF-8.

    None: no limit is known.
    """

    per_minute: int | None = None
    per_second: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """It was accepted. mentioned: how many of the message's notices are in it, from the first on;
    the others did not fit and are to be sent again. answer: what the other side said."""

    answer: str
    mentioned: int


class Channel(Protocol):
    """One way to reach people."""

    limits: Limits

    def check(self, target: Target) -> None:
        """Raise ValueError where address or secret cannot be right; says what is expected."""
        ...

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        """Send and read the answer. Raises DeliveryFailed."""
        ...
