"""Whom to call about a fault, as a phone dials it."""

import re
from dataclasses import dataclass

from devices.registry import Contact

_PHONE = re.compile(r"[+0-9][0-9 ()\-]{2,24}")


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody who can be called. number: to dial; empty where what is written is no number."""

    name: str
    role: str
    phone: str
    number: str


def call(contact: Contact) -> Call:
    phone = contact.phone.strip()
    number = re.sub(r"[^+0-9]", "", phone) if _PHONE.fullmatch(phone) else ""
    return Call(contact.name, contact.role, phone, number)
