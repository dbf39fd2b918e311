"""Requests that leave the house: checked address, no redirects, bounded in time and size.

A name is resolved once and the connection goes to that very address, so that a name cannot be a
public one while it is checked and a private one while it is used. Nothing of the environment is
read: no proxies. What is raised names neither address nor secret, for a robot's URL is one.
"""

import errno
import http.client
import io
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

SETTING = "COURTYARD_ALERTS_ALLOW"
WITHIN_S = 5.0  # in all: from the name to the last byte of the answer
ANSWER_BYTES = 64 * 1024
HEAD_BYTES = 32 * 1024
ADDRESSES_TRIED = 4
# A resolver cannot be interrupted; each that hangs holds a thread until it gives up by itself.
LOOKUPS_AT_ONCE = 32

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Sequence[str]]  # the addresses of a name; raises OSError


class Refused(Exception):
    """The address is one to which nothing may be sent; says why and which setting allows it."""


class Unreachable(Exception):
    """No answer, or none in time; the text holds no address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """status: also a 3xx, which is not followed. headers: names in lower case. body: its first
    ANSWER_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator lets us send to although it is private: COURTYARD_ALERTS_ALLOW."""

    hosts: frozenset[str] = frozenset()
    networks: Sequence[Network] = ()

    def covers(self, address: Address) -> bool:
        """Whether this address itself is in one of the networks."""
        plain = _unmapped(address)
        return any(plain in network for network in self.networks)


def parse_allowed(text: str) -> Allowed:
    """`text`: host names, addresses and networks, separated by commas. Raises ValueError."""
    hosts: set[str] = set()
    networks: list[Network] = []
    for entry in (part.strip() for part in text.split(",")):
        if not entry:
            continue
        try:
            networks.append(ip_network(entry))
            continue
        except ValueError as error:
            if re.fullmatch(r"[0-9./]+|.*:.*", entry):
                raise ValueError(
                    f"{SETTING}: {entry!r} is no address and no network ({error}); give hosts "
                    "without port or scheme, addresses like 10.1.2.3, networks like 10.1.0.0/16"
                ) from None
        host = entry.lower().rstrip(".")
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"{SETTING}: {entry!r} is no host name; give hosts like alerts.example.org "
                "(no wildcard, port or scheme), addresses, or networks like 10.1.0.0/16"
            )
        hosts.add(host)
    return Allowed(frozenset(hosts), tuple(networks))


def resolve(host: str, port: int) -> Sequence[str]:
    """Its addresses, as the system's resolver gives them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


# Refused though the registry calls them global: they are where clouds and relays answer.
_NOT_PUBLIC: tuple[Network, ...] = (
    IPv4Network("168.63.129.16/32"),  # Azure's host: metadata, DNS
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv6Network("2002::/16"),  # 6to4; those of a public address lead nowhere any more either
    IPv6Network("2001::/23"),  # Teredo and other protocols
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether it is an address of the open internet, and no form of one that is not."""
    plain = _unmapped(address)
    if isinstance(plain, IPv6Address):
        if plain in _NAT64:
            return is_public(IPv4Address(int(plain) & 0xFFFFFFFF))
        if plain not in _GLOBAL_UNICAST:
            return False
    return (
        plain.is_global
        and not plain.is_multicast
        and not plain.is_reserved
        and not any(plain in network for network in _NOT_PUBLIC)
    )


def _unmapped(address: Address) -> Address:
    """The IPv4 address that an IPv4-mapped one is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _literal(host: str) -> Address | None:
    """The address that `host` spells, if it is one and no name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a URL leads."""

    is_tls: bool
    host: str
    port: int
    path: str  # with the query

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.is_tls else 80) else f"{name}:{self.port}"


class _Deadline:
    """Counts down to when the whole request must be over."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._over_s = time.monotonic() + within_s

    def left_s(self) -> float:
        """Seconds left, above 0. Raises Unreachable when there are none."""
        left_s = self._over_s - time.monotonic()
        if left_s <= 0:
            raise self.missed()
        return left_s

    def missed(self) -> Unreachable:
        return Unreachable(f"no whole answer within {self._within_s:g} s")


class _Reader(io.RawIOBase):
    """What a server sends, until the deadline and up to a size: one byte a second helps nobody."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._deadline.left_s())
        count = self._connection.recv_into(buffer)
        self._read_bytes += count
        if self._read_bytes > HEAD_BYTES + 2 * ANSWER_BYTES:  # chunks have a size of their own
            raise Unreachable("the answer's head is too large")
        return count


class _Read:
    """As much of a socket as http.client's response wants to see."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader, 4096)


class Outgoing:
    """allowed: for these http is accepted as well. tls: whom to trust; the system's without."""

    def __init__(
        self,
        allowed: Allowed,
        *,
        resolve: Resolver = resolve,
        within_s: float = WITHIN_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._within_s = within_s
        self._tls = tls
        self._lookups = threading.BoundedSemaphore(LOOKUPS_AT_ONCE)

    @property
    def allowed(self) -> Allowed:
        """What the operator lets us send to although it is private."""
        return self._allowed

    def check_address(self, url: str) -> None:
        """What can be told before anything is sent: for when a target is saved.

        Raises Refused, or Unreachable when its name is not known now.
        """
        place = self._place(url)
        self._addresses(place, _Deadline(self._within_s))

    def look_up(self, host: str, port: int) -> list[Address]:
        """The addresses of a server that the operator has set: in time, and not checked.

        Raises Unreachable.
        """
        literal = _literal(host)
        return [literal] if literal else self._look_up(host, port, _Deadline(self._within_s))

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever its status. Raises Refused, Unreachable."""
        place = self._place(url)
        deadline = _Deadline(self._within_s)
        addresses = self._addresses(place, deadline)
        connection = self._connect(place, addresses, deadline)
        try:
            return _exchange(connection, place, body, headers, deadline)
        except TimeoutError:
            raise deadline.missed() from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(_why(error)) from None
        finally:
            connection.close()

    def _place(self, url: str) -> _Place:
        """Raises Refused."""
        if not _PRINTABLE.fullmatch(url):
            raise Refused("the address has blanks or characters that are not ASCII")
        try:
            parts = urlsplit(url)
            port = parts.port
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            raise Refused("the address cannot be read as a URL") from None
        if parts.scheme not in ("https", "http") or not host:
            raise Refused("the address is not an https:// URL")
        if parts.username is not None or parts.password is not None:
            raise Refused("the address has a user name in it: leave it out")
        is_tls = parts.scheme == "https"
        return _Place(is_tls, host, port or (443 if is_tls else 80), _path(parts))

    def _addresses(self, place: _Place, deadline: _Deadline) -> list[Address]:
        """All that the name has, each of them allowed. Raises Refused, Unreachable."""
        literal = _literal(place.host)
        addresses = (
            [literal] if literal is not None else self._look_up(place.host, place.port, deadline)
        )
        if not addresses:
            raise Unreachable("its name has no address")
        if place.host in self._allowed.hosts:
            return addresses
        if all(self._allowed.covers(address) for address in addresses):
            return addresses
        if not place.is_tls:
            raise Refused(f"only https is sent to; {SETTING} names the hosts for which http may be")
        for address in addresses:
            if not is_public(address) and not self._allowed.covers(address):
                raise Refused(
                    "its name or address leads to a private, local or reserved network; "
                    f"{SETTING} names the hosts and networks that may be sent to all the same"
                )
        return addresses

    def _look_up(self, host: str, port: int, deadline: _Deadline) -> list[Address]:
        if not self._lookups.acquire(blocking=False):
            raise Unreachable("too many names are being looked up: the resolver does not answer")
        found: list[Sequence[str]] = []
        failed: list[OSError] = []
        is_done = threading.Event()

        def look_up() -> None:
            try:
                found.append(self._resolve(host, port))
            except OSError as error:
                failed.append(error)
            except UnicodeError:  # a label that IDNA refuses
                failed.append(OSError())
            finally:
                self._lookups.release()
                is_done.set()

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        if not is_done.wait(deadline.left_s()):
            raise Unreachable(f"its name was not resolved within {self._within_s:g} s")
        if failed or not found:
            raise Unreachable("its name is not known (DNS)")
        try:
            return [ip_address(one) for one in found[0]]
        except ValueError:
            raise Unreachable("its name leads to something that is no address") from None

    def _connect(
        self, place: _Place, addresses: Sequence[Address], deadline: _Deadline
    ) -> socket.socket:
        """A connection to the first that answers, with TLS if it is for https.

        Nothing is sent yet, so the next is tried when one hangs; all have an equal share of what
        time is left.
        """
        failed: Exception = Unreachable("its name has no address")
        tried = addresses[:ADDRESSES_TRIED]
        for number, address in enumerate(tried):
            share_s = deadline.left_s() / (len(tried) - number)
            try:
                return self._open(place, address, share_s)
            except TimeoutError:
                failed = deadline.missed()
            except OSError as error:  # ssl.SSLError is one
                failed = error
        raise Unreachable(_why(failed)) from None

    def _open(self, place: _Place, address: Address, within_s: float) -> socket.socket:
        """Raises OSError."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        over_s = time.monotonic() + within_s
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(within_s)
            connection.connect((str(address), place.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not place.is_tls:
                return connection
            if self._tls is None:
                self._tls = ssl.create_default_context()
            connection.settimeout(max(0.001, over_s - time.monotonic()))
            return self._tls.wrap_socket(connection, server_hostname=place.host)
        except BaseException:
            connection.close()
            raise


def _path(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _exchange(
    connection: socket.socket,
    place: _Place,
    body: bytes,
    headers: Mapping[str, str],
    deadline: _Deadline,
) -> Answer:
    """Send the request, read the answer. Raises OSError, HTTPException, Unreachable."""
    sent = {
        "Host": place.host_header,
        "User-Agent": "courtyard",
        "Accept": "*/*",
        "Connection": "close",
        **headers,
        "Content-Length": str(len(body)),
    }
    for name, value in sent.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[\x20-\x7e]*", value):
            raise ValueError(f"header {name!r} cannot be sent: it is not printable ASCII")
    lines = [f"POST {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    rest = memoryview("\r\n".join([*lines, "", ""]).encode("ascii") + body)
    while rest:
        connection.settimeout(deadline.left_s())
        rest = rest[connection.send(rest) :]
    reader = _Reader(connection, deadline)
    response = http.client.HTTPResponse(_Read(reader), method="POST")  # type: ignore[arg-type]
    try:
        response.begin()
        answer = response.read(ANSWER_BYTES)
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, answer)
    finally:
        response.close()


_WORDS: Mapping[int, str] = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the connection was cut",
    errno.EPIPE: "the connection was cut",
    errno.EHOSTUNREACH: "no route to it",
    errno.ENETUNREACH: "no route to it",
}


def _why(error: BaseException) -> str:
    """What went wrong, in words without names and addresses."""
    match error:
        case ssl.SSLCertVerificationError():
            if error.verify_code in (62, 64):  # of another name or address: the text names them
                return "its certificate is of another name"
            return f"its certificate is not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or 'the connection was cut'}"
        case http.client.IncompleteRead() | http.client.RemoteDisconnected():
            return "the connection was cut before the whole answer came"
        case http.client.HTTPException():
            return "what answers does not speak HTTP"
        case OSError():
            code = error.errno or 0
            return _WORDS.get(code, os.strerror(code) if code else "the connection failed")
        case _:
            return str(error)
