"""The link in a message by which people answer the fault, without a login."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.links import Key, link_of, sign
from devices.store.deliveries import Pending


@dataclass(frozen=True, slots=True)
class Links:
    """To one target. console: the address under which people reach us. key: None: there is none
    yet, and the link asks for a login. people: who is reached, by the number of the delivery."""

    console: str
    target: str
    key: Key | None
    people: Mapping[int, str] = field(default_factory=dict)

    def to(self, delivery: Pending) -> str:
        """Where what is told with this delivery is answered; the same however often it is tried."""
        if self.key is None:
            return f"{self.console}/faults/{delivery.fault}"
        link = link_of(
            delivery.id,
            delivery.fault,
            self.target,
            delivery.created_at_ms,
            self.people.get(delivery.id),
        )
        return f"{self.console}/a/{sign(link, self.key)}"
