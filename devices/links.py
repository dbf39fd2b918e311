"""Links by which people answer a fault from the message that told them of it, without a login.

A link names the delivery that it was sent with, and ends by itself. Signed are, with it, the fault,
the recipient and what it is for: so it opens nothing else, and nothing at all when one of them is
another. Nothing here sends or stores.
"""

import hmac
import re
import unicodedata
from base64 import b32encode
from dataclasses import dataclass, field
from enum import StrEnum

VALID_MS = (
    7 * 86_400_000
)  # longer than any limit of service but for three working days over a feast
FORM_VALID_MS = 12 * 3_600_000
SECRET_BYTES = 32
NAME_CHARACTERS = 40
_HOUR_MS = 3_600_000
_MAC_BYTES = 16
# Letters and figures alone: no chat client takes a part of it for markup. Numbers fit a column.
_TOKEN = re.compile(r"([0-9a-z]{1,12})-([0-9a-z]{1,6})-([0-9a-z]{1,5})-([a-z2-7]{26})")
_FORM = re.compile(r"([0-9a-z]{1,9})-([a-z2-7]{26})")
_FIGURES = "0123456789abcdefghijklmnopqrstuvwxyz"


class Purpose(StrEnum):
    """What a link is for; one for something else opens nothing here."""

    ANSWER = "answer"  # see this fault, and say what is done about it


@dataclass(frozen=True, slots=True)
class Key:
    """What links are signed with. ended_at_ms: since when its links are dead."""

    id: int
    secret: bytes = field(repr=False)
    created_at_ms: int = 0
    ended_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """What is signed. person: whom a roster had chosen; None: whoever reads there.

    hours: since 1970, at whose end it ends.
    """

    delivery: int
    fault: str
    target: str
    hours: int
    person: str | None = None
    purpose: Purpose = Purpose.ANSWER

    @property
    def ends_at_ms(self) -> int:
        return self.hours * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Token:
    """A link as somebody came with it: what it says of itself, of which nothing is checked yet."""

    delivery: int
    key: int
    hours: int
    mac: str


def link_of(
    delivery: int, fault: str, target: str, sent_at_ms: int, person: str | None = None
) -> Link:
    """The link of a delivery; the same for each try, for a message comes again just as it was."""
    return Link(delivery, fault, target, -(-(sent_at_ms + VALID_MS) // _HOUR_MS), person)


def sign(link: Link, key: Key) -> str:
    """The part of the address that is told: some 40 letters and figures."""
    numbers = "-".join(_base36(number) for number in (link.delivery, key.id, link.hours))
    return f"{numbers}-{_mac_of(link, key)}"


def read(text: str) -> Token | None:
    """What it says of itself; None where it is none."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    delivery, key, hours, mac = match.groups()
    return Token(int(delivery, 36), int(key, 36), int(hours, 36), mac)


def is_genuine(token: Token, link: Link, key: Key) -> bool:
    """Whether this key signed this link; takes as long for a wrong one."""
    return hmac.compare_digest(token.mac, _mac_of(link, key))


def sign_form(token: str, key: Key, now_ms: int) -> str:
    """What a form on the page of a link carries, so that only that page can send it."""
    minute = now_ms // 60_000
    return f"{_base36(minute)}-{_form_mac(token, key, minute)}"


def is_own_form(text: str, token: str, key: Key, now_ms: int) -> bool:
    """Whether a page of ours, opened by this link within the last 12 hours, has made this form."""
    match = _FORM.fullmatch(text)
    if match is None:
        return False
    minute = int(match[1], 36)
    is_ours = hmac.compare_digest(match[2], _form_mac(token, key, minute))
    return is_ours and 0 <= now_ms - minute * 60_000 < FORM_VALID_MS


def clean_name(text: str) -> str:
    """A name that somebody typed, on one line: no control characters, and none that hide or turn
    what is written. Empty where nothing is left."""
    kept = "".join(
        " " if unicodedata.category(letter)[0] == "Z" else letter
        for letter in text[: 8 * NAME_CHARACTERS]
        if unicodedata.category(letter)[0] != "C" or letter in "\t\n"
    )
    return " ".join(kept.split())[:NAME_CHARACTERS].rstrip()


def _mac_of(link: Link, key: Key) -> str:
    parts = (
        link.purpose.value,
        str(link.delivery),
        link.fault,
        link.target,
        link.person or "",
        str(link.hours),
    )
    return _mac(key, "link", *parts)


def _form_mac(token: str, key: Key, minute: int) -> str:
    return _mac(key, "form", token, str(minute))


def _mac(key: Key, *parts: str) -> str:
    # No part holds a zero byte, so no two lists of parts are the same text.
    text = "\0".join(("courtyard", *parts)).encode()
    return b32encode(hmac.digest(key.secret, text, "sha256")[:_MAC_BYTES]).decode()[:26].lower()


def _base36(number: int) -> str:
    figures = ""
    while True:
        number, rest = divmod(number, 36)
        figures = _FIGURES[rest] + figures
        if not number:
            return figures
