"""Who and what there is: firms, compounds, devices. The tenant always comes from here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from devices.messages import Value


@dataclass(frozen=True, slots=True)
class Name:
    """A name in both languages of the product."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    phone: str
    role: str


@dataclass(frozen=True, slots=True)
class Firm:
    """A property firm (物业)."""

    id: str
    name: Name
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class Compound:
    """A residential compound (小区). synthetic: made up for the simulated district."""

    id: str
    name: Name
    firm: str
    households: int
    timezone: str = "Asia/Shanghai"
    latitude: float = 34.75
    longitude: float = 113.62
    synthetic: bool = False
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """One device. Compared and hashed by identity: one registry holds one object an id.

    attributes: what only some kinds have: `ports`, `port_no`, `form`, `granularity`, `lamp_count`,
    `nominal_power_w`, `supply`.
    """

    id: str
    kind: str
    compound: str
    name: str
    interval_s: int
    parent: str | None = None
    circuit: str | None = None
    protocol: str = "native"
    external_id: str = ""
    vendor: str = ""
    model: str = ""
    building: str = ""
    unit: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    commissioned_at_ms: int | None = None
    decommissioned_at_ms: int | None = None


class Registry:
    """A consistent set of firms, compounds and devices, with the look-ups that decoding needs.

    Immutable once made; a change of the registry is a new one. Iterables are taken as given:
    `devices.inventory` reads and checks what comes from outside.
    """

    def __init__(
        self,
        firms: Iterable[Firm] = (),
        compounds: Iterable[Compound] = (),
        devices: Iterable[Device] = (),
        revision: int = 0,
    ) -> None:
        self.firms: dict[str, Firm] = {firm.id: firm for firm in firms}
        self.compounds: dict[str, Compound] = {compound.id: compound for compound in compounds}
        self.devices: dict[str, Device] = {device.id: device for device in devices}
        self.revision = revision
        self._external = {
            (d.protocol, d.external_id): d for d in self.devices.values() if d.external_id
        }
        self._children: dict[str, list[Device]] = {}
        self._ports: dict[tuple[str, int], Device] = {}
        for device in self.devices.values():
            if device.parent is None:
                continue
            self._children.setdefault(device.parent, []).append(device)
            if device.kind == "port":
                self._ports[device.parent, int(device.attributes["port_no"])] = device

    def external(self, protocol: str, external_id: str) -> Device | None:
        """The device with this name in this protocol; never by the bare name alone."""
        return self._external.get((protocol, external_id))

    def children(self, parent: str) -> list[Device]:
        """Devices directly below `parent`, in registry order; empty if there are none."""
        return self._children.get(parent, [])

    def port(self, shed: str, port_no: int) -> Device | None:
        """Socket `port_no` (1-based) of `shed`."""
        return self._ports.get((shed, port_no))
