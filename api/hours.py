"""When a target is left alone, and when it is told how the day was."""

from datetime import time
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from sqlalchemy import Connection

from api import shapes
from api.errors import BadParameter, NotFound
from api.identity import Actor, Identity, Reader
from api.parts import PartsOf
from devices.alerts import ChannelName, Target
from devices.hours import TargetHours
from devices.store.database import reading, writing
from devices.store.hours import change_hours, hours_of
from devices.store.targets import UnknownTarget, find_target

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)


@router.get("/targets/{target}/hours")
def get_hours(parts: PartsOf, who: Reader, target: str) -> shapes.alerts.Hours:
    """Its quiet hours, and when it wants its daily summary."""
    with reading(parts.deps.engine) as connection:
        _find(connection, who, target)
        return shape(hours_of(connection, [target]).get(target, TargetHours()))


@router.put("/targets/{target}/hours", responses=shapes.refusals.TOO_MANY)
def replace_hours(
    parts: PartsOf, who: Actor, target: str, body: shapes.alerts.Hours
) -> shapes.alerts.Hours:
    """Leave it alone between these times, and tell it of the day at that one.

    What waits for the end of its quiet hours waits for that of the new ones.
    """
    hours = _read(body)
    with writing(parts.deps.engine) as connection:
        found = _find(connection, who, target)
        if hours.summary_at is not None and found.channel is ChannelName.ALERTMANAGER:
            raise BadParameter("daily_summary_at", "an Alertmanager takes alerts, and no summaries")
        change_hours(connection, target, hours, parts.now_ms())
    return shape(hours)


def shape(hours: TargetHours) -> shapes.alerts.Hours:
    return shapes.alerts.Hours(
        timezone=hours.timezone,
        quiet_from=_text(hours.quiet_from),
        quiet_to=_text(hours.quiet_to),
        daily_summary_at=_text(hours.summary_at),
    )


def _find(connection: Connection, who: Identity, target: str) -> Target:
    try:
        return find_target(connection, who.scope, target)
    except UnknownTarget as error:
        raise NotFound from error


def _read(body: shapes.alerts.Hours) -> TargetHours:
    try:
        ZoneInfo(body.timezone)
    except (LookupError, ValueError, OSError) as error:
        raise BadParameter("timezone", "is no IANA time zone, like Asia/Shanghai") from error
    try:
        return TargetHours(
            body.timezone,
            _time(body.quiet_from),
            _time(body.quiet_to),
            _time(body.daily_summary_at),
        )
    except ValueError as error:
        raise BadParameter("quiet_to", str(error)) from error


def _time(text: str | None) -> time | None:
    return None if text is None else time.fromisoformat(text)


def _text(at: time | None) -> str | None:
    return None if at is None else at.isoformat("minutes")
