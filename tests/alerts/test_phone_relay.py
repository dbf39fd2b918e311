"""The documented way from the webhook to a phone, from our sender to a provider's HTTP API."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from urllib.parse import parse_qs

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
TAKEN = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def phone_relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs"))
    yield importlib.import_module("phone_relay")
    for name in ("phone_relay", "webhook_receiver"):
        sys.modules.pop(name, None)


def serve(module: ModuleType, provider: Listening) -> ThreadingHTTPServer:
    relay = module.Relay(
        {
            "PROVIDER_URL": f"http://127.0.0.1:{provider.port}/2010-04-01/Accounts/AC1",
            "PROVIDER_USER": "AC1",
            "PROVIDER_PASSWORD": "pass",
            "PROVIDER_FROM": "+8637160000000",
            "PHONES": "+8613800000001 +8613800000002",
        }
    )
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
            assert [(what, form["To"]) for what, form in asked(provider)] == [
                ("Calls.json", ["+8613800000001"]),
                ("Calls.json", ["+8613800000002"]),
            ]
            (speech,) = asked(provider)[0][1]["Twiml"]
            assert "【危急】烟雾报警，绿云小区 3 号楼 北侧" in speech
            Webhook().send(target, a_message(a_notice(severity=Severity.P2)), to_here())
            what, form = asked(provider)[-1]
            assert (what, form["From"]) == ("Messages.json", ["+8637160000000"])
            assert form["Body"] == ["【重要】烟雾报警，绿云小区 3 号楼 北侧"]
            digest = Message("digest", Language.ZH, NOW_MS, many(2))
            Webhook().send(target, digest, to_here())
            assert [what for what, _ in asked(provider)[-4:]] == ["Calls.json"] * 4
        finally:
            server.shutdown()
            server.server_close()


def test_what_the_provider_refuses_is_tried_again(phone_relay: ModuleType) -> None:
    with listening(says(BUSY)) as provider:
        server = serve(phone_relay, provider)
        try:
            target = a_target("webhook", f"http://127.0.0.1:{server.server_port}/", SECRET)
            for _ in range(2):
                with pytest.raises(DeliveryFailed, match="HTTP 500") as caught:
                    Webhook().send(target, a_message(), to_here())
                assert not caught.value.permanent
        finally:
            server.shutdown()
            server.server_close()
