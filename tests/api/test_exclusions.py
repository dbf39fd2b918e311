"""What is left out of usage, and why."""

from devices.registers import Exclusion, Jump
from devices.store.exclusions import write_exclusions
from devices.store.registry import device_numbers
from tests.api.cast import HOUR_MS, LAMP, LIANXIN, NOW_MS, PORT, SHED, XIANGYUNLI, Cast

URL = f"/v1/compounds/{XIANGYUNLI}/usage/exclusions"


def excluded(cast: Cast, *hours_ago: int, device: str = PORT) -> None:
    with cast.write() as connection:
        number = device_numbers(connection)[device]
        rows = [
            Exclusion(
                XIANGYUNLI,
                device,
                "energy_kwh" if device == LAMP else "session_energy_kwh",
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


def test_those_of_all_compounds_by_firm_compound_and_device(cast: Cast) -> None:
    excluded(cast, 1, 2)
    excluded(cast, 3, device=LAMP)
    everything = "/v1/usage/exclusions"

    def devices(who: str, query: str = "") -> list[str]:
        answer = cast.client(who).get(everything + query)
        assert answer.status_code == 200, answer.text
        return [item["device"] for item in answer.json()["items"]]

    assert devices("operator") == devices("yaxin") == [PORT, PORT, LAMP]
    assert devices("kangqiao") == []
    assert devices("operator", f"?device={LAMP}") == [LAMP]
    assert devices("operator", f"?device={SHED}") == [PORT, PORT]  # of its sockets
    assert devices("operator", f"?compound={XIANGYUNLI}&limit=1") == [PORT]
    assert (
        devices("operator", f"?compound={LIANXIN}") == devices("operator", "?firm=kangqiao") == []
    )
    assert cast.client("yaxin").get(f"{everything}?compound={LIANXIN}").status_code == 404
    assert cast.client("yaxin").get(f"{everything}?firm=kangqiao").status_code == 404
    assert cast.client("operator").get(f"{URL}?device={LAMP}").json()["items"][0]["device"] == LAMP


def test_a_jump_of_a_lamps_register_is_seen_with_its_lamp_and_with_the_usage(cast: Cast) -> None:
    excluded(cast, 1, device=LAMP)
    client = cast.client("yaxin")
    of_lamp = client.get(f"/devices/{LAMP}").text
    assert "未计入用量的读数" in of_lamp
    assert "0.20 → 9.20 kWh" in of_lamp
    assert f'href="/compounds/{XIANGYUNLI}/exclusions?device={LAMP}"' in of_lamp
    assert "未计入用量的读数" not in client.get(f"/devices/{PORT}").text
    of_compound = client.get(f"/compounds/{XIANGYUNLI}/usage").text
    assert "电表读数跳变 1 次，共 9.00 kWh 未计入用量。" in of_compound
    listed = client.get(f"/compounds/{XIANGYUNLI}/exclusions").text
    assert "1 次，共 9.00 kWh" in listed
    assert f'href="/devices/{LAMP}"' in listed
    assert "读数增加超过设备可能用电" in listed


def test_the_page_of_exclusions_goes_on_with_the_older_ones(cast: Cast) -> None:
    excluded(cast, *range(1, 60), device=LAMP)
    client = cast.client("operator")
    page = client.get(f"/compounds/{XIANGYUNLI}/exclusions?lang=en").text
    assert page.count(f'href="/devices/{LAMP}"') == 50
    assert "59 times" in page
    (older,) = [part.split('"')[0] for part in page.split('href="')[1:] if "cursor=" in part]
    rest = client.get(older.replace("&amp;", "&")).text
    assert rest.count(f'href="/devices/{LAMP}"') == 9
    assert cast.client("kangqiao").get(f"/compounds/{XIANGYUNLI}/exclusions").status_code == 404
    nothing = client.get(f"/compounds/{XIANGYUNLI}/exclusions?to=2026-01-01&lang=en").text
    assert "Nothing was left out." in nothing
