"""What the quarantine keeps of a message does not say who it was about."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.journal import OVERSIZE
from devices.judgement import Refused
from devices.messages import Reason
from ingest.adapters import juy
from ingest.redaction import redacted, without_people
from tests.ingest.cast import COMPOUND, SEAL

CARD = "6217001234567890"


def hidden(payload: bytes) -> bytes:
    return without_people(payload, COMPOUND, SEAL)


def a_row(payload: bytes | None, flags: int = 0) -> Refused:
    digest = sha256(payload or b"").hexdigest()
    return Refused(
        7, 0, COMPOUND, "gate-1", "t", Reason.BAD_TYPE, "", payload, digest, 9, False, flags
    )


@pytest.mark.parametrize("name", ["credential_hash", "by", "cardNo", "telnum", "Plate"])
def test_a_value_is_replaced_by_the_hash_that_decoding_gives(name: str) -> None:
    sent = {"event": "access", name: CARD, "result": "granted"}
    kept = json.loads(hidden(json.dumps(sent).encode()))
    assert kept == sent | {name: SEAL(COMPOUND, CARD)}


def test_a_face_gate_says_nothing_of_whom_it_saw() -> None:
    # RecPush of the facesluice protocol V1.25 (domain.md §5.1), with the image of the scene
    sent = (
        b'{"operator":"RecPush","info":{"customId":"410105199001","personId":"73","RecordID":"2",'
        b'"personName":"Li Min","idCard":"12345","telnum":"13800001111",'
        b'"pic":"data:image/jpeg;base64,/9j/4A","scene":"data:image/jpeg;base64,/9j/4B"}}'
    )
    info = json.loads(hidden(sent))["info"]
    assert info.pop("RecordID") == "2"
    assert all(told.startswith("kh1-") for told in info.values()), info
    assert info["personId"] == SEAL(COMPOUND, "73")


def test_escapes_and_numbers_are_the_same_person() -> None:
    assert hidden(b'{"card": "\\u0036217"}') == hidden(b'{"card": "6217"}')
    assert hidden(b'{"card":6217}') == hidden(b'{"card":"6217"}')


@pytest.mark.parametrize(
    "broken",
    [
        b'{"credential_hash": "6217001234567890',
        b'{"credential_hash": "6217001234567890", "x": ',
        b'[{"seq": 1}, {"credential_hash" :"6217001234567890"}, \xff]',
        b'{"info": {"cardNo": ["6217001234567890", {"a": 1}], "y": 2}}',
        b'{"card": {"no": "6217001234567890"}}',
        b'{"card": {"kind": {"a": "}"}, "no": "6217001234567890"}}',
        b'{"cardNo": [["1"], ["6217001234567890"]], "y": 2}',
        b'{"pic":"data:image\\/jpeg;base64,6217001234567890\\',
        b'{"a": "\\"", "card_no":\n"\\"6217001234567890"}',
    ],
)
def test_what_is_broken_is_hidden_too(broken: bytes) -> None:
    assert b"6217" not in hidden(broken)


def test_hiding_twice_is_hiding_once_and_nothing_else_is_touched() -> None:
    once = hidden(b'{"credential_hash": "a", "values": {"power_w": 3}, "card_reader": "east"}')
    assert hidden(once) == once
    assert b'"values": {"power_w": 3}, "card_reader": "east"}' in once


def test_without_a_key_nothing_stands_in_its_place() -> None:
    assert without_people(b'{"card": "6217"}', COMPOUND, None) == b'{"card": null}'


@given(st.binary(max_size=200), st.sampled_from([b"", juy.MAGIC, b'{"card":"']))
def test_any_bytes_are_kept_in_some_form(payload: bytes, head: bytes) -> None:
    assert hidden(hidden(head + payload)) == hidden(head + payload)


def a_frame(command: int, data: bytes) -> bytes:
    head = juy.MAGIC + (len(data) + 3).to_bytes(2, "little") + bytes([command, 0]) + data
    return head + bytes([juy.checksum(head)])


def an_end(card: int) -> bytes:
    end: tuple[Any, ...] = (3, 77, 3600, 52, 60, 0, 8, card, 0)
    return a_frame(0x85, juy._END.pack(*end) + bytes(8))


def test_a_card_number_in_a_frame_is_zero_and_the_checksum_right() -> None:
    heartbeat = a_frame(0x82, bytes([20, 30, 1, 0]))
    sent = heartbeat + an_end(0x12345678) + a_frame(0x86, juy._START.pack(3, 78, 1, 0, 0, 0x9ABC))
    assert hidden(sent) == heartbeat + an_end(0) + a_frame(0x86, juy._START.pack(3, 78, 1, 0, 0, 0))


def test_a_wrong_checksum_stays_wrong() -> None:
    wrong = bytearray(an_end(0x12345678))
    wrong[-1] ^= 0x55
    kept = hidden(bytes(wrong))
    assert b"\x78\x56\x34\x12" not in kept
    assert juy.checksum(kept[:-1]) != kept[-1]


def test_the_hash_of_a_row_is_that_of_what_is_kept() -> None:
    row = redacted(a_row(b'{"card": "6217"}'), SEAL)
    assert row.payload is not None
    assert row.sha256 == sha256(row.payload).hexdigest()
    plain = a_row(b'{"values": {}}')
    assert redacted(plain, SEAL) is plain
    assert redacted(a_row(None), SEAL).payload is None
    stub = a_row(b'{"card": "6217"}', OVERSIZE)  # of which only the beginning is there
    assert redacted(stub, SEAL).sha256 == stub.sha256
