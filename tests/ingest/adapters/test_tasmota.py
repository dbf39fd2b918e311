"""Tasmota beyond its documented messages."""

from typing import Any

import pytest

from devices.messages import Decoded, Reason
from tests.ingest.cast import a_decoder, a_publish

DECODER = a_decoder()


def decode(channel: str, payload: Any) -> Decoded:
    return DECODER.decode(a_publish(f"tele/pow1/{channel}", payload))


def values(decoded: Decoded) -> list[dict[str, Any]]:
    return [report.values for item in decoded.items for report in item.reports]


def test_an_unknown_topic_is_an_unknown_device() -> None:
    decoded = DECODER.decode(a_publish("tele/pow404/LWT", "Online"))
    assert (decoded.reason, decoded.device) == (Reason.UNKNOWN_DEVICE, None)


def test_channels_are_added_up_and_the_worst_voltage_shows() -> None:
    energy = {
        "Total": [10.5, 2.25],
        "Power": [290, 462],
        "Current": [1.320, 2.100],
        "Voltage": [220, 12],
        "Factor": [0.95, 0.5],
    }
    assert values(decode("SENSOR", {"ENERGY": energy})) == [
        {
            "energy_kwh": 12.75,
            "power_w": 752.0,
            "current_a": pytest.approx(3.42),
            "voltage_v": 12.0,
            "power_factor": 0.5,
        }
    ]


@pytest.mark.parametrize("power", [[290, None], [290, "x"], [True], [], [1] * 33, [[1]]])
def test_one_bad_channel_spoils_the_sum_and_nothing_else(power: list[Any]) -> None:
    decoded = decode("SENSOR", {"ENERGY": {"Power": power, "Voltage": 229}})
    assert values(decoded) == [{"voltage_v": 229.0}]
    assert [(r.reason, r.quantity) for r in decoded.rejected] == [(Reason.BAD_TYPE, "power_w")]


def test_a_nan_costs_its_own_quantity_only() -> None:
    decoded = decode("SENSOR", '{"ENERGY":{"Power":nan,"Voltage":229}}'.replace("nan", "NaN"))
    assert values(decoded) == [{"voltage_v": 229.0}]
    assert [(r.reason, r.quantity) for r in decoded.rejected] == [(Reason.BAD_NUMBER, "power_w")]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e999", "9007199254740993"])
def test_an_unusable_phase_is_not_hidden_behind_the_others(bad: str, place: int) -> None:
    """The lowest of 220 and NaN was 220, or NaN, as they happened to come."""
    phases = ["220", "221"]
    phases.insert(place, bad)
    decoded = decode("SENSOR", f'{{"ENERGY":{{"Voltage":[{",".join(phases)}],"Power":[1,2,3]}}}}')
    assert values(decoded) == [{"power_w": 6.0}]
    assert [(r.reason, r.quantity) for r in decoded.rejected] == [(Reason.BAD_NUMBER, "voltage_v")]


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        ({"POWER": "ON"}, "on"),
        ({"POWER1": "OFF", "POWER2": "OFF"}, "off"),
        ({"POWER1": "OFF", "POWER32": "ON"}, "on"),
        ({"POWER33": "ON", "POWERS": "ON", "POWER": "OFF"}, "off"),
    ],
)
def test_a_circuit_is_on_if_any_channel_is(sent: dict[str, Any], state: str) -> None:
    assert values(decode("STATE", sent)) == [{"switch_state": state}]


@pytest.mark.parametrize("word", ["BLINK", "on", 1, True, ["ON"]])
def test_a_switch_that_is_neither_on_nor_off_is_refused(word: Any) -> None:
    decoded = decode("STATE", {"POWER": word, "UptimeSec": 5})
    assert values(decoded) in ([{"uptime_s": 5}], [{"switch_state": "on", "uptime_s": 5}])
    if word == "on":  # our own word is no mistake worth losing a lamp for
        assert decoded.rejected == []
    else:
        assert [r.quantity for r in decoded.rejected] == ["switch_state"]


def test_a_percentage_is_no_signal_strength() -> None:
    assert values(decode("STATE", {"POWER": "ON", "Wifi": {"RSSI": 100}})) == [
        {"switch_state": "on"}
    ]


@pytest.mark.parametrize(
    ("time", "at_ms"),
    [
        ("2026-11-23T10:00:00", 1_795_399_200_000),
        ("2026-11-23T02:00:00Z", 1_795_399_200_000),
        ("1970-01-01T00:00:08", -28_792_000),  # before it has heard the time
    ],
)
def test_a_time_without_zone_is_that_of_china(time: str, at_ms: int) -> None:
    (item,) = decode("STATE", {"Time": time, "POWER": "ON"}).items
    assert item.at_ms == at_ms


@pytest.mark.parametrize("time", [5, "now", True, {}])
def test_values_beside_an_unusable_time_are_kept(time: Any) -> None:
    decoded = decode("STATE", {"Time": time, "POWER": "ON"})
    assert values(decoded) == [{"switch_state": "on"}]
    assert [r.reason for r in decoded.rejected] == [Reason.BAD_TYPE]


def test_a_sensor_that_is_no_meter_is_a_sign_of_life_and_listed() -> None:
    decoded = decode("SENSOR", {"Time": "2026-11-23T10:00:00", "AM2301": {"Temperature": 20}})
    assert [item.reports for item in decoded.items] == [[]]
    assert (decoded.unknown, decoded.rejected) == (["AM2301"], [])


@pytest.mark.parametrize(
    ("channel", "payload", "reason"),
    [
        ("LWT", "online", Reason.OUT_OF_RANGE),
        ("LWT", "", Reason.OUT_OF_RANGE),
        ("LWT", b"\xff", Reason.OUT_OF_RANGE),
        ("STATE", "Online", Reason.NOT_JSON),
        ("STATE", "[]", Reason.BAD_TYPE),
        ("SENSOR", '{"ENERGY":7}', Reason.BAD_TYPE),
        ("SENSOR", '{"ENERGY":{"Power":1},"ENERGY":{"Power":2}}', Reason.DUPLICATE_KEY),
        ("SENSOR", b'{"ENERGY":' + b"[" * 5000, Reason.TOO_DEEP),
        ("SENSOR", b"\xc3\x28", Reason.BAD_TEXT),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    channel: str, payload: str | bytes, reason: Reason
) -> None:
    decoded = decode(channel, payload)
    assert (decoded.reason, decoded.items) == (reason, [])
    assert decoded.device is not None
