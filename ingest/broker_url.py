"""Where the broker is, out of its URL."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit


class BadBrokerUrl(ValueError):
    """The broker's URL cannot be used; the text says which part."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is, and how to log in."""

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    cafile: str | None = None  # whom to believe; None: the system's authorities

    @classmethod
    def from_url(cls, url: str, cafile: str | None = None) -> Self:
        """mqtt://user:password@host:1883, or mqtts:// (8883) for TLS. Raises BadBrokerUrl."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadBrokerUrl(f"the broker's URL has no usable port: {error}") from error
        if parts.scheme not in ("mqtt", "mqtts"):
            raise BadBrokerUrl(
                f"the broker's URL begins with {parts.scheme or 'nothing'}://: mqtt:// or mqtts://"
            )
        if not parts.hostname:
            raise BadBrokerUrl("the broker's URL names no host: mqtt://host:1883")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise BadBrokerUrl("the broker's URL ends after the port: topics are not part of it")
        tls = parts.scheme == "mqtts"
        return cls(
            parts.hostname,
            port or (8883 if tls else 1883),
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            tls,
            cafile,
        )
