"""The webhook: its event, its signatures, and the receiver that the documents show."""

import importlib.util
import json
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from alerts.channel import DeliveryFailed
from alerts.channels.webhook import LIMITS, Webhook, message_id, new_secret, payload, sign
from alerts.message import Message
from devices.alerts import Language, Target
from devices.faults import Why
from simulators.robots import Plan, Robots
from tests.alerts.cast import NOW_MS, a_message, a_notice, a_target, a_test, many, to_here

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def a_hook(robots: Robots, *secrets: str) -> Target:
    return a_target("webhook", robots.webhook("维修系统", "h00k-of-the-firm", OLD), *secrets)


def test_a_signature_is_that_of_the_specification() -> None:
    # the example of standardwebhooks.com and of its reference implementations
    body = b'{"test": 2432232314}'
    signature = sign(OLD, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_fault_arrives_as_a_cloud_event(robots: Robots) -> None:
    target = a_hook(robots, OLD)
    receipt = Webhook().send(target, a_message(), to_here())
    assert (receipt.answer, receipt.mentioned) == ('HTTP 200 {"message": "ok"}', 1)
    (arrived,) = robots.messages
    event = arrived.payload
    assert isinstance(event, dict)
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": "3f9a1c:raised:dingtalk:t1",
        "source": "/courtyard",
        "type": "courtyard.fault.raised",
        "time": "2026-11-23T02:03:00.000Z",
        "datacontenttype": "application/json",
        "subject": "3f9a1c",
    }
    assert arrived.key == event["id"]
    assert data["headline"] == "【危急】烟雾报警，绿云小区"
    assert data["text"].startswith(data["headline"])
    assert data["compound"] == {
        "id": "lvyun-xiaoqu",
        "name": {"zh": "绿云小区", "en": "Lüyun Compound"},
    }
    assert data["device"]["place"] == "3 号楼 北侧"
    assert data["contacts"][0] == {"name": "李伟", "phone": "13800000001", "role": "值班"}
    assert data["evidence"] == {"smoke": True, "board_temp_c": 71.5}
    assert (data["event"], data["severity"], data["safety"]) == ("raised", "P1", True)
    assert data["since"] == "2026-11-23T02:00:00.000Z"


def test_while_a_secret_is_replaced_both_sign(robots: Robots) -> None:
    target = a_hook(robots, NEW, OLD)
    Webhook().send(target, a_message(), to_here())
    with pytest.raises(DeliveryFailed, match="HTTP 401"):
        Webhook().send(replace(target, secrets=(NEW,)), a_message(), to_here())
    assert [one.accepted for one in robots.attempts] == [True, False]


def test_a_repetition_has_the_same_id(robots: Robots) -> None:
    target = a_hook(robots, OLD)
    for _ in range(2):
        Webhook().send(target, a_message(), to_here())
    assert [one.repeats for one in robots.messages] == [0, 1]


def test_a_digest_holds_every_fault_and_a_test_none(robots: Robots) -> None:
    target = a_hook(robots, OLD)
    assert Webhook().send(target, a_message(*many(3)), to_here()).mentioned == 3
    assert Webhook().send(target, a_test(), to_here()).mentioned == 0
    digest, test = (one.payload for one in robots.messages)
    assert isinstance(digest, dict)
    assert isinstance(test, dict)
    assert digest["type"] == "courtyard.fault.digest"
    assert [one["number"] for one in digest["data"]["faults"]] == ["N000", "N001", "N002"]
    assert digest["data"]["headline"] == "【汇总】3 条告警：危急 3"
    assert test["type"] == "courtyard.fault.test"


def test_a_huge_digest_is_cut_and_says_how_far_it_came() -> None:
    notices = many(400, evidence={"error": "x" * 2000})
    body, count = payload(a_message(*notices))
    assert 50 < count < 400
    assert LIMITS.max_bytes is not None
    assert len(body) <= LIMITS.max_bytes
    assert len(json.loads(body)["data"]["faults"]) == count


def test_every_reason_is_a_type_of_its_own() -> None:
    for reason in Why:
        body, _ = payload(a_message(a_notice(reason=reason)))
        assert json.loads(body)["type"] == f"courtyard.fault.{reason.value}"


@pytest.mark.parametrize(
    ("plan", "permanent", "wait_s"),
    [
        (Plan(status=410), True, None),
        (Plan(status=301, headers={"Location": "https://x.example.org/"}), True, None),
        (Plan(status=302, headers={"Location": "https://x.example.org/"}), False, None),
        (Plan(status=404), False, None),
        (Plan(status=500), False, None),
        (Plan(status=429, headers={"Retry-After": "17"}), False, 17),
        (Plan(status=503, headers={"Retry-After": "Mon, 23 Nov 2026 02:04:00 GMT"}), False, 60),
        (Plan(status=503, headers={"Retry-After": "99999999"}), False, 3600),
        (Plan(status=503, headers={"Retry-After": "-5"}), False, None),
        (Plan(status=503, headers={"Retry-After": "Sun, 22 Nov 2026 02:04:00 GMT"}), False, 1),
        (Plan(status=503, headers={"Retry-After": "soon"}), False, None),
        (Plan(status=503), False, None),
        (Plan(status=429), False, 60),
    ],
)
def test_only_a_2xx_is_a_success(
    robots: Robots, plan: Plan, permanent: bool, wait_s: float | None
) -> None:
    target = a_hook(robots, OLD)
    robots.plan(target.url, plan)
    with pytest.raises(DeliveryFailed) as caught:
        Webhook().send(target, a_message(), to_here())
    assert (caught.value.permanent, caught.value.wait_s) == (permanent, wait_s)
    assert "h00k-of-the-firm" not in caught.value.answer


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_a_success(robots: Robots, status: int) -> None:
    target = a_hook(robots, OLD)
    robots.plan(target.url, Plan(status=status, accepts=True))
    assert Webhook().send(target, a_message(), to_here()).answer == f"HTTP {status}"


def test_a_key_that_no_header_can_carry_is_told_by_its_digest() -> None:
    assert message_id("a:b:webhook:t1") == "a:b:webhook:t1"
    for key in ("a.b", "a b", "烟雾", "a\r\nb"):
        assert message_id(key).isalnum()
        assert message_id(key) == message_id(key)


def test_a_secret_is_whsec_and_enough_bytes() -> None:
    url = "https://hooks.example.org/"
    Webhook().check(a_target("webhook", url, new_secret(), OLD))
    for secrets in ((), ("secret",), ("whsec_c2hvcnQ=",), ("whsec_***",), (OLD, "x")):
        with pytest.raises(ValueError, match="secret: expected whsec_"):
            Webhook().check(a_target("webhook", url, *secrets))


@pytest.fixture
def receiver() -> ModuleType:
    path = Path(__file__).parents[3] / "docs" / "webhook_receiver.py"
    spec = importlib.util.spec_from_file_location("webhook_receiver", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def signed(message: Message, *secrets: str) -> tuple[dict[str, str], bytes]:
    body, _ = payload(message)
    stamp = NOW_MS // 1000
    signatures = " ".join(sign(secret, message.key, stamp, body) for secret in secrets)
    return {
        "webhook-id": message.key,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signatures,
    }, body


def test_the_documented_receiver_takes_what_we_sign(receiver: ModuleType) -> None:
    now_s = NOW_MS / 1000
    for secrets in ((OLD,), (NEW, OLD)):
        headers, body = signed(a_message(), *secrets)
        key, event = receiver.verify(headers, body, [OLD], now_s + 4)
        assert (key, event["data"]["number"]) == ("3f9a1c:raised:dingtalk:t1", "K7Q2")


def test_the_documented_receiver_rejects_what_is_tampered_with_or_replayed(
    receiver: ModuleType,
) -> None:
    now_s = NOW_MS / 1000
    headers, body = signed(a_message(), OLD)
    bad = [
        (headers, body.replace(b"P1", b"P4"), now_s),
        (headers, body + b" ", now_s),
        ({**headers, "webhook-id": "another"}, body, now_s),
        ({**headers, "webhook-timestamp": str(NOW_MS // 1000 + 60)}, body, now_s),
        ({**headers, "webhook-timestamp": ""}, body, now_s),
        ({**headers, "webhook-signature": ""}, body, now_s),
        ({**headers, "webhook-signature": headers["webhook-signature"][3:]}, body, now_s),
        (headers, body, now_s + 301),  # replayed later
        (headers, body, now_s - 301),
    ]
    for tampered, told, at_s in bad:
        with pytest.raises(receiver.Refused):
            receiver.verify(tampered, told, [OLD], at_s)
    with pytest.raises(receiver.Refused):
        receiver.verify(headers, body, [NEW], now_s)


def test_the_documented_receiver_works_over_a_real_socket(
    receiver: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.Receiver.secrets = [OLD]
    receiver.Receiver.clock = staticmethod(lambda: NOW_MS / 1000)
    server = ThreadingHTTPServer(("127.0.0.1", 0), receiver.Receiver)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        target = a_target("webhook", f"http://127.0.0.1:{server.server_port}/", OLD)
        for _ in range(2):  # the same event again: its work is done once
            assert Webhook().send(target, a_message(), to_here()).answer == "HTTP 204"
        stale = replace(a_message(), at_ms=NOW_MS - 400_000)
        for bad, message in ((target, stale), (replace(target, secrets=(NEW,)), a_message())):
            with pytest.raises(DeliveryFailed, match="HTTP 401"):
                Webhook().send(bad, message, to_here())
    finally:
        server.shutdown()
        server.server_close()
    assert capsys.readouterr().out == "courtyard.fault.raised: 【危急】烟雾报警，绿云小区\n"


def test_the_language_of_the_words_is_that_of_the_message() -> None:
    body, _ = payload(replace(a_message(), language=Language.EN))
    assert json.loads(body)["data"]["headline"] == "Critical: Smoke, Lüyun Compound"
