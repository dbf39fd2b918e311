"""The stand-in for chat robots: it must refuse what the real ones refuse."""

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator
from urllib.parse import quote_plus, urlsplit

import pytest

from simulators.robots import Plan, Robots
from simulators.robots_page import markup

SECRET = "SECa1b2c3"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_614_265_330_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Robots, Clock]]:
    clock = Clock()
    robots = Robots(clock)
    robots.start()
    yield robots, clock
    robots.stop()


@pytest.fixture
def robots(server: tuple[Robots, Clock]) -> Robots:
    server[0].clear()
    return server[0]


@pytest.fixture
def clock(server: tuple[Robots, Clock]) -> Clock:
    return server[1]


def ask(url: str, method: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def post(url: str, payload: object, **headers: str) -> dict[str, object]:
    body = json.dumps(payload).encode()
    _, answer = ask(url, "POST", body, **{"Content-Type": "application/json", **headers})
    told = json.loads(answer or b"{}")
    assert isinstance(told, dict)
    return told


def text(content: str = "楼院 烟雾报警") -> dict[str, object]:
    return {"msgtype": "text", "text": {"content": content}}


def test_dingtalk_checks_the_signature_in_the_query(robots: Robots, clock: Clock) -> None:
    url = robots.dingtalk("值班群", "t1", secret=SECRET)

    def signed(at_ms: int, secret: str) -> str:
        made = hmac.new(secret.encode(), f"{at_ms}\n{secret}".encode(), hashlib.sha256).digest()
        return f"{url}&timestamp={at_ms}&sign={quote_plus(base64.b64encode(made))}"

    assert post(signed(clock.now_ms, SECRET), text()) == {"errcode": 0, "errmsg": "ok"}
    assert post(signed(clock.now_ms, "SECother"), text())["errmsg"] == "sign not match"
    assert post(signed(clock.now_ms - 3_700_000, SECRET), text())["errmsg"] == "invalid timestamp"
    assert post(url, text())["errcode"] == 310000
    assert [one.text for one in robots.messages] == ["楼院 烟雾报警"]


def test_dingtalk_falls_silent_for_ten_minutes_after_the_twentieth(
    robots: Robots, clock: Clock
) -> None:
    url = robots.dingtalk("值班群", "t1")
    codes = [post(url, text())["errcode"] for _ in range(22)]
    assert codes == [0] * 20 + [130101] * 2
    clock.now_ms += 9 * 60_000
    assert post(url, text())["errcode"] == 130101
    clock.now_ms += 61_000
    assert post(url, text())["errcode"] == 0


def test_wecom_opens_again_after_a_minute_and_feishu_after_a_second(
    robots: Robots, clock: Clock
) -> None:
    wecom, feishu = robots.wecom("值班群", "k1"), robots.feishu("值班群", "t1")
    card = {"msg_type": "text", "content": {"text": "x"}}
    assert [post(wecom, text())["errcode"] for _ in range(21)] == [0] * 20 + [45009]
    assert [post(feishu, card)["code"] for _ in range(6)] == [0] * 5 + [11232]
    clock.now_ms += 1_001
    assert post(feishu, card)["code"] == 0
    clock.now_ms += 60_000
    assert post(wecom, text())["errcode"] == 0


def test_what_a_robot_does_not_know_is_refused_in_a_200(robots: Robots) -> None:
    ding, wecom = robots.dingtalk("a", "t1", keyword="楼院"), robots.wecom("b", "k1")
    feishu = robots.feishu("c", "t2", keyword="楼院")
    assert post(ding.replace("t1", "t9"), text())["errcode"] == 300005
    assert post(wecom.replace("k1", "k9"), text())["errcode"] == 93000
    assert post(feishu.replace("t2", "t9"), {})["code"] == 19001
    assert post(ding, text("other"))["errmsg"] == "keywords not in content"
    assert post(feishu, {"msg_type": "text", "content": {"text": "x"}})["code"] == 19024
    assert post(ding, {"msgtype": "image"})["errcode"] == 400105
    assert post(ding, text("楼院" * 9000))["errcode"] == 460101
    assert post(wecom, text("字" * 683))["errcode"] == 45002
    assert (
        post(wecom, {"msgtype": "markdown", "markdown": {"content": "字" * 1366}})["errcode"]
        == 45002
    )
    assert (
        post(wecom, {"msgtype": "markdown", "markdown": {"content": "字" * 1365}})["errcode"] == 0
    )
    assert post(feishu, {"msg_type": "text", "content": {"text": "x" * 21_000}})["code"] == 9499
    assert post(f"{robots.url}/elsewhere", {}) == {}
    assert len(robots.messages) == 1
    assert len(robots.attempts) == 11


def test_the_webhook_checks_signature_time_and_shape(robots: Robots, clock: Clock) -> None:
    url = robots.webhook("维修", "h1", WHSEC)
    body = b'{"specversion":"1.0","id":"msg_1","source":"/x","type":"t"}'

    def deliver(at_ms: int, key: bytes, sent: bytes = body) -> int:
        made = hmac.new(key, b"msg_1.%d." % (at_ms // 1000) + body, hashlib.sha256).digest()
        status, _ = ask(
            url, "POST", sent,
            **{"webhook-id": "msg_1", "webhook-timestamp": str(at_ms // 1000),
               "webhook-signature": f"v1,bm9uZQ== v1,{base64.b64encode(made).decode()}"},
        )  # fmt: skip
        return status

    right = base64.b64decode(WHSEC.removeprefix("whsec_"))
    assert deliver(clock.now_ms, right) == 200
    assert deliver(clock.now_ms, right) == 200
    assert deliver(clock.now_ms, b"wrong" * 6) == 401
    assert deliver(clock.now_ms, right, body.replace(b"t", b"T")) == 401
    assert deliver(clock.now_ms - 301_000, right) == 401
    assert [one.repeats for one in robots.messages] == [0, 1]


def test_it_fails_and_hangs_when_told_to(robots: Robots) -> None:
    url = robots.wecom("值班群", "k1")
    robots.plan(url, Plan(status=500, body=b"oops"), Plan(status=502, accepts=True))
    assert ask(url, "POST", json.dumps(text()).encode()) == (500, b"oops")
    assert ask(url, "POST", json.dumps(text()).encode())[0] == 502  # the answer is lost
    assert len(robots.messages) == 1
    assert robots.wait_for(1) == robots.messages
    with pytest.raises(TimeoutError, match="1 of 2"):
        robots.wait_for(2, within_s=0.01)


def test_the_page_shows_what_came_in_both_languages_and_runs_nothing(robots: Robots) -> None:
    url = robots.wecom("值班<群>", "k1")
    post(url, text("<script>alert(1)</script> **粗** [看](https://a.b/c) [坏](javascript:x)"))
    post(url.replace("k1", "k9"), text())
    status, body = ask(f"{robots.url}/", "GET")
    html = body.decode()
    assert status == 200
    assert "值班&lt;群&gt;" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; <b>粗</b>" in html
    assert '<a href="https://a.b/c">看</a>' in html
    assert "javascript:x" in html
    assert 'href="javascript' not in html
    assert "<script" not in html
    assert "已拒收（93000）" in html
    english = ask(f"{robots.url}/?lang=en", "GET")[1].decode()
    assert "What the robots received" in english
    shown = json.loads(ask(f"{robots.url}/messages", "GET")[1])
    assert [(one["robot"], one["accepted"]) for one in shown] == [("值班<群>", True), ("", False)]


def test_a_request_larger_than_any_message_is_refused(robots: Robots) -> None:
    status, _ = ask(f"{robots.url}/robot/send", "POST", b"", **{"Content-Length": "999999"})
    assert status == 413


def test_the_markup_of_a_chat_is_shown_and_nothing_else() -> None:
    shown = markup('### 标题\n> 引用\n- 项\n<font color="warning">红</font> <img src=x>')
    assert shown == (
        "<h3>标题</h3><blockquote>引用</blockquote><p>• 项</p>"
        '<p><span class="warning">红</span> &lt;img src=x&gt;</p>'
    )
