"""What the API answers, as models; they make the OpenAPI document and hold every answer to it.

Instants are RFC 3339 UTC with milliseconds and Z. `null` is unknown. The shapes are a contract:
fields may be added, not renamed.
"""

from api.shapes import (
    access,
    accounting,
    alerts,
    basics,
    devices,
    duty,
    faults,
    refusals,
    registry,
    rules,
    service,
    usage,
)

__all__ = [
    "access",
    "accounting",
    "alerts",
    "basics",
    "devices",
    "duty",
    "faults",
    "refusals",
    "registry",
    "rules",
    "service",
    "usage",
]
