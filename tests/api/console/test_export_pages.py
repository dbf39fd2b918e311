"""The page of exports without scripts: asked for, followed, downloaded, thrown away."""

import re

import pytest

from api.exports.files import Folder
from api.exports.work import Workshop, work_off
from tests.api.cast import LIANXIN, XIANGYUNLI, Cast, an_export
from tests.api.console.test_login import OURS, logged_in
from tests.api.exports.test_exports import stopping_after
from tests.api.test_console import EN, ZH, words

REPORT = {"what": "report", "whose": f"compound/{XIANGYUNLI}", "month": "2026-10",
          "language": "en", "format": "xlsx"}  # fmt: skip
USAGE = {"what": "usage", "whose": "", "from": "2026-11-01", "to": "2026-11-22", "bucket": "week",
         "format": "csv"}  # fmt: skip


def shop_of(cast: Cast, **more: object) -> Workshop:
    folder = cast.app.state.parts.deps.exports.folder
    return Workshop(cast.engine, Folder(folder), lambda: cast.now_ms, **more)  # type: ignore[arg-type]


def list_of(cast: Cast, headers: dict[str, str] = ZH, name: str = "yaxin") -> str:
    html = cast.client(name).get("/exports", headers=headers).text
    return html[html.index('data-live="exports"') :]


def test_a_report_is_asked_for_followed_and_downloaded(cast: Cast) -> None:
    client = cast.client("yaxin")
    assert "还没有导出。" in words(list_of(cast))
    answer = client.post("/exports", data=REPORT)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/exports")
    assert cast.app.state.parts.deps.exports.woken == 1
    assert "月报 2026-10 XLSX · 英文 祥云里 排队 wang-jianguo，19:42:10 取消" in words(
        list_of(cast)
    )
    work_off(shop_of(cast))
    html = list_of(cast)
    assert re.search(
        r"月报 2026-10 .* 已完成 保存至 11-30 19:42:10 .* 下载 \d+ kB 删除", words(html)
    )
    url = re.search(r'href="(/v1/exports/[^"]+/file)" download', html)
    assert url is not None
    assert client.get(url[1]).content.startswith(b"PK")


def test_progress_is_steps_in_words_and_as_a_bar(cast: Cast) -> None:
    cast.client("operator").post("/exports", data=USAGE)
    work_off(shop_of(cast, keep_every_s=0, is_over=stopping_after(1)))
    html = list_of(cast, name="operator")
    assert '<progress max="3" value="1" aria-label="进度"></progress>' in html
    assert "用量明细 2026-11-01 – 2026-11-22 CSV · 中文 全区 生成中 1/3 步，33%" in words(html)
    part = cast.client("operator").get("/parts/exports", headers=ZH).text
    assert part.strip().removeprefix("<section").split(">", 1)[1][:200] in html


def test_what_failed_says_why_in_the_language_of_the_page(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Folder, "free_bytes", lambda _: 0)
    cast.client("yaxin").post("/exports", data=USAGE)
    work_off(shop_of(cast))
    assert "失败 磁盘空间不足" in words(list_of(cast))
    assert "Failed There is too little room on the disk" in words(list_of(cast, EN))


def test_what_cannot_be_made_is_told_on_the_page_with_what_was_written(cast: Cast) -> None:
    answer = cast.client("yaxin").post("/exports", data=USAGE | {"from": "2027-01-01"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'name="from" max="2026-11-23" value="2027-01-01"' in answer.text
    answer = cast.client("yaxin").post("/exports", data=USAGE | {"format": "xlsx"})
    assert "usage can be had as csv" in words(answer.text)
    answer = cast.client("yaxin").post("/exports", data=REPORT | {"whose": f"compound/{LIANXIN}"})
    assert answer.status_code == 404


def test_one_is_called_off_and_one_thrown_away(cast: Cast) -> None:
    client = cast.client("yaxin")
    an_export(cast, "own-export")
    client.post("/exports", data=REPORT)
    ids = re.findall(r'action="/exports/([^/"]+)/delete"', list_of(cast))
    assert len(ids) == 2
    for id_ in ids:
        assert client.post(f"/exports/{id_}/delete").status_code == 303
    assert "还没有导出。" in words(list_of(cast))


def test_a_form_sends_a_range_with_its_last_day(cast: Cast) -> None:
    cast.client("yaxin").post("/exports", data=USAGE)
    (export,) = cast.client("yaxin").get("/v1/exports").json()["items"]
    assert (export["from"], export["to"]) == (
        "2026-10-31T16:00:00.000Z",
        "2026-11-22T16:00:00.000Z",
    )


def test_firms_see_their_own_subjects(cast: Cast) -> None:
    html = cast.client("yaxin").get("/exports", headers=ZH).text
    assert re.findall(r'<option value="(firm/[^"]+)"', html) == ["firm/yaxin"] * 2
    assert f'value="compound/{LIANXIN}"' not in html


def test_months_begin_with_the_newest_that_is_over(cast: Cast) -> None:
    html = cast.client("yaxin").get("/exports", headers=ZH).text
    assert re.findall(r"<option>(\d{4}-\d\d)</option>", html)[:3] == [
        "2026-10", "2026-11", "2026-09",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("whose", "leads_to"),
    [
        (f"compound/{XIANGYUNLI}", f"/v1/reports/compound/{XIANGYUNLI}/2026-10.pdf?language=zh"),
        ("firm/kangqiao", "/v1/reports/firm/kangqiao/2026-10.pdf?language=zh"),
    ],
)
def test_who_only_looks_downloads_a_report_directly(cast: Cast, whose: str, leads_to: str) -> None:
    client = cast.client("viewer")
    page = client.get("/exports", headers=ZH).text
    assert 'method="get" action="/exports/direct"' in page
    assert "导出数据" not in words(page)
    answer = client.get(f"/exports/direct?whose={whose}&month=2026-10&language=zh&format=pdf")
    assert (answer.status_code, answer.headers["Location"]) == (303, leads_to)
    assert client.post("/exports", data=REPORT).status_code == 403


@pytest.mark.parametrize(
    "whose", ["", "firm/", "firm/nobody", "compound/atlantis", "x/y", "//evil"]
)
def test_a_direct_download_leads_nowhere_else(cast: Cast, whose: str) -> None:
    answer = cast.client("viewer").get(
        "/exports/direct", params={"whose": whose, "month": "2026-10"}
    )
    assert answer.status_code == 404


def test_a_form_of_another_site_makes_nothing(cast: Cast) -> None:
    browser = logged_in(cast, "yaxin")
    refused = browser.post("/exports", data=REPORT, headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert browser.post("/exports", data=REPORT, headers=OURS).status_code == 303


def test_a_compound_page_asks_for_its_own_report(cast: Cast) -> None:
    html = cast.client("yaxin").get(f"/compounds/{XIANGYUNLI}", headers=ZH).text
    assert f'name="whose" value="compound/{XIANGYUNLI}"' in html
    assert '<form class="form panel-body window-form" method="post" action="/exports">' in html
