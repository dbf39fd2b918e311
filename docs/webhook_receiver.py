"""A receiver for courtyard's webhook that needs nothing but Python.

    COURTYARD_WEBHOOK_SECRETS="whsec_…" python webhook_receiver.py 8085

It answers 204 for what it took, 401 for what it does not believe. Behind a proxy that speaks TLS,
`handle` is the place for one's own work: what is done there must bear that the same event comes
twice, for an answer can be lost on its way.
"""

import base64
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
REMEMBERED = 10_000  # ids, so that a repetition is known; longer than TOLERANCE_S in practice
BODY_BYTES = 512 * 1024


class Refused(Exception):
    """Not from courtyard, changed on its way, or old."""


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now_s: float
) -> tuple[str, dict]:
    """The id and the event, if any of the secrets signed it. Raises Refused.

    headers: names in lower case. body: the bytes as they came: JSON written anew has other ones.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not message_id or not timestamp.isdigit():
        raise Refused("webhook-id or webhook-timestamp is missing")
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise Refused("webhook-timestamp is more than five minutes away")
    signed = f"{message_id}.{timestamp}.".encode() + body
    given = headers.get("webhook-signature", "").encode().split()
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
        if any(hmac.compare_digest(one, expected) for one in given):
            return message_id, json.loads(body)
    raise Refused("no signature is right")


class Failed(Exception):
    """It could not be done now; the text goes back to courtyard, which shows it and tries again."""


class Seen:
    """Ids that came before."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._ids

    def add(self, message_id: str) -> None:
        self._ids[message_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)


def handle(event: dict) -> str | None:
    """Your own work. Here: one line for people to read.

    What it returns is shown with the delivery.
    """
    sys.stdout.write(f"{event['type']}: {event['data']['headline']}\n")
    sys.stdout.flush()
    return None


class Receiver(BaseHTTPRequestHandler):
    secrets: Sequence[str] = ()
    seen = Seen()
    clock = staticmethod(time.time)  # noqa: TID251  # this file stands alone
    work = staticmethod(handle)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES:
            self._answer(413)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(length))
        try:
            message_id, event = verify(headers, body, self.secrets, self.clock())
        except Refused as refused:
            self.log_message("refused: %s", refused)
            self._answer(401)
            return
        said = ""
        if message_id not in self.seen:
            try:
                said = self.work(event) or ""
            except Failed as failed:
                self.log_message("not done: %s", failed)
                self._answer(500, str(failed))
                return
            except Exception as error:  # noqa: BLE001  # the event comes again
                self.log_message("not handled: %r", error)
                self._answer(500)
                return
            self.seen.add(message_id)
        self._answer(200 if said else 204, said)

    def _answer(self, status: int, said: str = "") -> None:
        body = said.encode()
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "text/plain; charset=utf-8")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Receiver.secrets = os.environ["COURTYARD_WEBHOOK_SECRETS"].split()
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8085
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
