"""The documented way from the webhook to a phone, from our sender to a provider's HTTP API."""

import hashlib
import hmac
import importlib
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote

import pytest

from alerts.channel import DeliveryFailed
from alerts.channels.webhook import Webhook
from alerts.message import Message
from devices.alerts import Language
from devices.faults import Why
from devices.rules import Severity
from tests.alerts.cast import NOW_MS, a_message, a_notice, a_target, a_test, many, to_here
from tests.alerts.listening import Listening, listening, says

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TAKEN = b'HTTP/1.1 201 Created\r\nContent-Length: 33\r\n\r\n{"sid": "CA7", "status":"queued"}'
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def phone_relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs"))
    yield importlib.import_module("phone_relay")
    for name in ("phone_relay", "phone_relay_aliyun", "webhook_receiver"):
        sys.modules.pop(name, None)


def serve(module: ModuleType, provider: Listening) -> ThreadingHTTPServer:
    relay = module.Twilio(
        {
            "PROVIDER_URL": f"http://127.0.0.1:{provider.port}/2010-04-01/Accounts/AC1",
            "PROVIDER_USER": "AC1",
            "PROVIDER_PASSWORD": "pass",
            "PROVIDER_FROM": "+8637160000000",
            "PHONES": "+8613800000001 +8613800000002",
        }
    )
    return served(module, relay)


def served(module: ModuleType, relay: Any) -> ThreadingHTTPServer:
    module.Receiver.secrets = [SECRET]
    module.Receiver.clock = staticmethod(lambda: NOW_MS / 1000)
    module.Receiver.work = staticmethod(relay.handle)
    server = ThreadingHTTPServer(("127.0.0.1", 0), module.Receiver)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def asked(provider: Listening) -> list[tuple[str, dict[str, list[str]]]]:
    """What the provider was asked for: the resource, and the form."""
    found = []
    for request in provider.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        assert b"Authorization: Basic QUMxOnBhc3M=" in head
        path = head.split(b" ")[1].decode()
        found.append((path.rpartition("/")[2], parse_qs(body.decode())))
    return found


def test_a_p1_calls_and_a_p2_writes_and_a_recovery_wakes_nobody(phone_relay: ModuleType) -> None:
    with listening(says(TAKEN)) as provider:
        server = serve(phone_relay, provider)
        try:
            target = a_target("webhook", f"http://127.0.0.1:{server.server_port}/", SECRET)
            messages = [
                a_message(),
                a_message(),  # the same once more, as when an answer was lost
                a_message(a_notice(reason=Why.OVER)),
                a_message(a_notice(is_over=True)),
                a_message(a_notice(severity=Severity.P3)),
                a_message(*many(3, severity=Severity.P4)),
                a_test(),
            ]
            for number, message in enumerate(messages):
                key = "same" if number < 2 else str(number)
                Webhook().send(target, replace(message, key=key), to_here())
            assert sorted((what, form["To"]) for what, form in asked(provider)) == [
                ("Calls.json", ["+8613800000001"]),
                ("Calls.json", ["+8613800000002"]),
            ]
            (speech,) = asked(provider)[0][1]["Twiml"]
            assert "【危急】烟雾报警，绿云小区 3 号楼 北侧" in speech
            unheard = a_notice(reason=Why.ESCALATED, level=1, severity=Severity.P2)
            Webhook().send(target, a_message(unheard), to_here())
            what, form = asked(provider)[-1]
            assert (what, form["From"]) == ("Messages.json", ["+8637160000000"])
            assert form["Body"] == ["【重要·无人确认，升级第 1 级】烟雾报警，绿云小区 3 号楼 北侧"]
            digest = Message("digest", Language.ZH, NOW_MS, many(2))
            Webhook().send(target, digest, to_here())
            calls = asked(provider)[4:]
            assert [what for what, _ in calls] == ["Calls.json"] * 2  # one for both faults
            assert "北侧，另有 1 处" in calls[0][1]["Twiml"][0]
        finally:
            server.shutdown()
            server.server_close()


def test_what_the_provider_refuses_is_told_and_tried_again(phone_relay: ModuleType) -> None:
    with listening(says(BUSY)) as provider:
        server = serve(phone_relay, provider)
        try:
            target = a_target("webhook", f"http://127.0.0.1:{server.server_port}/", SECRET)
            for _ in range(2):
                refused = r"HTTP 500 …0001 Calls\.json: HTTP 503; …0002"
                with pytest.raises(DeliveryFailed, match=refused) as caught:
                    Webhook().send(target, a_message(), to_here())
                assert not caught.value.permanent
        finally:
            server.shutdown()
            server.server_close()


def test_phones_that_were_taken_are_not_asked_for_again_for_one_that_was_not(
    phone_relay: ModuleType,
) -> None:
    busy = {"+8613800000001"}
    asked: list[str] = []

    class Provider(phone_relay.Relay):  # type: ignore[name-defined,misc]
        def call(self, phone: str, said: str) -> str:
            asked.append(phone)
            if phone in busy:
                raise phone_relay.Failed("busy")
            return "queued CA7"

    relay = Provider(["+8613800000001", "+8613800000002"])
    server = served(phone_relay, relay)
    try:
        target = a_target("webhook", f"http://127.0.0.1:{server.server_port}/", SECRET)
        with pytest.raises(DeliveryFailed, match="HTTP 500 …0001 busy; …0002 queued CA7"):
            Webhook().send(target, a_message(), to_here())
        busy.clear()
        receipt = Webhook().send(target, a_message(), to_here())
    finally:
        server.shutdown()
        server.server_close()
    assert receipt.answer == "HTTP 200 …0001 queued CA7; …0002 asked for before"
    assert sorted(asked) == ["+8613800000001", "+8613800000001", "+8613800000002"]


# Aliyun, as its documents describe it, apart from our relay

PUBLISHED = (  # help.aliyun.com, signature version 3: two examples of the vendor's own
    (
        "2023-10-26T10:22:32Z",
        "3156853299f313e23d1673dc12e1703d",
        "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
    ),
    (
        "2023-10-26T09:01:01Z",
        "d410180a5abf7fe235dd9b74aca91fc0",
        "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804",
    ),
)


@pytest.fixture
def aliyun(phone_relay: ModuleType) -> ModuleType:
    return importlib.import_module("phone_relay_aliyun")


@pytest.mark.parametrize(("at", "nonce", "signature"), PUBLISHED)
def test_aliyuns_signature_is_that_of_the_vendors_examples(
    aliyun: ModuleType, at: str, nonce: str, signature: str
) -> None:
    query = {
        "RegionId": "cn-shanghai",
        "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
    }
    key = ("YourAccessKeyId", "YourAccessKeySecret")
    host = "ecs.cn-shanghai.aliyuncs.com"
    headers = aliyun.signed(key, host, "RunInstances", "2014-05-26", query, at, nonce)
    assert headers["Authorization"].endswith(f",Signature={signature}")


class StandIn:
    """Aliyun's two services on one port: the signature is checked as a server would, from the
    request as it came; says the next of `answers`."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []

    def __call__(self, connection: socket.socket, _over: Event) -> None:
        taken = {"Code": "OK", "CallId": "1160^1", "BizId": "9006"}
        answer = self.answers.pop(0) if self.answers else taken
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    def read(self, requests: list[bytes]) -> list[dict[str, str]]:
        """What was asked for; raises where a signature is wrong."""
        return [self._read(request) for request in requests]

    def _read(self, request: bytes) -> dict[str, str]:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        given = dict(
            part.strip().split("=", 1)
            for part in headers["authorization"].removeprefix("ACS3-HMAC-SHA256 ").split(",")
        )
        names = given["SignedHeaders"].split(";")
        assert names == sorted(names)
        assert {"host", "x-acs-action", "x-acs-date", "x-acs-version"} <= set(names)
        assert headers["x-acs-content-sha256"] == hashlib.sha256(body).hexdigest()
        path, _, query = target.partition("?")
        pairs = sorted(parse_qsl(query, strict_parsing=True))
        canonical = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in pairs)
        signed = "\n".join(
            [
                method,
                path,
                canonical,
                *(f"{name}:{headers[name]}" for name in names),
                "",
                ";".join(names),
                headers["x-acs-content-sha256"],
            ]
        )
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(signed.encode()).hexdigest()
        expected = hmac.new(b"the-secret", text.encode(), hashlib.sha256).hexdigest()
        assert given["Signature"] == expected
        assert given["Credential"] == "LTAIexample"
        return {"Action": headers["x-acs-action"], **dict(pairs)}


def an_aliyun(module: ModuleType, provider: Listening) -> Any:
    here = f"http://127.0.0.1:{provider.port}/"
    return module.Aliyun(
        {
            "PHONES": "13800000001",
            "ALIYUN_KEY_ID": "LTAIexample",
            "ALIYUN_KEY_SECRET": "the-secret",
            "ALIYUN_VOICE_TEMPLATE": "TTS_1",
            "ALIYUN_SMS_TEMPLATE": "SMS_2",
            "ALIYUN_SMS_SIGN": "楼院",
            "ALIYUN_VOICE_URL": here,
            "ALIYUN_SMS_URL": here,
        },
        lambda: NOW_MS / 1000,
    )


def test_aliyun_calls_for_p1_writes_for_p2_and_its_receipt_is_shown(
    phone_relay: ModuleType, aliyun: ModuleType
) -> None:
    stand_in = StandIn()
    with listening(stand_in) as provider:
        server = served(phone_relay, an_aliyun(aliyun, provider))
        try:
            target = a_target("webhook", f"http://127.0.0.1:{server.server_port}/", SECRET)
            called = Webhook().send(target, a_message(), to_here())
            second = replace(a_message(a_notice(severity=Severity.P2)), key="second")
            written = Webhook().send(target, second, to_here())
            tested = Webhook().send(target, a_test(), to_here())
        finally:
            server.shutdown()
            server.server_close()
        call, sms = stand_in.read(provider.requests)
    assert called.answer == "HTTP 200 …0001 CallId 1160^1"
    assert written.answer == "HTTP 200 …0001 BizId 9006"
    assert tested.answer == "HTTP 200 nobody is to be woken for this"
    assert (call["Action"], call["CalledNumber"], call["TtsCode"]) == (
        "SingleCallByTts",
        "13800000001",
        "TTS_1",
    )
    assert json.loads(call["TtsParam"]) == {"fault": "危急 烟雾报警，绿云小区 3 号楼 北侧"}
    assert (sms["Action"], sms["PhoneNumbers"], sms["SignName"], sms["TemplateCode"]) == (
        "SendSms",
        "13800000001",
        "楼院",
        "SMS_2",
    )


def test_what_aliyun_refuses_with_200_is_a_failure_with_its_code(
    phone_relay: ModuleType, aliyun: ModuleType
) -> None:
    refusal = {"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": "触发号码天级流控"}
    stand_in = StandIn(refusal)
    with listening(stand_in) as provider:
        server = served(phone_relay, an_aliyun(aliyun, provider))
        try:
            target = a_target("webhook", f"http://127.0.0.1:{server.server_port}/", SECRET)
            with pytest.raises(DeliveryFailed) as caught:
                Webhook().send(target, a_message(), to_here())
            again = Webhook().send(target, a_message(), to_here())
        finally:
            server.shutdown()
            server.server_close()
        assert len(stand_in.read(provider.requests)) == 2
    assert "…0001 SingleCallByTts: isv.BUSINESS_LIMIT_CONTROL 触发号码天级流控" in str(caught.value)
    assert again.answer == "HTTP 200 …0001 CallId 1160^1"
