"""What is left out of usage, and why."""

from devices.registers import Exclusion, Jump
from devices.store.exclusions import write_exclusions
from devices.store.registry import device_numbers
from tests.api.cast import HOUR_MS, LIANXIN, NOW_MS, PORT, XIANGYUNLI, Cast

URL = f"/v1/compounds/{XIANGYUNLI}/usage/exclusions"


def excluded(cast: Cast, *hours_ago: int) -> None:
    with cast.write() as connection:
        number = device_numbers(connection)[PORT]
        rows = [
            Exclusion(
                XIANGYUNLI,
                PORT,
                "session_energy_kwh",
                NOW_MS - hours * HOUR_MS - 60_000,
                NOW_MS - hours * HOUR_MS,
                0.2,
                9.2,
                9.0,
                Jump.FORWARDS,
            )
            for hours in hours_ago
        ]
        write_exclusions(connection, [(number, row) for row in rows])
        write_exclusions(connection, [(number, row) for row in rows])  # again changes nothing


def test_an_exclusion_says_from_which_reading_to_which_and_why(cast: Cast) -> None:
    excluded(cast, 1)
    (item,) = cast.client("yaxin").get(URL).json()["items"]
    assert item == {
        "compound": XIANGYUNLI,
        "device": PORT,
        "quantity": "session_energy_kwh",
        "from_at": "2026-11-23T10:41:10.000Z",
        "at": "2026-11-23T10:42:10.000Z",
        "before_kwh": 0.2,
        "after_kwh": 9.2,
        "excluded_kwh": 9.0,
        "why": "jump_forwards",
        "why_text": {
            "zh": "读数增加超过设备可能用电",
            "en": "the register grew by more than the device can have drawn",
        },
    }


def test_exclusions_by_time_and_page_the_newest_first(cast: Cast) -> None:
    excluded(cast, 1, 2, 3, 30)
    client = cast.client("operator")
    body = client.get(f"{URL}?limit=3").json()
    rest = client.get(f"{URL}?limit=3&cursor={body['next_cursor']}").json()
    ats = [item["at"] for item in (*body["items"], *rest["items"])]
    assert ats == sorted(ats, reverse=True)
    assert len(ats) == 4
    assert rest["next_cursor"] is None
    today = client.get(f"{URL}?from=2026-11-23").json()["items"]
    assert len(today) == 3
    assert client.get(f"{URL}?to=2026-11-23").json()["items"][0]["at"] == ats[3]


def test_another_firms_exclusions_are_not_there(cast: Cast) -> None:
    excluded(cast, 1)
    assert cast.client("kangqiao").get(URL).status_code == 404
    other = f"/v1/compounds/{LIANXIN}/usage/exclusions"
    assert cast.client("operator").get(other).json()["items"] == []
