"""Requests that leave the house: checked address, no redirects, bounded in time and size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

WITHIN_S = 5.0  # in all: from the name to the last byte of the answer
ANSWER_BYTES = 64 * 1024


class Refused(Exception):
    """The address is one to which nothing may be sent; says why and which setting allows it."""


class Unreachable(Exception):
    """No answer, or none in time; the text holds no address."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator lets us send to although it is private: COURTYARD_ALERTS_ALLOW."""

    hosts: frozenset[str] = frozenset()
    networks: Sequence[IPv4Network | IPv6Network] = ()


class Outgoing:
    """allowed: for these http is accepted as well."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
