"""Apprise, in a process of its own: python -m alerts.apprise_process, spoken to in lines of JSON.

    in   {"url", "hosts", "networks", "refused"}   what is asked for, and what the operator allows
    out  {"room"}                                  how many characters a message may have
    in   {"title", "body", "is_bad"}               nothing more: it was only looked at
    out  {"accepted", "said"}

or {"refused"} instead of either: a sentence. Its plugins are many, bring their own connections, and
stop at no deadline, so whoever starts this process ends it. In it, what a plugin connects to is
held to the rule of `alerts.outgoing`, at the connection itself, whatever name led there; programs,
sockets of this machine, and files beside Python's own are out of reach.
"""

import io
import json
import logging
import os
import socket
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib import import_module
from ipaddress import ip_address
from typing import Any

from alerts.outgoing import SETTING, Allowed, is_public, parse_allowed

CONNECT_S = 3.0
READ_S = 5.0
SAID_CHARACTERS = 500
_ZONES = "/usr/share/zoneinfo"
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")


class Forbidden(OSError):
    """A plugin wanted what it may not; the text says what."""


class Guard:
    """What a plugin may reach. public: whether the open internet, or only what is allowed by name.

    forbade: why the last thing was refused.
    """

    def __init__(self, allowed: Allowed, *, public: bool = True) -> None:
        self.public = public
        self.forbade: str | None = None
        self._allowed = allowed
        self._known: set[str] = set()  # addresses of hosts that are allowed by name
        self._places = tuple(
            os.path.realpath(sysconfig.get_path(name)) + os.sep
            for name in ("stdlib", "platstdlib", "purelib", "platlib")
        )

    def install(self) -> None:
        """From now on, and until this process ends."""
        ask = socket.getaddrinfo

        def getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
            found = ask(host, *more, **named)
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
            if name.lower().rstrip(".") in self._allowed.hosts:
                self._known |= {str(entry[4][0]) for entry in found}
            return found

        socket.getaddrinfo = getaddrinfo
        sys.addaudithook(self.watch)

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raises Forbidden; Python calls it before it does these things."""
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._reach(arguments[0].family, arguments[1])
        elif event == "open":
            self._open(arguments[0], arguments[1], arguments[2])
        elif event in _PROGRAMS:
            raise self._forbid("it would start a program on this machine")

    def _reach(self, family: int, address: Any) -> None:
        if address is None:
            return  # a datagram on a socket that is connected, which was looked at then
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise self._forbid("it would speak to a program on this machine")
        host = str(address[0])
        if host in self._known:
            return
        try:
            found = ip_address(host.partition("%")[0])
        except ValueError:
            raise self._forbid("its address cannot be read") from None
        if self._allowed.covers(found):
            return
        if not self.public:
            raise self._forbid(
                f"it is not encrypted; {SETTING} names the hosts for which it may be"
            )
        if not is_public(found):
            raise self._forbid(
                "its name or address leads to a private, local or reserved network; "
                f"{SETTING} names the hosts and networks that may be sent to all the same"
            )

    def _open(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int) or path == os.devnull:
            return
        for_writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (flags or 0) & for_writing:
            raise self._forbid("it would write a file on this machine")
        real = os.path.realpath(os.fsdecode(path))
        if not real.startswith((*self._places, _ZONES + os.sep)):
            raise self._forbid("it would read a file of this machine")

    def _forbid(self, why: str) -> Forbidden:
        self.forbade = why
        return Forbidden(why)


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    _say(_serve(asked))


def _serve(asked: dict[str, Any]) -> dict[str, object]:
    apprise: Any = import_module("apprise")
    plugins: Any = import_module("apprise.manager_plugins").NotificationManager()
    logs = io.StringIO()
    logging.getLogger("apprise").addHandler(logging.StreamHandler(logs))
    logging.getLogger("apprise").setLevel(logging.WARNING)
    plugins.load_modules()
    asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY)
    scheme = str(asked["url"]).partition(":")[0].lower()
    if scheme in asked["refused"]:
        return {"refused": asked["refused"][scheme]}
    guard = Guard(parse_allowed(",".join([*asked["hosts"], *asked["networks"]])))
    guard.install()
    plugin = apprise.Apprise.instantiate(asked["url"], asset=asset)
    if plugin is None:
        return {"refused": guard.forbade or _last(logs) or "Apprise does not know this address"}
    if type(plugin).__module__.partition(".")[0] != "apprise":
        return {"refused": "this is no service of Apprise's own"}
    guard.public = not _is_clear(plugin, scheme)
    plugin.verify_certificate = True
    plugin.redirects = False
    plugin.retry = 0
    plugin.socket_connect_timeout, plugin.socket_read_timeout = CONNECT_S, READ_S
    _say({"room": int(plugin.body_maxlen)})
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message = json.loads(line)
    sender = apprise.Apprise(asset=asset)
    sender.add(plugin)
    kind = apprise.NotifyType.WARNING if message["is_bad"] else apprise.NotifyType.INFO
    accepted = sender.notify(
        message["body"],
        title=message["title"],
        notify_type=kind,
        body_format=apprise.NotifyFormat.TEXT,
    )
    if guard.forbade is not None and not accepted:
        return {"refused": guard.forbade}
    return {"accepted": bool(accepted), "said": _last(logs)}


def _is_clear(plugin: Any, scheme: str) -> bool:
    """Whether this address is of the plain form of a service that has an encrypted one as well, or
    of one that has only a plain form to a host of one's choice."""
    plain, secure = _names(plugin.protocol), _names(plugin.secure_protocol)
    has_host = "host" in plugin.template_tokens
    return scheme in plain and scheme not in secure and (bool(secure) or has_host)


def _names(of: str | Iterable[str] | None) -> Sequence[str]:
    return [] if of is None else [of] if isinstance(of, str) else list(of)


def _last(logs: io.StringIO) -> str:
    """What Apprise said last."""
    lines = [line.strip() for line in logs.getvalue().splitlines() if line.strip()]
    return lines[-1][:SAID_CHARACTERS] if lines else ""


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
