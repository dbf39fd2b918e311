"""What tells people apart is kept as a keyed hash, and shown only in numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.credentials import Seal, distinct, hash_of, pack, published, unpack

SEAL = Seal(b"the secret of this installation")
HASHES = st.sets(st.binary(min_size=8, max_size=8), max_size=40)


def test_a_sealed_credential_does_not_have_it_in_it() -> None:
    sealed = SEAL("xiangyunli", "6217001234567890")
    assert "6217" not in sealed
    assert hash_of(sealed) is not None


def test_the_same_person_is_the_same_at_each_gate_and_another_elsewhere() -> None:
    assert SEAL("xiangyunli", "card-1") == SEAL("xiangyunli", "card-1")
    assert SEAL("xiangyunli", "card-1") != SEAL("xiangyunli", "card-2")
    assert SEAL("xiangyunli", "card-1") != SEAL("lianxin-hutong", "card-1")


def test_without_the_key_a_hash_says_nothing() -> None:
    assert Seal(b"the secret of somebody else")("x", "card-1") != SEAL("x", "card-1")
    with pytest.raises(ValueError, match="shorter than 16 bytes"):
        Seal(b"short")


@given(st.text(max_size=150))
def test_sealing_twice_is_sealing_once(credential: str) -> None:
    sealed = SEAL("x", credential)
    assert SEAL("x", sealed) == sealed
    assert len(hash_of(sealed) or b"") == 8


@pytest.mark.parametrize("other", [None, "", "kh1-", "kh1-00", 12, "kh1-" + "g" * 16])
def test_anything_else_is_no_hash(other: object) -> None:
    assert hash_of(other) is None


@given(HASHES)
def test_a_set_of_hashes_is_packed_to_the_same_bytes_in_any_order(hashes: set[bytes]) -> None:
    packed = pack(sorted(hashes, reverse=True))
    assert packed == pack([*hashes, *hashes])
    assert unpack(packed) == hashes


@given(st.lists(HASHES, max_size=5))
def test_different_ones_are_counted_once_over_all_days(days: list[set[bytes]]) -> None:
    assert distinct(map(pack, days)) == len(set().union(*days))


def test_fewer_than_five_are_not_shown() -> None:
    assert [published(count) for count in (0, 1, 4, 5, 60)] == [None, None, None, 5, 60]
