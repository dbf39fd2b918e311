"""The kinds of devices that there are. One more: a copy of `_blueprint.py` and a line below."""

from collections.abc import Mapping
from types import MappingProxyType

from devices.kinds.camera import CAMERA
from devices.kinds.gate import GATE
from devices.kinds.gateway import GATEWAY
from devices.kinds.kind import EventType, Field, Kind
from devices.kinds.lamp import LAMP
from devices.kinds.lift import LIFT
from devices.kinds.port import PORT
from devices.kinds.shed import SHED

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "gate": GATE,
        "shed": SHED,
        "port": PORT,
        "lamp": LAMP,
        "camera": CAMERA,
        "lift": LIFT,
        "gateway": GATEWAY,
    }
)

__all__ = ["KINDS", "EventType", "Field", "Kind"]
