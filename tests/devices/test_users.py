"""What somebody may be called, and what is no password."""

import pytest

from devices.users import BadPassword, BadUser, check_password, display_name, user_name


@pytest.mark.parametrize(
    ("written", "kept"), [("li-min", "li-min"), (" Li.Min ", "li.min"), ("w2", "w2")]
)
def test_a_name_is_kept_in_small_letters(written: str, kept: str) -> None:
    assert user_name(written) == kept


@pytest.mark.parametrize(
    "written", ["", "x", "-li", "li min", "李敏", "li@min", "a" * 64, "li\n\nx", "System"]
)
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(BadUser):
        user_name(written)


def test_who_says_nothing_is_called_by_their_name() -> None:
    assert display_name(" 李  敏 ", "li-min") == "李 敏"
    assert display_name("", "li-min") == "li-min"
    with pytest.raises(BadUser):
        display_name("x" * 81, "li-min")
    with pytest.raises(BadUser):
        display_name("li\u202emin", "li-min")  # writes from the right from there on


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "三个字不够十二个字才够用了", "aB3$efgh1jkl", "x" * 8 + "abcd"],
)
def test_what_is_long_enough_is_a_password(password: str) -> None:
    check_password(password, "li-min", "李敏")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elevenchars", "short"),
        ("x" * 257, "long"),
        ("my-LI-MIN-secret", "name"),
        ("我是李敏所以这样写密码吧", "name"),
        ("aaaaaaaaaaaaaaaa", "plain"),
        ("abababababab", "plain"),
        ("Password1234", "plain"),
        ("courtyard2026", "plain"),
    ],
)
def test_what_others_would_guess_is_none(password: str, why: str) -> None:
    with pytest.raises(BadPassword) as refused:
        check_password(password, "li-min", "李敏")
    assert refused.value.why == why
