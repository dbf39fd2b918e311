"""The same relay for Aliyun (docs/alerts.md): SingleCallByTts for P1, SendSms for P2.

    COURTYARD_WEBHOOK_SECRETS="whsec_…" PHONES="13800000001 13800000002" \\
    ALIYUN_KEY_ID=LTAI… ALIYUN_KEY_SECRET=… ALIYUN_VOICE_TEMPLATE=TTS_… \\
    ALIYUN_SMS_TEMPLATE=SMS_… ALIYUN_SMS_SIGN=… python phone_relay_aliyun.py 8086

ALIYUN_VOICE_NUMBER is the number that is shown, where one is rented. Both templates have one
variable, `fault`. Sources: help.aliyun.com, Dyvmsapi and Dysmsapi 2017-05-25, signature version 3.
Aliyun answers HTTP 200 also to what it refuses: the answer's `Code` is looked at.
"""

import hashlib
import hmac
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from urllib.parse import quote, urlsplit

from phone_relay import WITHIN_S, Relay
from webhook_receiver import Failed, Receiver

VERSION = "2017-05-25"
VARIABLE_CHARACTERS = 35  # of a variable in a short message; a call takes 250 in all


class Aliyun(Relay):
    """settings: as in the environment. clock: UTC, seconds."""

    def __init__(
        self,
        settings: Mapping[str, str],
        clock: Callable[[], float] = time.time,  # noqa: TID251  # this file stands alone
    ) -> None:
        super().__init__(settings["PHONES"].split())
        self._settings = settings
        self._clock = clock
        self._voice_url = settings.get("ALIYUN_VOICE_URL", "https://dyvmsapi.aliyuncs.com/")
        self._sms_url = settings.get("ALIYUN_SMS_URL", "https://dysmsapi.aliyuncs.com/")

    def call(self, phone: str, said: str) -> str:
        query = {
            "CalledNumber": phone,
            "TtsCode": self._settings["ALIYUN_VOICE_TEMPLATE"],
            "TtsParam": _variable(said),
            "PlayTimes": "3",
        }
        shown = self._settings.get("ALIYUN_VOICE_NUMBER")
        if shown:
            query["CalledShowNumber"] = shown
        return self._request(self._voice_url, "SingleCallByTts", query, "CallId")

    def write(self, phone: str, said: str) -> str:
        query = {
            "PhoneNumbers": phone,
            "SignName": self._settings["ALIYUN_SMS_SIGN"],
            "TemplateCode": self._settings["ALIYUN_SMS_TEMPLATE"],
            "TemplateParam": _variable(said),
        }
        return self._request(self._sms_url, "SendSms", query, "BizId")

    def _request(self, url: str, action: str, query: Mapping[str, str], receipt: str) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
        headers = signed(
            (self._settings["ALIYUN_KEY_ID"], self._settings["ALIYUN_KEY_SECRET"]),
            urlsplit(url).netloc, action, VERSION, query, at, secrets.token_hex(16),
        )  # fmt: skip
        request = urllib.request.Request(  # noqa: S310  # a setting
            f"{url}?{canonical(query)}", b"", headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S) as response:  # noqa: S310
                answer = json.loads(response.read(65536))
        except urllib.error.HTTPError as error:  # 4xx has a Code as well
            answer = json.loads(error.read(65536))
        if answer.get("Code") != "OK":
            raise Failed(f"{action}: {answer.get('Code')} {answer.get('Message', '')}"[:200])
        return f"{receipt} {answer.get(receipt)}"


def _variable(said: str) -> str:
    """Templates take no links, and some signs are refused."""
    text = said.replace("【", "").replace("】", " ")
    return json.dumps({"fault": text[:VARIABLE_CHARACTERS]}, ensure_ascii=False)


def canonical(query: Mapping[str, str]) -> str:
    """Names and values by RFC 3986, in the order of the names."""
    return "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(query.items())
    )


def signed(
    key: tuple[str, str],
    host: str,
    action: str,
    version: str,
    query: Mapping[str, str],
    at: str,
    nonce: str,
) -> dict[str, str]:
    """The headers of a request without a body, with its ACS3-HMAC-SHA256 signature. key: id and
    secret; at: like 2023-10-26T10:22:32Z; nonce: another one each time."""
    nothing = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": nothing,
        "x-acs-date": at,
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    request = "\n".join(["POST", "/", canonical(query), lines, names, nothing])
    digest = hashlib.sha256(request.encode()).hexdigest()
    made = hmac.digest(key[1].encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), "sha256").hex()
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key[0]},SignedHeaders={names},Signature={made}"
    )
    return headers


if __name__ == "__main__":
    Receiver.secrets = os.environ["COURTYARD_WEBHOOK_SECRETS"].split()
    Receiver.work = staticmethod(Aliyun(os.environ).handle)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8086
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
