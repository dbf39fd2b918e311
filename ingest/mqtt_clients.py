"""paho-mqtt as receive uses it: one that reads whole runs of messages, and stock paho in its place.

Both hand over what was read as a `Run`, with the packet ids that are to be acknowledged later.
"""

import hashlib
import inspect
import time
from collections.abc import Callable

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket as PahoMalformedPacket

from devices.journal import DUP, RETAINED, UNASSIGNED, Raw
from ingest.publish_packets import (
    Cutter,
    MalformedPacket,
    OtherPacket,
    Run,
    ack_block,
    add_message,
)

Clock = Callable[[], int]  # UTC epoch ms

READ_BYTES = 256 * 1024

# Of paho-mqtt 2.2.0; see `fingerprint`.
PAHO_FINGERPRINT = "805ee8aac6e12c53486291da1a19e8633291bf945e11968adf6c066a46863ca3"
_USED_OF_PAHO = (
    "__init__",
    "_call_socket_register_write",
    "_check_keepalive",
    "_handle_connack",
    "_handle_pingresp",
    "_loop_rc_handle",
    "_packet_handle",
    "_packet_queue",
    "_packet_read",
    "_packet_write",
    "_sock_close",
    "_sock_recv",
    "_sock_send",
    "loop_misc",
    "loop_read",
    "loop_write",
    "reconnect",
)

log = structlog.get_logger()


def fingerprint() -> str:
    """What paho's methods that we override or rely on look like; "" where their text is missing."""
    digest = hashlib.sha256()
    try:
        for name in _USED_OF_PAHO:
            digest.update(inspect.getsource(getattr(paho.Client, name)).encode())
    except (OSError, TypeError, AttributeError):
        return ""
    return digest.hexdigest()


class BatchClient(paho.Client):
    """paho's client with another way to read: one large read, all PUBLISH packets in it at once.

    Leans on paho's internals, so it is used only where `fingerprint()` is PAHO_FINGERPRINT.
    """

    def __init__(
        self,
        client_id: str,
        protocol: MQTTProtocolVersion,
        clock: Clock,
        origin: Callable[[bytes], str],
        deliver: Callable[[Run], None],
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if protocol == MQTTProtocolVersion.MQTTv5 else False,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._now_ms = clock
        self._origin = origin
        self._deliver = deliver
        self._cutter = self._new_cutter()

    def acknowledge(self, mids: list[bytes]) -> None:
        """PUBACKs for these packet ids, in order, as one packet of paho's own out-queue: written
        past it they could cut into a packet that is half sent."""
        self._packet_queue(paho.PUBACK, ack_block(mids), 0, 1)

    def excuse_silence(self) -> None:
        """We do not read at the moment, so an answer to a ping is not late."""
        self._ping_t = 0.0
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()

    def reconnect(self) -> MQTTErrorCode:
        self._cutter = self._new_cutter()
        return super().reconnect()

    def _new_cutter(self) -> Cutter:
        mqtt5 = self._protocol == MQTTProtocolVersion.MQTTv5
        return Cutter(mqtt5=mqtt5, origin=self._origin)

    def _packet_read(self) -> MQTTErrorCode:
        try:
            chunk = self._sock_recv(READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not chunk:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        try:
            for piece in self._cutter.feed(chunk, self._now_ms()):
                if isinstance(piece, Run):
                    self._deliver(piece)
                    continue
                answer = self._hand_to_paho(piece)
                if answer or self._sock is None:  # a DISCONNECT closed it
                    return answer
        except (MalformedPacket, PahoMalformedPacket) as error:
            log.error("broker_sent_malformed_packet", error=str(error))  # noqa: TRY400
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _hand_to_paho(self, packet: OtherPacket) -> MQTTErrorCode:
        """What is no PUBLISH goes through paho's own handlers, as if paho had read it."""
        size = len(packet.body)
        self._in_packet = {
            "command": packet.command,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": size,
            "packet": bytearray(packet.body),
            "to_process": 0,
            "pos": 0,
        }
        return self._packet_handle()


class PlainClient(paho.Client):
    """Stock paho, message by message, for versions that `BatchClient` does not know."""

    def __init__(
        self,
        client_id: str,
        protocol: MQTTProtocolVersion,
        clock: Clock,
        origin: Callable[[bytes], str],
        deliver: Callable[[Run], None],
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if protocol == MQTTProtocolVersion.MQTTv5 else False,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._now_ms = clock
        self._origin_of = origin
        self._hand_over = deliver
        self._run = Run()
        self.on_message = self._on_one_message

    @property
    def held_messages(self) -> int:
        """How many were read since the last `flush`."""
        return len(self._run.messages)

    def flush(self) -> None:
        """Hands over what was read, in one run."""
        if self._run.messages:
            run, self._run = self._run, Run()
            self._hand_over(run)

    def acknowledge(self, mids: list[bytes]) -> None:
        for mid in mids:
            self.ack(int.from_bytes(mid, "big"), 1)

    def excuse_silence(self) -> None:
        """Nothing to be done with stock paho: a long pause costs a reconnect."""

    def _on_one_message(
        self, _client: paho.Client, _data: object, message: paho.MQTTMessage
    ) -> None:
        try:
            topic = message.topic.encode()
        except UnicodeDecodeError as error:
            topic = error.object
        run = self._run
        try:
            place = self._origin_of(topic)
        except Exception:  # noqa: BLE001 - a foreign function must not stop the reading
            place = UNASSIGNED
            run.origin_failures += 1
        flags = (DUP if message.dup else 0) | (RETAINED if message.retain else 0)
        raw = Raw(topic, bytes(message.payload), flags, self._now_ms(), place)
        add_message(run, raw, message.mid.to_bytes(2, "big") if message.qos else None)


AnyClient = BatchClient | PlainClient
