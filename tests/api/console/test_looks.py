"""What many want at one moment is made once."""

from api.console.looks import KEPT_MOST, KEPT_S, Looks


class Made:
    """What is asked for, each time another one."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.count = 0
        self.looks: Looks[bytes] = Looks(lambda: self.now_s)

    def get(self, key: str | int, turn: object = None) -> bytes:
        return self.looks.get(key, self._make, turn)

    def _make(self) -> bytes:
        self.count += 1
        return str(self.count).encode()


def test_who_looks_at_the_same_gets_the_same_until_it_is_too_old() -> None:
    made = Made()
    assert [made.get("a"), made.get("a"), made.get("b"), made.get("a")] == [b"1", b"1", b"2", b"1"]
    made.now_s += KEPT_S - 0.01
    assert made.get("a") == b"1"
    made.now_s += 0.01
    assert made.get("a") == b"3"


def test_only_so_many_are_kept_the_one_made_last_among_them() -> None:
    made = Made()
    for n in range(KEPT_MOST + 1):
        made.get(n)
    assert made.get(KEPT_MOST) == str(KEPT_MOST + 1).encode()
    assert made.get(0) == str(KEPT_MOST + 2).encode()  # it had to make place


def test_in_a_turn_it_is_made_once_however_long_that_takes() -> None:
    made = Made()
    assert [made.get("a", 1), made.get("a", 1)] == [b"1", b"1"]
    made.now_s += KEPT_S
    assert [made.get("a", 1), made.get("a", 2), made.get("a")] == [b"1", b"2", b"2"]
