"""A subscriber whose CPU is measured: stock paho with a callback that only counts, the yardstick.

    python -m bench.subject --port 1883

Prints "ready" once it is subscribed; then answers each line on standard input with its count.
"""

import argparse
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    seen = 0

    def count(_client: mqtt.Client, _data: object, _message: mqtt.MQTTMessage) -> None:
        nonlocal seen
        seen += 1

    def subscribed(*_: object) -> None:
        print("ready", flush=True)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, "bench-yardstick", protocol=mqtt.MQTTv5)
    client.on_message = count
    client.on_subscribe = subscribed
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = 1000
    client.connect("127.0.0.1", asked.port, properties=properties)
    client.subscribe("courtyard/v1/+/+/+/+", qos=1)
    client.loop_start()
    for _ in sys.stdin:
        print(seen, flush=True)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
