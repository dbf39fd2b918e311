"""Receipts: which of its messages a device need not keep any longer.

A native device whose registry entry has the attribute `receipts` keeps what it sent until it reads
here that it is stored: committed with the judge's cursor, so that a broker which lost it after its
own acknowledgement costs nothing. A receipt that is lost is covered by the next one.
"""

from typing import NamedTuple

import msgspec

from devices.registry import Device

ATTRIBUTE = "receipts"
TOPIC_END = "/receipt"

_encode = msgspec.json.Encoder().encode


class Receipt(NamedTuple):
    """All numbers of run `boot` up to `seq` are stored, or are not waited for any more."""

    device: Device
    boot: int | None
    seq: int


def is_wanted(device: Device) -> bool:
    """Whether the device asked for receipts: the native format alone has them."""
    return device.protocol == "native" and device.attributes.get(ATTRIBUTE) is True


def message(receipt: Receipt) -> tuple[str, bytes]:
    """Topic and payload, as design has them: {"boot", "seq"}; without boot where none was sent."""
    device = receipt.device
    topic = f"courtyard/v1/{device.compound}/{device.kind}/{device.id}{TOPIC_END}"
    said = {"seq": receipt.seq}
    return topic, _encode(said if receipt.boot is None else {"boot": receipt.boot, **said})
