"""Requests that leave the house, over real sockets: where they may go, how long they may take."""

import socket
import ssl
import threading
import time
from ipaddress import ip_address

import pytest

from alerts.outgoing import (
    ANSWER_BYTES,
    Allowed,
    Outgoing,
    Refused,
    Resolver,
    Unreachable,
    is_public,
    parse_allowed,
)
from tests.alerts.listening import PEM, Answerer, listening, says

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = parse_allowed("127.0.0.0/8")
SOON_S = 0.15  # tests give up sooner than the product does


def names(**known: list[str]) -> tuple[Resolver, list[str]]:
    """A resolver that knows these names, and counts how often it was asked."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        key = host.replace(".", "_").replace("-", "_")
        if key not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known[key]

    return resolve, asked


def test_what_is_sent_arrives_and_what_is_answered_comes_back() -> None:
    with listening(says(b"HTTP/1.1 202 Accepted\r\nRetry-After: 7\r\n\r\n", b"body")) as server:
        answer = Outgoing(LOOPBACK).post(
            f"http://127.0.0.1:{server.port}/a?b=c", "烟雾".encode(), {"Content-Type": "text/plain"}
        )
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (202, b"body", "7")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Content-Type: text/plain" in head
    assert body == "烟雾".encode()


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.9", "168.63.129.16",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
        "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
        "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808",
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378::1", "2001:db8::1", "100::1",
        "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "5f00::1",
        "4000::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_open_internet_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    resolve, _ = names(inside_example_org=["8.8.8.8", address])
    outgoing = Outgoing(Allowed(), resolve=resolve)
    with pytest.raises(Refused, match="COURTYARD_ALERTS_ALLOW"):
        outgoing.check_address("https://inside.example.org/hook")
    with pytest.raises(Refused):
        outgoing.post("https://inside.example.org/hook", b"", {})


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "119.29.29.29", "2400:3200::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_open_internet_may_be_sent_to(address: str) -> None:
    resolve, _ = names(hooks_example_org=[address])
    Outgoing(Allowed(), resolve=resolve).check_address("https://hooks.example.org/hook")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:7f00:1]/", "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data", "https://[fd00:ec2::254]/",
        "https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://0177.0.0.1/",
        "https://localhost/", "https://localhost./",
    ],
)  # fmt: skip
def test_no_way_to_write_a_loopback_address_passes(url: str) -> None:
    # the system's own resolver: it takes 2130706433 for 127.0.0.1
    with pytest.raises((Refused, Unreachable)):
        Outgoing(Allowed()).check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/hook", "ftp://hooks.example.org/", "hooks.example.org/hook",
        "https://", "https://user:pass@hooks.example.org/", "https://hooks.example.org:99999/",
        "https://hooks.example.org/\r\nX: y", "https://hooks.example.org/a b", "https://例子.中国/",
        "file:///etc/passwd", "https://[::1", "",
    ],
)  # fmt: skip
def test_what_is_no_https_address_is_refused(url: str) -> None:
    resolve, _ = names(hooks_example_org=["8.8.8.8"])
    with pytest.raises(Refused):
        Outgoing(Allowed(), resolve=resolve).check_address(url)


def test_a_name_is_resolved_once_and_connected_to_at_that_address() -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    outgoing = Outgoing(parse_allowed("127.0.0.1"), resolve=rebinding)
    with listening(says(OK)) as server:
        url = f"http://rebinding.example.org:{server.port}/"
        assert outgoing.post(url, b"", {}).status == 200
        assert asked == ["rebinding.example.org"]
        assert b"Host: rebinding.example.org:" in server.requests[0]
        with pytest.raises(Refused):  # and when it leads elsewhere the next time, that is checked
            outgoing.post(url, b"", {})
        assert server.connections == 1


def test_a_host_that_is_allowed_by_name_may_be_private_and_plain() -> None:
    resolve, _ = names(robots_lan=["127.0.0.1"])
    outgoing = Outgoing(parse_allowed("Robots.LAN."), resolve=resolve)
    with listening(says(OK)) as server:
        assert outgoing.post(f"http://robots.lan:{server.port}/", b"", {}).status == 200


def test_a_redirect_is_not_followed() -> None:
    with listening(says(OK)) as other:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other.port}/\r\n\r\n".encode()
        with listening(says(moved)) as server:
            answer = Outgoing(LOOPBACK).post(f"http://127.0.0.1:{server.port}/", b"", {})
        assert (answer.status, other.connections) == (302, 0)


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(says(OK)) as proxy, listening(says(OK)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert Outgoing(LOOPBACK).post(f"http://127.0.0.1:{server.port}/", b"", {}).status == 200
    assert (proxy.connections, server.connections) == (0, 1)


def hang(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(5)


def drip_head(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.wait(0.02):
        connection.sendall(b"X")


def drip_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
    while not over.wait(0.02):
        connection.sendall(b"x")


def drip_hints(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("answer", [hang, drip_head, drip_body, drip_hints])
def test_a_server_that_hangs_or_drips_is_given_up_in_time(answer: Answerer) -> None:
    with listening(answer) as server:
        started_s = time.monotonic()
        with pytest.raises(Unreachable, match=r"within 0\.15 s"):
            Outgoing(LOOPBACK, within_s=SOON_S).post(f"http://127.0.0.1:{server.port}/", b"", {})
        assert time.monotonic() - started_s < 2  # the server would hang for 5


def test_a_tls_handshake_that_hangs_is_given_up_in_time() -> None:
    with listening(hang) as server, pytest.raises(Unreachable, match=r"within 0\.15 s"):
        Outgoing(LOOPBACK, within_s=SOON_S).post(f"https://127.0.0.1:{server.port}/", b"", {})


def test_a_resolver_that_hangs_is_given_up_in_time_and_bounded() -> None:
    over = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        over.wait(5)
        return []

    outgoing = Outgoing(LOOPBACK, resolve=hanging, within_s=0.01)
    try:
        for _ in range(32):
            with pytest.raises(Unreachable, match=r"not resolved|no whole answer"):
                outgoing.check_address("https://hooks.example.org/")
        with pytest.raises(Unreachable, match="too many names"):
            outgoing.check_address("https://hooks.example.org/")
    finally:
        over.set()


def test_of_a_huge_answer_only_the_beginning_is_read() -> None:
    def flood(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 65536)

    with listening(flood) as server:
        answer = Outgoing(LOOPBACK).post(f"http://127.0.0.1:{server.port}/", b"", {})
    assert answer.body == b"x" * ANSWER_BYTES


def test_a_head_without_end_is_given_up() -> None:
    def flood(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.is_set():
            connection.sendall(b"X: " + b"y" * 8000 + b"\r\n")

    with listening(flood) as server, pytest.raises(Unreachable):
        Outgoing(LOOPBACK).post(f"http://127.0.0.1:{server.port}/", b"", {})


@pytest.mark.parametrize("answer", [says(), says(b"SSH-2.0-OpenSSH\r\n"), says(b"HTTP/1.1 2")])
def test_what_does_not_answer_in_http_is_unreachable(answer: Answerer) -> None:
    with listening(answer) as server, pytest.raises(Unreachable):
        Outgoing(LOOPBACK).post(f"http://127.0.0.1:{server.port}/", b"", {})


def test_a_port_where_nobody_listens_says_so() -> None:
    with listening(says(OK)) as server:
        port = server.port
    with pytest.raises(Unreachable, match="refused"):
        Outgoing(LOOPBACK).post(f"http://127.0.0.1:{port}/", b"", {})


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def test_tls_is_checked_by_the_name_though_the_address_is_pinned() -> None:
    trusting = ssl.create_default_context(cafile=str(PEM))
    resolve, _ = names(hooks_example_test=["127.0.0.1"], other_example_test=["127.0.0.1"])
    outgoing = Outgoing(LOOPBACK, resolve=resolve, tls=trusting)
    with listening(says(OK), tls=server_tls()) as server:
        assert outgoing.post(f"https://hooks.example.test:{server.port}/", b"", {}).status == 200
        assert server.server_names == ["hooks.example.test"]
        with pytest.raises(Unreachable, match="of another name"):
            outgoing.post(f"https://other.example.test:{server.port}/", b"", {})


def test_when_one_address_hangs_or_refuses_the_next_is_tried() -> None:
    trusting = ssl.create_default_context(cafile=str(PEM))
    resolve, _ = names(hooks_example_test=["127.0.0.9", "127.0.0.1", "127.0.0.2"])
    outgoing = Outgoing(LOOPBACK, resolve=resolve, tls=trusting, within_s=0.6)
    with (
        listening(hang) as first,
        listening(says(OK), host="127.0.0.2", port=first.port, tls=server_tls()) as second,
    ):
        url = f"https://hooks.example.test:{first.port}/"
        assert outgoing.post(url, b"", {}).status == 200
        assert (first.connections, second.connections) == (1, 1)


def test_a_certificate_that_nobody_vouches_for_is_not_accepted() -> None:
    resolve, _ = names(hooks_example_test=["127.0.0.1"])
    outgoing = Outgoing(LOOPBACK, resolve=resolve)
    with listening(says(OK), tls=server_tls()) as server, pytest.raises(Unreachable) as caught:
        outgoing.post(f"https://hooks.example.test:{server.port}/robot?access_token=s3", b"", {})
    assert "certificate is not accepted" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "hooks.example.test", "192.0.2.9"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_failure_names_address_or_secret(host: str, scheme: str) -> None:
    resolve, _ = names()
    url = f"{scheme}://{host}:1/robot/send?access_token=5ecret"
    for allowed in (Allowed(), parse_allowed("127.0.0.1")):
        with pytest.raises((Refused, Unreachable)) as caught:
            Outgoing(allowed, resolve=resolve).post(url, b"", {"X-Secret": "5ecret"})
        failed = caught.value
        assert failed.__cause__ is None
        assert failed.__suppress_context__ or failed.__context__ is None
        assert "5ecret" not in str(failed)
        assert host not in str(failed)


def test_a_header_cannot_bring_another_one() -> None:
    with listening(says(OK)) as server, pytest.raises(ValueError, match="cannot be sent"):
        Outgoing(LOOPBACK).post(f"http://127.0.0.1:{server.port}/", b"", {"X-A": "b\r\nC: d"})


def test_what_may_be_sent_to_is_hosts_addresses_and_networks() -> None:
    allowed = parse_allowed(" Alerts.Example.org, 10.1.0.0/16 ,127.0.0.1,fd00::/8,, ")
    assert allowed.hosts == {"alerts.example.org"}
    assert [str(one) for one in allowed.networks] == ["10.1.0.0/16", "127.0.0.1/32", "fd00::/8"]
    assert allowed.covers(ip_address("::ffff:10.1.2.3"))
    assert not allowed.covers(ip_address("10.2.0.1"))
    assert parse_allowed("") == Allowed()


@pytest.mark.parametrize(
    "text",
    ["10.1.2.3/16", "10.1.2", "http://a.b", "a.b:80", "*.a.b", "a b", "-a.b", "fd00::/200", "a..b"],
)
def test_what_cannot_be_allowed_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="COURTYARD_ALERTS_ALLOW") as caught:
        parse_allowed(f"ok.example.org,{text}")
    assert repr(text) in str(caught.value)
