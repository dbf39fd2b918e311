"""From courtyard's webhook to phones: a call for P1, a short message for P2 (docs/alerts.md).

    COURTYARD_WEBHOOK_SECRETS="whsec_…" PHONES="+8613800000001 +8613800000002" \\
    PROVIDER_URL=https://api.twilio.com/2010-04-01/Accounts/AC… \\
    PROVIDER_USER=AC… PROVIDER_PASSWORD=… PROVIDER_FROM=+86… python phone_relay.py 8086

Calls and messages are asked for as Twilio's HTTP API takes them: a form, with basic authentication.
Of another provider `ask` is all that changes. What it refuses is answered with 500, so courtyard
tries again; what was asked for already is not asked for twice while this process runs.
"""

import base64
import os
import sys
import urllib.request
from collections.abc import Mapping
from html import escape
from http.server import ThreadingHTTPServer
from urllib.parse import urlencode

from webhook_receiver import Receiver, Seen

WITHIN_S = 4.0  # courtyard waits 5 s
SMS_CHARACTERS = 70  # of one message in Chinese


class Relay:
    """settings: as in the environment."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._url = settings["PROVIDER_URL"].rstrip("/")
        self._from = settings["PROVIDER_FROM"]
        self._phones = settings["PHONES"].split()
        login = f"{settings['PROVIDER_USER']}:{settings['PROVIDER_PASSWORD']}"
        self._authorization = "Basic " + base64.b64encode(login.encode()).decode()
        self._asked = Seen()

    def handle(self, event: dict) -> None:
        """Raises OSError when the provider does not take it."""
        data = event["data"]
        for fault in data.get("faults", [data]):  # a digest holds several
            if "severity" in fault:  # a test has none
                self._tell(event["id"], fault)

    def _tell(self, event_id: str, fault: dict) -> None:
        if fault["event"] not in ("raised", "reopened", "worsened", "released"):
            return  # a recovery wakes nobody
        if fault["is_over"] or fault["severity"] not in ("P1", "P2"):
            return
        said = f"{fault['headline']} {(fault['device'] or {}).get('place', '')}".strip()
        for phone in self._phones:
            key = f"{event_id} {fault['number']} {phone}"
            if key in self._asked:
                continue
            if fault["severity"] == "P1":
                speech = f'<Say language="zh-CN" loop="3">{escape(said)}</Say>'
                self.ask("Calls.json", phone, {"Twiml": f"<Response>{speech}</Response>"})
            else:
                self.ask("Messages.json", phone, {"Body": said[:SMS_CHARACTERS]})
            self._asked.add(key)

    def ask(self, what: str, phone: str, form: Mapping[str, str]) -> None:
        body = urlencode({"From": self._from, "To": phone, **form}).encode()
        request = urllib.request.Request(f"{self._url}/{what}", body)  # noqa: S310
        request.add_header("Authorization", self._authorization)
        with urllib.request.urlopen(request, timeout=WITHIN_S):  # noqa: S310  # a setting
            return  # a refusal is an HTTPError, which is an OSError


if __name__ == "__main__":
    Receiver.secrets = os.environ["COURTYARD_WEBHOOK_SECRETS"].split()
    Receiver.work = staticmethod(Relay(os.environ).handle)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8086
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
