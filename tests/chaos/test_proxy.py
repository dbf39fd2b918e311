"""The proxy does to a connection what it is told."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from chaos.proxy import Proxy

PATIENCE_S = 10.0
SHORT_S = 0.3


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(4096):
                        connection.sendall(data)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as made:
        yield made


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)


def echoed(sock: socket.socket, data: bytes) -> bytes:
    sock.sendall(data)
    return sock.recv(4096)


def is_over(sock: socket.socket) -> bool:
    try:
        return sock.recv(4096) == b""
    except ConnectionError:
        return True


def test_what_is_sent_passes_both_ways(proxy: Proxy) -> None:
    with connected(proxy) as sock:
        assert echoed(sock, b"hello") == b"hello"
    assert proxy.accepted == 1


def test_a_cut_ends_connections_and_takes_new_ones(proxy: Proxy) -> None:
    with connected(proxy) as sock:
        echoed(sock, b"hello")
        proxy.cut()
        assert is_over(sock)
    with connected(proxy) as again:
        assert echoed(again, b"again") == b"again"


def test_refusing_ends_new_connections_too_until_it_is_normal(proxy: Proxy) -> None:
    proxy.refuse()
    with connected(proxy) as sock:
        assert is_over(sock)
    proxy.normal()
    with connected(proxy) as again:
        assert echoed(again, b"again") == b"again"


def test_a_stall_holds_everything_and_loses_nothing(proxy: Proxy) -> None:
    with connected(proxy) as sock:
        echoed(sock, b"hello")
        proxy.stall()
        sock.sendall(b"held")
        sock.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            sock.recv(4096)
        proxy.normal()
        sock.settimeout(PATIENCE_S)
        assert sock.recv(4096) == b"held"


def test_a_delay_is_felt_in_each_direction(proxy: Proxy) -> None:
    with connected(proxy) as sock:
        echoed(sock, b"hello")
        proxy.delay(0.1)
        started = time.monotonic()
        assert echoed(sock, b"late") == b"late"
        assert time.monotonic() - started >= 0.2


def test_a_lost_piece_comes_a_retransmission_later(proxy: Proxy) -> None:
    with connected(proxy) as sock:
        echoed(sock, b"hello")
        proxy.lose(1.0)
        started = time.monotonic()
        assert echoed(sock, b"late") == b"late"
        assert time.monotonic() - started >= 0.3


def test_swallowed_answers_do_not_arrive_and_requests_do(proxy: Proxy) -> None:
    with connected(proxy) as sock:
        echoed(sock, b"hello")
        proxy.swallow()
        sock.sendall(b"lost")
        sock.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            sock.recv(4096)
        proxy.normal()
        sock.settimeout(PATIENCE_S)
        assert echoed(sock, b"again") == b"again"


def test_the_longest_pause_of_a_client_is_measured(proxy: Proxy) -> None:
    with connected(proxy) as sock:
        echoed(sock, b"hello")
        proxy.watch()
        time.sleep(0.2)
        echoed(sock, b"again")
        assert 0.2 <= proxy.watched() < PATIENCE_S
