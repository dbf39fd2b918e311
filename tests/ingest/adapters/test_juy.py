"""JUY boards beyond their documented frames."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.messages import Decoded, Reason
from tests.ingest.cast import IMEI, a_decoder, a_publish

DECODER = a_decoder()
FINE = "861197062934388"  # the board that counts energy in 0.001 kWh

HEARTBEAT = bytes.fromhex("5AA51000 82 00 1B1E0A 00010000030000000000 D9")
END = bytes.fromhex(
    "5AA52800 85 00 02E9030000 70620000 62000000 42000000 00 0E00 00000000"
    "01 7062 1900 0000000000000000 0B"
)


def a_frame(command: int, data: bytes) -> bytes:
    """LEN, CMD, RESULT, DATA and SUM as the document describes them; no code of ours."""
    body = struct.pack("<HBB", len(data) + 3, command, 0) + data
    return b"\x5a\xa5" + body + bytes([sum(body) % 256])


def an_end(*, port: int = 2, seconds: int, energy: int, reason: int, card: int = 0) -> bytes:
    head = struct.pack("<BIIIIBHIB", port, 1001, seconds, energy, 66, reason, 14, card, 0)
    return a_frame(0x85, head + bytes(8))


def decode(payload: bytes, imei: str = IMEI, command: str = "82") -> Decoded:
    return DECODER.decode(a_publish(f"JUY/D2S/{imei}/{command}/DEV", payload))


def attributes(decoded: Decoded) -> dict[str, Any]:
    ((event,),) = (item.events for item in decoded.items)
    return dict(event.attributes)


@pytest.mark.parametrize("command", ["82", "0x82", "0X82", "heart", "85"])
def test_the_frame_says_what_it_is_whatever_the_topic_says(command: str) -> None:
    decoded = decode(HEARTBEAT, command=command)
    assert decoded.rejected == []
    assert len(decoded.items) == 1


def test_an_unknown_imei_is_an_unknown_device() -> None:
    decoded = decode(HEARTBEAT, imei="000000000000000")
    assert (decoded.reason, decoded.device) == (Reason.UNKNOWN_DEVICE, None)


def test_frames_back_to_back_are_read_one_by_one() -> None:
    decoded = decode(HEARTBEAT + END + HEARTBEAT)
    assert [len(item.reports) for item in decoded.items] == [11, 0, 11]
    assert [len(item.events) for item in decoded.items] == [0, 1, 0]


def test_a_broken_sum_costs_its_own_frame_only() -> None:
    broken = END[:-1] + b"\x0c"
    decoded = decode(HEARTBEAT + broken + END)
    assert [r.reason for r in decoded.rejected] == [Reason.BAD_CHECKSUM]
    assert [len(item.events) for item in decoded.items] == [0, 1]
    assert decoded.reason is None


def test_after_a_broken_length_nothing_is_guessed() -> None:
    broken = END[:2] + b"\x29" + END[3:]
    decoded = decode(HEARTBEAT + broken + END)
    assert [r.reason for r in decoded.rejected] == [Reason.BAD_FRAME]
    assert [len(item.events) for item in decoded.items] == [0]


@pytest.mark.parametrize("cut", range(len(END)))
def test_a_frame_that_was_cut_off_is_refused(cut: int) -> None:
    decoded = decode(END[:cut])
    assert (decoded.reason, decoded.items) == (Reason.BAD_FRAME, [])
    assert decoded.device is not None


@pytest.mark.parametrize("place", range(4, len(END)))
def test_a_flipped_bit_is_refused(place: int) -> None:
    flipped = bytearray(END)
    flipped[place] ^= 0x10
    assert decode(bytes(flipped)).reason is Reason.BAD_CHECKSUM


@pytest.mark.parametrize(
    ("seconds", "energy", "reason", "canonical"),
    [
        (180, 0, 6, "no_load_at_start"),
        (181, 0, 6, "unplugged"),
        (20, 1, 6, "unplugged"),
        (3600, 50, 0, "full"),
        (3600, 50, 3, "manual_stop"),
        (3600, 50, 7, "over_temp"),
        (3600, 50, 10, "unknown"),
        (3600, 50, 255, "unknown"),
    ],
)
def test_a_stop_reason_is_kept_in_our_words_and_theirs(
    seconds: int, energy: int, reason: int, canonical: str
) -> None:
    found = attributes(decode(an_end(seconds=seconds, energy=energy, reason=reason)))
    assert (found["stop_reason"], found["native_reason"]) == (canonical, str(reason))


def test_the_device_says_how_fine_its_energy_is() -> None:
    end = an_end(seconds=3600, energy=981, reason=0)
    assert attributes(decode(end, imei=IMEI))["session_energy_kwh"] == 9.81
    assert attributes(decode(end, imei=FINE))["session_energy_kwh"] == 0.981


def test_a_card_number_goes_no_further() -> None:
    end = decode(an_end(seconds=3600, energy=50, reason=0, card=0x12345678))
    start = decode(a_frame(0x86, struct.pack("<BIBIII", 2, 1001, 1, 200, 900, 0x12345678)))
    for decoded in (end, start):
        assert decoded.rejected == []
        assert str(0x12345678) not in repr(decoded)


def test_a_local_start_is_the_start_of_a_session() -> None:
    decoded = decode(a_frame(0x86, struct.pack("<BIBIII", 2, 1001, 2, 200, 0, 0)))
    assert attributes(decoded) == {"port_no": 2, "order": "1001", "pay": "coin"}
    ((event,),) = (item.events for item in decoded.items)
    assert (event.device.id, event.type) == ("shed-juy-p02", "session_start")
    assert event.event_id != "1001"  # that is the end of the same order


def test_a_start_paid_in_an_unknown_way_is_still_a_start() -> None:
    decoded = decode(a_frame(0x86, struct.pack("<BIBIII", 2, 1001, 9, 200, 0, 0)))
    assert attributes(decoded) == {"port_no": 2, "order": "1001"}
    assert [r.reason for r in decoded.rejected] == [Reason.BAD_TYPE]


def test_a_meter_is_read_in_hundredths() -> None:
    decoded = decode(a_frame(0x8B, struct.pack("<I", 123_456)))
    ((report,),) = (item.reports for item in decoded.items)
    assert report.values == {"meter_energy_kwh": 1234.56}


def test_a_login_of_another_board_is_refused() -> None:
    data = b"861197062934399" + bytes([10]) + bytes(16 + 16 + 20) + bytes([27, 0])
    assert decode(a_frame(0x81, data)).reason is Reason.IDENTITY


def test_a_login_with_a_protocol_version_in_place_of_a_signal_has_none() -> None:
    data = IMEI.encode() + bytes([10]) + b"hw".ljust(16) + b"sw".ljust(16, b"\0")
    found = attributes(decode(a_frame(0x81, data + b"8" * 20 + bytes([0x64, 1]))))
    assert "csq" not in found
    assert (found["hw"], found["sw"], found["reason"]) == ("hw", "sw", "restart")


def test_no_signal_is_unknown_and_not_weak() -> None:
    decoded = decode(a_frame(0x82, bytes([99, 30, 0])))
    ((report,),) = (item.reports for item in decoded.items)
    assert "csq" not in report.values
    assert decoded.rejected == []


def test_sockets_that_the_registry_does_not_have_are_refused_beside_the_others() -> None:
    decoded = decode(a_frame(0x82, bytes([20, 30, 12]) + bytes(12)))
    assert len(decoded.items[0].reports) == 11
    assert [(r.reason, r.device) for r in decoded.rejected] == [
        (Reason.UNKNOWN_DEVICE, "shed-juy")
    ] * 2


@pytest.mark.parametrize("status", [5, 77, 255])
def test_a_status_without_a_name_is_unknown(status: int) -> None:
    decoded = decode(a_frame(0x82, bytes([20, 30, 1, status])))
    assert decoded.items[0].reports[1].values == {"port_status": "unknown"}


@pytest.mark.parametrize("command", [0x83, 0x84, 0x87, 0x89, 0x8A, 0x8F, 0xC0, 0xF5, 0x42])
def test_a_frame_of_an_undocumented_kind_is_unsupported(command: int) -> None:
    assert decode(a_frame(command, b"\x01\x02")).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("command", [0x81, 0x82, 0x85, 0x86, 0x88, 0x8B])
def test_data_of_another_length_is_another_layout(command: int) -> None:
    assert decode(a_frame(command, bytes(range(1, 100)))).reason is Reason.BAD_FRAME


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=80)), max_size=4))
def test_any_data_in_a_valid_frame_is_read_or_refused(frames: list[tuple[int, bytes]]) -> None:
    decoded = decode(b"".join(a_frame(command, data) for command, data in frames))
    assert len(decoded.items) + len(decoded.rejected) >= len(frames)
    assert decoded.reason is None or decoded.items == []
