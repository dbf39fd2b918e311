"""All that people want to know of a fault event, read from the database."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from alerts.links import Links
from alerts.message import Notice
from devices.catalogue import RULES
from devices.faults import RETOLD, Fault, FaultEvent, State
from devices.registry import Contact, Name
from devices.store.deliveries import Pending
from devices.store.faults import event_of, fault_of
from devices.store.schema import compounds, devices, fault_events, faults, firms

NUMBER_CHARACTERS = 4  # of the fault's id; the event's number follows


def notices(
    connection: Connection,
    wanted: Sequence[Pending],
    over: Collection[int] = (),
    links: Links | None = None,
) -> list[Notice]:
    """One for each, in their order. over: ids of those whose end is told with them.

    links: None: there are none, for nobody has said where people reach us.
    """
    events = {
        row.id: event_of(row)
        for row in connection.execute(
            select(fault_events).where(fault_events.c.id.in_({one.event for one in wanted}))
        )
    }
    subjects = {
        row.id: fault_of(row)
        for row in connection.execute(
            select(faults).where(faults.c.id.in_({one.fault for one in wanted}))
        )
    }
    places = _Places(connection, subjects.values())
    return [
        places.notice(
            subjects[one.fault],
            one.event,
            events[one.event],
            is_over=one.id in over,
            link=None if links is None else links.to(one),
        )
        for one in wanted
    ]


class _Places:
    """Names of what the faults are about."""

    def __init__(self, connection: Connection, about: Collection[Fault]) -> None:
        names = {fault.compound for fault in about}
        self._compounds = {
            row.id: row
            for row in connection.execute(select(compounds).where(compounds.c.id.in_(names)))
        }
        managed = {row.firm for row in self._compounds.values()}
        self._firms = {
            row.id: row for row in connection.execute(select(firms).where(firms.c.id.in_(managed)))
        }
        named = {fault.device for fault in about}
        self._devices = {
            row.id: row
            for row in connection.execute(select(devices).where(devices.c.id.in_(named)))
        }

    def notice(
        self, fault: Fault, number: int, event: FaultEvent, *, is_over: bool, link: str | None
    ) -> Notice:
        rule = RULES[fault.code]
        place = self._compounds.get(fault.compound)
        firm = self._firms.get(place.firm) if place is not None else None
        device = self._devices.get(fault.device)
        contacts = [
            *(place.contacts if place is not None else ()),
            *(firm.contacts if firm is not None else ()),
        ]
        told = event.evidence if event.reason in RETOLD and event.evidence else {}
        level, unanswered_s = told.get("level"), told.get("unanswered_s")
        where = " ".join(part for part in (device.building, device.unit) if part) if device else ""
        return Notice(
            number=f"{fault.id[:NUMBER_CHARACTERS]}-{number}",
            fault=fault.id,
            reason=event.reason,
            at_ms=event.at_ms,
            since_ms=fault.since_ms,
            code=fault.code,
            name=Name(rule.zh, rule.en),
            severity=fault.severity,
            safety=fault.safety,
            suspected=fault.suspected,
            late=fault.late,
            is_over=is_over or (event.reason in RETOLD and event.becomes is State.CLEARED),
            firm=place.firm if place is not None else None,
            compound=fault.compound,
            compound_name=Name(place.name_zh, place.name_en) if place is not None else None,
            timezone=place.timezone if place is not None else "Asia/Shanghai",
            device=fault.device,
            device_name=device.name if device is not None else "",
            kind=fault.kind,
            where=where,
            responsible=rule.party.value,
            advice=Name(rule.advice_zh, rule.advice_en),
            contacts=tuple(Contact(one["name"], one["phone"], one["role"]) for one in contacts),
            evidence=fault.evidence,
            impact=fault.impact,
            actor=event.actor,
            note=event.note,
            link=link,
            level=level if isinstance(level, int) else 0,
            unanswered_s=unanswered_s if isinstance(unanswered_s, int) else None,
        )
