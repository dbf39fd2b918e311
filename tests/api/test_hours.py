from typing import Any

import pytest

from tests.api.cast import Cast, a_target

NIGHT = {
    "timezone": "Asia/Shanghai",
    "quiet_from": "22:00",
    "quiet_to": "07:00",
    "daily_summary_at": "08:30",
}


def test_a_target_has_no_hours_until_somebody_sets_them(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "t")
    client = cast.client("yaxin")
    none = NIGHT | {"quiet_from": None, "quiet_to": None, "daily_summary_at": None}
    assert client.get("/v1/targets/t/hours").json() == none
    assert client.put("/v1/targets/t/hours", json=NIGHT).json() == NIGHT
    assert client.get("/v1/targets/t/hours").json() == NIGHT
    assert client.put("/v1/targets/t/hours", json={}).json() == none
    assert cast.client("viewer").put("/v1/targets/t/hours", json=NIGHT).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"quiet_from": "22:00"},
        {"quiet_from": "07:00", "quiet_to": "07:00"},
        {"quiet_from": "07:00", "quiet_to": "06:00"},
        {"quiet_from": "7:00", "quiet_to": "8:00"},
        {"daily_summary_at": "24:00"},
        {"timezone": "Nowhere/Else"},
        {"timezone": "../../etc/passwd"},
    ],
)
def test_hours_that_cannot_be_meant_are_refused(cast: Cast, body: dict[str, Any]) -> None:
    with cast.write() as connection:
        a_target(connection, "t")
    answer = cast.client("yaxin").put("/v1/targets/t/hours", json=body)
    assert answer.status_code == 422, answer.text
