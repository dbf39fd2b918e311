"""From courtyard's webhook to phones: a call for P1, a short message for P2 (docs/alerts.md).

    COURTYARD_WEBHOOK_SECRETS="whsec_…" PHONES="+8613800000001 +8613800000002" \\
    PROVIDER_URL=https://api.twilio.com/2010-04-01/Accounts/AC… \\
    PROVIDER_USER=AC… PROVIDER_PASSWORD=… PROVIDER_FROM=+86… python phone_relay.py 8086

Calls and messages are asked for as Twilio's HTTP API takes them; phone_relay_aliyun.py does so at
Aliyun's. Of another provider `call` and `write` are all that changes. What the provider said goes
back to courtyard, which shows it with the delivery; when it refused a phone, courtyard tries again,
and those that were asked for already are not asked for twice while this process runs.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from http.server import ThreadingHTTPServer
from urllib.parse import urlencode

from webhook_receiver import Failed, Receiver, Seen

WITHIN_S = 4.0  # courtyard waits 5 s, so all phones are asked for at once
PHONES_AT_MOST = 10
SMS_CHARACTERS = 70  # of one message in Chinese


class Relay:
    """phones: each is called or written to."""

    def __init__(self, phones: Sequence[str]) -> None:
        self._phones = phones[:PHONES_AT_MOST]
        self._asked = Seen()

    def call(self, phone: str, said: str) -> str:
        """Have it called; what the provider said. Raises Failed, OSError."""
        raise NotImplementedError

    def write(self, phone: str, said: str) -> str:
        """Have it written to; what the provider said. Raises Failed, OSError."""
        raise NotImplementedError

    def handle(self, event: dict) -> str:
        """What was said for each phone. Raises Failed when the provider took some of them not."""
        data = event["data"]
        faults = [one for one in data.get("faults", [data]) if _wakes(one)]  # a digest has several
        if not faults:
            return "nobody is to be woken for this"
        worst = min(faults, key=lambda fault: fault["severity"])
        said = f"{worst['headline']} {(worst['device'] or {}).get('place', '')}".strip()
        if len(faults) > 1:
            said += f"，另有 {len(faults) - 1} 处"  # one call: providers limit them, people too
        how = self.call if worst["severity"] == "P1" else self.write
        with ThreadPoolExecutor(PHONES_AT_MOST) as pool:
            answers = list(
                pool.map(lambda phone: self._ask(event["id"], phone, how, said), self._phones)
            )
        told = "; ".join(answer for _, answer in answers)
        if not all(is_taken for is_taken, _ in answers):
            raise Failed(told)
        return told

    def _ask(
        self, event_id: str, phone: str, how: Callable[[str, str], str], said: str
    ) -> tuple[bool, str]:
        key = f"{event_id} {phone}"
        if key in self._asked:
            return True, f"…{phone[-4:]} asked for before"
        try:
            answer = how(phone, said)
        except Failed as failed:
            return False, f"…{phone[-4:]} {failed}"
        except (OSError, ValueError) as error:
            return False, f"…{phone[-4:]} {type(error).__name__}"
        self._asked.add(key)
        return True, f"…{phone[-4:]} {answer}"


def _wakes(fault: dict) -> bool:
    """Whether a phone is to ring. A test has no severity, and a recovery wakes nobody."""
    if fault.get("event", "test") in ("test", "over", "closed", "retired", "reclassified"):
        return False
    return not fault["is_over"] and fault["severity"] in ("P1", "P2")


class Twilio(Relay):
    """settings: as in the environment."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__(settings["PHONES"].split())
        self._url = settings["PROVIDER_URL"].rstrip("/")
        self._from = settings["PROVIDER_FROM"]
        login = f"{settings['PROVIDER_USER']}:{settings['PROVIDER_PASSWORD']}"
        self._authorization = "Basic " + base64.b64encode(login.encode()).decode()

    def call(self, phone: str, said: str) -> str:
        speech = f'<Say language="zh-CN" loop="3">{escape(said)}</Say>'
        return self._post("Calls.json", phone, {"Twiml": f"<Response>{speech}</Response>"})

    def write(self, phone: str, said: str) -> str:
        return self._post("Messages.json", phone, {"Body": said[:SMS_CHARACTERS]})

    def _post(self, what: str, phone: str, form: Mapping[str, str]) -> str:
        body = urlencode({"From": self._from, "To": phone, **form}).encode()
        request = urllib.request.Request(f"{self._url}/{what}", body)  # noqa: S310
        request.add_header("Authorization", self._authorization)
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S) as response:  # noqa: S310
                answer = json.loads(response.read(65536))
        except urllib.error.HTTPError as error:
            raise Failed(f"{what}: HTTP {error.code}") from None
        return f"{answer.get('status', 'taken')} {answer.get('sid', '')}".strip()


if __name__ == "__main__":
    Receiver.secrets = os.environ["COURTYARD_WEBHOOK_SECRETS"].split()
    Receiver.work = staticmethod(Twilio(os.environ).handle)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8086
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
