"""Corrections of final days: recorded once, never changed, and in every sum."""

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, delete

from api.usage import bucket_starts
from devices.corrections import BadCorrection, Way
from devices.registry import Registry
from devices.store import registry
from devices.store.correcting import Day, final_day, find_target, propose, record
from devices.store.corrections import (
    Correction,
    RevisionTaken,
    UnknownCorrection,
    each_line,
    find_correction,
    list_corrections,
    marks,
)
from devices.store.database import reading, writing
from devices.store.schema import (
    usage_corrections,
    usage_days,
    usage_days_due,
    usage_hours,
    usage_months,
)
from devices.store.scope import DISTRICT, Scope
from devices.store.usage import device_hours
from devices.store.usage_again import UsageAgain, Worked
from devices.store.usage_days import UsageDays, Work, first_hours, sums_of_compound
from devices.usage import Figures
from tests.api.cast import (
    COMPOUNDS,
    DAY_MS,
    DEVICES,
    FIRMS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    a_judge,
    an_hour,
)
from tests.devices.store.test_usage_days import by_hours, entry_of, known, sum_all_up, sum_due_up

ZONE = ZoneInfo("Asia/Shanghai")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


DAY = ms("2026-11-10T00:00:00+08:00")
NOON = DAY + 12 * HOUR_MS


def correct(
    connection: Connection,
    stated: Mapping[str, float],
    *,
    device: str | None = None,
    kind: str | None = None,
    day_ms: int = DAY,
    hour_ms: int | None = None,
    reason: str = "电表更换",
    corrects: str | None = None,
) -> Correction:
    day = final_day(connection, XIANGYUNLI, day_ms, NOW_MS)
    target = find_target(connection, DISTRICT, XIANGYUNLI, device, kind)
    what = propose(connection, DISTRICT, day, target, stated, hour_ms)
    return record(
        connection,
        DISTRICT,
        what,
        reason=reason,
        by="li-min",
        now_ms=NOW_MS,
        corrects=corrects,
    )


def a_used_day(connection: Connection) -> None:
    a_district(connection)
    an_hour(connection, PORT, NOON, 60, energy_kwh=1.0, sessions=1, stop_reasons={"full": 1})
    an_hour(connection, PORT, NOON + HOUR_MS, 60, energy_kwh=3.0, sessions=2)
    an_hour(connection, GATE, NOON, 120, granted=5, by_method={"face": 5})


def figures(engine: Engine, kind: str, from_ms: int = DAY, to_ms: int = DAY + DAY_MS) -> Figures:
    (one,) = sums_of_compound(engine, DISTRICT, entry_of(engine), [from_ms], to_ms)
    return one.part(kind).figures


def test_a_correction_of_a_device_is_in_its_hours_days_and_months(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
    sum_all_up(any_database)
    with writing(any_database) as connection:
        made = correct(connection, {"energy_kwh": -1, "sessions": 1}, device=PORT)
    assert (made.revision, made.way, made.kinds, made.device) == (1, Way.STATED, ("port",), PORT)
    assert (made.from_ms, made.to_ms) == (NOON, NOON + 2 * HOUR_MS)
    month = ms("2026-11-01T00:00:00+08:00")
    for summed in (False, True):
        assert figures(any_database, "port")["energy_kwh"] == 3
        assert figures(any_database, "port")["sessions"] == 4
        assert figures(any_database, "port", NOON, NOON + HOUR_MS)["energy_kwh"] == 0.75
        assert figures(any_database, "port", month, ms("2026-11-20T00:00+08:00"))["sessions"] == 4
        if not summed:
            assert sum_due_up(any_database) == [(XIANGYUNLI, DAY)]
    with writing(any_database) as connection:  # and from sums alone
        connection.execute(delete(usage_hours))
        connection.execute(delete(usage_corrections))
    assert figures(any_database, "port")["energy_kwh"] == 3


def test_a_correction_of_one_hour_is_of_that_hour(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        correct(connection, {"energy_kwh": 0.5}, device=PORT, hour_ms=DAY)
    assert figures(any_database, "port", DAY, DAY + HOUR_MS) == {"energy_kwh": 0.5}
    assert figures(any_database, "port")["energy_kwh"] == 4.5


def test_a_kind_is_corrected_as_a_whole_and_gains_no_socket(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
    entry = entry_of(any_database)
    (before,) = sums_of_compound(any_database, DISTRICT, entry, [DAY], DAY + DAY_MS)
    with writing(any_database) as connection:
        made = correct(connection, {"fee_fen": 90, "stop_reasons.unplugged": 1}, kind="port")
        numbers = {line.device_no for line in each_line(connection, made.id)}
    assert (made.device, numbers) == (None, {0})
    (after,) = sums_of_compound(any_database, DISTRICT, entry, [DAY], DAY + DAY_MS)
    assert after.part("port").figures["fee_fen"] == 90
    assert after.part("port").figures["stop_reasons"] == {"full": 1, "unplugged": 1}
    assert after.part("port").port_s == before.part("port").port_s
    assert after.coverage == before.coverage


def test_a_correction_is_corrected_by_another(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        wrong = correct(connection, {"energy_kwh": 40}, device=PORT)
        right = correct(connection, {"energy_kwh": -36}, device=PORT, corrects=wrong.id)
        assert (right.revision, right.corrects) == (2, wrong.id)
        kept = find_correction(connection, DISTRICT, wrong.id)
        with pytest.raises(BadCorrection, match="there is no correction 'nowhere'"):
            correct(connection, {"energy_kwh": 1}, device=PORT, corrects="nowhere")
        with pytest.raises(BadCorrection, match="is of 2026-11-10, not of 2026-11-11"):
            correct(
                connection,
                {"energy_kwh": 1},
                device=PORT,
                day_ms=DAY + DAY_MS,
                corrects=wrong.id,
            )
    assert kept == wrong, "it is never changed"
    assert figures(any_database, "port")["energy_kwh"] == 8


@pytest.mark.parametrize("device", [PORT, None])
def test_a_figure_never_becomes_negative(any_database: Engine, device: str | None) -> None:
    whose = {"device": device} if device else {"kind": "port"}
    with writing(any_database) as connection:
        a_used_day(connection)
        correct(connection, {"energy_kwh": -3.5}, **whose)  # type: ignore[arg-type]
        with pytest.raises(BadCorrection, match=r"energy_kwh would be negative: 0\.5 is there"):
            correct(connection, {"energy_kwh": -0.6}, **whose)  # type: ignore[arg-type]


def test_what_a_kind_has_lost_cannot_be_taken_from_a_device_again(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        correct(connection, {"energy_kwh": -4}, kind="port")
        with pytest.raises(BadCorrection, match="energy_kwh of all would be negative in one hour"):
            correct(connection, {"energy_kwh": -1}, device=PORT)


def test_a_day_that_is_provisional_is_refused_to_the_millisecond(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        final_at = DAY + 3 * DAY_MS
        assert final_day(connection, XIANGYUNLI, NOON, final_at) == Day(
            XIANGYUNLI, DAY, DAY + DAY_MS, ZONE
        )
        with pytest.raises(BadCorrection, match="2026-11-10 is provisional until 48 h after"):
            final_day(connection, XIANGYUNLI, NOON, final_at - 1)
        a_judge(connection, watermark_ms=final_at - 1)
        with pytest.raises(BadCorrection, match="the judge is behind"):
            final_day(connection, XIANGYUNLI, NOON, final_at)


def test_of_a_time_of_which_nothing_is_on_record_nothing_is_corrected(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        with pytest.raises(BadCorrection, match="2026-11-10: of that time nothing"):
            final_day(connection, XIANGYUNLI, DAY, NOW_MS)
        an_hour(connection, GATE, NOON, 120, granted=5)
        assert final_day(connection, XIANGYUNLI, ms("2026-11-01T00:00+08:00"), NOW_MS)
        with pytest.raises(BadCorrection, match="2026-10-31: of that time nothing"):
            final_day(connection, XIANGYUNLI, ms("2026-10-31T00:00+08:00"), NOW_MS)


@pytest.mark.parametrize(
    ("device", "kind", "says"),
    [
        (None, None, "either a device or a kind"),
        (PORT, "port", "either a device or a kind"),
        (STRANGE_GATE, None, "xiangyunli has no device 'lianxin-hutong-gate-1'"),
        (None, "lift", "has no device of the kind 'lift'"),
    ],
)
def test_whose_figures_they_are_has_to_be_known(
    any_database: Engine, device: str | None, kind: str | None, says: str
) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        with pytest.raises(BadCorrection, match=says):
            find_target(connection, DISTRICT, XIANGYUNLI, device, kind)


@pytest.mark.parametrize("reason", ["  ", "x" * 501])
def test_a_reason_is_needed_and_has_a_bound(any_database: Engine, reason: str) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        with pytest.raises(BadCorrection) as refused:
            correct(connection, {"energy_kwh": 1}, device=PORT, reason=reason)
    assert refused.value.parameter == "reason"


def test_of_two_at_the_same_moment_one_is_told(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        day = final_day(connection, XIANGYUNLI, DAY, NOW_MS)
        target = find_target(connection, DISTRICT, XIANGYUNLI, PORT, None)
        what = propose(connection, DISTRICT, day, target, {"energy_kwh": 1})
        record(connection, DISTRICT, what, reason="a", by="li-min", now_ms=NOW_MS)
        with pytest.raises(RevisionTaken):
            record(connection, DISTRICT, what, reason="b", by="wang-wei", now_ms=NOW_MS)
    assert figures(any_database, "port")["energy_kwh"] == 5


def test_neither_judge_nor_recounter_overwrites_a_correction(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        correct(connection, {"energy_kwh": 2}, device=PORT, hour_ms=NOON)
    port = next(device for device in DEVICES if device.id == PORT)
    UsageAgain(any_database).write([Worked(port, {NOON: {"energy_kwh": 7.0}}, ())])
    assert figures(any_database, "port", NOON, NOON + HOUR_MS)["energy_kwh"] == 9


def test_what_was_expected_of_a_day_stays_when_it_is_corrected(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
    sum_all_up(any_database)
    entry = entry_of(any_database)
    (before,) = sums_of_compound(any_database, DISTRICT, entry, [DAY], DAY + DAY_MS)
    with writing(any_database) as connection:
        registry.save(connection, Registry(FIRMS, COMPOUNDS, DEVICES[:3]), NOW_MS)
        fewer = [device for device in DEVICES if device.id != f"{XIANGYUNLI}-cam-1"]
        slower = Registry(FIRMS, COMPOUNDS, [*fewer[:1], *fewer[2:]])
        registry.save(connection, slower, NOW_MS)
        correct(connection, {"energy_kwh": 1}, device=PORT)
    sum_due_up(any_database)
    (after,) = sums_of_compound(any_database, DISTRICT, entry, [DAY], DAY + DAY_MS)
    assert after.expected == before.expected
    assert after.part("port").figures["energy_kwh"] == 5


def test_corrections_are_listed_the_newest_first_and_only_to_their_own_firm(
    any_database: Engine,
) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
        first = correct(connection, {"energy_kwh": 1}, device=PORT)
        second = correct(connection, {"passages": 1}, kind="gate", day_ms=DAY + DAY_MS)
    own, strange = Scope("yaxin"), Scope("kangqiao")
    with reading(any_database) as connection:
        listed = list_corrections(connection, own)
        assert {one.id for one in listed} == {first.id, second.id}
        newest = listed[0]
        rest = list_corrections(connection, own, before=(newest.created_at_ms, newest.id))
        assert rest == listed[1:]
        assert list_corrections(connection, own, limit=1) == listed[:1]
        assert list_corrections(connection, own, to_ms=DAY + 1) == [first]
        assert list_corrections(connection, own, from_ms=DAY + 1) == [second]
        assert list_corrections(connection, own, compound=LIANXIN) == []
        assert list_corrections(connection, DISTRICT, firm="kangqiao") == []
        assert list_corrections(connection, strange) == []
        assert marks(connection, strange, [XIANGYUNLI], DAY, NOW_MS) == []
        found = marks(connection, own, [XIANGYUNLI, LIANXIN], DAY, DAY + DAY_MS)
        assert [(one.compound, one.kinds) for one in found] == [(XIANGYUNLI, ("port",))]
        assert marks(connection, own, [XIANGYUNLI], DAY, NOON) == []
        rows = device_hours(connection, strange, XIANGYUNLI, DAY, DAY + DAY_MS)
        assert rows == []
        with pytest.raises(UnknownCorrection):
            find_correction(connection, strange, first.id)


# Sums and hours, with corrections

hours = st.integers(72, 24 * 60)  # back from the hour that runs: of days that are final
TARGETS = (
    (GATE, "gate", {"passages": 3, "by_method.face": 2}),
    (PORT, "port", {"energy_kwh": 1.5, "sessions": 1}),
    (LAMP, "lamp", {"lit": 0.25}),
)


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    used=st.dictionaries(st.tuples(st.sampled_from([GATE, PORT, LAMP]), hours), st.integers(1, 64)),
    corrected=st.lists(
        st.tuples(
            st.sampled_from(TARGETS), hours, st.booleans(), st.booleans(), st.sampled_from([1, -1])
        ),
        max_size=8,
    ),
    begins=hours,
    lasts=st.integers(1, 24 * 60),
    bucket=st.sampled_from(["hour", "day", "week", "month"]),
    again=st.booleans(),
)
@pytest.mark.long
def test_sums_and_hours_say_the_same_with_corrections(
    sqlite_database: Engine,
    used: dict[tuple[str, int], int],
    corrected: list[tuple[tuple[str, str, dict[str, float]], int, bool, bool, int]],
    begins: int,
    lasts: int,
    bucket: str,
    again: bool,
) -> None:
    engine = sqlite_database
    now_ms = NOW_MS - NOW_MS % HOUR_MS
    with writing(engine) as connection:
        for table in (usage_hours, usage_days, usage_months, usage_days_due, usage_corrections):
            connection.execute(delete(table))
        if first_hours(connection, [XIANGYUNLI]) == {}:
            a_district(connection)
        for (device, back), amount in used.items():
            kept = {GATE: "granted", PORT: "energy_kwh", LAMP: "lit_s"}[device]
            an_hour(connection, device, now_ms - back * HOUR_MS, 60, **{kept: amount})
        if (GATE, 24 * 61) not in used:  # from here on there is something on record
            an_hour(connection, GATE, now_ms - 24 * 61 * HOUR_MS, 60)
    sum_all_up(engine, now_ms)
    expected: dict[str, float] = {}
    with writing(engine) as connection:
        for (device, kind, stated), back, of_device, of_hour, sign in corrected:
            at_ms = now_ms - back * HOUR_MS
            try:
                made = correct(
                    connection,
                    {name: sign * amount for name, amount in stated.items()},
                    device=device if of_device else None,
                    kind=None if of_device else kind,
                    day_ms=at_ms,
                    hour_ms=at_ms if of_hour else None,
                )
            except BadCorrection:  # less is there, or the day is not final
                continue
            for name, by in made.stated[kind].items():
                expected[f"{kind}.{name}"] = expected.get(f"{kind}.{name}", 0) + by
    if again:
        sum_due_up(engine, now_ms)
    entry = entry_of(engine)
    to_ms = now_ms - begins * HOUR_MS
    starts = list(bucket_starts(to_ms - lasts * HOUR_MS, to_ms, ZONE, bucket))  # type: ignore[arg-type]
    found = sums_of_compound(engine, DISTRICT, entry, starts, to_ms)
    exact = known(by_hours(engine, entry, starts, to_ms))
    assert approximately(known(found)) == approximately(exact)
    first_ms = now_ms - 61 * DAY_MS
    first_ms -= first_ms % HOUR_MS
    (everything,) = sums_of_compound(engine, DISTRICT, entry, [first_ms], now_ms)
    energy = sum(amount for (device, _), amount in used.items() if device == PORT) * 1.0
    energy += expected.get("port.energy_kwh", 0)
    assert everything.part("port").figures.get("energy_kwh", 0) == pytest.approx(energy)
    passed = sum(amount for (device, _), amount in used.items() if device == GATE)
    passed += int(expected.get("gate.passages", 0))
    assert everything.part("gate").figures.get("granted", 0) == passed


def approximately(sums: object) -> object:
    """Shares of a day are fractions, whose sum depends on the order."""
    if isinstance(sums, float):
        return round(sums, 6) + 0.0
    if isinstance(sums, dict):
        rounded = {name: approximately(one) for name, one in sums.items()}
        return {name: one for name, one in rounded.items() if one not in (0, {})}
    if isinstance(sums, list | tuple):
        return [approximately(one) for one in sums]
    return sums


def test_a_day_with_work_that_another_started_is_not_summed_up_as_it_was(
    any_database: Engine,
) -> None:
    with writing(any_database) as connection:
        a_used_day(connection)
    sum_all_up(any_database)
    with writing(any_database) as connection:
        correct(connection, {"energy_kwh": 1}, device=PORT)
    UsageDays(any_database).build(Work(XIANGYUNLI, [DAY]), NOW_MS)
    assert sum_due_up(any_database) == []
    assert figures(any_database, "port")["energy_kwh"] == 5
