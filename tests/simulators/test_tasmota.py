"""Tasmota's messages, against the examples of its documentation (domain.md §5.4)."""

import json

from simulators import tasmota

AT_MS = 1_518_687_430_000  # 2018-02-15T17:37:10 in Zhengzhou


def test_a_sensor_message_has_the_fields_of_the_documentation() -> None:
    message = json.loads(
        tasmota.sensor(
            AT_MS,
            since_ms=AT_MS - 86_400_000,
            total_kwh=6.294,
            yesterday_kwh=5.34,
            today_kwh=0.954,
            power_w=2635,
            power_factor=0.99,
            voltage_v=227,
            current_a=11.661,
        )
    )
    assert message["Time"] == "2018-02-15T17:37:10"  # local, without a zone
    energy = message["ENERGY"]
    assert energy["TotalStartTime"] == "2018-02-14T17:37:10"
    assert (energy["Total"], energy["Yesterday"], energy["Today"]) == (6.294, 5.34, 0.954)
    assert (energy["Power"], energy["Factor"], energy["Voltage"]) == (2635, 0.99, 227)
    assert energy["Current"] == 11.661
    assert energy["ApparentPower"] == 2662


def test_a_state_message_says_the_strength_in_per_cent_and_in_dbm() -> None:
    message = json.loads(tasmota.state(AT_MS, uptime_s=66_972, on=False, signal_dbm=-78))
    assert message["UptimeSec"] == 66_972
    assert message["Uptime"] == "0T18:36:12"
    assert message["POWER"] == "OFF"
    assert message["Wifi"]["RSSI"] == 44
    assert message["Wifi"]["Signal"] == -78


def test_a_lamp_that_draws_nothing_has_no_apparent_power() -> None:
    message = json.loads(
        tasmota.sensor(
            AT_MS,
            since_ms=AT_MS,
            total_kwh=1,
            yesterday_kwh=0,
            today_kwh=0,
            power_w=0,
            power_factor=0,
            voltage_v=230,
            current_a=0,
        )
    )
    assert message["ENERGY"]["ApparentPower"] == 0


def test_topics_are_tasmotas() -> None:
    assert tasmota.topic("pow1", "LWT") == "tele/pow1/LWT"
