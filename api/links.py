"""What the links in messages are signed with: it is replaced here, and never shown."""

from fastapi import APIRouter

from api import shapes
from api.identity import Actor, operators_only
from api.instants import print_instant
from api.parts import PartsOf
from devices.store.database import writing
from devices.store.links import rotate

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)


@router.post("/links/rotate", responses=shapes.refusals.LINKS_REFUSED)
def rotate_links(
    parts: PartsOf, who: Actor, body: shapes.alerts.RotateLinks | None = None
) -> shapes.alerts.LinkKey:
    """Sign the links in messages with a new key from now on; for operators."""
    operators_only(who, "replace what links are signed with")
    now_ms, end_old = parts.now_ms(), body is not None and body.end_old
    with writing(parts.deps.engine) as connection:

        def act() -> shapes.alerts.LinkKey:
            key = rotate(connection, now_ms, who.name, end_old=end_old)
            return shapes.alerts.LinkKey(key=key.id, created_at=print_instant(key.created_at_ms))

        return who.once.do(connection, now_ms, shapes.alerts.LinkKey, act)
