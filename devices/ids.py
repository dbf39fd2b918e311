"""Identifiers that travel in topics, routes and tags."""

import re

ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def is_id(text: str) -> bool:
    """Whether `text` may name a firm, compound, kind or device on the wire."""
    return ID.fullmatch(text) is not None  # fullmatch: `$` would let a trailing newline through


def port_id(shed: str, port_no: int) -> str:
    """The device id of a shed's socket `port_no` (1-based): `{shed}-p{n:02d}`."""
    return f"{shed}-p{port_no:02d}"
