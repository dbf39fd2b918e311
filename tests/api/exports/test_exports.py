"""Exports: asked for, made in the background, watched, downloaded in parts, called off."""

import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import Engine, update

from api.exports import kinds, routes, work
from api.exports.files import Folder
from api.exports.model import KEPT_MS, TRIES
from api.exports.pieces import PieceLog
from api.exports.work import Workshop, has_work, work_off
from devices.store import exports
from devices.store.database import reading
from devices.store.schema import compounds
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LIANXIN,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    Cast,
    FakeExports,
    a_session,
    an_hour,
)
from tests.api.reports.made import text_of

URL = "/v1/exports"
OCTOBER = {"what": "report", "format": "xlsx", "firm": "yaxin", "month": "2026-10"}
USAGE = {"what": "usage", "format": "csv", "from": "2026-11-20"}
SESSIONS = {"what": "sessions", "format": "csv", "from": "2026-11-20"}


def folder_of(cast: Cast) -> Folder:
    exports = cast.app.state.parts.deps.exports
    assert isinstance(exports, FakeExports)
    return Folder(exports.folder)


def shop_of(cast: Cast, **more: Any) -> Workshop:
    return Workshop(cast.engine, folder_of(cast), lambda: cast.now_ms, **more)


def asked(cast: Cast, body: dict[str, Any], name: str = "yaxin") -> dict[str, Any]:
    answer = cast.client(name).post(URL, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"{URL}/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


def made(cast: Cast, body: dict[str, Any], name: str = "yaxin") -> dict[str, Any]:
    export = asked(cast, body, name)
    assert work_off(shop_of(cast))
    return standing(cast, export["id"], name)


def standing(cast: Cast, export: str, name: str = "yaxin") -> dict[str, Any]:
    answer = cast.client(name).get(f"{URL}/{export}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def download(cast: Cast, export: dict[str, Any], name: str = "yaxin", **headers: str) -> Any:
    return cast.client(name).get(export["file"]["url"], headers=headers)


def lines_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def stopping_after(steps: int) -> Callable[[], bool]:
    """A process that is to end when it has done so many."""
    asked_n = iter(range(1_000))
    return lambda: next(asked_n) > steps


def test_a_report_is_made_in_the_background_and_downloaded(cast: Cast) -> None:
    export = asked(cast, OCTOBER)
    assert (export["state"], export["done"], export["file"]) == ("waiting", 0, None)
    assert cast.app.state.parts.deps.exports.woken == 1
    work_off(shop_of(cast))
    export = standing(cast, export["id"])
    assert (export["state"], export["done"], export["total"]) == ("done", 2, 2)
    answer = download(cast, export)
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="report-yaxin-2026-10-zh.xlsx"'
    )
    assert len(answer.content) == export["file"]["size_bytes"]
    assert openpyxl.load_workbook(io.BytesIO(answer.content))["概要"]["A1"].value == "亚新物业"
    assert sorted(path.suffix for path in folder_of(cast).path.iterdir()) == ["", "", ".file"]


def test_a_report_is_the_one_that_is_made_at_once(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, NOW_MS - NOW_MS % HOUR_MS - 30 * DAY_MS, 118, granted=7)
    wanted = {"what": "report", "format": "xlsx", "compound": XIANGYUNLI, "month": "2026-10"}
    export = made(cast, wanted | {"language": "en"})
    at_once = cast.client("yaxin").get(
        f"/v1/reports/compound/{XIANGYUNLI}/2026-10.xlsx?language=en"
    )
    assert at_once.status_code == 200
    assert download(cast, export).content == at_once.content


@pytest.mark.long
def test_a_pdf_is_made_too(cast: Cast) -> None:
    export = made(cast, OCTOBER | {"format": "pdf"})
    assert "亚新物业" in text_of(download(cast, export).content)


def test_usage_of_many_compounds_by_day(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, NOW_MS - NOW_MS % HOUR_MS - DAY_MS, 118, granted=7, denied=1)
        an_hour(connection, PORT, NOW_MS - NOW_MS % HOUR_MS, 40, energy_kwh=0.25)
    lines = lines_of(download(cast, made(cast, USAGE, "operator"), "operator"))
    assert [line["compound"] for line in lines] == [LIANXIN] * 4 + [XIANGYUNLI] * 4
    by_day = {line["start"][:10]: line for line in lines if line["compound"] == XIANGYUNLI}
    assert by_day["2026-11-22"]["gates_passages"] == "7"
    assert by_day["2026-11-23"]["charging_energy_kwh"] == "0.25"
    assert by_day["2026-11-23"]["status"] == "provisional"
    assert by_day["2026-11-20"]["status"] == "final"
    assert {line["charging_energy_kwh"] for line in lines if line["compound"] == LIANXIN} == {""}
    answer = cast.client("yaxin").get(
        f"/v1/compounds/{XIANGYUNLI}/usage?from=2026-11-20&bucket=day"
    )
    coverage = [bucket["coverage"] for bucket in answer.json()["buckets"]]
    assert [float(by_day[day]["coverage"]) for day in sorted(by_day)] == coverage


def test_a_day_that_was_corrected_says_so(cast: Cast) -> None:
    noon_ms = NOW_MS - NOW_MS % DAY_MS - 13 * DAY_MS + 4 * HOUR_MS
    with cast.write() as connection:
        an_hour(connection, PORT, noon_ms, 60, energy_kwh=4.0)
    body = {"day": "2026-11-10", "kind": "port", "changes": {"energy_kwh": -1.5}, "reason": "换表"}
    url = f"/v1/compounds/{XIANGYUNLI}/usage/corrections"
    assert cast.client("operator").post(url, json=body).status_code == 201
    of_days = USAGE | {"from": "2026-11-09", "to": "2026-11-12"}
    lines = lines_of(download(cast, made(cast, of_days)))
    energy = [float(line["charging_energy_kwh"]) for line in lines]
    assert ([line["corrections"] for line in lines], energy) == (["0", "1", "0"], [0, 2.5, 0])


def test_sessions_come_by_compound_and_start_with_their_reason_in_words(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "late", started_at_ms=NOW_MS - HOUR_MS, stop_reason="unplugged")
        a_session(connection, "early", started_at_ms=NOW_MS - 5 * HOUR_MS, order="=1+1")
        a_session(connection, "before", started_at_ms=NOW_MS - 10 * DAY_MS)
    lines = lines_of(download(cast, made(cast, SESSIONS)))
    assert [line["order"] for line in lines] == ["'=1+1", "late"]  # never a formula
    assert lines[1]["stop_reason_name"] == "拔出充电器"
    assert lines[1]["started_at"] == "2026-11-23T18:42:10+08:00"
    english = download(cast, made(cast, SESSIONS | {"format": "xlsx", "language": "en"}))
    sheet = openpyxl.load_workbook(io.BytesIO(english.content))["Charging sessions"]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[1][4] == "=1+1"
    assert sheet["E2"].data_type == "s"
    assert rows[2][12] == "Unplugged"


def test_a_session_of_which_little_is_known_has_empty_places(cast: Cast) -> None:
    unknown = {"ended_at_ms": None, "duration_s": None, "energy_kwh": None, "fee_fen": None}
    with cast.write() as connection:
        a_session(connection, "open", state="open", stop_reason=None, ended_by=None, **unknown)
    (line,) = lines_of(download(cast, made(cast, SESSIONS)))
    empty = ("ended_at", "duration_h", "energy_kwh", "fee_fen", "stop_reason", "stop_reason_name")
    assert {line[name] for name in empty} == {""}


def test_each_session_says_whether_its_energy_is_right(cast: Cast) -> None:
    apart = {"energy_kwh": 0.0, "order": "2", "started_at_ms": NOW_MS - 3 * HOUR_MS}
    lost = {"ended_by": "platform", "provisional": True, "order": "3"}
    late = {"register_kwh": None, "register_known": None, "power_kwh": None, "power_known": None}
    with cast.write() as connection:
        a_session(connection, "right", order="1")
        a_session(connection, "apart", **apart)
        a_session(connection, "lost", **lost, started_at_ms=NOW_MS - 2 * HOUR_MS)
        a_session(connection, "late", **late, order="4", started_at_ms=NOW_MS - HOUR_MS)
    lines = {line["order"]: line for line in lines_of(download(cast, made(cast, SESSIONS)))}
    said = [
        "reported_kwh", "register_kwh", "register_known", "power_kwh", "power_known",
        "reconciliation", "reconciliation_why",
    ]  # fmt: skip
    assert {order: [line[name] for name in said] for order, line in lines.items()} == {
        "1": ["0.54", "0.5", "1.0", "0.5", "0.99", "agrees", "both"],
        "2": ["0.0", "0.5", "1.0", "0.5", "0.99", "apart", "both_apart"],
        "3": ["", "0.5", "1.0", "0.5", "0.99", "unknown", "no_end"],
        "4": ["0.54", "", "", "", "", "unknown", "awaited"],
    }
    assert (lines["3"]["ended_by"], lines["3"]["provisional"]) == ("platform", "是")
    assert lines["1"]["reconciliation_text"] == "上报电量与寄存器、功率积分一致"
    english = download(cast, made(cast, SESSIONS | {"format": "xlsx", "language": "en"}))
    sheet = openpyxl.load_workbook(io.BytesIO(english.content))["Charging sessions"]
    of_sheet = dict(zip(*[[cell.value for cell in row] for row in sheet["1:2"]], strict=True))
    assert of_sheet["Verdict code"] == "agrees"
    assert of_sheet["Whether the energy is right"].startswith("the reported energy agrees")


def test_lines_that_were_gathered_before_an_upgrade_have_no_verdict() -> None:
    row = ["shed", "port", "7", "closed", None, None, None, 0.5, 60, "full", "1", "device", False]
    columns = [column.name for column in kinds.COLUMNS]
    padded = kinds.held_of(row)
    assert len(padded) == len(columns) - columns.index("reported_kwh") - 1
    assert set(padded) == {None}


def test_a_broken_download_goes_on(cast: Cast) -> None:
    export = made(cast, USAGE)
    whole = download(cast, export)
    etag = whole.headers["ETag"]
    assert etag == export["file"]["etag"]
    rest = download(cast, export, Range="bytes=100-", **{"If-Range": etag})
    assert (rest.status_code, rest.content) == (206, whole.content[100:])
    other = download(cast, export, Range="bytes=100-", **{"If-Range": '"another file"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert download(cast, export, **{"If-None-Match": etag}).status_code == 304


def test_the_same_request_again_makes_one_export(cast: Cast) -> None:
    client = cast.client("yaxin")
    first, again = (
        client.post(URL, json=OCTOBER, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.headers["Location"] == again.headers["Location"]
    assert len(client.get(URL).json()["items"]) == 1


def test_only_who_asked_and_operators_see_it(cast: Cast) -> None:
    export = made(cast, OCTOBER)
    for name in ("yaxin", "operator"):
        assert len(cast.client(name).get(URL).json()["items"]) == 1
    for name in ("kangqiao", "viewer"):
        client = cast.client(name)
        assert client.get(URL).json()["items"] == []
        assert client.get(f"{URL}/{export['id']}").status_code == 404
        assert client.get(f"{URL}/{export['id']}/file").status_code == 404
    assert cast.client("kangqiao").delete(f"{URL}/{export['id']}").status_code == 404


def test_what_left_the_scope_of_who_asked_is_not_theirs_any_more(cast: Cast) -> None:
    export = made(cast, OCTOBER | {"firm": None, "compound": XIANGYUNLI})
    with cast.write() as connection:
        moved = update(compounds).where(compounds.c.id == XIANGYUNLI)
        connection.execute(moved.values(firm="kangqiao"))
    cast.app.state.parts.registry._known = None
    assert cast.client("yaxin").get(f"{URL}/{export['id']}/file").status_code == 404


def test_a_firm_has_only_its_own_in_its_files(cast: Cast) -> None:
    lines = lines_of(download(cast, made(cast, USAGE)))
    assert {line["compound"] for line in lines} == {XIANGYUNLI}
    for body in (OCTOBER | {"firm": "kangqiao"}, USAGE | {"compound": LIANXIN}):
        assert cast.client("yaxin").post(URL, json=body).status_code == 404
    assert cast.client("viewer").post(URL, json=OCTOBER).status_code == 403


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (OCTOBER | {"format": "csv"}, "format"),
        (OCTOBER | {"month": None}, "month"),
        (OCTOBER | {"month": "2027-01"}, "month"),
        (OCTOBER | {"month": "october"}, "month"),
        (OCTOBER | {"firm": None}, "compound"),
        (OCTOBER | {"compound": XIANGYUNLI}, "firm"),
        (OCTOBER | {"from": "2026-11-01"}, "from"),
        (USAGE | {"format": "pdf"}, "format"),
        (USAGE | {"month": "2026-10"}, "month"),
        (USAGE | {"from": "2025-01-01"}, "from"),
        (USAGE | {"from": "2026-12-01"}, "from"),
        (USAGE | {"from": "2026-08-01", "bucket": "hour"}, "bucket"),
        (SESSIONS | {"bucket": "day"}, "bucket"),
    ],
)
def test_what_cannot_be_made_is_refused_with_its_parameter(
    cast: Cast, body: dict[str, Any], parameter: str
) -> None:
    answer = cast.client("yaxin").post(URL, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


def test_there_is_no_file_before_it_is_done(cast: Cast) -> None:
    export = asked(cast, OCTOBER)
    answer = cast.client("yaxin").get(f"{URL}/{export['id']}/file")
    assert (answer.status_code, answer.json()["state"]) == (409, "waiting")


def test_what_cannot_be_made_says_why_in_both_languages(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.exports.kinds.MOST_LINES", 0)
    with cast.write() as connection:
        a_session(connection, "one")
    export = made(cast, SESSIONS)
    assert export["state"] == "failed"
    assert export["error"]["zh"].startswith("内容太多（> 0）")
    assert export["error"]["en"].startswith("Too much for one file (> 0)")
    answer = cast.client("yaxin").get(f"{URL}/{export['id']}/file")
    assert answer.json()["detail"] == export["error"]["en"]


def test_without_a_font_a_pdf_says_what_to_install(cast: Cast, tmp_path: Path) -> None:
    export = asked(cast, OCTOBER | {"format": "pdf"})
    work_off(shop_of(cast, fonts=tmp_path))
    assert "COURTYARD_FONTS" in standing(cast, export["id"])["error"]["en"]


def test_called_off_it_is_gone_with_all_that_was_made(cast: Cast) -> None:
    export = asked(cast, USAGE, "operator")
    work_off(shop_of(cast, keep_every_s=0, is_over=stopping_after(1)))
    assert folder_of(cast).log(export["id"]).exists()
    assert cast.client("operator").delete(f"{URL}/{export['id']}").status_code == 204
    assert cast.client("operator").get(f"{URL}/{export['id']}").status_code == 404
    work_off(shop_of(cast))
    assert not folder_of(cast).log(export["id"]).exists()


def test_called_off_while_it_is_made_it_stops_at_its_next_step(cast: Cast) -> None:
    export = asked(cast, USAGE, "operator")

    def call_off() -> bool:
        cast.client("operator").delete(f"{URL}/{export['id']}")
        return False

    calls = iter([lambda: False, lambda: False, call_off])
    work_off(shop_of(cast, keep_every_s=0, is_over=lambda: next(calls, lambda: False)()))
    assert cast.client("operator").get(URL).json()["items"] == []
    assert sorted(path.suffix for path in folder_of(cast).path.iterdir()) == ["", ""]


def test_ended_in_between_it_goes_on_where_it_was(cast: Cast) -> None:
    export = asked(cast, USAGE | {"from": "2026-06-01"}, "operator")
    assert not work_off(shop_of(cast, keep_every_s=0, is_over=stopping_after(5)))
    half = standing(cast, export["id"], "operator")
    assert (half["state"], half["done"]) == ("running", 5)
    log = PieceLog.resume(folder_of(cast).log(export["id"]))
    assert log is not None
    assert log.count == 5
    log.close()
    cast.now_ms += HOUR_MS
    assert has_work(cast.engine, folder_of(cast), cast.now_ms)
    assert work_off(shop_of(cast))
    done = standing(cast, export["id"], "operator")
    assert done["as_of"] == half["as_of"]  # all figures are of one moment
    cast.now_ms -= HOUR_MS
    at_once = made(cast, USAGE | {"from": "2026-06-01"}, "operator")
    assert download(cast, done, "operator").content == download(cast, at_once, "operator").content


@pytest.mark.long
@pytest.mark.parametrize("point", ["O4:kill@3", "O5:kill"])
def test_killed_it_goes_on_where_it_was(sqlite_database: Engine, cast: Cast, point: str) -> None:
    body = USAGE | {"from": "2026-06-01"}
    export = asked(cast, body, "operator")
    command = [
        sys.executable, "-m", "tests.api.exports.worker",
        str(cast.engine.url), str(folder_of(cast).path),
    ]  # fmt: skip
    environment = {**os.environ, "COURTYARD_FAILPOINTS": point}
    died = subprocess.run(command, env=environment, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    half = standing(cast, export["id"], "operator")
    assert half["state"] == "running"
    kept = folder_of(cast).log(export["id"]).stat().st_size
    begun = half["as_of"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    done = standing(cast, export["id"], "operator")
    assert (done["state"], done["as_of"]) == ("done", begun)
    assert kept > 0
    undisturbed = made(cast, body, "operator")
    assert download(cast, done, "operator").content == (
        download(cast, undisturbed, "operator").content
    )


def test_what_ends_the_process_again_and_again_is_given_up(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        """As if the process was."""

    def die(*_: object) -> None:
        raise Ended

    export = asked(cast, USAGE)
    monkeypatch.setattr(work._Making, "run", die)
    for _ in range(TRIES):
        with pytest.raises(Ended):
            work_off(shop_of(cast))
        assert standing(cast, export["id"])["state"] == "running"
    assert work_off(shop_of(cast))
    assert "5 times" in standing(cast, export["id"])["error"]["en"]


def test_an_error_of_ours_costs_one_export_and_not_the_next(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        asked(cast, OCTOBER | {"compound": XIANGYUNLI, "firm": None}),
        asked(cast, USAGE),
    )

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("api.exports.kinds.report_of_compound", broken)
    work_off(shop_of(cast))
    assert standing(cast, first["id"])["error"]["en"].startswith("An error of ours")
    assert standing(cast, second["id"])["state"] == "done"


def test_nobody_works_beside_somebody_else(cast: Cast) -> None:
    asked(cast, USAGE)
    with folder_of(cast).alone() as is_alone:
        assert is_alone
        assert not work_off(shop_of(cast))
    assert work_off(shop_of(cast))


def test_an_export_of_another_machine_is_left_alone(cast: Cast, tmp_path: Path) -> None:
    export = asked(cast, USAGE)
    elsewhere = Workshop(cast.engine, Folder(tmp_path / "elsewhere"), lambda: cast.now_ms)
    assert work_off(elsewhere)
    assert standing(cast, export["id"])["state"] == "waiting"


def test_after_a_week_it_is_gone(cast: Cast) -> None:
    export = made(cast, OCTOBER)
    path = folder_of(cast).file(export["id"])
    assert path.exists()
    cast.now_ms += KEPT_MS
    assert cast.client("yaxin").get(f"{URL}/{export['id']}").status_code == 404
    assert has_work(cast.engine, folder_of(cast), cast.now_ms)
    work_off(shop_of(cast))
    assert not path.exists()
    assert not has_work(cast.engine, folder_of(cast), cast.now_ms)
    with reading(cast.engine) as connection:
        assert exports.list_all(connection) == {}


def test_the_oldest_files_give_way_when_there_are_too_many(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(cast, USAGE)
    cast.now_ms += 1000
    new = made(cast, SESSIONS)
    room = old["file"]["size_bytes"] + new["file"]["size_bytes"] // 2
    monkeypatch.setattr(work, "ALL_BYTES", work.MOST_BYTES + room)
    work_off(shop_of(cast))
    assert "make room" in standing(cast, old["id"])["error"]["en"]
    assert standing(cast, new["id"])["state"] == "done"


def test_a_full_disk_is_told(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "free_bytes", lambda _: 0)
    assert made(cast, USAGE)["error"]["zh"].startswith("磁盘空间不足")


def test_a_token_has_so_many_unfinished_ones_and_no_more(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_UNFINISHED", 2)
    asked(cast, USAGE), asked(cast, SESSIONS)
    answer = cast.client("yaxin").post(URL, json=USAGE)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    asked(cast, USAGE, "kangqiao")


def test_of_too_many_finished_ones_the_oldest_go(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_KEPT", 3)
    ids = []
    for _ in range(4):
        ids.append(made(cast, USAGE)["id"])
        cast.now_ms += 1000
    kept = [one["id"] for one in cast.client("yaxin").get(URL).json()["items"]]
    assert kept == ids[:0:-1]


def test_the_list_goes_on_page_by_page(cast: Cast) -> None:
    for _ in range(3):
        asked(cast, USAGE)
        cast.now_ms += 1000
    client = cast.client("yaxin")
    first = client.get(f"{URL}?limit=2").json()
    second = client.get(f"{URL}?limit=2&cursor={first['next_cursor']}").json()
    made_at = [one["made_at"] for one in [*first["items"], *second["items"]]]
    assert made_at == sorted(made_at, reverse=True)
    assert len(made_at) == 3
    assert second["next_cursor"] is None
