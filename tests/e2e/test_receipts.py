"""Receipts: what a device that keeps its messages may forget, over a real broker."""

import json
import signal
from contextlib import suppress
from typing import Any

from devices.store.failpoints import VARIABLE
from tests.e2e.system import System, a_registry
from tests.eventually import eventually
from tests.mqtt_wire import WireClient

PLACE = "lvyun-xiaoqu"
GATE = f"{PLACE}-gate-1"
TOPIC = f"courtyard/v1/{PLACE}/gate/{GATE}"


class Keeper:
    """A gate that keeps what it sent until the receipt for it comes."""

    def __init__(self, wire: WireClient) -> None:
        self._wire = wire
        self.kept: dict[int, bytes] = {}
        wire.subscribe(f"{TOPIC}/receipt")

    def says(self, *seqs: int) -> None:
        for seq in seqs:
            self.kept[seq] = json.dumps(
                {"boot": 1, "seq": seq, "values": {"board_temp_c": 30}}
            ).encode()
        self.sends()

    def sends(self) -> None:
        """Everything it still keeps, oldest first."""
        for _, payload in sorted(self.kept.items()):
            self._wire.publish(f"{TOPIC}/telemetry".encode(), payload)

    def reads_until(self, seq: int) -> list[int]:
        """Receipts up to the one that says `seq`; what they cover is kept no longer."""
        last = b'{"boot":1,"seq":%d}' % seq
        told = self._wire.messages_until(last, f"{TOPIC}/receipt".encode())
        self.kept = {kept: payload for kept, payload in self.kept.items() if kept > seq}
        return [json.loads(payload)["seq"] for payload in told]


def a_registry_with_receipts() -> dict[str, Any]:
    registry = a_registry()
    for device in registry["devices"]:
        if device["id"] == GATE:
            device["attributes"] = {"receipts": True}
    return registry


def accounts(system: System, token: str) -> tuple[int, int, int]:
    said = system.get("/v1/accounting", token, compound=PLACE).json
    return said["stored"], said["duplicate"], said["balance"]


def test_a_receipt_comes_after_the_commit_and_one_that_was_lost_costs_a_duplicate(
    system: System,
) -> None:
    system.import_registry(a_registry_with_receipts())
    ingest = system.ingest(**{VARIABLE: "J8:kill@2"})  # committed, and its receipt not sent
    system.api()
    token = system.token("--role", "operator")
    with WireClient(system.broker_port, "gate-1", clean=True) as wire:
        gate = Keeper(wire)
        gate.says(0, 1, 2)
        assert gate.reads_until(2)[-1] == 2
        assert gate.kept == {}
        with suppress(ConnectionError):  # an embedded broker goes with it
            gate.says(3)
        eventually(lambda: ingest.process.poll() is not None, what="it dies at J8")
    assert ingest.process.returncode == -signal.SIGKILL
    system.ingest()
    with WireClient(system.broker_port, "gate-1", clean=True) as wire:
        kept, gate = gate.kept, Keeper(wire)
        assert set(kept) == {3}
        gate.kept = kept
        gate.sends()
        gate.reads_until(3)
        gate.says(4)
        gate.reads_until(4)
    eventually(lambda: accounts(system, token)[0] == 5, what="five are stored")
    stored, duplicate, balance = accounts(system, token)
    assert (stored, balance) == (5, 0)
    assert duplicate >= 1


def test_nothing_behind_a_gap_may_be_forgotten(system: System) -> None:
    system.import_registry(a_registry_with_receipts())
    system.ingest()
    with WireClient(system.broker_port, "gate-1", clean=True) as wire:
        gate = Keeper(wire)
        gate.says(0, 1)
        gate.reads_until(1)
        gate.says(3)
        assert gate.reads_until(1) == [1], "3 is in, and 2 is not"
        gate.says(2, 3)
        assert gate.reads_until(3)[-1] == 3
