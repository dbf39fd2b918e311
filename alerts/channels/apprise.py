"""All the services of Apprise, for those that have no channel of their own: Telegram, Slack, ntfy …

Source: github.com/caronc/apprise, 2.3. It is an extra, `courtyard[apprise]`, and runs in a process
of its own (`alerts.apprise_process`), which is ended when it takes too long.

Apprise looks at the HTTP status of most services, and not at what they say, so what it accepts is
less sure than with the other channels. That is why the robots of DingTalk, WeCom and Feishu are
refused here: they answer 200 to what they refuse.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alerts.channel import DeliveryFailed, Limits, Receipt
from alerts.channels.answers import TOO_FAST_S, in_language, redacted
from alerts.message import Message, Notice
from alerts.outgoing import Allowed, Outgoing
from alerts.texts import (
    Telling,
    cut,
    cut_digest,
    footer,
    line,
    mentioned,
    merged,
    number_row,
    plain,
    plain_digest,
    tell,
    tell_summary,
    tell_test,
)
from devices.alerts import Target
from devices.words import say

LIMITS = Limits()
AT_ONCE = 4  # processes, of some 40 MB each
WITHIN_S = 12.0  # from the start of the process to its end; a connection has 3 s, an answer 5 s
SHAPE = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[\x21-\x7e]*")

_OURS = "this service has a channel of its own here, which reads what it answers"
_LOCAL = "this would stay on the machine that courtyard runs on"
_FILES = "this names no service"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("dingtalk", "wecombot", "feishu", "lark", "mailto", "mailtos"), _OURS),
    **dict.fromkeys(
        ("dbus", "kde", "qt", "glib", "gio", "gnome", "macosx", "windows", "syslog", "blink1"),
        _LOCAL,
    ),
    **dict.fromkeys(("file", "memory", "http", "https"), _FILES),
}

MISSING = (
    "没有安装 Apprise：由管理员安装 courtyard[apprise]",
    "Apprise is not installed: an administrator installs courtyard[apprise]",
)
_REFUSED = ("不发送：{why}", "nothing is sent: {why}")
_ACCEPTED = ("Apprise 已送出", "sent by Apprise")


class Apprise:
    """target.url: of Apprise, `tgram://…`; the secrets are in it. installed: for tests."""

    limits = LIMITS

    def __init__(
        self,
        *,
        within_s: float = WITHIN_S,
        installed: Callable[[], bool] = lambda: find_spec("apprise") is not None,
    ) -> None:
        self._within_s = within_s
        self._installed = installed
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def check(self, target: Target) -> None:
        if target.secrets:
            raise ValueError("secret: an address of Apprise has its secrets in it")
        if not SHAPE.fullmatch(target.url):
            raise ValueError("url: expected an address of Apprise, like ntfys://ntfy.sh/topic")
        refused = REFUSED.get(target.url.partition(":")[0])
        if refused is not None:
            raise ValueError(f"url: {refused}")
        if not self._installed():
            raise ValueError(MISSING[1])
        try:
            self._speak(target, Allowed(), None)
        except DeliveryFailed as failed:
            raise ValueError(f"url: {failed.answer}") from None

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        if not self._installed():
            raise DeliveryFailed(in_language(target, MISSING), permanent=True)
        return self._speak(target, outgoing.allowed, message)

    def _speak(self, target: Target, allowed: Allowed, message: Message | None) -> Receipt:
        """When it is our turn, start the process, and end it; without a message the address is only
        looked at."""
        if not self._turns.acquire(timeout=self._within_s):
            raise DeliveryFailed("too many messages go by Apprise at this moment")
        try:
            return self._start(target, allowed, message)
        finally:
            self._turns.release()

    def _start(self, target: Target, allowed: Allowed, message: Message | None) -> Receipt:
        process = subprocess.Popen(
            [sys.executable, "-P", "-B", "-m", "alerts.apprise_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            text=True,
        )
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            process.kill()

        late = threading.Timer(self._within_s, end)
        late.daemon = True
        late.start()
        try:
            return self._talk(process, target, allowed, message)
        except (OSError, ValueError, KeyError):
            if is_late.is_set():
                said = f"no answer of the service within {self._within_s:g} s"
            else:
                said = "Apprise ended without an answer"
            raise DeliveryFailed(said) from None
        finally:
            late.cancel()
            process.kill()
            process.communicate()

    def _talk(
        self,
        process: "subprocess.Popen[str]",
        target: Target,
        allowed: Allowed,
        message: Message | None,
    ) -> Receipt:
        asked = {
            "url": target.url,
            "hosts": sorted(allowed.hosts),
            "networks": [str(network) for network in allowed.networks],
            "refused": dict(REFUSED),
        }
        room = int(_ask(process, target, asked)["room"])
        if message is None:
            return Receipt("", 0)
        title, body, count = written(message, room)
        is_bad = not message.is_test and any(notice.safety for notice in message.notices)
        told = _ask(process, target, {"title": title, "body": body, "is_bad": is_bad})
        said = redacted(target, str(told["said"]))
        if told["accepted"]:
            return Receipt(in_language(target, _ACCEPTED), count)
        wait_s = TOO_FAST_S if re.search(r"\berror=429\b", said) else None
        raise DeliveryFailed(said or "refused, without a reason", wait_s=wait_s)


def written(message: Message, room: int) -> tuple[str, str, int]:
    """Title, body, and how many notices are in it. room: characters, of both together."""
    if message.summary is not None:
        return _day(message, room)
    told = merged(message.notices)
    if len(told) > 1:

        def text(notices: Sequence[Notice]) -> str:
            return plain(replace(message, notices=tuple(notices)))

        count = mentioned(message.notices, lambda some: len(text(some)) <= room)
        title, _, body = text(message.notices[:count]).partition("\n")
        if len(title) + len(body) < room:
            return title, body.strip("\n"), count
        first = replace(message, notices=message.notices[:1])
        return written(first, room)  # no room for a digest: one after the other
    telling = tell_test(message) if message.is_test else tell(message, told[0])
    try:
        telling = cut(telling, lambda shorter: len("\n".join(_single(shorter))) <= room)
    except ValueError:  # an SMS: what, where, and the number that tells it from others
        words = f"{telling.headline} {number_row(telling)[1]}"
        return "", line(words, room), len(message.notices)
    title, body = _single(telling)
    return title, body, len(message.notices)


def _day(message: Message, room: int) -> tuple[str, str, int]:
    digest = tell_summary(message)
    try:
        shorter = cut_digest(digest, lambda it: len(plain_digest(it)) <= room, message.language)
    except ValueError:  # an SMS: the figures alone
        return "", line(digest.headline, room), 0
    title, _, body = plain_digest(shorter).partition("\n")
    return title, body.strip("\n"), 0


def _single(telling: Telling) -> tuple[str, str]:
    colon = say(telling.language, "colon")
    rows = [*telling.all_rows(), number_row(telling)]
    lines = [f"{label}{colon}{text}" for label, text in rows]
    if telling.link is not None:
        lines.append(telling.link)
    return telling.headline, "\n".join([*lines, footer(telling.language)])


def _ask(
    process: "subprocess.Popen[str]", target: Target, asked: Mapping[str, object]
) -> dict[str, Any]:
    """Raises DeliveryFailed for a refusal; OSError and ValueError when the process is gone."""
    if process.stdin is None or process.stdout is None:
        raise OSError
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    if "refused" in answer:
        why = redacted(target, str(answer["refused"]))
        raise DeliveryFailed(in_language(target, _REFUSED).format(why=why), permanent=True)
    return dict(answer)


def _environment() -> dict[str, str]:
    """Nothing of ours: no settings, no secrets, no proxies."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
