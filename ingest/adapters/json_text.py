"""JSON that a typed decoder refused: what is usable in it is saved, under the same limits.

A NaN beside a smoke flag must not lose the smoke. Parts that cannot be kept come back as `Refused`
(a key that was there twice) or as values that no check lets through: a number beyond every limit
is infinite, and bytes that are not UTF-8 are lone surrogates in their string.
"""

import json
import re
from typing import Any

from devices.messages import BadMessage, Reason
from ingest.adapters.adapter import Refused

MAX_DEPTH = 32

# The closing quote is optional, so that a string without an end is skipped once, not once a quote.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def parse(payload: bytes) -> Any:
    """The value that `payload` spells; raises BadMessage (not_json, bad_text, too_deep)."""
    if json.detect_encoding(payload) != "utf-8":
        raise BadMessage(Reason.NOT_JSON, "not UTF-8 without a byte-order mark")
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH and _is_too_deep(payload):
        raise BadMessage(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
    text = payload.decode("utf-8", "surrogateescape")
    try:
        return _TOLERANT.decode(text)
    except RecursionError:
        raise BadMessage(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}") from None
    except json.JSONDecodeError as error:
        reason = Reason.NOT_JSON if _is_text(payload) else Reason.BAD_TEXT
        raise BadMessage(reason, f"{error.msg} at character {error.pos}") from None


def _is_too_deep(payload: bytes) -> bool:
    """Whether brackets outside strings are nested deeper than allowed; linear, and ends there."""
    level = 0
    for token in _TOKEN.finditer(payload):
        match payload[token.start()]:
            case 0x5B | 0x7B:  # [ {
                level += 1
                if level > MAX_DEPTH:
                    return True
            case 0x5D | 0x7D:  # ] }
                level -= 1
    return False


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in payload


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:  # which one was meant? neither can be trusted
                found[name] = Refused(Reason.DUPLICATE_KEY, f"{name[:80]!r} is there twice")
            seen.add(name)
    return found


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 20 else float(digits)  # beyond 2^53 either way


_TOLERANT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_constant=float)
