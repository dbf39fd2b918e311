"""What tells people apart is taken out of messages that are kept as they came, in the quarantine.

What was refused could not be read, so names are looked for in its bytes. A value that is found is
replaced by the keyed hash that decoding it would have given, so that a message which is judged
again later counts the same person.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from devices.credentials import Seal
from devices.journal import OVERSIZE
from devices.judgement import Refused
from devices.kinds import KINDS
from ingest.adapters import juy

# As vendors call them, besides our own: domain.md §2.1, §5.1, §8 (personal data).
NAMES = frozenset(
    {
        "card", "cardno", "card_no", "cardnum", "card_num", "card_number", "rfidcard", "credential",
        "idcard", "id_card", "idcardno", "customid", "personid", "personname", "persionname",
        "person_name", "username", "customname", "phone", "telnum", "mobile", "plate", "plateno",
        "plate_no", "plate_number", "photo", "pic", "picture", "snappic", "face_image", "scene",
    }
    | {
        field.name
        for kind in KINDS.values()
        for event in kind.events.values()
        for field in event.fields.values()
        if field.secret
    }
)  # fmt: skip
_FOUND = re.compile(
    rb'"(?:'
    + b"|".join(sorted((name.encode() for name in NAMES), reverse=True))
    + rb')"\s*:\s*(?P<value>"(?:[^"\\]|\\.|\\\Z)*(?:"|\Z)|[\[{]|-?[0-9][0-9.eE+-]*)',
    re.IGNORECASE | re.DOTALL,
)
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*(?:"|\Z)|[\[\]{}]', re.DOTALL)


def redacted(refused: Refused, seal: Seal | None) -> Refused:
    """The same without what tells people apart. seal: without it, nothing stands in its place.

    Its hash is that of what is kept from then on, by which a message to be judged again is known.
    """
    payload = refused.payload
    if payload is None:
        return refused
    clean = without_people(payload, refused.compound, seal)
    if clean == payload:
        return refused
    digest = refused.sha256 if refused.flags & OVERSIZE else sha256(clean).hexdigest()
    return replace(refused, payload=clean, sha256=digest)


def without_people(payload: bytes, compound: str, seal: Seal | None) -> bytes:
    """A payload of any format, as whole and as broken as it was."""
    if payload.startswith(juy.MAGIC):
        return juy.without_cards(payload)
    kept, at = [], 0
    while (found := _FOUND.search(payload, at)) is not None:
        kept += [payload[at : found.start()], _hidden(found, compound, seal)]
        at = found.end()
        if found["value"] in (b"[", b"{"):
            at = _end_of(payload, found.start("value"))
    return b"".join([*kept, payload[at:]])


def _end_of(payload: bytes, start: int) -> int:
    """Where the list or object ends that begins there, with all that is in it."""
    depth = 0
    for found in _BRACKET.finditer(payload, start):
        depth += (found[0] in b"[{") - (found[0] in b"]}")
        if depth == 0:
            return found.end()
    return len(payload)


def _hidden(found: re.Match[bytes], compound: str, seal: Callable[[str, str], str] | None) -> bytes:
    value = found["value"]
    name = found[0][: -len(value)]
    if seal is None or value[:1] in b"[{":
        return name + b"null"
    text = value.decode("utf-8", "replace")
    if text.startswith('"'):
        try:
            text = json.loads(text)
        except ValueError:
            text = text[1:]
    return name + json.dumps(seal(compound, text)).encode()
