"""The console's page of corrections: seen by all who see the compound, made by operators alone."""

import re

import pytest

from devices.corrections import Line, RecountBusy, Recounted
from devices.store.database import reading
from devices.store.registry import device_numbers
from tests.api.cast import GATE, PORT, XIANGYUNLI, Cast, an_hour
from tests.api.console.test_login import OURS, logged_in
from tests.api.test_console import EN, ZH, words
from tests.api.test_usage_corrections import DAY, NOON, made

PAGE = f"/compounds/{XIANGYUNLI}/corrections"
STATED = {
    "way": "stated",
    "day": DAY,
    "hour": "12",
    "whose": PORT,
    "figure": ["port:energy_kwh", "port:fee_fen", "", ""],
    "amount": ["-1.5", "−0.29", "", ""],
}


@pytest.fixture
def used(cast: Cast) -> Cast:
    with cast.write() as connection:
        an_hour(connection, PORT, NOON, 60, energy_kwh=4.0, sessions=2, fee_fen=120)
        an_hour(connection, GATE, NOON, 120, granted=10, by_method={"face": 10})
    return cast


def digest_in(html: str) -> str:
    found = re.search(r'name="digest" value="(\w+)"', html)
    assert found is not None
    return found[1]


def test_a_correction_is_looked_at_and_recorded_as_it_was_looked_at(used: Cast) -> None:
    client = logged_in(used, "operator")
    looked = client.post(PAGE, data=STATED, headers={**OURS, **ZH})
    assert looked.status_code == 200
    text = words(looked.text)
    assert "2026-11-10 更正预览 尚未记下" in text
    assert "充电量 kWh 4.00 −1.50 2.50" in text
    assert "充电金额 元 1.20 −0.29 0.91" in text
    assert "没有更正" in text, "nothing is recorded by looking"
    recorded = STATED | {"reason": "电表更换", "digest": digest_in(looked.text)}
    assert client.post(PAGE, data=recorded, headers=OURS).status_code == 303
    listed = words(client.get(PAGE, headers=ZH).text)
    assert "2026-11-10 12:00–13:00" in listed
    assert "电表更换 li-min 2026-11-23 19:42 · 第 1 次" in listed
    again = client.post(PAGE, data=recorded, headers={**OURS, **ZH})
    assert again.status_code == 409, "the day is no longer as it was looked at"
    usage = client.get(
        f"/compounds/{XIANGYUNLI}/usage?bucket=day&until=2026-11-12", headers=ZH
    ).text
    assert "其中含 1 条更正" in words(usage)
    assert f'href="{PAGE}"' in usage


def test_each_line_shows_the_day_before_and_after_that_correction(used: Cast) -> None:
    made(used)
    first = used.client("operator").get(f"/v1{PAGE.replace('corrections', 'usage/corrections')}")
    made(used, changes={"energy_kwh": 0.5}, corrects=first.json()["items"][0]["id"])
    text = words(used.client("viewer").get(PAGE, headers=EN).text)
    assert "Energy charged kWh 2.50 +0.50 3.00" in text
    assert "Energy charged kWh 4.00 −1.50 2.50" in text
    assert "corrects revision 1" in text


def test_a_day_is_worked_out_again_after_it_was_looked_at(used: Cast) -> None:
    with reading(used.engine) as connection:
        number = device_numbers(connection)[GATE]
    used.recount.found = Recounted(
        [Line(NOON, number, "gate", 7, {"granted": 3, "by_method": {"card": 3}})],
        {PORT: "the store holds no reading of it on that day"},
    )
    client = logged_in(used, "operator")
    asked = {"way": "recount", "day": DAY}
    looked = client.post(PAGE, data=asked, headers={**OURS, **EN})
    text = words(looked.text)
    assert "Passages 10 +3 13" in text
    assert "reports: 7" in text
    assert "Devices that stay as they are: 1" in text
    recorded = asked | {"reason": "late", "digest": digest_in(looked.text)}
    assert client.post(PAGE, data=recorded, headers=OURS).status_code == 303
    assert "Worked out again Gates" in words(client.get(PAGE, headers=EN).text)
    used.recount.fails = RecountBusy("another day is being worked out: try again")
    assert client.post(PAGE, data=asked, headers=OURS).status_code == 503


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"day": "2026-11-22"}, "provisional"),
        ({"day": "yesterday"}, "day"),
        ({"amount": ["much", "", "", ""]}, "is no number"),
        ({"amount": ["-9", "1", "", ""]}, "would be negative"),
        ({"figure": ["port:energy_kwh", "gate:passages", "", ""]}, "one kind of device"),
        ({"figure": ["", "", "", ""]}, "which figure"),
        ({"figure": ["gate:passages", "", "", ""], "amount": ["1", "", "", ""]}, "no figure of a"),
        ({"digest": "made-up", "reason": "why"}, "look again"),
        ({"digest": "made-up", "reason": " "}, "reason"),
    ],
)
def test_what_cannot_be_is_told_beside_what_was_written(
    used: Cast, changes: dict[str, object], told: str
) -> None:
    client = logged_in(used, "operator")
    answer = client.post(PAGE, data=STATED | changes, headers={**OURS, **EN})
    assert answer.status_code == (409 if "look again" in told else 422)
    assert told in words(answer.text)
    assert 'value="port:energy_kwh" selected' in answer.text or "figure" in changes
    assert (
        used.client("operator").get(f"/v1/compounds/{XIANGYUNLI}/usage/corrections").json()["items"]
        == []
    )


def test_only_operators_correct_and_strangers_see_nothing(used: Cast) -> None:
    made(used)
    for name in ("yaxin", "viewer"):
        html = used.client(name).get(PAGE, headers=ZH).text
        assert "电表更换，读数有误" in words(html)
        assert "<form" not in html.partition("<main")[2]
    assert logged_in(used, "yaxin").post(PAGE, data=STATED, headers=OURS).status_code == 403
    for method in ("get", "post"):
        stranger = logged_in(used, "kangqiao")
        answer = stranger.request(method, PAGE, data=STATED, headers=OURS)
        assert answer.status_code == 404


def test_the_list_goes_on_on_a_second_page(used: Cast) -> None:
    for n in range(12):
        made(used, changes={"energy_kwh": 0.1}, reason=f"reason {n}")
    client = used.client("operator")
    first = client.get(PAGE, headers=EN).text
    shown = set(re.findall(r"reason \d+", first))
    assert len(shown) == 10
    older = re.search(r'href="(/compounds/[^"]+cursor=[^"]+)"', first)
    assert older is not None
    second = client.get(older[1].replace("&amp;", "&"), headers=EN).text
    assert shown | set(re.findall(r"reason \d+", second)) == {f"reason {n}" for n in range(12)}
