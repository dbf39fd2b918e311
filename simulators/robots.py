"""Chat robots as their vendors describe them, on a port of this machine: for tests and the demo.

DingTalk, WeCom, Feishu, a webhook with Standard Webhooks signatures, an Alertmanager: they check
signatures, keywords, sizes and rates, answer HTTP 200 with an error code inside as the real ones
do, and show what arrived on a page. Written from the vendors' documents and not from our senders,
so that both cannot share a mistake:

- DingTalk: open.dingtalk.com, 自定义机器人接入 / 安全设置; 20 messages a minute, then silence for
  10 minutes (130101); a signature is good for an hour; a message has at most 20,000 bytes.
- WeCom: developer.work.weixin.qq.com/document/path/99110; 20 a minute (45009), markdown of 4,096
  bytes, text of 2,048.
- Feishu: open.feishu.cn, 自定义机器人使用指南; 100 a minute and 5 a second (11232), 20 KB, a
  signature is good for an hour.
- Webhook: standardwebhooks.com, 1.0.0; 5 minutes of tolerance.
- Alertmanager: api/v2/openapi.yaml.
"""

import base64
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from simulators.robots_page import page

Clock = Callable[[], int]  # UTC epoch ms

BODY_BYTES = 512 * 1024
KEPT = 1000  # the newest; older ones are forgotten
HANGS_AT_MOST_S = 30.0
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
BLOCK_MS = 10 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to the next request instead of what should.

    status, body: answered without looking at it. delay_s: before that, or before the usual answer.
    hangs: nothing is ever answered. accepts: it arrives all the same, as when an answer is lost.
    """

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hangs: bool = False
    accepts: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request. accepted: it would be seen in the chat. code: as the robot answered.

    title, text: what people read, in the chat's own markup. links: label and address. key: of a
    webhook. repeats: how often this key came before.
    """

    at_ms: int
    robot: str
    kind: str
    accepted: bool
    code: int
    title: str = ""
    text: str = ""
    tone: str = ""
    links: tuple[tuple[str, str], ...] = ()
    key: str = ""
    repeats: int = 0
    payload: object = None


@dataclass(slots=True)
class _Robot:
    """One robot of one group."""

    name: str
    kind: str
    token: str
    secrets: tuple[str, ...] = ()
    keyword: str | None = None
    addresses: tuple[str, ...] = ()
    per_minute: int | None = None
    per_second: int | None = None
    recent_ms: deque[int] = field(default_factory=deque)
    blocked_until_ms: int = 0
    plans: deque[Plan] = field(default_factory=deque)
    keys: dict[str, int] = field(default_factory=dict)

    def takes_another(self, now_ms: int) -> bool:
        """Whether its limits allow one more now; counts it."""
        while self.recent_ms and self.recent_ms[0] <= now_ms - MINUTE_MS:
            self.recent_ms.popleft()
        if self.per_minute is not None and len(self.recent_ms) >= self.per_minute:
            return False
        last_second = sum(1 for at_ms in self.recent_ms if at_ms > now_ms - 1000)
        if self.per_second is not None and last_second >= self.per_second:
            return False
        self.recent_ms.append(now_ms)
        return True


@dataclass(frozen=True, slots=True)
class _Request:
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    address: str

    def value(self, name: str) -> str:
        return self.query.get(name, [""])[0]

    def payload(self) -> dict[str, Any] | None:
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None


class _Error(Exception):
    """The request is refused. code: the robot's own; status: HTTP's."""

    def __init__(self, code: int, words: str, status: int = 200) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.status = status


class Robots:
    """A server of robots. Make them with `dingtalk`, `wecom`, `feishu`, `webhook`, `alertmanager`;
    each gives the address to send to.

    clock: for rates, signatures and the page. delay_s: before each answer, like a real one.
    kept: so many of the newest requests.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        delay_s: float = 0.0,
        kept: int = KEPT,
    ) -> None:
        self._clock = clock
        self._host = host
        self._delay_s = delay_s
        self._robots: dict[tuple[str, str], _Robot] = {}
        self._arrived: deque[Arrived] = deque(maxlen=kept)
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._server = _Server((host, port), self)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Of the page that shows what arrived."""
        return f"http://{self._host}:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="robots",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """No robot answers any more; what hangs is let go."""
        self._over.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()

    def dingtalk(
        self,
        name: str,
        token: str,
        *,
        secret: str | None = None,
        keyword: str | None = None,
        addresses: tuple[str, ...] = (),
        per_minute: int = 20,
    ) -> str:
        secrets = () if secret is None else (secret,)
        self._add(_Robot(name, "dingtalk", token, secrets, keyword, addresses, per_minute))
        return f"{self.url}/robot/send?access_token={token}"

    def wecom(self, name: str, key: str, *, per_minute: int = 20) -> str:
        self._add(_Robot(name, "wecom", key, per_minute=per_minute))
        return f"{self.url}/cgi-bin/webhook/send?key={key}"

    def feishu(
        self,
        name: str,
        token: str,
        *,
        secret: str | None = None,
        keyword: str | None = None,
        addresses: tuple[str, ...] = (),
        per_minute: int = 100,
        per_second: int = 5,
    ) -> str:
        secrets = () if secret is None else (secret,)
        self._add(
            _Robot(name, "feishu", token, secrets, keyword, addresses, per_minute, per_second)
        )
        return f"{self.url}/open-apis/bot/v2/hook/{token}"

    def webhook(self, name: str, token: str, *secrets: str) -> str:
        """secrets: `whsec_…`; any of them may have signed."""
        self._add(_Robot(name, "webhook", token, secrets))
        return f"{self.url}/hooks/{token}"

    def alertmanager(self, name: str) -> str:
        self._add(_Robot(name, "alertmanager", ""))
        return self.url

    def plan(self, url: str, *plans: Plan) -> None:
        """What happens to the next requests to this address, one each."""
        self._robots[_which(url)].plans.extend(plans)

    @property
    def attempts(self) -> tuple[Arrived, ...]:
        """All requests, refused ones too; the oldest first."""
        with self._changed:
            return tuple(self._arrived)

    @property
    def messages(self) -> tuple[Arrived, ...]:
        """What is seen in the chats; the oldest first."""
        return tuple(one for one in self.attempts if one.accepted)

    def wait_for(self, count: int, within_s: float = 5.0) -> tuple[Arrived, ...]:
        """The messages, once there are so many. Raises TimeoutError."""
        over_s = time.monotonic() + within_s
        with self._changed:
            while sum(one.accepted for one in self._arrived) < count:
                if not self._changed.wait(over_s - time.monotonic()):
                    arrived = sum(one.accepted for one in self._arrived)
                    raise TimeoutError(f"{arrived} of {count} messages came in {within_s:g} s")
        return self.messages

    def _add(self, robot: _Robot) -> None:
        self._robots[robot.kind, robot.token] = robot

    def clear(self) -> None:
        """No robots, and nothing arrived yet: as at the start."""
        with self._changed:
            self._robots.clear()
            self._arrived.clear()

    # what a request meets, called by the server's threads

    def answer(self, path: str, request: _Request) -> tuple[int, Mapping[str, str], bytes] | None:
        """Status, headers and body; None: nothing is answered."""
        kind, token = _which(path)
        robot = self._robots.get((kind, token))
        plan = Plan()
        if robot is not None and robot.plans:
            plan = robot.plans.popleft()
        self._over.wait(plan.delay_s or self._delay_s)
        if plan.hangs:
            if plan.accepts:
                self._look_at(kind, robot, request)
            else:
                self._keep(_refused(self._clock(), robot, kind, 0, request))
            self._over.wait(HANGS_AT_MOST_S)
            return None
        if plan.status is not None and not plan.accepts:
            self._keep(_refused(self._clock(), robot, kind, plan.status, request))
            return plan.status, plan.headers, plan.body
        status, body = self._look_at(kind, robot, request)
        if plan.status is not None:
            return plan.status, plan.headers, plan.body
        return status, {"Content-Type": "application/json; charset=utf-8"}, body

    def _look_at(self, kind: str, robot: _Robot | None, request: _Request) -> tuple[int, bytes]:
        now_ms = self._clock()
        with self._changed:  # one after another: rates are counted here
            try:
                arrived = _KINDS[kind](robot, request, now_ms)
            except _Error as error:
                self._keep(_refused(now_ms, robot, kind, error.code, request))
                return error.status, _told(kind, error.code, error.words)
            except KeyError:
                return 404, b"{}"
            self._keep(arrived)
        return 200, _told(kind, 0, "success" if kind == "feishu" else "ok")

    def _keep(self, arrived: Arrived) -> None:
        with self._changed:
            self._arrived.append(arrived)
            self._changed.notify_all()


def _refused(now_ms: int, robot: _Robot | None, kind: str, code: int, request: _Request) -> Arrived:
    name = "" if robot is None else robot.name
    return Arrived(now_ms, name, kind, accepted=False, code=code, payload=request.payload())


def _which(url: str) -> tuple[str, str]:
    """Kind and token of the robot at this address."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    path = parts.path.rstrip("/")
    if path == "/robot/send":
        return "dingtalk", query.get("access_token", [""])[0]
    if path == "/cgi-bin/webhook/send":
        return "wecom", query.get("key", [""])[0]
    before, _, last = path.rpartition("/")
    if before == "/open-apis/bot/v2/hook":
        return "feishu", last
    if before == "/hooks":
        return "webhook", last
    if path in ("", "/api/v2/alerts"):
        return "alertmanager", ""
    return "nothing", ""


def _told(kind: str, code: int, words: str) -> bytes:
    if kind == "feishu":
        more: dict[str, object] = {} if code else {"StatusCode": 0, "StatusMessage": "success"}
        return _json({"code": code, "msg": words, "data": {}, **more})
    if kind in ("dingtalk", "wecom"):
        return _json({"errcode": code, "errmsg": words})
    return b"" if kind == "alertmanager" and code == 0 else _json({"message": words})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _dingtalk(robot: _Robot | None, request: _Request, now_ms: int) -> Arrived:
    if not request.value("access_token"):
        raise _Error(40035, "缺少参数 access_token")
    if robot is None:
        raise _Error(300005, "token is not exist")
    if "application/json" not in request.headers.get("content-type", ""):
        raise _Error(43004, "无效的HTTP HEADER Content-Type")
    payload = request.payload()
    if payload is None:
        raise _Error(40035, "缺少参数 json")
    if now_ms < robot.blocked_until_ms:
        raise _Error(130101, "send too fast, exceed 20 times per minute")
    if not robot.takes_another(now_ms):
        robot.blocked_until_ms = now_ms + BLOCK_MS
        raise _Error(130101, "send too fast, exceed 20 times per minute")
    _dingtalk_signed(robot, request, now_ms)
    if robot.addresses and request.address not in robot.addresses:
        raise _Error(310000, f"ip {request.address} not in whitelist")
    title, text, links = _dingtalk_text(payload)
    if robot.keyword is not None and robot.keyword not in title + text:
        raise _Error(310000, "keywords not in content")
    if len(request.body) > 20_000:
        raise _Error(460101, "message too long, exceed 20000 bytes")
    return Arrived(now_ms, robot.name, robot.kind, True, 0, title, text, "", links, payload=payload)


def _dingtalk_signed(robot: _Robot, request: _Request, now_ms: int) -> None:
    """The query has the time in ms, and HMAC-SHA256(secret, time + newline + secret) in base64."""
    if not robot.secrets:
        return
    (secret,) = robot.secrets
    stamp = request.value("timestamp")
    if not stamp.isdigit() or abs(now_ms - int(stamp)) > HOUR_MS:
        raise _Error(310000, "invalid timestamp")
    expected = hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), "sha256")
    if not hmac.compare_digest(request.value("sign").encode(), base64.b64encode(expected)):
        raise _Error(310000, "sign not match")


def _dingtalk_text(payload: Mapping[str, Any]) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    kind = payload.get("msgtype")
    inside = payload.get(str(kind))
    if kind not in ("text", "markdown", "actionCard") or not isinstance(inside, dict):
        raise _Error(400105, "不支持的消息类型")
    if kind == "text":
        return "", _word(inside, "content"), ()
    title, text = _word(inside, "title"), _word(inside, "text")
    links: list[tuple[str, str]] = []
    if kind == "actionCard":
        buttons = inside.get("btns") or [
            {"title": inside.get("singleTitle"), "actionURL": inside.get("singleURL")}
        ]
        links = [(_word(one, "title"), _word(one, "actionURL")) for one in buttons]
    return title, text, tuple(links)


def _word(inside: Mapping[str, Any], name: str) -> str:
    value = inside.get(name)
    if not isinstance(value, str) or not value:
        raise _Error(40035, f"缺少参数 {name}")
    return value


def _wecom(robot: _Robot | None, request: _Request, now_ms: int) -> Arrived:
    if robot is None:
        raise _Error(93000, "invalid webhook url, more info at https://open.work.weixin.qq.com/")
    if not robot.takes_another(now_ms):
        raise _Error(45009, "api freq out of limit")
    payload = request.payload() or {}
    kind = payload.get("msgtype")
    inside = payload.get(str(kind))
    if kind not in ("text", "markdown", "markdown_v2") or not isinstance(inside, dict):
        raise _Error(40008, "invalid message type")
    content = inside.get("content")
    if not isinstance(content, str) or not content:
        raise _Error(44004, "empty content")
    if len(content.encode()) > (2048 if kind == "text" else 4096):
        raise _Error(45002, "content size out of limit")
    return Arrived(now_ms, robot.name, robot.kind, True, 0, "", content, payload=payload)


def _feishu(robot: _Robot | None, request: _Request, now_ms: int) -> Arrived:
    if robot is None:
        raise _Error(19001, "param invalid: incoming webhook access token invalid")
    payload = request.payload()
    if payload is None or len(request.body) > 20 * 1024:
        raise _Error(9499, "Bad Request", 400)
    if not robot.takes_another(now_ms):
        raise _Error(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")
    if robot.addresses and request.address not in robot.addresses:
        raise _Error(19022, "Ip Not Allowed")
    _feishu_signed(robot, payload, now_ms)
    title, text, tone, links = _feishu_text(payload)
    if robot.keyword is not None and robot.keyword not in title + text:
        raise _Error(19024, "Key Words Not Found")
    return Arrived(
        now_ms, robot.name, robot.kind, True, 0, title, text, tone, links, payload=payload
    )


def _feishu_signed(robot: _Robot, payload: Mapping[str, Any], now_ms: int) -> None:
    """The body has the time in s, and HMAC-SHA256(time + newline + secret, nothing) in base64."""
    if not robot.secrets:
        return
    (secret,) = robot.secrets
    stamp = str(payload.get("timestamp", ""))
    fails = _Error(19021, "sign match fail or timestamp is not within one hour from current time")
    if not stamp.isdigit() or abs(now_ms - int(stamp) * 1000) > HOUR_MS:
        raise fails
    expected = base64.b64encode(hmac.digest(f"{stamp}\n{secret}".encode(), b"", "sha256"))
    if not hmac.compare_digest(str(payload.get("sign", "")).encode(), expected):
        raise fails


def _feishu_text(payload: Mapping[str, Any]) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """Title, text, colour and buttons of a text or a card."""
    if payload.get("msg_type") == "text":
        content = payload.get("content")
        text = content.get("text") if isinstance(content, dict) else None
        if not isinstance(text, str):
            raise _Error(9499, "Bad Request", 400)
        return "", text, "", ()
    card = payload.get("card")
    if payload.get("msg_type") != "interactive" or not isinstance(card, dict):
        raise _Error(9499, "Bad Request", 400)
    lines: list[str] = []
    links: list[tuple[str, str]] = []
    try:
        title = card["header"]["title"]["content"]
        for element in card["elements"]:
            match element["tag"]:
                case "div":
                    lines.append(element["text"]["content"])
                case "markdown":
                    lines.append(element["content"])
                case "note":
                    lines.append(" ".join(one["content"] for one in element["elements"]))
                case "action":
                    links += [(one["text"]["content"], one["url"]) for one in element["actions"]]
                case "hr":
                    continue
                case _:
                    raise _Error(9499, "Bad Request", 400)
        tone = card["header"].get("template", "")
    except (KeyError, TypeError):
        raise _Error(9499, "Bad Request", 400) from None
    return title, "\n\n".join(lines), tone, tuple(links)


def _webhook(robot: _Robot | None, request: _Request, now_ms: int) -> Arrived:
    if robot is None:
        raise _Error(404, "no such hook", 404)
    key = request.headers.get("webhook-id", "")
    stamp = request.headers.get("webhook-timestamp", "")
    if not key or not stamp.isdigit() or abs(now_ms - int(stamp) * 1000) > 5 * MINUTE_MS:
        raise _Error(401, "webhook-id missing, or webhook-timestamp too far away", 401)
    content = f"{key}.{stamp}.".encode() + request.body
    right = {
        b"v1," + base64.b64encode(hmac.digest(_webhook_key(secret), content, "sha256"))
        for secret in robot.secrets
    }
    given = request.headers.get("webhook-signature", "").encode().split()
    if not any(hmac.compare_digest(one, other) for one in given for other in right):
        raise _Error(401, "no signature matches", 401)
    payload = request.payload()
    if payload is None or payload.get("specversion") != "1.0":
        raise _Error(400, "not a CloudEvents 1.0 event", 400)
    if any(not isinstance(payload.get(name), str) for name in ("id", "source", "type")):
        raise _Error(400, "a CloudEvents event has id, source and type", 400)
    repeats = robot.keys.get(key, 0)
    robot.keys[key] = repeats + 1
    while len(robot.keys) > KEPT:
        robot.keys.pop(next(iter(robot.keys)))
    data = payload.get("data")
    data = data if isinstance(data, dict) else {}
    return Arrived(
        now_ms, robot.name, robot.kind, True, 200, str(data.get("headline", payload["type"])),
        str(data.get("text", "")), key=key, repeats=repeats, payload=payload,
    )  # fmt: skip


def _webhook_key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def _alertmanager(robot: _Robot | None, request: _Request, now_ms: int) -> Arrived:
    if robot is None:
        raise _Error(404, "no such server", 404)
    try:
        alerts = json.loads(request.body)
        for alert in alerts:
            labels = alert["labels"]
            if not labels or not all(isinstance(value, str) for value in labels.values()):
                raise _Error(400, "labels must be non-empty strings", 400)
            if alert["endsAt"] < alert["startsAt"]:
                raise _Error(400, "start time must be before end time", 400)
        firing = [one for one in alerts if one["annotations"]]
        lines = [str(one["annotations"].get("description", "")) for one in firing]
        title = str(firing[0]["annotations"].get("summary", "")) if firing else ""
    except (ValueError, KeyError, TypeError):
        raise _Error(400, "bad request", 400) from None
    return Arrived(
        now_ms, robot.name, robot.kind, True, 200, title, "\n\n".join(lines), payload=alerts
    )


_KINDS: Mapping[str, Callable[[_Robot | None, _Request, int], Arrived]] = {
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "feishu": _feishu,
    "webhook": _webhook,
    "alertmanager": _alertmanager,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], robots: Robots) -> None:
        super().__init__(address, _Handler)
        self.robots = robots

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hung up early is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = HANGS_AT_MOST_S

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES:
            self._send(413, {}, b"")
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(length))
        request = _Request(query, headers, body, self.client_address[0])
        answer = self.server.robots.answer(self.path, request)
        if answer is not None:
            self._send(*answer)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        attempts = self.server.robots.attempts
        if parts.path == "/messages":
            shown = [_shown(one) for one in attempts]
            self._send(200, {"Content-Type": "application/json; charset=utf-8"}, _json(shown))
        elif parts.path == "/":
            language = parse_qs(parts.query).get("lang", [""])[0]
            if language not in ("zh", "en"):
                wanted = self.headers.get("Accept-Language", "zh").lower()
                language = "en" if wanted.startswith("en") else "zh"
            html = page(language, attempts)
            self._send(
                200,
                {
                    "Content-Type": "text/html; charset=utf-8",
                    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
                },
                html.encode(),
            )
        else:
            self._send(404, {}, b"")

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Nothing: the page shows what came."""


def _shown(one: Arrived) -> dict[str, object]:
    return {
        "at_ms": one.at_ms,
        "robot": one.robot,
        "kind": one.kind,
        "accepted": one.accepted,
        "code": one.code,
        "title": one.title,
        "text": one.text,
        "links": [{"label": label, "url": url} for label, url in one.links],
        "key": one.key,
        "repeats": one.repeats,
        "payload": one.payload,
    }
