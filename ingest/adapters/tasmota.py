"""Tasmota: lamp circuits and smart plugs, `tele/{topic}/SENSOR`, `/STATE` and `/LWT`.

The device is found by its Tasmota topic. SENSOR and STATE are JSON objects:

| theirs | ours | unit, factor | several channels (an array) |
|---|---|---|---|
| `ENERGY.Power` | `power_w` | W | sum |
| `ENERGY.Current` | `current_a` | A | sum |
| `ENERGY.Voltage` | `voltage_v` | V | the lowest: a dead phase must show |
| `ENERGY.Factor` | `power_factor` | 1 | the lowest |
| `ENERGY.Total` | `energy_kwh` | kWh | sum |
| `POWER`, `POWER1`…`POWER32` | `switch_state` | `ON`, `OFF` -> `on`, `off` | on if any is |
| `UptimeSec` | `uptime_s` | s | |
| `Wifi.Signal` | `rssi_dbm` | dBm | |
| `Time` | `Item.at_ms` | local without zone: +08:00 | |
| LWT `Online`, `Offline` | `Item.status` | plain text, retained | |

`Wifi.RSSI` is a percentage and is left out, and so is everything else that the firmware tells about
itself; sensors that are no meter are listed as unknown. `Total` may be reset.
No personal data; the name of the wireless network is not kept.
"""

import re
from typing import Any

from devices.messages import BadMessage, Decoded, Item, Reason, Report
from devices.registry import Registry
from ingest.adapters import instants, json_text
from ingest.adapters.adapter import Place, Refused, flaw, list_unknown, refuse

_METER = {  # theirs: ours, and what becomes of several channels
    "Power": ("power_w", sum),
    "Current": ("current_a", sum),
    "Voltage": ("voltage_v", min),
    "Factor": ("power_factor", min),
    "Total": ("energy_kwh", sum),
}
_MAX_CHANNELS = 32
_SWITCH = re.compile(r"POWER(?:[1-9]|[12]\d|3[0-2])?")
_SWITCH_STATES = {"ON": "on", "OFF": "off"}
_WILL = {b"Online": "online", b"Offline": "offline"}


class Tasmota:
    """Tasmota's telemetry, state and last will."""

    protocol = "tasmota"
    filters: tuple[str, ...] = ("tele/+/SENSOR", "tele/+/STATE", "tele/+/LWT")
    garbled = Reason.NOT_JSON

    def place(self, topic: str, registry: Registry) -> Place:
        _, name, channel = topic.split("/")
        device = registry.external(self.protocol, name)
        if device is None:
            raise BadMessage(Reason.UNKNOWN_DEVICE, f"no Tasmota device {name[:80]!r}")
        return Place(device, registry, channel)

    def read(self, payload: bytes, place: Place) -> Decoded:
        decoded = Decoded(place.device, [])
        if place.channel == "LWT":
            status = _WILL.get(payload)
            if status is None:
                raise BadMessage(Reason.OUT_OF_RANGE, f"{payload[:40]!r} is not Online or Offline")
            decoded.items.append(Item(None, status=status))
            return decoded
        sent = json_text.parse(payload)
        if not isinstance(sent, dict):
            raise BadMessage(Reason.BAD_TYPE, f"{sent!r:.80} is no object")
        read = _sensor if place.channel == "SENSOR" else _state
        values = read(sent, place, decoded)
        item = Item(_at_ms(sent.get("Time"), place, decoded))
        if values:
            item.reports.append(Report(place.device, values))
        decoded.items.append(item)
        return decoded


def _sensor(sent: dict[str, Any], place: Place, decoded: Decoded) -> dict[str, Any]:
    meter = _part(sent, "ENERGY", place, decoded)
    list_unknown(
        decoded,
        {n: v for n, v in sent.items() if n != "ENERGY" and isinstance(v, dict | Refused)},
        place.device.id,
    )
    return {
        ours: _joined(meter[theirs], join)
        for theirs, (ours, join) in _METER.items()
        if meter.get(theirs) is not None
    }


def _state(sent: dict[str, Any], place: Place, decoded: Decoded) -> dict[str, Any]:
    values: dict[str, Any] = {}
    switches = [v for name, v in sent.items() if v is not None and _SWITCH.fullmatch(name)]
    if switches:
        values["switch_state"] = _switch_state(switches)
    values["uptime_s"] = sent.get("UptimeSec")
    values["rssi_dbm"] = _part(sent, "Wifi", place, decoded).get("Signal")
    return {name: value for name, value in values.items() if value is not None}


def _part(sent: dict[str, Any], name: str, place: Place, decoded: Decoded) -> dict[str, Any]:
    part = sent.get(name)
    if part is None or isinstance(part, dict):
        return part or {}
    why = part if isinstance(part, Refused) else flaw(part)
    detail = f"{name}: {part!r:.80} is no object"
    refuse(decoded, why or Refused(Reason.BAD_TYPE, detail), place.device.id)
    return {}


def _joined(value: Any, join: Any) -> Any:
    """A channel's value as it is, several channels as one; one bad channel spoils the whole."""
    if not isinstance(value, list):
        return value
    if not 1 <= len(value) <= _MAX_CHANNELS:
        return Refused(Reason.BAD_TYPE, f"{len(value)} channels")
    for channel in value:
        why = flaw(channel)  # also of a number: NaN is neither the lowest nor the highest
        if why is not None:
            return why
        if isinstance(channel, bool) or not isinstance(channel, int | float):
            return Refused(Reason.BAD_TYPE, f"channel with {channel!r:.80} for a number")
    return join(value)


def _switch_state(switches: list[Any]) -> Any:
    """`on` if any channel is on; a word that is neither goes on as it is, to be refused."""
    states = []
    for switch in switches:
        state = _SWITCH_STATES.get(switch) if isinstance(switch, str) else None
        if state is None:
            return switch
        states.append(state)
    return "on" if "on" in states else "off"


def _at_ms(time: Any, place: Place, decoded: Decoded) -> int | None:
    if time is None:
        return None
    why = flaw(time)
    if why is None and not isinstance(time, str):
        why = Refused(Reason.BAD_TYPE, f"Time: {time!r:.80} is no time")
    if why is None:
        try:
            return instants.epoch_ms(time, instants.CHINA)
        except ValueError as error:
            why = Refused(Reason.BAD_TYPE, f"Time: {error}")
    refuse(decoded, why, place.device.id)
    return None
