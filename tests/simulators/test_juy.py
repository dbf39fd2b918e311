"""JUY frames, byte for byte as computed from the vendor's document (domain.md §5.2)."""

import pytest

from simulators import juy


def test_a_login_is_the_documents_own_frame() -> None:
    assert juy.login(
        "861197062934387",
        10,
        "JUY_B2_Q800M_1_0",
        "JUY_B2_COMM_V1.7",
        "898604E81023C0963731",
        27,
        powered_on=True,
    ) == bytes.fromhex(
        "5AA54900 81 00 383631313937303632393334333837 0A 4A55595F42325F513830304D5F315F30"
        "4A55595F42325F434F4D4D5F56312E37 3839383630344538313032334330393633373331 1B 00 5F"
    )


def test_a_heartbeat_with_port_2_in_use_and_port_5_stuck() -> None:
    states = ["idle"] * 10
    states[1], states[4] = "in_use", "relay_stuck"
    assert juy.heartbeat(27, 30, states) == bytes.fromhex(
        "5AA5100082001B1E0A00010000030000000000D9"
    )


def test_a_power_frame_of_port_2_at_182_w() -> None:
    port = juy.PortPower(2, 1, 25, 182, 5_400, 38, 0.27, 36)
    assert juy.power(228.7, 31, [port]) == bytes.fromhex(
        "5AA51800880001EF081F02011900B6001815000026001B000000241B"
    )


@pytest.mark.parametrize(
    ("frame", "hexadecimal"),
    [
        (
            juy.end(2, 1001, 25_200, 0.98, 66, "full", 14, 0, [(25_200, 25)]),
            "5AA52800850002E9030000706200006200000042000000000E0000000000017062190000000000000000000B",
        ),
        (
            juy.end(5, 1002, 1_800, 0.09, 12, "smoke", 178, 0, [(1_800, 25)]),
            "5AA52800850005EA03000008070000090000000C00000008B2000000000001080719000000000000000000A6",
        ),
    ],
)
def test_the_end_of_an_order(frame: bytes, hexadecimal: str) -> None:
    assert frame == bytes.fromhex(hexadecimal)


def test_energy_shows_whole_hundredths_only() -> None:
    frame = juy.power(230.0, 30, [juy.PortPower(1, 1, 70, 100, 60, 1, 0.0199, 30)])
    assert int.from_bytes(frame[-6:-2], "little") == 1


def test_a_state_that_the_board_has_no_number_for_is_its_unknown() -> None:
    assert juy.heartbeat(20, 25, ["full"])[-2] == 5


def test_the_topic_names_the_board_and_the_command() -> None:
    assert juy.topic("861197062934387", juy.POWER) == "JUY/D2S/861197062934387/88/DEV"
