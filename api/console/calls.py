"""Whom to call about a fault, as a phone dials it."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from api.instants import when
from api.words import Language, say
from devices.registry import Contact
from devices.rosters import duty
from devices.store.rosters import list_people, list_rosters
from devices.store.scope import Scope

ROSTERS = 3  # of a firm whose duty is shown: the first ones by name

_PHONE = re.compile(r"[+0-9][0-9 ()\-]{2,24}")


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody who can be called. number: to dial; empty where what is written is no number."""

    name: str
    role: str
    phone: str
    number: str


def call(contact: Contact) -> Call:
    return _call(contact.name, contact.role, contact.phone)


def on_duty(
    connection: Connection, scope: Scope, language: Language, firm: str, now_ms: int
) -> list[Call]:
    """Who of the firm is on duty now and has a phone, each once."""
    plans = list_rosters(connection, scope, at_ms=now_ms, firm=firm, limit=ROSTERS)
    if not plans:
        return []
    people = {one.id: one for one in list_people(connection, scope, firm=firm, limit=500)}
    found: dict[str, Call] = {}
    for roster in plans:
        now = duty(roster, now_ms)
        person = people.get(now.person)
        if person is None or not person.phone.strip():
            continue
        until = when(now.until_ms, now_ms)
        role = say(language, "fw_on_duty", roster=roster.name, until=until)
        found.setdefault(person.id, _call(person.name, role, person.phone))
    return list(found.values())


def _call(name: str, role: str, phone: str) -> Call:
    phone = phone.strip()
    number = re.sub(r"[^+0-9]", "", phone) if _PHONE.fullmatch(phone) else ""
    return Call(name, role, phone, number)
