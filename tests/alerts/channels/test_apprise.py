"""Apprise in its own process, against real sockets; and what it may not reach."""

import json
import os
import socket
import ssl
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from alerts.apprise_process import Forbidden, Guard
from alerts.channel import DeliveryFailed
from alerts.channels.apprise import MISSING, REFUSED, Apprise, written
from alerts.message import Message
from alerts.outgoing import Allowed, Outgoing, parse_allowed
from devices.alerts import Language
from tests.alerts.cast import NOW_MS, a_message, a_target, a_test, many, to_here
from tests.alerts.listening import PEM, Listening, listening, says

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
installed = pytest.mark.skipif(
    find_spec("apprise") is None, reason="NOT TESTED: pip install courtyard[apprise]"
)


def to(server: Listening, more: str = "") -> Any:
    return a_target("apprise", f"json://127.0.0.1:{server.port}/{more}")


def failure(url_or_target: Any, outgoing: Outgoing | None = None, **more: Any) -> DeliveryFailed:
    target = a_target("apprise", url_or_target) if isinstance(url_or_target, str) else url_or_target
    with pytest.raises(DeliveryFailed) as caught:
        Apprise(**more).send(target, a_message(), outgoing or to_here())
    return caught.value


@installed
def test_a_message_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # is not asked
    with listening(says(OK)) as server:
        receipt = Apprise().send(to(server), a_message(), to_here())
        (request,) = server.requests
    assert (receipt.answer, receipt.mentioned) == ("Apprise 已送出", 1)
    sent = json.loads(request.partition(b"\r\n\r\n")[2])
    assert sent["title"] == "【危急】烟雾报警，绿云小区"
    assert "立即断电并到场" in sent["message"]
    assert "https://courtyard.example.org/faults/3f9a1c" in sent["message"]
    assert sent["type"] == "warning"


@installed
@pytest.mark.parametrize(
    ("status", "wait_s"), [("401 Unauthorized", None), ("429 Too Many Requests", 60.0)]
)
def test_a_refusal_is_told_with_its_status_and_tried_again(
    status: str, wait_s: float | None
) -> None:
    refusal = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    with listening(says(refusal)) as server:
        failed = failure(to(server, "a-secret-of-the-path"))
    assert f"error={status[:3]}" in failed.answer
    assert "a-secret-of-the-path" not in failed.answer
    assert (failed.permanent, failed.wait_s) == (False, wait_s)


@installed
def test_redirects_are_not_followed() -> None:
    with listening(says(OK)) as other:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other.port}/\r\n"
        with listening(says(f"{moved}Content-Length: 0\r\n\r\n".encode())) as server:
            failed = failure(to(server, "?redirect=yes"))
        assert other.connections == 0
    assert "error=302" in failed.answer


@installed
def test_a_service_that_hangs_is_left_in_time() -> None:
    def hangs(connection: socket.socket, over: Any) -> None:
        over.wait(20)

    with listening(hangs) as server:
        failed = failure(to(server, "?rto=60"), within_s=1.2)
    assert failed.answer == "no answer of the service within 1.2 s"
    assert not failed.permanent


@installed
def test_a_certificate_that_is_not_trusted_is_refused_whatever_the_address_says() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(PEM)
    with listening(says(OK), tls=tls) as server:
        failed = failure(f"jsons://127.0.0.1:{server.port}/?verify=no")
        assert server.requests == []
    assert not failed.permanent


@installed
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("jsons://127.0.0.1:9/x", "private, local or reserved"),
        ("json://93.184.215.14/x", "not encrypted"),
        ("nosuch://host/x", "Unparseable URL"),
    ],
)
def test_what_may_not_be_sent_to_stops_the_target_and_says_why(url: str, says: str) -> None:
    failed = failure(url, Outgoing(Allowed()))
    assert failed.permanent
    assert says in failed.answer


@installed
def test_an_address_is_checked_when_it_is_saved() -> None:
    Apprise().check(a_target("apprise", "tgram://123456789:abcdefg_hijklmnop/12315544/"))
    with pytest.raises(ValueError, match=r"url: .*Telegram"):
        Apprise().check(a_target("apprise", "tgram://x"))


@pytest.mark.parametrize("scheme", sorted(REFUSED))
def test_what_stays_on_this_machine_or_has_its_own_channel_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match="url: "):
        Apprise().check(a_target("apprise", f"{scheme}://host/x"))


def test_without_apprise_it_says_what_to_install() -> None:
    here = Apprise(installed=lambda: False)
    with pytest.raises(ValueError, match=r"courtyard\[apprise\]"):
        here.check(a_target("apprise", "ntfys://ntfy.sh/topic"))
    failed = failure("ntfys://ntfy.sh/topic", installed=lambda: False)
    assert (failed.answer, failed.permanent) == (MISSING[0], True)


def test_secrets_are_in_the_address() -> None:
    with pytest.raises(ValueError, match="secret"):
        Apprise().check(a_target("apprise", "ntfys://ntfy.sh/topic", "SEC"))


def test_a_digest_is_cut_at_a_fault_and_an_sms_tells_one() -> None:
    digest = Message("k", Language.ZH, NOW_MS, many(40))
    for room, least, most in ((32_768, 40, 40), (900, 2, 39), (160, 1, 1), (60, 1, 1)):
        title, body, count = written(digest, room)
        assert least <= count <= most, room
        assert len(title) + len(body) <= room
        assert body.count("N0") >= count or count == 1
    title, body, count = written(a_message(), 30)
    assert (title, count) == ("", 1)
    assert body == "【危急】烟雾报警，绿云小区 K7Q2"
    assert written(a_test(), 32_768)[2] == 0


# What a plugin may reach


def guarded(allow: str = "", *, public: bool = True) -> Guard:
    return Guard(parse_allowed(allow), public=public)


def connects(guard: Guard, address: Any, family: int = socket.AF_INET) -> None:
    guard.watch("socket.connect", (SimpleNamespace(family=family), address))


def test_connections_are_held_to_the_rule_of_what_may_leave() -> None:
    connects(guarded(), ("93.184.215.14", 443))
    connects(guarded("10.1.0.0/16", public=False), ("10.1.2.3", 80))
    for guard, address, family in (
        (guarded(), ("10.1.2.3", 443), socket.AF_INET),
        (guarded(), ("169.254.169.254", 80), socket.AF_INET),
        (guarded(), ("::ffff:127.0.0.1", 80, 0, 0), socket.AF_INET6),
        (guarded(), ("fe80::1%eth0", 80, 0, 2), socket.AF_INET6),
        (guarded(public=False), ("93.184.215.14", 80), socket.AF_INET),
        (guarded(), "/run/dbus/system_bus_socket", socket.AF_UNIX),
        (guarded(), ("not-an-address", 80), socket.AF_INET),
    ):
        with pytest.raises(Forbidden):
            connects(guard, address, family)
        assert guard.forbade


def test_programs_and_files_are_out_of_reach() -> None:
    guard = guarded()
    guard.watch("open", (ssl.__file__, "r", os.O_RDONLY))
    guard.watch("open", (os.devnull, "r+", os.O_RDWR))
    guard.watch("import", ("json", None, None, None, None))
    for event, arguments in (
        ("open", ("/etc/passwd", "r", os.O_RDONLY)),
        ("open", (ssl.__file__, "w", os.O_WRONLY | os.O_CREAT)),
        ("open", (ssl.__file__, None, os.O_RDWR)),
        ("open", (os.path.join(os.path.dirname(ssl.__file__), "../../../etc/passwd"), "r", 0)),
        ("subprocess.Popen", ("sh", [], None, None)),
        ("os.system", ("sh",)),
        ("socket.sendto", (SimpleNamespace(family=socket.AF_INET), ("127.0.0.1", 514))),
    ):
        with pytest.raises(Forbidden):
            guard.watch(event, arguments)
