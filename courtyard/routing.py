"""`courtyard alerts dry-run`: who would be told of a fault, and why, in words."""

from collections.abc import Iterator
from datetime import datetime

from courtyard.errors import UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.faults import Why
from devices.registry import Name
from devices.routing import BadDescription, NotTold, Rehearsal
from devices.store.database import reading
from devices.store.faults import UnknownFault
from devices.store.routing import Description, UnknownPlace, rehearse_described, rehearse_fault
from devices.store.scope import DISTRICT
from devices.words import named

_TOLD = Name("会收到通知：", "Told:")
_NOT_TOLD = Name("不会收到通知：", "Not told:")
_NOBODY = Name("没有人会收到通知：{why}", "Nobody is told: {why}")
_BROKEN = Name("（已停用，修复后才会发送：{why}）", " (stopped, and sent once it is mended: {why})")
_QUIET = Name("（静默时段，{at} 一并发送）", " (quiet hours: together with the others at {at})")
_SAFETY = Name("安全", "safety")


def try_routes(settings: Settings, wanted: Description | str, at_ms: int) -> Rehearsal:
    """Of a fault that is described, or of the one with this id. Raises UsageError."""
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            if isinstance(wanted, str):
                return rehearse_fault(connection, DISTRICT, wanted, Why.RAISED, at_ms)
            return rehearse_described(connection, DISTRICT, wanted, at_ms)
    except UnknownFault as error:
        raise UsageError(f"--fault: there is no fault {error}") from error
    except UnknownPlace as error:
        raise UsageError(f"the registry has no compound or device {error}") from error
    except BadDescription as error:
        raise UsageError(f"--{error.parameter}: {error}") from error
    finally:
        engine.dispose()


def as_text(found: Rehearsal, language: str) -> Iterator[str]:
    """Lines for a person; language: zh or en."""
    fault = found.fault
    safety = (named(language, _SAFETY),) if fault.safety else ()
    where = (fault.device or fault.compound,) if fault.compound else ()
    what = (f"{named(language, found.name)} {fault.code}", fault.severity.value, *safety, *where)
    yield f"{named(language, found.moment)}  {' · '.join(what)}"
    if found.why is not None:
        yield named(language, _NOBODY).format(why=named(language, found.why))
    if found.told:
        yield named(language, _TOLD)
    for one in found.told:
        target = one.target
        through = "" if one.person is None else f" · {one.person.name}"
        broken = ""
        if target.broken is not None:
            broken = named(language, _BROKEN).format(why=target.broken)
        quiet = ""
        if one.waits_until_ms is not None:
            at = datetime.fromtimestamp(one.waits_until_ms / 1000, found.site.zone)
            quiet = named(language, _QUIET).format(at=f"{at:%m-%d %H:%M}")
        channel = f"{target.channel.value}, {one.language.value}"
        yield f"  {target.name}{through} ({channel}){broken}{quiet}: {named(language, one.why)}"
    if found.not_told:
        yield named(language, _NOT_TOLD)
    for other in found.not_told:
        yield f"  {_end_of(other)} ({other.route.id}): {named(language, other.why)}"


def _end_of(one: NotTold) -> str:
    """To whom the route leads, by name, as far as that is known."""
    names = [end.name for end in (one.roster, one.person, one.target) if end is not None]
    route = one.route
    return " · ".join(names) or route.target or route.person or route.roster or route.id
