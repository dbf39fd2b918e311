"""Links in messages: what is signed opens, and nothing else does."""

from dataclasses import replace

import pytest

from devices.links import (
    VALID_MS,
    Key,
    Link,
    Token,
    clean_name,
    is_genuine,
    is_own_form,
    link_of,
    read,
    sign,
    sign_form,
)

NOW_MS = 1_795_434_130_000
KEY = Key(1, b"k" * 32)
LINK = link_of(1042, "3f9a1c", "night-robot", NOW_MS)


def parsed(link: Link = LINK, key: Key = KEY) -> Token:
    token = read(sign(link, key))
    assert token is not None
    return token


def test_what_was_signed_opens_with_what_it_says_of_itself() -> None:
    token = parsed()
    assert (token.delivery, token.key, token.hours) == (1042, 1, LINK.hours)
    assert is_genuine(token, LINK, KEY)


@pytest.mark.parametrize(
    "other",
    [
        replace(LINK, delivery=1043),
        replace(LINK, fault="3f9a1d"),
        replace(LINK, target="day-robot"),
        replace(LINK, hours=LINK.hours + 1),
        replace(LINK, person="wang"),
    ],
)
def test_it_opens_nothing_but_what_was_signed(other: Link) -> None:
    assert not is_genuine(parsed(), other, KEY)
    assert not is_genuine(parsed(other), LINK, KEY)


def test_another_key_opens_nothing() -> None:
    assert not is_genuine(parsed(), LINK, Key(1, b"K" * 32))


def test_every_letter_of_it_counts() -> None:
    text = sign(LINK, KEY)
    for place, letter in enumerate(text):
        changed = text[:place] + ("b" if letter != "b" else "c") + text[place + 1 :]
        token = read(changed)
        assert (
            token is None
            or not is_genuine(token, replace(LINK, delivery=token.delivery, hours=token.hours), KEY)
            or token.key != KEY.id
        ), changed


def test_it_lasts_for_seven_days_and_at_most_an_hour_more() -> None:
    assert 0 <= LINK.ends_at_ms - (NOW_MS + VALID_MS) < 3_600_000


def test_it_is_the_same_each_time_a_message_is_tried() -> None:
    assert sign(link_of(1042, "3f9a1c", "night-robot", NOW_MS), KEY) == sign(LINK, KEY)


def test_it_is_short_and_no_markup() -> None:
    text = sign(link_of(2**40, "f" * 40, "t" * 40, NOW_MS), Key(1000, b"k" * 32))
    assert len(text) < 50
    assert text.replace("-", "").isalnum()
    assert text == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "1-1-1-", "1-1-1-" + "a" * 25, "1-1-1-" + "a" * 27, "1-1-1-" + "A" * 26),
        *("z" * 13 + "-1-1-" + "a" * 26, "1-1-1-" + "a" * 25 + "\n", "١-1-1-" + "a" * 26),
    ],
)
def test_what_is_no_link_says_so(text: str) -> None:
    assert read(text) is None


def test_a_form_is_good_for_the_link_whose_page_made_it_and_for_half_a_day() -> None:
    form = sign_form("a-link", KEY, NOW_MS)
    assert is_own_form(form, "a-link", KEY, NOW_MS)
    assert is_own_form(form, "a-link", KEY, NOW_MS + 11 * 3_600_000)
    assert not is_own_form(form, "a-link", KEY, NOW_MS + 12 * 3_600_000)
    assert not is_own_form(form, "a-link", KEY, NOW_MS - 120_000)
    assert not is_own_form(form, "another", KEY, NOW_MS)
    assert not is_own_form(form, "a-link", Key(1, b"K" * 32), NOW_MS)
    assert not is_own_form("", "a-link", KEY, NOW_MS)


def test_no_link_is_a_form_and_no_form_a_link() -> None:
    link = sign(LINK, KEY)
    assert not is_own_form("-".join(link.split("-")[2:]), link, KEY, LINK.ends_at_ms)


def test_the_key_does_not_show() -> None:
    assert "kkk" not in repr(KEY)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("  王芳 ", "王芳"),
        ("Li\u202eMin\x00\n\t(duty)", "LiMin (duty)"),
        ("\u200b\u2066", ""),
        ("x" * 400, "x" * 40),
    ],
)
def test_a_name_is_one_line_that_hides_nothing(typed: str, name: str) -> None:
    assert clean_name(typed) == name
